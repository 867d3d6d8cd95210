//! Spaces: the sets that observations and actions are drawn from.

use crate::{Error, Generator, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Wider rows are taken for a mistake.
pub(crate) const MAX_COLUMNS: usize = 1 << 24;

/// The set of valid observations or actions of an environment.
///
/// An element has two flat forms, both rows of f32. Its *flat row* is what crosses the vector environment's
/// buffers: the values of a `Box`, an integer as one column. Its *feature row* is what a network reads: the values
/// of a `Box`, an integer as its one-hot encoding. The rows of a `Tuple` or a `Dict` are those of its parts, one
/// after another; those of a `Dict` in the order of their keys, as in Gymnasium.
///
/// In JSON a space is an object with its `type`: `{"type": "Discrete", "n": 4, "start": 0}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Space {
    /// The integers start, start + 1, …, start + n − 1.
    Discrete {
        /// How many elements there are, at least 1.
        n: u32,
        /// The smallest element.
        #[serde(default)]
        start: i64,
    },
    /// Real vectors between a lower and an upper bound in each coordinate; bounds may be infinite.
    Box {
        /// Lower bound of each coordinate, in C order.
        #[serde(with = "bounds")]
        low: Vec<f32>,
        /// Upper bound of each coordinate, in C order.
        #[serde(with = "bounds")]
        high: Vec<f32>,
        /// The array's shape; its product is the length of `low` and `high`.
        shape: Vec<usize>,
    },
    /// Several integers, each from a range of its own.
    MultiDiscrete {
        /// How many values each has, at least 1.
        nvec: Vec<u32>,
        /// The smallest value of each; as many as `nvec`.
        start: Vec<i64>,
    },
    /// An array of switches.
    MultiBinary {
        /// The array's shape.
        shape: Vec<usize>,
    },
    /// One element of each of several spaces.
    Tuple {
        /// The spaces, in order.
        spaces: Vec<Space>,
    },
    /// One element of each of several named spaces.
    Dict {
        /// The spaces by name.
        spaces: BTreeMap<String, Space>,
    },
}

impl Space {
    /// The integers 0, …, n − 1.
    pub fn discrete(n: u32) -> Self {
        Self::Discrete { n, start: 0 }
    }

    /// One-dimensional vectors between `low` and `high`, which have the same length.
    pub fn bounded(low: &[f32], high: &[f32]) -> Self {
        assert_eq!(low.len(), high.len(), "a Box needs as many lower as upper bounds");
        Self::Box { low: low.to_vec(), high: high.to_vec(), shape: vec![low.len()] }
    }

    /// Integers from 0, …, n − 1 for each n of `nvec`.
    pub fn multi_discrete(nvec: &[u32]) -> Self {
        Self::MultiDiscrete { nvec: nvec.to_vec(), start: vec![0; nvec.len()] }
    }

    /// `n` switches.
    pub fn multi_binary(n: usize) -> Self {
        Self::MultiBinary { shape: vec![n] }
    }

    /// One element of each of `spaces`.
    pub fn tuple(spaces: impl Into<Vec<Space>>) -> Self {
        Self::Tuple { spaces: spaces.into() }
    }

    /// One element of each of the named `spaces`.
    pub fn dict<K: Into<String>>(spaces: impl IntoIterator<Item = (K, Space)>) -> Self {
        Self::Dict { spaces: spaces.into_iter().map(|(name, space)| (name.into(), space)).collect() }
    }

