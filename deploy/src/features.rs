//! How an observation becomes the input of the first layer.

use crate::{Error, Input};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a policy reads: the flat row of an observation, and the features that it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Features {
    /// Real values, as they are.
    Box {
        /// How many.
        len: usize,
    },
    /// One integer of start, …, start + n − 1, as a one-hot row.
    OneHot {
        /// How many integers there are.
        n: usize,
        /// The smallest.
        #[serde(default)]
        start: i64,
    },
    /// Several of these, one after another.
    Concat {
        /// In their order.
        parts: Vec<Features>,
    },
}

impl Features {
    /// The number of features: inputs of the first layer.
    pub fn len(&self) -> usize {
        match self {
            Self::Box { len } => *len,
            Self::OneHot { n, .. } => *n,
            Self::Concat { parts } => parts.iter().map(Self::len).sum(),
        }
    }

    /// Whether there are no features, which no valid policy has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of values of an observation's flat row.
    pub fn flat_len(&self) -> usize {
        match self {
            Self::Box { len } => *len,
            Self::OneHot { .. } => 1,
            Self::Concat { parts } => parts.iter().map(Self::flat_len).sum(),
        }
    }

    /// The parts in their order, none within another.
    pub fn inputs(&self) -> Vec<Input> {
        match self {
            Self::Box { len } => vec![Input::Real { len: *len }],
            Self::OneHot { n, start } => vec![Input::OneHot { n: *n, start: *start }],
            Self::Concat { parts } => parts.iter().flat_map(Self::inputs).collect(),
        }
    }

    /// Flat rows to try a policy with: row i is another one than row i + 1, as far as there are others.
    pub(crate) fn example(&self, i: usize, row: &mut Vec<f32>) {
        match self {
            Self::Box { len } => row.extend((0..*len).map(|j| ((i * 7 + j * 13) % 64) as f32 / 32.0 - 1.0)),
            Self::OneHot { n, start } => row.push((start + (i % n) as i64) as f32),
            Self::Concat { parts } => parts.iter().for_each(|part| part.example(i, row)),
        }
    }

    /// Refuses what a file may claim and nothing can read.
    pub(crate) fn check(&self) -> Result<(), Error> {
        const LIMIT: usize = 1 << 24;
        let sound = match self {
            Self::Box { len } => (1..=LIMIT).contains(len),
            Self::OneHot { n, start } => (1..=LIMIT).contains(n) && start.unsigned_abs() as usize <= LIMIT,
            Self::Concat { parts } => {
                parts.iter().try_for_each(Self::check).and(self.not_empty())?;
                self.len() <= LIMIT
            }
        };
        if sound {
            Ok(())
        } else {
            self.not_empty().and(Err(Error::shape(format!("observation: {self:?} is too large"))))
        }
    }

    fn not_empty(&self) -> Result<(), Error> {
        match self {
            Self::Concat { parts } if !parts.is_empty() => Ok(()),
            Self::Box { len: n } | Self::OneHot { n, .. } if *n > 0 => Ok(()),
            _ => Err(Error::shape("observation: expected at least one value, got none")),
        }
    }
}

/// In the notation of spaces: `Box[4]`, `Discrete(500)`, `Tuple(Discrete(32), Discrete(2))`.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Box { len } => write!(f, "Box[{len}]"),
            Self::OneHot { n, start: 0 } => write!(f, "Discrete({n})"),
            Self::OneHot { n, start } => write!(f, "Discrete({n}, start={start})"),
            Self::Concat { parts } => {
                let parts: Vec<String> = parts.iter().map(Self::to_string).collect();
                write!(f, "Tuple({})", parts.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another() {
        let parts = vec![
            Features::OneHot { n: 3, start: 4 },
            Features::Box { len: 2 },
            Features::Concat { parts: vec![Features::OneHot { n: 2, start: 0 }] },
        ];
        let features = Features::Concat { parts };
        assert_eq!((features.flat_len(), features.len()), (4, 7));
        let one_hot = |n, start| Input::OneHot { n, start };
        assert_eq!(features.inputs(), [one_hot(3, 4), Input::Real { len: 2 }, one_hot(2, 0)]);
        assert_eq!(features.to_string(), "Tuple(Discrete(3, start=4), Box[2], Tuple(Discrete(2)))");
        let json = serde_json::to_string(&features).unwrap();
        assert_eq!(serde_json::from_str::<Features>(&json).unwrap(), features);
    }

    #[test]
    fn what_nothing_can_read_is_refused() {
        for wrong in [
            Features::Box { len: 0 },
            Features::OneHot { n: 0, start: 0 },
            Features::OneHot { n: 2, start: i64::MIN },
            Features::Box { len: usize::MAX },
            Features::Concat { parts: vec![] },
            Features::Concat { parts: vec![Features::OneHot { n: 1 << 24, start: 0 }; 2] },
            Features::Concat { parts: vec![Features::Box { len: 1 }, Features::Box { len: 0 }] },
        ] {
            assert!(wrong.check().unwrap_err().is_shape(), "{wrong:?}");
        }
    }
}
