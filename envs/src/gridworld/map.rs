//! Maps of grid worlds: their cells, and how they are read from text.

use super::keys::{Colour, Keys};
use super::obstacles::{Motion, Obstacles};
use super::solvable;
use crate::Error;

/// The most cells that a map may have. One-hot encodings and tables of values grow with it.
pub(super) const MAX_CELLS: usize = 1 << 16;

/// A cell of the map. The character in brackets marks it in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing special (`.` or a space).
    Floor,
    /// Floor on which episodes start (`S`). With several, one is drawn uniformly for each episode.
    Start,
    /// Cannot be entered (`#`). The outside of the map is like it.
    Wall,
    /// Ends the episode with a reward (`G`, or a lower-case letter with its reward in `goals`).
    Goal(char),
    /// Ends the episode, with a reward if the episode's cue has its colour (`1` red, `2` yellow, `3` blue, `4` purple).
    CuedGoal(Colour),
    /// Shows the colour of the right one among the cued goals (`?`); floor otherwise.
    Cue,
    /// Floor with a key on it, which the agent takes (`r`, `y`, `b` or `p`).
    Key(Colour),
    /// Can be entered with a key of its colour only (`R`, `Y`, `B` or `P`).
    Door(Colour),
    /// Ends the episode with a punishment (`L`).
    Lava,
    /// Sends the agent back to the start with a punishment, and the episode goes on (`C`).
    Cliff,
    /// Floor on which moves may go astray (`~`).
    Slippery,
}

impl Cell {
    /// Whether the agent can stand on it and go on from it, if it has the key.
    pub fn is_walkable(self) -> bool {
        matches!(self, Self::Floor | Self::Start | Self::Slippery | Self::Cue | Self::Key(_) | Self::Door(_))
    }

    /// Whether nobody can see what is behind it.
    pub(super) fn is_opaque(self) -> bool {
        matches!(self, Self::Wall | Self::Door(_))
    }
}

/// What a character of the map stands for: a cell, and perhaps an obstacle that begins on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    pub(super) cell: Cell,
    pub(super) obstacle: Option<Motion>,
}

impl From<Cell> for Tile {
    fn from(cell: Cell) -> Self {
        Self { cell, obstacle: None }
    }
}

impl From<Motion> for Tile {
    fn from(motion: Motion) -> Self {
        Self { cell: Cell::Floor, obstacle: Some(motion) }
    }
}

impl Tile {
    fn from_char(character: char) -> Option<Self> {
        let key = Colour::of(character, "rybp").map(Cell::Key);
        let door = Colour::of(character, "RYBP").map(Cell::Door);
        let goal = Colour::of(character, "1234").map(Cell::CuedGoal);
        if let Some(cell) = key.or(door).or(goal) {
            return Some(cell.into());
        }
        Some(match character {
            '.' | ' ' => Cell::Floor.into(),
            'S' => Cell::Start.into(),
            '#' => Cell::Wall.into(),
            'G' | 'a'..='z' => Cell::Goal(character).into(),
            '?' => Cell::Cue.into(),
            'L' => Cell::Lava.into(),
            'C' => Cell::Cliff.into(),
            '~' => Cell::Slippery.into(),
            '-' => Motion::Row.into(),
            '!' => Motion::Column.into(),
            '*' => Motion::Wander.into(),
            _ => return None,
        })
    }
}

/// A map that can be played: it has a start and a goal, and the goal can be reached.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Row by row from the top left.
    pub(super) cells: Vec<Cell>,
    pub(super) starts: Vec<usize>,
    /// The colours of the keys that lie on it.
    pub(super) keys: Keys,
    /// The colours of its cued goals, in order; none if it has no cue.
    pub(super) cues: Vec<Colour>,
    pub(super) obstacles: Obstacles,
}

