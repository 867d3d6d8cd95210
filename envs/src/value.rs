//! Elements of spaces: as their own Rust type, and as a `Value` when the type is not known.

use crate::Space;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An observation or an action whose space is known only at run time.
///
/// In JSON it is what one would write by hand: `3`, or `[0.1, -2.0]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// An element of a `Discrete` space.
    Discrete(i64),
    /// An element of a `Box` space, in C order.
    Box(Vec<f32>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(element) => write!(f, "{element}"),
            Self::Box(row) => write!(f, "{row:?}"),
        }
    }
}

/// A Rust type whose values are elements of a [`Space`](crate::Space).
///
/// Implemented for `i64` (Discrete), `[f32; N]` and `Vec<f32>` (Box), and `Value` (either).
pub trait Element: Clone + Send + 'static {
    /// The same element without its type.
    fn to_value(&self) -> Value;

    /// The element, if `value` is of the right kind and length.
    fn from_value(value: &Value) -> Option<Self>;

    /// Writes the flat row ([`Space::flat_dim`] columns).
    fn write_flat(&self, row: &mut [f32]);

    /// Reads a flat row that `space` contains; None if this type cannot hold an element of `space`.
    fn from_flat(row: &[f32], space: &Space) -> Option<Self>;
}

impl Element for i64 {
    fn to_value(&self) -> Value {
        Value::Discrete(*self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Discrete(element) => Some(*element),
            Value::Box(_) => None,
        }
    }

    fn write_flat(&self, row: &mut [f32]) {
        row[0] = *self as f32;
    }

    fn from_flat(row: &[f32], space: &Space) -> Option<Self> {
        matches!(space, Space::Discrete { .. }).then_some(row[0] as i64)
    }
}

impl<const N: usize> Element for [f32; N] {
    fn to_value(&self) -> Value {
        Value::Box(self.to_vec())
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Box(row) => row.as_slice().try_into().ok(),
            Value::Discrete(_) => None,
        }
    }

    fn write_flat(&self, row: &mut [f32]) {
        row.copy_from_slice(self);
    }

    fn from_flat(row: &[f32], space: &Space) -> Option<Self> {
        if matches!(space, Space::Discrete { .. }) { None } else { row.try_into().ok() }
    }
}

impl Element for Vec<f32> {
    fn to_value(&self) -> Value {
        Value::Box(self.clone())
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Box(row) => Some(row.clone()),
            Value::Discrete(_) => None,
        }
    }

    fn write_flat(&self, row: &mut [f32]) {
        row.copy_from_slice(self);
    }

    fn from_flat(row: &[f32], space: &Space) -> Option<Self> {
        if matches!(space, Space::Discrete { .. }) { None } else { Some(row.to_vec()) }
    }
}

impl Element for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }

    fn write_flat(&self, row: &mut [f32]) {
        match self {
            Value::Discrete(element) => element.write_flat(row),
            Value::Box(values) => values.write_flat(row),
        }
    }

    fn from_flat(row: &[f32], space: &Space) -> Option<Self> {
        Some(match space {
            Space::Discrete { .. } => Value::Discrete(row[0] as i64),
            Space::Box { .. } => Value::Box(row.to_vec()),
        })
    }
}
