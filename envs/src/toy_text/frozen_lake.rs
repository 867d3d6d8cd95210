//! FrozenLake: over slippery ice to the goal, past the holes.

use super::{Direction, Grid, Table, Tabular, Transition, WorldState, check_probability, render, styled};
use crate::{Env, EnvInfo, Error, Frame, Generator, Registry, Space, Step};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most cells that a lake may have. The table of outcomes grows with it.
const MAX_CELLS: usize = 1 << 16;
/// The most cells that are drawn for a random lake before its parameters are given up: under a second.
const MAX_DRAWN_CELLS: usize = 1 << 26;

/// The directions of actions 0, 1, 2 and 3.
const DIRECTIONS: [Direction; 4] = [Direction::Left, Direction::Down, Direction::Right, Direction::Up];

const MAP_4X4: [&str; 4] = ["SFFF", "FHFH", "FFFH", "HFFG"];
const MAP_8X8: [&str; 8] =
    ["SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"];

/// A lake, its slipperiness and its rewards. Gymnasium's values are the defaults.
///
/// The lake comes from `desc` or from `random`; without either of them it is the built-in one named by `map_name`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrozenLakeConfig {
    /// The lake's rows from the top, a character a cell: `S` start, `F` frozen, `H` hole, `G` goal. Takes
    /// precedence over `map_name`, as in Gymnasium.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desc: Option<Vec<String>>,
    /// A built-in lake. Without a value it is 8x8 in `FrozenLake8x8-v1` and 4x4 anywhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_name: Option<FrozenLakeMap>,
    /// A random lake. Takes precedence over `map_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<RandomLake>,
    /// Whether moves may go astray.
    pub is_slippery: bool,
    /// Probability, from 0 to 1, that a move on slippery ice goes where it was meant to; each of the two
    /// perpendicular directions has half of the rest.
    pub success_rate: f64,
    /// The rewards for entering a goal, a hole, and anything else.
    pub reward_schedule: [f64; 3],
}

impl Default for FrozenLakeConfig {
    fn default() -> Self {
        Self {
            desc: None,
            map_name: None,
            random: None,
            is_slippery: true,
            success_rate: 1.0 / 3.0,
            reward_schedule: [1.0, 0.0, 0.0],
        }
    }
}

/// The built-in lakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrozenLakeMap {
    /// 4 × 4 with four holes; the goal is six moves away.
    #[serde(rename = "4x4")]
    FourByFour,
    /// 8 × 8 with ten holes; the goal is fourteen moves away.
    #[serde(rename = "8x8")]
    EightByEight,
}

/// A random square lake from the top left to the bottom right corner: Gymnasium's
/// `generate_random_map(size, p, seed)`, cell for cell.
///
/// The seed belongs to the parameters: the lake is the same in every episode, in every environment of a batch
/// and whatever seed `reset` gets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomLake {
    /// Cells a side, from 2 to 256.
    pub size: u32,
    /// Probability, from 0 to 1, that a cell is frozen.
    pub p: f64,
    /// Seed of the lake.
    pub seed: u64,
}

impl Default for RandomLake {
    fn default() -> Self {
        Self { size: 8, p: 0.8, seed: 0 }
    }
}

/// Cells row by row from the top left, all of them `S`, `F`, `H` or `G` and at least one `S`.
#[derive(Debug, PartialEq)]
struct Lake {
    grid: Grid,
    cells: Vec<char>,
}

impl Lake {
    fn from_config(config: &FrozenLakeConfig) -> Result<Self, Error> {
        match (&config.desc, &config.random, config.map_name) {
            (Some(_), Some(_), _) => {
                Err(Error::config("desc, random: expected one source of the map; keep one of them"))
            }
            (Some(rows), None, _) => Self::parse(rows),
            (None, Some(random), _) => Self::random(random),
            (None, None, Some(FrozenLakeMap::EightByEight)) => Self::parse(&MAP_8X8),
            (None, None, Some(FrozenLakeMap::FourByFour) | None) => Self::parse(&MAP_4X4),
        }
    }