    /// The spaces that a `Tuple` or a `Dict` is made of, in the order of their columns; others have no parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Space> {
        let (tuple, dict) = match self {
            Self::Tuple { spaces } => (Some(spaces), None),
            Self::Dict { spaces } => (None, Some(spaces)),
            _ => (None, None),
        };
        tuple.into_iter().flatten().chain(dict.into_iter().flat_map(BTreeMap::values))
    }

    /// Columns of a flat row: one for each integer, switch and coordinate.
    pub fn flat_dim(&self) -> usize {
        match self {
            Self::Discrete { .. } => 1,
            Self::Box { low, .. } => low.len(),
            Self::MultiDiscrete { nvec, .. } => nvec.len(),
            Self::MultiBinary { shape } => shape.iter().product(),
            Self::Tuple { spaces } => spaces.iter().map(Self::flat_dim).sum(),
            Self::Dict { spaces } => spaces.values().map(Self::flat_dim).sum(),
        }
    }

    /// Columns of a feature row: n for an integer out of n, one for each switch and coordinate.
    pub fn feature_dim(&self) -> usize {
        match self {
            Self::Discrete { n, .. } => *n as usize,
            Self::Box { .. } | Self::MultiBinary { .. } => self.flat_dim(),
            Self::MultiDiscrete { nvec, .. } => nvec.iter().map(|&n| n as usize).sum(),
            Self::Tuple { spaces } => spaces.iter().map(Self::feature_dim).sum(),
            Self::Dict { spaces } => spaces.values().map(Self::feature_dim).sum(),
        }
    }

    /// Whether `value` is an element of this space.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Discrete { .. }, Value::Discrete(element)) => self.index_of(*element).is_some(),
            (Self::Box { .. }, Value::Box(row)) => self.contains_flat(row),
            (Self::MultiDiscrete { nvec, start }, Value::MultiDiscrete(elements)) => {
                let ranges = nvec.iter().zip(start);
                elements.len() == nvec.len()
                    && elements.iter().zip(ranges).all(|(x, (n, s))| index(*x, *n, *s).is_some())
            }
            (Self::MultiBinary { .. }, Value::MultiBinary(switches)) => switches.len() == self.flat_dim(),
            (Self::Tuple { spaces }, Value::Tuple(values)) => {
                spaces.len() == values.len() && spaces.iter().zip(values).all(|(space, value)| space.contains(value))
            }
            (Self::Dict { spaces }, Value::Dict(values)) => {
                spaces.len() == values.len()
                    && spaces.iter().zip(values).all(|((k, space), (key, value))| k == key && space.contains(value))
            }
            _ => false,
        }
    }

    /// Whether a flat row is an element of this space. NaN never is.
    pub fn contains_flat(&self, row: &[f32]) -> bool {
        let integer = |x: f32, n: u32, start: i64| x.fract() == 0.0 && index(x as i64, n, start).is_some();
        match self {
            Self::Discrete { n, start } => row.len() == 1 && integer(row[0], *n, *start),
            Self::Box { low, high, .. } => {
                row.len() == low.len() && row.iter().zip(low.iter().zip(high)).all(|(x, (l, h))| l <= x && x <= h)
            }
            Self::MultiDiscrete { nvec, start } => {
                row.len() == nvec.len() && row.iter().zip(nvec.iter().zip(start)).all(|(x, (n, s))| integer(*x, *n, *s))
            }
            Self::MultiBinary { .. } => row.len() == self.flat_dim() && row.iter().all(|&x| x == 0.0 || x == 1.0),
            Self::Tuple { .. } | Self::Dict { .. } => {
                let mut rest = row;
                let inside = self.parts().all(|space| {
                    let part = rest.split_off(..space.flat_dim());
                    part.is_some_and(|part| space.contains_flat(part))
                });
                inside && rest.is_empty()
            }
        }
    }

    /// Whether a flat row is an element of this space but for the bounds of a `Box`.
    pub(crate) fn holds_integers(&self, row: &[f32]) -> bool {
        match self {
            Self::Box { low, .. } => row.len() == low.len(),
            Self::Tuple { .. } | Self::Dict { .. } => {
                let mut rest = row;
                let fit = |space: &Self| {
                    let part = rest.split_off(..space.flat_dim());
                    part.is_some_and(|part| space.holds_integers(part))
                };
                self.parts().all(fit) && rest.is_empty()
            }
            _ => self.contains_flat(row),
        }
    }

    /// The position of an element of a `Discrete` counted from 0, or None if it is outside or this is another space.
    pub fn index_of(&self, element: i64) -> Option<usize> {
        match self {
            Self::Discrete { n, start } => index(element, *n, *start),
            _ => None,
        }
    }

    /// Lays a flat row out as a feature row: `flat` has [`flat_dim`](Self::flat_dim) columns, `features`
    /// [`feature_dim`](Self::feature_dim). An integer outside its range has no column and becomes zeros.
    pub fn write_features(&self, flat: &[f32], features: &mut [f32]) {
        let one_hot = |x: f32, n: u32, start: i64, features: &mut [f32]| {
            features.fill(0.0);
            if let Some(index) = index(x as i64, n, start) {
                features[index] = 1.0;
            }
        };
        match self {
            Self::Discrete { n, start } => one_hot(flat[0], *n, *start, features),
            Self::Box { .. } | Self::MultiBinary { .. } => features.copy_from_slice(flat),
            Self::MultiDiscrete { nvec, start } => {
                let mut rest = features;
                for ((&x, &n), &start) in flat.iter().zip(nvec).zip(start) {
                    let (part, after) = rest.split_at_mut(n as usize);
                    one_hot(x, n, start, part);
                    rest = after;
                }
            }
            Self::Tuple { .. } | Self::Dict { .. } => {
                let (mut flat, mut features) = (flat, features);
                for space in self.parts() {
                    let (from, flat_after) = flat.split_at(space.flat_dim());
                    let (to, features_after) = features.split_at_mut(space.feature_dim());
                    space.write_features(from, to);
                    (flat, features) = (flat_after, features_after);
                }
            }
        }
    }

    /// The inverse of [`write_features`](Self::write_features): an integer is the one with the largest column (the
    /// first of them), a switch is on from one half upwards, and a coordinate is taken as it is.
    pub fn read_features(&self, features: &[f32], flat: &mut [f32]) {
        let largest = |features: &[f32], start: i64| {
            let best = (1..features.len()).fold(0, |best, i| if features[i] > features[best] { i } else { best });
            (start + best as i64) as f32
        };
        match self {
            Self::Discrete { start, .. } => flat[0] = largest(features, *start),
            Self::Box { .. } => flat.copy_from_slice(features),
            Self::MultiBinary { .. } => {
                flat.iter_mut().zip(features).for_each(|(to, &x)| *to = if x >= 0.5 { 1.0 } else { 0.0 });
            }
            Self::MultiDiscrete { nvec, start } => {
                let mut rest = features;
                for ((to, &n), &start) in flat.iter_mut().zip(nvec).zip(start) {
                    let (part, after) = rest.split_at(n as usize);
                    *to = largest(part, start);
                    rest = after;
                }
            }
            Self::Tuple { .. } | Self::Dict { .. } => {
                let (mut flat, mut features) = (flat, features);
                for space in self.parts() {
                    let (from, features_after) = features.split_at(space.feature_dim());
                    let (to, flat_after) = flat.split_at_mut(space.flat_dim());
                    space.read_features(from, to);
                    (flat, features) = (flat_after, features_after);
                }
            }
        }
    }

    /// Draws an element.
    ///
    /// The values are Gymnasium's for the same generator, but for those of a `Tuple` or a `Dict`: their parts are drawn
    /// one after another from the one generator, where Gymnasium gives each part its own. A coordinate of a `Box` is
    /// uniform between two bounds, exponential beyond a single one and normal without any.
    pub fn sample(&self, rng: &mut Generator) -> Value {
        match self {
            Self::Discrete { n, start } => Value::Discrete(start + i64::from(rng.integers(*n))),
            Self::Box { low, high, .. } => {
                let mut row = vec![0.0; low.len()];
                // All unbounded coordinates come first, then those with a lower, an upper and both bounds.
                for bounds in [(false, false), (true, false), (false, true), (true, true)] {
                    for (x, (&l, &h)) in row.iter_mut().zip(low.iter().zip(high)) {
                        if (l.is_finite(), h.is_finite()) == bounds {
                            let (l, h) = (f64::from(l), f64::from(h));
                            *x = match bounds {
                                (false, false) => rng.standard_normal(),
                                (true, false) => rng.standard_exponential() + l,
                                (false, true) => -rng.standard_exponential() + h,
                                (true, true) => rng.uniform(l, h),
                            } as f32;
                        }
                    }
                }
                Value::Box(row)
            }
            Self::MultiDiscrete { nvec, start } => {
                let draw = |(&n, start)| start + (rng.random() * f64::from(n)) as i64;
                Value::MultiDiscrete(nvec.iter().zip(start).map(draw).collect())
            }
            Self::MultiBinary { .. } => {
                // numpy draws 8-bit integers from 32 bits at a time, the lowest byte first; of a byte, the highest
                // bit decides between 0 and 1.
                let mut bits = 0;
                let draw = |i| {
                    bits = if i % 4 == 0 { rng.bits32() } else { bits >> 8 };
                    bits & 0x80 != 0
                };
                Value::MultiBinary((0..self.flat_dim()).map(draw).collect())
            }
            Self::Tuple { spaces } => Value::Tuple(spaces.iter().map(|space| space.sample(rng)).collect()),
            Self::Dict { spaces } => {
                Value::Dict(spaces.iter().map(|(name, space)| (name.clone(), space.sample(rng))).collect())
            }
        }
    }

    /// Why an environment cannot have this space, or nothing if it can. Ask this first of a space that was read from
    /// a file or came from elsewhere: its other functions take it for granted.
    pub fn flaw(&self) -> Option<String> {
        // Integers cross the vector environment's buffers as f32.
        let integers = |n: u32, start: i64| n > 0 && start.unsigned_abs().saturating_add(u64::from(n)) <= 1 << 24;
        let elements = |shape: &[usize]| shape.iter().try_fold(1_usize, |all, &n| all.checked_mul(n));
        let fits = match self {
            Self::Discrete { n, start } => integers(*n, *start),
            Self::Box { low, high, shape } => {
                !low.is_empty()
                    && low.len() == high.len()
                    && elements(shape) == Some(low.len())
                    && low.iter().zip(high).all(|(l, h)| l <= h)
            }
            Self::MultiDiscrete { nvec, start } => {
                !nvec.is_empty() && nvec.len() == start.len() && nvec.iter().zip(start).all(|(n, s)| integers(*n, *s))
            }
            Self::MultiBinary { shape } => elements(shape).is_some_and(|n| (1..=MAX_COLUMNS).contains(&n)),
            Self::Tuple { .. } | Self::Dict { .. } => match self.parts().find_map(Self::flaw) {
                Some(flaw) => return Some(flaw),
                None => self.parts().next().is_some(),
            },
        };
        let what = "is empty, has bounds that cross or differ in number, or integers or columns beyond 2^24";
        (!fits || self.feature_dim() > MAX_COLUMNS).then(|| format!("its space {self} {what}"))
    }

    /// Why `value` is not an element of this space, as the error of an invalid action.
    pub(crate) fn reject(&self, value: &Value) -> Error {
        Error::action(format!(
            "invalid action {value}: expected {self}; check that the actions come from this environment's action space"
        ))
    }
}

