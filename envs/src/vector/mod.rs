//! Vector environments: many episodes stepped together through one call.

mod actions;
mod asynchronous;
mod batch;
mod chunk;
mod joined;
mod lanes;
mod runner;
#[cfg(test)]
mod tests;
mod work;

use crate::{Error, Frame, Snapshot, Space};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};
use serde::{Deserialize, Serialize};

pub use actions::{Act, Part};
pub use asynchronous::{AsyncVector, Group};
pub use batch::{Batch, BatchStep, Copies};
pub use joined::Joined;
pub(crate) use lanes::{LANES, Lane, LaneBatch, Lanes, Outcomes};
pub(crate) use runner::buffer;
pub use runner::{SyncVector, Vector};

/// A batch of `num_envs` independent environments of one kind.
///
/// What happens when an episode ends is the [`Autoreset`] mode's to say. In every mode the true last observation of
/// the episode is in `final_observations`, so that the value at a time limit can be bootstrapped from it.
///
/// Environment i is seeded with seed + i, as Gymnasium's synchronous vector environment does, so its episodes are
/// those of the scalar environment with that seed, whatever the number of threads. The caller owns all buffers, which
/// are contiguous in C order; a step allocates nothing.
pub trait VectorEnv: Send {
    /// How many environments are stepped together (N).
    fn num_envs(&self) -> usize;

    /// The space of one environment's observation.
    fn observation_space(&self) -> &Space;

    /// The space of one environment's action.
    fn action_space(&self) -> &Space;

    /// What happens at the end of an episode.
    fn autoreset(&self) -> Autoreset;

