//! The last few rows: what stacks and delays remember.

use crate::row_env::{from_bytes, to_bytes};
use crate::space::MAX_COLUMNS;
use crate::{Error, Space};
use std::slice::ChunksExact;

/// A fixed number of elements of a space as flat rows, the oldest first.
#[derive(Clone)]
pub(super) struct Window {
    rows: Vec<f32>,
    columns: usize,
    space: Space,
}

impl Window {
    /// `len` times the element of `space` that is nearest to zero. An error if that is more than anybody can mean.
    pub(super) fn zeros(len: usize, space: Space) -> Result<Self, Error> {
        let columns = space.flat_dim();
        if len.saturating_mul(columns) > MAX_COLUMNS {
            return Err(Error::config(format!(
                "expected at most 2^24 numbers to remember, got {len} times the {columns} of {space}"
            )));
        }
        let mut window = Self { columns, rows: vec![0.0; len * columns], space };
        window.fill_zeros();
        Ok(window)
    }

    /// Makes all rows the element nearest to zero.
    pub(super) fn fill_zeros(&mut self) {
        self.rows.chunks_exact_mut(self.columns).for_each(|row| self.space.write_zero(row));
    }

    /// Makes all rows `row`.
    pub(super) fn fill(&mut self, row: &[f32]) {
        self.rows.chunks_exact_mut(self.columns).for_each(|to| to.copy_from_slice(row));
    }

    /// Drops the oldest row and appends the newest.
    pub(super) fn push(&mut self, row: &[f32]) {
        self.rows.copy_within(self.columns.., 0);
        let newest = self.rows.len() - self.columns;
        self.rows[newest..].copy_from_slice(row);
    }

    pub(super) fn oldest(&self) -> &[f32] {
        &self.rows[..self.columns]
    }

    pub(super) fn rows(&self) -> ChunksExact<'_, f32> {
        self.rows.chunks_exact(self.columns)
    }

    pub(super) fn save(&self) -> Vec<u8> {
        to_bytes(&self.rows)
    }

    pub(super) fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        let rows: Vec<f32> = from_bytes(state)?;
        // An environment may have left the bounds of a Box, which is no reason to refuse its snapshot; but integers become
        // places in an array.
        if rows.len() != self.rows.len() || !rows.chunks_exact(self.columns).all(|row| self.space.holds_integers(row)) {
            return Err(Error::snapshot(format!(
                "the rows that a wrapper remembers are not {} rows of {}",
                self.rows.len() / self.columns,
                self.space
            )));
        }
        self.rows = rows;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_left_its_bounds_is_remembered_but_not_an_integer_that_is_none() {
        let space = Space::tuple([Space::bounded(&[-1.0], &[1.0]), Space::discrete(2)]);
        let mut window = Window::zeros(2, space).unwrap();
        window.push(&[1.5, 1.0]);
        let mut twin = window.clone();
        twin.fill_zeros();
        twin.load(&window.save()).unwrap();
        assert_eq!(twin.rows, [0.0, 0.0, 1.5, 1.0]);
        window.push(&[0.0, 2.0]);
        assert!(twin.load(&window.save()).unwrap_err().is_snapshot());
    }
}
