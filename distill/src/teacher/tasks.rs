//! Several tasks with spaces of their own: what of a student of all of them belongs to which.

use apprentice_agents::{Error, policy_env};
use apprentice_deploy::{Action, Features, Input, Normalizer, Policy};
use apprentice_envs::EnvSpec;
use apprentice_envs::wrappers::WrapperSpec;
use ndarray::ArrayView1;
use std::ops::Range;

/// Where a task's teacher finds its observation in that of the student, and its choices among the student's.
pub(crate) struct Task {
    inputs: Vec<Input>,
    features: Range<usize>,
    pub(crate) choices: Range<usize>,
}

/// The tasks of some policies, with everything that a student of them all needs: its environments, its actions, and the
/// eyes of its teachers side by side.
pub(crate) struct Tasks {
    pub(crate) tasks: Vec<Task>,
    pub(crate) envs: Vec<EnvSpec>,
    pub(crate) action: Action,
    pub(crate) normalizer: Option<Normalizer>,
}

impl Tasks {
    /// # Errors
    /// If a policy does not choose among the actions of a `Discrete`, or names an environment that cannot be.
    pub(crate) fn new(policies: &[&Policy]) -> Result<Self, Error> {
        let actions = policies.iter().map(|policy| match policy.header().action {
            Action::Discrete { n, .. } => Ok(n),
            ref other => Err(Error::config(format!(
                "tasks: expected teachers with Discrete actions, got one of {} with {other}; train it within \
                 DiscretizeAction",
                policy.header().environment.id
            ))),
        });
        let actions = actions.collect::<Result<Vec<usize>, _>>()?;
        let observations: Vec<usize> = policies.iter().map(|policy| policy.header().observation.len()).collect();
        let (mut tasks, mut envs) = (Vec::new(), Vec::new());
        let (mut feature, mut choice) = (policies.len(), 0);
        for (task, policy) in policies.iter().enumerate() {
            let mut env = policy_env(policy)?;
            env.wrappers.push(WrapperSpec::MultiTask {
                task,
                observations: observations.clone(),
                actions: actions.iter().map(|n| *n as u32).collect(),
            });
            envs.push(env);
            tasks.push(Task {
                inputs: policy.header().observation.inputs(),
                features: feature..feature + observations[task],
                choices: choice..choice + actions[task],
            });
            (feature, choice) = (feature + observations[task], choice + actions[task]);
        }
        let action = Action::Discrete { n: choice, start: 0 };
        Ok(Self { tasks, envs, action, normalizer: normalizer(policies) })
    }
}

/// The normalisers of all policies for their parts of an observation, if one of them has one. Nothing is clipped, since
/// what belongs to the others has no bounds.
fn normalizer(policies: &[&Policy]) -> Option<Normalizer> {
    let parts = || policies.iter().map(|policy| policy.header());
    parts().any(|header| header.normalizer.is_some()).then(|| {
        let width = |features: &Features| features.len();
        let column = |of: fn(&Normalizer) -> &Vec<f32>, neutral: f32| {
            let part = |header: &apprentice_deploy::Header| match &header.normalizer {
                Some(normalizer) => of(normalizer).clone(),
                None => vec![neutral; width(&header.observation)],
            };
            std::iter::repeat_n(neutral, policies.len()).chain(parts().flat_map(part)).collect::<Vec<f32>>()
        };
        Normalizer { mean: column(|n| &n.mean, 0.0), std: column(|n| &n.std, 1.0), clip: f32::MAX }
    })
}

impl Task {
    /// The task's own flat observation.
    pub(crate) fn observation(&self, seen: ArrayView1<'_, f32>) -> Vec<f32> {
        let mut features = seen.slice(ndarray::s![self.features.clone()]).to_vec();
        let mut flat = Vec::new();
        for input in &self.inputs {
            let rest = features.split_off(input.features());
            match input {
                Input::Real { .. } => flat.append(&mut features),
                Input::OneHot { start, .. } => {
                    let place = features.iter().position(|x| *x == 1.0).unwrap_or(0);
                    flat.push((start + place as i64) as f32);
                }
            }
            features = rest;
        }
        flat
    }
}
