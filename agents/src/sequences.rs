//! Steps in their order: who has a memory reads samples as sequences.
//!
//! Samples of N environments lie as rows t·N + n: step t of environment n. A sequence is a number of consecutive steps of
//! one environment; those who remember nothing have sequences of one step.

use crate::{Behavior, Error};
use ndarray::{Array2, ArrayView2, s};

/// The first rows of the sequences of `length` steps that `rows` samples of `num_envs` environments are cut into; what is
/// left at the end is in none.
pub fn sequence_heads(rows: usize, num_envs: usize, length: usize) -> Vec<usize> {
    let heads = (0..rows).step_by(num_envs * length).flat_map(|first| first..first + num_envs);
    heads.filter(|head| head + (length - 1) * num_envs < rows).collect()
}

/// Writes the rows of the sequences with these heads: row l·S + s is that of step l of sequence s.
pub fn sequence_rows(heads: &[usize], num_envs: usize, length: usize, rows: &mut Vec<usize>) {
    rows.clear();
    rows.extend((0..length).flat_map(|step| heads.iter().map(move |head| head + step * num_envs)));
}

/// What somebody makes of samples in their order: `observations` `[T·N, flat_dim]` → `[T·N, params]`. `memory`
/// `[N, memory]` is what it remembers before the first step, and then after the last; where `starts`, `[T·N]`, says so, an
/// episode begins with nothing.
///
/// # Errors
/// If it has no finite answer.
pub fn params_in_order(
    who: &mut dyn Behavior,
    observations: ArrayView2<'_, f32>,
    memory: &mut Array2<f32>,
    starts: &[bool],
    num_params: usize,
) -> Result<Array2<f32>, Error> {
    let mut params = Array2::zeros((observations.nrows(), num_params));
    if who.memory_len() == 0 {
        let none = &mut Array2::zeros((observations.nrows(), 0));
        who.params(observations, None, none.view_mut(), params.view_mut())?;
        return Ok(params);
    }
    let num_envs = memory.nrows();
    for first in (0..observations.nrows()).step_by(num_envs) {
        for (mut row, _) in memory.rows_mut().into_iter().zip(&starts[first..]).filter(|(_, starts)| **starts) {
            row.fill(0.0);
        }
        let step = s![first..first + num_envs, ..];
        who.params(observations.slice(step), None, memory.view_mut(), params.slice_mut(step))?;
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_consecutive_steps_of_one_environment() {
        // Six steps of two environments in sequences of three.
        let heads = sequence_heads(12, 2, 3);
        assert_eq!(heads, [0, 1, 6, 7]);
        let mut rows = vec![9];
        sequence_rows(&heads[1..3], 2, 3, &mut rows);
        assert_eq!(rows, [1, 6, 3, 8, 5, 10]);
        let single = sequence_heads(12, 2, 1);
        assert_eq!(single, (0..12).collect::<Vec<_>>());
        sequence_rows(&single, 2, 1, &mut rows);
        assert_eq!(rows, single);
        // Seven rows of a buffer that did not hold whole steps.
        assert_eq!(sequence_heads(7, 2, 1), (0..7).collect::<Vec<_>>());
        assert_eq!(sequence_heads(7, 2, 2), [0, 1, 4]);
    }
}
