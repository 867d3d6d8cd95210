//! Evaluation of a deployed policy on episodes it was never trained on.

use crate::rollout::fill_draws;
use crate::{Actor, Error, check, ci95, mean, policy_action, std};
use apprentice_deploy::{Action, Bounding, EnvironmentRef, Features, Policy, Runner};
use apprentice_envs::{
    DynEnv, Element, EnvSpec, EpisodeStatistics, Frame, Generator, Registry, Space, StepBuffer, VectorEnv,
};
use ndarray::Array2;
use rand_distr::{Distribution, Normal};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

/// The seed of the first evaluation episode; episode i has this plus i.
///
/// Training seeds count up from the seed a person gives, so seeds that begin with the bytes "EVAL" are ones that
/// nobody trains on.
pub const EVALUATION_SEED: u64 = 0x4556_414c_0000_0000;

/// The seed of the first episode that a policy is judged on while it is trained, with the bytes "CHOI": whoever picks
/// the best of several policies on some episodes must not report it on the same ones.
pub const SELECTION_SEED: u64 = 0x4348_4f49_0000_0000;

/// How to evaluate.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationPlan {
    /// Episodes, at least 1.
    pub episodes: usize,
    /// Seed of the first episode; episode i has `seed + i`.
    pub seed: u64,
    /// Sample actions from the policy's distribution rather than take the most probable one.
    pub sampled: bool,
    /// Standard deviation σ of Gaussian noise on every real number of an observation, in its own units. An integer is
    /// instead replaced, with probability σ, by one drawn uniformly.
    pub noise: f64,
    /// How often an action is replaced by a random one, from 0 to 1.
    pub action_noise: f64,
    /// The place in the flat observation of a sensor that always says 0.
    pub dropped_sensor: Option<usize>,
    /// An episode that does not end within this many steps is cut there and counted with what it has earned: without a
    /// time limit a policy may act for ever.
    pub max_steps: u32,
}

impl Default for EvaluationPlan {
    fn default() -> Self {
        Self {
            episodes: 100,
            seed: EVALUATION_SEED,
            sampled: false,
            noise: 0.0,
            action_noise: 0.0,
            dropped_sensor: None,
            max_steps: 10_000,
        }
    }
}

/// The returns of evaluation episodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Undiscounted return of every episode, in the order of their seeds.
    pub returns: Vec<f64>,
    /// Steps of every episode.
    pub lengths: Vec<u32>,
    /// Episodes that had not ended after [`max_steps`](EvaluationPlan::max_steps), and count with what they had earned.
    pub unfinished: usize,
}

impl Evaluation {
    /// The mean return.
    pub fn mean(&self) -> f64 {
        mean(&self.returns)
    }

    /// The standard deviation of the returns (n − 1); 0 for a single episode.
    pub fn std(&self) -> f64 {
        std(&self.returns)
    }

    /// A 95 % interval for the mean return, by [bootstrap](ci95).
    pub fn ci95(&self) -> [f64; 2] {
        ci95(&self.returns, mean)
    }
}

/// Runs `policy` in the environment it was made for, or in `env` if that is given.
///
/// # Errors
/// If the environment is unknown or the policy cannot act in it.
pub fn evaluate(
    policy: &Policy,
    env: Option<&EnvSpec>,
    registry: &Registry,
    plan: &EvaluationPlan,
) -> Result<Evaluation, Error> {
    let spec = env.map_or_else(|| policy_env(policy), |env| Ok(env.clone()))?;
    let mut envs = registry.make_vec(spec, plan.episodes, plan.seed)?;
    evaluate_in(policy, &mut *envs, plan)
}

/// Runs `policy` for one episode in each environment of a batch.
///
/// # Errors
/// If the policy cannot act in the environment.
pub fn evaluate_in(policy: &Policy, envs: &mut dyn VectorEnv, plan: &EvaluationPlan) -> Result<Evaluation, Error> {
    run_episodes(policy, envs, plan, |_, _, _, _| Ok(()))
}

