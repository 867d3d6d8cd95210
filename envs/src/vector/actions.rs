//! The actions of a step: given for all environments, or chosen by the threads that step them.

use crate::simd::{Isa, Kernel, dispatch};
use crate::{Element, Error, Space, Value};
use ndarray::{ArrayView2, ArrayViewMut2};

/// Consecutive environments of a vector, for which [`VectorEnv::step_with`](super::VectorEnv::step_with) wants actions.
pub struct Part<'a> {
    /// Which of the vector's [parts](super::VectorEnv::parts) it is: the same environments in every step.
    pub index: usize,
    /// The place of its first environment among all.
    pub first_env: usize,
    /// `[n, flat_dim]`: what to act on.
    pub observations: ArrayView2<'a, f32>,
    /// `[n, flat_dim of the action space]`: where the actions go.
    pub actions: ArrayViewMut2<'a, f32>,
}

/// Chooses the actions of a part. It is called on several threads, once for each part; what it keeps for itself, such as
/// a generator, is best kept for each part in a `Mutex`, which nobody waits for.
pub type Act<'a> = dyn Fn(Part<'_>) + Sync + 'a;

/// The actions of consecutive environments, in flat rows.
pub(super) enum Actions<'a> {
    /// They lie in the space.
    Given(&'a [f32]),
    Chosen {
        act: &'a Act<'a>,
        space: &'a Space,
        rows: &'a mut [f32],
    },
}

impl<'a> Actions<'a> {
    /// The first `numbers` of them and the rest.
    pub(super) fn split_at(self, numbers: usize) -> (Self, Self) {
        match self {
            Self::Given(rows) => {
                let (front, back) = rows.split_at(numbers);
                (Self::Given(front), Self::Given(back))
            }
            Self::Chosen { act, space, rows } => {
                let (front, back) = rows.split_at_mut(numbers);
                (Self::Chosen { act, space, rows: front }, Self::Chosen { act, space, rows: back })
            }
        }
    }
}

/// Refuses actions outside their space. `first_env` is the place of the first, and `skipped` says whose actions do not
/// matter.
pub(super) fn check(
    space: &Space,
    actions: &[f32],
    first_env: usize,
    skipped: impl Fn(usize) -> bool,
) -> Result<(), Error> {
    if all_inside(space, actions) {
        return Ok(());
    }
    let mut rows = actions.chunks_exact(space.flat_dim()).enumerate();
    match rows.find(|(env, row)| !space.contains_flat(row) && !skipped(*env)) {
        None => Ok(()),
        Some((env, row)) => {
            let value = match space {
                Space::Discrete { .. } if row[0].fract() != 0.0 => Value::Box(row.to_vec()),
                _ => Value::from_flat(row, space).unwrap_or_else(|| Value::Box(row.to_vec())),
            };
            Err(Error::action(format!("environment {}: {}", first_env + env, space.reject(&value))))
        }
    }
}

/// Whether all actions are in the space, for the commonest spaces: those of one column, in loops without branches.
/// Elsewhere it does not know, and says no.
fn all_inside(space: &Space, actions: &[f32]) -> bool {
    match space {
        Space::Discrete { n, start } => {
            let (low, high) = (*start as f32, (*start + i64::from(*n) - 1) as f32);
            low >= -ROUNDED && high <= ROUNDED && dispatch(AllBetween::<true> { low, high, actions })
        }
        Space::Box { low, high, .. } => match (&low[..], &high[..]) {
            (&[low], &[high]) => dispatch(AllBetween::<false> { low, high, actions }),
            _ => false,
        },
        _ => false,
    }
}

/// Up to here [`AllBetween`] tells what is an integer.
const ROUNDED: f32 = 4_194_304.0;

/// Whether all of these lie between two bounds and are, if so wanted, integers.
struct AllBetween<'a, const INTEGERS: bool> {
    low: f32,
    high: f32,
    actions: &'a [f32],
}

impl<const INTEGERS: bool> Kernel for AllBetween<'_, INTEGERS> {
    type Output = bool;

    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> bool {
        /// Added to a number below 2²² and taken off again, rounds it to an integer.
        const TO_INTEGER: f32 = 12_582_912.0;
        let mut all = true;
        for &x in self.actions {
            all &= (x >= self.low) & (x <= self.high) & (!INTEGERS | ((x + TO_INTEGER) - TO_INTEGER == x));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_no_integers_however_large() {
        for start in [0, -5_000_005, 5_000_000, -4_194_308, 4_194_300] {
            let space = Space::Discrete { n: 10, start };
            let action = start as f32 + 5.0;
            assert!(check(&space, &[action], 0, |_| false).is_ok(), "{action}");
            for wrong in [action + 0.5, action - 6.0, action + 5.0, f32::NAN] {
                let accepted = check(&space, &[wrong], 0, |_| false).is_ok();
                assert_eq!(accepted, space.contains_flat(&[wrong]), "{wrong} of {space}");
            }
        }
    }
}
