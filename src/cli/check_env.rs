//! `apprentice check-env`: the mistakes that are easily made in an environment.

use super::{Failure, Kwargs, Output, seconds};
use crate::envs::{EnvSpec, Finding, Registry, check_env_within};
use clap::Args;
use serde::Serialize;
use std::time::Duration;

/// Plays some episodes with random actions and looks for observations outside their space, episodes that a seed does
/// not reproduce, state that outlives a reset, snapshots that do not restore, a vector form that differs from the scalar
/// form, panics, calls that do not return, and more. Exit code 1 if something was found.
#[derive(Args)]
pub(super) struct CheckEnv {
    /// The environment, such as CartPole-v1.
    env: String,
    /// Give up after so many seconds, and say where it then was.
    #[arg(long, default_value_t = 60.0, value_parser = seconds)]
    timeout: f64,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Checked {
    env: EnvSpec,
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    finding: Finding,
    message: String,
}

impl CheckEnv {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let env = self.kwargs.over(EnvSpec::new(&self.env))?;
        // A panic is a finding and says its message there.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let findings = check_env_within(registry, &env, Duration::from_secs_f64(self.timeout));
        std::panic::set_hook(hook);
        let found = |finding: Finding| Found { message: finding.to_string(), finding };
        let checked = Checked { env, findings: findings?.into_iter().map(found).collect() };
        let printed = self.output.print(&checked, || checked.text());
        if checked.findings.is_empty() { printed } else { Err(Failure::Reported) }
    }
}

impl Checked {
    fn text(&self) -> String {
        if self.findings.is_empty() {
            return format!("{}: no mistake was found", self.env.id);
        }
        self.findings.iter().map(|found| format!("{}: {}\n", self.env.id, found.message)).collect()
    }
}