/// Runs `policy` for one episode in each environment of a batch, and shows `watch` in every step of every episode the index
/// of the environment, the flat observation as it gave it, the mask if the policy asks for it, and the flat action that the
/// policy took.
///
/// # Errors
/// If the policy cannot act in the environment, or `watch` fails.
pub fn run_episodes(
    policy: &Policy,
    envs: &mut dyn VectorEnv,
    plan: &EvaluationPlan,
    watch: impl FnMut(usize, &[f32], Option<&[bool]>, &[f32]) -> Result<(), Error>,
) -> Result<Evaluation, Error> {
    run_episodes_of(&mut EpisodeRunner::new(policy, envs.num_envs()), envs, plan, watch)
}

/// Whoever acts in several episodes at a time, with a memory for each: a policy, or anyone else who can be evaluated like one.
pub trait Contender {
    /// What it chooses from.
    fn action(&self) -> &Action;

    /// Whether it has to be told which choices are allowed.
    fn masked(&self) -> bool;

    /// Refuses environments that it cannot act in.
    ///
    /// # Errors
    /// If it cannot.
    fn check(&self, envs: &dyn VectorEnv) -> Result<(), Error>;

    /// Writes the flat action for a flat observation of an episode: the most probable one, or with `draws` a sampled one.
    ///
    /// # Errors
    /// If it has no finite answer.
    fn decide(
        &mut self,
        episode: usize,
        observation: &[f32],
        mask: Option<&[bool]>,
        draws: Option<&[f64]>,
        action: &mut [f32],
    ) -> Result<(), Error>;

    /// Writes the most probable action and returns the parameters of the distribution that it is one of.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    fn explain(
        &mut self,
        episode: usize,
        observation: &[f32],
        mask: Option<&[bool]>,
        action: &mut [f32],
    ) -> Result<Vec<f32>, Error>;
}

/// Does for anyone what [`run_episodes`] does for a policy.
///
/// # Errors
/// As there.
pub fn run_episodes_of(
    contender: &mut dyn Contender,
    envs: &mut dyn VectorEnv,
    plan: &EvaluationPlan,
    mut watch: impl FnMut(usize, &[f32], Option<&[bool]>, &[f32]) -> Result<(), Error>,
) -> Result<Evaluation, Error> {
    contender.check(envs)?;
    let noise = Noise::new(plan.noise, envs.observation_space())?;
    check("action_noise", plan.action_noise, (0.0..=1.0).contains(&plan.action_noise), "a number between 0 and 1")?;
    let actions = envs.action_space().clone();
    let mut seen = vec![0.0; envs.observation_space().flat_dim()];
    let (mut draws, distribution) = (vec![0.0; contender.action().dim()], contender.action().distribution());
    episodes(envs, plan, contender.masked(), |env, observation, mask, rng, action| {
        seen.copy_from_slice(observation);
        noise.apply(&mut seen, rng);
        if let Some(sensor) = plan.dropped_sensor.and_then(|sensor| seen.get_mut(sensor)) {
            *sensor = 0.0;
        }
        if plan.sampled {
            fill_draws(&distribution, rng, &mut draws);
        }
        contender.decide(env, &seen, mask, plan.sampled.then_some(&draws), action)?;
        if plan.action_noise > 0.0 && rng.random() < plan.action_noise {
            match mask {
                Some(mask) => random_choices(contender.action(), mask, rng, action),
                None => actions.sample(rng).write_flat(action),
            }
        }
        watch(env, observation, mask, action)
    })
}

/// One runner of a policy for several episodes at a time, each with a memory of its own.
pub struct EpisodeRunner<'a> {
    policy: &'a Policy,
    runner: Runner<'a>,
    /// `[episodes, memory]`.
    memories: Array2<f32>,
}