    /// Reads a lake from its rows.
    fn parse(rows: &[impl AsRef<str>]) -> Result<Self, Error> {
        let width = rows.first().map_or(0, |row| row.as_ref().chars().count());
        if width == 0 {
            return Err(Error::config("desc: the map is empty; it needs at least a start S"));
        }
        if width.saturating_mul(rows.len()) > MAX_CELLS {
            return Err(Error::config(format!(
                "desc: expected at most {MAX_CELLS} cells, got {width} × {}",
                rows.len()
            )));
        }
        let mut cells = Vec::with_capacity(width * rows.len());
        for (r, row) in rows.iter().enumerate() {
            let length = row.as_ref().chars().count();
            if length != width {
                return Err(Error::config(format!(
                    "desc: row {} has {length} cells and row 1 has {width}; all rows must be equally long",
                    r + 1
                )));
            }
            if let Some((c, unknown)) = row.as_ref().chars().enumerate().find(|(_, cell)| !"SFHG".contains(*cell)) {
                return Err(Error::config(format!(
                    "desc: unknown character {unknown:?} at row {}, column {}; cells are S (start), F (frozen), H \
                     (hole) and G (goal)",
                    r + 1,
                    c + 1
                )));
            }
            cells.extend(row.as_ref().chars());
        }
        if !cells.contains(&'S') {
            return Err(Error::config("desc: no start; mark one cell or several with S"));
        }
        Ok(Self { grid: Grid { rows: rows.len(), columns: width }, cells })
    }

    /// Draws lakes until the goal can be reached, as Gymnasium does: size² doubles a lake.
    fn random(&RandomLake { size, p, seed }: &RandomLake) -> Result<Self, Error> {
        if !(2..=256).contains(&size) {
            return Err(Error::config(format!("random: size: expected 2 to 256 cells a side, got {size}")));
        }
        check_probability("random: p", p)?;
        let width = size as usize;
        // numpy's `choice(p=[p, 1 − p])` divides the cumulative sum by its last element.
        let frozen = p / (p + (1.0 - p));
        let mut rng = Generator::new(seed);
        for _ in 0..MAX_DRAWN_CELLS / (width * width) {
            let mut cells: Vec<char> =
                (0..width * width).map(|_| if rng.random() < frozen { 'F' } else { 'H' }).collect();
            cells[0] = 'S';
            cells[width * width - 1] = 'G';
            let lake = Self { grid: Grid { rows: width, columns: width }, cells };
            if lake.goal_is_reachable() {
                return Ok(lake);
            }
        }
        Err(Error::config(format!("random: no way to the goal in any lake with p = {p} and seed {seed}; raise p")))
    }

    /// Whether a goal can be walked to from the top left corner.
    fn goal_is_reachable(&self) -> bool {
        let mut seen = vec![false; self.cells.len()];
        let mut frontier = vec![0];
        while let Some(cell) = frontier.pop() {
            match self.cells[cell] {
                'G' => return true,
                'H' => {}
                _ if seen[cell] => {}
                _ => {
                    seen[cell] = true;
                    frontier.extend(DIRECTIONS.map(|direction| self.grid.neighbour(cell, direction)));
                }
            }
        }
        false
    }

    /// Where an action leads. The order of the outcomes is that of the draws, and part of the contract.
    fn outcomes(&self, cell: usize, action: usize, config: &FrozenLakeConfig) -> Vec<Transition> {
        if matches!(self.cells[cell], 'G' | 'H') {
            return vec![Transition { probability: 1.0, state: cell, reward: 0.0, terminated: true }];
        }
        let [goal, hole, frozen] = config.reward_schedule;
        let outcome = |probability, way: usize| {
            let state = self.grid.neighbour(cell, DIRECTIONS[way]);
            let (reward, terminated) = match self.cells[state] {
                'G' => (goal, true),
                'H' => (hole, true),
                _ => (frozen, false),
            };
            Transition { probability, state, reward, terminated }
        };
        if !config.is_slippery {
            return vec![outcome(1.0, action)];
        }
        let fail_rate = (1.0 - config.success_rate) / 2.0;
        vec![
            outcome(fail_rate, (action + 3) % 4),
            outcome(config.success_rate, action),
            outcome(fail_rate, (action + 1) % 4),
        ]
    }
}

/// Gymnasium's frozen lake, bit for bit.
///
#[doc = include_str!("frozen_lake.md")]
#[derive(Clone, Debug)]
pub struct FrozenLake {
    world: Tabular,
    /// Shared by the copies of a batch.
    lake: Arc<Lake>,
}

