//! `FlattenObservation` and `FilterObservation`: other arrangements of an observation's columns.

use super::Wrapper;
use crate::{Error, Generator, Space};
use serde::{Deserialize, Serialize};
use std::ops::Range;

#[derive(Clone)]
pub(super) struct Flatten {
    space: Space,
}

impl Flatten {
    pub(super) fn new(space: Space) -> Self {
        Self { space }
    }
}

impl Wrapper for Flatten {
    fn observation_space(&self, inner: Space) -> Space {
        inner.flattened()
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        self.space.write_features(inner, observation);
    }
}

/// A part of a `Dict` or of a `Tuple`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// The part of a `Dict` with this name.
    Name(String),
    /// The part of a `Tuple` at this place, from 0.
    Index(usize),
}

#[derive(Clone)]
pub(super) struct Filter {
    space: Space,
    /// The columns of each part that is kept.
    kept: Vec<Range<usize>>,
}

impl Filter {
    pub(super) fn new(keys: &[Key], space: &Space) -> Result<Self, Error> {
        let refuse = || {
            let expected = match space {
                Space::Dict { spaces } => format!("names of {:?}", spaces.keys().collect::<Vec<_>>()),
                Space::Tuple { spaces } => format!("places from 0 to {}", spaces.len() - 1),
                _ => return Error::config(format!("expected observations of a Dict or a Tuple, got {space}")),
            };
            let got = serde_json::to_string(keys).expect("keys are plain data");
            Error::config(format!("filter_keys: expected some {expected}, each once, got {got}"))
        };
        let place = |key: &Key| match (space, key) {
            (Space::Dict { spaces }, Key::Name(name)) => spaces.keys().position(|known| known == name),
            (Space::Tuple { spaces }, Key::Index(index)) => Some(*index).filter(|index| *index < spaces.len()),
            _ => None,
        };
        let mut places = keys.iter().map(place).collect::<Option<Vec<_>>>().ok_or_else(refuse)?;
        if matches!(space, Space::Dict { .. }) {
            places.sort_unstable();
        }
        if places.is_empty() || places.iter().enumerate().any(|(i, place)| places[..i].contains(place)) {
            return Err(refuse());
        }
        let parts: Vec<&Space> = space.parts().collect();
        let columns = |place: &usize| {
            let start = parts[..*place].iter().map(|part| part.flat_dim()).sum();
            start..start + parts[*place].flat_dim()
        };
        let kept = places.iter().map(columns).collect();
        let space = match space {
            Space::Dict { spaces } => {
                let names: Vec<&String> = spaces.keys().collect();
                Space::dict(places.iter().map(|&place| (names[place], parts[place].clone())))
            }
            _ => Space::tuple(places.iter().map(|&place| parts[place].clone()).collect::<Vec<_>>()),
        };
        Ok(Self { space, kept })
    }
}

impl Wrapper for Filter {
    fn observation_space(&self, _: Space) -> Space {
        self.space.clone()
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        let mut rest = observation;
        for columns in &self.kept {
            let (to, after) = rest.split_at_mut(columns.len());
            to.copy_from_slice(&inner[columns.clone()]);
            rest = after;
        }
    }
}
