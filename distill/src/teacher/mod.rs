//! Teachers: whoever says what to do in a state.

mod expert;
mod features;
mod fusion;
mod program;
mod record;
mod tasks;

pub use expert::Expert;
pub use fusion::Fusion;
pub use program::Program;
pub use record::{TeacherRecord, Teaching, critic_checksum};

use crate::data::collect::teacher_env;
use apprentice_agents::{Behavior, Engine, Error, check_fit, policy_action, policy_env};
use apprentice_deploy::{Action, Bounding, Distribution, MASKED_LOGIT, Normalizer, Policy, Runner, TeacherRef};
use apprentice_envs::{EnvSpec, Registry, VectorEnv};
use expert::express;
use fusion::fuse;
use ndarray::{Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis};
use tasks::Tasks;

/// Someone to learn from: a policy, several of them, or anything else that knows an action for an observation.
///
/// A teacher answers with distributions of actions; whoever has only an action to give is as good as certain of it.
pub struct Teacher<'a> {
    source: Source<'a>,
    critic: Option<Box<dyn Engine>>,
    action: Action,
    distribution: Distribution,
}

enum Source<'a> {
    Policies {
        policies: Vec<&'a Policy>,
        runners: Vec<Runner<'a>>,
        /// Of each policy; they add up to 1.
        weights: Vec<f64>,
        /// The weights as they were given, if they were.
        given: Option<Vec<f64>>,
        fusion: Fusion,
    },
    /// One policy for each of as many parts of the environments, which are of equal size and side by side.
    Domains {
        policies: Vec<&'a Policy>,
        runners: Vec<Runner<'a>>,
        /// The environments that rows of observations come from, over and over.
        num_envs: usize,
        /// What is whose, where the spaces differ.
        tasks: Option<Tasks>,
        /// The one that all rows come from, if they do not come from all.
        only: Option<usize>,
    },
    Expert {
        act: Box<Expert<'a>>,
        /// Of a program.
        command: Option<String>,
    },
}

impl<'a> Teacher<'a> {
    /// A policy, its observation normaliser included.
    pub fn policy(policy: &'a Policy) -> Self {
        Self::of_policies(vec![policy], None, Fusion::Mixture)
    }

