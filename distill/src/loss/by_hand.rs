//! The losses of one state and their gradients, by hand, for the fused engine.
//!
//! With p = softmax(z), a loss whose derivative in p is d has the derivative pⱼ (dⱼ − Σ p d) in the logit zⱼ.

use super::tensors::{HALF_LN_TAU, LEAST, LEAST_COMPLEMENT};
use super::{PolicyLoss, Temperatures};
use apprentice_deploy::{Distribution, LOG_STD_BOUNDS, MASKED_LOGIT};

/// Room for the rows of one state.
#[derive(Default)]
pub(crate) struct Scratch {
    student: Vec<f32>,
    log_t: Vec<f32>,
    log_s: Vec<f32>,
    slope: Vec<f32>,
}

/// Returns `weight` times the loss of a state and adds its gradient in the parameters of the student's distribution to
/// `grads`. All rows are `[params]`.
pub(crate) fn add_loss(
    (loss, weight): (PolicyLoss, f32),
    distribution: &Distribution,
    teacher: &[f32],
    student: &[f32],
    temperatures: Temperatures,
    grads: &mut [f32],
    scratch: &mut Scratch,
) -> f32 {
    match distribution {
        Distribution::Categorical { .. } => distribution
            .choices()
            .map(|range| {
                let (teacher, student) = (&teacher[range.clone()], &student[range.clone()]);
                weight * categorical((loss, weight), teacher, student, temperatures, &mut grads[range], scratch)
            })
            .sum(),
        Distribution::Gaussian { dim, .. } => {
            let (means, log_stds) = grads.split_at_mut(*dim);
            let one = |i: usize| {
                let [log_t, log_s] = [teacher[dim + i], student[dim + i]].map(clamp_log_std);
                let [value, mean_slope, log_std_slope] =
                    gaussian(loss, student[i] - teacher[i], log_t, log_s, 1.0 / *dim as f32);
                means[i] += weight * mean_slope;
                log_stds[i] += weight * log_std_slope;
                weight * value
            };
            (0..*dim).map(one).sum()
        }
    }
}

fn categorical(
    (loss, weight): (PolicyLoss, f32),
    teacher: &[f32],
    student: &[f32],
    temperatures: Temperatures,
    grads: &mut [f32],
    scratch: &mut Scratch,
) -> f32 {
    let Scratch { student: allowed, log_t, log_s, slope } = scratch;
    let forbidden = |j: usize| Distribution::is_masked(teacher[j]);
    let n = teacher.len();
    allowed.clear();
    allowed.extend(student.iter().enumerate().map(|(j, logit)| if forbidden(j) { MASKED_LOGIT } else { *logit }));

    let soft = match loss {
        PolicyLoss::Hard | PolicyLoss::SharpenedKl | PolicyLoss::Mse | PolicyLoss::Huber => 1.0,
        _ => temperatures.softening as f32,
    };
    let sharp = if loss == PolicyLoss::SharpenedKl { temperatures.sharpening as f32 } else { soft };
    log_softmax(teacher, sharp, log_t);
    log_softmax(allowed, soft, log_s);
    let (t, s) = (|j: usize| log_t[j].exp(), |j: usize| log_s[j].exp());
    slope.clear();
    let mut value = 0.0;
    // Whether `slope` is already the derivative in the logits, and not in the probabilities.
    let mut in_logits = true;
    match loss {
        PolicyLoss::Kl | PolicyLoss::SharpenedKl | PolicyLoss::CrossEntropy => {
            let entropy = if loss == PolicyLoss::CrossEntropy { 0.0 } else { 1.0 };
            for (log_t, log_s) in log_t.iter().zip(&*log_s) {
                value += log_t.exp() * (entropy * log_t - log_s);
                slope.push(log_s.exp() - log_t.exp());
            }
        }
        PolicyLoss::Hard => {
            let best = apprentice_deploy::argmax(teacher);
            value = -log_s[best];
            slope.extend((0..n).map(|j| s(j) - f32::from(u8::from(j == best))));
        }
        PolicyLoss::Mse | PolicyLoss::Huber => {
            let count = (0..n).filter(|&j| !forbidden(j)).count() as f32;
            let difference = |j: usize| if forbidden(j) { 0.0 } else { allowed[j] - teacher[j] };
            let centre = (0..n).map(difference).sum::<f32>() / count;
            for j in 0..n {
                let error = if forbidden(j) { 0.0 } else { difference(j) - centre };
                let (cost, by_error) = regression(loss, error);
                value += cost / count;
                slope.push(by_error / count);
            }
            // Through the centre, of which every logit is a part.
            let mean = slope.iter().sum::<f32>() / count;
            (0..n).filter(|&j| !forbidden(j)).for_each(|j| slope[j] -= mean);
        }
        PolicyLoss::ReverseKl | PolicyLoss::ReverseCrossEntropy => {
            in_logits = false;
            let entropy = if loss == PolicyLoss::ReverseKl { 1.0 } else { 0.0 };
            slope.extend(log_s.iter().zip(&*log_t).map(|(log_s, log_t)| entropy * log_s - log_t));
            value = (0..n).map(|j| s(j) * slope[j]).sum();
        }
        PolicyLoss::JensenShannon => {
            in_logits = false;
            for (log_t, log_s) in log_t.iter().zip(&*log_s) {
                let (t, s) = (log_t.exp(), log_s.exp());
                let log_m = (0.5 * (t + s)).max(LEAST as f32).ln();
                value += 0.5 * (t * (log_t - log_m) + s * (log_s - log_m));
                slope.push(0.5 * (log_s - log_m));
            }
        }
        PolicyLoss::BinaryCrossEntropy => {
            in_logits = false;
            let (share, least) = (1.0 / n as f32, LEAST_COMPLEMENT as f32);
            for (log_t, log_s) in log_t.iter().zip(&*log_s) {
                let (t, not_s) = (log_t.exp(), 1.0 - log_s.exp());
                value -= share * (t * log_s + (1.0 - t) * not_s.max(least).ln());
                slope.push(if not_s > least { share * (1.0 - t) / not_s } else { 0.0 });
            }
        }
    }
    if !in_logits {
        let mean: f32 = (0..n).map(|j| s(j) * slope[j]).sum();
        (0..n).for_each(|j| slope[j] = s(j) * (slope[j] - mean));
    }
    if loss == PolicyLoss::BinaryCrossEntropy {
        // −(1/n) Σ p_T ln p_S, whose derivative in the logits needs no division.
        (0..n).for_each(|j| slope[j] += (s(j) - t(j)) / n as f32);
    }
    // T² of the loss, 1 / T of the logits.
    grads.iter_mut().zip(&*slope).for_each(|(grad, slope)| *grad += weight * soft * slope);
    soft * soft * value
}

