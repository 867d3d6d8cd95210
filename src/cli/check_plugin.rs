//! `apprentice check-plugin`: whether a plugin keeps to the interface.

use super::{Failure, Output, seconds};
use crate::agents::Error;
use crate::plugins::{Report, check};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[derive(Args)]
pub(super) struct CheckPlugin {
    /// The plugin: a shared library.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Give up after so many seconds, and say at what.
    #[arg(long, default_value_t = 60.0, value_parser = seconds)]
    timeout: f64,
    /// Check in this very program, which a plugin can take down with it.
    #[arg(long, hide = true)]
    here: bool,
    #[command(flatten)]
    output: Output,
}

/// What came of a check in another process.
enum Ended {
    /// It has told its report.
    Told { ok: bool },
    /// It has not.
    Fell(Report),
}

impl CheckPlugin {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let report = match self.here {
            true => check(&self.path, Duration::from_secs_f64(self.timeout)),
            false => match self.elsewhere()? {
                Ended::Told { ok: true } => return Ok(()),
                Ended::Told { ok: false } => return Err(Failure::Reported),
                Ended::Fell(report) => report,
            },
        };
        let printed = self.output.print(&report, || report.to_text());
        if report.ok { printed } else { Err(Failure::Reported) }
    }

    /// Checks in a process of its own, so that a plugin that falls does not take its verdict with it.
    fn elsewhere(&self) -> Result<Ended, Failure> {
        let program = std::env::current_exe().map_err(|e| Error::io("find", Path::new("this program"), e))?;
        let mut command = Command::new(&program);
        command.arg("check-plugin").arg("--here").arg(format!("--timeout={}", self.timeout));
        if self.output.json {
            command.arg("--json");
        }
        let run = command.arg("--").arg(&self.path).stderr(Stdio::inherit()).output();
        let ended = run.map_err(|e| Error::io("start", &program, e))?;
        let status = ended.status;
        if let (Some(code @ (0 | 1)), false) = (status.code(), ended.stdout.is_empty()) {
            let mut to = std::io::stdout();
            to.write_all(&ended.stdout).and_then(|()| to.flush()).map_err(Failure::Output)?;
            return Ok(Ended::Told { ok: code == 0 });
        }
        let error = format!(
            "plugin {}: it ended the program that checked it ({status}); look for memory that is not its own, a symbol that no \
             library has, or a call of exit or abort",
            self.path.display()
        );
        Ok(Ended::Fell(Report {
            plugin: self.path.display().to_string(),
            ok: false,
            error: Some(error),
            envs: Vec::new(),
        }))
    }
}
