//! Elements of spaces: as their own Rust type, and as a `Value` when the type is not known.

use crate::{Error, Space};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;

/// An observation or an action whose space is known only at run time.
///
/// In JSON it is what one would write by hand: `3`, `[0.1, -2.0]`, `{"lamp": [0, 1], "gear": 2}`. Reading it back
/// takes the space: [`Space::value_from_json`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// An element of a `Discrete` space.
    Discrete(i64),
    /// An element of a `Box` space, in C order.
    Box(Vec<f32>),
    /// An element of a `MultiDiscrete` space.
    MultiDiscrete(Vec<i64>),
    /// An element of a `MultiBinary` space, in C order.
    MultiBinary(#[serde(serialize_with = "zeros_and_ones")] Vec<bool>),
    /// An element of a `Tuple` space.
    Tuple(Vec<Value>),
    /// An element of a `Dict` space.
    Dict(BTreeMap<String, Value>),
}

fn zeros_and_ones<S: Serializer>(switches: &[bool], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(switches.iter().map(|&on| u8::from(on)))
}

/// The value as JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(element) => write!(f, "{element}"),
            Self::Box(row) => write!(f, "{row:?}"),
            Self::MultiDiscrete(elements) => write!(f, "{elements:?}"),
            Self::MultiBinary(switches) => f.debug_list().entries(switches.iter().map(|&on| u8::from(on))).finish(),
            Self::Tuple(values) => {
                let parts: Vec<String> = values.iter().map(Self::to_string).collect();
                write!(f, "[{}]", parts.join(", "))
            }
            Self::Dict(values) => {
                let parts: Vec<String> = values.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
                write!(f, "{{{}}}", parts.join(", "))
            }
        }
    }
}

impl Space {
    /// Reads an element as it stands in JSON. Whether it lies within the bounds is for
    /// [`contains`](Self::contains) to say.
    ///
    /// # Errors
    /// If the JSON is not of this space's kind; the message says what was expected.
    pub fn value_from_json(&self, json: &Json) -> Result<Value, Error> {
        self.read(json).ok_or_else(|| {
            let example = match self {
                Self::Discrete { .. } => "3",
                Self::Box { .. } => "[0.1, -2.0]",
                Self::MultiDiscrete { .. } | Self::MultiBinary { .. } => "[0, 1]",
                Self::Tuple { .. } => "[2, [0.1]]",
                Self::Dict { .. } => r#"{"name": 1}"#,
            };
            Error::action(format!("{json} is not of the kind of {self}: expected JSON such as {example}"))
        })
    }

    fn read(&self, json: &Json) -> Option<Value> {
        let each = |json: &Json| json.as_array().cloned();
        Some(match self {
            Self::Discrete { .. } => Value::Discrete(json.as_i64()?),
            Self::Box { .. } => Value::Box(flatten(json)?),
            Self::MultiDiscrete { .. } => {
                Value::MultiDiscrete(each(json)?.iter().map(Json::as_i64).collect::<Option<_>>()?)
            }
            Self::MultiBinary { .. } => {
                let switch = |json: &Json| match json.as_i64() {
                    Some(0) => Some(false),
                    Some(1) => Some(true),
                    _ => json.as_bool(),
                };
                Value::MultiBinary(each(json)?.iter().map(switch).collect::<Option<_>>()?)
            }
            Self::Tuple { spaces } => {
                let parts = json.as_array().filter(|parts| parts.len() == spaces.len())?;
                Value::Tuple(spaces.iter().zip(parts).map(|(space, part)| space.read(part)).collect::<Option<_>>()?)
            }
            Self::Dict { spaces } => {
                let parts = json.as_object().filter(|parts| parts.len() == spaces.len())?;
                let named = |(name, space): (&String, &Space)| Some((name.clone(), space.read(parts.get(name)?)?));
                Value::Dict(spaces.iter().map(named).collect::<Option<_>>()?)
            }
        })
    }
}

/// The numbers of an array of any number of dimensions, in C order.
fn flatten(json: &Json) -> Option<Vec<f32>> {
    let mut row = Vec::new();
    for part in json.as_array()? {
        match part.as_f64() {
            Some(number) => row.push(number as f32),
            None => row.append(&mut flatten(part)?),
        }
    }
    Some(row)
}

/// A Rust type whose values are elements of a [`Space`](crate::Space).
///
/// Implemented for `i64` (Discrete), `[f32; N]` and `Vec<f32>` (Box), `[i64; N]` and `Vec<i64>` (MultiDiscrete),
/// `[bool; N]` and `Vec<bool>` (MultiBinary), tuples of elements (Tuple), and `Value` (any).
pub trait Element: Clone + Send + 'static {
    /// The same element without its type.
    fn to_value(&self) -> Value;

    /// The element, if `value` is of the right kind and length.
    fn from_value(value: &Value) -> Option<Self>;

    /// Columns of this element's flat row.
    fn flat_dim(&self) -> usize;

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
        if let Value::Discrete(element) = value { Some(*element) } else { None }
    }

    fn flat_dim(&self) -> usize {
        1
    }

    #[inline]
    fn write_flat(&self, row: &mut [f32]) {
        row[0] = *self as f32;
    }

    #[inline]
    fn from_flat(row: &[f32], space: &Space) -> Option<Self> {
        matches!(space, Space::Discrete { .. }).then_some(row[0] as i64)
    }
}