impl<'a> EpisodeRunner<'a> {
    /// At the beginning of all `episodes`.
    pub fn new(policy: &'a Policy, episodes: usize) -> Self {
        Self { policy, runner: policy.runner(), memories: Array2::zeros((episodes, policy.memory_len())) }
    }

    /// Runs the policy with what it remembers of an episode.
    pub fn in_episode<R>(&mut self, episode: usize, run: impl FnOnce(&mut Runner<'a>) -> R) -> R {
        let mut memory = self.memories.row_mut(episode);
        let memory = memory.as_slice_mut().expect("rows are contiguous");
        self.runner.memory().copy_from_slice(memory);
        let result = run(&mut self.runner);
        memory.copy_from_slice(self.runner.memory());
        result
    }
}

impl Contender for EpisodeRunner<'_> {
    fn action(&self) -> &Action {
        &self.policy.header().action
    }

    fn masked(&self) -> bool {
        self.policy.header().masked
    }

    fn check(&self, envs: &dyn VectorEnv) -> Result<(), Error> {
        check_fit(self.policy, envs.observation_space(), envs.action_space())
    }

    fn decide(
        &mut self,
        episode: usize,
        observation: &[f32],
        mask: Option<&[bool]>,
        draws: Option<&[f64]>,
        action: &mut [f32],
    ) -> Result<(), Error> {
        self.in_episode(episode, |runner| {
            action.copy_from_slice(runner.decide(observation, mask, draws)?);
            Ok(())
        })
    }

    fn explain(
        &mut self,
        episode: usize,
        observation: &[f32],
        mask: Option<&[bool]>,
        action: &mut [f32],
    ) -> Result<Vec<f32>, Error> {
        self.in_episode(episode, |runner| {
            let before = runner.memory().to_vec();
            let params = runner.params(observation)?.to_vec();
            // Once more from the same memory, which ends up the same.
            runner.memory().copy_from_slice(&before);
            action.copy_from_slice(runner.decide(observation, mask, None)?);
            Ok(params)
        })
    }
}

/// Draws each choice uniformly from those that are allowed.
fn random_choices(action: &Action, mask: &[bool], rng: &mut Generator, to: &mut [f32]) {
    let starts = match action {
        Action::Discrete { start, .. } => std::slice::from_ref(start),
        Action::MultiDiscrete { start, .. } => &start[..],
        Action::Box { .. } => unreachable!("real numbers have no mask"),
    };
    for ((range, start), to) in action.distribution().choices().zip(starts).zip(to) {
        let allowed: Vec<usize> = (0..range.len()).filter(|i| mask[range.start + i]).collect();
        if !allowed.is_empty() {
            let choice = allowed[rng.integers(allowed.len() as u32) as usize];
            *to = (start + choice as i64) as f32;
        }
    }
}

/// The returns of uniformly random actions: samples of the action space.
///
/// # Errors
/// If the environment fails.
pub fn evaluate_random(envs: &mut dyn VectorEnv, plan: &EvaluationPlan) -> Result<Evaluation, Error> {
    let space = envs.action_space().clone();
    episodes(envs, plan, false, |_, _, _, rng, action| {
        space.sample(rng).write_flat(action);
        Ok(())
    })
}

