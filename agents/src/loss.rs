//! The PPO loss.

use burn::tensor::{Int, Tensor, activation};

/// Samples that one gradient step is computed on, on the device; B is their number.
pub struct Minibatch {
    /// `[B, features]`: what the network reads.
    pub features: Tensor<2>,
    /// `[B]`: the actions taken, counted from 0.
    pub actions: Tensor<1, Int>,
    /// `[B]`: log-probabilities of these actions when they were taken.
    pub log_probs: Tensor<1>,
    /// `[B]`: advantages, normalised if they shall be.
    pub advantages: Tensor<1>,
    /// `[B]`: value targets.
    pub returns: Tensor<1>,
    /// `[B]`: values when the actions were taken; the value loss clips around them.
    pub values: Tensor<1>,
}

/// The coefficients of the loss; see [`PpoConfig`](crate::PpoConfig).
#[derive(Clone, Copy, Debug)]
pub struct LossCoefs {
    /// Clip range ε.
    pub clip_coef: f64,
    /// Whether the value loss is clipped too.
    pub clip_vloss: bool,
    /// Coefficient of the entropy bonus.
    pub ent_coef: f64,
    /// Coefficient of the value loss.
    pub vf_coef: f64,
}

/// The loss and its parts, scalars on the device.
pub struct PpoLoss {
    /// policy − ent_coef · entropy + vf_coef · value: what is minimised.
    pub total: Tensor<1>,
    /// The clipped surrogate objective, negated.
    pub policy: Tensor<1>,
    /// Half the mean squared error of the values.
    pub value: Tensor<1>,
    /// Mean entropy of the action distributions, nats.
    pub entropy: Tensor<1>,
    /// Estimate of KL(old ‖ new): mean of (ratio − 1) − ln ratio.
    pub approx_kl: Tensor<1>,
    /// Share of samples whose ratio left the clip range.
    pub clipfrac: Tensor<1>,
}

/// The PPO loss of a network's outputs on a minibatch.
///
/// ```text
/// ratio  = π(a|s) / π_old(a|s)
/// policy = mean max(−A · ratio, −A · clamp(ratio, 1 − ε, 1 + ε))
/// value  = ½ mean (V − R)²,  or with clip_vloss
///          ½ mean max((V − R)², (V_old + clamp(V − V_old, −ε, ε) − R)²)
/// ```
///
/// Schulman et al., *Proximal Policy Optimization Algorithms*, 2017.
///
/// # Shapes
/// `logits` `[B, actions]`, `values` `[B]`.
pub fn ppo_loss(logits: Tensor<2>, values: Tensor<1>, batch: &Minibatch, coefs: &LossCoefs) -> PpoLoss {
    let log_probs = activation::log_softmax(logits, 1);
    let entropy = -(log_probs.clone().exp() * log_probs.clone()).sum_dim(1).mean();

    let actions = batch.actions.clone().unsqueeze_dim(1);
    let taken: Tensor<1> = log_probs.gather(1, actions).squeeze_dim(1);
    let log_ratio = taken - batch.log_probs.clone();
    let ratio = log_ratio.clone().exp();
    let clipped = ratio.clone().clamp(1.0 - coefs.clip_coef, 1.0 + coefs.clip_coef);
    let gain = -batch.advantages.clone();
    let policy = (gain.clone() * ratio.clone()).max_pair(gain * clipped).mean();

    let error = (values.clone() - batch.returns.clone()).square();
    let value = if coefs.clip_vloss {
        let moved = (values - batch.values.clone()).clamp(-coefs.clip_coef, coefs.clip_coef);
        let clipped_error = (batch.values.clone() + moved - batch.returns.clone()).square();
        error.max_pair(clipped_error).mean()
    } else {
        error.mean()
    }
    .mul_scalar(0.5);

    let total = policy.clone() - entropy.clone().mul_scalar(coefs.ent_coef) + value.clone().mul_scalar(coefs.vf_coef);
    let ratio = ratio.detach();
    let approx_kl = (ratio.clone() - 1.0 - log_ratio.detach()).mean();
    let clipfrac = (ratio - 1.0).abs().greater_elem(coefs.clip_coef).float().mean();
    PpoLoss { total, policy, value, entropy, approx_kl, clipfrac }
}
