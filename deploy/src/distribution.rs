//! The distributions over actions that the outputs of a policy stand for.

use crate::MASKED_LOGIT;
use crate::head::{clamp_log_std, drawn_choices, drawn_reals, mask_logits, most_probable, ranges};

/// A distribution over actions, described by a row of *parameters* that a network computes from an observation.
///
/// What is drawn from it is a row too, one number a component: the index of a choice, or a real number. What the
/// environment is given for it says [`Action`](crate::Action).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Independent choices, the i-th among `nvec[i]`. Parameters: the logits of every choice, one after another.
    Categorical {
        /// How many there are to choose from.
        nvec: Vec<usize>,
    },
    /// Independent normal distributions. Parameters: the means, then the logarithms of the standard deviations, which
    /// are clamped to [`LOG_STD_BOUNDS`](crate::LOG_STD_BOUNDS).
    Gaussian {
        /// How many.
        dim: usize,
        /// Whether the action is the hyperbolic tangent of what is drawn; then the density is that of the tangent.
        squash: bool,
    },
}

impl Distribution {
    /// The number of parameters.
    pub fn num_params(&self) -> usize {
        match self {
            Self::Categorical { nvec } => nvec.iter().sum(),
            Self::Gaussian { dim, .. } => 2 * dim,
        }
    }

    /// The number of components of what is drawn.
    pub fn dim(&self) -> usize {
        match self {
            Self::Categorical { nvec } => nvec.len(),
            Self::Gaussian { dim, .. } => *dim,
        }
    }

    /// Where the logits of each choice lie among the parameters. Nothing for a Gaussian.
    pub fn choices(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let nvec = match self {
            Self::Categorical { nvec } => &nvec[..],
            Self::Gaussian { .. } => &[],
        };
        ranges(nvec)
    }

    /// Brings parameters into their one normal form: logits become log-probabilities, logarithms of standard
    /// deviations are clamped. The distribution stays the same.
    pub fn normalize(&self, params: &mut [f32]) {
        match self {
            Self::Categorical { .. } => self.choices().for_each(|range| log_softmax(&mut params[range])),
            Self::Gaussian { dim, .. } => params[*dim..].iter_mut().for_each(|x| *x = clamp_log_std(*x)),
        }
    }

    /// Forbids choices: the logits of those that are not in `mask`, which has a place for each, become so low that
    /// their probability is 0.
    pub fn mask(&self, params: &mut [f32], mask: &[bool]) {
        if let Self::Categorical { .. } = self {
            mask_logits(params, mask);
        }
    }

    /// Writes the most probable action, the first of equals.
    pub fn mode(&self, params: &[f32], action: &mut [f32]) {
        match self {
            Self::Categorical { nvec } => most_probable(nvec, params, action),
            Self::Gaussian { dim, .. } => action.copy_from_slice(&params[..*dim]),
        }
    }

    /// Writes a random action. `draws` has one number for each component: uniform from [0, 1) for a choice, standard
    /// normal for a real number.
    pub fn sample(&self, params: &[f32], draws: &[f64], action: &mut [f32]) {
        match self {
            Self::Categorical { nvec } => drawn_choices(nvec, params, draws, action),
            Self::Gaussian { .. } => drawn_reals(params, draws, action),
        }
    }

    /// ln π(action) of parameters in [normal form](Self::normalize), for choices a probability and for real numbers
    /// a density.
    pub fn log_prob(&self, params: &[f32], action: &[f32]) -> f32 {
        match self {
            Self::Categorical { .. } => {
                self.choices().zip(action).map(|(range, choice)| params[range][*choice as usize]).sum()
            }
            Self::Gaussian { dim, squash } => {
                let (means, log_stds) = params.split_at(*dim);
                let component = |((mean, log_std), x): ((&f32, &f32), &f32)| {
                    let z = (x - mean) / log_std.exp();
                    let density = -0.5 * z * z - log_std - HALF_LN_TAU;
                    if *squash { density - ln_tanh_slope(*x) } else { density }
                };
                means.iter().zip(log_stds).zip(action).map(component).sum()
            }
        }
    }

    /// Whether a parameter says that its choice was forbidden by [`mask`](Self::mask).
    pub fn is_masked(param: f32) -> bool {
        param <= 0.5 * MASKED_LOGIT
    }
}

/// ½ ln 2π.
const HALF_LN_TAU: f32 = 0.918_938_5;

