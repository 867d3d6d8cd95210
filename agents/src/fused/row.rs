//! Where the numbers lie that the inner loops run over.

use aligned_vec::{AVec, ConstAlign};
use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest vector register.
const LINE: usize = 64;

/// Numbers in a row that begins with a cache line: a vector register is read and written in one access, and not in two
/// where it lies across a border.
#[derive(Clone, Debug)]
pub(crate) struct Row(AVec<f32, ConstAlign<LINE>>);

impl Row {
    /// As many zeros.
    pub(crate) fn zeros(n: usize) -> Self {
        let mut row = Self::default();
        row.resize(n);
        row
    }

    /// Cuts numbers off at the end, or appends zeros.
    pub(crate) fn resize(&mut self, n: usize) {
        self.0.resize(n, 0.0);
    }

    /// Becomes a copy of these.
    pub(crate) fn copy(&mut self, from: &[f32]) {
        self.resize(from.len());
        self.copy_from_slice(from);
    }

    /// As many numbers rounded up to whole lines: where after them the next line begins.
    pub(crate) fn next_line(n: usize) -> usize {
        n.next_multiple_of(LINE / size_of::<f32>())
    }
}

impl Default for Row {
    fn default() -> Self {
        Self(AVec::new(LINE))
    }
}

impl Deref for Row {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Row {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}
