//! What the agent sees: where it is, a window of the map around it, or all of the map.

use super::Observation;
use super::keys::Colour;
use super::map::{Cell, Map};
use super::state::GridState;
use super::world::World;
use crate::{Error, Space, Value};

/// The longest side of a window, in cells.
const MAX_WINDOW: u32 = 63;
/// The most cells of a map that is seen as a whole.
const MAX_MAP: usize = 1 << 12;

/// The channels of a cell that is seen. Floor is zero in all of them.
const CHANNELS: usize = 14;
const WALL: usize = 0;
const GOAL: usize = 1;
const HAZARD: usize = 2;
const SLIPPERY: usize = 3;
const KEY: usize = 4;
const DOOR: usize = 5;
const CUE: usize = 6;
const OBSTACLE: usize = 7;
const AGENT: usize = 8;
const HIDDEN: usize = 9;
/// The first of four, in the order of [`Colour`].
const COLOUR: usize = 10;

impl Observation {
    /// Refuses windows without a middle cell, and huge ones.
    pub(super) fn check(self, map: &Map) -> Result<(), Error> {
        match self {
            Self::Window(side) if side % 2 == 0 || side > MAX_WINDOW => Err(Error::config(format!(
                "observation: expected a window of an odd number of cells from 1 to {MAX_WINDOW}, got {side}"
            ))),
            Self::Map if map.cells.len() > MAX_MAP => Err(Error::config(format!(
                "observation: expected a map of at most {MAX_MAP} cells to be seen whole, got {} × {}; take a window",
                map.width, map.height
            ))),
            _ => Ok(()),
        }
    }
}

impl World {
    pub(super) fn observation_space(&self) -> Space {
        let cells = |height: usize, width: usize| {
            let length = height * width * CHANNELS;
            Space::Box { low: vec![0.0; length], high: vec![1.0; length], shape: vec![height, width, CHANNELS] }
        };
        match self.observation {
            Observation::Cell => Space::discrete((self.map.cells.len() * self.map.keys.subsets()) as u32),
            Observation::Window(side) => cells(side as usize, side as usize),
            Observation::Map => cells(self.map.height, self.map.width),
        }
    }

    /// What the agent sees.
    pub(super) fn observe(&self, state: &GridState) -> Value {
        match self.observation {
            Observation::Cell => Value::Discrete(self.number(state) as i64),
            Observation::Window(_) | Observation::Map => {
                let mut row = vec![0.0; self.observation_space().flat_dim()];
                self.write_observation(state, &mut row);
                Value::Box(row)
            }
        }
    }

    /// Writes what the agent sees, as the flat row of the observation space.
    pub(super) fn write_observation(&self, state: &GridState, row: &mut [f32]) {
        match self.observation {
            Observation::Cell => row[0] = self.number(state) as f32,
            Observation::Window(side) => self.write_window(state, side as usize, row),
            Observation::Map => {
                row.fill(0.0);
                row.chunks_exact_mut(CHANNELS)
                    .enumerate()
                    .for_each(|(cell, channels)| self.show(state, cell, channels));
            }
        }
    }

    /// The agent's cell with its keys as a number.
    fn number(&self, state: &GridState) -> usize {
        self.map.keys.number_of(state.keys) * self.map.cells.len() + state.cell
    }

    /// The cells around the agent, row by row; the agent is in the middle.
    fn write_window(&self, state: &GridState, side: usize, row: &mut [f32]) {
        row.fill(0.0);
        if !self.see_through_walls {
            self.hide(state.cell, side, row);
        }
        let (agent_row, agent_column) = (state.cell / self.map.width, state.cell % self.map.width);
        // Shifted by half a window, so that positions above and to the left of the map stay positive.
        let inside = |shifted: usize, length: usize| shifted.checked_sub(side / 2).filter(|&at| at < length);
        for (r, cells) in row.chunks_exact_mut(side * CHANNELS).enumerate() {
            let first = inside(agent_row + r, self.map.height).map(|row| row * self.map.width);
            for (c, channels) in cells.chunks_exact_mut(CHANNELS).enumerate() {
                match first.zip(inside(agent_column + c, self.map.width)) {
                    _ if channels[HIDDEN] == 1.0 => {}
                    Some((first, column)) => self.show(state, first + column, channels),
                    None => channels[WALL] = 1.0,
                }
            }
        }
    }