/// The position of `element` among start, …, start + n − 1.
fn index(element: i64, n: u32, start: i64) -> Option<usize> {
    element.checked_sub(start).filter(|i| (0..i64::from(n)).contains(i)).map(|i| i as usize)
}

/// `Discrete(2)`, `Box([-4.8, …], [4.8, …], [4])` or, where bounds are equal, `Box(0.0, 1.0, [3, 3])`, much as Gymnasium
/// prints them.
impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Discrete { n, start: 0 } => write!(f, "Discrete({n})"),
            Self::Discrete { n, start } => write!(f, "Discrete({n}, start={start})"),
            Self::Box { low, high, shape } => {
                let bound = |bounds: &[f32]| match bounds {
                    [first, rest @ ..] if rest.iter().all(|other| other == first) => format!("{first:?}"),
                    [first, second, .., last] if bounds.len() > 16 => format!("[{first:?}, {second:?}, …, {last:?}]"),
                    _ => format!("{bounds:?}"),
                };
                write!(f, "Box({}, {}, {shape:?})", bound(low), bound(high))
            }
            Self::MultiDiscrete { nvec, start } if start.iter().all(|&start| start == 0) => {
                write!(f, "MultiDiscrete({nvec:?})")
            }
            Self::MultiDiscrete { nvec, start } => write!(f, "MultiDiscrete({nvec:?}, start={start:?})"),
            Self::MultiBinary { shape } => match shape[..] {
                [n] => write!(f, "MultiBinary({n})"),
                _ => write!(f, "MultiBinary({shape:?})"),
            },
            Self::Tuple { spaces } => {
                let parts: Vec<String> = spaces.iter().map(Self::to_string).collect();
                write!(f, "Tuple({})", parts.join(", "))
            }
            Self::Dict { spaces } => {
                let parts: Vec<String> = spaces.iter().map(|(name, space)| format!("'{name}': {space}")).collect();
                write!(f, "Dict({})", parts.join(", "))
            }
        }
    }
}

