//! The categorical distribution that logits stand for.

/// Writes ln softmax(`logits`) into `log_probabilities`, which has as many places.
///
/// The largest logit is subtracted first, so that no exponential overflows.
pub fn log_softmax(logits: &[f32], log_probabilities: &mut [f32]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = logits.iter().map(|logit| (logit - max).exp()).sum::<f32>().ln();
    log_probabilities.iter_mut().zip(logits).for_each(|(to, logit)| *to = logit - max - log_sum);
}

/// The action that `uniform`, a draw from [0, 1), picks from the distribution with these logits: the first one whose
/// cumulative probability exceeds it. Log-probabilities are logits too.
pub fn sample(logits: &[f32], uniform: f64) -> usize {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: &f32| f64::from(logit - max).exp();
    let mut rest = uniform * logits.iter().map(weight).sum::<f64>();
    for (action, logit) in logits.iter().enumerate() {
        rest -= weight(logit);
        if rest < 0.0 {
            return action;
        }
    }
    // Rounding can leave a hair's breadth; it belongs to the last action that is possible at all.
    logits.iter().rposition(|logit| weight(logit) > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_whatever_the_size_of_the_logits() {
        let mut log_probabilities = [0.0; 3];
        for scale in [1.0, 1e4, -1e4] {
            log_softmax(&[scale, scale + 1.0, scale - 2.0], &mut log_probabilities);
            let sum: f32 = log_probabilities.iter().map(|l| l.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-6);
            assert!((log_probabilities[1] - log_probabilities[0] - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn samples_follow_the_probabilities() {
        let logits = [0.2_f32.ln(), 0.5_f32.ln(), 0.3_f32.ln()];
        let mut counts = [0; 3];
        for i in 0..1000 {
            counts[sample(&logits, (f64::from(i) + 0.5) / 1000.0)] += 1;
        }
        assert_eq!(counts, [200, 500, 300]);
        assert_eq!(sample(&logits, 1.0 - f64::EPSILON / 2.0), 2);
        assert_eq!(sample(&[0.0, f32::NEG_INFINITY], 1.0 - f64::EPSILON / 2.0), 0);
    }
}
