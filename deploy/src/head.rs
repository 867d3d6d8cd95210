//! What the outputs of a policy stand for, over slices: no heap, no operating system.

use crate::kernel::choose::{argmax, choose};
use crate::kernel::math::{exp, tanh};
use core::ops::Range;

/// The bounds of the logarithm of a standard deviation: beyond them a density overflows.
pub const LOG_STD_BOUNDS: [f32; 2] = [-20.0, 2.0];

/// The logit of a choice that is not allowed: finite, so that nothing becomes NaN, and so low that its exponential is 0.
pub const MASKED_LOGIT: f32 = -1e8;

/// How real actions are kept within their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Bounding {
    /// What lies outside is moved to the nearest bound.
    Clip,
    /// The hyperbolic tangent, stretched from (−1, 1) to the bounds.
    Tanh,
}

/// [`Action`](crate::Action) over slices.
#[derive(Clone, Copy, Debug)]
pub enum Head<'a> {
    /// Integers, chosen independently: `nvec[i]` logits for the i-th, which counts from `start[i]`.
    Choices {
        /// How many values each has.
        nvec: &'a [usize],
        /// The smallest value of each.
        start: &'a [i64],
    },
    /// Real numbers from a normal distribution.
    Real {
        /// The least value of each.
        low: &'a [f32],
        /// The greatest value of each.
        high: &'a [f32],
        /// How they are kept within these bounds.
        bounding: Bounding,
        /// The logarithms of the standard deviations; none if they follow the means among the outputs.
        log_std: Option<&'a [f32]>,
    },
}

impl Head<'_> {
    /// The number of components of an action.
    pub fn dim(&self) -> usize {
        match self {
            Self::Choices { nvec, .. } => nvec.len(),
            Self::Real { low, .. } => low.len(),
        }
    }

    /// The number of parameters of the distribution: logits, or means and logarithms of standard deviations.
    pub fn num_params(&self) -> usize {
        match self {
            Self::Choices { nvec, .. } => nvec.iter().sum(),
            Self::Real { low, .. } => 2 * low.len(),
        }
    }

    /// Turns what was drawn from the distribution, `[dim]`, into an action of the environment.
    #[inline(always)]
    pub(crate) fn bound(&self, action: &mut [f32]) {
        match self {
            Self::Choices { start, .. } => action.iter_mut().zip(*start).for_each(|(x, start)| *x += *start as f32),
            Self::Real { low, high, bounding, .. } => {
                for (x, (low, high)) in action.iter_mut().zip(low.iter().zip(*high)) {
                    *x = bound(*x, *low, *high, *bounding);
                }
            }
        }
    }
}

/// One real number within its bounds.
#[inline(always)]
pub(crate) fn bound(x: f32, low: f32, high: f32, bounding: Bounding) -> f32 {
    let x = if bounding == Bounding::Tanh { low + 0.5 * (tanh(x) + 1.0) * (high - low) } else { x };
    // An action is finite even without bounds.
    clamp(x, low.max(f32::MIN), high.min(f32::MAX))
}

/// [`f32::clamp`] for bounds that are known to be in order. That one panics with both numbers written out if they are
/// not, and a program for a microcontroller may then hold 24 kB that write numbers.
#[inline(always)]
pub(crate) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// Where the logits of each choice lie among the parameters.
#[inline(always)]
pub(crate) fn ranges(nvec: &[usize]) -> impl Iterator<Item = Range<usize>> + '_ {
    nvec.iter().scan(0, |end, n| {
        *end += n;
        Some(*end - n..*end)
    })
}

/// The largest logit of each choice.
#[inline(always)]
pub(crate) fn most_probable(nvec: &[usize], params: &[f32], action: &mut [f32]) {
    ranges(nvec).zip(action).for_each(|(range, to)| *to = argmax(&params[range]) as f32);
}

/// Each choice by a draw from [0, 1).
pub(crate) fn drawn_choices(nvec: &[usize], params: &[f32], draws: &[f64], action: &mut [f32]) {
    for ((range, draw), to) in ranges(nvec).zip(draws).zip(action) {
        *to = choose(&params[range], *draw) as f32;
    }
}

/// Each real number by a draw from the standard normal distribution.
pub(crate) fn drawn_reals(params: &[f32], draws: &[f64], action: &mut [f32]) {
    let (means, log_stds) = params.split_at(action.len());
    for (((mean, log_std), draw), to) in means.iter().zip(log_stds).zip(draws).zip(action) {
        *to = mean + exp(f64::from(clamp_log_std(*log_std))) as f32 * *draw as f32;
    }
}

/// Forbids the choices that are not in `mask`.
pub(crate) fn mask_logits(params: &mut [f32], mask: &[bool]) {
    params.iter_mut().zip(mask).filter(|(_, allowed)| !**allowed).for_each(|(logit, _)| *logit = MASKED_LOGIT);
}

pub(crate) fn clamp_log_std(log_std: f32) -> f32 {
    log_std.clamp(LOG_STD_BOUNDS[0], LOG_STD_BOUNDS[1])
}
