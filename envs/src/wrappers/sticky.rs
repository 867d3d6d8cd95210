//! `StickyAction`: sometimes the last action comes again.
//!
//! Machado et al., *Revisiting the Arcade Learning Environment*, 2018, section 5.2.

use super::{Numbers, Wrapper, fraction};
use crate::row_env::{from_bytes, to_bytes};
use crate::{Error, Generator, Space};

#[derive(Clone)]
pub(super) struct StickyAction {
    probability: f64,
    /// The least and the greatest number of steps that a repetition lasts.
    duration: [u32; 2],
    space: Space,
    /// The last action, if the episode has had one.
    last: Vec<f32>,
    acted: bool,
    /// How many more steps it comes again without a draw.
    remaining: u32,
}

impl StickyAction {
    pub(super) fn new(probability: f64, duration: &Numbers<u32>, space: Space) -> Result<Self, Error> {
        fraction("repeat_action_probability", probability)?;
        let duration = match *duration {
            Numbers::One(steps) => [steps, steps],
            Numbers::List(ref bounds) => bounds.as_slice().try_into().unwrap_or([0, 0]),
        };
        let [least, greatest] = duration;
        if least < 1 || least > greatest {
            return Err(Error::config(
                "repeat_action_duration: expected a number of steps from 1 on, or the least and the greatest such as \
                 [1, 4]",
            ));
        }
        Ok(Self { probability, duration, last: vec![0.0; space.flat_dim()], acted: false, space, remaining: 0 })
    }
}

impl Wrapper for StickyAction {
    fn begin(&mut self, _: &[f32]) {
        (self.acted, self.remaining) = (false, 0);
    }

    /// Draws what Gymnasium draws: nothing at the first step and within a repetition; otherwise a double, and where it
    /// says so an integer for the duration (none if there is only one).
    fn action(&mut self, action: &[f32], rng: &mut Generator, inner: &mut [f32]) {
        let repeats = if self.remaining > 0 {
            self.remaining -= 1;
            true
        } else if self.acted && rng.random() < self.probability {
            let [least, greatest] = self.duration;
            self.remaining = least + rng.integers((greatest - least).saturating_add(1)) - 1;
            true
        } else {
            false
        };
        if !repeats {
            self.last.copy_from_slice(action);
        }
        self.acted = true;
        inner.copy_from_slice(&self.last);
    }

    fn save(&self) -> Vec<u8> {
        to_bytes(&(self.acted.then_some(&self.last), self.remaining))
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        let (last, remaining): (Option<Vec<f32>>, u32) = from_bytes(state)?;
        let valid = last.as_ref().map_or(remaining == 0, |last| self.space.contains_flat(last));
        if !valid || remaining >= self.duration[1] {
            return Err(Error::snapshot("the action to repeat is none of this environment's"));
        }
        (self.acted, self.remaining) = (last.is_some(), remaining);
        self.last = last.unwrap_or_else(|| vec![0.0; self.space.flat_dim()]);
        Ok(())
    }
}
