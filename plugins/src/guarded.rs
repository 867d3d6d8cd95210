//! Buffers for the other side to write into, which tell what it did not write and what it should not have written.

/// How many entries behind the buffer are watched.
const GUARD: usize = 8;

/// A buffer with some entries behind it that nobody should touch.
pub(crate) struct Guarded<T> {
    entries: Vec<T>,
    empty: T,
    guard: T,
}

impl<T: Copy + PartialEq> Guarded<T> {
    fn new(capacity: usize, empty: T, guard: T) -> Self {
        Self { entries: vec![guard; capacity + GUARD], empty, guard }
    }

    /// The buffer for `len` entries, no more than the capacity, and the watched ones behind it. The entries are not
    /// acceptable until they are written.
    pub(crate) fn arm(&mut self, len: usize) -> &mut [T] {
        self.entries[..len].fill(self.empty);
        self.entries[len..len + GUARD].fill(self.guard);
        &mut self.entries[..len + GUARD]
    }

    /// The first `len` entries, if nothing was written behind them since they were armed.
    pub(crate) fn read(&self, len: usize) -> Option<&[T]> {
        let (entries, behind) = self.entries.split_at(len);
        // Without branches, since this comes with every step.
        behind[..GUARD].iter().fold(true, |intact, entry| intact & (*entry == self.guard)).then_some(entries)
    }
}

impl Guarded<f32> {
    /// A buffer for observations.
    pub(crate) fn rows(capacity: usize) -> Self {
        Self::new(capacity, f32::NAN, -1.234_567_8e-21)
    }
}

impl Guarded<f64> {
    /// A buffer for rewards.
    pub(crate) fn rewards(capacity: usize) -> Self {
        Self::new(capacity, f64::NAN, -1.234_567_8e-121)
    }
}

impl Guarded<u8> {
    /// A buffer for zeros and ones, or for any bytes.
    pub(crate) fn bytes(capacity: usize) -> Self {
        Self::new(capacity, 0xff, 0xa5)
    }
}
