//! The parameters of a grid world.

use super::map::{Cell, Map};
use super::model::World;
use super::source;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A map, its rewards, its slipperiness and what the agent sees of it.
///
/// The map comes from one of `map`, `map_file`, `map_name` and `random`; without any of them it is the built-in
/// `empty`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GridWorldConfig {
    /// The map as text: a line a row, a character a cell (see [`Cell`](super::Cell)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// A text file that holds the map; a relative path starts at the working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_file: Option<PathBuf>,
    /// A built-in map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_name: Option<MapName>,
    /// A random map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<RandomMap>,
    /// Reward for entering `G`. Without a value it is 1, and 0 on the built-in `cliff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal_reward: Option<f64>,
    /// Rewards of further goals, by the lower-case letter that marks them on the map: `{"a": 0.5, "b": 2.0}`.
    pub goals: BTreeMap<char, f64>,
    /// Reward for entering lava.
    pub lava_reward: f64,
    /// Reward for falling off a cliff. Replaces the step cost of that step.
    pub cliff_reward: f64,
    /// Subtracted from the reward of every step, the last included. Without a value it is 0.01, and 1 on the
    /// built-in `cliff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_cost: Option<f64>,
    /// Probability, from 0 to 1, that a move from a slippery cell goes to one of the two perpendicular
    /// directions (half of it each).
    pub slip: f64,
    /// Which cells are slippery.
    pub slippery: Slippery,
    /// What the agent sees.
    pub observation: Observation,
}

impl Default for GridWorldConfig {
    fn default() -> Self {
        Self {
            map: None,
            map_file: None,
            map_name: None,
            random: None,
            goal_reward: None,
            goals: BTreeMap::new(),
            lava_reward: -1.0,
            cliff_reward: -100.0,
            step_cost: None,
            slip: 0.2,
            slippery: Slippery::Cells,
            observation: Observation::Cell,
        }
    }
}

/// The built-in maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapName {
    /// 8 × 8 without obstacles, from the top left to the bottom right corner: 14 moves.
    Empty,
    /// The four rooms of Sutton, Precup and Singh (1999), 13 × 13 with its walls, from the top left to the bottom
    /// right corner: 20 moves.
    FourRooms,
    /// The cliff of Sutton and Barto (example 6.6), 4 × 12: 13 moves along the edge.
    Cliff,
}

/// A random map with one start and one goal, which is always reachable.
///
/// The seed belongs to the parameters: the map is the same in every episode, in every environment of a batch
/// and whatever seed `reset` gets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomMap {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Probability, from 0 to 1, that a cell is a wall.
    pub wall_probability: f64,
    /// Seed of the map.
    pub seed: u64,
}

impl Default for RandomMap {
    fn default() -> Self {
        Self { width: 10, height: 10, wall_probability: 0.25, seed: 0 }
    }
}

/// Which cells are slippery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slippery {
    /// Those marked `~`.
    Cells,
    /// All of them.
    Everywhere,
}

/// What the agent sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// The index of its cell, row by row from the top left: `Discrete(width × height)`.
    Cell,
    /// A square window around the agent, of an odd number of cells a side: `Box(k, k, 4)` of zeros and ones. The
    /// channels are wall (or outside the map), goal, lava or cliff, and slippery.
    Window(u32),
}

impl GridWorldConfig {
    /// Checks every parameter and reads the map.
    pub(super) fn world(self) -> Result<World, Error> {
        self.observation.check()?;
        if !(0.0..=1.0).contains(&self.slip) {
            return Err(Error::config(format!("slip: expected a probability from 0 to 1, got {}", self.slip)));
        }
        // The textbook's cliff rewards reaching the goal only by an end of the costs.
        let (goal_reward, step_cost) = match self.map_name {
            Some(MapName::Cliff) => (0.0, 1.0),
            _ => (1.0, 0.01),
        };
        let goal_reward = self.goal_reward.unwrap_or(goal_reward);
        let step_cost = self.step_cost.unwrap_or(step_cost);
        for (name, value) in [
            ("goal_reward", goal_reward),
            ("lava_reward", self.lava_reward),
            ("cliff_reward", self.cliff_reward),
            ("step_cost", step_cost),
        ] {
            if !value.is_finite() {
                return Err(Error::config(format!("{name}: expected a finite number, got {value}")));
            }
        }
        let map = source::map(&self)?;
        self.check_goals(&map)?;
        let mut goals = self.goals;
        goals.insert('G', goal_reward);
        Ok(World {
            map,
            goals,
            lava_reward: self.lava_reward,
            cliff_reward: self.cliff_reward,
            step_cost,
            slip: self.slip,
            slippery: self.slippery,
            observation: self.observation,
        })
    }

    /// Every letter on the map needs a finite reward, and `goals` may hold nothing else.
    fn check_goals(&self, map: &Map) -> Result<(), Error> {
        for (&name, &reward) in &self.goals {
            if !name.is_ascii_lowercase() {
                return Err(Error::config(format!("goals: expected letters from a to z, got {name:?}")));
            }
            if !map.cells.contains(&Cell::Goal(name)) {
                return Err(Error::config(format!("goals: {name:?} is not on the map")));
            }
            if !reward.is_finite() {
                return Err(Error::config(format!("goals: expected a finite reward of {name:?}, got {reward}")));
            }
        }
        for &cell in &map.cells {
            if let Cell::Goal(name) = cell
                && name != 'G'
                && !self.goals.contains_key(&name)
            {
                return Err(Error::config(format!("goals: no reward for the goal {name:?} on the map; add {name}")));
            }
        }
        Ok(())
    }
}
