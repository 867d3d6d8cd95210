//! Whether a plugin keeps to the interface: what loading cannot see, found out by using its environments.

mod trial;

use crate::library::{KindInfo, Library};
use apprentice_envs::{Error, Registry};
use serde::Serialize;
use std::path::Path;

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

/// Loads a plugin and tries each of its environments with its default parameters. It takes some thousand steps.
pub fn check(path: &Path) -> Report {
    let plugin = path.display().to_string();
    match Library::open(path).and_then(|(library, kinds)| trials(&library, kinds)) {
        Ok(envs) => {
            let ok = envs.iter().flat_map(|env| &env.checks).all(|check| check.problem.is_none());
            Report { plugin, ok, error: None, envs }
        }
        Err(error) => Report { plugin, ok: false, error: Some(error.to_string()), envs: Vec::new() },
    }
}

fn trials(library: &std::sync::Arc<Library>, kinds: Vec<KindInfo>) -> Result<Vec<EnvReport>, Error> {
    let ids: Vec<String> = kinds.iter().map(|kind| kind.id.clone()).collect();
    let mut registry = Registry::empty();
    crate::register(library, kinds, &mut registry);
    let report = |(index, id): (usize, String)| {
        let trial = trial::Trial { library, registry: &registry, index: index as u32, id: &id };
        let mut checks = Vec::new();
        for (name, check) in trial::CHECKS {
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
