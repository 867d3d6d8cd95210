//! Rollouts: T steps of N environments, and who acts in them.

use crate::evaluate::columns_of;
use crate::{Error, Samples};
use apprentice_deploy::{Action, Distribution};
use apprentice_envs::wrappers::NormalizeReward;
use apprentice_envs::{Episode, EpisodeStatistics, Generator, Snapshot, StepBuffer, VectorEnv};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayViewMut2, Axis};
use serde::{Deserialize, Serialize};

/// Whoever chooses the actions of a rollout.
pub trait Behavior {
    /// How many numbers it remembers of an episode: zeros at its beginning, kept by whoever asks. 0 if it looks at the
    /// observation alone.
    fn memory_len(&self) -> usize {
        0
    }

    /// The parameters of the distributions of actions: flat observations `[N, flat_dim]` → `params` `[N, params]`. `memory`
    /// `[N, memory]` becomes what it remembers now. `masks` `[N, params]` are the choices that are allowed, if it is known;
    /// whoever asks forbids the others in the answer, so that only one who puts several answers together needs them.
    ///
    /// # Errors
    /// If it has no finite answer.
    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        masks: Option<ArrayView2<'_, bool>>,
        memory: ArrayViewMut2<'_, f32>,
        params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error>;

    /// The values of the states, or zeros from one who has no critic: `[N, flat_dim]` → `values` `[N]`. `memory` is what
    /// [`params`](Self::params) would be given.
    fn values(&mut self, observations: ArrayView2<'_, f32>, memory: ArrayView2<'_, f32>, values: &mut [f32]);
}

