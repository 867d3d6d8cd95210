//! `apprentice check-plugin`: whether a plugin keeps to the interface.

use super::{Failure, Output};
use crate::plugins::check;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CheckPlugin {
    /// The plugin: a shared library.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl CheckPlugin {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let report = check(&self.path);
        self.output.print(&report, || report.to_text())?;
        if report.ok { Ok(()) } else { Err(Failure::Reported) }
    }
}
