//! Observations with what the policy makes of them, which an export carries along. To a recurrent policy they are an
//! episode from its beginning.

use crate::{Error, Policy};

/// How many examples an export has at most.
const EXAMPLES: usize = 8;

/// An observation and what the policy makes of it.
pub(super) struct Example {
    pub(super) observation: Vec<f32>,
    pub(super) params: Vec<f32>,
    /// The most probable action, every choice allowed.
    pub(super) action: Vec<f32>,
}

impl Example {
    /// Examples from the first of these observations, or from made-up ones.
    pub(super) fn all(policy: &Policy, observations: &[Vec<f32>]) -> Result<Vec<Self>, Error> {
        let made_up = || {
            let mut row = Vec::new();
            let observation = &policy.header().observation;
            (0..EXAMPLES).map(move |i| {
                row.clear();
                observation.example(i, &mut row);
                row.clone()
            })
        };
        let given = observations.iter().take(EXAMPLES).cloned();
        let observations: Vec<_> = if observations.is_empty() { made_up().collect() } else { given.collect() };
        let mut runner = policy.runner();
        let mask = policy.header().masked.then(|| vec![true; runner.distribution().num_params()]);
        let mut example = |observation: Vec<f32>| {
            let before = runner.memory().to_vec();
            let action = runner.decide(&observation, mask.as_deref(), None)?.to_vec();
            // The same observation once more, not the next one.
            runner.memory().copy_from_slice(&before);
            Ok(Self { params: runner.params(&observation)?.to_vec(), observation, action })
        };
        observations.into_iter().map(&mut example).collect()
    }

    /// The examples as tensors: a row each.
    pub(super) fn tensors(examples: &[Self]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let table = |name: &str, row: fn(&Self) -> &Vec<f32>| {
            let width = examples.first().map_or(0, |example| row(example).len());
            let numbers = examples.iter().flat_map(|example| row(example).clone()).collect();
            (format!("examples.{name}"), vec![examples.len(), width], numbers)
        };
        vec![
            table("observation", |example| &example.observation),
            table("params", |example| &example.params),
            table("action", |example| &example.action),
        ]
    }
}