impl FrozenLake {
    /// A lake with the given map and rules.
    ///
    /// # Errors
    /// If both `desc` and `random` are given, the map cannot be read (no start, unequal rows, an unknown
    /// character, more than 65,536 cells) or is not found (a random one without a way to the goal),
    /// `success_rate` is not a probability or a reward is not finite.
    pub fn new(config: FrozenLakeConfig) -> Result<Self, Error> {
        check_probability("success_rate", config.success_rate)?;
        if let Some(reward) = config.reward_schedule.iter().find(|reward| !reward.is_finite()) {
            return Err(Error::config(format!("reward_schedule: expected three finite numbers, got {reward}")));
        }
        let lake = Lake::from_config(&config)?;
        let starts = (0..lake.cells.len()).filter(|&cell| lake.cells[cell] == 'S').collect();
        let table =
            Table::new(lake.cells.len(), DIRECTIONS.len(), starts, |cell, action| lake.outcomes(cell, action, &config));
        Ok(Self { world: Tabular::new(table), lake: Arc::new(lake) })
    }

    /// The map's rows from the top, as `desc` takes them. The index of a cell is row × width + column.
    pub fn desc(&self) -> Vec<String> {
        self.lake.cells.chunks(self.lake.grid.columns).map(|row| row.iter().collect()).collect()
    }

    /// What the action (0 left, 1 down, 2 right, 3 up) can lead to from a cell, with probabilities that sum to 1.
    ///
    /// This is the table that [`step`](Env::step) draws from, in the order of the draws; two entries may lead to
    /// the same cell. Holes and goals lead to themselves with reward 0. Empty outside the map, and for an action
    /// that does not exist.
    pub fn transitions(&self, cell: usize, action: i64) -> &[Transition] {
        self.world.table.transitions(cell, action)
    }
}

impl Env for FrozenLake {
    type Observation = i64;
    type Action = i64;
    type State = WorldState;

