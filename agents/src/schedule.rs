//! How rates change over a run.

use serde::{Deserialize, Serialize};

/// The course of a coefficient from its start to the end of the run. It changes once an iteration, and the last
/// iteration still has some of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same all along.
    Constant,
    /// Falls linearly to 0.
    Linear,
    /// Falls to 0 along half a cosine.
    Cosine,
}

impl Schedule {
    /// What is left of the coefficient in iteration `iteration` (counted from 0) of `num_iterations`.
    pub fn factor(self, iteration: u64, num_iterations: u64) -> f64 {
        let passed = iteration as f64 / num_iterations as f64;
        match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - passed,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * passed).cos()),
        }
    }
}

/// The course of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LrSchedule {
    /// The same all along.
    Constant,
    /// Falls linearly to 0: CleanRL.
    Linear,
    /// Falls to 0 along half a cosine.
    Cosine,
    /// Follows the divergence of the policy from the one that acted, as in rsl_rl: divided by 1.5 after a minibatch in
    /// which `approx_kl` was above twice `target_kl`, and multiplied by 1.5 where it was below half of it, between 1e-5
    /// and 1e-2.
    Adaptive,
}

impl LrSchedule {
    /// The schedule that depends on time alone; None for the adaptive one.
    pub fn timed(self) -> Option<Schedule> {
        match self {
            Self::Constant => Some(Schedule::Constant),
            Self::Linear => Some(Schedule::Linear),
            Self::Cosine => Some(Schedule::Cosine),
            Self::Adaptive => None,
        }
    }
}

/// The adaptive learning rate after a minibatch.
pub(crate) fn adapt(learning_rate: f64, approx_kl: f64, target_kl: f64) -> f64 {
    if approx_kl > 2.0 * target_kl {
        (learning_rate / 1.5).max(1e-5)
    } else if approx_kl < 0.5 * target_kl {
        (learning_rate * 1.5).min(1e-2)
    } else {
        learning_rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_whole_and_fall_once_an_iteration() {
        let course = |schedule: Schedule| (0..4).map(|k| schedule.factor(k, 4)).collect::<Vec<_>>();
        assert_eq!(course(Schedule::Constant), [1.0; 4]);
        assert_eq!(course(Schedule::Linear), [1.0, 0.75, 0.5, 0.25]);
        let cosine = course(Schedule::Cosine);
        assert!(cosine[0] == 1.0 && (cosine[2] - 0.5).abs() < 1e-12 && (cosine[1] - 0.853_553_4).abs() < 1e-6);
    }

    #[test]
    fn the_adaptive_rate_follows_the_divergence_within_its_bounds() {
        assert_eq!(adapt(1e-3, 0.05, 0.02), 1e-3 / 1.5);
        assert_eq!(adapt(1e-3, 0.005, 0.02), 1.5e-3);
        assert_eq!(adapt(1e-3, 0.02, 0.02), 1e-3);
        assert_eq!((adapt(1.2e-5, 1.0, 0.02), adapt(9e-3, 0.0, 0.02)), (1e-5, 1e-2));
    }
}