    /// Marks the cells of a window that cannot be seen past walls and doors. Those next to the agent are seen, and each
    /// whose line of sight to the agent comes through a cell, one step closer, that is seen and can be looked through.
    /// Where the line passes between two cells, either will do.
    fn hide(&self, agent: usize, side: usize, row: &mut [f32]) {
        let middle = (side / 2) as i64;
        for distance in 2..=middle {
            for i in 0..side * side {
                let (down, right) = offset(i, side);
                if down.abs().max(right.abs()) != distance {
                    continue;
                }
                // Rounded down and up, of which one of the two coordinates has no need.
                let closer = |whole: i64| {
                    let whole = whole * (distance - 1);
                    [whole.div_euclid(distance), -(-whole).div_euclid(distance)]
                };
                let lets_through = |(down, right): (i64, i64)| {
                    let cell = self.map.away(agent, (down, right));
                    let i = ((down + middle) * side as i64 + right + middle) as usize;
                    cell.is_some_and(|cell| !self.map.cells[cell].is_opaque()) && row[i * CHANNELS + HIDDEN] == 0.0
                };
                if !closer(down).into_iter().zip(closer(right)).any(lets_through) {
                    row[i * CHANNELS + HIDDEN] = 1.0;
                }
            }
        }
    }

    /// Marks what there is on a cell. The agent's own also shows the keys that it has.
    fn show(&self, state: &GridState, cell: usize, channels: &mut [f32]) {
        let mut mark = |kind: usize, colour: Option<Colour>| {
            channels[kind] = 1.0;
            if let Some(colour) = colour {
                channels[COLOUR + colour as usize] = 1.0;
            }
        };
        match self.map.cells[cell] {
            Cell::Wall => mark(WALL, None),
            Cell::Goal(_) => mark(GOAL, None),
            Cell::CuedGoal(colour) => mark(GOAL, Some(colour)),
            Cell::Lava | Cell::Cliff => mark(HAZARD, None),
            Cell::Key(colour) if !state.keys.contains(colour) => mark(KEY, Some(colour)),
            Cell::Door(colour) => mark(DOOR, Some(colour)),
            Cell::Cue => mark(CUE, state.cue),
            Cell::Floor | Cell::Start | Cell::Slippery | Cell::Key(_) => {}
        }
        if self.is_slippery(cell) {
            mark(SLIPPERY, None);
        }
        if self.obstacles(state).any(|obstacle| obstacle == cell) {
            mark(OBSTACLE, None);
        }
        if cell == state.cell {
            mark(AGENT, None);
            state.keys.colours().for_each(|colour| mark(KEY, Some(colour)));
        }
    }
}

/// How many rows down and columns to the right of its middle the cell `i` of a window lies.
fn offset(i: usize, side: usize) -> (i64, i64) {
    let middle = (side / 2) as i64;
    ((i / side) as i64 - middle, (i % side) as i64 - middle)
}