/// Runs one episode in each environment of a batch. `act` writes the flat action of an environment, by its index, for a flat
/// observation and, if it is `masked`, a mask; it draws from the generator of that episode.
///
/// # Errors
/// If the environment or `act` fails.
pub fn episodes(
    envs: &mut dyn VectorEnv,
    plan: &EvaluationPlan,
    masked: bool,
    mut act: impl FnMut(usize, &[f32], Option<&[bool]>, &mut Generator, &mut [f32]) -> Result<(), Error>,
) -> Result<Evaluation, Error> {
    let episodes = envs.num_envs();
    // Draws of the evaluation itself, in streams that the environments do not have.
    let stream = |i| Generator::stream(plan.seed.wrapping_add(i), 1);
    let mut rngs: Vec<Generator> = (0..episodes as u64).map(stream).collect();
    let mut step = StepBuffer::new(envs);
    // An environment whose episode is over goes on with the next one, repeating its last action; nobody looks at it.
    let mut actions = Array2::zeros((episodes, envs.action_space().flat_dim()));
    let mut masks = masked.then(|| Array2::from_elem((episodes, envs.action_space().feature_dim()), true));
    let mut statistics = EpisodeStatistics::new(episodes);
    let mut first: Vec<Option<(f64, u32)>> = vec![None; episodes];

    envs.reset(Some(plan.seed), step.observations.view_mut())?;
    for _ in 0..plan.max_steps {
        if let Some(masks) = &mut masks {
            envs.action_masks(masks.view_mut())?;
        }
        for env in (0..episodes).filter(|&env| first[env].is_none()) {
            let observation = step.observations.row(env);
            let mask = masks.as_ref().map(|masks| masks.row(env));
            let mask = mask.as_ref().map(|mask| mask.as_slice().expect("the rows of a buffer are contiguous"));
            act(
                env,
                observation.as_slice().expect("the rows of a buffer are contiguous"),
                mask,
                &mut rngs[env],
                actions.row_mut(env).as_slice_mut().expect("the rows of a buffer are contiguous"),
            )?;
        }
        envs.step(actions.view(), step.view_mut())?;
        for episode in statistics.record(&step) {
            first[episode.env].get_or_insert((episode.episodic_return, episode.length));
        }
        if first.iter().all(Option::is_some) {
            break;
        }
    }
    let unfinished = first.iter().filter(|episode| episode.is_none()).count();
    let running = (0..episodes).map(|env| statistics.running(env));
    let (returns, lengths) = first.into_iter().zip(running).map(|(ended, so_far)| ended.unwrap_or(so_far)).unzip();
    Ok(Evaluation { returns, lengths, unfinished })
}

/// A picture of the environment after `steps` steps of `policy`, or at the end of the episode if that comes first.
/// None if the environment does not draw itself.
///
/// # Errors
/// If the policy cannot act in the environment.
pub(crate) fn snapshot(policy: &Policy, env: &mut dyn DynEnv, seed: u64, steps: u32) -> Result<Option<Frame>, Error> {
    let mut actor = Actor::new(policy, env)?;
    let mut observation = env.reset(Some(seed))?;
    for _ in 0..steps {
        let step = env.step(&actor.act(env, &observation)?)?;
        observation = step.observation.clone();
        if step.done() {
            break;
        }
    }
    Ok(env.render_rgb())
}

/// The environment that a policy was made for.
///
/// # Errors
/// If its parameters are not a JSON object, or its wrappers not ones that there are.
pub fn policy_env(policy: &Policy) -> Result<EnvSpec, Error> {
    let EnvironmentRef { id, kwargs, max_episode_steps, wrappers } = policy.header().environment.clone();
    let refuse =
        |what: &str, json: &Json, e| Error::environment(format!("the policy names {id} with {what} {json}: {e}"));
    Ok(EnvSpec {
        kwargs: read_or_default(&kwargs).map_err(|e| refuse("parameters", &kwargs, e))?,
        wrappers: read_or_default(&wrappers).map_err(|e| refuse("wrappers", &wrappers, e))?,
        id,
        max_episode_steps,
    })
}

/// How a policy that was made for `env` names it: what [`policy_env`] reads.
pub fn environment_ref(env: &EnvSpec) -> EnvironmentRef {
    let wrappers = match env.wrappers[..] {
        [] => Json::Null,
        _ => serde_json::to_value(&env.wrappers).expect("wrappers are plain data"),
    };
    let EnvSpec { id, kwargs, max_episode_steps, .. } = env.clone();
    EnvironmentRef { id, kwargs: kwargs.into(), max_episode_steps, wrappers }
}

