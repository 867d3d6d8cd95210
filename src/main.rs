//! The `apprentice` command line; see `cli` for its subcommands.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
