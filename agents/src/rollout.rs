//! Rollouts: T steps of N environments, and who acts in them.

use crate::{Error, Samples};
use apprentice_deploy::{log_softmax, sample};
use apprentice_envs::{Episode, EpisodeStatistics, Generator, Snapshot, Space, StepBuffer, VectorEnv};
use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayViewMut2, Axis};
use serde::{Deserialize, Serialize};

/// Whoever chooses the actions of a rollout.
pub trait Behavior {
    /// The logits of the actions: flat observations `[N, flat_dim]` → `logits` `[N, actions]`.
    ///
    /// # Errors
    /// If it has no finite answer.
    fn logits(&mut self, observations: ArrayView2<'_, f32>, logits: ArrayViewMut2<'_, f32>) -> Result<(), Error>;

    /// The values of the states, or zeros from one who has no critic: `[N, flat_dim]` → `values` `[N]`.
    fn values(&mut self, observations: ArrayView2<'_, f32>, values: &mut [f32]);
}

/// The samples of one rollout. Row t of every array belongs to the same step.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// `[T, N, flat_dim]`: the observations that were acted on.
    pub observations: Array3<f32>,
    /// `[T, N]`: the actions taken, counted from 0.
    pub actions: Array2<usize>,
    /// `[T, N]`: their log-probabilities.
    pub log_probs: Array2<f32>,
    /// `[T, N]`: values of `observations`.
    pub values: Array2<f32>,
    /// `[T, N]`: rewards.
    pub rewards: Array2<f32>,
    /// `[T, N]`: episodes that ended by the rules of the task in this step.
    pub terminated: Array2<bool>,
    /// `[T, N]`: episodes that were cut off in this step.
    pub truncated: Array2<bool>,
    /// `[T, N]`: value of the final observation where an episode was truncated and not terminated, else 0.
    pub final_values: Array2<f32>,
    /// `[N]`: value of the observation after the last step.
    pub last_values: Array1<f32>,
}

impl Rollout {
    /// Room for `num_steps` steps of `num_envs` environments with observations of `flat_dim` columns.
    pub fn new(num_steps: usize, num_envs: usize, flat_dim: usize) -> Self {
        let shape = (num_steps, num_envs);
        Self {
            observations: Array3::zeros((num_steps, num_envs, flat_dim)),
            actions: Array2::zeros(shape),
            log_probs: Array2::zeros(shape),
            values: Array2::zeros(shape),
            rewards: Array2::zeros(shape),
            terminated: Array2::from_elem(shape, false),
            truncated: Array2::from_elem(shape, false),
            final_values: Array2::zeros(shape),
            last_values: Array1::zeros(num_envs),
        }
    }

    /// The observations as T·N rows.
    pub fn observation_rows(&self) -> ArrayView2<'_, f32> {
        let (num_steps, num_envs, flat_dim) = self.observations.dim();
        self.observations
            .view()
            .into_shape_with_order((num_steps * num_envs, flat_dim))
            .expect("a rollout is contiguous")
    }

    /// Picks samples; row t·N + n is step t of environment n. Advantages are normalised among those picked if
    /// `norm_adv`.
    pub fn samples(&self, advantages: &Array2<f32>, returns: &Array2<f32>, rows: &[usize], norm_adv: bool) -> Samples {
        let mut samples = Samples::default();
        self.pick(advantages, returns, rows, norm_adv, &mut samples);
        samples
    }

    /// Does what [`samples`](Self::samples) does in the memory of earlier samples.
    pub(crate) fn pick(
        &self,
        advantages: &Array2<f32>,
        returns: &Array2<f32>,
        rows: &[usize],
        norm_adv: bool,
        to: &mut Samples,
    ) {
        fn pick<T: Copy>(from: &Array2<T>, rows: &[usize], to: &mut Vec<T>) {
            let from = from.as_slice().expect("a rollout is contiguous");
            to.clear();
            to.extend(rows.iter().map(|&row| from[row]));
        }
        pick(&self.actions, rows, &mut to.actions);
        pick(&self.log_probs, rows, &mut to.log_probs);
        pick(&self.values, rows, &mut to.values);
        pick(returns, rows, &mut to.returns);
        pick(advantages, rows, &mut to.advantages);
        if norm_adv {
            normalize(&mut to.advantages);
        }
        let from = self.observations.as_slice().expect("a rollout is contiguous");
        let width = self.observations.dim().2;
        let mut observations = std::mem::take(&mut to.observations).into_raw_vec_and_offset().0;
        observations.clear();
        rows.iter().for_each(|row| observations.extend_from_slice(&from[row * width..][..width]));
        to.observations = Array2::from_shape_vec((rows.len(), width), observations).expect("as many rows");
    }
}