/// The samples of one rollout. Row t of every array belongs to the same step.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// `[T, N, flat_dim]`: the observations that were acted on.
    pub observations: Array3<f32>,
    /// `[T, N, memory]`: what was remembered before the step; without columns if nothing is.
    pub memory: Array3<f32>,
    /// `[T, N, components]`: the actions as they were drawn from the distribution.
    pub actions: Array3<f32>,
    /// `[T, N, params]`: the choices that were allowed; without columns if nobody asked.
    pub masks: Array3<bool>,
    /// `[T, N]`: their log-probabilities.
    pub log_probs: Array2<f32>,
    /// `[T, N]`: values of `observations`.
    pub values: Array2<f32>,
    /// `[T, N]`: rewards, normalised if they shall be.
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
    /// Room for `num_steps` steps of `num_envs` environments with observations of `flat_dim` columns and actions
    /// from `distribution`.
    pub fn new(num_steps: usize, num_envs: usize, flat_dim: usize, distribution: &Distribution) -> Self {
        let shape = (num_steps, num_envs);
        Self {
            observations: Array3::zeros((num_steps, num_envs, flat_dim)),
            memory: Array3::zeros((num_steps, num_envs, 0)),
            actions: Array3::zeros((num_steps, num_envs, distribution.dim())),
            masks: Array3::from_elem((num_steps, num_envs, 0), true),
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
        rows(&self.observations)
    }

    /// The choices that were allowed as T·N rows, if somebody asked.
    pub fn mask_rows(&self) -> Option<ArrayView2<'_, bool>> {
        (self.masks.dim().2 > 0).then(|| rows(&self.masks))
    }

    /// What was remembered before each step as T·N rows.
    pub fn memory_rows(&self) -> ArrayView2<'_, f32> {
        rows(&self.memory)
    }

    /// Asks for the values of all observations at once: nobody needs them before the last step.
    fn ask_for_values(&mut self, who: &mut dyn Behavior) {
        /// Rows that are asked for together: tensors of the hidden layers have no more.
        const ROWS: usize = 8192;
        let values = self.values.as_slice_mut().expect("a rollout is contiguous").chunks_mut(ROWS);
        let [observations, memory] = [&self.observations, &self.memory].map(rows);
        let rows = observations.axis_chunks_iter(Axis(0), ROWS).zip(memory.axis_chunks_iter(Axis(0), ROWS));
        rows.zip(values).for_each(|((observations, memory), values)| who.values(observations, memory, values));
    }

    /// Whether an episode begins with each sample, `[T·N]`. None does in the first step, where the memory is what it is:
    /// zeros if one begins.
    pub fn starts(&self) -> Vec<bool> {
        (0..self.rewards.len()).map(|row| self.starts_at(row)).collect()
    }

    fn starts_at(&self, row: usize) -> bool {
        let num_envs = self.rewards.ncols();
        let before = row.checked_sub(num_envs).map(|row| (row / num_envs, row % num_envs));
        before.is_some_and(|step| self.terminated[step] || self.truncated[step])
    }

    /// Picks samples; row t·N + n is step t of environment n, and where something is remembered they are sequences of
    /// `length` steps, as [`sequence_rows`](crate::sequence_rows) gives them. Advantages are normalised among those picked
    /// if `norm_adv`.
    pub fn samples(
        &self,
        advantages: &Array2<f32>,
        returns: &Array2<f32>,
        rows: &[usize],
        length: usize,
        norm_adv: bool,
    ) -> Samples {
        let mut samples = Samples::default();
        self.pick(advantages, returns, rows, length, norm_adv, &mut samples);
        samples
    }

    /// Does what [`samples`](Self::samples) does in the memory of earlier samples.
    pub(crate) fn pick(
        &self,
        advantages: &Array2<f32>,
        returns: &Array2<f32>,
        rows: &[usize],
        length: usize,
        norm_adv: bool,
        to: &mut Samples,
    ) {
        fn pick<T: Copy>(from: &Array2<T>, rows: &[usize], to: &mut Vec<T>) {
            let from = from.as_slice().expect("a rollout is contiguous");
            to.clear();
            to.extend(rows.iter().map(|&row| from[row]));
        }
        fn pick_rows<T: Copy>(from: &Array3<T>, rows: &[usize], to: &mut Array2<T>)
        where
            Array2<T>: Default,
        {
            let (from, width) = (from.as_slice().expect("a rollout is contiguous"), from.dim().2);
            let mut picked = std::mem::take(to).into_raw_vec_and_offset().0;
            picked.clear();
            rows.iter().for_each(|row| picked.extend_from_slice(&from[row * width..][..width]));
            *to = Array2::from_shape_vec((rows.len(), width), picked).expect("as many rows");
        }
        pick_rows(&self.observations, rows, &mut to.observations);
        pick_rows(&self.actions, rows, &mut to.actions);
        pick_rows(&self.masks, rows, &mut to.masks);
        pick(&self.log_probs, rows, &mut to.log_probs);
        pick(&self.values, rows, &mut to.values);
        pick(returns, rows, &mut to.returns);
        pick(advantages, rows, &mut to.advantages);
        if self.memory.dim().2 > 0 {
            pick_rows(&self.memory, &rows[..rows.len() / length], &mut to.memory);
            to.starts.clear();
            to.starts.extend(rows.iter().map(|&row| self.starts_at(row)));
        }
        if norm_adv {
            normalize_advantages(&mut to.advantages);
        }
    }
}

fn rows<T>(of: &Array3<T>) -> ArrayView2<'_, T> {
    let (num_steps, num_envs, width) = of.dim();
    of.view().into_shape_with_order((num_steps * num_envs, width)).expect("a rollout is contiguous")
}

