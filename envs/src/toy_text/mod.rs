//! Toy text: Gymnasium's small worlds with a number for every state, and its game of Blackjack.
//!
//! The dynamics of the worlds are a table: for each state and action the outcomes, each with its probability. A step
//! draws from that table with exactly one double, even where there is only one outcome, as Gymnasium does; and the
//! same table is public as `transitions`, for planning and for checking what an agent has learnt.
//!
//! ```
//! use apprentice_envs::{FrozenLake, FrozenLakeConfig};
//!
//! let lake = FrozenLake::new(FrozenLakeConfig::default())?;
//! let down = lake.transitions(0, 1);
//! // In the order that draws go through them: left (against the border), down, right.
//! assert_eq!(down.iter().map(|outcome| outcome.state).collect::<Vec<_>>(), [0, 4, 1]);
//! assert_eq!(down[1].probability, 1.0 / 3.0);
//! # Ok::<(), apprentice_envs::Error>(())
//! ```

mod blackjack;
mod cliff_walking;
mod frozen_lake;
mod render;
mod taxi;

use crate::{Error, Generator, Registry, Step};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub use blackjack::{Blackjack, BlackjackConfig, BlackjackState};
pub use cliff_walking::{CliffWalking, CliffWalkingConfig};
pub use frozen_lake::{FrozenLake, FrozenLakeConfig, FrozenLakeMap, RandomLake};
pub use taxi::{Taxi, TaxiConfig};

/// One way that a step can go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// Its probability.
    pub probability: f64,
    /// The state that it leads to.
    pub state: usize,
    /// Its reward.
    pub reward: f64,
    /// Whether it ends the episode.
    pub terminated: bool,
}

/// The dynamics of a world: where episodes start, and what each action leads to.
#[derive(Debug)]
struct Table {
    /// The number of actions; they are 0, 1, ….
    actions: usize,
    /// The states in which episodes start, in ascending order, each equally likely.
    starts: Vec<usize>,
    /// The outcomes of action a in state s, at index s × `actions` + a.
    outcomes: Vec<Vec<Transition>>,
}

impl Table {
    /// The table whose outcomes `outcomes(state, action)` gives.
    fn new(
        states: usize,
        actions: usize,
        starts: Vec<usize>,
        outcomes: impl Fn(usize, usize) -> Vec<Transition>,
    ) -> Self {
        let outcomes = (0..states * actions).map(|i| outcomes(i / actions, i % actions)).collect();
        Self { actions, starts, outcomes }
    }

    /// The number of states; they are 0, 1, ….
    fn states(&self) -> usize {
        self.outcomes.len() / self.actions
    }

    /// What the action can lead to from a state; empty if there is no such state or action.
    fn transitions(&self, state: usize, action: i64) -> &[Transition] {
        match usize::try_from(action) {
            Ok(action) if state < self.states() && action < self.actions => {
                &self.outcomes[state * self.actions + action]
            }
            _ => &[],
        }
    }
}

/// Gymnasium's `categorical_sample`: with one double u, the first index up to which the probabilities sum to more
/// than u.
///
/// Rounding can leave the whole sum a little below 1 (0.9999999999999961 over Taxi's 300 starts), and u above it.
/// That is None here; Gymnasium then takes the first element.
fn categorical_sample(probabilities: impl IntoIterator<Item = f64>, rng: &mut Generator) -> Option<usize> {
    let double = rng.random();
    let mut sum = 0.0;
    probabilities.into_iter().position(|probability| {
        sum += probability;
        sum > double
    })
}

/// Where a world is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldState {
    state: usize,
    last_action: Option<usize>,
}

/// A state that moves through a [`Table`]: what the worlds of this module have in common.
#[derive(Clone, Debug)]
struct Tabular {
    /// Shared by the copies of a batch.
    table: Arc<Table>,
    state: usize,
    /// The last action of the episode, for drawing.
    last_action: Option<usize>,
}

impl Tabular {
    fn new(table: Table) -> Self {
        Self { state: table.starts[0], table: Arc::new(table), last_action: None }
    }

    fn state(&self) -> WorldState {
        WorldState { state: self.state, last_action: self.last_action }
    }

    fn set_state(&mut self, WorldState { state, last_action }: WorldState) -> Result<(), Error> {
        let (states, actions) = (self.table.states(), self.table.actions);
        if state >= states || last_action.is_some_and(|action| action >= actions) {
            return Err(Error::snapshot(format!(
                "the world has {states} states and {actions} actions: it cannot be in state {state} after {last_action:?}"
            )));
        }
        (self.state, self.last_action) = (state, last_action);
        Ok(())
    }

