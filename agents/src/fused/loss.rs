//! The PPO loss and its gradient, by hand.

use crate::{LossCoefs, Samples, UpdateStats};
use apprentice_deploy::log_softmax;

/// Adds the loss of some samples to `stats` (as sums over samples) and writes its gradient in the logits
/// `[samples × actions]` and in the values `[samples]`. `first` is the index of the first of them in `batch`.
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
pub(crate) fn gradients(
    logits: &[f32],
    values: &[f32],
    batch: &Samples,
    first: usize,
    coefs: &LossCoefs,
    stats: &mut UpdateStats,
    (logit_grads, value_grads): (&mut Vec<f32>, &mut Vec<f32>),
) {
    let actions = logits.len() / values.len();
    let scale = 1.0 / batch.actions.len() as f32;
    let clip = coefs.clip_coef as f32;
    logit_grads.clear();
    logit_grads.resize(logits.len(), 0.0);
    value_grads.clear();
    let mut log_probs = vec![0.0; actions];
    for (i, (logits, value)) in logits.chunks_exact(actions).zip(values).enumerate() {
        let at = first + i;
        let (action, advantage) = (batch.actions[at], batch.advantages[at]);
        log_softmax(logits, &mut log_probs);
        let entropy = -log_probs.iter().map(|l| l.exp() * l).sum::<f32>();
        let log_ratio = log_probs[action] - batch.log_probs[at];
        let ratio = log_ratio.exp();
        let clipped = ratio.clamp(1.0 - clip, 1.0 + clip);
        let (raw, clipped_gain) = (-advantage * ratio, -advantage * clipped);
        // Where both are equal the ratio lies inside the range, and they have the same gradient.
        let ratio_grad = if raw >= clipped_gain { -advantage * ratio } else { 0.0 };

        let grads = &mut logit_grads[i * actions..][..actions];
        for (j, (grad, log_prob)) in grads.iter_mut().zip(&log_probs).enumerate() {
            let p = log_prob.exp();
            let taken = if j == action { 1.0 } else { 0.0 };
            *grad = scale * (ratio_grad * (taken - p) + coefs.ent_coef as f32 * p * (log_prob + entropy));
        }

        let error = value - batch.returns[at];
        let change = value - batch.values[at];
        let held_error = batch.values[at] + change.clamp(-clip, clip) - batch.returns[at];
        let held = coefs.clip_vloss && held_error * held_error > error * error;
        let value_error = if held { held_error } else { error };
        // Within the clip range both errors are equal but for rounding, and so are their gradients.
        let still = held && change.abs() > clip;
        value_grads.push(if still { 0.0 } else { scale * coefs.vf_coef as f32 * value_error });

        stats.policy_loss += f64::from(raw.max(clipped_gain) * scale);
        stats.value_loss += f64::from(0.5 * value_error * value_error * scale);
        stats.entropy += f64::from(entropy * scale);
        stats.approx_kl += f64::from((ratio - 1.0 - log_ratio) * scale);
        stats.clipfrac += if (ratio - 1.0).abs() > clip { f64::from(scale) } else { 0.0 };
    }
}
