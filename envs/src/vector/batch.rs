//! The states of a batch and their dynamics, without the bookkeeping of episodes.

use crate::{Error, Frame, Generator, RowEnv};

/// What a vector form supplies. [`Vector`](crate::Vector) makes a vector environment of it: it keeps the generators
/// and the time limit, resets what has ended, checks what comes in, and splits the work among threads.
///
/// [`Copies`] is the form that any environment has. An environment that is stepped by the million supplies one of
/// its own, with the states of the batch in arrays, and keeps the bits of its scalar form.
pub trait Batch: Send + Sized + 'static {
    /// The scalar form.
    type Env: RowEnv + Clone;

    /// The batch of these environments. They have the same spaces; their parameters may differ.
    ///
    /// # Errors
    /// If the environment itself fails, as foreign ones can.
    fn from_envs(envs: Vec<Self::Env>) -> Result<Self, Error>;

    /// Environment `env` by itself.
    fn env(&self, env: usize) -> Self::Env;

    /// Puts an environment with the parameters of `env(env)` in its place.
    fn set_env(&mut self, env: usize, to: Self::Env);

    /// Starts episodes in the environments `envs` and writes their rows of `observations` `[n × flat_dim]`.
    ///
    /// # Errors
    /// If the environment itself fails, as foreign ones can.
    fn reset(&mut self, envs: &[usize], rngs: &mut [Generator], observations: &mut [f32]) -> Result<(), Error>;

    /// Advances all environments but those whose `skip` is true: they are reset right after, and what is written
    /// for them does not count, but their generators must not be drawn from. `actions` `[n × flat_dim]` are
    /// elements of the action space where `skip` is false.
    ///
    /// # Errors
    /// If the environment itself fails, as foreign ones can.
    fn step(&mut self, actions: &[f32], skip: &[bool], rngs: &mut [Generator], out: BatchStep<'_>)
    -> Result<(), Error>;

    /// Marks the actions that make sense in environment `env`: see [`Env::action_mask`](crate::Env::action_mask).
    ///
    /// # Errors
    /// If the environment itself fails, as foreign ones can.
    fn action_mask(&self, env: usize, mask: &mut [bool]) -> Result<(), Error> {
        self.env(env).action_mask(mask);
        Ok(())
    }

    /// Environment `env` as coloured text, if it can draw itself so.
    fn render_ansi(&self, env: usize) -> Option<String> {
        self.env(env).render_ansi()
    }

    /// Environment `env` as a picture, if it can draw itself so.
    fn render_rgb(&self, env: usize) -> Option<Frame> {
        self.env(env).render_rgb()
    }
}

/// Where a batch of n environments writes a step; every entry is to be written.
pub struct BatchStep<'a> {
    /// `[n × flat_dim]`: the observations after the step.
    pub observations: &'a mut [f32],
    /// `[n]`: rewards.
    pub rewards: &'a mut [f64],
    /// `[n]`: episodes that ended by the rules of the task.
    pub terminated: &'a mut [bool],
    /// `[n]`: episodes that the environment itself cut off.
    pub truncated: &'a mut [bool],
}

/// Any environment as a batch: copies that are stepped one after another.
pub struct Copies<E> {
    envs: Vec<E>,
    observation_columns: usize,
    action_columns: usize,
}

impl<E: RowEnv + Clone> Batch for Copies<E> {
    type Env = E;

    fn from_envs(envs: Vec<E>) -> Result<Self, Error> {
        let columns = |space: fn(&E) -> crate::Space| envs.first().map_or(0, |env| space(env).flat_dim());
        Ok(Self { observation_columns: columns(E::observation_space), action_columns: columns(E::action_space), envs })
    }

    fn env(&self, env: usize) -> E {
        self.envs[env].clone()
    }

    fn set_env(&mut self, env: usize, to: E) {
        self.envs[env] = to;
    }

    fn reset(&mut self, envs: &[usize], rngs: &mut [Generator], observations: &mut [f32]) -> Result<(), Error> {
        let columns = self.observation_columns;
        envs.iter().try_for_each(|&env| {
            let row = &mut observations[env * columns..(env + 1) * columns];
            self.envs[env].reset(&mut rngs[env], row)
        })
    }

    fn step(
        &mut self,
        actions: &[f32],
        skip: &[bool],
        rngs: &mut [Generator],
        out: BatchStep<'_>,
    ) -> Result<(), Error> {
        let rows =
            actions.chunks_exact(self.action_columns).zip(out.observations.chunks_exact_mut(self.observation_columns));
        for (i, (env, (action, observation))) in self.envs.iter_mut().zip(rows).enumerate() {
            if skip[i] {
                continue;
            }
            let outcome = env.step(action, &mut rngs[i], observation)?;
            out.rewards[i] = outcome.reward;
            out.terminated[i] = outcome.terminated;
            out.truncated[i] = outcome.truncated;
        }
        Ok(())
    }
}
