//! A policy in a single environment.

use crate::{Error, check_fit};
use apprentice_deploy::{Policy, Runner};
use apprentice_envs::{DynEnv, Element, Space, Value};

/// Takes the most probable action of a policy, as an environment made by id wants it.
pub struct Actor<'a> {
    runner: Runner<'a>,
    action_space: Space,
    masked: bool,
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
        Ok(Self {
            runner: policy.runner(),
            action_space: env.action_space().clone(),
            masked: policy.header().masked,
            row: vec![0.0; env.observation_space().flat_dim()],
        })
    }

    /// Begins a new episode: what a policy with a memory remembers of the last one is forgotten.
    pub fn reset(&mut self) {
        self.runner.reset();
    }

    /// The action for an observation that `env`, the environment of [`new`](Self::new), has just given.
    ///
    /// # Errors
    /// If the observation is not one of the environment's.
    pub fn act(&mut self, env: &dyn DynEnv, observation: &Value) -> Result<Value, Error> {
        observation.write_flat(&mut self.row);
        let mask = self.masked.then(|| env.action_mask());
        let action = self.runner.decide(&self.row, mask.as_deref(), None)?;
        Ok(Value::from_flat(action, &self.action_space).expect("the policy acts in this space"))
    }
}
