//! The last few rows: what stacks and delays remember.

use crate::row_env::{from_bytes, to_bytes};
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
    /// `len` times the element of `space` that is nearest to zero.
    pub(super) fn zeros(len: usize, space: Space) -> Self {
        let mut window = Self { columns: space.flat_dim(), rows: vec![0.0; len * space.flat_dim()], space };
        window.fill_zeros();
        window
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
        if rows.len() != self.rows.len() || !rows.chunks_exact(self.columns).all(|row| self.space.contains_flat(row)) {
            return Err(Error::snapshot(format!(
                "the rows that a wrapper remembers are not {} elements of {}",
                self.rows.len() / self.columns,
                self.space
            )));
        }
        self.rows = rows;
        Ok(())
    }
}
