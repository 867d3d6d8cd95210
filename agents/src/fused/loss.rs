//! The PPO loss and its gradient, by hand, for a block of samples side by side.

use super::BLOCK;
use super::elementary::{dot, exp, ln};
use crate::{LossCoefs, Samples, UpdateStats};

/// One number for each sample of a block. The loops over them have a constant length and no branches.
type Lanes = [f32; BLOCK];

/// Where gradients are computed, and where they go.
pub(crate) struct LossBlock<'a> {
    /// `[samples × actions]`: the logits now.
    pub(crate) logits: &'a [f32],
    /// `[samples]`: the values now; at most [`BLOCK`].
    pub(crate) values: &'a [f32],
    pub(crate) batch: &'a Samples,
    /// The index of the first of the samples in `batch`.
    pub(crate) first: usize,
    pub(crate) coefs: &'a LossCoefs,
    /// Sums over samples, to which these are added.
    pub(crate) stats: &'a mut UpdateStats,
    /// `[samples × actions]` and `[samples]`: the gradients.
    pub(crate) logit_grads: &'a mut [f32],
    pub(crate) value_grads: &'a mut [f32],
    /// Room for the log-probabilities of every action.
    pub(crate) log_probs: &'a mut [Lanes],
}

/// Adds the loss of some samples to `stats` and writes its gradient in the logits and in the values.
///
/// With r = π(a|s) / π_old(a|s), p = π(·|s), H its entropy and B the size of the whole batch:
///
/// ```text
/// ∂policy/∂z_j  = −A r (1[j = a] − p_j) / B     where the ratio is not clipped, else 0
/// ∂entropy/∂z_j = −p_j (ln p_j + H) / B
/// ∂value/∂V     = (V − R) / B                   where the value is not clipped, else 0
/// ```
///
/// See [`ppo_loss`](crate::ppo_loss) for the loss itself.
#[inline(always)]
pub(crate) fn gradients<const FUSED: bool>(block: LossBlock<'_>) {
    let LossBlock { logits, values, batch, first, coefs, stats, logit_grads, value_grads, log_probs } = block;
    let (samples, actions) = (values.len(), log_probs.len());
    let these = |of: &[f32]| lanes(&of[first..][..samples]);
    let scale = 1.0 / batch.actions.len() as f32;
    // Lanes without a sample weigh nothing.
    let weight = lanes(&[scale; BLOCK][..samples]);
    let clip = coefs.clip_coef as f32;

    let mut action = [0_u32; BLOCK];
    action.iter_mut().zip(&batch.actions[first..]).for_each(|(lane, action)| *lane = *action as u32);
    for (j, logit) in log_probs.iter_mut().enumerate() {
        logit.iter_mut().zip(logits.iter().skip(j).step_by(actions)).for_each(|(lane, logit)| *lane = *logit);
    }
    let (entropy, log_prob) = log_softmax::<FUSED>(log_probs, &action);

    let (old_log_prob, advantage) = (these(&batch.log_probs), these(&batch.advantages));
    let (mut ratio_grad, mut loss, mut kl, mut outside) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
    for l in 0..BLOCK {
        let log_ratio = log_prob[l] - old_log_prob[l];
        let ratio = exp::<FUSED>(log_ratio);
        let clipped = ratio.clamp(1.0 - clip, 1.0 + clip);
        let (raw, clipped_gain) = (-advantage[l] * ratio, -advantage[l] * clipped);
        // Where both are equal the ratio lies inside the range, and they have the same gradient.
        ratio_grad[l] = if raw >= clipped_gain { raw } else { 0.0 };
        loss[l] = raw.max(clipped_gain);
        kl[l] = ratio - 1.0 - log_ratio;
        outside[l] = if (ratio - 1.0).abs() > clip { 1.0 } else { 0.0 };
    }
    stats.policy_loss += f64::from(dot::<FUSED>(&loss, &weight));
    stats.entropy += f64::from(dot::<FUSED>(&entropy, &weight));
    stats.approx_kl += f64::from(dot::<FUSED>(&kl, &weight));
    stats.clipfrac += f64::from(dot::<FUSED>(&outside, &weight));

    let ent_coef = coefs.ent_coef as f32;
    for (j, log_p) in log_probs.iter_mut().enumerate() {
        for l in 0..BLOCK {
            let p = exp::<FUSED>(log_p[l]);
            let taken = if action[l] == j as u32 { 1.0 } else { 0.0 };
            log_p[l] = scale * (ratio_grad[l] * (taken - p) + ent_coef * p * (log_p[l] + entropy[l]));
        }
        logit_grads.iter_mut().skip(j).step_by(actions).zip(&*log_p).for_each(|(to, grad)| *to = *grad);
    }

    let (value, old_value, target) = (lanes(values), these(&batch.values), these(&batch.returns));
    let (mut value_grad, clip_vloss, vf_coef) = ([0.0; BLOCK], coefs.clip_vloss, coefs.vf_coef as f32);
    for l in 0..BLOCK {
        let error = value[l] - target[l];
        let change = value[l] - old_value[l];
        let held_error = old_value[l] + change.clamp(-clip, clip) - target[l];
        let held = clip_vloss & (held_error * held_error > error * error);
        let value_error = if held { held_error } else { error };
        // Within the clip range both errors are equal but for rounding, and so are their gradients.
        let still = held & (change.abs() > clip);
        value_grad[l] = if still { 0.0 } else { scale * vf_coef * value_error };
        loss[l] = 0.5 * value_error * value_error;
    }
    stats.value_loss += f64::from(dot::<FUSED>(&loss, &weight));
    value_grads.copy_from_slice(&value_grad[..samples]);
}

/// Fills a block; lanes without a sample are 0.
fn lanes(from: &[f32]) -> Lanes {
    let mut lanes = [0.0; BLOCK];
    lanes[..from.len()].copy_from_slice(from);
    lanes
}

/// Turns the logits of every action into log-probabilities; returns the entropy and the log-probability of `action`.
#[inline(always)]
fn log_softmax<const FUSED: bool>(logits: &mut [Lanes], action: &[u32; BLOCK]) -> (Lanes, Lanes) {
    let mut max = [f32::NEG_INFINITY; BLOCK];
    for logit in &*logits {
        for l in 0..BLOCK {
            max[l] = max[l].max(logit[l]);
        }
    }
    let mut log_sum = [0.0; BLOCK];
    for logit in &*logits {
        for l in 0..BLOCK {
            log_sum[l] += exp::<FUSED>(logit[l] - max[l]);
        }
    }
    log_sum.iter_mut().for_each(|sum| *sum = ln::<FUSED>(*sum));
    let (mut entropy, mut log_prob) = ([0.0; BLOCK], [0.0; BLOCK]);
    for (j, logit) in logits.iter_mut().enumerate() {
        for l in 0..BLOCK {
            let log_p = logit[l] - max[l] - log_sum[l];
            logit[l] = log_p;
            entropy[l] -= exp::<FUSED>(log_p) * log_p;
            log_prob[l] = if action[l] == j as u32 { log_p } else { log_prob[l] };
        }
    }
    (entropy, log_prob)
}
