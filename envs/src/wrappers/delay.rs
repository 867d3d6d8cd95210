//! `DelayObservation` and `DelayAction`: what arrives late.

use super::{MAX_ROWS, Window, Wrapper};
use crate::{Error, Generator, Space};

/// The row of `delay` steps ago, and the element nearest to zero until there is one.
fn line(delay: u32, space: Space) -> Result<Window, Error> {
    if delay >= MAX_ROWS {
        return Err(Error::config(format!("delay: expected 0 to {}, got {delay}", MAX_ROWS - 1)));
    }
    Window::zeros(delay as usize + 1, space)
}

#[derive(Clone)]
pub(super) struct DelayObservation(Window);

impl DelayObservation {
    pub(super) fn new(delay: u32, space: Space) -> Result<Self, Error> {
        line(delay, space).map(Self)
    }
}

impl Wrapper for DelayObservation {
    fn begin(&mut self, _: &[f32]) {
        self.0.fill_zeros();
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        self.0.push(inner);
        observation.copy_from_slice(self.0.oldest());
    }

    fn save(&self) -> Vec<u8> {
        self.0.save()
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        self.0.load(state)
    }
}

#[derive(Clone)]
pub(super) struct DelayAction(Window);

impl DelayAction {
    pub(super) fn new(delay: u32, space: Space) -> Result<Self, Error> {
        line(delay, space).map(Self)
    }
}

impl Wrapper for DelayAction {
    fn begin(&mut self, _: &[f32]) {
        self.0.fill_zeros();
    }

    fn action(&mut self, action: &[f32], _: &mut Generator, inner: &mut [f32]) {
        self.0.push(action);
        inner.copy_from_slice(self.0.oldest());
    }

    fn save(&self) -> Vec<u8> {
        self.0.save()
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        self.0.load(state)
    }
}