/// Subtracts the mean and divides by the n − 1 standard deviation plus 1e-8. A single value has no deviation and is
/// left as it is.
fn normalize(values: &mut [f32]) {
    let n = values.len() as f32;
    if n < 2.0 {
        return;
    }
    let mean = values.iter().sum::<f32>() / n;
    let std = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / (n - 1.0)).sqrt();
    values.iter_mut().for_each(|x| *x = (*x - mean) / (std + 1e-8));
}

/// Everything that the next rollout depends on beside the policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CollectorState {
    /// `[N × flat_dim]`: the observations to act on next.
    observations: Vec<f32>,
    statistics: EpisodeStatistics,
    action_rng: Generator,
    /// Stored in a section of its own.
    #[serde(skip)]
    pub(crate) envs: Snapshot,
}

/// Steps environments with sampled actions and keeps what happened.
pub struct Collector {
    envs: Box<dyn VectorEnv>,
    step: StepBuffer,
    statistics: EpisodeStatistics,
    rng: Generator,
    first_action: i64,
    actions: Array2<f32>,
    logits: Array2<f32>,
    log_probs: Vec<f32>,
}

impl Collector {
    /// Starts the episodes of `envs`; actions are sampled with `rng`.
    ///
    /// # Errors
    /// If the environment's actions are not `Discrete`.
    pub fn new(mut envs: Box<dyn VectorEnv>, rng: Generator) -> Result<Self, Error> {
        let (num_actions, first_action) = discrete_actions(envs.action_space())?;
        let mut step = StepBuffer::new(&*envs);
        envs.reset(None, step.observations.view_mut())?;
        let num_envs = envs.num_envs();
        Ok(Self {
            statistics: EpisodeStatistics::new(num_envs),
            envs,
            step,
            rng,
            first_action,
            actions: Array2::zeros((num_envs, 1)),
            logits: Array2::zeros((num_envs, num_actions)),
            log_probs: vec![0.0; num_actions],
        })
    }

    /// The environments.
    pub fn envs(&self) -> &dyn VectorEnv {
        &*self.envs
    }

    /// Where collecting stands, to go on from later.
    pub(crate) fn state(&self) -> CollectorState {
        CollectorState {
            observations: self.step.observations.iter().copied().collect(),
            statistics: self.statistics.clone(),
            action_rng: self.rng.clone(),
            envs: self.envs.snapshot(),
        }
    }

    /// Goes on from a state of a collector in the same environments.
    pub(crate) fn restore(&mut self, state: CollectorState) -> Result<(), Error> {
        let CollectorState { observations, statistics, action_rng, envs } = state;
        let shape = self.step.observations.dim();
        let fits = statistics.num_envs() == shape.0;
        let observations = Array2::from_shape_vec(shape, observations).ok().filter(|_| fits).ok_or_else(|| {
            Error::corrupt("the checkpoint's episodes are not those of its environments; use another one")
        })?;
        self.envs.restore(&envs)?;
        (self.step.observations, self.statistics, self.rng) = (observations, statistics, action_rng);
        Ok(())
    }

