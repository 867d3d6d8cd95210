//! The environment API: what an author writes.

use crate::{Element, Error, Frame, Generator, Space};
use serde::{Serialize, de::DeserializeOwned};

/// An environment, as its author writes it.
///
/// The author gives the dynamics of one episode. Everything around it is done once, elsewhere: the time limit, seeds
/// and the check of actions and of the order of calls by [`DynEnv`](crate::DynEnv), batches and autoreset by
/// [`VectorEnv`](crate::VectorEnv); [`check_env`](crate::check_env) finds the mistakes that are easily made.
///
/// All randomness is drawn from the generator that is passed in, so that an environment is a plain value that
/// can be cloned, stored and replayed.
///
/// ```
/// use apprentice_envs::{Env, Error, Generator, Space, Step};
///
/// /// Guess the coin: reward 1 if the action equals the observation.
/// #[derive(Clone)]
/// struct Coin { side: i64 }
///
/// impl Env for Coin {
///     type Observation = i64;
///     type Action = i64;
///     type State = i64;
///
///     fn observation_space(&self) -> Space { Space::discrete(2) }
///     fn action_space(&self) -> Space { Space::discrete(2) }
///
///     fn reset(&mut self, rng: &mut Generator) -> i64 {
///         self.side = i64::from(rng.integers(2));
///         self.side
///     }
///
///     fn step(&mut self, action: &i64, _: &mut Generator) -> Step<i64> {
///         let reward = if *action == self.side { 1.0 } else { 0.0 };
///         Step { observation: self.side, reward, terminated: true, truncated: false }
///     }
///
///     fn state(&self) -> i64 { self.side }
///     fn set_state(&mut self, side: i64) -> Result<(), Error> {
///         self.side = side;
///         Ok(())
///     }
/// }
/// ```
pub trait Env: Clone + Send + 'static {
    /// The type of an observation.
    type Observation: Element;
    /// The type of an action.
    type Action: Element;
    /// Everything that changes between two steps, so that an episode can be stored and gone on with. Types that
    /// need to look ahead in the data to read themselves (untagged enums, `serde(flatten)`) do not work here.
    type State: Serialize + DeserializeOwned;

    /// The space that every observation lies in. Constant over the environment's life.
    fn observation_space(&self) -> Space;

    /// The space of valid actions. Constant over the environment's life.
    fn action_space(&self) -> Space;

    /// Starts an episode and returns its first observation.
    fn reset(&mut self, rng: &mut Generator) -> Self::Observation;

    /// Advances by one step. `action` is always an element of the action space, and `reset` always came first.
    fn step(&mut self, action: &Self::Action, rng: &mut Generator) -> Step<Self::Observation>;

    /// The state: with it, an environment of the same parameters goes on as this one would.
    fn state(&self) -> Self::State;

    /// Goes on from a state that [`state`](Self::state) gave, perhaps in another process.
    ///
    /// # Errors
    /// If no environment of these parameters can be in that state, as it may come from a damaged file.
    fn set_state(&mut self, state: Self::State) -> Result<(), Error>;

    /// Marks the actions that make sense in the current state. `mask` has an entry for each column of the action
    /// space's feature row and comes filled with true; an environment that leaves it so has no opinion. An action
    /// that is masked out is valid all the same.
    fn action_mask(&self, mask: &mut [bool]) {
        let _ = mask;
    }

    /// The state as coloured text (ANSI escapes), if the environment can draw itself so.
    fn render_ansi(&self) -> Option<String> {
        None
    }

    /// The state as a picture, if the environment can draw itself so.
    fn render_rgb(&self) -> Option<Frame> {
        None
    }
}

/// What one step gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<O> {
    /// The observation after the step; at the end of an episode its final observation.
    pub observation: O,
    /// The reward of the step.
    pub reward: f64,
    /// The episode ended by the rules of the task: nothing can be earned after it.
    pub terminated: bool,
    /// The episode was cut off, by a time limit for instance: the task itself would go on.
    pub truncated: bool,
}

impl<O> Step<O> {
    /// Whether the episode is over, for either reason.
    pub fn done(&self) -> bool {
        self.terminated || self.truncated
    }
}
