//! `check_env`: the mistakes that are easily made in an environment, found before they cost a training run.
//!
//! ```
//! use apprentice_envs::{Registry, check_env};
//!
//! for finding in check_env(&Registry::builtin(), "FrozenLake-v1")? {
//!     println!("{finding}");
//! }
//! # Ok::<(), apprentice_envs::Error>(())
//! ```

mod calls;
mod finding;
mod play;
mod single;
#[cfg(test)]
mod tests;
mod vector;

use crate::wrappers::wrap;
use crate::{EnvSpec, Error, Registry, RowEnv};
use calls::{Whereabouts, guarded};
use finding::Findings;
use std::panic::resume_unwind;
use std::sync::PoisonError;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

pub use finding::{Finding, Mistake};

/// Checks an environment of a registry, in its scalar and in its vector form, within its time limit and wrappers.
///
/// Plays some episodes with random actions, which takes well under a second for a quick environment. What it looks
/// for is listed at [`Mistake`]; of each kind it reports the first that it meets. No finding means that none was met,
/// not that there is none. An environment that panics or fails is reported too; one that never returns keeps it
/// waiting, unless by [`check_env_within`].
///
/// # Errors
/// If there is no such environment to check: the id is unknown, or a parameter is not acceptable.
pub fn check_env(registry: &Registry, spec: impl Into<EnvSpec>) -> Result<Vec<Finding>, Error> {
    let spec = spec.into();
    let mut findings = Findings::default();
    let build = || {
        let (env, wrappers) = registry.bare(&spec)?;
        match single::flaw(&*env) {
            None => wrap(env, &wrappers).map(Ok),
            Some(flaw) => Ok(Err(flaw)),
        }
    };
    // Only what went wrong while nothing of the environment ran yet is the caller's mistake.
    let built = match guarded("where it is made", build) {
        Ok(built) => built?,
        Err(panic) => Err(panic),
    };
    match built {
        Err(finding) => findings.add(finding),
        Ok(env) => {
            let again = || build().ok().and_then(Result::ok).unwrap_or_else(|| env.clone());
            findings.all(single::check(&again));
            // Where the scalar form does not hold, a comparison says nothing.
            if findings.is_empty() {
                findings.all(calls::check(|| registry.make(&spec)));
                findings.all(vector::check(registry, &spec));
            }
        }
    }
    Ok(findings.into_vec())
}

/// [`check_env`] that gives up after some time, with the finding where it then was. What does not return goes on on a
/// thread of its own, which nothing can end but the end of the program.
///
/// # Errors
/// If there is no such environment to check, or the system refuses a thread.
pub fn check_env_within(registry: &Registry, spec: impl Into<EnvSpec>, limit: Duration) -> Result<Vec<Finding>, Error> {
    let (registry, spec) = (registry.clone(), spec.into());
    let whereabouts = Whereabouts::default();
    let followed = Whereabouts::clone(&whereabouts);
    let (sender, findings) = channel();
    let check = move || {
        calls::follow(followed);
        // Where nobody waits any more, nobody misses it.
        let _ = sender.send(check_env(&registry, spec));
    };
    let thread = std::thread::Builder::new()
        .spawn(check)
        .map_err(|e| Error::config(format!("the system refused to start a thread for the check ({e})")))?;
    match findings.recv_timeout(limit) {
        Ok(findings) => findings,
        Err(RecvTimeoutError::Timeout) => Ok(vec![Finding {
            mistake: Mistake::Timeout,
            place: whereabouts.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            expected: format!("all checks to be done within {} s", limit.as_secs_f64()),
            got: "no answer".to_owned(),
        }]),
        Err(RecvTimeoutError::Disconnected) => resume_unwind(thread.join().expect_err("it ended without an answer")),
    }
}

/// Checks an environment that is in no registry: its scalar form alone, without a time limit.
pub fn check_row_env(env: impl RowEnv + Clone) -> Vec<Finding> {
    let mut findings = Findings::default();
    match single::flaw(&env) {
        Some(flaw) => findings.add(flaw),
        None => findings.all(single::check(&|| env.boxed())),
    }
    findings.into_vec()
}
