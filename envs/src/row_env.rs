//! Environments whose types are erased: rows of f32 in, rows of f32 out.

use crate::{Element, Env, Error, Frame, Generator, Space, Value};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// An environment that speaks in flat rows (see [`Space`]).
///
/// This is what wrappers wrap and what foreign environments are: a wrapper is written once, against rows, and serves
/// scalar and vector environments alike. Authors write [`Env`]; [`Rows`] makes one of these of it.
pub trait RowEnv: Send + 'static {
    /// The space that every observation lies in. Constant over the environment's life.
    fn observation_space(&self) -> Space;

    /// The space of valid actions. Constant over the environment's life.
    fn action_space(&self) -> Space;

    /// Starts an episode and writes its first observation, `[flat_dim]`.
    ///
    /// # Errors
    /// If the environment itself fails, as foreign ones can.
    fn reset(&mut self, rng: &mut Generator, observation: &mut [f32]) -> Result<(), Error>;

    /// Advances by one step. `action` is always an element of the action space, and `reset` always came first.
    ///
    /// # Errors
    /// If the environment itself fails, as foreign ones can.
    fn step(&mut self, action: &[f32], rng: &mut Generator, observation: &mut [f32]) -> Result<Outcome, Error>;

    /// The state in bytes.
    fn save(&self) -> Vec<u8>;

    /// Goes on from bytes that [`save`](Self::save) gave.
    ///
    /// # Errors
    /// If they are not the state of an environment with these parameters.
    fn load(&mut self, state: &[u8]) -> Result<(), Error>;

    /// Marks the actions that make sense in the current state: see [`Env::action_mask`].
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

    /// A copy of this environment in its present state.
    fn boxed(&self) -> Box<dyn RowEnv>;
}

/// What a step gives beside the observation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The reward of the step.
    pub reward: f64,
    /// The episode ended by the rules of the task: nothing can be earned after it.
    pub terminated: bool,
    /// The episode was cut off, by a time limit for instance: the task itself would go on.
    pub truncated: bool,
}

impl Outcome {
    /// Whether the episode is over, for either reason.
    pub fn done(self) -> bool {
        self.terminated || self.truncated
    }
}

/// An [`Env`] that speaks in rows.
#[derive(Clone)]
pub struct Rows<E> {
    env: E,
    /// Shared by the copies of a batch.
    action_space: Arc<Space>,
}

impl<E: Env> Rows<E> {
    /// `env` in rows.
    pub fn new(env: E) -> Self {
        let action_space = Arc::new(env.action_space());
        Self { env, action_space }
    }

    /// The environment itself.
    pub fn get(&self) -> &E {
        &self.env
    }

    /// The environment itself.
    pub fn get_mut(&mut self) -> &mut E {
        &mut self.env
    }
}

impl<E: Env> From<E> for Rows<E> {
    fn from(env: E) -> Self {
        Self::new(env)
    }
}

impl<E: Env> RowEnv for Rows<E> {
    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    #[inline]
    fn reset(&mut self, rng: &mut Generator, observation: &mut [f32]) -> Result<(), Error> {
        write(&self.env.reset(rng), observation)
    }

    #[inline]
    fn step(&mut self, action: &[f32], rng: &mut Generator, observation: &mut [f32]) -> Result<Outcome, Error> {
        let Some(action) = E::Action::from_flat(action, &self.action_space) else {
            return Err(self.refusal(action));
        };
        let step = self.env.step(&action, rng);
        write(&step.observation, observation)?;
        Ok(Outcome { reward: step.reward, terminated: step.terminated, truncated: step.truncated })
    }

    fn save(&self) -> Vec<u8> {
        to_bytes(&self.env.state())
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        self.env.set_state(from_bytes(state)?)
    }

    fn action_mask(&self, mask: &mut [bool]) {
        self.env.action_mask(mask);
    }

    fn render_ansi(&self) -> Option<String> {
        self.env.render_ansi()
    }

    fn render_rgb(&self) -> Option<Frame> {
        self.env.render_rgb()
    }

    fn boxed(&self) -> Box<dyn RowEnv> {
        Box::new(self.clone())
    }
}

impl<E: Env> Rows<E> {
    /// Why its type of actions cannot hold one.
    #[cold]
    fn refusal(&self, action: &[f32]) -> Error {
        let space = &self.action_space;
        if !space.contains_flat(action) {
            return space.reject(&Value::Box(action.to_vec()));
        }
        Error::environment(format!(
            "its type Action, {}, cannot hold an action of its action_space, {space}; take i64 for Discrete, [f32; n] for Box, \
             [i64; n] for MultiDiscrete, [bool; n] for MultiBinary",
            std::any::type_name::<E::Action>()
        ))
    }
}

#[inline]
fn write(observation: &impl Element, row: &mut [f32]) -> Result<(), Error> {
    if observation.flat_dim() == row.len() {
        observation.write_flat(row);
        return Ok(());
    }
    Err(Error::environment(format!(
        "an observation has {} columns: expected {}, as many as its space has",
        observation.flat_dim(),
        row.len()
    )))
}

impl Clone for Box<dyn RowEnv> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

impl RowEnv for Box<dyn RowEnv> {
    fn observation_space(&self) -> Space {
        (**self).observation_space()
    }

    fn action_space(&self) -> Space {
        (**self).action_space()
    }

    fn reset(&mut self, rng: &mut Generator, observation: &mut [f32]) -> Result<(), Error> {
        (**self).reset(rng, observation)
    }

    fn step(&mut self, action: &[f32], rng: &mut Generator, observation: &mut [f32]) -> Result<Outcome, Error> {
        (**self).step(action, rng, observation)
    }

    fn save(&self) -> Vec<u8> {
        (**self).save()
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        (**self).load(state)
    }

    fn action_mask(&self, mask: &mut [bool]) {
        (**self).action_mask(mask);
    }

    fn render_ansi(&self) -> Option<String> {
        (**self).render_ansi()
    }

    fn render_rgb(&self) -> Option<Frame> {
        (**self).render_rgb()
    }

    fn boxed(&self) -> Box<dyn RowEnv> {
        (**self).boxed()
    }
}

/// A state in bytes. States are plain data, which always can be written.
pub(crate) fn to_bytes(state: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(state).expect("a state is plain data")
}

/// Reads what [`to_bytes`] wrote, all of it.
pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Ok(state),
        _ => Err(Error::snapshot("the state is not one of this environment: restore it where it was saved")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;

    /// Says that it takes real numbers, and has a type for integers.
    #[derive(Clone)]
    struct Contradiction;

    impl Env for Contradiction {
        type Observation = i64;
        type Action = i64;
        type State = ();

        fn observation_space(&self) -> Space {
            Space::discrete(1)
        }

        fn action_space(&self) -> Space {
            Space::bounded(&[0.0], &[1.0])
        }

        fn reset(&mut self, _: &mut Generator) -> i64 {
            0
        }

        fn step(&mut self, _: &i64, _: &mut Generator) -> Step<i64> {
            Step { observation: 0, reward: 0.0, terminated: false, truncated: false }
        }

        fn state(&self) {}

        fn set_state(&mut self, (): ()) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn a_type_of_actions_that_its_space_does_not_fit_is_named() {
        let (mut env, mut rng) = (Rows::new(Contradiction), Generator::new(0));
        let mut step = |action: f32| env.step(&[action], &mut rng, &mut [0.0]).err().unwrap();
        assert!(step(2.0).is_action());
        let error = step(0.5);
        assert!(error.is_environment() && error.to_string().contains("Action, i64, cannot hold"), "{error}");
    }
}
