//! Whether a plugin keeps to the interface: what loading cannot see, found out by using its environments.

mod trial;

use crate::library::{KindInfo, Library};
use apprentice_envs::{Error, Registry};
use serde::Serialize;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What was found out about a plugin.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub plugin: String,
    /// Whether all is well.
    pub ok: bool,
    /// Why the file cannot be used at all, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its environments.
    pub envs: Vec<EnvReport>,
}

/// What was found out about an environment.
#[derive(Clone, Debug, Serialize)]
pub struct EnvReport {
    /// The id.
    pub id: String,
    /// What was tried, in order. If the environment cannot be made, nothing else is.
    pub checks: Vec<Check>,
}

/// Something that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What should hold.
    pub name: &'static str,
    /// What is wrong and what to do, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Loads a plugin and tries each of its environments with its default parameters. It takes some thousand steps; after
/// `limit` it gives up and says at what. A function that does not return goes on on a thread of its own, which nothing can
/// end but the end of the program.
pub fn check(path: &Path, limit: Duration) -> Report {
    let whereabouts = Arc::new(Mutex::new("loading it".to_owned()));
    let (sender, report) = channel();
    let (owned, followed) = (path.to_owned(), Arc::clone(&whereabouts));
    // Where nobody waits any more, nobody misses the report.
    let thread = std::thread::Builder::new().spawn(move || _ = sender.send(check_all(&owned, &followed)));
    let failed = |error| Report { plugin: path.display().to_string(), ok: false, error: Some(error), envs: Vec::new() };
    let thread = match thread {
        Ok(thread) => thread,
        Err(error) => return failed(format!("the system refused to start a thread for the check ({error})")),
    };
    match report.recv_timeout(limit) {
        Ok(report) => report,
        Err(RecvTimeoutError::Timeout) => failed(format!(
            "plugin {}: expected all checks to be done within {} s, got no answer at {}; look for a loop without end \
             or a lock that nobody opens there, or give it more time if it is only slow",
            path.display(),
            limit.as_secs_f64(),
            whereabouts.lock().unwrap_or_else(PoisonError::into_inner)
        )),
        Err(RecvTimeoutError::Disconnected) => resume_unwind(thread.join().expect_err("it ended without an answer")),
    }
}

/// Checks, and writes down at what it is.
fn check_all(path: &Path, whereabouts: &Mutex<String>) -> Report {
    let plugin = path.display().to_string();
    match Library::open(path).and_then(|(library, kinds)| trials(&library, kinds, whereabouts)) {
        Ok(envs) => {
            let ok = envs.iter().flat_map(|env| &env.checks).all(|check| check.problem.is_none());
            Report { plugin, ok, error: None, envs }
        }
        Err(error) => Report { plugin, ok: false, error: Some(error.to_string()), envs: Vec::new() },
    }
}

fn trials(library: &Arc<Library>, kinds: Vec<KindInfo>, whereabouts: &Mutex<String>) -> Result<Vec<EnvReport>, Error> {
    let ids: Vec<String> = kinds.iter().map(|kind| kind.id.clone()).collect();
    let mut registry = Registry::empty();
    crate::register(library, kinds, &mut registry);
    let report = |(index, id): (usize, String)| {
        let trial = trial::Trial { library, registry: &registry, index: index as u32, id: &id };
        let mut checks = Vec::new();
        for (name, check) in trial::CHECKS {
            *whereabouts.lock().unwrap_or_else(PoisonError::into_inner) = format!("{id}: {name}");
            let problem = check(&trial).err();
            let first_failed = checks.is_empty() && problem.is_some();
            checks.push(Check { name, problem });
            if first_failed {
                break;
            }
        }
        EnvReport { id, checks }
    };
    Ok(ids.into_iter().enumerate().map(report).collect())
}

impl Report {
    /// The report for people: a line for each check, and what to do where one failed.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for env in &self.envs {
            text += &format!("{}\n", env.id);
            for check in &env.checks {
                match &check.problem {
                    None => text += &format!("  ok    {}\n", check.name),
                    Some(problem) => text += &format!("  FAIL  {}\n        {problem}\n", check.name),
                }
            }
        }
        let failed = self.envs.iter().filter(|env| env.checks.iter().any(|check| check.problem.is_some())).count();
        text + &match (&self.error, failed) {
            (Some(error), _) => error.clone(),
            (None, 0) => format!("{}: all is well with {}", self.plugin, environments(self.envs.len())),
            (None, _) => format!("{}: {failed} of {} failed", self.plugin, environments(self.envs.len())),
        }
    }
}

fn environments(n: usize) -> String {
    format!("{n} environment{}", if n == 1 { "" } else { "s" })
}
