//! A second thread for work that takes microseconds.
//!
//! A step of some thousand environments takes a few dozen microseconds: as long as it takes to wake a sleeping thread,
//! which is what general thread pools do for each job. A [`Helper`] spins for about as long before it goes to sleep,
//! so that steps that follow one another closely find it awake. Where it does not come in time, because it slept or
//! another program has its processor, the caller does the work alone.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

/// How often a thread looks before it gives the processor away: some dozen microseconds.
const SPINS: u32 = 2_000;

const IDLE: u32 = 0;
/// There is a job, which the helper has not seen yet.
const OFFERED: u32 = 1;
const WORKING: u32 = 2;
const LEAVING: u32 = 3;

type Job = dyn FnMut() + Send;

/// A thread that runs one closure at a time beside the caller's own.
pub(crate) struct Helper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// What the helper is doing; whoever may touch `job` follows from it: the helper while it is working, the caller
    /// otherwise.
    state: AtomicU32,
    job: UnsafeCell<Option<*mut Job>>,
}

// SAFETY: `job` is accessed by one thread at a time, as `state` says, and the job it points to is `Send`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Helper {
    pub(super) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: AtomicU32::new(IDLE), job: UnsafeCell::new(None) });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("apprentice".to_owned()).spawn(move || its.serve())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Runs `here` on this thread and `there` on the helper's, and returns when both are done. If `there` has not begun
    /// by the time that `here` is done, it runs on this thread too. A panic of either is passed on.
    pub(crate) fn join<A, B: Send>(&mut self, here: impl FnOnce() -> A, there: impl FnOnce() -> B + Send) -> (A, B) {
        let (mut there, mut second) = (Some(there), None);
        let mut job = || second = there.take().map(|there| catch_unwind(AssertUnwindSafe(there)));
        let job: *mut (dyn FnMut() + Send + '_) = &raw mut job;
        // SAFETY: only the lifetime changes. The helper uses the pointer only before it is idle again, and this
        // function is not left before that: `recall` sees to it on every way out.
        let job = unsafe { std::mem::transmute::<*mut (dyn FnMut() + Send + '_), *mut Job>(job) };
        // SAFETY: the helper is idle, since the last `join` waited for it and `&mut self` excludes another one.
        unsafe { *self.shared.job.get() = Some(job) };
        self.shared.state.store(OFFERED, Ordering::Release);
        let recall = Recall(&self.shared);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        let first = here();
        drop(recall);
        let second = match (second, there) {
            (Some(done), _) => done,
            (None, Some(there)) => Ok(there()),
            (None, None) => unreachable!("what has begun on the helper is done"),
        };
        match second {
            Ok(second) => (first, second),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Takes the job back if the helper has not begun with it, and otherwise waits until it is done, even while a panic
/// unwinds.
struct Recall<'a>(&'a Shared);

impl Drop for Recall<'_> {
    fn drop(&mut self) {
        // What fails is that it has begun.
        let _ = self.0.state.compare_exchange(OFFERED, IDLE, Ordering::Acquire, Ordering::Relaxed);
        let mut spins = 0;
        while self.0.state.load(Ordering::Acquire) == WORKING {
            spins += 1;
            if spins < SPINS { spin_loop() } else { std::thread::yield_now() }
        }
    }
}

impl Shared {
    /// The life of the helper.
    fn serve(&self) {
        loop {
            let mut spins = 0;
            while self.state.load(Ordering::Acquire) == IDLE {
                spins += 1;
                if spins < SPINS { spin_loop() } else { std::thread::park() }
            }
            match self.state.compare_exchange(OFFERED, WORKING, Ordering::Acquire, Ordering::Acquire) {
                Err(LEAVING) => return,
                // The job was taken back.
                Err(_) => continue,
                Ok(_) => {}
            }
            // SAFETY: the state is WORKING, so the caller has put a job there and waits for it. It catches its panics.
            unsafe {
                if let Some(job) = (*self.job.get()).take() {
                    (*job)();
                }
            }
            self.state.store(IDLE, Ordering::Release);
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.shared.state.store(LEAVING, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It catches every panic, so that it ends well.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn both_halves_are_done_every_time() {
        let mut helper = Helper::start().unwrap();
        let mut numbers = [0_u64; 2];
        for round in 0..10_000 {
            let [a, b] = &mut numbers;
            let (left, right) = helper.join(
                || {
                    *a += 1;
                    *a
                },
                || {
                    *b += 1;
                    *b
                },
            );
            assert_eq!((left, right), (round + 1, round + 1));
            if round % 1000 == 0 {
                // Long enough to fall asleep.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn a_panic_on_either_side_is_passed_on_and_leaves_the_helper_usable() {
        let mut helper = Helper::start().unwrap();
        let (begun, mut done) = (AtomicBool::new(false), false);
        let here = || {
            while !begun.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            panic!("here")
        };
        let there = || {
            begun.store(true, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(5));
            done = true;
        };
        assert!(catch_unwind(AssertUnwindSafe(|| helper.join(here, there))).is_err());
        assert!(done, "the other half was waited for");
        assert!(catch_unwind(AssertUnwindSafe(|| helper.join(|| 1, || panic!("there")))).is_err());
        assert_eq!(helper.join(|| 1, || 2), (1, 2));
    }

    #[test]
    fn what_has_not_begun_is_done_by_the_caller() {
        let mut helper = Helper::start().unwrap();
        let caller = std::thread::current().id();
        let mut here = 0;
        for round in 0..10_000 {
            // Nothing to do here: whichever thread comes first does the other half, and does it once.
            let ((), there) = helper.join(|| (), || (std::thread::current().id(), round));
            assert_eq!(there.1, round);
            here += u32::from(there.0 == caller);
        }
        assert!(here > 0, "the helper cannot always be the first");
    }
}
