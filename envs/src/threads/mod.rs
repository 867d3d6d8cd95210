//! Threads for pieces of work that take microseconds.

mod helper;

use crate::Error;
pub(crate) use helper::Helper;

/// Some threads, the caller's among them, that do pieces of work side by side.
///
/// Nobody sleeps between pieces that follow one another closely, so that handing them out takes less than a
/// microsecond. Where a processor is busy otherwise, its share is done by those that are not.
pub struct Threads {
    /// One fewer than the threads: the caller's works too.
    helpers: Vec<Helper>,
}

impl Threads {
    /// `threads` of them.
    ///
    /// # Errors
    /// If there are none, or the system refuses to start them.
    pub fn new(threads: usize) -> Result<Self, Error> {
        if threads == 0 {
            return Err(Error::config("threads: expected at least 1, got 0"));
        }
        let start = |_| {
            Helper::start().map_err(|e| {
                Error::config(format!("threads: the system refused to start {threads} of them ({e}); use fewer"))
            })
        };
        Ok(Self { helpers: (1..threads).map(start).collect::<Result<_, _>>()? })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Does `work` with every one of `items`. Each thread has consecutive ones, and unless it is held up the same ones in
    /// every call with as many, so that what they hold stays in its cache.
    pub fn for_each<T: Send>(&mut self, items: &mut [T], work: impl Fn(&mut T) + Sync) {
        share(&mut self.helpers, items, &work);
    }

    /// All of them but the caller's.
    pub(crate) fn helpers(&mut self) -> &mut [Helper] {
        &mut self.helpers
    }
}

/// Does `work` with the first items here and with the others on the helpers.
fn share<T: Send>(helpers: &mut [Helper], items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
    match helpers {
        [helper, helpers @ ..] if items.len() > 1 => {
            let threads = helpers.len() + 2;
            let half = threads.div_ceil(2);
            let (front, back) = items.split_at_mut((items.len() * half).div_ceil(threads).min(items.len() - 1));
            let (near, far) = helpers.split_at_mut(half - 1);
            helper.join(|| share(near, front, work), || share(far, back, work));
        }
        _ => items.iter_mut().for_each(work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        for threads in [1, 2, 5] {
            let mut threads = Threads::new(threads).unwrap();
            for n in [0, 1, 2, 3, 100] {
                let mut items: Vec<usize> = (0..n).collect();
                threads.for_each(&mut items, |item| *item += 1000);
                assert_eq!(items, (1000..1000 + n).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn all_threads_work() {
        let mut threads = Threads::new(3).unwrap();
        let barrier = std::sync::Barrier::new(3);
        // Each item waits for the other two.
        threads.for_each(&mut [(), (), ()], |()| {
            barrier.wait();
        });
    }
}
