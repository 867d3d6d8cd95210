//! Apprentice's command line with one environment more.

use apprentice::{cli, envs::Registry};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut registry = Registry::builtin();
    thermostat::register(&mut registry);
    cli::run(&registry)
}
