//! `RescaleAction`, `RescaleObservation` and `ScaleReward`: other units.

use super::{Numbers, Wrapper, coordinates};
use crate::{Error, Generator, Space};

/// For each coordinate of a `Box` the line y = gradient · x + intercept that takes its bounds to others.
///
/// In the precision of Gymnasium's `rescale_box`: bounds of the target in double, the line itself in single.
#[derive(Clone)]
struct Lines {
    gradient: Vec<f32>,
    intercept: Vec<f32>,
    from: (Vec<f32>, Vec<f32>),
    to: (Vec<f32>, Vec<f32>),
}

impl Lines {
    /// Lines from the bounds of `space`, which is of `what`, to others whose parameters are called `names`.
    fn new(what: &str, space: &Space, names: [&str; 2], min: &Numbers<f64>, max: &Numbers<f64>) -> Result<Self, Error> {
        let (low, high) = coordinates(what, space)?;
        if !low.iter().chain(high).all(|bound| bound.is_finite()) {
            return Err(Error::config(format!(
                "expected {what} with bounds in every coordinate, got {space}; clip them first"
            )));
        }
        let [min_name, max_name] = names;
        let (min, max) = (min.expand(min_name, low.len())?, max.expand(max_name, low.len())?);
        if !min.iter().zip(&max).all(|(min, max)| min <= max && (max - min).is_finite()) {
            return Err(Error::config(format!(
                "{min_name}, {max_name}: expected no lower bound above its upper bound, got {min:?} and {max:?}"
            )));
        }
        let line = |i: usize| {
            let span = f64::from(high[i]) - f64::from(low[i]);
            // A coordinate that is constant stays where its lower bound goes.
            let gradient = if span == 0.0 { 1.0 } else { ((max[i] - min[i]) / span) as f32 };
            (gradient, (f64::from(gradient * -low[i]) + min[i]) as f32)
        };
        let (gradient, intercept): (Vec<f32>, Vec<f32>) = (0..low.len()).map(line).unzip();
        if !gradient.iter().chain(&intercept).all(|x| x.is_finite()) {
            return Err(Error::config(format!(
                "{min_name}, {max_name}: {min:?} to {max:?} is too far from {space} for single precision"
            )));
        }
        let single = |values: &[f64]| values.iter().map(|&x| x as f32).collect();
        Ok(Self { gradient, intercept, from: (low.to_vec(), high.to_vec()), to: (single(&min), single(&max)) })
    }

    /// The `Box` that the lines lead to.
    fn target(&self, mut space: Space) -> Space {
        if let Space::Box { low, high, .. } = &mut space {
            (*low, *high) = self.to.clone();
        }
        space
    }
}

#[derive(Clone)]
pub(super) struct RescaleObservation(Lines);

impl RescaleObservation {
    pub(super) fn new(min: &Numbers<f64>, max: &Numbers<f64>, space: &Space) -> Result<Self, Error> {
        Lines::new("observations", space, ["min_obs", "max_obs"], min, max).map(Self)
    }
}

impl Wrapper for RescaleObservation {
    fn observation_space(&self, inner: Space) -> Space {
        self.0.target(inner)
    }

    /// Rounding must not lead out of the bounds.
    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        let Lines { gradient, intercept, to: (low, high), .. } = &self.0;
        for (i, to) in observation.iter_mut().enumerate() {
            *to = (gradient[i] * inner[i] + intercept[i]).clamp(low[i], high[i]);
        }
    }
}

#[derive(Clone)]
pub(super) struct RescaleAction(Lines);

impl RescaleAction {
    pub(super) fn new(min: &Numbers<f64>, max: &Numbers<f64>, space: &Space) -> Result<Self, Error> {
        let lines = Lines::new("actions", space, ["min_action", "max_action"], min, max)?;
        match lines.gradient.iter().position(|&gradient| gradient == 0.0) {
            None => Ok(Self(lines)),
            Some(i) => Err(Error::config(format!(
                "min_action, max_action: expected different bounds, got {} twice for coordinate {i}; nothing could be \
                 chosen there",
                lines.to.0[i]
            ))),
        }
    }
}

impl Wrapper for RescaleAction {
    fn action_space(&self, inner: Space) -> Space {
        self.0.target(inner)
    }

    /// Rounding must not lead out of the bounds.
    fn action(&mut self, action: &[f32], _: &mut Generator, inner: &mut [f32]) {
        let Lines { gradient, intercept, from: (low, high), .. } = &self.0;
        for (i, to) in inner.iter_mut().enumerate() {
            *to = ((action[i] - intercept[i]) / gradient[i]).clamp(low[i], high[i]);
        }
    }
}

#[derive(Clone)]
pub(super) struct ScaleReward {
    scale: f64,
    shift: f64,
}

impl ScaleReward {
    pub(super) fn new(scale: f64, shift: f64) -> Result<Self, Error> {
        if scale.is_finite() && shift.is_finite() {
            return Ok(Self { scale, shift });
        }
        Err(Error::config(format!("scale, shift: expected finite numbers, got {scale} and {shift}")))
    }
}

impl Wrapper for ScaleReward {
    fn reward(&mut self, reward: f64) -> f64 {
        reward * self.scale + self.shift
    }
}
