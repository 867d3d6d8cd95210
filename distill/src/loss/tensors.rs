//! The losses as formulas on tensors, for engines that differentiate.

use super::{PolicyLoss, Temperatures};
use apprentice_agents::clamp_log_std;
use apprentice_deploy::{Distribution, MASKED_LOGIT};
use burn::tensor::{Bool, Tensor, activation};
use std::ops::Range;

/// One loss in every state. What the teacher was not allowed there, neither is the student.
///
/// # Shapes
/// `teacher` and `student` are parameters of the distribution, `[batch, params]` → `[batch]`.
///
/// # Panics
/// If the loss does not [apply](PolicyLoss::applies_to) to the distribution.
pub fn policy_loss(
    loss: PolicyLoss,
    distribution: &Distribution,
    teacher: &Tensor<2>,
    student: &Tensor<2>,
    temperatures: Temperatures,
) -> Tensor<1> {
    let part = |range: Range<usize>| {
        let of = |params: &Tensor<2>| params.clone().slice_dim(1, range.clone());
        categorical(loss, of(teacher), of(student), temperatures)
    };
    match distribution {
        Distribution::Categorical { .. } => {
            distribution.choices().map(part).reduce(|sum, part| sum + part).expect("there is at least one choice")
        }
        Distribution::Gaussian { dim, .. } => gaussian(loss, *dim, teacher, student),
    }
    .squeeze_dim(1)
}

/// Logits `[batch, n]` → `[batch, 1]`.
fn categorical(loss: PolicyLoss, teacher: Tensor<2>, student: Tensor<2>, temperatures: Temperatures) -> Tensor<2> {
    let forbidden = teacher.clone().lower_equal_elem(0.5 * MASKED_LOGIT);
    let student = student.mask_fill(forbidden.clone(), MASKED_LOGIT);
    let soft = temperatures.softening;
    let log_softmax = |logits: &Tensor<2>, t: f64| activation::log_softmax(logits.clone().div_scalar(t), 1);
    let (log_t, log_s) = (log_softmax(&teacher, soft), log_softmax(&student, soft));
    let (t, s) = (log_t.clone().exp(), log_s.clone().exp());
    match loss {
        PolicyLoss::Kl => (t * (log_t - log_s)).sum_dim(1) * (soft * soft),
        PolicyLoss::ReverseKl => (s * (log_s - log_t)).sum_dim(1) * (soft * soft),
        PolicyLoss::JensenShannon => {
            let log_m = (t.clone() + s.clone()).mul_scalar(0.5).clamp_min(LEAST).log();
            let halves = t * (log_t - log_m.clone()) + s * (log_s - log_m);
            halves.sum_dim(1) * (0.5 * soft * soft)
        }
        PolicyLoss::CrossEntropy => -(t * log_s).sum_dim(1) * (soft * soft),
        PolicyLoss::ReverseCrossEntropy => -(s * log_t).sum_dim(1) * (soft * soft),
        PolicyLoss::BinaryCrossEntropy => {
            let not_s = (-s + 1.0).clamp_min(LEAST_COMPLEMENT).log();
            -(t.clone() * log_s + (-t + 1.0) * not_s).mean_dim(1) * (soft * soft)
        }
        PolicyLoss::Hard => -log_softmax(&student, 1.0).gather(1, teacher.argmax(1)),
        PolicyLoss::SharpenedKl => {
            let log_t = log_softmax(&teacher, temperatures.sharpening);
            (log_t.clone().exp() * (log_t - log_softmax(&student, 1.0))).sum_dim(1)
        }
        PolicyLoss::Mse => mean_allowed(difference(teacher, student, &forbidden).square(), &forbidden),
        PolicyLoss::Huber => mean_allowed(huber(difference(teacher, student, &forbidden)), &forbidden),
    }
}

/// The difference of centred logits, 0 where a choice was forbidden.
fn difference(teacher: Tensor<2>, student: Tensor<2>, forbidden: &Tensor<2, Bool>) -> Tensor<2> {
    let difference = (student - teacher).mask_fill(forbidden.clone(), 0.0);
    let centre = mean_allowed(difference.clone(), forbidden);
    (difference - centre).mask_fill(forbidden.clone(), 0.0)
}

/// The mean over the choices that were allowed: `[batch, n]`, 0 for the others → `[batch, 1]`.
fn mean_allowed(values: Tensor<2>, forbidden: &Tensor<2, Bool>) -> Tensor<2> {
    let dtype = values.dtype();
    values.sum_dim(1) / forbidden.clone().bool_not().float().cast(dtype).sum_dim(1)
}

/// ½ e² up to |e| = 1, |e| − ½ beyond.
fn huber(error: Tensor<2>) -> Tensor<2> {
    let inner = error.clone().clamp(-1.0, 1.0);
    inner.clone().square().mul_scalar(0.5) + error.abs() - inner.abs()
}

/// Means and logarithms of standard deviations `[batch, 2 · dim]` → `[batch, 1]`.
fn gaussian(loss: PolicyLoss, dim: usize, teacher: &Tensor<2>, student: &Tensor<2>) -> Tensor<2> {
    let mean = |params: &Tensor<2>| params.clone().slice_dim(1, 0..dim);
    let log_std = |params: &Tensor<2>| clamp_log_std(params.clone().slice_dim(1, dim..2 * dim));
    let shift = mean(student) - mean(teacher);
    let (log_t, log_s) = (log_std(teacher), log_std(student));
    let square = |log_std: &Tensor<2>| log_std.clone().mul_scalar(2.0).exp();
    // −E_a ln p_b of two Gaussians.
    let cross_entropy = |a: &Tensor<2>, b: &Tensor<2>| {
        (square(a) + shift.clone().square()) / square(b).mul_scalar(2.0) + b.clone() + HALF_LN_TAU
    };
    let entropy = |log_std: Tensor<2>| log_std + (0.5 + HALF_LN_TAU);
    match loss {
        PolicyLoss::Kl => (cross_entropy(&log_t, &log_s) - entropy(log_t)).sum_dim(1),
        PolicyLoss::ReverseKl => (cross_entropy(&log_s, &log_t) - entropy(log_s)).sum_dim(1),
        PolicyLoss::CrossEntropy => cross_entropy(&log_t, &log_s).sum_dim(1),
        PolicyLoss::ReverseCrossEntropy => cross_entropy(&log_s, &log_t).sum_dim(1),
        PolicyLoss::Hard => (shift.square() / square(&log_s).mul_scalar(2.0) + log_s + HALF_LN_TAU).sum_dim(1),
        PolicyLoss::Mse => shift.square().mean_dim(1),
        PolicyLoss::Huber => huber(shift).mean_dim(1),
        PolicyLoss::JensenShannon | PolicyLoss::BinaryCrossEntropy | PolicyLoss::SharpenedKl => {
            panic!("{loss:?} of Gaussians has no closed form")
        }
    }
}

/// ½ ln 2π.
pub(super) const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;

/// What probabilities are raised to before their logarithm is taken: it is only met where they weigh nothing.
pub(super) const LEAST: f64 = 1e-30;

/// The same for 1 − p, where a student that is sure and wrong would cost infinitely much.
pub(super) const LEAST_COMPLEMENT: f64 = 1e-6;
