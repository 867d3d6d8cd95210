//! The `apprentice` command line over the built-in environments.

use apprentice::{cli, envs::Registry};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(&Registry::builtin())
}
