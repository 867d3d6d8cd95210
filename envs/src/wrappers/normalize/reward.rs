//! Rewards whose discounted return has variance 1.

use super::RunningMeanStd;
use crate::Error;
use serde::{Deserialize, Serialize};

/// Divides rewards by the standard deviation of the discounted return so far: r / √(var + ε), limited to ±`clip`. The
/// mean is left alone, so that a reward keeps its sign.
///
/// The return of an environment is R ← γ R + r, and 0 when an episode starts. As in Gymnasium the last reward of an
/// episode that terminates enters alone, without what came before it. Unlike there a return never reaches into the
/// next episode, whatever the autoreset mode; this is what Gymnasium's vector wrapper does in same-step mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalizeReward {
    /// Of the returns, one column.
    pub statistics: RunningMeanStd,
    /// γ, 0 to 1.
    pub gamma: f64,
    /// ε, above 0.
    pub epsilon: f64,
    /// The greatest value in either direction, above 0.
    pub clip: Option<f64>,
    /// Whether returns are taken into the statistics: off for evaluation.
    pub update_running_mean: bool,
    /// The return of each environment so far, `[N]`.
    pub returns: Vec<f64>,
}

impl NormalizeReward {
    /// Gymnasium's: γ = 0.99, ε = 10⁻⁸ and no limit.
    pub fn new(num_envs: usize) -> Self {
        Self {
            statistics: RunningMeanStd::new(1),
            gamma: 0.99,
            epsilon: 1e-8,
            clip: None,
            update_running_mean: true,
            returns: vec![0.0; num_envs],
        }
    }

    /// Environment `env` starts an episode.
    pub fn begin(&mut self, env: usize) {
        self.returns[env] = 0.0;
    }

    /// Takes the rewards of a step in, `[N]`, and normalises them. `terminated` and `truncated` `[N]` are the ends
    /// that the step brought, and the environments of `idle` `[N]` did not take part in it.
    pub fn apply(&mut self, rewards: &mut [f64], terminated: &[bool], truncated: &[bool], idle: &[bool]) {
        for (env, so_far) in self.returns.iter_mut().enumerate().filter(|(env, _)| !idle[*env]) {
            let before = if terminated[env] { 0.0 } else { *so_far * self.gamma };
            *so_far = before + rewards[env];
        }
        if self.update_running_mean {
            let taking_part = self.returns.chunks_exact(1).zip(idle).filter(|(_, idle)| !**idle);
            self.statistics.update(taking_part.map(|(so_far, _)| so_far));
        }
        let (std, clip) = ((self.statistics.var()[0] + self.epsilon).sqrt(), self.clip.unwrap_or(f64::INFINITY));
        rewards.iter_mut().for_each(|reward| *reward = (*reward / std).clamp(-clip, clip));
        for env in (0..rewards.len()).filter(|&env| terminated[env] || truncated[env]) {
            self.begin(env);
        }
    }

    /// Refuses parameters that make no sense, and returns of another number of environments.
    pub(super) fn check(&self, num_envs: usize) -> Result<(), Error> {
        if self.returns.len() != num_envs || self.statistics.mean().len() != 1 {
            let got = self.returns.len();
            return Err(Error::config(format!("expected one return for each of {num_envs} environments, got {got}")));
        }
        if !(0.0..=1.0).contains(&self.gamma) {
            return Err(Error::config(format!("gamma: expected 0 to 1, got {}", self.gamma)));
        }
        if !self.returns.iter().all(|so_far| so_far.is_finite()) {
            return Err(Error::config("returns: expected finite numbers"));
        }
        super::positive("epsilon", self.epsilon)?;
        super::positive("clip", self.clip.unwrap_or(1.0))
    }
}
