//! `SelectObservation`: some coordinates of a `Box`, as if the other sensors were not there.

use super::{Wrapper, coordinates};
use crate::{Error, Generator, Space};

#[derive(Clone)]
pub(super) struct SelectObservation {
    indices: Vec<usize>,
}

impl SelectObservation {
    pub(super) fn new(indices: &[usize], space: &Space) -> Result<Self, Error> {
        let (low, _) = coordinates("observations", space)?;
        let n = low.len();
        if indices.is_empty() || indices.iter().any(|i| *i >= n) {
            return Err(Error::config(format!(
                "indices: expected at least one place of 0 to {} in an observation of {space}, got {indices:?}",
                n - 1
            )));
        }
        Ok(Self { indices: indices.to_vec() })
    }
}

impl Wrapper for SelectObservation {
    fn observation_space(&self, inner: Space) -> Space {
        match inner {
            Space::Box { low, high, .. } => {
                let select = |bounds: Vec<f32>| self.indices.iter().map(|i| bounds[*i]).collect::<Vec<_>>();
                Space::bounded(&select(low), &select(high))
            }
            other => other,
        }
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        observation.iter_mut().zip(&self.indices).for_each(|(to, i)| *to = inner[*i]);
    }
}
