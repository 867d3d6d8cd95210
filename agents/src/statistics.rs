//! Statistics of a few results.

use apprentice_envs::Generator;

/// The arithmetic mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation (n − 1); 0 for a single value.
pub fn std(values: &[f64]) -> f64 {
    let (mean, n) = (mean(values), values.len() as f64);
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { 0.0 }
}

/// The interquartile mean: that of the middle half, without the lowest and the highest quarter (rounded down). It
/// minds an outlier less than the mean, and tells more than the median.
///
/// Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice*, 2021.
pub fn iqm(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = sorted.len() / 4;
    mean(&sorted[cut..sorted.len() - cut])
}

/// A 95 % interval for a statistic of the values: percentile bootstrap with 2,000 resamples, the same ones every time.
///
/// Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993.
pub fn ci95(values: &[f64], statistic: impl Fn(&[f64]) -> f64) -> [f64; 2] {
    let mut rng = Generator::new(95);
    let n = values.len() as u32;
    let mut resample = || (0..n).map(|_| values[rng.integers(n) as usize]).collect::<Vec<f64>>();
    let mut statistics: Vec<f64> = (0..2000).map(|_| statistic(&resample())).collect();
    statistics.sort_by(f64::total_cmp);
    [statistics[49], statistics[1949]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_mean_and_narrows_with_the_spread() {
        let wide: Vec<f64> = (0..100).map(f64::from).collect();
        let [low, high] = ci95(&wide, mean);
        // The standard error is 2.9, so the normal interval is 49.5 ± 5.7.
        assert!((low - 43.8).abs() < 1.0 && (high - 55.2).abs() < 1.0, "{low} {high}");
        assert_eq!((ci95(&[500.0; 10], mean), std(&[500.0; 10])), ([500.0, 500.0], 0.0));
        assert_eq!((std(&[1.0, 3.0]), std(&[1.0])), (2.0_f64.sqrt(), 0.0));
    }

    #[test]
    fn the_interquartile_mean_leaves_out_both_ends() {
        assert_eq!(iqm(&[100.0, 1.0, 3.0, -50.0]), 2.0);
        assert_eq!(iqm(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(iqm(&[9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0]), 4.5);
    }
}