/// JSON has no infinity, so bounds are written as numbers or as "inf" and "-inf".
mod bounds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Bound {
        Finite(f32),
        Infinite(String),
    }

    pub(super) fn serialize<S: Serializer>(bounds: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        let written =
            bounds.iter().map(|&x| if x.is_finite() { Bound::Finite(x) } else { Bound::Infinite(x.to_string()) });
        serializer.collect_seq(written)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let read = |bound| match bound {
            Bound::Finite(x) => Ok(x),
            Bound::Infinite(text) => text
                .parse()
                .map_err(|_| D::Error::custom(format!("a bound is a number, \"inf\" or \"-inf\", not {text:?}"))),
        };
        Vec::<Bound>::deserialize(deserializer)?.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn everything() -> Space {
        Space::dict([
            ("arm", Space::bounded(&[-1.0, f32::NEG_INFINITY], &[1.0, f32::INFINITY])),
            ("gears", Space::MultiDiscrete { nvec: vec![3, 2], start: vec![-1, 5] }),
            ("lamps", Space::multi_binary(5)),
            ("pair", Space::tuple([Space::Discrete { n: 4, start: 2 }, Space::discrete(2)])),
        ])
    }

    #[test]
    fn samples_go_through_every_form_and_back() {
        let space = everything();
        assert_eq!((space.flat_dim(), space.feature_dim()), (2 + 2 + 5 + 2, 2 + 5 + 5 + 6));
        assert_eq!(space.flaw(), None);
        let mut rng = Generator::new(3);
        for _ in 0..200 {
            let value = space.sample(&mut rng);
            assert!(space.contains(&value), "{value}");
            let (mut flat, mut features, mut back) = ([0.0; 11], [0.0; 18], [0.0; 11]);
            crate::Element::write_flat(&value, &mut flat);
            assert!(space.contains_flat(&flat));
            assert_eq!(Some(&value), crate::Element::from_flat(&flat, &space).as_ref());
            space.write_features(&flat, &mut features);
            space.read_features(&features, &mut back);
            assert_eq!(back, flat);
            let json = serde_json::to_value(&value).unwrap();
            assert_eq!(space.value_from_json(&json).unwrap(), value, "{json}");
        }
    }

    #[test]
    fn bounds_that_are_equal_are_printed_once() {
        let printed = |low: &[f32], high: &[f32]| Space::bounded(low, high).to_string();
        assert_eq!(printed(&[-1.0, 0.5], &[2.0, 2.0]), "Box([-1.0, 0.5], 2.0, [2])");
        assert_eq!(printed(&[f32::NEG_INFINITY], &[f32::INFINITY]), "Box(-inf, inf, [1])");
    }

    #[test]
    fn spaces_survive_json() {
        let json = serde_json::to_string(&everything()).unwrap();
        assert_eq!(serde_json::from_str::<Space>(&json).unwrap(), everything());
        assert!(serde_json::from_value::<Space>(json!({"type": "Discrete"})).is_err());
    }

    #[test]
    fn what_lies_outside_is_not_contained() {
        let space = everything();
        let mut flat = [0.0, 7.0, -1.0, 6.0, 1.0, 0.0, 1.0, 0.0, 1.0, 5.0, 1.0];
        assert!(space.contains_flat(&flat));
        for (column, wrong) in [(0, 1.5), (1, f32::NAN), (2, 2.0), (3, 4.0), (4, 0.5), (9, 6.0), (10, 0.5)] {
            let right = std::mem::replace(&mut flat[column], wrong);
            assert!(!space.contains_flat(&flat), "column {column}");
            flat[column] = right;
        }
        assert!(!space.contains_flat(&flat[..10]) && !space.contains_flat(&[flat.as_slice(), &[0.0]].concat()));
    }

    #[test]
    fn spaces_that_hold_nothing_are_flawed() {
        for space in [
            Space::discrete(0),
            Space::Discrete { n: 2, start: i64::MIN },
            Space::bounded(&[1.0], &[0.0]),
            Space::bounded(&[f32::NAN], &[0.0]),
            Space::Box { low: vec![0.0], high: vec![1.0], shape: vec![2] },
            Space::multi_discrete(&[]),
            Space::MultiDiscrete { nvec: vec![2], start: vec![] },
            Space::multi_binary(0),
            Space::tuple([]),
            Space::tuple([Space::discrete(2), Space::discrete(0)]),
        ] {
            assert!(space.flaw().is_some(), "{space}");
        }
    }
}
