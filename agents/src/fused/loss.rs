//! The PPO loss and its gradient, by hand, for a block of samples side by side.

use super::BLOCK;
use super::distribution::{self, Actions};
use super::elementary::{dot, exp};
use crate::{LossCoefs, Samples, UpdateStats, ValueClip, ValueLoss};
use apprentice_deploy::Distribution;

/// One number for each sample of a block. The loops over them have a constant length and no branches.
pub(crate) type Lanes = [f32; BLOCK];

/// Where gradients are computed, and where they go.
pub(crate) struct LossBlock<'a> {
    pub(crate) distribution: &'a Distribution,
    /// How many samples there are; at most [`BLOCK`].
    pub(crate) samples: usize,
    /// `[samples × outputs]`: the actor's outputs now; empty if only the critic's loss is wanted.
    pub(crate) outputs: &'a [f32],
    /// The last parameters of the distribution, where they are the same for all samples.
    pub(crate) log_std: &'a [f32],
    /// `[samples]`: the values now; empty if only the actor's loss is wanted.
    pub(crate) values: &'a [f32],
    pub(crate) batch: &'a Samples,
    /// The index of the first of the samples in `batch`.
    pub(crate) first: usize,
    pub(crate) coefs: &'a LossCoefs,
    /// Sums over samples, to which these are added.
    pub(crate) stats: &'a mut UpdateStats,
    /// `[samples × outputs]` and `[samples]`: the gradients.
    pub(crate) output_grads: &'a mut [f32],
    pub(crate) value_grads: &'a mut [f32],
    /// The gradient in `log_std`, to which this is added.
    pub(crate) log_std_grads: &'a mut [f32],
    /// Room for the parameters of the distributions.
    pub(crate) params: &'a mut [Lanes],
}

/// Adds the loss of some samples to `stats` and writes its gradient in the actor's outputs and in the values.
///
/// With r = π(a|s) / π_old(a|s) and B the size of the whole batch:
///
/// ```text
/// ∂policy/∂ln π(a|s) = −A r / B        where the ratio is not clipped, else 0
/// ∂value/∂V          = (V − R) / B     where the value is not clipped, else 0
/// ```
///
/// See [`ppo_loss`](crate::ppo_loss) for the loss itself.
#[inline(always)]
pub(crate) fn gradients<const FUSED: bool>(mut block: LossBlock<'_>) {
    if !block.outputs.is_empty() {
        policy_gradients::<FUSED>(&mut block);
    }
    if !block.values.is_empty() {
        value_gradients::<FUSED>(&mut block);
    }
}

#[inline(always)]
fn policy_gradients<const FUSED: bool>(block: &mut LossBlock<'_>) {
    let LossBlock { distribution, samples, outputs, log_std, batch, first, coefs, .. } = *block;
    let (stats, params) = (&mut *block.stats, &mut *block.params);
    let these = |of: &[f32]| lanes(&of[first..][..samples]);
    let (weight, scale) = weights(batch, samples);
    let clip = coefs.clip_coef as f32;

    let width = params.len() - log_std.len();
    for (j, param) in params[..width].iter_mut().enumerate() {
        param.iter_mut().zip(outputs.iter().skip(j).step_by(width)).for_each(|(lane, output)| *lane = *output);
    }
    params[width..].iter_mut().zip(log_std).for_each(|(param, log_std)| param.fill(*log_std));
    let dim = distribution.dim();
    let actions = Actions { rows: rows(&batch.actions, first, samples), dim };
    let (entropy, mut log_prob) =
        distribution::forward::<FUSED>(distribution, params, rows(&batch.masks, first, samples), actions);
    // Without a sample there is no ratio either, whatever the spread is.
    log_prob[samples..].fill(0.0);

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

    let policy_scale = coefs.policy_coef as f32 * scale;
    ratio_grad.iter_mut().for_each(|grad| *grad *= policy_scale);
    distribution::backward::<FUSED>(
        distribution,
        params,
        actions,
        &entropy,
        &ratio_grad,
        coefs.ent_coef as f32 * scale,
    );
    for (j, grad) in params[..width].iter().enumerate() {
        block.output_grads.iter_mut().skip(j).step_by(width).zip(grad).for_each(|(to, grad)| *to = *grad);
    }
    for (to, grad) in block.log_std_grads.iter_mut().zip(&params[width..]) {
        *to += grad[..samples].iter().sum::<f32>();
    }
}

#[inline(always)]
fn value_gradients<const FUSED: bool>(block: &mut LossBlock<'_>) {
    let LossBlock { samples, values, batch, first, coefs, .. } = *block;
    let these = |of: &[f32]| lanes(&of[first..][..samples]);
    let (weight, scale) = weights(batch, samples);
    let clip = coefs.clip_coef as f32;

    let mut loss = [0.0; BLOCK];
    let (value, old_value, target) = (lanes(values), these(&batch.values), these(&batch.returns));
    let (mut value_grad, vf_coef) = ([0.0; BLOCK], coefs.vf_coef as f32);
    // Beyond it an error costs no more than in proportion.
    let knee = match coefs.value_loss {
        ValueLoss::Mse => f32::INFINITY,
        ValueLoss::Huber => 1.0,
    };
    for l in 0..BLOCK {
        let error = value[l] - target[l];
        let change = value[l] - old_value[l];
        let held_error = old_value[l] + change.clamp(-clip, clip) - target[l];
        let held = match coefs.clip_vloss {
            ValueClip::Off => false,
            ValueClip::Max => held_error * held_error > error * error,
            ValueClip::Clamp => true,
        };
        let value_error = if held { held_error } else { error };
        // Within the clip range both errors are equal but for rounding, and so are their gradients.
        let still = held & (change.abs() > clip);
        let inner = value_error.clamp(-knee, knee);
        value_grad[l] = if still { 0.0 } else { scale * vf_coef * inner };
        loss[l] = inner * (value_error - 0.5 * inner);
    }
    block.stats.value_loss += f64::from(dot::<FUSED>(&loss, &weight));
    block.value_grads.copy_from_slice(&value_grad[..samples]);
}

/// What each sample weighs, which lanes without one do not, and what one weighs.
#[inline(always)]
fn weights(batch: &Samples, samples: usize) -> (Lanes, f32) {
    let scale = 1.0 / batch.log_probs.len() as f32;
    (lanes(&[scale; BLOCK][..samples]), scale)
}

/// Some rows of an array.
fn rows<T>(of: &ndarray::Array2<T>, first: usize, count: usize) -> &[T] {
    let width = of.ncols();
    &of.as_slice().expect("samples are contiguous")[first * width..][..count * width]
}

/// Fills a block; lanes without a sample are 0.
fn lanes(from: &[f32]) -> Lanes {
    let mut lanes = [0.0; BLOCK];
    lanes[..from.len()].copy_from_slice(from);
    lanes
}
