//! `GaussianNoiseObservation` and `DropoutObservation`: sensors that are not perfect.

use super::{Numbers, Wrapper, coordinates, fraction};
use crate::{Error, Generator, Space};

#[derive(Clone)]
pub(super) struct GaussianNoise {
    std: Vec<f64>,
}

impl GaussianNoise {
    pub(super) fn new(std: &Numbers<f64>, space: &Space) -> Result<Self, Error> {
        let (low, _) = coordinates("observations", space)?;
        let std = std.expand("std", low.len())?;
        match std.iter().find(|std| !(0.0..f64::INFINITY).contains(*std)) {
            None => Ok(Self { std }),
            Some(wrong) => Err(Error::config(format!("std: expected finite numbers from 0 on, got {wrong}"))),
        }
    }
}

impl Wrapper for GaussianNoise {
    /// Noise has no bounds.
    fn observation_space(&self, mut inner: Space) -> Space {
        if let Space::Box { low, high, .. } = &mut inner {
            for i in (0..self.std.len()).filter(|&i| self.std[i] > 0.0) {
                (low[i], high[i]) = (f32::NEG_INFINITY, f32::INFINITY);
            }
        }
        inner
    }

    fn observation(&mut self, inner: &[f32], rng: &mut Generator, observation: &mut [f32]) {
        for (to, (&x, std)) in observation.iter_mut().zip(inner.iter().zip(&self.std)) {
            *to = (f64::from(x) + std * rng.standard_normal()) as f32;
        }
    }
}

#[derive(Clone)]
pub(super) struct Dropout {
    probability: f64,
}

impl Dropout {
    pub(super) fn new(probability: f64, space: &Space) -> Result<Self, Error> {
        coordinates("observations", space)?;
        fraction("probability", probability)?;
        Ok(Self { probability })
    }
}

impl Wrapper for Dropout {
    /// Zero may come too.
    fn observation_space(&self, mut inner: Space) -> Space {
        if let Space::Box { low, high, .. } = &mut inner {
            low.iter_mut().for_each(|low| *low = low.min(0.0));
            high.iter_mut().for_each(|high| *high = high.max(0.0));
        }
        inner
    }

    fn observation(&mut self, inner: &[f32], rng: &mut Generator, observation: &mut [f32]) {
        for (to, &x) in observation.iter_mut().zip(inner) {
            *to = if rng.random() < self.probability { 0.0 } else { x };
        }
    }
}