impl Map {
    /// The cell so many rows down and columns to the right of another, if it is on the map.
    fn away(&self, cell: usize, (down, right): (i64, i64)) -> Option<usize> {
        let inside = |at: usize, by: i64, length: usize| at.checked_add_signed(by as isize).filter(|&to| to < length);
        let row = inside(cell / self.width, down, self.height)?;
        let column = inside(cell % self.width, right, self.width)?;
        Some(row * self.width + column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gridworld::Slippery;
    use crate::{Env, GridWorld, GridWorldConfig};

    /// What is seen, as text: a letter a cell for its kind and one for its colour, `.` where there is none.
    fn seen(env: &GridWorld) -> String {
        let Value::Box(values) = env.world.observe(&env.state()) else { panic!("not a picture") };
        let letter = |channels: &[f32]| {
            let marked = |channels: &[f32], names: &str| -> String {
                names.chars().zip(channels).filter(|(_, x)| **x == 1.0).map(|(name, _)| name).collect()
            };
            assert!(channels.iter().all(|x| [0.0, 1.0].contains(x)), "{channels:?}");
            match marked(channels, "WGH~KDCOA?rybp") {
                nothing if nothing.is_empty() => ".".to_owned(),
                one => one,
            }
        };
        let cells: Vec<String> = values.chunks(CHANNELS).map(letter).collect();
        let Space::Box { shape, .. } = env.observation_space() else { panic!("not a picture") };
        cells.chunks(shape[1]).map(|row| row.join(" ")).collect::<Vec<_>>().join("\n")
    }

    fn env(map: &str, observation: Observation, cell: usize) -> GridWorld {
        let config = GridWorldConfig {
            map: Some(map.to_owned()),
            observation: Some(observation),
            see_through_walls: false,
            ..GridWorldConfig::default()
        };
        let mut env = GridWorld::new(config).unwrap();
        env.set_state(GridState { cell, ..env.state() }).unwrap();
        env
    }

    fn window(map: &str, slippery: Slippery, side: u32, cell: usize) -> String {
        let config = GridWorldConfig {
            map: Some(map.to_owned()),
            slippery,
            observation: Some(Observation::Window(side)),
            ..GridWorldConfig::default()
        };
        let mut env = GridWorld::new(config).unwrap();
        env.set_state(GridState { cell, ..env.state() }).unwrap();
        seen(&env)
    }

    #[test]
    fn a_window_shows_the_cells_around_the_agent_and_walls_outside() {
        let map = "SL#\n~.G\n..C";
        assert_eq!(window(map, Slippery::Cells, 3, 4), ". H W\n~ A G\n. . H");
        assert_eq!(window(map, Slippery::Cells, 3, 0), "W W W\nW A H\nW ~ .");
        assert_eq!(window(map, Slippery::Cells, 3, 7), "~ . G\n. A H\nW W W");
        assert_eq!(window(map, Slippery::Cells, 1, 5), "GA");
        assert_eq!(window(map, Slippery::Everywhere, 3, 4), "~ H W\n~ ~A G\n~ ~ H");
        let large = window(map, Slippery::Cells, 63, 0);
        assert_eq!(large.chars().filter(|letter| !"W \n".contains(*letter)).count(), 8);
    }

    #[test]
    fn a_map_shows_everything_with_its_colour_and_the_keys_where_the_agent_is() {
        let mut env = env("Sr?1\n.RB2\nb-#*", Observation::Map, 0);
        let cue = env.state().cue;
        assert_eq!(cue, Some(Colour::Red));
        assert_eq!(seen(&env), "A Kr Cr Gr\n. Dr Db Gy\nKb O W O");
        let mut rng = crate::Generator::new(0);
        env.step(&1, &mut rng);
        assert_eq!(seen(&env).split(['\n', ' ']).nth(1), Some("KAr"));
        let keys = env.state().keys.with(Colour::Blue);
        env.set_state(GridState { cell: 6, keys, cue: Some(Colour::Yellow), ..env.state() }).unwrap();
        assert_eq!(seen(&env).split('\n').take(2).collect::<Vec<_>>(), [". . Cy Gr", ". Dr KDArb Gy"]);
    }

    #[test]
    fn walls_and_doors_block_sight() {
        let side = |map: &str, cell| seen(&env(map, Observation::Window(5), cell));
        let map = ".....\n.#...\n..S.R\n.....\nr..#G";
        assert_eq!(side(map, 12), "? . . . .\n. W . . .\n. . A . Dr\n. . . . .\nKr . . W G");
        // From the left of the door nothing behind it can be seen.
        let map = "S.Rr.\n....G";
        assert_eq!(side(map, 1).split('\n').nth(2), Some("W . A Dr ?"));
        // Outside of the map there is only its border to be seen.
        assert_eq!(side(map, 0).split('\n').next(), Some("? ? ? ? ?"));
        assert_eq!(side(map, 0).split('\n').nth(1), Some("? W W W W"));
    }

    #[test]
    fn sight_is_the_same_in_all_directions() {
        let rows = ["......#", ".#...#.", "...S...", "#......", ".....#.", "..#...G", "....#.."];
        let flipped = |row: &str| row.chars().rev().collect::<String>();
        let upright = rows.join("\n");
        let mirrored = rows.map(flipped).join("\n");
        let transposed: Vec<String> =
            (0..7).map(|column| rows.iter().map(|row| row.as_bytes()[column] as char).collect()).collect();
        let look = |map: &str, row: usize, column: usize| {
            seen(&env(map, Observation::Window(7), row * 7 + column))
                .split('\n')
                .map(|row| row.split(' ').map(str::to_owned).collect())
                .collect::<Vec<Vec<String>>>()
        };
        for (row, column) in [(2, 3), (3, 3), (1, 2), (6, 6), (4, 0)] {
            let (a, b) = (look(&upright, row, column), look(&mirrored, row, 6 - column));
            let c = look(&transposed.join("\n"), column, row);
            for (i, j) in (0..49).map(|k| (k / 7, k % 7)) {
                assert_eq!(a[i][j], b[i][6 - j], "from {row}, {column}: {i}, {j}");
                assert_eq!(a[i][j], c[j][i], "from {row}, {column}: {i}, {j}");
            }
        }
    }

    #[test]
    fn a_cell_is_told_with_the_keys() {
        let mut env = env("SyG\n.b.\nB.Y", Observation::Cell, 0);
        assert_eq!(env.observation_space(), Space::discrete(36));
        assert_eq!(env.world.observe(&env.state()), Value::Discrete(0));
        let keys = env.state().keys.with(Colour::Blue);
        env.set_state(GridState { cell: 5, keys, ..env.state() }).unwrap();
        assert_eq!(env.world.observe(&env.state()), Value::Discrete(2 * 9 + 5));
    }

    #[test]
    fn windows_without_a_middle_and_huge_observations_are_refused() {
        let check = |observation: Observation, width| {
            observation.check(&Map::parse("map", &format!("S{}G", ".".repeat(width - 2))).unwrap())
        };
        for side in [0, 2, 64, 65, u32::MAX] {
            assert!(check(Observation::Window(side), 9).is_err(), "{side}");
        }
        for side in [1, 3, 63] {
            assert!(check(Observation::Window(side), 9).is_ok(), "{side}");
        }
        assert!(check(Observation::Map, MAX_MAP).is_ok());
        assert!(check(Observation::Map, MAX_MAP + 1).unwrap_err().to_string().contains("take a window"));
    }
}
