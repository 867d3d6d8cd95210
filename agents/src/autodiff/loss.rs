//! The PPO loss.

use crate::{LossCoefs, ValueClip, ValueLoss};
use apprentice_deploy::{Distribution, LOG_STD_BOUNDS, MASKED_LOGIT};
use burn::tensor::{Bool, Int, Tensor, activation};

/// Samples that one gradient step is computed on, on the device; B is their number.
pub struct Minibatch {
    /// `[B, features]`: what the network reads.
    pub features: Tensor<2>,
    /// `[B, components]`: the actions as they were drawn.
    pub actions: Tensor<2>,
    /// `[B, params]`: the choices that were allowed; None if all were.
    pub masks: Option<Tensor<2, Bool>>,
    /// `[B]`: log-probabilities of these actions when they were taken.
    pub log_probs: Tensor<1>,
    /// `[B]`: advantages, normalised if they shall be.
    pub advantages: Tensor<1>,
    /// `[B]`: value targets.
    pub returns: Tensor<1>,
    /// `[B]`: values when the actions were taken; the value loss clips around them.
    pub values: Tensor<1>,
}

/// The loss and its parts, scalars on the device.
pub struct PpoLoss {
    /// policy_coef · policy − ent_coef · entropy + vf_coef · value: what is minimised.
    pub total: Tensor<1>,
    /// The clipped surrogate objective, negated.
    pub policy: Tensor<1>,
    /// Half the mean squared error of the values, or what else the errors cost.
    pub value: Tensor<1>,
    /// Mean entropy of the action distributions, nats. Of a squashed Gaussian that of the Gaussian: the other has no
    /// closed form.
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
/// value  = ½ mean (V − R)²,  or with clip_vloss = max
///          ½ mean max((V − R)², (V_old + clamp(V − V_old, −ε, ε) − R)²)
/// ```
///
/// Schulman et al., *Proximal Policy Optimization Algorithms*, 2017.
///
/// # Shapes
/// `params` `[B, params]` of the distribution, `values` `[B]`.
pub fn ppo_loss(
    distribution: &Distribution,
    params: Tensor<2>,
    values: Tensor<1>,
    batch: &Minibatch,
    coefs: &LossCoefs,
) -> PpoLoss {
    let (taken, entropy) = log_prob_and_entropy(distribution, params, &batch.actions, batch.masks.as_ref());
    let entropy = entropy.mean();
    let log_ratio = taken - batch.log_probs.clone();
    let ratio = log_ratio.clone().exp();
    let clipped = ratio.clone().clamp(1.0 - coefs.clip_coef, 1.0 + coefs.clip_coef);
    let gain = -batch.advantages.clone();
    let policy = (gain.clone() * ratio.clone()).max_pair(gain * clipped).mean();

    let cost = |values: Tensor<1>| {
        let error = values - batch.returns.clone();
        match coefs.value_loss {
            ValueLoss::Mse => error.square().mul_scalar(0.5),
            ValueLoss::Huber => {
                // ½ c² + |e| − |c| with c = clamp(e, −1, 1).
                let inner = error.clone().clamp(-1.0, 1.0);
                inner.clone().square().mul_scalar(0.5) + error.abs() - inner.abs()
            }
        }
    };
    let held = |values: Tensor<1>| {
        batch.values.clone() + (values - batch.values.clone()).clamp(-coefs.clip_coef, coefs.clip_coef)
    };
    let value = match coefs.clip_vloss {
        ValueClip::Off => cost(values),
        ValueClip::Max => cost(values.clone()).max_pair(cost(held(values))),
        ValueClip::Clamp => cost(held(values)),
    }
    .mean();

    let total = policy.clone().mul_scalar(coefs.policy_coef) - entropy.clone().mul_scalar(coefs.ent_coef)
        + value.clone().mul_scalar(coefs.vf_coef);
    let ratio = ratio.detach();
    let approx_kl = (ratio.clone() - 1.0 - log_ratio.detach()).mean();
    let clipfrac = (ratio - 1.0).abs().greater_elem(coefs.clip_coef).float().mean();
    PpoLoss { total, policy, value, entropy, approx_kl, clipfrac }
}

/// Of every sample the log-probability of its action and the entropy of the distribution, both `[B]`.
///
/// # Shapes
/// `params` and `masks` `[B, params]`, `actions` `[B, components]`.
pub fn log_prob_and_entropy(
    distribution: &Distribution,
    params: Tensor<2>,
    actions: &Tensor<2>,
    masks: Option<&Tensor<2, Bool>>,
) -> (Tensor<1>, Tensor<1>) {
    let sum = |parts: Tensor<2>| parts.sum_dim(1).squeeze_dim::<1>(1);
    match distribution {
        Distribution::Categorical { .. } => {
            let params = match masks {
                Some(masks) => params.mask_fill(masks.clone().bool_not(), MASKED_LOGIT),
                None => params,
            };
            let part = |(choice, range): (usize, std::ops::Range<usize>)| {
                let log_probs = activation::log_softmax(params.clone().slice_dim(1, range), 1);
                let action: Tensor<2, Int> = actions.clone().slice_dim(1, choice..choice + 1).int();
                let taken = log_probs.clone().gather(1, action).squeeze_dim::<1>(1);
                (taken, -sum(log_probs.clone().exp() * log_probs))
            };
            let add = |(taken, entropy): (Tensor<1>, Tensor<1>), part: (Tensor<1>, Tensor<1>)| {
                (taken + part.0, entropy + part.1)
            };
            distribution.choices().enumerate().map(part).reduce(add).expect("there is at least one choice")
        }
        Distribution::Gaussian { dim, squash } => {
            let mean = params.clone().slice_dim(1, 0..*dim);
            let log_std = clamp_log_std(params.slice_dim(1, *dim..2 * dim));
            let z = (actions.clone() - mean) / log_std.clone().exp();
            let half_ln_tau = 0.5 * std::f64::consts::TAU.ln();
            let mut density = z.square().mul_scalar(-0.5) - log_std.clone() - half_ln_tau;
            if *squash {
                // ln(1 − tanh² u) = 2 (ln 2 − |u| − ln(1 + e^(−2 |u|))).
                let size = actions.clone().abs();
                let slope = -(size.clone() + size.mul_scalar(-2.0).exp().log1p()) + std::f64::consts::LN_2;
                density = density - slope.mul_scalar(2.0);
            }
            (sum(density), sum(log_std + (0.5 + half_ln_tau)))
        }
    }
}

/// Clamps logarithms of standard deviations to their bounds. The gradient passes as if they had not been clamped: with
/// none, one that has left the bounds could never find its way back.
pub fn clamp_log_std(log_std: Tensor<2>) -> Tensor<2> {
    let clamped = log_std.clone().clamp(LOG_STD_BOUNDS[0], LOG_STD_BOUNDS[1]);
    log_std.clone() + (clamped - log_std).detach()
}
