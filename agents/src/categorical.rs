//! The categorical distribution over actions, on the host: sampling and log-probabilities of one row of logits.

/// Writes log softmax(`logits`) into `log_probs`; both have one entry an action.
pub(crate) fn log_softmax(logits: &[f32], log_probs: &mut [f32]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = logits.iter().map(|logit| (logit - max).exp()).sum::<f32>().ln();
    log_probs.iter_mut().zip(logits).for_each(|(to, logit)| *to = logit - max - log_sum);
}

/// The action whose share of [0, 1) holds `uniform`, a draw from that interval.
pub(crate) fn sample(log_probs: &[f32], uniform: f64) -> usize {
    let mut cumulative = 0.0;
    for (action, log_prob) in log_probs.iter().enumerate() {
        cumulative += f64::from(*log_prob).exp();
        if uniform < cumulative {
            return action;
        }
    }
    // Rounding can leave the sum a hair below 1; the last action owns the rest.
    log_probs.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_whatever_the_size_of_the_logits() {
        let mut log_probs = [0.0; 3];
        for scale in [1.0, 1e4, -1e4] {
            log_softmax(&[scale, scale + 1.0, scale - 2.0], &mut log_probs);
            let sum: f32 = log_probs.iter().map(|l| l.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-6);
            assert!(log_probs[1] > log_probs[0] && log_probs[0] > log_probs[2]);
        }
    }

    #[test]
    fn samples_follow_the_probabilities() {
        let log_probs = [0.2_f32.ln(), 0.5_f32.ln(), 0.3_f32.ln()];
        let mut counts = [0; 3];
        for i in 0..1000 {
            counts[sample(&log_probs, (f64::from(i) + 0.5) / 1000.0)] += 1;
        }
        assert_eq!(counts, [200, 500, 300]);
        assert_eq!(sample(&log_probs, 1.0 - f64::EPSILON / 2.0), 2);
    }
}