/// ln(1 − tanh² x), accurate where tanh x is 1 in f32.
fn ln_tanh_slope(x: f32) -> f32 {
    2.0 * (std::f32::consts::LN_2 - x.abs() - (-2.0 * x.abs()).exp().ln_1p())
}

/// Turns logits into ln softmax. The largest is subtracted first, so that no exponential overflows.
fn log_softmax(logits: &mut [f32]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = logits.iter().map(|logit| (logit - max).exp()).sum::<f32>().ln();
    logits.iter_mut().for_each(|logit| *logit = *logit - max - log_sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categorical(nvec: &[usize]) -> Distribution {
        Distribution::Categorical { nvec: nvec.to_vec() }
    }

    #[test]
    fn probabilities_sum_to_one_whatever_the_size_of_the_logits() {
        for scale in [1.0, 1e4, -1e4] {
            let mut params = [scale, scale + 1.0, scale - 2.0, 0.0, 0.0];
            categorical(&[3, 2]).normalize(&mut params);
            let sum: f32 = params[..3].iter().map(|l| l.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-6);
            assert!((params[1] - params[0] - 1.0).abs() < 1e-3);
            assert_eq!(params[3], 0.5_f32.ln());
        }
    }

    #[test]
    fn choices_follow_the_probabilities() {
        let params = [0.2_f32.ln(), 0.5_f32.ln(), 0.3_f32.ln(), 0.0, 0.0];
        let (mut counts, mut action) = ([0; 3], [0.0; 2]);
        for i in 0..1000 {
            categorical(&[3, 2]).sample(&params, &[(f64::from(i) + 0.5) / 1000.0, 0.7], &mut action);
            counts[action[0] as usize] += 1;
            assert_eq!(action[1], 1.0);
        }
        assert_eq!(counts, [200, 500, 300]);
        categorical(&[3, 2]).mode(&params, &mut action);
        assert_eq!(action, [1.0, 0.0]);
    }

    #[test]
    fn what_is_masked_is_never_chosen_and_nothing_becomes_nan() {
        let distribution = categorical(&[3]);
        let mut params = [9.0, 1.0, 2.0];
        distribution.mask(&mut params, &[false, true, true]);
        distribution.normalize(&mut params);
        let mut action = [0.0];
        for draw in [0.0, 0.5, 1.0 - f64::EPSILON / 2.0] {
            distribution.sample(&params, &[draw], &mut action);
            assert_ne!(action, [0.0]);
        }
        let p: f32 = params[1..].iter().map(|l| l.exp()).sum();
        assert!((p - 1.0).abs() < 1e-6 && params.iter().all(|l| l.is_finite()));
        assert!(Distribution::is_masked(params[0]) && !Distribution::is_masked(params[1]));
    }

    #[test]
    fn gaussian_draws_have_their_mean_spread_and_density() {
        let distribution = Distribution::Gaussian { dim: 2, squash: false };
        let params = [1.0, -2.0, 0.5_f32.ln(), 9.0];
        let mut action = [0.0; 2];
        distribution.sample(&params, &[2.0, -1.0], &mut action);
        assert_eq!(action, [2.0, -2.0 - 2.0_f32.exp()], "log standard deviations end at 2");
        let mut params = params;
        distribution.normalize(&mut params);
        // ln N(2; 1, ½) + ln N(−2 − e²; −2, e²).
        let expected = -0.5 * 4.0 - 0.5_f32.ln() - 0.5 - 2.0 - 2.0 * HALF_LN_TAU;
        assert!((distribution.log_prob(&params, &action) - expected).abs() < 1e-6);
    }

    /// ∫ over the action of the squashed density is 1: the change of variables has the right sign and factor.
    #[test]
    fn squashed_densities_integrate_to_one() {
        let distribution = Distribution::Gaussian { dim: 1, squash: true };
        let n = 200_000;
        let density = |i: i32| {
            let action = (f64::from(i) + 0.5) / f64::from(n) * 2.0 - 1.0;
            f64::from(distribution.log_prob(&[0.4, -0.3], &[action.atanh() as f32])).exp()
        };
        let integral: f64 = (0..n).map(density).sum::<f64>() * 2.0 / f64::from(n);
        assert!((integral - 1.0).abs() < 1e-3, "{integral}");
        assert!((ln_tanh_slope(0.5) - (1.0 - 0.5_f32.tanh().powi(2)).ln()).abs() < 1e-6);
        assert!(ln_tanh_slope(40.0).is_finite());
    }
}
