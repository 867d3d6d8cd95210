//! `MultiTask`: one of several tasks, as somebody who does all of them sees it.

use super::Wrapper;
use crate::{Error, Generator, RowEnv, Space};
use std::ops::Range;

/// Every task has columns of its own in the observation, and choices of its own among the actions.
#[derive(Clone)]
pub(super) struct MultiTask {
    task: usize,
    /// The task's own observations.
    inner: Space,
    /// Where its features lie.
    features: Range<usize>,
    /// Where its choices lie, and the action that the first of them stands for.
    choices: Range<usize>,
    start: f32,
    width: usize,
    actions: u32,
}

impl MultiTask {
    pub(super) fn new(task: usize, observations: &[usize], actions: &[u32], env: &dyn RowEnv) -> Result<Self, Error> {
        let (inner, space) = (env.observation_space(), env.action_space());
        let (tasks, most) = (observations.len(), 1 << 24);
        if task >= tasks || actions.len() != tasks {
            return Err(Error::config(format!(
                "expected as many actions as observations, one for each task, and a task below their number, got task {task}, \
                 observations {observations:?} and actions {actions:?}"
            )));
        }
        let Space::Discrete { n, start } = space else {
            return Err(Error::config(format!("expected Discrete actions, got {space}; use DiscretizeAction first")));
        };
        if (observations[task], actions[task]) != (inner.feature_dim(), n) {
            return Err(Error::config(format!(
                "expected {} features and {n} actions for task {task}, those of the environment, got {} and {}",
                inner.feature_dim(),
                observations[task],
                actions[task]
            )));
        }
        let width = observations.iter().try_fold(tasks, |sum: usize, n| sum.checked_add(*n)).unwrap_or(usize::MAX);
        let sum = actions.iter().map(|n| u64::from(*n)).sum::<u64>();
        if width > most || sum > most as u64 {
            return Err(Error::config("expected at most 2^24 features and actions over all tasks, got more"));
        }
        let first = tasks + observations[..task].iter().sum::<usize>();
        let choice = actions[..task].iter().sum::<u32>() as usize;
        Ok(Self {
            task,
            features: first..first + inner.feature_dim(),
            choices: choice..choice + n as usize,
            start: start as f32,
            inner,
            width,
            actions: sum as u32,
        })
    }
}

impl Wrapper for MultiTask {
    fn observation_space(&self, _: Space) -> Space {
        Space::bounded(&vec![f32::NEG_INFINITY; self.width], &vec![f32::INFINITY; self.width])
    }

    fn action_space(&self, _: Space) -> Space {
        Space::discrete(self.actions)
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        observation.fill(0.0);
        observation[self.task] = 1.0;
        self.inner.write_features(inner, &mut observation[self.features.clone()]);
    }

    /// Another task's choice becomes the nearest of this one's.
    fn action(&mut self, action: &[f32], _: &mut Generator, inner: &mut [f32]) {
        let choice = (action[0] as usize).clamp(self.choices.start, self.choices.end - 1) - self.choices.start;
        inner[0] = choice as f32 + self.start;
    }

    fn action_mask(&self, env: &dyn RowEnv, mask: &mut [bool]) {
        mask.fill(false);
        let own = &mut mask[self.choices.clone()];
        own.fill(true);
        env.action_mask(own);
    }
}
