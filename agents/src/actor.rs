//! A policy in a single environment.

use crate::{Error, check_fit, discrete_actions};
use apprentice_deploy::{Policy, Runner};
use apprentice_envs::{DynEnv, Element, Value};

/// Takes the most probable action of a policy, as an environment made by id wants it.
pub struct Actor<'a> {
    runner: Runner<'a>,
    first_action: i64,
    /// Scratch: the observation as a flat row.
    row: Vec<f32>,
}

impl<'a> Actor<'a> {
    /// Lets `policy` act in `env`.
    ///
    /// # Errors
    /// If the policy cannot act in the environment.
    pub fn new(policy: &'a Policy, env: &dyn DynEnv) -> Result<Self, Error> {
        check_fit(policy, env.observation_space(), env.action_space())?;
        let (_, first_action) = discrete_actions(env.action_space())?;
        Ok(Self { runner: policy.runner(), first_action, row: vec![0.0; env.observation_space().flat_dim()] })
    }

    /// The action for an observation, an element of the environment's action space.
    ///
    /// # Errors
    /// If the observation is not one of the environment's.
    pub fn act(&mut self, observation: &Value) -> Result<Value, Error> {
        observation.write_flat(&mut self.row);
        let action = self.runner.act(&self.row)?;
        Ok(Value::Discrete(self.first_action + action as i64))
    }
}
