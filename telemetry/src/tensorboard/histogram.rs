//! Histograms with the buckets that TensorFlow's own writers use.

use std::sync::LazyLock;

use tensorboard_proto::summary::Summary;
use tensorboard_rs::summary::histogram_raw;

/// Where each bucket ends, itself excluded: ±1e-12 · 1.1ⁿ up to ±1e20, 0 in the
/// middle and the largest number at either end.
static LIMITS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut positive = Vec::new();
    let mut limit = 1e-12;
    while limit < 1e20 {
        positive.push(limit);
        limit *= 1.1;
    }
    positive.push(f64::MAX);
    let negative = positive.iter().rev().map(|limit| -limit);
    negative.chain([0.0]).chain(positive.clone()).collect()
});

/// The distribution of the finite ones among `values`, if there are any.
pub(super) fn histogram(tag: &str, values: &[f32]) -> Option<Summary> {
    let mut counts = vec![0.0; LIMITS.len()];
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    let (mut number, mut sum, mut sum_of_squares) = (0.0, 0.0, 0.0);
    for value in values.iter().filter(|value| value.is_finite()) {
        let value = f64::from(*value);
        counts[LIMITS.partition_point(|limit| *limit <= value)] += 1.0;
        min = min.min(value);
        max = max.max(value);
        number += 1.0;
        sum += value;
        sum_of_squares += value * value;
    }
    if number == 0.0 {
        return None;
    }
    let (limits, counts) = without_empty_runs(&counts);
    Some(histogram_raw(tag, min, max, number, sum, sum_of_squares, &limits, &counts))
}

/// Limits and counts, each run of empty buckets made one.
fn without_empty_runs(counts: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut limits, mut kept) = (Vec::new(), Vec::new());
    for (limit, count) in LIMITS.iter().zip(counts) {
        if *count == 0.0 && kept.last() == Some(&0.0) {
            limits.pop();
            kept.pop();
        }
        limits.push(*limit);
        kept.push(*count);
    }
    (limits, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_tensorflows() {
        // 774 powers of 1.1 and the largest number, on both sides of 0.
        assert_eq!(LIMITS.len(), 2 * 775 + 1);
        assert!(LIMITS.is_sorted_by(|a, b| a < b));
        assert_eq!(LIMITS[775..778], [0.0, 1e-12, 1e-12 * 1.1]);
    }

    #[test]
    fn every_finite_value_is_counted_in_its_bucket() {
        let values = [-1.5, 0.0, 0.0, 2.0, 2.01, f32::MAX, f32::MIN, f32::NAN, f32::INFINITY];
        let summary = histogram("w", &values).unwrap();
        let written = summary.get_value()[0].get_histo();
        assert_eq!(written.get_num(), 7.0);
        assert_eq!(written.get_min(), f64::from(f32::MIN));
        assert_eq!(written.get_max(), f64::from(f32::MAX));
        assert_eq!(written.get_bucket().iter().sum::<f64>(), 7.0);
        assert!(written.get_bucket().len() < 20);

        let limits = written.get_bucket_limit();
        let at_zero = limits.iter().position(|limit| *limit == 1e-12).unwrap();
        assert_eq!(written.get_bucket()[at_zero], 2.0);
        assert_eq!(limits[at_zero - 1], 0.0);
    }

    #[test]
    fn nothing_finite_is_no_histogram() {
        assert!(histogram("w", &[]).is_none());
        assert!(histogram("w", &[f32::NAN]).is_none());
    }
}