    fn observation_space(&self) -> Space {
        Space::discrete(self.lake.cells.len() as u32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(DIRECTIONS.len() as u32)
    }

    fn reset(&mut self, rng: &mut Generator) -> i64 {
        self.world.reset(rng)
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<i64> {
        self.world.step(*action, rng)
    }

    fn state(&self) -> WorldState {
        self.world.state()
    }

    fn set_state(&mut self, state: WorldState) -> Result<(), Error> {
        self.world.set_state(state)?;
        Ok(())
    }

    /// The last action and the map, the agent's cell on red: Gymnasium's text, byte for byte.
    fn render_ansi(&self) -> Option<String> {
        let mut text = match self.world.last_action {
            Some(action) => format!("  ({})\n", ["Left", "Down", "Right", "Up"][action]),
            None => "\n".to_owned(),
        };
        for (cell, &letter) in self.lake.cells.iter().enumerate() {
            if cell == self.world.state {
                text.push_str(&styled(&letter.to_string(), "41"));
            } else {
                text.push(letter);
            }
            if (cell + 1) % self.lake.grid.columns == 0 {
                text.push('\n');
            }
        }
        Some(text)
    }

    fn render_rgb(&self) -> Option<Frame> {
        let looks = self.world.last_action.map(|action| DIRECTIONS[action]);
        Some(render::frozen_lake::frame(self.lake.grid, &self.lake.cells, self.world.state, looks))
    }
}

pub(super) fn register(registry: &mut Registry) {
    let info = |id: &str, max_episode_steps, reward_threshold| EnvInfo {
        id: id.to_owned(),
        max_episode_steps: Some(max_episode_steps),
        reward_threshold: Some(reward_threshold),
        render_fps: 4,
        physics: Vec::new(),
        page: include_str!("frozen_lake.md"),
    };
    registry.register(info("FrozenLake-v1", 100, 0.70), FrozenLake::new);
    registry.register(info("FrozenLake8x8-v1", 200, 0.85), |config: FrozenLakeConfig| {
        let map_name = config.map_name.or(Some(FrozenLakeMap::EightByEight));
        FrozenLake::new(FrozenLakeConfig { map_name, ..config })
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvSpec, Value, make};
    use serde_json::{Value as Json, json};

    fn spec(kwargs: Json) -> EnvSpec {
        EnvSpec { kwargs: kwargs.as_object().unwrap().clone(), ..EnvSpec::new("FrozenLake-v1") }
    }

    #[test]
    fn probabilities_sum_to_one_on_every_cell() {
        for (is_slippery, success_rate) in [(false, 0.5), (true, 1.0 / 3.0), (true, 0.9), (true, 0.0), (true, 1.0)] {
            let config = FrozenLakeConfig { is_slippery, success_rate, ..FrozenLakeConfig::default() };
            let env = FrozenLake::new(config).unwrap();
            super::super::tests::check_model(16, 4, |cell, action| env.transitions(cell, action));
        }
    }

    /// What gymnasium 1.4.0's generate_random_map(size, p, seed) gives. The second is its fourth attempt.
    #[test]
    fn random_lakes_are_those_of_gymnasium() {
        for (size, p, seed, rows) in [
            (8, 0.8, 0, "SFFFHHFF FHHFHFFF HFFFFFFF FFHHFFFF FFFFFHHF FFFFFHFF FHFFHFFF FFFFFFFG"),
            (4, 0.5, 3, "SFFF HFHF HFHF FHHG"),
            (5, 0.45, 11, "SFHHF HFFHF FHFHF FFFHH HFFFG"),
            (3, 1.0, 5, "SFF FFF FFG"),
        ] {
            let random = Some(RandomLake { size, p, seed });
            let env = FrozenLake::new(FrozenLakeConfig { random, ..FrozenLakeConfig::default() }).unwrap();
            assert_eq!(env.desc().join(" "), rows, "size {size}, p {p}, seed {seed}");
        }
        assert_eq!(serde_json::from_str::<RandomLake>("{}").unwrap(), RandomLake { size: 8, p: 0.8, seed: 0 });
    }

    #[test]
    fn bad_parameters_are_refused_with_their_name() {
        for (kwargs, part) in [
            (json!({ "slippery": true }), "slippery"),
            (json!({ "map_name": "9x9" }), "4x4"),
            (json!({ "desc": [] }), "empty"),
            (json!({ "desc": ["", ""] }), "empty"),
            (json!({ "desc": ["SF", "FFG"] }), "row 2 has 3 cells and row 1 has 2"),
            (json!({ "desc": ["SF", "FX"] }), "unknown character 'X' at row 2, column 2"),
            (json!({ "desc": ["FF", "FG"] }), "no start"),
            (json!({ "desc": vec!["S".repeat(257); 256] }), "65536 cells, got 257 × 256"),
            (json!({ "desc": ["SG"], "random": {} }), "desc, random"),
            (json!({ "random": { "size": 1 } }), "2 to 256"),
            (json!({ "random": { "size": 257 } }), "2 to 256"),
            (json!({ "random": { "p": 1.5 } }), "random: p"),
            (json!({ "random": { "p": 0.0, "size": 200 } }), "raise p"),
            (json!({ "success_rate": -0.1 }), "success_rate"),
            (json!({ "reward_schedule": [1, 0] }), "length 2"),
        ] {
            let error = make(spec(kwargs.clone())).err().expect("this should have been refused");
            assert!(error.is_config() && error.to_string().contains(part), "{kwargs}: {error}");
        }
        let reward_schedule = [1.0, f64::NAN, 0.0];
        assert!(FrozenLake::new(FrozenLakeConfig { reward_schedule, ..FrozenLakeConfig::default() }).is_err());
    }

    #[test]
    fn each_id_has_its_lake_and_desc_comes_before_map_name() {
        let states = |spec: EnvSpec| make(spec).unwrap().observation_space().clone();
        assert_eq!(states(EnvSpec::new("FrozenLake-v1")), Space::discrete(16));
        assert_eq!(states(EnvSpec::new("FrozenLake8x8-v1")), Space::discrete(64));
        assert_eq!(states(EnvSpec::new("FrozenLake8x8-v1").with("map_name", "4x4")), Space::discrete(16));
        assert_eq!(states(spec(json!({ "desc": ["SFG"], "map_name": "8x8" }))), Space::discrete(3));
        assert_eq!(states(spec(json!({ "desc": null, "map_name": "8x8" }))), Space::discrete(64));
    }

    #[test]
    fn text_is_that_of_gymnasium() {
        let mut env = make(EnvSpec::new("FrozenLake-v1").with("is_slippery", false)).unwrap();
        env.reset(Some(0)).unwrap();
        assert_eq!(env.render_ansi().unwrap(), "\n\x1b[41mS\x1b[0mFFF\nFHFH\nFFFH\nHFFG\n");
        env.step(&Value::Discrete(2)).unwrap();
        assert_eq!(env.render_ansi().unwrap(), "  (Right)\nS\x1b[41mF\x1b[0mFF\nFHFH\nFFFH\nHFFG\n");
    }
}
