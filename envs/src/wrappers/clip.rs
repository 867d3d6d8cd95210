//! `ClipAction`, `ClipObservation` and `ClipReward`: values that are brought within bounds.

use super::{Numbers, Wrapper, coordinates};
use crate::{Error, Generator, Space};

/// Brings every value between the bounds of its column.
fn clamp(from: &[f32], low: &[f32], high: &[f32], to: &mut [f32]) {
    let bounds = low.iter().zip(high);
    to.iter_mut().zip(from.iter().zip(bounds)).for_each(|(to, (x, (&low, &high)))| *to = x.clamp(low, high));
}

#[derive(Clone)]
pub(super) struct ClipAction {
    low: Vec<f32>,
    high: Vec<f32>,
}

impl ClipAction {
    pub(super) fn new(space: &Space) -> Result<Self, Error> {
        let (low, high) = coordinates("actions", space)?;
        Ok(Self { low: low.to_vec(), high: high.to_vec() })
    }
}

impl Wrapper for ClipAction {
    fn action_space(&self, inner: Space) -> Space {
        inner.unbounded()
    }

    fn action(&mut self, action: &[f32], _: &mut Generator, inner: &mut [f32]) {
        clamp(action, &self.low, &self.high, inner);
    }
}

#[derive(Clone)]
pub(super) struct ClipObservation {
    low: Vec<f32>,
    high: Vec<f32>,
}

impl ClipObservation {
    pub(super) fn new(min: &Numbers<f64>, max: &Numbers<f64>, space: &Space) -> Result<Self, Error> {
        let (low, _) = coordinates("observations", space)?;
        let single = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect::<Vec<_>>();
        let min = single(min.expand("min_obs", low.len())?);
        let max = single(max.expand("max_obs", low.len())?);
        if !min.iter().zip(&max).all(|(min, max)| min <= max && min.is_finite() && max.is_finite()) {
            return Err(Error::config(format!(
                "min_obs, max_obs: expected finite numbers and no lower bound above its upper bound, got {min:?} and \
                 {max:?}; 3e38 is as good as no bound"
            )));
        }
        Ok(Self { low: min, high: max })
    }
}

impl Wrapper for ClipObservation {
    fn observation_space(&self, mut inner: Space) -> Space {
        if let Space::Box { low, high, .. } = &mut inner {
            for bounds in [low, high] {
                let unclipped = bounds.clone();
                clamp(&unclipped, &self.low, &self.high, bounds);
            }
        }
        inner
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        clamp(inner, &self.low, &self.high, observation);
    }
}

#[derive(Clone)]
pub(super) struct ClipReward {
    min: f64,
    max: f64,
}

impl ClipReward {
    pub(super) fn new(min: Option<f64>, max: Option<f64>) -> Result<Self, Error> {
        if min.is_none() && max.is_none() {
            return Err(Error::config("expected min_reward, max_reward or both, got neither"));
        }
        // A policy file is JSON, which has no infinity.
        if let Some(bound) = min.iter().chain(&max).find(|bound| !bound.is_finite()) {
            return Err(Error::config(format!(
                "min_reward, max_reward: expected finite numbers, got {bound}; leave out the bound that there is not"
            )));
        }
        let (min, max) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
        if min <= max {
            return Ok(Self { min, max });
        }
        Err(Error::config(format!("min_reward: expected at most max_reward, which is {max}, got {min}")))
    }
}

impl Wrapper for ClipReward {
    fn reward(&mut self, reward: f64) -> f64 {
        reward.clamp(self.min, self.max)
    }
}
