//! A teacher in evaluation episodes: several policies that answer as one, or an expert, measured as it acts as a whole.

use crate::Teacher;
use apprentice_agents::{Behavior, Contender, EpisodeRunner, Error, Evaluation, EvaluationPlan, run_episodes_of};
use apprentice_deploy::{Action, Policy, ns_per_action};
use apprentice_envs::{EnvSpec, Registry, VectorEnv};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

/// What a policy takes; of several that answer as one, what they take together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Footprint {
    /// Weights and biases, or thresholds and leaves.
    pub parameters: usize,
    /// Size of the policy file.
    pub bytes: usize,
    /// Multiply-adds of an action; of a tree, comparisons.
    pub macs: usize,
    /// Nanoseconds an action takes on this machine, one observation at a time.
    pub ns_per_action: f64,
}

impl Footprint {
    /// That of some policies; None if there are none, as of a program.
    pub(crate) fn of(policies: &[&Policy]) -> Option<Self> {
        (!policies.is_empty()).then(|| Self {
            parameters: policies.iter().map(|policy| policy.parameters()).sum(),
            bytes: policies.iter().map(|policy| policy.bytes()).sum(),
            macs: policies.iter().map(|policy| policy.macs()).sum(),
            ns_per_action: policies.iter().map(|policy| ns_per_action(policy)).sum(),
        })
    }
}

/// Who is measured, in a number of episodes at a time.
pub(crate) fn contender<'t>(teacher: &'t mut Teacher<'_>, episodes: usize) -> Box<dyn Contender + 't> {
    // A policy alone is measured in its deployed form.
    match teacher.alone() {
        Some(policy) => Box::new(EpisodeRunner::new(policy, episodes)),
        None => {
            let memories = Array2::zeros((episodes, teacher.memory_len()));
            Box::new(Episodes { teacher, memories })
        }
    }
}

/// How a teacher fares in `env`.
pub(crate) fn evaluate_teacher(
    teacher: &mut Teacher<'_>,
    env: &EnvSpec,
    registry: &Registry,
    plan: &EvaluationPlan,
) -> Result<Evaluation, Error> {
    let mut envs = registry.make_vec(env, plan.episodes, plan.seed)?;
    run_episodes_of(&mut *contender(teacher, plan.episodes), &mut *envs, plan, |_, _, _, _| Ok(()))
}

/// A teacher with what it remembers of several episodes, `[episodes, memory]`.
struct Episodes<'t, 'a> {
    teacher: &'t mut Teacher<'a>,
    memories: Array2<f32>,
}

impl Contender for Episodes<'_, '_> {
    fn action(&self) -> &Action {
        self.teacher.action()
    }

    fn masked(&self) -> bool {
        self.teacher.masked()
    }

    fn check(&self, envs: &dyn VectorEnv) -> Result<(), Error> {
        self.teacher.check(envs)
    }

    fn decide(
        &mut self,
        episode: usize,
        observation: &[f32],
        mask: Option<&[bool]>,
        draws: Option<&[f64]>,
        action: &mut [f32],
    ) -> Result<(), Error> {
        let params = self.params(episode, observation, mask)?;
        match draws {
            None => self.teacher.distribution().mode(&params, action),
            Some(draws) => self.teacher.distribution().sample(&params, draws, action),
        }
        self.teacher.action().bound(action);
        Ok(())
    }

    fn explain(
        &mut self,
        episode: usize,
        observation: &[f32],
        mask: Option<&[bool]>,
        action: &mut [f32],
    ) -> Result<Vec<f32>, Error> {
        let params = self.params(episode, observation, mask)?;
        self.teacher.distribution().mode(&params, action);
        self.teacher.action().bound(action);
        Ok(params)
    }
}

impl Episodes<'_, '_> {
    fn params(&mut self, episode: usize, observation: &[f32], mask: Option<&[bool]>) -> Result<Vec<f32>, Error> {
        let observation = ArrayView2::from_shape((1, observation.len()), observation).expect("one row");
        let mut params = Array2::zeros((1, self.teacher.distribution().num_params()));
        let memory = self.memories.slice_mut(ndarray::s![episode..=episode, ..]);
        let masks = mask.map(|mask| ArrayView2::from_shape((1, mask.len()), mask).expect("one row"));
        self.teacher.params(observation, masks, memory, params.view_mut())?;
        let mut params = params.into_raw_vec_and_offset().0;
        if let Some(mask) = mask {
            let distribution = self.teacher.distribution();
            distribution.mask(&mut params, mask);
            distribution.normalize(&mut params);
        }
        Ok(params)
    }
}