    /// Several policies for the same observations and actions, such as those of several seeds, who answer as one. They
    /// have a say according to their weights, all the same if none are given.
    ///
    /// # Errors
    /// If there are none, if they do not fit together, or if the weights are not a positive number for each.
    pub fn ensemble(policies: &[&'a Policy], weights: Option<&[f64]>, fusion: Fusion) -> Result<Self, Error> {
        let Some(first) = policies.first() else {
            return Err(Error::config("an ensemble of teachers: expected at least one policy, got none"));
        };
        let kind = |policy: &Policy| {
            let header = policy.header();
            let action = match header.action.clone() {
                Action::Box { low, high, bounding, .. } => Action::Box { low, high, bounding, log_std: None },
                other => other,
            };
            (header.observation.clone(), action, header.masked)
        };
        if let Some(other) = policies.iter().find(|policy| kind(policy) != kind(first)) {
            let (a, b) = (first.header(), other.header());
            return Err(Error::config(format!(
                "an ensemble of teachers: expected policies for the same observations and actions, got one of {} ({}, {}) and \
                 one of {} ({}, {}); for one student of several environments teach with --fusion tasks",
                a.environment.id, a.observation, a.action, b.environment.id, b.observation, b.action
            )));
        }
        let n = policies.len();
        let sound = |w: &[f64]| w.len() == n && w.iter().all(|w| *w > 0.0) && w.iter().sum::<f64>().is_finite();
        if let Some(weights) = weights.filter(|weights| !sound(weights)) {
            return Err(Error::config(format!("weights of teachers: expected {n} positive numbers, got {weights:?}")));
        }
        Ok(Self::of_policies(policies.to_vec(), weights.map(<[f64]>::to_vec), fusion))
    }

    fn of_policies(policies: Vec<&'a Policy>, given: Option<Vec<f64>>, fusion: Fusion) -> Self {
        let mut weights = given.clone().unwrap_or_else(|| vec![1.0; policies.len()]);
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let action = policies[0].header().action.clone();
        let runners = policies.iter().map(|policy| policy.runner()).collect();
        Self {
            distribution: action.distribution(),
            action,
            source: Source::Policies { policies, runners, weights, given, fusion },
            critic: None,
        }
    }

    /// Several policies that were made for variants of a task, such as different physics: each teaches in the environment
    /// that it was made for, and the student learns in all of them at once.
    ///
    /// # Errors
    /// If there are none, or they do not fit together.
    pub fn domains(policies: &[&'a Policy]) -> Result<Self, Error> {
        let teacher = Self::ensemble(policies, None, Fusion::Mixture)?;
        let Source::Policies { policies, runners, .. } = teacher.source else { unreachable!("an ensemble") };
        let num_envs = policies.len();
        Ok(Self { source: Source::Domains { policies, runners, num_envs, tasks: None, only: None }, ..teacher })
    }

    /// Several policies for tasks with spaces of their own, such as a pole and a car: each teaches in its environment, and
    /// the student learns in all of them at once. It sees every task within a
    /// [`MultiTask`](apprentice_envs::wrappers::WrapperSpec::MultiTask): with inputs and outputs of its own for each, and
    /// hidden layers for all.
    ///
    /// # Errors
    /// If there are none, or one of them has other actions than `Discrete` ones.
    pub fn tasks(policies: &[&'a Policy]) -> Result<Self, Error> {
        let tasks = Tasks::new(policies)?;
        if policies.is_empty() {
            return Err(Error::config("tasks: expected at least one teacher, got none"));
        }
        let runners = policies.iter().map(|policy| policy.runner()).collect();
        Ok(Self {
            action: tasks.action.clone(),
            distribution: tasks.action.distribution(),
            source: Source::Domains {
                policies: policies.to_vec(),
                runners,
                num_envs: policies.len(),
                tasks: Some(tasks),
                only: None,
            },
            critic: None,
        })
    }

    /// The variants, or the tasks, that the student learns in, each with an equal share of the environments; none if there is only one
    /// task.
    ///
    /// # Errors
    /// If a policy names an environment that cannot be.
    pub fn domain_envs(&self) -> Result<Vec<EnvSpec>, Error> {
        match &self.source {
            Source::Domains { tasks: Some(tasks), .. } => Ok(tasks.envs.clone()),
            Source::Domains { policies, .. } => policies.iter().map(|policy| policy_env(policy)).collect(),
            _ => Ok(Vec::new()),
        }
    }

    /// Those of the [variants](Self::domain_envs) that rows come from.
    pub(crate) fn domains_at_work(&self) -> Result<Vec<EnvSpec>, Error> {
        let all = self.domain_envs()?;
        Ok(match self.source {
            Source::Domains { only: Some(domain), .. } => vec![all[domain].clone()],
            _ => all,
        })
    }

    /// Says that all rows come from one domain, or from all of them.
    pub(crate) fn set_only(&mut self, domain: Option<usize>) {
        if let Source::Domains { only, .. } = &mut self.source {
            *only = domain;
        }
    }

    /// Says how many environments the rows of observations come from.
    pub(crate) fn set_num_envs(&mut self, n: usize) {
        if let Source::Domains { num_envs, .. } = &mut self.source {
            *num_envs = n;
        }
    }

    /// The same teacher with a critic, whose values can be distilled too.
    pub fn with_critic(mut self, critic: Box<dyn Engine>) -> Self {
        self.critic = Some(critic);
        self
    }

    /// The policies that answer; none if it is an expert.
    pub fn policies(&self) -> &[&'a Policy] {
        match &self.source {
            Source::Policies { policies, .. } | Source::Domains { policies, .. } => policies,
            Source::Expert { .. } => &[],
        }
    }

    /// The policy, if it is nothing but one.
    pub(crate) fn alone(&self) -> Option<&'a Policy> {
        match &self.source {
            Source::Policies { policies, .. } => <[&Policy; 1]>::try_from(&policies[..]).ok().map(|[policy]| policy),
            _ => None,
        }
    }

    /// The environment that the policy, or the first of several, was made for.
    ///
    /// # Errors
    /// If it is an expert, who knows none, or the policy names one that cannot be.
    pub fn env(&self) -> Result<EnvSpec, Error> {
        if let Some(tasks) = self.several_tasks() {
            return Ok(tasks.envs[0].clone());
        }
        let policy = self.policies().first().ok_or_else(|| {
            Error::config("env: an expert belongs to no environment; say which one the student shall learn in")
        })?;
        policy_env(policy)
    }

    /// The tasks of policies whose spaces differ.
    pub(crate) fn several_tasks(&self) -> Option<&Tasks> {
        match &self.source {
            Source::Domains { tasks, .. } => tasks.as_ref(),
            _ => None,
        }
    }

    /// What it chooses from.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// What its parameters stand for.
    pub fn distribution(&self) -> &Distribution {
        &self.distribution
    }

    /// Whether it has to be told which choices are allowed.
    pub fn masked(&self) -> bool {
        self.several_tasks().is_some() || self.policies().first().is_some_and(|policy| policy.header().masked)
    }

    /// Whether it knows the values of states.
    pub fn has_critic(&self) -> bool {
        self.critic.is_some()
    }

    /// How the policy, or the first of several, normalises observations.
    pub(crate) fn normalizer(&self) -> Option<Normalizer> {
        match self.several_tasks() {
            Some(tasks) => tasks.normalizer.clone(),
            None => self.policies().first()?.header().normalizer.clone(),
        }
    }

    /// How a student's file names its teacher.
    pub(crate) fn reference(&self) -> TeacherRef {
        let policies = self.policies();
        let fusion = match &self.source {
            Source::Policies { policies, fusion, .. } if policies.len() > 1 => format!("{fusion} of "),
            Source::Policies { .. } => String::new(),
            Source::Domains { tasks: Some(_), .. } => "tasks of ".to_owned(),
            Source::Domains { .. } => "domains of ".to_owned(),
            Source::Expert { .. } => "expert".to_owned(),
        };
        let list = |of: &dyn Fn(&Policy) -> String| policies.iter().map(|p| of(p)).collect::<Vec<_>>().join("+");
        TeacherRef {
            checksum: list(&|policy| policy.checksum()),
            algorithm: fusion + &list(&|policy| policy.header().provenance.algorithm.clone()),
            seed: policies.first().map_or(0, |policy| policy.header().provenance.seed),
        }
    }

    /// What it is made of, to be written down.
    pub fn record(&self) -> TeacherRecord {
        let (teaching, weights, command) = match &self.source {
            Source::Policies { fusion: Fusion::Mixture, given, .. } => (Teaching::Mixture, given.clone(), None),
            Source::Policies { fusion: Fusion::Product, given, .. } => (Teaching::Product, given.clone(), None),
            Source::Domains { tasks: None, .. } => (Teaching::Domains, None, None),
            Source::Domains { tasks: Some(_), .. } => (Teaching::Tasks, None, None),
            Source::Expert { command, .. } => (Teaching::Expert, None, command.clone()),
        };
        TeacherRecord {
            teaching,
            policies: self.policies().iter().map(|policy| policy.checksum()).collect(),
            weights,
            command,
            critic: self.critic.as_ref().map(|critic| critic_checksum(&critic.parameters())),
        }
    }

    /// What it sees of a student's `env` when both are measured: `given`, or what policies were made with.
    pub(crate) fn sees(&self, given: Option<&EnvSpec>, env: &EnvSpec, registry: &Registry) -> Result<EnvSpec, Error> {
        match (given, &self.source) {
            (_, Source::Domains { .. }) => Err(Error::config(
                "a report: expected a teacher of one task, got one of several domains or tasks; compare each of its policies with \
                 the student where that is at home",
            )),
            (Some(given), _) => Ok(given.clone()),
            (None, Source::Policies { policies, .. }) => teacher_env(policies[0], env, registry),
            (None, Source::Expert { .. }) => Ok(env.clone()),
        }
    }

    /// Refuses an environment that it cannot act in.
    pub(crate) fn check(&self, envs: &dyn VectorEnv) -> Result<(), Error> {
        let (observation, action) = (envs.observation_space(), envs.action_space());
        if self.several_tasks().is_none() {
            self.policies().iter().try_for_each(|policy| check_fit(policy, observation, action))?;
        }
        let log_std = match &self.action {
            Action::Box { log_std, .. } => log_std.clone(),
            _ => None,
        };
        let fits = |bounding| policy_action(action, bounding, log_std.clone()).is_ok_and(|it| it == self.action);
        match [Bounding::Clip, Bounding::Tanh].into_iter().any(fits) {
            true => Ok(()),
            false => Err(Error::environment(format!(
                "the teacher gives {}, but the environment takes {action}; give the environment that it was made for",
                self.action
            ))),
        }
    }

    /// Its distributions of actions by their parameters in normal form: flat observations `[B, flat_dim]`, and what it
    /// remembers before each, `[B, memory]` → `[B, params]`.
    ///
    /// # Errors
    /// If the outputs of a policy are not finite, or the expert does not know.
    pub(crate) fn labels(
        &mut self,
        observations: ArrayView2<'_, f32>,
        masks: Option<ArrayView2<'_, bool>>,
        memory: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>, Error> {
        let mut labels = Array2::zeros((observations.nrows(), self.distribution.num_params()));
        self.params(observations, masks, memory.to_owned().view_mut(), labels.view_mut())?;
        Ok(labels)
    }
}

impl<'a> From<&'a Policy> for Teacher<'a> {
    fn from(policy: &'a Policy) -> Self {
        Self::policy(policy)
    }
}

impl Behavior for Teacher<'_> {
    /// What each of several policies remembers, one after another; those of domains have the same place.
    fn memory_len(&self) -> usize {
        let each = self.policies().iter().map(|policy| policy.memory_len());
        match self.source {
            Source::Policies { .. } => each.sum(),
            Source::Domains { .. } => each.max().unwrap_or(0),
            Source::Expert { .. } => 0,
        }
    }

    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        masks: Option<ArrayView2<'_, bool>>,
        mut memory: ArrayViewMut2<'_, f32>,
        mut params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        let Self { source, action, distribution, .. } = self;
        let mut taken = vec![0.0; action.dim()];
        let rows = observations.rows().into_iter().zip(memory.rows_mut()).zip(params.rows_mut());
        for (i, ((observation, memory), mut row)) in rows.enumerate() {
            let row = row.as_slice_mut().expect("the rows of a buffer are contiguous");
            let copied;
            let observation = match observation.as_slice() {
                Some(observation) => observation,
                None => {
                    copied = observation.to_vec();
                    &copied
                }
            };
            match source {
                Source::Policies { runners, weights, fusion, .. } => match &mut runners[..] {
                    [runner] => row.copy_from_slice(&answer(runner, observation, memory)?),
                    runners => {
                        let (mut answers, mut rest) = (Vec::with_capacity(runners.len()), memory);
                        for runner in runners {
                            let (own, others) = rest.split_at(Axis(0), runner.memory().len());
                            let mut answer = answer(runner, observation, own)?;
                            // What it would do if it could does not take part: it has learnt nothing of that.
                            if let Some(masks) = masks {
                                distribution.mask(&mut answer, &masks.row(i).to_vec());
                            }
                            answers.push(answer);
                            rest = others;
                        }
                        fuse(*fusion, distribution, &mut answers, weights, row);
                    }
                },
                Source::Domains { runners, num_envs, tasks, only, .. } => {
                    let domain = only.unwrap_or(i % *num_envs * runners.len() / *num_envs);
                    let runner = &mut runners[domain];
                    let own = memory.split_at(Axis(0), runner.memory().len()).0;
                    match tasks {
                        None => row.copy_from_slice(&answer(runner, observation, own)?),
                        Some(Tasks { tasks, .. }) => {
                            let task = &tasks[domain];
                            row.fill(MASKED_LOGIT);
                            let seen = task.observation(observation.into());
                            row[task.choices.clone()].copy_from_slice(&answer(runner, &seen, own)?);
                        }
                    }
                }
                Source::Expert { act, .. } => {
                    act(observation, &mut taken)?;
                    express(action, distribution, &taken, row)?;
                }
            }
            distribution.normalize(row);
        }
        Ok(())
    }

