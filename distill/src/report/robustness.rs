//! How a policy fares where the world is not what it was trained in.

use super::contest::evaluate_teacher;
use crate::Teacher;
use apprentice_agents::{Error, EvaluationPlan, mean};
use apprentice_deploy::Policy;
use apprentice_envs::{EnvSpec, Registry, Space};
use serde::{Deserialize, Serialize};

/// The standard deviations of the observation noise that policies are tried with.
pub const NOISE_LEVELS: [f64; 4] = [0.0, 0.05, 0.1, 0.2];

/// How often actions are replaced by random ones.
pub const ACTION_NOISE_LEVELS: [f64; 4] = [0.0, 0.05, 0.1, 0.2];

/// What the parameters of the physics are multiplied by.
pub const PHYSICS_FACTORS: [f64; 4] = [0.5, 0.75, 1.25, 1.5];

/// Mean returns under disturbances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// By the standard deviation of Gaussian noise on every real number of an observation, in its own units; an integer
    /// is replaced by a random one so often.
    pub observation_noise: Vec<(f64, f64)>,
    /// By how often an action is replaced by a random one.
    pub action_noise: Vec<(f64, f64)>,
    /// By the place of a sensor that always says 0; only of environments whose observations are real numbers.
    pub dropped_sensors: Vec<(usize, f64)>,
    /// By the parameter and its value; only of environments that name their physics.
    pub physics: Vec<(String, f64, f64)>,
}

impl Robustness {
    /// Measures `policy` over the episodes of `plan` for each figure.
    ///
    /// # Errors
    /// If the environment is unknown or the policy cannot act in it.
    pub fn measure(policy: &Policy, env: &EnvSpec, registry: &Registry, plan: &EvaluationPlan) -> Result<Self, Error> {
        Self::of(&mut Teacher::policy(policy), env, registry, plan)
    }

    /// The same of anyone who acts.
    pub(crate) fn of(
        actor: &mut Teacher<'_>,
        env: &EnvSpec,
        registry: &Registry,
        plan: &EvaluationPlan,
    ) -> Result<Self, Error> {
        let mut run = |env: &EnvSpec, plan: EvaluationPlan| -> Result<f64, Error> {
            Ok(evaluate_teacher(actor, env, registry, &plan)?.mean())
        };
        let mut robustness = Self::default();
        let undisturbed = run(env, EvaluationPlan { noise: 0.0, action_noise: 0.0, ..plan.clone() })?;
        for noise in NOISE_LEVELS {
            let plan = EvaluationPlan { noise, ..plan.clone() };
            let mean = if noise == 0.0 { undisturbed } else { run(env, plan)? };
            robustness.observation_noise.push((noise, mean));
        }
        for action_noise in ACTION_NOISE_LEVELS {
            let plan = EvaluationPlan { action_noise, ..plan.clone() };
            let mean = if action_noise == 0.0 { undisturbed } else { run(env, plan)? };
            robustness.action_noise.push((action_noise, mean));
        }
        if let Space::Box { low, .. } = registry.make(env)?.observation_space() {
            for sensor in 0..low.len() {
                let mean = run(env, EvaluationPlan { dropped_sensor: Some(sensor), ..plan.clone() })?;
                robustness.dropped_sensors.push((sensor, mean));
            }
        }
        for (parameter, default) in &registry.info(&env.id)?.physics {
            let own = env.kwargs.get(parameter).and_then(serde_json::Value::as_f64).unwrap_or(*default);
            for factor in PHYSICS_FACTORS {
                let changed = env.clone().with(parameter, own * factor);
                robustness.physics.push((parameter.clone(), own * factor, run(&changed, plan.clone())?));
            }
        }
        Ok(robustness)
    }

    /// The means of several, figure by figure. Each has the same figures.
    pub(crate) fn average(all: &[Self]) -> Self {
        let Some(first) = all.first() else { return Self::default() };
        let over = |of: &dyn Fn(&Self) -> f64| mean(&all.iter().map(of).collect::<Vec<_>>());
        Self {
            observation_noise: (0..first.observation_noise.len())
                .map(|i| (first.observation_noise[i].0, over(&|r| r.observation_noise[i].1)))
                .collect(),
            action_noise: (0..first.action_noise.len())
                .map(|i| (first.action_noise[i].0, over(&|r| r.action_noise[i].1)))
                .collect(),
            dropped_sensors: (0..first.dropped_sensors.len())
                .map(|i| (first.dropped_sensors[i].0, over(&|r| r.dropped_sensors[i].1)))
                .collect(),
            physics: (0..first.physics.len())
                .map(|i| (first.physics[i].0.clone(), first.physics[i].1, over(&|r| r.physics[i].2)))
                .collect(),
        }
    }
}