    /// Starts an episode in every environment and writes the flat observations, `[N, flat_dim]`.
    ///
    /// `Some(seed)` seeds environment i with seed + i first (wrapping); `None` continues the streams.
    ///
    /// # Errors
    /// If the buffer has another shape.
    fn reset(&mut self, seed: Option<u64>, observations: ArrayViewMut2<'_, f32>) -> Result<(), Error>;

    /// Starts an episode in the environments whose `mask` `[N]` is true, whether or not their last one has ended, and
    /// writes their rows of `observations` `[N, flat_dim]`; the others are left as they are. With `seeds` `[N]`
    /// each of them is seeded first, otherwise their streams continue.
    ///
    /// # Errors
    /// If a buffer has another shape.
    fn reset_where(
        &mut self,
        mask: ArrayView1<'_, bool>,
        seeds: Option<&[u64]>,
        observations: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error>;

    /// Advances every environment by one step. `actions` holds flat rows, `[N, flat_dim of the action space]`.
    ///
    /// # Errors
    /// If a buffer has another shape, if an environment was not reset when it had to be, or if an action lies outside
    /// the action space; then no environment has been stepped. If an environment itself fails, as foreign ones can,
    /// all have to be reset.
    fn step(&mut self, actions: ArrayView2<'_, f32>, out: StepView<'_>) -> Result<(), Error>;

    /// In how many parts [`step_with`](Self::step_with) asks for actions, at most.
    fn parts(&self) -> usize {
        1
    }

    /// Chooses an action for every environment and advances it. Every thread chooses for the environments that it steps:
    /// policies act on all threads, and neither observations nor actions change caches. Vector environments without
    /// threads of their own have a single part.
    ///
    /// `out.observations` must be what the last reset or step wrote there; `act` reads them and writes `actions`
    /// `[N, flat_dim of the action space]`.
    ///
    /// ```
    /// use apprentice_envs::{EnvSpec, Part, Registry, StepBuffer, VectorOptions};
    /// use ndarray::Array2;
    ///
    /// let options = VectorOptions::new(4096, 42).threads(2);
    /// let mut envs = Registry::builtin().make_vec_with(&EnvSpec::new("CartPole-v1"), &options)?;
    /// let mut out = StepBuffer::new(&*envs);
    /// let mut actions = Array2::zeros((4096, 1));
    /// envs.reset(None, out.observations.view_mut())?;
    /// // Push to where the pole leans.
    /// let act = |mut part: Part<'_>| {
    ///     part.actions.column_mut(0).assign(&part.observations.column(2).mapv(|angle| f32::from(u8::from(angle > 0.0))));
    /// };
    /// for _ in 0..100 {
    ///     envs.step_with(&act, actions.view_mut(), out.view_mut())?;
    /// }
    /// # Ok::<(), apprentice_envs::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`step`](Self::step); but if an action lies outside the action space, others may have been taken: all
    /// environments have to be reset.
    fn step_with(
        &mut self,
        act: &Act<'_>,
        mut actions: ArrayViewMut2<'_, f32>,
        out: StepView<'_>,
    ) -> Result<(), Error> {
        act(Part { index: 0, first_env: 0, observations: out.observations.view(), actions: actions.view_mut() });
        self.step(actions.view(), out)
    }

    /// Marks the actions that make sense in the present states: `[N, feature_dim of the action space]`.
    ///
    /// # Errors
    /// If the buffer has another shape, or an environment itself fails, as foreign ones can.
    fn action_masks(&self, masks: ArrayViewMut2<'_, bool>) -> Result<(), Error>;

    /// Everything that the future depends on.
    fn snapshot(&self) -> Snapshot;

    /// Goes on from a snapshot of as many environments with the same parameters.
    ///
    /// # Errors
    /// If it is another one; then nothing has changed.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error>;

    /// Environment `env` as coloured text, if it can draw itself so.
    fn render_ansi(&self, env: usize) -> Option<String>;

    /// Environment `env` as a picture, if it can draw itself so.
    fn render_rgb(&self, env: usize) -> Option<Frame>;
}

/// What a vector environment does when an episode ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autoreset {
    /// The next episode starts within the same step: `observations` holds its first observation, and every step of
    /// every environment is a step of an episode.
    #[default]
    SameStep,
    /// The next episode starts with the next step, which ignores that environment's action, gives the reward 0 and
    /// counts for nothing. Gymnasium's default.
    NextStep,
    /// Nothing: the caller starts it with [`VectorEnv::reset_where`] before the next step.
    Disabled,
}

/// Where a vector environment writes a step: views of buffers that the caller owns, contiguous in C order.
pub struct StepView<'a> {
    /// `[N, flat_dim]`: the observation to act on next.
    pub observations: ArrayViewMut2<'a, f32>,
    /// `[N, flat_dim]`: where an episode ended, its last observation. Other rows are left as they were.
    pub final_observations: ArrayViewMut2<'a, f32>,
    /// `[N]`: rewards.
    pub rewards: ArrayViewMut1<'a, f64>,
    /// `[N]`: episodes that ended by the rules of the task.
    pub terminated: ArrayViewMut1<'a, bool>,
    /// `[N]`: episodes that were cut off.
    pub truncated: ArrayViewMut1<'a, bool>,
}

/// Buffers for the steps of a vector environment.
#[derive(Clone, Debug, PartialEq)]
pub struct StepBuffer {
    /// `[N, flat_dim]`: the observation to act on next.
    pub observations: Array2<f32>,
    /// `[N, flat_dim]`: valid where an episode ended in the last step.
    pub final_observations: Array2<f32>,
    /// `[N]`: rewards.
    pub rewards: Array1<f64>,
    /// `[N]`: episodes that ended by the rules of the task.
    pub terminated: Array1<bool>,
    /// `[N]`: episodes that were cut off.
    pub truncated: Array1<bool>,
}

impl StepBuffer {
    /// Buffers of the right shape for `env`.
    pub fn new(env: &dyn VectorEnv) -> Self {
        let (rows, columns) = (env.num_envs(), env.observation_space().flat_dim());
        Self {
            observations: Array2::zeros((rows, columns)),
            final_observations: Array2::zeros((rows, columns)),
            rewards: Array1::zeros(rows),
            terminated: Array1::from_elem(rows, false),
            truncated: Array1::from_elem(rows, false),
        }
    }

    /// Views to hand to [`VectorEnv::step`].
    pub fn view_mut(&mut self) -> StepView<'_> {
        StepView {
            observations: self.observations.view_mut(),
            final_observations: self.final_observations.view_mut(),
            rewards: self.rewards.view_mut(),
            terminated: self.terminated.view_mut(),
            truncated: self.truncated.view_mut(),
        }
    }
}
