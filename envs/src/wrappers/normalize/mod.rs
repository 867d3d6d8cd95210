//! Normalisation of observations and rewards by statistics of a whole batch.

mod observation;
mod reward;
mod running_mean_std;
#[cfg(test)]
mod tests;

use crate::row_env::{from_bytes, to_bytes};
use crate::vector::buffer;
use crate::{Autoreset, Error, Frame, Snapshot, Space, StepView, VectorEnv};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

pub use observation::NormalizeObservation;
pub use reward::NormalizeReward;
pub use running_mean_std::RunningMeanStd;

/// A vector environment with normalised observations, rewards or both. A scalar environment is a batch of one.
///
/// Every row of `observations` that a step or a reset writes is taken into the statistics and then normalised; final
/// observations are normalised with the same statistics. Snapshots hold the statistics; on their own they serialise
/// as the parts [`observations`](Self::observations) and [`rewards`](Self::rewards), from which a `Normalize` for
/// evaluation is made, [frozen](Self::freeze).
///
/// ```
/// use apprentice_envs::wrappers::{Normalize, NormalizeObservation, NormalizeReward};
/// use apprentice_envs::{VectorEnv, make_vec};
///
/// let envs = make_vec("Pendulum-v1", 8, 42)?;
/// let observations = NormalizeObservation { clip: Some(10.0), ..NormalizeObservation::new(3) };
/// let rewards = NormalizeReward { gamma: 0.9, ..NormalizeReward::new(8) };
/// let envs = Normalize::new(envs, Some(observations), Some(rewards))?;
/// assert_eq!(envs.observation_space().to_string(), "Box(-10.0, 10.0, [3])");
/// # Ok::<(), apprentice_envs::Error>(())
/// ```
pub struct Normalize {
    envs: Box<dyn VectorEnv>,
    observation_space: Space,
    observations: Option<NormalizeObservation>,
    rewards: Option<NormalizeReward>,
    /// The environments that the next step starts instead of advancing.
    idle: Vec<bool>,
}

/// What the wrapper remembers: the statistics, the returns of the rewards, and the idle environments.
type State = (Option<RunningMeanStd>, Option<(RunningMeanStd, Vec<f64>)>, Vec<bool>);

impl Normalize {
    /// `envs` with what is given, which may come from another batch of as many environments.
    ///
    /// # Errors
    /// If observations are to be normalised that are not of a `Box`, a part is of other columns or another number of
    /// environments, or a parameter is out of range.
    pub fn new(
        envs: Box<dyn VectorEnv>,
        observations: Option<NormalizeObservation>,
        rewards: Option<NormalizeReward>,
    ) -> Result<Self, Error> {
        let mut observation_space = envs.observation_space().clone();
        if let Some(part) = &observations {
            part.check(observation_space.flat_dim())?;
            let Space::Box { low, high, .. } = &mut observation_space else {
                return Err(Error::config(format!(
                    "observations to normalise: expected a Box, got {observation_space}; put a FlattenObservation \
                     among the environment's wrappers"
                )));
            };
            let clip = part.clip.unwrap_or(f32::INFINITY);
            low.fill(-clip);
            high.fill(clip);
        }
        if let Some(part) = &rewards {
            part.check(envs.num_envs())?;
        }
        Ok(Self { idle: vec![false; envs.num_envs()], envs, observation_space, observations, rewards })
    }

    /// How observations are normalised, if they are.
    pub fn observations(&self) -> Option<&NormalizeObservation> {
        self.observations.as_ref()
    }

    /// How rewards are normalised, if they are.
    pub fn rewards(&self) -> Option<&NormalizeReward> {
        self.rewards.as_ref()
    }

    /// Leaves the statistics as they are from now on, or goes on with them.
    pub fn freeze(&mut self, frozen: bool) {
        self.observations.iter_mut().for_each(|part| part.update_running_mean = !frozen);
        self.rewards.iter_mut().for_each(|part| part.update_running_mean = !frozen);
    }

    /// Takes the rows of `observations` that are `chosen` into the statistics and normalises them.
    fn take_in(
        &mut self,
        mut observations: ArrayViewMut2<'_, f32>,
        chosen: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        let Some(part) = &mut self.observations else { return Ok(()) };
        let (n, columns) = (self.idle.len(), self.observation_space.flat_dim());
        let rows = buffer("observations", (n, columns), observations.dim(), observations.as_slice_mut())?;
        part.update(rows.chunks_exact(columns).enumerate().filter(|(env, _)| chosen(*env)).map(|(_, row)| row));
        rows.chunks_exact_mut(columns).enumerate().filter(|(env, _)| chosen(*env)).for_each(|(_, row)| part.apply(row));
        Ok(())
    }