    /// Draws the first state with one double.
    fn reset(&mut self, rng: &mut Generator) -> i64 {
        let starts = &self.table.starts;
        let probability = 1.0 / starts.len() as f64;
        // Gymnasium's distribution is over all states, so that its first element is state 0.
        self.state = categorical_sample(starts.iter().map(|_| probability), rng).map_or(0, |i| starts[i]);
        self.last_action = None;
        self.state as i64
    }

    /// Draws one of the action's outcomes with one double.
    fn step(&mut self, action: i64, rng: &mut Generator) -> Step<i64> {
        let outcomes = self.table.transitions(self.state, action);
        let outcome = outcomes[categorical_sample(outcomes.iter().map(|o| o.probability), rng).unwrap_or(0)];
        self.state = outcome.state;
        self.last_action = Some(action as usize);
        Step {
            observation: outcome.state as i64,
            reward: outcome.reward,
            terminated: outcome.terminated,
            truncated: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Right,
    Down,
    Left,
}

impl Direction {
    /// Columns to the right and rows down.
    fn offset(self) -> [f32; 2] {
        match self {
            Self::Up => [0.0, -1.0],
            Self::Right => [1.0, 0.0],
            Self::Down => [0.0, 1.0],
            Self::Left => [-1.0, 0.0],
        }
    }
}

/// The size of a map whose cells are numbered row by row from the top left.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    fn cells(self) -> usize {
        self.rows * self.columns
    }

    /// The cell next to `cell` in a direction, or `cell` itself at the border.
    fn neighbour(self, cell: usize, direction: Direction) -> usize {
        let (row, column) = (cell / self.columns, cell % self.columns);
        match direction {
            Direction::Up if row > 0 => cell - self.columns,
            Direction::Right if column + 1 < self.columns => cell + 1,
            Direction::Down if row + 1 < self.rows => cell + self.columns,
            Direction::Left if column > 0 => cell - 1,
            _ => cell,
        }
    }
}

/// Refuses what is not a probability.
fn check_probability(name: &str, value: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::config(format!("{name}: expected a probability from 0 to 1, got {value}")))
}

/// `text` between the ANSI escapes that give it a style, such as "41" for a red background.
fn styled(text: &str, style: &str) -> String {
    format!("\x1b[{style}m{text}\x1b[0m")
}

pub(crate) fn register(registry: &mut Registry) {
    blackjack::register(registry);
    cliff_walking::register(registry);
    frozen_lake::register(registry);
    taxi::register(registry);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That every list of outcomes is a distribution over states that exist, and that there are no others.
    pub(super) fn check_model<'a>(states: usize, actions: i64, transitions: impl Fn(usize, i64) -> &'a [Transition]) {
        for state in 0..states {
            for action in 0..actions {
                let outcomes = transitions(state, action);
                let sum: f64 = outcomes.iter().map(|outcome| outcome.probability).sum();
                assert!((sum - 1.0).abs() < 1e-12, "state {state}, action {action}: {sum}");
                assert!(outcomes.iter().all(|outcome| outcome.state < states), "state {state}, action {action}");
            }
        }
        for (state, action) in [(states, 0), (usize::MAX, 0), (0, actions), (0, -1)] {
            assert_eq!(transitions(state, action), []);
        }
    }

    #[test]
    fn a_sample_beyond_the_sum_is_the_callers_to_decide() {
        let mut rng = Generator::new(42); // 0.77, 0.44, …
        assert_eq!(categorical_sample([0.5, 0.25], &mut rng), None);
        assert_eq!(categorical_sample([0.25, 0.0, 0.5], &mut rng), Some(2));
    }

    #[test]
    fn every_step_draws_exactly_one_double() {
        let certain = |_, _| vec![Transition { probability: 1.0, state: 0, reward: 0.0, terminated: false }];
        let mut world = Tabular::new(Table::new(1, 1, vec![0], certain));
        let mut rng = Generator::new(3);
        let mut expected = rng.clone();
        world.reset(&mut rng);
        expected.random();
        assert_eq!(rng, expected, "reset");
        world.step(0, &mut rng);
        expected.random();
        assert_eq!(rng, expected, "step");
    }
}
