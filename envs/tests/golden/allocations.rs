//! A step allocates nothing: the heap is counted while vector environments run.

use apprentice_envs::{Autoreset, Element, Generator, Registry, StepBuffer, VectorOptions};
use ndarray::Array2;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more; nobody asks for it either.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_step_allocates_nothing() {
    let registry = Registry::builtin();
    let ids: Vec<String> = registry.list().map(|info| info.id.clone()).collect();
    for id in ids {
        for (autoreset, threads) in [(Autoreset::SameStep, 1), (Autoreset::NextStep, 1), (Autoreset::SameStep, 2)] {
            let options = VectorOptions::new(6, 1).autoreset(autoreset).threads(threads);
            let mut envs = registry.make_vec_with(id.as_str(), &options).unwrap();
            let mut out = StepBuffer::new(&*envs);
            envs.reset(None, out.observations.view_mut()).unwrap();
            let mut rng = Generator::new(2);
            let mut actions = Array2::zeros((6, envs.action_space().flat_dim()));
            let mut allocations = 0;
            for _ in 0..300 {
                for mut row in actions.rows_mut() {
                    envs.action_space().sample(&mut rng).write_flat(row.as_slice_mut().unwrap());
                }
                let before = COUNT.get();
                envs.step(actions.view(), out.view_mut()).unwrap();
                allocations += COUNT.get() - before;
            }
            assert_eq!(allocations, 0, "{id}, {autoreset:?}, {threads} threads");
        }
    }
}
