//! Log-probabilities and entropies of a block of actions, and their gradients, by hand.

use super::BLOCK;
use super::elementary::{exp, ln};
use super::loss::Lanes;
use apprentice_deploy::{Distribution, LOG_STD_BOUNDS, MASKED_LOGIT};

/// ½ ln 2π.
const HALF_LN_TAU: f32 = 0.918_938_5;

/// The actions of a block of samples: rows of `dim` numbers, of which it has as many as samples.
#[derive(Clone, Copy)]
pub(crate) struct Actions<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) dim: usize,
}

impl Actions<'_> {
    /// One component of every action.
    #[inline(always)]
    fn component(self, i: usize) -> Lanes {
        let mut lanes = [0.0; BLOCK];
        lanes.iter_mut().zip(self.rows.iter().skip(i).step_by(self.dim)).for_each(|(lane, x)| *lane = *x);
        lanes
    }
}

/// Brings `params` `[params][samples]` into their normal form; returns the entropies and the log-probabilities of the
/// actions.
#[inline(always)]
pub(crate) fn forward<const FUSED: bool>(
    distribution: &Distribution,
    params: &mut [Lanes],
    masks: &[bool],
    actions: Actions<'_>,
) -> (Lanes, Lanes) {
    let (mut entropy, mut log_prob) = ([0.0; BLOCK], [0.0; BLOCK]);
    match distribution {
        Distribution::Categorical { .. } => {
            let count = params.len();
            if !masks.is_empty() {
                for (j, logits) in params.iter_mut().enumerate() {
                    let allowed = masks.iter().skip(j).step_by(count);
                    logits.iter_mut().zip(allowed).filter(|(_, ok)| !**ok).for_each(|(logit, _)| *logit = MASKED_LOGIT);
                }
            }
            for (choice, range) in distribution.choices().enumerate() {
                log_softmax::<FUSED>(
                    &mut params[range.clone()],
                    &mut entropy,
                    &mut log_prob,
                    &actions.component(choice),
                );
            }
        }
        Distribution::Gaussian { dim, squash } => {
            let (means, log_stds) = params.split_at_mut(*dim);
            for (i, (mean, log_std)) in means.iter().zip(log_stds).enumerate() {
                let action = actions.component(i);
                for l in 0..BLOCK {
                    let clamped = log_std[l].clamp(LOG_STD_BOUNDS[0], LOG_STD_BOUNDS[1]);
                    let z = (action[l] - mean[l]) * exp::<FUSED>(-clamped);
                    log_prob[l] -= 0.5 * z * z + clamped + HALF_LN_TAU;
                    entropy[l] += clamped + 0.5 + HALF_LN_TAU;
                }
                if *squash {
                    for l in 0..BLOCK {
                        let size = action[l].abs();
                        let slope = std::f32::consts::LN_2 - size - ln::<FUSED>(1.0 + exp::<FUSED>(-2.0 * size));
                        log_prob[l] -= 2.0 * slope;
                    }
                }
            }
        }
    }
    (entropy, log_prob)
}

/// Turns `params`, as [`forward`] left them with this `entropy`, into the gradient in them of
/// Σ `log_prob_grad` · ln π(a) − `ent_coef` · entropy.
///
/// With p = π(·|s) and H the entropy of one choice:
///
/// ```text
/// ∂ ln π(a) / ∂z_j = 1[j = a] − p_j        ∂H / ∂z_j   = −p_j (ln p_j + H)
/// ∂ ln π(a) / ∂μ   = (a − μ) / σ²
/// ∂ ln π(a) / ∂ln σ = ((a − μ) / σ)² − 1    ∂H / ∂ln σ = 1
/// ```
#[inline(always)]
pub(crate) fn backward<const FUSED: bool>(
    distribution: &Distribution,
    params: &mut [Lanes],
    actions: Actions<'_>,
    entropy: &Lanes,
    log_prob_grad: &Lanes,
    ent_coef: f32,
) {
    match distribution {
        Distribution::Categorical { nvec } => {
            for (choice, range) in distribution.choices().enumerate() {
                let action = actions.component(choice);
                let log_probs = &mut params[range];
                let mut own = [0.0; BLOCK];
                let entropy = if nvec.len() == 1 {
                    entropy
                } else {
                    for log_p in &*log_probs {
                        for l in 0..BLOCK {
                            own[l] -= exp::<FUSED>(log_p[l]) * log_p[l];
                        }
                    }
                    &own
                };
                for (j, log_p) in log_probs.iter_mut().enumerate() {
                    for l in 0..BLOCK {
                        let p = exp::<FUSED>(log_p[l]);
                        let taken = if action[l] == j as f32 { 1.0 } else { 0.0 };
                        log_p[l] = log_prob_grad[l] * (taken - p) + ent_coef * p * (log_p[l] + entropy[l]);
                    }
                }
            }
        }
        Distribution::Gaussian { dim, .. } => {
            let (means, log_stds) = params.split_at_mut(*dim);
            for (i, (mean, log_std)) in means.iter_mut().zip(log_stds).enumerate() {
                let action = actions.component(i);
                for l in 0..BLOCK {
                    let clamped = log_std[l].clamp(LOG_STD_BOUNDS[0], LOG_STD_BOUNDS[1]);
                    let inverse = exp::<FUSED>(-clamped);
                    let z = (action[l] - mean[l]) * inverse;
                    mean[l] = log_prob_grad[l] * z * inverse;
                    // As if it had not been clamped, so that it finds its way back.
                    log_std[l] = log_prob_grad[l] * (z * z - 1.0) - ent_coef;
                }
            }
        }
    }
}

/// Turns the logits of every value of one choice into log-probabilities; adds its entropy and the log-probability of
/// `action`.
#[inline(always)]
fn log_softmax<const FUSED: bool>(logits: &mut [Lanes], entropy: &mut Lanes, log_prob: &mut Lanes, action: &Lanes) {
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
    for (j, logit) in logits.iter_mut().enumerate() {
        for l in 0..BLOCK {
            let log_p = logit[l] - max[l] - log_sum[l];
            logit[l] = log_p;
            entropy[l] -= exp::<FUSED>(log_p) * log_p;
            log_prob[l] += if action[l] == j as f32 { log_p } else { 0.0 };
        }
    }
}
