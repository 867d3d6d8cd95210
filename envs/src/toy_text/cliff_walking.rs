//! CliffWalking: along the edge of a cliff to the goal.

use super::{Direction, Grid, Table, Tabular, Transition, WorldState, render};
use crate::{Env, EnvInfo, Error, Frame, Generator, Registry, Space, Step};
use serde::{Deserialize, Serialize};

const GRID: Grid = Grid { rows: 4, columns: 12 };
/// The directions of actions 0, 1, 2 and 3.
const DIRECTIONS: [Direction; 4] = [Direction::Up, Direction::Right, Direction::Down, Direction::Left];
/// The lower left corner.
const START: usize = 36;
/// The lower right corner.
const GOAL: usize = 47;

/// Whether the cliff is slippery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CliffWalkingConfig {
    /// Whether a move goes in its own direction and in the two perpendicular ones with probability 1/3 each.
    pub is_slippery: bool,
}

/// The parameters of `CliffWalkingSlippery-v1`: the same with another default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SlipperyConfig {
    is_slippery: bool,
}

impl Default for SlipperyConfig {
    fn default() -> Self {
        Self { is_slippery: true }
    }
}

/// Gymnasium's cliff, bit for bit.
///
#[doc = include_str!("cliff_walking.md")]
#[derive(Clone, Debug)]
pub struct CliffWalking {
    world: Tabular,
}

impl CliffWalking {
    /// A cliff with the given rules.
    pub fn new(config: CliffWalkingConfig) -> Self {
        let outcomes = |cell, action| outcomes(cell, action, config.is_slippery);
        Self { world: Tabular::new(Table::new(GRID.cells(), DIRECTIONS.len(), vec![START], outcomes)) }
    }

    /// What the action (0 up, 1 right, 2 down, 3 left) can lead to from a cell, with probabilities that sum to 1.
    ///
    /// This is the table that [`step`](Env::step) draws from, in the order of the draws; two entries may lead to
    /// the same cell. As in Gymnasium it has entries for the cliff and the goal too, where no step begins. Empty
    /// outside the map, and for an action that does not exist.
    pub fn transitions(&self, cell: usize, action: i64) -> &[Transition] {
        self.world.table.transitions(cell, action)
    }
}

fn is_cliff(cell: usize) -> bool {
    START < cell && cell < GOAL
}

/// Where an action leads. The order of the outcomes is that of the draws, and part of the contract.
fn outcomes(cell: usize, action: usize, is_slippery: bool) -> Vec<Transition> {
    let slippery = [(action + 3) % 4, action, (action + 1) % 4];
    let ways = if is_slippery { &slippery[..] } else { &slippery[1..2] };
    let outcome = |&way: &usize| {
        let entered = GRID.neighbour(cell, DIRECTIONS[way]);
        let (state, reward) = if is_cliff(entered) { (START, -100.0) } else { (entered, -1.0) };
        Transition { probability: 1.0 / ways.len() as f64, state, reward, terminated: state == GOAL }
    };
    ways.iter().map(outcome).collect()
}

impl Env for CliffWalking {
    type Observation = i64;
    type Action = i64;
    type State = WorldState;

    fn observation_space(&self) -> Space {
        Space::discrete(GRID.cells() as u32)
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

    /// The map: `x` agent, `T` goal, `C` cliff, `o` anything else. Gymnasium's text, byte for byte; it has no colours.
    fn render_ansi(&self) -> Option<String> {
        let symbol = |cell| match cell {
            cell if cell == self.world.state => "x",
            GOAL => "T",
            cell if is_cliff(cell) => "C",
            _ => "o",
        };
        let cells: Vec<&str> = (0..GRID.cells()).map(symbol).collect();
        let rows: String = cells.chunks(GRID.columns).map(|row| row.join("  ") + "\n").collect();
        Some(rows + "\n")
    }

    fn render_rgb(&self) -> Option<Frame> {
        let looks = self.world.last_action.map(|action| DIRECTIONS[action]);
        Some(render::cliff_walking::frame(GRID, is_cliff, [START, GOAL], self.world.state, looks))
    }
}

pub(super) fn register(registry: &mut Registry) {
    let info = |id: &str| EnvInfo {
        id: id.to_owned(),
        max_episode_steps: None,
        reward_threshold: None,
        render_fps: 4,
        physics: Vec::new(),
        page: include_str!("cliff_walking.md"),
    };
    registry.register(info("CliffWalking-v1"), |config| Ok(CliffWalking::new(config)));
    registry.register(info("CliffWalkingSlippery-v1"), |SlipperyConfig { is_slippery }| {
        Ok(CliffWalking::new(CliffWalkingConfig { is_slippery }))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvSpec, Value, make};

    #[test]
    fn probabilities_sum_to_one_on_every_cell() {
        for is_slippery in [false, true] {
            let env = CliffWalking::new(CliffWalkingConfig { is_slippery });
            super::super::tests::check_model(48, 4, |cell, action| env.transitions(cell, action));
        }
    }

    #[test]
    fn bad_parameters_are_refused() {
        for id in ["CliffWalking-v1", "CliffWalkingSlippery-v1"] {
            for spec in [EnvSpec::new(id).with("slippery", true), EnvSpec::new(id).with("is_slippery", 0.5)] {
                assert!(make(spec).err().expect("this should have been refused").is_config());
            }
        }
    }

    #[test]
    fn text_is_that_of_gymnasium() {
        let mut env = make("CliffWalking-v1").unwrap();
        env.reset(Some(0)).unwrap();
        env.step(&Value::Discrete(0)).unwrap();
        let expected = "o  o  o  o  o  o  o  o  o  o  o  o\n\
                        o  o  o  o  o  o  o  o  o  o  o  o\n\
                        x  o  o  o  o  o  o  o  o  o  o  o\n\
                        o  C  C  C  C  C  C  C  C  C  C  T\n\n";
        assert_eq!(env.render_ansi().unwrap(), expected);
    }
}