impl Map {
    /// Reads a map from text; empty lines before and after it are ignored. `name` stands for it in errors.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let (width, tiles) = Self::read(name, text)?;
        Self::new(name, width, &tiles)
    }

    /// The width and the tiles of a map.
    pub(super) fn read(name: &str, text: &str) -> Result<(usize, Vec<Tile>), Error> {
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.iter().position(|line| !line.is_empty());
        let last = lines.iter().rposition(|line| !line.is_empty());
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Error::config(format!("{name}: the map is empty; it needs at least a start S and a goal G")));
        };
        let rows = &lines[first..=last];
        let width = rows[0].chars().count();
        check_size(name, width, rows.len())?;

        let mut tiles = Vec::with_capacity(width * rows.len());
        for (r, row) in rows.iter().enumerate() {
            let length = row.chars().count();
            if length != width {
                return Err(Error::config(format!(
                    "{name}: row {} has {length} cells and row 1 has {width}; all rows must be equally long (write \
                     floor at the end of a row as dots)",
                    r + 1
                )));
            }
            for (c, character) in row.chars().enumerate() {
                let tile = Tile::from_char(character).ok_or_else(|| {
                    Error::config(format!(
                        "{name}: unknown character {character:?} at row {}, column {}; cells are S (start), G or a \
                         to z (goals), # (wall), . or a space (floor), L (lava), C (cliff), ~ (slippery), r y b p \
                         (keys), R Y B P (doors), - ! * (obstacles), ? (cue) and 1 to 4 (its goals)",
                        r + 1,
                        c + 1
                    ))
                })?;
                tiles.push(tile);
            }
        }
        Ok((width, tiles))
    }

    /// Checks that the map can be played. `tiles` holds whole rows.
    pub(super) fn new(name: &str, width: usize, tiles: &[Tile]) -> Result<Self, Error> {
        let map = Self::assemble(name, width, tiles)?;
        solvable::check(name, &map)?;
        Ok(map)
    }

    /// A map that has what it takes, though perhaps no way to the goal.
    pub(super) fn assemble(name: &str, width: usize, tiles: &[Tile]) -> Result<Self, Error> {
        let cells: Vec<Cell> = tiles.iter().map(|tile| tile.cell).collect();
        let starts = (0..cells.len()).filter(|&cell| cells[cell] == Cell::Start).collect();
        let has = |colour: &Colour, kind: fn(Colour) -> Cell| cells.contains(&kind(*colour));
        let keys = Colour::ALL.into_iter().filter(|colour| has(colour, Cell::Key)).fold(Keys::default(), Keys::with);
        let cues = Colour::ALL.into_iter().filter(|colour| has(colour, Cell::CuedGoal)).collect();
        let (height, obstacles) = (cells.len() / width, Obstacles::default());
        let mut map = Self { width, height, cells, starts, keys, cues, obstacles };
        map.obstacles = Obstacles::new(name, &map, tiles)?;

        if map.starts.is_empty() {
            return Err(Error::config(format!("{name}: no start; mark one cell or several with S")));
        }
        if map.cells.contains(&Cell::Cliff) && map.starts.len() > 1 {
            return Err(Error::config(format!(
                "{name}: {} starts; a cliff (C) sends the agent back to the start, so there must be exactly one",
                map.starts.len()
            )));
        }
        match (map.cues.len(), map.cells.contains(&Cell::Cue)) {
            (0, false) | (2.., true) => {}
            (goals, cue) => {
                return Err(Error::config(format!(
                    "{name}: expected a cue ? and cued goals of two colours or more, or neither of them; got {} and \
                     goals of {goals}",
                    if cue { "a cue" } else { "no cue" }
                )));
            }
        }
        if map.cues.is_empty() && !map.cells.iter().any(|cell| matches!(cell, Cell::Goal(_))) {
            return Err(Error::config(format!("{name}: no goal; mark one with G, or with a letter listed in goals")));
        }
        Ok(map)
    }

    /// What the cue of an episode can be.
    pub(super) fn cues(&self) -> Vec<Option<Colour>> {
        if self.cues.is_empty() { vec![None] } else { self.cues.iter().copied().map(Some).collect() }
    }

    /// The cells that end the episode well when the cue, if there is one, has a colour.
    pub(super) fn right_goals(&self, cue: Option<Colour>) -> impl Iterator<Item = usize> {
        let is_right = move |cell| match cell {
            Cell::Goal(_) => true,
            Cell::CuedGoal(colour) => Some(colour) == cue,
            _ => false,
        };
        (0..self.cells.len()).filter(move |&cell| is_right(self.cells[cell]))
    }

    /// The cell next to `cell` in a direction (0 up, 1 right, 2 down, 3 left), if the map goes on there.
    pub(super) fn neighbour(&self, cell: usize, direction: usize) -> Option<usize> {
        let (row, column) = (cell / self.width, cell % self.width);
        match direction {
            0 if row > 0 => Some(cell - self.width),
            1 if column + 1 < self.width => Some(cell + 1),
            2 if row + 1 < self.height => Some(cell + self.width),
            3 if column > 0 => Some(cell - 1),
            _ => None,
        }
    }

    /// The cell that a move in a direction enters, unless a wall, the border or a closed door is in the way.
    pub(super) fn enter(&self, cell: usize, direction: usize, keys: Keys) -> Option<usize> {
        self.neighbour(cell, direction).filter(|&next| match self.cells[next] {
            Cell::Wall => false,
            Cell::Door(colour) => keys.contains(colour),
            _ => true,
        })
    }
}

