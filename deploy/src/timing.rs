//! How long an action takes.

use crate::Policy;
use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds that an action takes here, for one observation at a time: the median of 31 batches, about 30 ms
/// in all.
pub fn ns_per_action(policy: &Policy) -> f64 {
    let mut runner = policy.runner();
    let observations: Vec<Vec<f32>> = (0..64)
        .map(|i| {
            let mut row = Vec::new();
            policy.header().observation.example(i, &mut row);
            row
        })
        .collect();
    let mask = policy.header().masked.then(|| vec![true; runner.distribution().num_params()]);
    let mut batch = |passes: u32| {
        let started = Instant::now();
        for _ in 0..passes {
            for observation in &observations {
                black_box(runner.decide(black_box(observation), mask.as_deref(), None).ok());
            }
        }
        started.elapsed().as_nanos() as f64 / (f64::from(passes) * observations.len() as f64)
    };
    let warm = batch(20).max(1.0);
    let passes = (1e6 / (warm * observations.len() as f64)).clamp(1.0, 1e5) as u32;
    let mut times: Vec<f64> = (0..31).map(|_| batch(passes)).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