/// Subtracts the mean and divides by the n − 1 standard deviation plus 1e-8. A single value has no deviation and is
/// left as it is.
pub fn normalize_advantages(values: &mut [f32]) {
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
pub struct CollectorState {
    /// `[N × flat_dim]`: the observations to act on next.
    observations: Vec<f32>,
    /// `[N × memory]`: what is remembered of the episodes so far.
    #[serde(default)]
    memory: Vec<f32>,
    statistics: EpisodeStatistics,
    action_rng: Generator,
    rewards: Option<NormalizeReward>,
    /// The environments; not serialised with the rest, since a snapshot has a format of its own.
    #[serde(skip)]
    pub envs: Snapshot,
}

/// Steps environments with sampled actions and keeps what happened.
pub struct Collector {
    envs: Box<dyn VectorEnv>,
    step: StepBuffer,
    statistics: EpisodeStatistics,
    rng: Generator,
    action: Action,
    distribution: Distribution,
    /// `[N, memory]`: what whoever acts remembers of the episodes so far.
    memory: Array2<f32>,
    actions: Array2<f32>,
    params: Array2<f32>,
    draws: Vec<f64>,
    /// The choices that are allowed, if the environments are asked.
    masks: Option<Array2<bool>>,
    rewards: Option<NormalizeReward>,
    /// Of every column of an observation: how many integers it can be and the smallest, or None if it is real.
    columns: Vec<Option<(u32, i64)>>,
}

impl Collector {
    /// Starts the episodes of `envs`; actions are those of `action`, sampled with `rng`.
    ///
    /// # Errors
    /// If the environments cannot be reset.
    pub fn new(mut envs: Box<dyn VectorEnv>, action: Action, rng: Generator) -> Result<Self, Error> {
        let mut step = StepBuffer::new(&*envs);
        envs.reset(None, step.observations.view_mut())?;
        let (num_envs, distribution) = (envs.num_envs(), action.distribution());
        let columns = columns_of(envs.observation_space());
        let collector = Self {
            statistics: EpisodeStatistics::new(num_envs),
            envs,
            step,
            rng,
            memory: Array2::zeros((num_envs, 0)),
            actions: Array2::zeros((num_envs, action.dim())),
            params: Array2::zeros((num_envs, distribution.num_params())),
            draws: vec![0.0; action.dim()],
            action,
            distribution,
            masks: None,
            rewards: None,
            columns,
        };
        (0..num_envs).try_for_each(|env| collector.check_observation(collector.step.observations.row(env)))?;
        Ok(collector)
    }

    /// Takes only actions that the environments' masks allow.
    ///
    /// # Errors
    /// If actions are not choices with a mask for each.
    pub fn mask_actions(mut self) -> Result<Self, Error> {
        let space = self.envs.action_space();
        let choices = self.distribution.choices().last().map_or(0, |range| range.end);
        if choices == 0 || choices != space.feature_dim() {
            return Err(Error::config(format!(
                "mask_actions: expected Discrete or MultiDiscrete actions, got {space}; switch it off"
            )));
        }
        self.masks = Some(Array2::from_elem(self.params.dim(), true));
        Ok(self)
    }

    /// Normalises the rewards of rollouts. Episodes count as the environments reward them all the same.
    pub fn normalize_rewards(mut self, rewards: NormalizeReward) -> Self {
        self.rewards = Some(rewards);
        self
    }

    /// The environments.
    pub fn envs(&self) -> &dyn VectorEnv {
        &*self.envs
    }

    /// The flat observations to act on next, `[N, flat_dim]`.
    pub fn observations(&self) -> ArrayView2<'_, f32> {
        self.step.observations.view()
    }

    /// Which choices are allowed next, `[N, choices]`, if the environments are asked.
    ///
    /// # Errors
    /// If an environment fails, or allows nothing.
    pub fn masks(&mut self) -> Result<Option<ArrayView2<'_, bool>>, Error> {
        let Some(masks) = &mut self.masks else { return Ok(None) };
        self.envs.action_masks(masks.view_mut())?;
        check_masks(&self.distribution, masks)?;
        Ok(Some(masks.view()))
    }

    /// What whoever acted last remembers of the episodes so far, `[N, memory]`.
    pub fn memory(&self) -> ArrayView2<'_, f32> {
        self.memory.view()
    }

    /// Where collecting stands, to go on from later.
    pub fn state(&self) -> CollectorState {
        CollectorState {
            observations: self.step.observations.iter().copied().collect(),
            memory: self.memory.iter().copied().collect(),
            statistics: self.statistics.clone(),
            action_rng: self.rng.clone(),
            rewards: self.rewards.clone(),
            envs: self.envs.snapshot(),
        }
    }

    /// Goes on from a state of a collector in the same environments.
    ///
    /// # Errors
    /// If it is one of other environments.
    pub fn restore(&mut self, state: CollectorState) -> Result<(), Error> {
        let CollectorState { observations, memory, statistics, action_rng, rewards, envs } = state;
        let shape = self.step.observations.dim();
        let fits = statistics.num_envs() == shape.0 && rewards.is_some() == self.rewards.is_some();
        let remembered = (shape.0, memory.len() / shape.0);
        let parts =
            Array2::from_shape_vec(shape, observations).ok().zip(Array2::from_shape_vec(remembered, memory).ok());
        let (observations, memory) = parts.filter(|_| fits).ok_or_else(|| {
            Error::corrupt("the checkpoint's episodes are not those of its environments; use another one")
        })?;
        self.envs.restore(&envs)?;
        (self.step.observations, self.memory) = (observations, memory);
        (self.statistics, self.rng) = (statistics, action_rng);
        self.rewards = rewards;
        Ok(())
    }

    /// Fills `rollout`, continuing the episodes where the last call left them. Returns the episodes that ended,
    /// each with the step t of the rollout in which it did.
    ///
    /// # Errors
    /// If the parameters of a distribution are not finite, or an environment fails.
    pub fn collect(&mut self, who: &mut dyn Behavior, rollout: &mut Rollout) -> Result<Vec<(usize, Episode)>, Error> {
        let mut ended = Vec::new();
        let (num_steps, num_envs) = rollout.rewards.dim();
        if let Some(masks) = &self.masks
            && rollout.masks.dim().2 == 0
        {
            rollout.masks = Array3::from_elem((num_steps, num_envs, masks.ncols()), true);
        }
        let remembered = who.memory_len();
        if self.memory.ncols() != remembered {
            self.memory = Array2::zeros((num_envs, remembered));
        }
        if rollout.memory.dim().2 != remembered {
            rollout.memory = Array3::zeros((num_steps, num_envs, remembered));
        }
        let idle = vec![false; num_envs];
        for t in 0..num_steps {
            rollout.observations.index_axis_mut(Axis(0), t).assign(&self.step.observations);
            rollout.memory.index_axis_mut(Axis(0), t).assign(&self.memory);
            if let Some(masks) = self.masks()? {
                rollout.masks.index_axis_mut(Axis(0), t).assign(&masks);
            }
            let masks = self.masks.as_ref().map(|masks| masks.view());
            who.params(self.step.observations.view(), masks, self.memory.view_mut(), self.params.view_mut())?;
            let mut actions = rollout.actions.index_axis_mut(Axis(0), t);
            for env in 0..num_envs {
                let mut action = actions.row_mut(env);
                rollout.log_probs[[t, env]] = self.draw(env, action.as_slice_mut().expect("rows are contiguous"))?;
            }

            self.envs.step(self.actions.view(), self.step.view_mut())?;
            self.check_step()?;
            ended.extend(self.statistics.record(&self.step).iter().map(|episode| (t, *episode)));
            if let Some(part) = &mut self.rewards {
                let StepBuffer { rewards, terminated, truncated, .. } = &mut self.step;
                let flags = (terminated.as_slice(), truncated.as_slice());
                let (Some(rewards), (Some(terminated), Some(truncated))) = (rewards.as_slice_mut(), flags) else {
                    unreachable!("buffers are contiguous")
                };
                part.apply(rewards, terminated, truncated, &idle);
            }
            rollout.rewards.row_mut(t).zip_mut_with(&self.step.rewards, |to, from| *to = *from as f32);
            rollout.terminated.row_mut(t).assign(&self.step.terminated);
            rollout.truncated.row_mut(t).assign(&self.step.truncated);
            self.bootstrap(who, rollout, t);
            self.forget();
        }
        rollout.ask_for_values(who);
        let last_values = rollout.last_values.as_slice_mut().expect("values are contiguous");
        who.values(self.step.observations.view(), self.memory.view(), last_values);
        Ok(ended)
    }

    /// Nothing of an episode that has ended is remembered in the next one.
    fn forget(&mut self) {
        if self.memory.ncols() > 0 {
            let ended = self.step.terminated.iter().zip(&self.step.truncated).map(|(a, b)| *a || *b);
            let rows = self.memory.rows_mut().into_iter().zip(ended).filter(|(_, ended)| *ended);
            rows.for_each(|(mut row, _)| row.fill(0.0));
        }
    }

    /// Draws the action of environment `env` from its distribution; returns its log-probability.
    fn draw(&mut self, env: usize, action: &mut [f32]) -> Result<f32, Error> {
        let mut params = self.params.row_mut(env);
        let params = params.as_slice_mut().expect("rows are contiguous");
        if !params.iter().all(|param| param.is_finite()) {
            return Err(Error::diverged(format!(
                "the policy's outputs are not finite ({params:?}): training diverged; try a smaller learning_rate"
            )));
        }
        if let Some(masks) = &self.masks {
            let mask = masks.row(env);
            self.distribution.mask(params, mask.as_slice().expect("rows are contiguous"));
        }
        self.distribution.normalize(params);
        fill_draws(&self.distribution, &mut self.rng, &mut self.draws);
        self.distribution.sample(params, &self.draws, action);
        let mut bounded = self.actions.row_mut(env);
        let bounded = bounded.as_slice_mut().expect("rows are contiguous");
        bounded.copy_from_slice(action);
        self.action.bound(bounded);
        Ok(self.distribution.log_prob(params, action))
    }

    /// An environment that returns nonsense is not the policy's fault, and is named before it can look like that.
    fn check_step(&self) -> Result<(), Error> {
        let ended = |env: usize| self.step.terminated[env] || self.step.truncated[env];
        for (env, reward) in self.step.rewards.iter().enumerate() {
            if !(*reward as f32).is_finite() {
                return Err(Error::failed(format!(
                    "the environment gave the reward {reward}: expected a finite f32; look at its parameters"
                )));
            }
            let last = ended(env).then(|| self.step.final_observations.row(env));
            for observation in last.into_iter().chain([self.step.observations.row(env)]) {
                self.check_observation(observation)?;
            }
        }
        Ok(())
    }

    fn check_observation(&self, observation: ArrayView1<'_, f32>) -> Result<(), Error> {
        let sound = |(x, column): (&f32, &Option<(u32, i64)>)| match column {
            None => x.is_finite(),
            Some((n, start)) => x.fract() == 0.0 && (0.0..*n as f32).contains(&(x - *start as f32)),
        };
        if observation.iter().zip(&self.columns).all(sound) {
            return Ok(());
        }
        Err(Error::failed(format!(
            "the environment gave the observation {observation}, which is not finite or not in its observation space {}; \
             look at its parameters",
            self.envs.observation_space()
        )))
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
        let [observations, memory] =
            [&self.step.final_observations, &self.memory].map(|rows| rows.select(Axis(0), &cut));
        who.values(observations.view(), memory.view(), &mut values);
        for (env, value) in cut.into_iter().zip(values) {
            rollout.final_values[[t, env]] = value;
        }
    }
}

/// Refuses masks that leave an environment nothing to choose.
fn check_masks(distribution: &Distribution, masks: &Array2<bool>) -> Result<(), Error> {
    for (env, mask) in masks.rows().into_iter().enumerate() {
        if let Some(range) = distribution.choices().find(|range| !range.clone().any(|choice| mask[choice])) {
            return Err(Error::failed(format!(
                "the action mask of environment {env} allows none of {} choices: expected at least one; see its action_mask",
                range.len()
            )));
        }
    }
    Ok(())
}

/// Draws what sampling an action takes: a number for each of its components.
pub(crate) fn fill_draws(distribution: &Distribution, rng: &mut Generator, draws: &mut [f64]) {
    match distribution {
        Distribution::Categorical { .. } => draws.iter_mut().for_each(|draw| *draw = rng.random()),
        Distribution::Gaussian { .. } => draws.iter_mut().for_each(|draw| *draw = rng.standard_normal()),
    }
}