/// Refuses maps with more than [`MAX_CELLS`] cells.
pub(super) fn check_size(name: &str, width: usize, height: usize) -> Result<(), Error> {
    match width.checked_mul(height) {
        Some(cells) if cells <= MAX_CELLS => Ok(()),
        _ => Err(Error::config(format!("{name}: expected at most {MAX_CELLS} cells, got {width} × {height}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Map::parse("map", text).expect_err("this map should have been refused").to_string()
    }

    #[test]
    fn reads_every_kind_of_cell() {
        let map = Map::parse("map", "\nS.#G\r\n ~Lz\n~ C.\n.  G\n\n").unwrap();
        assert_eq!((map.width, map.height, &map.starts[..]), (4, 4, &[0][..]));
        let first_rows = [
            Cell::Start,
            Cell::Floor,
            Cell::Wall,
            Cell::Goal('G'),
            Cell::Floor,
            Cell::Slippery,
            Cell::Lava,
            Cell::Goal('z'),
        ];
        assert_eq!(map.cells[..8], first_rows);
        assert_eq!(map.cells[10], Cell::Cliff);
        assert_eq!(map.right_goals(None).collect::<Vec<_>>(), [3, 7, 15]);

        let map = Map::parse("map", "Sr?1\nyRP2\nbpB3\n..Y4").unwrap();
        use Colour::{Blue, Purple, Red, Yellow};
        let rows = [
            [Cell::Start, Cell::Key(Red), Cell::Cue, Cell::CuedGoal(Red)],
            [Cell::Key(Yellow), Cell::Door(Red), Cell::Door(Purple), Cell::CuedGoal(Yellow)],
            [Cell::Key(Blue), Cell::Key(Purple), Cell::Door(Blue), Cell::CuedGoal(Blue)],
            [Cell::Floor, Cell::Floor, Cell::Door(Yellow), Cell::CuedGoal(Purple)],
        ];
        assert_eq!(map.cells, rows.concat());
        assert_eq!((map.keys.colours().collect::<Vec<_>>(), &map.cues[..]), (Colour::ALL.to_vec(), &Colour::ALL[..]));
        assert_eq!(map.right_goals(Some(Blue)).collect::<Vec<_>>(), [11]);
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        assert!(refused("\n\n").contains("empty"));
        assert!(refused("S.\n.X").contains("unknown character 'X' at row 2, column 2"));
        assert!(refused("S..\n.G").contains("row 2 has 2 cells and row 1 has 3"));
        assert!(refused("..G").contains("no start"));
        assert!(refused("S..").contains("no goal"));
        assert!(refused("SCSG").contains("2 starts"));
        for cues in ["S1?G", "S12G", "S?G", "S1G", "S?11"] {
            assert!(refused(cues).contains("two colours or more, or neither"), "{cues}");
        }
        let wide = ".".repeat(MAX_CELLS);
        assert!(refused(&format!("S{wide}G")).contains("at most 65536 cells"));
    }

    #[test]
    fn neighbours_end_at_the_border() {
        let map = Map::parse("map", "S.\n.G").unwrap();
        let around = |cell| std::array::from_fn(|direction| map.neighbour(cell, direction));
        assert_eq!(around(0), [None, Some(1), Some(2), None]);
        assert_eq!(around(3), [Some(1), None, None, Some(2)]);
    }
}
