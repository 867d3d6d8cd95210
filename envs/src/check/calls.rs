//! Calls that must be refused, and calls that must not panic.

use super::finding::{Finding, Findings, Mistake};
use super::play::failed;
use crate::{DynEnv, Element, Error, Generator, Space, Value};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// How long to wait for the end of an episode, steps.
const PATIENCE: usize = 1000;

/// The place of the call that is being made, for whoever waits for it on another thread.
pub(super) type Whereabouts = Arc<Mutex<String>>;

thread_local! {
    static WHEREABOUTS: RefCell<Option<Whereabouts>> = const { RefCell::new(None) };
}

/// Lets the calls of this thread be followed.
pub(super) fn follow(whereabouts: Whereabouts) {
    WHEREABOUTS.set(Some(whereabouts));
}

/// Calls; a panic becomes a finding.
pub(super) fn guarded<T>(place: &str, call: impl FnOnce() -> T) -> Result<T, Finding> {
    WHEREABOUTS.with_borrow(|whereabouts| {
        if let Some(whereabouts) = whereabouts {
            place.clone_into(&mut whereabouts.lock().unwrap_or_else(PoisonError::into_inner));
        }
    });
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let message = payload.downcast_ref::<String>().cloned();
        let message = message.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Finding {
            mistake: Mistake::Panic,
            place: place.to_owned(),
            expected: "no panic".to_owned(),
            got: format!("{:?}", message.unwrap_or_else(|| "a panic without a message".to_owned())),
        }
    })
}

/// Flat rows that are no elements of a space.
pub(super) fn outside(space: &Space) -> Vec<Vec<f32>> {
    let mut inside = vec![0.0; space.flat_dim()];
    space.sample(&mut Generator::new(0)).write_flat(&mut inside);
    let columns = 0..inside.len().min(8);
    let wrong = |column: usize| {
        let x = inside[column];
        [f32::NAN, f32::INFINITY, x + 0.5, x + 1e9, x - 1e9].map(|wrong| {
            let mut row = inside.clone();
            row[column] = wrong;
            row
        })
    };
    columns.flat_map(wrong).filter(|row| !space.contains_flat(row)).collect()
}

/// Whether the scalar form refuses steps without an episode and actions that are none.
pub(super) fn check(make: impl Fn() -> Result<Box<dyn DynEnv>, Error>) -> Findings {
    let mut findings = Findings::default();
    let outcome = guarded("its order of calls", || {
        let mut env = make()?;
        refusals(&mut *env, &mut findings)
    });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => findings.add(failed("its order of calls", &error)),
        Err(panic) => findings.add(panic),
    }
    findings
}

pub(super) fn refusals(env: &mut dyn DynEnv, findings: &mut Findings) -> Result<(), Error> {
    let space = env.action_space().clone();
    let mut rng = Generator::new(0);
    let mut must_fail = |env: &mut dyn DynEnv, action: &Value, mistake, place: &str| {
        if let Ok(step) = env.step(action) {
            let (expected, got) = (format!("an error for the action {action}"), format!("the reward {}", step.reward));
            findings.add(Finding { mistake, place: place.to_owned(), expected, got });
        }
    };
    must_fail(env, &space.sample(&mut rng), Mistake::Order, "before the first reset");
    env.reset(Some(0))?;
    let wrong = outside(&space).into_iter().filter_map(|row| Value::from_flat(&row, &space));
    // Of a row with a fraction an integer is left, which may be valid.
    for action in wrong.chain([Value::Box(Vec::new())]).filter(|action| !space.contains(action)) {
        must_fail(env, &action, Mistake::InvalidAction, "seed 0, episode 1, step 1");
    }
    env.reset(Some(0))?;
    for _ in 0..PATIENCE {
        if env.step(&space.sample(&mut rng))?.done() {
            must_fail(env, &space.sample(&mut rng), Mistake::Order, "after the end of an episode");
            break;
        }
    }
    Ok(())
}
