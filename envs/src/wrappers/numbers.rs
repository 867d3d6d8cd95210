//! The parameters that many wrappers take.

use crate::{Error, Space};
use serde::{Deserialize, Serialize};

/// One number for all coordinates, or a list with one for each: `0.1` or `[0.1, 0.2]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Numbers<T> {
    /// The same number everywhere.
    One(T),
    /// A number for each coordinate.
    List(Vec<T>),
}

impl<T: Clone> Numbers<T> {
    /// A number for each of `n` coordinates; `name` is the parameter's.
    pub(super) fn expand(&self, name: &str, n: usize) -> Result<Vec<T>, Error> {
        match self {
            Self::One(number) => Ok(vec![number.clone(); n]),
            Self::List(numbers) if numbers.len() == n => Ok(numbers.clone()),
            Self::List(numbers) => {
                let got = numbers.len();
                Err(Error::config(format!("{name}: expected one number or a list of {n}, one a coordinate, got {got}")))
            }
        }
    }
}

/// The bounds of a `Box` of `what`.
pub(super) fn coordinates<'a>(what: &str, space: &'a Space) -> Result<(&'a [f32], &'a [f32]), Error> {
    match space {
        Space::Box { low, high, .. } => Ok((low, high)),
        other => Err(Error::config(format!("expected {what} of a Box, got {other}"))),
    }
}

/// Refuses a probability that is not from 0 to below 1.
pub(super) fn fraction(name: &str, probability: f64) -> Result<(), Error> {
    if (0.0..1.0).contains(&probability) {
        return Ok(());
    }
    Err(Error::config(format!("{name}: expected a number from 0 to below 1, got {probability}")))
}
