//! Losses between a student's policy and its teacher's.
//!
//! | name | categorical | Gaussian |
//! |---|---|---|
//! | `kl` | T² · KL(T ‖ S), both softened | KL(T ‖ S) |
//! | `reverse_kl` | T² · KL(S ‖ T), both softened | KL(S ‖ T) |
//! | `jensen_shannon` | T² · (½ KL(T ‖ M) + ½ KL(S ‖ M)), M = ½ (T + S) | |
//! | `cross_entropy` | T² · −Σ p_T ln p_S | −E_T ln p_S |
//! | `reverse_cross_entropy` | T² · −Σ p_S ln p_T | −E_S ln p_T |
//! | `binary_cross_entropy` | T² · −(1/n) Σ [p_T ln p_S + (1 − p_T) ln(1 − p_S)] | |
//! | `hard` | −ln p_S(teacher's most probable action) | −ln p_S(teacher's mean) |
//! | `sharpened_kl` | KL(softmax(z_T / τ) ‖ S): for values of actions rather than logits | |
//! | `mse` | mean squared difference of the logits | of the means |
//! | `huber` | Huber loss (δ = 1) of the logits | of the means |
//!
//! The forward divergence makes the student cover everything that the teacher does; the reverse one makes it choose.
//! `mse` and `huber` of means, and `hard`, throw away how sure the teacher was: the student still acts like it, but its
//! spread is no longer the teacher's. Logits are centred before they are compared, because a softmax does not see a shift.
//! Several integers are several choices, whose losses are added up; so are the dimensions of a Gaussian, but for
//! `mse` and `huber`, which are means over them.
//!
//! Sources: Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural Network*, 2015 (softening and T²); Rusu et
//! al., *Policy Distillation*, 2016 (sharpening); Czarnecki et al., *Distilling Policy Distillation*, 2019 (directions).

mod by_hand;
pub(crate) mod features;
pub(crate) mod imitation;
mod tensors;
#[cfg(test)]
mod tests;

pub(crate) use by_hand::{Scratch, add_log_prob, add_loss};
pub use features::FeatureLoss;
pub use tensors::policy_loss;

use apprentice_agents::Error;
use apprentice_deploy::Distribution;
use serde::{Deserialize, Serialize};

/// How far a student's policy is from its teacher's in a state; see [the table](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyLoss {
    /// KL(T ‖ S): covers what the teacher does.
    Kl,
    /// KL(S ‖ T): settles for some of it.
    ReverseKl,
    /// In between, and never more than ln 2.
    JensenShannon,
    /// −E_T ln p_S: `kl` plus the entropy of the teacher, with the same gradient.
    CrossEntropy,
    /// −E_S ln p_T: `reverse_kl` without the reward for the student's own entropy.
    ReverseCrossEntropy,
    /// Every choice for itself, taken or not.
    BinaryCrossEntropy,
    /// The teacher's most probable action and nothing else.
    Hard,
    /// Only the teacher is sharpened; for those whose outputs are values of actions.
    SharpenedKl,
    /// Regression on the logits or the means.
    Mse,
    /// The same, less impressed by large differences.
    Huber,
}

impl PolicyLoss {
    /// Every loss.
    pub const ALL: [Self; 10] = [
        Self::Kl,
        Self::ReverseKl,
        Self::JensenShannon,
        Self::CrossEntropy,
        Self::ReverseCrossEntropy,
        Self::BinaryCrossEntropy,
        Self::Hard,
        Self::SharpenedKl,
        Self::Mse,
        Self::Huber,
    ];

    /// Whether there is such a loss between two of these distributions.
    pub fn applies_to(self, distribution: &Distribution) -> bool {
        let choices = matches!(distribution, Distribution::Categorical { .. });
        choices || !matches!(self, Self::JensenShannon | Self::BinaryCrossEntropy | Self::SharpenedKl)
    }
}

/// What logits are divided by before they are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperatures {
    /// T: both policies are softened by it.
    pub softening: f64,
    /// τ: the teacher alone is sharpened by it, in `sharpened_kl`.
    pub sharpening: f64,
}

impl Default for Temperatures {
    /// T = 1, since a PPO teacher's logits already are a distribution; τ = 0.01, the paper's.
    fn default() -> Self {
        Self { softening: 1.0, sharpening: 0.01 }
    }
}

/// Refuses losses that these distributions do not have.
pub(crate) fn check_losses(
    losses: &[(PolicyLoss, f64)],
    temperatures: Temperatures,
    distribution: &Distribution,
) -> Result<(), Error> {
    let name = |loss: PolicyLoss| serde_json::to_value(loss).expect("a loss is plain data");
    if let Some((loss, _)) = losses.iter().find(|(loss, _)| !loss.applies_to(distribution)) {
        let name = name(*loss);
        return Err(Error::config(format!(
            "losses.{}: it has no closed form where actions are real numbers; use kl, reverse_kl, cross_entropy, hard, mse \
             or huber",
            name.as_str().unwrap_or_default()
        )));
    }
    let softening = temperatures.softening;
    if matches!(distribution, Distribution::Gaussian { .. }) && softening != 1.0 {
        return Err(Error::config(format!("temperature: expected 1 where actions are real numbers, got {softening}")));
    }
    Ok(())
}
