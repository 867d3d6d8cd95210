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
use calls::guarded;
use finding::Findings;

pub use finding::{Finding, Mistake};

/// Checks an environment of a registry, in its scalar and in its vector form, within its time limit and wrappers.
///
/// Plays some episodes with random actions, which takes well under a second for a quick environment. What it looks
/// for is listed at [`Mistake`]; of each kind it reports the first that it meets. No finding means that none was met,
/// not that there is none. An environment that panics or fails is reported too; one that never returns keeps it
/// waiting.
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

/// Checks an environment that is in no registry: its scalar form alone, without a time limit.
pub fn check_row_env(env: impl RowEnv + Clone) -> Vec<Finding> {
    let mut findings = Findings::default();
    match single::flaw(&env) {
        Some(flaw) => findings.add(flaw),
        None => findings.all(single::check(&|| env.boxed())),
    }
    findings.into_vec()
}
