//! A step allocates nothing: the heap is counted while vector environments run.

use apprentice_envs::{Autoreset, Element, EnvSpec, Generator, Registry, StepBuffer, VectorOptions};
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
    let mut specs: Vec<EnvSpec> = registry.list().map(|info| EnvSpec::new(&info.id)).collect();
    let wrappers = r#"[
        {"type": "StickyAction", "repeat_action_probability": 0.3},
        {"type": "DelayAction", "delay": 1},
        {"type": "DelayObservation", "delay": 1},
        {"type": "GaussianNoiseObservation", "std": 0.1},
        {"type": "FrameStackObservation", "stack_size": 3},
        {"type": "TimeAwareObservation"},
        {"type": "RepeatAction", "num_repeats": 2}
    ]"#;
    specs.push(EnvSpec { wrappers: serde_json::from_str(wrappers).unwrap(), ..EnvSpec::new("CartPole-v1") });
    for spec in specs {
        for (autoreset, threads) in [(Autoreset::SameStep, 1), (Autoreset::NextStep, 1), (Autoreset::SameStep, 2)] {
            let options = VectorOptions::new(6, 1).autoreset(autoreset).threads(threads);
            let mut envs = registry.make_vec_with(&spec, &options).unwrap();
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
            assert_eq!(allocations, 0, "{spec:?}, {autoreset:?}, {threads} threads");
        }
    }
}