/// What arrays and vectors of one kind of number have in common.
macro_rules! arrays {
    ($number:ty, $kind:ident, $to:expr, $from:expr) => {
        impl<const N: usize> Element for [$number; N] {
            fn to_value(&self) -> Value {
                Value::$kind(self.to_vec())
            }

            fn from_value(value: &Value) -> Option<Self> {
                if let Value::$kind(row) = value { row.as_slice().try_into().ok() } else { None }
            }

            fn flat_dim(&self) -> usize {
                N
            }

            #[inline]
            fn write_flat(&self, row: &mut [f32]) {
                row.iter_mut().zip(self).for_each(|(to, &x)| *to = $to(x));
            }

            #[inline]
            fn from_flat(row: &[f32], space: &Space) -> Option<Self> {
                let row: &[f32; N] = row.try_into().ok().filter(|_| matches!(space, Space::$kind { .. }))?;
                Some(row.map($from))
            }
        }

        impl Element for Vec<$number> {
            fn to_value(&self) -> Value {
                Value::$kind(self.clone())
            }

            fn from_value(value: &Value) -> Option<Self> {
                if let Value::$kind(row) = value { Some(row.clone()) } else { None }
            }

            fn flat_dim(&self) -> usize {
                self.len()
            }

            fn write_flat(&self, row: &mut [f32]) {
                row.iter_mut().zip(self).for_each(|(to, &x)| *to = $to(x));
            }

            fn from_flat(row: &[f32], space: &Space) -> Option<Self> {
                matches!(space, Space::$kind { .. }).then(|| row.iter().copied().map($from).collect())
            }
        }
    };
}

arrays!(f32, Box, |x: f32| x, |x: f32| x);
arrays!(i64, MultiDiscrete, |x: i64| x as f32, |x: f32| x as i64);
arrays!(bool, MultiBinary, |x: bool| if x { 1.0 } else { 0.0 }, |x: f32| x != 0.0);

/// The parts of a tuple share a row; each has the columns that come before the next part's.
macro_rules! tuples {
    ($($part:ident $at:tt),+) => {
        impl<$($part: Element),+> Element for ($($part,)+) {
            fn to_value(&self) -> Value {
                Value::Tuple(vec![$(self.$at.to_value()),+])
            }

            fn from_value(value: &Value) -> Option<Self> {
                let Value::Tuple(parts) = value else { return None };
                let mut parts = parts.iter();
                let whole = ($($part::from_value(parts.next()?)?,)+);
                parts.next().is_none().then_some(whole)
            }

            fn flat_dim(&self) -> usize {
                0 $(+ self.$at.flat_dim())+
            }

            fn write_flat(&self, mut row: &mut [f32]) {
                $(
                    let (part, rest) = std::mem::take(&mut row).split_at_mut(self.$at.flat_dim());
                    self.$at.write_flat(part);
                    row = rest;
                )+
                debug_assert!(row.is_empty());
            }

            fn from_flat(mut row: &[f32], space: &Space) -> Option<Self> {
                let Space::Tuple { spaces } = space else { return None };
                let mut spaces = spaces.iter();
                let whole = ($({
                    let space = spaces.next()?;
                    $part::from_flat(row.split_off(..space.flat_dim())?, space)?
                },)+);
                spaces.next().is_none().then_some(whole)
            }
        }
    };
}

tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);

impl Element for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }

    fn flat_dim(&self) -> usize {
        match self {
            Self::Discrete(_) => 1,
            Self::Box(row) => row.len(),
            Self::MultiDiscrete(elements) => elements.len(),
            Self::MultiBinary(switches) => switches.len(),
            Self::Tuple(values) => values.iter().map(Self::flat_dim).sum(),
            Self::Dict(values) => values.values().map(Self::flat_dim).sum(),
        }
    }

    fn write_flat(&self, row: &mut [f32]) {
        fn one_after_another<'a>(values: impl Iterator<Item = &'a Value>, mut row: &mut [f32]) {
            for value in values {
                let (part, rest) = row.split_at_mut(value.flat_dim());
                value.write_flat(part);
                row = rest;
            }
        }
        match self {
            Self::Discrete(element) => element.write_flat(row),
            Self::Box(values) => values.write_flat(row),
            Self::MultiDiscrete(elements) => elements.write_flat(row),
            Self::MultiBinary(switches) => switches.write_flat(row),
            Self::Tuple(values) => one_after_another(values.iter(), row),
            Self::Dict(values) => one_after_another(values.values(), row),
        }
    }

    fn from_flat(mut row: &[f32], space: &Space) -> Option<Self> {
        let mut part = |space: &Space| Self::from_flat(row.split_off(..space.flat_dim())?, space);
        Some(match space {
            Space::Discrete { .. } => Self::Discrete(row[0] as i64),
            Space::Box { .. } => Self::Box(row.to_vec()),
            Space::MultiDiscrete { .. } => Self::MultiDiscrete(Element::from_flat(row, space)?),
            Space::MultiBinary { .. } => Self::MultiBinary(Element::from_flat(row, space)?),
            Space::Tuple { spaces } => Self::Tuple(spaces.iter().map(part).collect::<Option<_>>()?),
            Space::Dict { spaces } => {
                let mut named = |(name, space): (&String, &Space)| Some((name.clone(), part(space)?));
                Self::Dict(spaces.iter().map(&mut named).collect::<Option<_>>()?)
            }
        })
    }
}