    /// Fills `rollout`, continuing the episodes where the last call left them. Returns the episodes that ended,
    /// each with the step t of the rollout in which it did.
    ///
    /// # Errors
    /// If the logits are not finite.
    pub fn collect(&mut self, who: &mut dyn Behavior, rollout: &mut Rollout) -> Result<Vec<(usize, Episode)>, Error> {
        let mut ended = Vec::new();
        for t in 0..rollout.rewards.nrows() {
            rollout.observations.index_axis_mut(Axis(0), t).assign(&self.step.observations);
            let mut values = rollout.values.row_mut(t);
            who.values(self.step.observations.view(), values.as_slice_mut().expect("rows are contiguous"));
            who.logits(self.step.observations.view(), self.logits.view_mut())?;
            for (env, logits) in self.logits.rows().into_iter().enumerate() {
                log_softmax(logits.as_slice().expect("rows are contiguous"), &mut self.log_probs);
                if !self.log_probs.iter().all(|log_prob| log_prob.is_finite()) {
                    return Err(Error::diverged(format!(
                        "the policy's logits are not finite ({logits}): training diverged; try a smaller learning_rate"
                    )));
                }
                let action = sample(&self.log_probs, self.rng.random());
                rollout.actions[[t, env]] = action;
                rollout.log_probs[[t, env]] = self.log_probs[action];
                self.actions[[env, 0]] = (self.first_action + action as i64) as f32;
            }

            self.envs.step(self.actions.view(), self.step.view_mut())?;
            self.check_step()?;
            rollout.rewards.row_mut(t).zip_mut_with(&self.step.rewards, |to, from| *to = *from as f32);
            rollout.terminated.row_mut(t).assign(&self.step.terminated);
            rollout.truncated.row_mut(t).assign(&self.step.truncated);
            self.bootstrap(who, rollout, t);
            ended.extend(self.statistics.record(&self.step).iter().map(|episode| (t, *episode)));
        }
        let last_values = rollout.last_values.as_slice_mut().expect("values are contiguous");
        who.values(self.step.observations.view(), last_values);
        Ok(ended)
    }

    /// An environment that returns nonsense is not the policy's fault, and is named before it can look like that.
    fn check_step(&self) -> Result<(), Error> {
        let ended = |env: usize| self.step.terminated[env] || self.step.truncated[env];
        for (env, reward) in self.step.rewards.iter().enumerate() {
            if !(*reward as f32).is_finite() {
                return Err(Error::environment(format!(
                    "the environment gave the reward {reward}: expected a finite f32; look at its parameters"
                )));
            }
            let last = ended(env).then(|| self.step.final_observations.row(env));
            for observation in last.into_iter().chain([self.step.observations.row(env)]) {
                if !observation.iter().all(|x| x.is_finite()) {
                    return Err(Error::environment(format!(
                        "the environment gave the observation {observation}, which is not finite; look at its parameters"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Asks for the values of the final observations of the episodes that were cut off in step t.
    fn bootstrap(&self, who: &mut dyn Behavior, rollout: &mut Rollout, t: usize) {
        rollout.final_values.row_mut(t).fill(0.0);
        let cut: Vec<usize> =
            (0..self.actions.nrows()).filter(|&env| self.step.truncated[env] && !self.step.terminated[env]).collect();
        if cut.is_empty() {
            return;
        }
        let mut values = vec![0.0; cut.len()];
        who.values(self.step.final_observations.select(Axis(0), &cut).view(), &mut values);
        for (env, value) in cut.into_iter().zip(values) {
            rollout.final_values[[t, env]] = value;
        }
    }
}

/// The number of actions and the first of them.
///
/// # Errors
/// If the space is not `Discrete`.
pub fn discrete_actions(space: &Space) -> Result<(usize, i64), Error> {
    match space {
        Space::Discrete { n, start } => Ok((*n as usize, *start)),
        other => Err(Error::config(format!(
            "the action space is {other}: expected Discrete, the only one PPO acts in so far"
        ))),
    }
}
