//! How the answers of several teachers become one.

use apprentice_deploy::Distribution;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How several distributions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fusion {
    /// Σ wₖ pₖ: does what any of them would do. Of Gaussians, the Gaussian with the mixture's mean and variance; of several
    /// choices at once, each choice by itself, so that one may be one teacher's and the next another's.
    #[default]
    Mixture,
    /// ∝ Π pₖ^wₖ: does what all of them can agree to (Hinton, *Products of Experts*, 1999; with weights that add up to 1
    /// it is the logarithmic opinion pool).
    Product,
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mixture => "mixture",
            Self::Product => "product",
        })
    }
}

/// Writes the fusion of `answers`, a row of parameters each, by weights that add up to 1. It need not be in normal form;
/// the answers are brought into it.
pub(crate) fn fuse(
    fusion: Fusion,
    distribution: &Distribution,
    answers: &mut [Vec<f32>],
    weights: &[f64],
    to: &mut [f32],
) {
    answers.iter_mut().for_each(|answer| distribution.normalize(answer));
    let sum = |of: &dyn Fn(&[f32]) -> f64| -> f64 { answers.iter().zip(weights).map(|(a, w)| w * of(a)).sum() };
    match (distribution, fusion) {
        (Distribution::Categorical { .. }, Fusion::Mixture) => {
            for (j, to) in to.iter_mut().enumerate() {
                *to = sum(&|answer| f64::from(answer[j]).exp()).max(f64::MIN_POSITIVE).ln() as f32;
            }
        }
        (Distribution::Categorical { .. }, Fusion::Product) => {
            for (j, to) in to.iter_mut().enumerate() {
                *to = sum(&|answer| f64::from(answer[j])) as f32;
            }
        }
        (Distribution::Gaussian { dim, .. }, Fusion::Mixture) => {
            for i in 0..*dim {
                let (mean, var) = (|a: &[f32]| f64::from(a[i]), |a: &[f32]| f64::from(2.0 * a[dim + i]).exp());
                let centre = sum(&mean);
                let spread = sum(&|answer| var(answer) + (mean(answer) - centre).powi(2));
                (to[i], to[dim + i]) = (centre as f32, (0.5 * spread.ln()) as f32);
            }
        }
        (Distribution::Gaussian { dim, .. }, Fusion::Product) => {
            for i in 0..*dim {
                let precision = |answer: &[f32]| f64::from(-2.0 * answer[dim + i]).exp();
                let total = sum(&precision);
                let centre = sum(&|answer| precision(answer) * f64::from(answer[i])) / total;
                (to[i], to[dim + i]) = (centre as f32, (-0.5 * total.ln()) as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fused(fusion: Fusion, distribution: &Distribution, answers: &[&[f32]], weights: &[f64]) -> Vec<f32> {
        let mut to = vec![0.0; answers[0].len()];
        let mut answers: Vec<_> = answers.iter().map(|answer| answer.to_vec()).collect();
        fuse(fusion, distribution, &mut answers, weights, &mut to);
        distribution.normalize(&mut to);
        to
    }

    #[test]
    fn choices_are_mixed_or_multiplied() {
        let two = Distribution::Categorical { nvec: vec![2] };
        let (a, b) = ([0.9_f32.ln(), 0.1_f32.ln()], [0.5_f32.ln(), 0.5_f32.ln()]);
        let p = |fusion| fused(fusion, &two, &[&a, &b], &[0.25, 0.75])[0].exp();
        assert!((p(Fusion::Mixture) - 0.6).abs() < 1e-6);
        let (yes, no) = (0.9_f32.powf(0.25) * 0.5_f32.powf(0.75), 0.1_f32.powf(0.25) * 0.5_f32.powf(0.75));
        assert!((p(Fusion::Product) - yes / (yes + no)).abs() < 1e-6);
    }

    #[test]
    fn gaussians_keep_the_moments_of_their_mixture_and_the_form_of_their_product() {
        let one = Distribution::Gaussian { dim: 1, squash: false };
        let (a, b) = ([-1.0, 0.5_f32.ln()], [3.0, 2.0_f32.ln()]);
        let [mean, log_std] = fused(Fusion::Mixture, &one, &[&a, &b], &[0.5, 0.5])[..] else { panic!() };
        // ½ (¼ + 4) + 2².
        assert!((mean - 1.0).abs() < 1e-6 && (log_std - 0.5 * 6.125_f32.ln()).abs() < 1e-6);
        let [mean, log_std] = fused(Fusion::Product, &one, &[&a, &b], &[0.5, 0.5])[..] else { panic!() };
        // Precisions ½ · 4 and ½ · ¼.
        let precision = 2.125_f32;
        assert!((mean - (-2.0 + 0.125 * 3.0) / precision).abs() < 1e-6);
        assert!((log_std + 0.5 * precision.ln()).abs() < 1e-6);
    }

    #[test]
    fn one_teacher_alone_is_what_it_was() {
        let two = Distribution::Categorical { nvec: vec![2] };
        for fusion in [Fusion::Mixture, Fusion::Product] {
            let same = fused(fusion, &two, &[&[-0.2, -1.7], &[-0.2, -1.7]], &[0.5, 0.5]);
            let mut expected = vec![-0.2, -1.7];
            two.normalize(&mut expected);
            assert!(same.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}
