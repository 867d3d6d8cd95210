//! The environment API: what an author writes, and the checked form that a user steps.

use crate::{Element, Error, Frame, Generator, Space, Value};

/// An environment, as its author writes it.
///
/// The author gives the dynamics of one episode. Everything around it is done once, elsewhere: the time limit
/// by [`TimeLimit`](crate::TimeLimit), seeds and the check of actions and of the order of calls by
/// [`Checked`], batches and autoreset by [`SyncVector`](crate::SyncVector).
///
/// All randomness is drawn from the generator that is passed in, so that an environment is a plain value that
/// can be cloned, stored and replayed.
///
/// ```
/// use apprentice_envs::{Env, Generator, Space, Step};
///
/// /// Guess the coin: reward 1 if the action equals the observation.
/// #[derive(Clone)]
/// struct Coin { side: i64 }
///
/// impl Env for Coin {
///     type Observation = i64;
///     type Action = i64;
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
/// }
/// ```
pub trait Env: Clone + Send + 'static {
    /// The type of an observation.
    type Observation: Element;
    /// The type of an action.
    type Action: Element;

    /// The space that every observation lies in. Constant over the environment's life.
    fn observation_space(&self) -> Space;

    /// The space of valid actions. Constant over the environment's life.
    fn action_space(&self) -> Space;

    /// Starts an episode and returns its first observation.
    fn reset(&mut self, rng: &mut Generator) -> Self::Observation;

    /// Advances by one step. `action` is always an element of the action space, and `reset` always came first.
    fn step(&mut self, action: &Self::Action, rng: &mut Generator) -> Step<Self::Observation>;

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

/// An environment of any type, as [`make`](crate::make) returns it.
///
/// Holds its own generator, and refuses invalid actions and steps out of order with an error.
pub trait DynEnv: Send {
    /// The space that every observation lies in.
    fn observation_space(&self) -> &Space;

    /// The space of valid actions.
    fn action_space(&self) -> &Space;

    /// Starts an episode. `Some(seed)` seeds the generator first, `None` continues its stream.
    fn reset(&mut self, seed: Option<u64>) -> Value;

    /// Advances by one step.
    ///
    /// # Errors
    /// If the action lies outside the action space, before the first `reset`, and after the end of an episode.
    fn step(&mut self, action: &Value) -> Result<Step<Value>, Error>;

    /// The state as coloured text (ANSI escapes), if the environment can draw itself so.
    fn render_ansi(&self) -> Option<String>;

    /// The state as a picture, if the environment can draw itself so.
    fn render_rgb(&self) -> Option<Frame>;
}

/// An environment with a generator of its own that checks what it is asked.
pub struct Checked<E: Env> {
    env: E,
    observation_space: Space,
    action_space: Space,
    rng: Generator,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    New,
    Running,
    Ended,
}

impl<E: Env> Checked<E> {
    /// Wraps `env`; its generator starts from `seed`.
    pub fn new(env: E, seed: u64) -> Self {
        let (observation_space, action_space) = (env.observation_space(), env.action_space());
        Self { env, observation_space, action_space, rng: Generator::new(seed), phase: Phase::New }
    }
}

impl<E: Env> DynEnv for Checked<E> {
    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, seed: Option<u64>) -> Value {
        if let Some(seed) = seed {
            self.rng = Generator::new(seed);
        }
        self.phase = Phase::Running;
        self.env.reset(&mut self.rng).to_value()
    }

    fn step(&mut self, action: &Value) -> Result<Step<Value>, Error> {
        match self.phase {
            Phase::New => return Err(Error::order("step before reset: call reset first, it starts the episode")),
            Phase::Ended => {
                return Err(Error::order("step after the end of the episode: call reset to start the next one"));
            }
            Phase::Running => {}
        }
        let typed = if self.action_space.contains(action) { E::Action::from_value(action) } else { None };
        let typed = typed.ok_or_else(|| self.action_space.reject(action))?;
        let step = self.env.step(&typed, &mut self.rng);
        if step.done() {
            self.phase = Phase::Ended;
        }
        Ok(Step {
            observation: step.observation.to_value(),
            reward: step.reward,
            terminated: step.terminated,
            truncated: step.truncated,
        })
    }

    fn render_ansi(&self) -> Option<String> {
        self.env.render_ansi()
    }

    fn render_rgb(&self) -> Option<Frame> {
        self.env.render_rgb()
    }
}