    /// The critic's, or zeros.
    fn values(&mut self, observations: ArrayView2<'_, f32>, memory: ArrayView2<'_, f32>, values: &mut [f32]) {
        match &mut self.critic {
            Some(critic) => critic.values(observations, memory, values),
            None => values.fill(0.0),
        }
    }
}

/// What a policy puts out for an observation, and remembers then.
fn answer(runner: &mut Runner<'_>, observation: &[f32], mut memory: ArrayViewMut1<'_, f32>) -> Result<Vec<f32>, Error> {
    let (to, from) = (runner.memory().iter_mut(), memory.iter());
    to.zip(from).for_each(|(to, from)| *to = *from);
    let params = runner.params(observation)?.to_vec();
    memory.iter_mut().zip(runner.memory()).for_each(|(to, from)| *to = *from);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy that puts out the same whatever it sees.
    fn constant(bias: &[f32]) -> Policy {
        let header = apprentice_deploy::Header {
            environment: apprentice_agents::environment_ref(&EnvSpec::new("CartPole-v1")),
            observation: apprentice_deploy::Features::Box { len: 1 },
            normalizer: None,
            action: Action::Discrete { n: bias.len(), start: 0 },
            masked: false,
            provenance: apprentice_deploy::Provenance {
                role: String::new(),
                algorithm: String::new(),
                seed: 0,
                train_steps: 0,
                version: String::new(),
                config: serde_json::Value::Null,
                teacher: None,
            },
        };
        let activation = apprentice_deploy::Activation::Identity;
        let layer = apprentice_deploy::Layer { weight: vec![0.0; bias.len()], bias: bias.to_vec(), activation };
        Policy::new(header, vec![layer]).unwrap()
    }

    /// Of eight environments the first half are those of the first domain, step after step.
    #[test]
    fn each_domain_has_its_own_teacher() {
        let (left, right) = (constant(&[9.0, 0.0]), constant(&[0.0, 9.0]));
        let mut teacher = Teacher::domains(&[&left, &right]).unwrap();
        teacher.set_num_envs(8);
        let labels = teacher.labels(Array2::zeros((24, 1)).view(), None, Array2::zeros((24, 0)).view()).unwrap();
        let taught: Vec<bool> = labels.rows().into_iter().map(|label| label[1] > label[0]).collect();
        assert_eq!(taught, [[false; 4], [true; 4]].concat().repeat(3));
    }

    /// What one of them would like to do most counts for nothing where it is not allowed.
    #[test]
    fn several_teachers_answer_within_the_mask() {
        let (dreamer, other) = (constant(&[20.0, 1.0, 0.0]), constant(&[0.0, 0.0, 1.0]));
        let (observations, memory) = (Array2::zeros((1, 1)), Array2::zeros((1, 0)));
        let masks = ndarray::array![[false, true, true]];
        for fusion in [Fusion::Mixture, Fusion::Product] {
            let mut teacher = Teacher::ensemble(&[&dreamer, &other], None, fusion).unwrap();
            let label = teacher.labels(observations.view(), Some(masks.view()), memory.view()).unwrap();
            assert!((label[[0, 1]] - label[[0, 2]]).abs() < 1e-6, "{fusion}: {label}");
        }
    }
}
