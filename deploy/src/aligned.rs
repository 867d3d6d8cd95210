//! Numbers where vector instructions like them to begin.

/// The numbers in a line of the processor's cache.
pub(crate) const ALIGNMENT: usize = 16;

/// Numbers that begin where a line of the processor's cache begins: a vector that lies across two takes twice as long
/// to load, which is half as much again for a whole policy.
#[derive(Clone, Debug)]
pub(crate) struct Aligned {
    numbers: Vec<f32>,
    start: usize,
}

impl Aligned {
    pub(crate) fn new(mut numbers: Vec<f32>) -> Self {
        let len = numbers.len();
        numbers.resize(len + ALIGNMENT, 0.0);
        let start = numbers.as_ptr().align_offset(ALIGNMENT * size_of::<f32>()).min(ALIGNMENT);
        numbers.copy_within(..len, start);
        numbers.truncate(start + len);
        Self { numbers, start }
    }

    pub(crate) fn as_ref(&self) -> &[f32] {
        &self.numbers[self.start..]
    }

    pub(crate) fn as_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[self.start..]
    }
}