    /// Episodes start in the environments that are `chosen`.
    fn begin(&mut self, chosen: impl Fn(usize) -> bool) {
        for env in (0..self.idle.len()).filter(|&env| chosen(env)) {
            self.idle[env] = false;
            self.rewards.iter_mut().for_each(|part| part.begin(env));
        }
    }
}

impl VectorEnv for Normalize {
    fn num_envs(&self) -> usize {
        self.envs.num_envs()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        self.envs.action_space()
    }

    fn autoreset(&self) -> Autoreset {
        self.envs.autoreset()
    }

    fn reset(&mut self, seed: Option<u64>, mut observations: ArrayViewMut2<'_, f32>) -> Result<(), Error> {
        self.envs.reset(seed, observations.view_mut())?;
        self.begin(|_| true);
        self.take_in(observations, |_| true)
    }

    fn reset_where(
        &mut self,
        mask: ArrayView1<'_, bool>,
        seeds: Option<&[u64]>,
        mut observations: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        self.envs.reset_where(mask, seeds, observations.view_mut())?;
        self.begin(|env| mask[env]);
        self.take_in(observations, |env| mask[env])
    }

    fn step(&mut self, actions: ArrayView2<'_, f32>, mut out: StepView<'_>) -> Result<(), Error> {
        let inner = StepView {
            observations: out.observations.view_mut(),
            final_observations: out.final_observations.view_mut(),
            rewards: out.rewards.view_mut(),
            terminated: out.terminated.view_mut(),
            truncated: out.truncated.view_mut(),
        };
        self.envs.step(actions, inner)?;
        let n = self.idle.len();
        let terminated = buffer("terminated", n, out.terminated.dim(), out.terminated.as_slice())?;
        let truncated = buffer("truncated", n, out.truncated.dim(), out.truncated.as_slice())?;
        let ended = |env: usize| terminated[env] || truncated[env];
        if let Some(part) = &mut self.rewards {
            let rewards = buffer("rewards", n, out.rewards.dim(), out.rewards.as_slice_mut())?;
            part.apply(rewards, terminated, truncated, &self.idle);
        }
        let next_step = self.envs.autoreset() == Autoreset::NextStep;
        self.idle.iter_mut().enumerate().for_each(|(env, idle)| *idle = next_step && ended(env));
        self.take_in(out.observations, |_| true)?;
        if let Some(part) = &self.observations {
            let (columns, dim) = (self.observation_space.flat_dim(), out.final_observations.dim());
            let rows = buffer("final_observations", (n, columns), dim, out.final_observations.as_slice_mut())?;
            let last = rows.chunks_exact_mut(columns).enumerate().filter(|(env, _)| ended(*env));
            last.for_each(|(_, row)| part.apply(row));
        }
        Ok(())
    }

    fn action_masks(&self, masks: ArrayViewMut2<'_, bool>) -> Result<(), Error> {
        self.envs.action_masks(masks)
    }

    fn snapshot(&self) -> Snapshot {
        let observations = self.observations.as_ref().map(|part| part.statistics.clone());
        let rewards = self.rewards.as_ref().map(|part| (part.statistics.clone(), part.returns.clone()));
        let state: State = (observations, rewards, self.idle.clone());
        self.envs.snapshot().within(to_bytes(&state))
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let refuse = || Error::snapshot("the snapshot does not normalise what is normalised here");
        let (inner, state) = snapshot.unwrapped()?;
        let (observations, rewards, idle): State = from_bytes(state)?;
        if (observations.is_some(), rewards.is_some()) != (self.observations.is_some(), self.rewards.is_some()) {
            return Err(refuse());
        }
        let observations = self.observations.clone().zip(observations).map(|(part, statistics)| {
            let part = NormalizeObservation { statistics, ..part };
            part.check(self.observation_space.flat_dim()).map(|()| part)
        });
        let rewards = self.rewards.clone().zip(rewards).map(|(part, (statistics, returns))| {
            let part = NormalizeReward { statistics, returns, ..part };
            part.check(self.idle.len()).map(|()| part)
        });
        let (Ok(observations), Ok(rewards), true) =
            (observations.transpose(), rewards.transpose(), idle.len() == self.idle.len())
        else {
            return Err(refuse());
        };
        self.envs.restore(&inner)?;
        (self.observations, self.rewards, self.idle) = (observations, rewards, idle);
        Ok(())
    }

    fn render_ansi(&self, env: usize) -> Option<String> {
        self.envs.render_ansi(env)
    }

    fn render_rgb(&self, env: usize) -> Option<Frame> {
        self.envs.render_rgb(env)
    }
}

fn positive(name: &str, value: f64) -> Result<(), Error> {
    if value > 0.0 {
        return Ok(());
    }
    Err(Error::config(format!("{name}: expected a number above 0, got {value}")))
}
