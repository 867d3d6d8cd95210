//! Spaces: the sets that observations and actions are drawn from.

use crate::{Error, Generator, Value};
use rand_distr::{Distribution, Exp1, StandardNormal};
use serde::{Deserialize, Serialize};

/// The set of valid observations or actions of an environment.
///
/// An element has two flat forms, both rows of f32. Its *flat row* is what crosses the vector environment's
/// buffers: the values of a `Box`, or a single column holding the integer of a `Discrete`. Its *feature row*
/// is what a network reads: the values of a `Box`, or the one-hot encoding of a `Discrete`.
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

    /// Columns of a flat row: 1 for `Discrete`, the number of coordinates for `Box`.
    pub fn flat_dim(&self) -> usize {
        match self {
            Self::Discrete { .. } => 1,
            Self::Box { low, .. } => low.len(),
        }
    }

    /// Columns of a feature row: n for `Discrete` (one-hot), the number of coordinates for `Box`.
    pub fn feature_dim(&self) -> usize {
        match self {
            Self::Discrete { n, .. } => *n as usize,
            Self::Box { low, .. } => low.len(),
        }
    }

    /// Whether `value` is an element of this space.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Discrete { .. }, Value::Discrete(element)) => self.index_of(*element).is_some(),
            (Self::Box { .. }, Value::Box(row)) => self.contains_flat(row),
            _ => false,
        }
    }

    /// Whether a flat row is an element of this space. NaN never is.
    pub fn contains_flat(&self, row: &[f32]) -> bool {
        match self {
            Self::Discrete { .. } => row.len() == 1 && row[0].fract() == 0.0 && self.index_of(row[0] as i64).is_some(),
            Self::Box { low, high, .. } => {
                row.len() == low.len() && row.iter().zip(low.iter().zip(high)).all(|(x, (l, h))| l <= x && x <= h)
            }
        }
    }

    /// The position of an element of a `Discrete` counted from 0, or None if it is outside or this is a `Box`.
    pub fn index_of(&self, element: i64) -> Option<usize> {
        match self {
            Self::Discrete { n, start } => {
                element.checked_sub(*start).filter(|i| (0..i64::from(*n)).contains(i)).map(|i| i as usize)
            }
            Self::Box { .. } => None,
        }
    }

    /// Lays a flat row out as a feature row: `flat` has [`flat_dim`](Self::flat_dim) columns, `features`
    /// [`feature_dim`](Self::feature_dim).
    pub fn write_features(&self, flat: &[f32], features: &mut [f32]) {
        match self {
            Self::Discrete { .. } => {
                features.fill(0.0);
                if let Some(index) = self.index_of(flat[0] as i64) {
                    features[index] = 1.0;
                }
            }
            Self::Box { .. } => features.copy_from_slice(flat),
        }
    }

    /// Draws an element.
    ///
    /// `Discrete` and bounded coordinates of a `Box` give Gymnasium's values for the same generator. Unbounded
    /// coordinates follow Gymnasium's distributions (normal, or exponential beyond the one bound), though not
    /// its bits.
    pub fn sample(&self, rng: &mut Generator) -> Value {
        match self {
            Self::Discrete { n, start } => Value::Discrete(start + i64::from(rng.integers(*n))),
            Self::Box { low, high, .. } => {
                let draw = |(&l, &h): (&f32, &f32)| match (l.is_finite(), h.is_finite()) {
                    (true, true) => rng.uniform(f64::from(l), f64::from(h)) as f32,
                    (false, false) => StandardNormal.sample(rng),
                    (true, false) => l + f32_exponential(rng),
                    (false, true) => h - f32_exponential(rng),
                };
                Value::Box(low.iter().zip(high).map(draw).collect())
            }
        }
    }

    /// Why `value` is not an element of this space, as the error of an invalid action.
    pub(crate) fn reject(&self, value: &Value) -> Error {
        Error::action(format!(
            "invalid action {value}: expected {self}; check that the actions come from this environment's action space"
        ))
    }
}

fn f32_exponential(rng: &mut Generator) -> f32 {
    Exp1.sample(rng)
}

/// `Discrete(2)` or `Box([-4.8, …], [4.8, …], (4,))`, as Gymnasium prints them.
impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Discrete { n, start: 0 } => write!(f, "Discrete({n})"),
            Self::Discrete { n, start } => write!(f, "Discrete({n}, start={start})"),
            Self::Box { low, high, shape } => write!(f, "Box({low:?}, {high:?}, {shape:?})"),
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

    fn cartpole_like() -> Space {
        Space::bounded(&[-4.8, f32::NEG_INFINITY], &[4.8, f32::INFINITY])
    }

    #[test]
    fn contains_respects_bounds_length_type_and_nan() {
        let space = cartpole_like();
        assert!(space.contains(&Value::Box(vec![4.8, 1e30])));
        assert!(!space.contains(&Value::Box(vec![4.9, 0.0])));
        assert!(!space.contains(&Value::Box(vec![f32::NAN, 0.0])));
        assert!(!space.contains(&Value::Box(vec![0.0])));
        assert!(!space.contains(&Value::Discrete(0)));

        let space = Space::Discrete { n: 3, start: 2 };
        assert!(space.contains(&Value::Discrete(4)));
        assert!(!space.contains(&Value::Discrete(1)) && !space.contains(&Value::Discrete(5)));
        assert!(!space.contains(&Value::Discrete(i64::MIN)));
        assert!(!space.contains_flat(&[2.5]) && !space.contains_flat(&[f32::NAN]) && space.contains_flat(&[2.0]));
    }

    #[test]
    fn features_are_one_hot_for_discrete_and_the_values_for_box() {
        let mut features = [9.0; 3];
        Space::Discrete { n: 3, start: 2 }.write_features(&[3.0], &mut features);
        assert_eq!(features, [0.0, 1.0, 0.0]);
        let mut features = [9.0; 2];
        cartpole_like().write_features(&[1.0, -2.0], &mut features);
        assert_eq!(features, [1.0, -2.0]);
    }

    #[test]
    fn samples_are_elements_and_reach_every_discrete_one() {
        let mut rng = Generator::new(1);
        let box_space = Space::bounded(&[-1.0, 0.0, f32::NEG_INFINITY], &[1.0, f32::INFINITY, f32::INFINITY]);
        let space = Space::Discrete { n: 3, start: -1 };
        let mut seen = [false; 3];
        for _ in 0..100 {
            assert!(box_space.contains(&box_space.sample(&mut rng)));
            let Value::Discrete(element) = space.sample(&mut rng) else { panic!("not discrete") };
            seen[space.index_of(element).unwrap()] = true;
        }
        assert_eq!(seen, [true; 3]);
    }

    #[test]
    fn serialises_with_infinite_bounds() {
        let text = serde_json::to_string(&cartpole_like()).unwrap();
        assert_eq!(serde_json::from_str::<Space>(&text).unwrap(), cartpole_like());
    }
}
