//! `FrameStackObservation`: the last few observations as one.

use super::{MAX_ROWS, Window, Wrapper};
use crate::{Error, Generator, Space};
use serde::{Deserialize, Serialize};

/// What a stack holds before there have been enough observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// The first observation of the episode.
    #[default]
    Reset,
    /// The element of the space that is nearest to zero.
    Zero,
}

#[derive(Clone)]
pub(super) struct FrameStack {
    frames: Window,
    /// Columns of each part of an observation that is stacked by itself.
    leaves: Vec<usize>,
    padding: Padding,
    stack_size: usize,
}

impl FrameStack {
    pub(super) fn new(stack_size: u32, padding: Padding, space: Space) -> Result<Self, Error> {
        if !(1..=MAX_ROWS).contains(&stack_size) {
            return Err(Error::config(format!("stack_size: expected 1 to {MAX_ROWS}, got {stack_size}")));
        }
        let stack_size = stack_size as usize;
        Ok(Self { leaves: space.leaves(), frames: Window::zeros(stack_size, space)?, padding, stack_size })
    }
}

impl Wrapper for FrameStack {
    fn observation_space(&self, inner: Space) -> Space {
        inner.batched(self.stack_size)
    }

    fn begin(&mut self, first: &[f32]) {
        match self.padding {
            Padding::Reset => self.frames.fill(first),
            Padding::Zero => self.frames.fill_zeros(),
        }
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        self.frames.push(inner);
        let (mut from, mut rest) = (0, observation);
        for &columns in &self.leaves {
            for frame in self.frames.rows() {
                let (to, after) = rest.split_at_mut(columns);
                to.copy_from_slice(&frame[from..from + columns]);
                rest = after;
            }
            from += columns;
        }
    }

    fn save(&self) -> Vec<u8> {
        self.frames.save()
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        self.frames.load(state)
    }
}