/// The loss between Gaussians that are `shift` apart, and its derivatives in the student's mean and in the logarithm of
/// its standard deviation. `share` is what a dimension counts for in a mean over them.
fn gaussian(loss: PolicyLoss, shift: f32, log_t: f32, log_s: f32, share: f32) -> [f32; 3] {
    let half_ln_tau = HALF_LN_TAU as f32;
    let [var_t, var_s] = [log_t, log_s].map(|log_std| (2.0 * log_std).exp());
    let spread = |var: f32, by: f32| (var + shift * shift) / by;
    match loss {
        PolicyLoss::Kl | PolicyLoss::CrossEntropy => {
            let rest = if loss == PolicyLoss::Kl { -0.5 - log_t } else { half_ln_tau };
            let ratio = spread(var_t, var_s);
            [0.5 * ratio + log_s + rest, shift / var_s, 1.0 - ratio]
        }
        PolicyLoss::ReverseKl | PolicyLoss::ReverseCrossEntropy => {
            let (own, rest) = if loss == PolicyLoss::ReverseKl { (1.0, -0.5) } else { (0.0, half_ln_tau) };
            let value = 0.5 * spread(var_s, var_t) + log_t - own * log_s + rest;
            [value, shift / var_t, var_s / var_t - own]
        }
        PolicyLoss::Hard => {
            let ratio = spread(0.0, var_s);
            [0.5 * ratio + log_s + half_ln_tau, shift / var_s, 1.0 - ratio]
        }
        _ => {
            let (cost, by_error) = regression(loss, shift);
            [share * cost, share * by_error, 0.0]
        }
    }
}

/// The cost of an error and its derivative.
fn regression(loss: PolicyLoss, error: f32) -> (f32, f32) {
    let inner = error.clamp(-1.0, 1.0);
    match loss {
        PolicyLoss::Mse => (error * error, 2.0 * error),
        _ => (inner * (error - 0.5 * inner), inner),
    }
}

/// Adds `weight` times the derivative of ln π(action) in the parameters of the distribution to `grads`. `params` are in
/// normal form, and all rows are `[params]`.
pub(crate) fn add_log_prob(
    distribution: &Distribution,
    params: &[f32],
    action: &[f32],
    weight: f32,
    grads: &mut [f32],
) {
    match distribution {
        Distribution::Categorical { .. } => {
            for (range, choice) in distribution.choices().zip(action) {
                let taken = range.start + *choice as usize;
                range.clone().for_each(|j| grads[j] -= weight * params[j].exp());
                grads[taken] += weight;
            }
        }
        Distribution::Gaussian { dim, .. } => {
            for i in 0..*dim {
                let std = params[dim + i].exp();
                let z = (action[i] - params[i]) / std;
                grads[i] += weight * z / std;
                grads[dim + i] += weight * (z * z - 1.0);
            }
        }
    }
}

fn clamp_log_std(log_std: f32) -> f32 {
    log_std.clamp(LOG_STD_BOUNDS[0], LOG_STD_BOUNDS[1])
}

/// ln softmax(logits / T).
fn log_softmax(logits: &[f32], temperature: f32, to: &mut Vec<f32>) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scaled = |logit: &f32| (logit - max) / temperature;
    let log_sum = logits.iter().map(|logit| scaled(logit).exp()).sum::<f32>().ln();
    to.clear();
    to.extend(logits.iter().map(|logit| scaled(logit) - log_sum));
}
