//! What a policy chooses from, and what the environment is given.

use crate::{Bounding, Distribution, Error, head::bound};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The actions of a policy: how many outputs its last layer has, what they stand for, and how what is drawn from
/// their [`Distribution`] becomes an action of the environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// One of the integers start, …, start + n − 1: one output for each.
    Discrete {
        /// How many.
        n: usize,
        /// The smallest.
        start: i64,
    },
    /// Several integers, each from a range of its own, chosen independently: one output for each value of each.
    MultiDiscrete {
        /// How many values each has.
        nvec: Vec<usize>,
        /// The smallest value of each.
        start: Vec<i64>,
    },
    /// Real numbers from a normal distribution: an output for the mean of each.
    Box {
        /// The least value of each.
        #[serde(with = "bounds")]
        low: Vec<f32>,
        /// The greatest value of each.
        #[serde(with = "bounds")]
        high: Vec<f32>,
        /// How they are kept within these bounds.
        bounding: Bounding,
        /// The logarithms of the standard deviations; null if they depend on the observation, and follow the means
        /// among the outputs.
        log_std: Option<Vec<f32>>,
    },
}

impl Action {
    /// The number of outputs of the last layer.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Discrete { n, .. } => *n,
            Self::MultiDiscrete { nvec, .. } => nvec.iter().sum(),
            Self::Box { low, log_std, .. } => low.len() * if log_std.is_some() { 1 } else { 2 },
        }
    }

    /// The number of components of an action.
    pub fn dim(&self) -> usize {
        match self {
            Self::Discrete { .. } => 1,
            Self::MultiDiscrete { nvec, .. } => nvec.len(),
            Self::Box { low, .. } => low.len(),
        }
    }

    /// The distribution that the outputs stand for.
    pub fn distribution(&self) -> Distribution {
        match self {
            Self::Discrete { n, .. } => Distribution::Categorical { nvec: vec![*n] },
            Self::MultiDiscrete { nvec, .. } => Distribution::Categorical { nvec: nvec.clone() },
            Self::Box { low, bounding, .. } => {
                Distribution::Gaussian { dim: low.len(), squash: *bounding == Bounding::Tanh }
            }
        }
    }

    /// Turns what was drawn from the distribution, `[dim]`, into an action of the environment.
    pub fn bound(&self, action: &mut [f32]) {
        match self {
            Self::Discrete { start, .. } => action[0] += *start as f32,
            Self::MultiDiscrete { start, .. } => {
                action.iter_mut().zip(start).for_each(|(x, start)| *x += *start as f32)
            }
            Self::Box { low, high, bounding, .. } => {
                for (x, (low, high)) in action.iter_mut().zip(low.iter().zip(high)) {
                    *x = bound(*x, *low, *high, *bounding);
                }
            }
        }
    }

    /// Refuses what nobody can act in.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let sound = match self {
            // What is drawn has to be exact in f32, whatever it starts from.
            Self::Discrete { n, start } => exact(*n, *start),
            Self::MultiDiscrete { nvec, start } => {
                nvec.len() == start.len() && nvec.iter().zip(start).all(|(n, start)| exact(*n, *start))
            }
            Self::Box { low, high, bounding, log_std } => {
                let bounds = low.iter().zip(high);
                low.len() == high.len()
                    && bounds.clone().all(|(low, high)| low <= high)
                    && (*bounding == Bounding::Clip || bounds.clone().all(|(low, high)| (high - low).is_finite()))
                    && log_std.as_ref().is_none_or(|std| std.len() == low.len() && std.iter().all(|x| x.is_finite()))
            }
        };
        if sound && self.dim() > 0 {
            return Ok(());
        }
        Err(Error::shape(format!(
            "action: expected choices among at least one integer below 2²⁴, or real numbers with low ≤ high (finite if \
             they are squashed) and a finite log_std for each, got {self:?}"
        )))
    }
}

/// In the notation of spaces: `Discrete(2)`, `MultiDiscrete([3, 2])`, `Box[1]`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete { n, start: 0 } => write!(f, "Discrete({n})"),
            Self::Discrete { n, start } => write!(f, "Discrete({n}, start={start})"),
            Self::MultiDiscrete { nvec, .. } => write!(f, "MultiDiscrete({nvec:?})"),
            Self::Box { low, .. } => write!(f, "Box[{}]", low.len()),
        }
    }
}

fn exact(n: usize, start: i64) -> bool {
    const LIMIT: i64 = 1 << 24;
    (1..=LIMIT as usize).contains(&n) && (-LIMIT..=LIMIT - n as i64).contains(&start)
}

/// Infinity is no number in JSON; it is written as "inf" or "-inf".
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
            Bound::Infinite(text) => text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a bound"))),
        };
        Vec::<Bound>::deserialize(deserializer)?.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(low: f32, high: f32, bounding: Bounding) -> Action {
        Action::Box { low: vec![low; 2], high: vec![high; 2], bounding, log_std: None }
    }

    #[test]
    fn what_is_drawn_becomes_an_action_of_the_environment() {
        let bound = |action: &Action, mut drawn: [f32; 2]| {
            action.bound(&mut drawn[..action.dim()]);
            drawn
        };
        assert_eq!(bound(&Action::Discrete { n: 3, start: -1 }, [2.0, 9.0]), [1.0, 9.0]);
        assert_eq!(bound(&Action::MultiDiscrete { nvec: vec![3, 2], start: vec![5, 0] }, [2.0, 1.0]), [7.0, 1.0]);
        assert_eq!(bound(&real(-2.0, 1.0, Bounding::Clip), [-3.0, 0.5]), [-2.0, 0.5]);
        let [middle, end] = bound(&real(-2.0, 1.0, Bounding::Tanh), [0.0, 99.0]);
        assert!(middle == -0.5 && (1.0 - end).abs() < 1e-6 && end <= 1.0, "{end}");
        assert_eq!(bound(&real(f32::NEG_INFINITY, f32::INFINITY, Bounding::Clip), [-3e9, 0.5]), [-3e9, 0.5]);
    }

    #[test]
    fn actions_survive_json() {
        let open = real(f32::NEG_INFINITY, f32::INFINITY, Bounding::Clip);
        for action in [open, real(-0.1, 2.0, Bounding::Tanh), Action::Discrete { n: 3, start: -1 }] {
            let json = serde_json::to_string(&action).unwrap();
            assert_eq!(serde_json::from_str::<Action>(&json).unwrap(), action, "{json}");
        }
    }

    #[test]
    fn what_nobody_can_act_in_is_refused() {
        for action in [
            Action::Discrete { n: 0, start: 0 },
            Action::Discrete { n: 2, start: 1 << 24 },
            Action::MultiDiscrete { nvec: vec![2], start: vec![] },
            Action::MultiDiscrete { nvec: vec![], start: vec![] },
            real(1.0, -1.0, Bounding::Clip),
            real(f32::NAN, 1.0, Bounding::Clip),
            real(f32::NEG_INFINITY, 1.0, Bounding::Tanh),
            Action::Box { low: vec![], high: vec![], bounding: Bounding::Clip, log_std: None },
            Action::Box { low: vec![0.0], high: vec![1.0], bounding: Bounding::Clip, log_std: Some(vec![f32::NAN]) },
        ] {
            assert!(action.check().unwrap_err().is_shape(), "{action:?}");
        }
    }
}
