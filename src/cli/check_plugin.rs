//! `apprentice check-plugin`: whether a plugin keeps to the interface.

use super::{Failure, Output, seconds};
use crate::plugins::check;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
pub(super) struct CheckPlugin {
    /// The plugin: a shared library.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Give up after so many seconds, and say at what.
    #[arg(long, default_value_t = 60.0, value_parser = seconds)]
    timeout: f64,
    #[command(flatten)]
    output: Output,
}

impl CheckPlugin {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let report = check(&self.path, Duration::from_secs_f64(self.timeout));
        self.output.print(&report, || report.to_text())?;
        if report.ok { Ok(()) } else { Err(Failure::Reported) }
    }
}