fn read_or_default<T: DeserializeOwned + Default>(json: &Json) -> Result<T, serde_json::Error> {
    if json.is_null() { Ok(T::default()) } else { T::deserialize(json) }
}

/// Refuses a policy whose observations or actions are not those of an environment.
///
/// # Errors
/// If they differ.
pub fn check_fit(policy: &Policy, observation_space: &Space, action_space: &Space) -> Result<(), Error> {
    let header = policy.header();
    let expected = features(observation_space);
    let (bounding, log_std) = match &header.action {
        Action::Box { bounding, log_std, .. } => (*bounding, log_std.clone()),
        _ => (Bounding::Clip, None),
    };
    let fits = policy_action(action_space, bounding, log_std).is_ok_and(|action| action == header.action);
    if header.observation == expected && fits {
        return Ok(());
    }
    let wrappers = match &header.environment.wrappers {
        Json::Null => String::new(),
        wrappers => format!(" within the wrappers {wrappers}"),
    };
    Err(Error::environment(format!(
        "the policy was made for {}{wrappers}: it takes {} and gives {}, but the environment here has observations of \
         {observation_space} and actions of {action_space}; give the policy of this environment, or its wrappers",
        header.environment.id, header.observation, header.action
    )))
}

/// How a policy file names the observations of a space.
pub(crate) fn features(space: &Space) -> Features {
    match space {
        Space::Discrete { n, start } => Features::OneHot { n: *n as usize, start: *start },
        Space::Box { low, .. } => Features::Box { len: low.len() },
        Space::MultiBinary { .. } => Features::Box { len: space.flat_dim() },
        Space::MultiDiscrete { nvec, start } => {
            let part = |(n, start): (&u32, &i64)| Features::OneHot { n: *n as usize, start: *start };
            Features::Concat { parts: nvec.iter().zip(start).map(part).collect() }
        }
        Space::Tuple { spaces } => Features::Concat { parts: spaces.iter().map(features).collect() },
        Space::Dict { spaces } => Features::Concat { parts: spaces.values().map(features).collect() },
    }
}

/// Noise on observations.
struct Noise {
    sigma: f64,
    normal: Normal<f32>,
    /// Of every column of a flat row: the number of integers that it can be and the smallest, or None if it is real.
    columns: Vec<Option<(u32, i64)>>,
}

impl Noise {
    fn new(sigma: f64, space: &Space) -> Result<Self, Error> {
        if !(sigma >= 0.0 && (sigma as f32).is_finite()) {
            return Err(Error::config(format!("noise: expected a number of 0 or more, got {sigma}")));
        }
        let normal = Normal::new(0.0, sigma as f32).expect("σ is finite and not negative");
        Ok(Self { sigma, normal, columns: columns_of(space) })
    }

    fn apply(&self, observation: &mut [f32], rng: &mut Generator) {
        if self.sigma == 0.0 {
            return;
        }
        for (x, column) in observation.iter_mut().zip(&self.columns) {
            match column {
                None => *x += self.normal.sample(rng),
                Some((n, start)) if rng.random() < self.sigma => *x = (start + i64::from(rng.integers(*n))) as f32,
                Some(_) => {}
            }
        }
    }
}

/// Of every column of a flat row: how many integers it can be and the smallest, or None if it is real.
pub(crate) fn columns_of(space: &Space) -> Vec<Option<(u32, i64)>> {
    match space {
        Space::Discrete { n, start } => vec![Some((*n, *start))],
        Space::Box { low, .. } => vec![None; low.len()],
        Space::MultiBinary { .. } => vec![Some((2, 0)); space.flat_dim()],
        Space::MultiDiscrete { nvec, start } => nvec.iter().copied().zip(start.iter().copied()).map(Some).collect(),
        Space::Tuple { spaces } => spaces.iter().flat_map(columns_of).collect(),
        Space::Dict { spaces } => spaces.values().flat_map(columns_of).collect(),
    }
}
