//! Maps of grid worlds: their cells, and how they are read from text.

use crate::Error;
use std::collections::VecDeque;

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
    /// Ends the episode with a punishment (`L`).
    Lava,
    /// Sends the agent back to the start with a punishment, and the episode goes on (`C`).
    Cliff,
    /// Floor on which moves may go astray (`~`).
    Slippery,
}

impl Cell {
    fn from_char(character: char) -> Option<Self> {
        Some(match character {
            '.' | ' ' => Self::Floor,
            'S' => Self::Start,
            '#' => Self::Wall,
            'G' | 'a'..='z' => Self::Goal(character),
            'L' => Self::Lava,
            'C' => Self::Cliff,
            '~' => Self::Slippery,
            _ => return None,
        })
    }

    /// Whether the agent can stand on it and go on from it.
    pub fn is_walkable(self) -> bool {
        matches!(self, Self::Floor | Self::Start | Self::Slippery)
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
}

impl Map {
    /// Reads a map from text; empty lines before and after it are ignored. `name` stands for it in errors.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.iter().position(|line| !line.is_empty());
        let last = lines.iter().rposition(|line| !line.is_empty());
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Error::config(format!("{name}: the map is empty; it needs at least a start S and a goal G")));
        };
        let rows = &lines[first..=last];
        let width = rows[0].chars().count();
        check_size(name, width, rows.len())?;

        let mut cells = Vec::with_capacity(width * rows.len());
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
                let cell = Cell::from_char(character).ok_or_else(|| {
                    Error::config(format!(
                        "{name}: unknown character {character:?} at row {}, column {}; cells are S (start), G or a \
                         to z (goals), # (wall), . or a space (floor), L (lava), C (cliff) and ~ (slippery)",
                        r + 1,
                        c + 1
                    ))
                })?;
                cells.push(cell);
            }
        }
        Self::new(name, width, cells)
    }

    /// Checks that the map can be played. `cells` holds whole rows.
    pub(super) fn new(name: &str, width: usize, cells: Vec<Cell>) -> Result<Self, Error> {
        let starts = (0..cells.len()).filter(|&cell| cells[cell] == Cell::Start).collect();
        let map = Self { width, height: cells.len() / width, cells, starts };
        if map.starts.is_empty() {
            return Err(Error::config(format!("{name}: no start; mark one cell or several with S")));
        }
        if map.goals().next().is_none() {
            return Err(Error::config(format!("{name}: no goal; mark one with G, or with a letter listed in goals")));
        }
        if map.cells.contains(&Cell::Cliff) && map.starts.len() > 1 {
            return Err(Error::config(format!(
                "{name}: {} starts; a cliff (C) sends the agent back to the start, so there must be exactly one",
                map.starts.len()
            )));
        }
        let solvable = map.flood(map.goals());
        if let Some(&stuck) = map.starts.iter().find(|&&start| !solvable[start]) {
            return Err(Error::config(format!(
                "{name}: no goal can be reached from the start at row {}, column {}; open the walls around it",
                stuck / width + 1,
                stuck % width + 1
            )));
        }
        Ok(map)
    }

    /// The goals' cells.
    pub(super) fn goals(&self) -> impl Iterator<Item = usize> {
        (0..self.cells.len()).filter(|&cell| matches!(self.cells[cell], Cell::Goal(_)))
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

    /// Which cells are connected with one of `seeds` over walkable cells: those cells, and the seeds themselves.
    pub(super) fn flood(&self, seeds: impl Iterator<Item = usize>) -> Vec<bool> {
        let mut reached = vec![false; self.cells.len()];
        let mut queue: VecDeque<usize> = seeds.collect();
        queue.iter().for_each(|&cell| reached[cell] = true);
        while let Some(cell) = queue.pop_front() {
            for next in (0..4).filter_map(|direction| self.neighbour(cell, direction)) {
                if self.cells[next].is_walkable() && !reached[next] {
                    reached[next] = true;
                    queue.push_back(next);
                }
            }
        }
        reached
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
        assert_eq!(map.goals().collect::<Vec<_>>(), [3, 7, 15]);
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        assert!(refused("\n\n").contains("empty"));
        assert!(refused("S.\n.X").contains("unknown character 'X' at row 2, column 2"));
        assert!(refused("S..\n.G").contains("row 2 has 2 cells and row 1 has 3"));
        assert!(refused("..G").contains("no start"));
        assert!(refused("S..").contains("no goal"));
        assert!(refused("SCSG").contains("2 starts"));
        assert!(refused("S.G\n###\n.S.").contains("from the start at row 3, column 2"));
        assert!(refused("SLG").contains("no goal can be reached"));
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
