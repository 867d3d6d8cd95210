//! Returns and lengths of the episodes that pass through a vector environment.

use crate::StepBuffer;
use serde::{Deserialize, Serialize};

/// An episode that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// Which environment of the batch it ran in.
    pub env: usize,
    /// The sum of its rewards (undiscounted).
    pub episodic_return: f64,
    /// Its number of steps.
    pub length: u32,
}

/// Adds up rewards until episodes end. One for each vector environment; feed it every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeStatistics {
    returns: Vec<f64>,
    lengths: Vec<u32>,
    #[serde(skip)]
    ended: Vec<Episode>,
}

impl EpisodeStatistics {
    /// Statistics for a batch of `num_envs` environments at the start of their episodes.
    pub fn new(num_envs: usize) -> Self {
        Self { returns: vec![0.0; num_envs], lengths: vec![0; num_envs], ended: Vec::new() }
    }

    /// How many environments they are of.
    pub fn num_envs(&self) -> usize {
        self.returns.len().min(self.lengths.len())
    }

    /// The return and the length so far of the episode that runs in environment `env`.
    pub fn running(&self, env: usize) -> (f64, u32) {
        (self.returns[env], self.lengths[env])
    }

    /// Takes one step in and returns the episodes that ended with it, in the order of their environments.
    pub fn record(&mut self, step: &StepBuffer) -> &[Episode] {
        self.ended.clear();
        for env in 0..self.returns.len() {
            self.returns[env] += step.rewards[env];
            self.lengths[env] += 1;
            if step.terminated[env] || step.truncated[env] {
                self.ended.push(Episode { env, episodic_return: self.returns[env], length: self.lengths[env] });
                self.returns[env] = 0.0;
                self.lengths[env] = 0;
            }
        }
        &self.ended
    }
}
