//! The parameters of a grid world.

use super::map::{Cell, Map};
use super::source;
use super::world::World;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A map, its rewards, its slipperiness and what the agent sees of it.
///
/// The map comes from one of `map`, `map_file`, `map_name`, `random`, `rooms` and `t_maze`; without any of them it is
/// the built-in `empty`.
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
    /// Random rooms with locked doors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<RoomsMap>,
    /// A corridor in which to remember a cue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_maze: Option<TMaze>,
    /// Reward for entering `G`, and for entering the goal that the cue is for. Without a value it is 1, and 0 on the
    /// built-in `cliff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal_reward: Option<f64>,
    /// Rewards of further goals, by the lower-case letter that marks them on the map: `{"a": 0.5, "b": 2.0}`.
    pub goals: BTreeMap<char, f64>,
    /// Reward for entering a goal that the cue is not for.
    pub wrong_goal_reward: f64,
    /// Reward for entering lava.
    pub lava_reward: f64,
    /// Reward for falling off a cliff. Replaces the step cost of that step.
    pub cliff_reward: f64,
    /// Reward for running into an obstacle, or being run into; it is added to that of the step.
    pub obstacle_reward: f64,
    /// Subtracted from the reward of every step, the last included. Without a value it is 0.01, and 1 on the
    /// built-in `cliff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_cost: Option<f64>,
    /// Probability, from 0 to 1, that a move from a slippery cell goes to one of the two perpendicular
    /// directions (half of it each).
    pub slip: f64,
    /// Which cells are slippery.
    pub slippery: Slippery,
    /// What the agent sees. Without a value it is its cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
    /// Whether a window shows what is behind walls and doors.
    pub see_through_walls: bool,
}

impl Default for GridWorldConfig {
    fn default() -> Self {
        Self {
            map: None,
            map_file: None,
            map_name: None,
            random: None,
            rooms: None,
            t_maze: None,
            goal_reward: None,
            goals: BTreeMap::new(),
            wrong_goal_reward: -1.0,
            lava_reward: -1.0,
            cliff_reward: -100.0,
            obstacle_reward: -1.0,
            step_cost: None,
            slip: 0.2,
            slippery: Slippery::Cells,
            observation: None,
            see_through_walls: true,
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
    /// Two lanes with a patrol each, and behind them a court in which an obstacle wanders, 9 × 7, from the top left to
    /// the bottom right corner.
    Crossing,
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
    /// Obstacles that wander, at most 64.
    pub obstacles: u32,
    /// Seed of the map.
    pub seed: u64,
}

impl Default for RandomMap {
    fn default() -> Self {
        Self { width: 10, height: 10, wall_probability: 0.25, obstacles: 0, seed: 0 }
    }
}

/// Rooms in rows and columns, joined to a random maze without loops, with locked doors on the way to the goal.
///
/// Start and goal are as many rooms apart as the maze has them, and each key lies behind the door before its own, so
/// that the doors have to be opened one after another. As with [`RandomMap`] the seed belongs to the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoomsMap {
    /// Rooms side by side.
    pub columns: u32,
    /// Rooms one below the other.
    pub rows: u32,
    /// Cells a side of each room, without the walls; at least 2.
    pub room_size: u32,
    /// Locked doors, each of another colour and with a key: 0 to 4, and fewer than there are rooms.
    pub doors: u32,
    /// Seed of the map.
    pub seed: u64,
}

impl Default for RoomsMap {
    fn default() -> Self {
        Self { columns: 2, rows: 2, room_size: 3, doors: 2, seed: 0 }
    }
}

/// A T: a cue at the foot, then the start, a corridor, and at its end a goal to either side, of which the cue tells the
/// right one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TMaze {
    /// Moves from the start to the junction, at least 1.
    pub length: u32,
}

impl Default for TMaze {
    fn default() -> Self {
        Self { length: 6 }
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
    /// Where it is and which keys it has: `Discrete(width × height × 2^k)` with k colours of keys on the map. The
    /// index of its cell, row by row from the top left, plus width × height times the number whose bits are the keys.
    Cell,
    /// A square window around the agent, of an odd number of cells a side: `Box(k, k, 14)` of zeros and ones. The
    /// page of the environment lists the channels.
    Window(u32),
    /// The whole map, `Box(height, width, 14)` with the channels of a window.
    Map,
}

impl GridWorldConfig {
    /// These parameters, and where they say nothing of the map or the observation, those of a task.
    pub(super) fn or(self, task: Self) -> Self {
        let observation = self.observation.or(task.observation);
        match source::given(&self)[..] {
            [] => Self {
                map_name: task.map_name,
                random: task.random,
                rooms: task.rooms,
                t_maze: task.t_maze,
                observation,
                ..self
            },
            _ => Self { observation, ..self },
        }
    }

    /// Checks every parameter and reads the map.
    pub(super) fn world(self) -> Result<World, Error> {
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
            ("wrong_goal_reward", self.wrong_goal_reward),
            ("lava_reward", self.lava_reward),
            ("cliff_reward", self.cliff_reward),
            ("obstacle_reward", self.obstacle_reward),
            ("step_cost", step_cost),
        ] {
            if !value.is_finite() {
                return Err(Error::config(format!("{name}: expected a finite number, got {value}")));
            }
        }
        let map = source::map(&self)?;
        self.check_goals(&map)?;
        let observation = self.observation.unwrap_or(Observation::Cell);
        observation.check(&map)?;
        let mut goals = self.goals;
        goals.insert('G', goal_reward);
        Ok(World {
            // The search for a way to the goal has seen that it can be counted.
            period: map.obstacles.period().unwrap_or(1),
            map,
            goals,
            wrong_goal_reward: self.wrong_goal_reward,
            lava_reward: self.lava_reward,
            cliff_reward: self.cliff_reward,
            obstacle_reward: self.obstacle_reward,
            step_cost,
            slip: self.slip,
            slippery: self.slippery,
            observation,
            see_through_walls: self.see_through_walls,
        })
    }

    /// Every letter on the map needs a finite reward, and `goals` may hold nothing else.
    fn check_goals(&self, map: &Map) -> Result<(), Error> {
        for (&name, &reward) in &self.goals {
            if !name.is_ascii_lowercase() || "rybp".contains(name) {
                return Err(Error::config(format!(
                    "goals: expected letters from a to z but r, y, b and p, which are keys; got {name:?}"
                )));
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
