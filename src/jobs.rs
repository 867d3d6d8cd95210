//! Several runs side by side on the cores of the machine.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The runs that the machine can carry out at a time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Does `work` for every number below `count`, `jobs` at a time, in order, until all are done or `stop` is set. Calls
/// `watch` now and then, and once at the end. Returns what each gave; None of those that were not begun.
pub(crate) fn in_parallel<R: Send>(
    count: usize,
    jobs: usize,
    stop: Option<&AtomicBool>,
    work: impl Fn(usize) -> R + Sync,
    mut watch: impl FnMut(),
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new((0..count).map(|_| None).collect());
    std::thread::scope(|scope| {
        let worker = || {
            while !stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                let k = next.fetch_add(1, Ordering::Relaxed);
                if k >= count {
                    break;
                }
                let result = work(k);
                results.lock().expect("nobody panics with it")[k] = Some(result);
            }
        };
        let workers: Vec<_> = (0..jobs.clamp(1, count.max(1))).map(|_| scope.spawn(worker)).collect();
        while !workers.iter().all(|worker| worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
            watch();
        }
    });
    watch();
    results.into_inner().expect("nobody panics with it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_nothing_after_a_stop() {
        let squares = in_parallel(10, 3, None, |k| k * k, || ());
        assert_eq!(squares, (0..10).map(|k| Some(k * k)).collect::<Vec<_>>());
        let stop = AtomicBool::new(false);
        let done = in_parallel(5, 1, Some(&stop), |k| stop.store(k == 1, Ordering::Relaxed), || ());
        assert_eq!(done.iter().filter(|result| result.is_some()).count(), 2);
        assert!(in_parallel(0, 4, None, |_| (), || ()).is_empty());
    }
}
