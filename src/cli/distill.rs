//! `apprentice distill`: a student of a teacher, and the report.

use super::train::run_name;
use super::{Compute, Failure, Kwargs, Output, load_policy};
use apprentice::agents::{Error, policy_env};
use apprentice::distill::{DistillConfig, Distiller, Report};
use apprentice::envs::{EnvSpec, Registry};
use apprentice::presets;
use apprentice::run::{self, RunDir};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Distill {
    /// The teacher: a policy file, or the run directory that holds one.
    #[arg(long, value_name = "POLICY")]
    teacher: PathBuf,
    /// Distil in this environment [default: the teacher's own].
    #[arg(long)]
    env: Option<String>,
    /// A TOML file to start from in place of the preset.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change a key of the configuration, such as hidden=[8]; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The seed of every draw [default: the configuration's, 0 in the preset].
    #[arg(long)]
    seed: Option<u64>,
    /// The run directory [default: runs/ENV-distill-SEED, numbered if there is one].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Distilled<'a> {
    run: PathBuf,
    policy: PathBuf,
    finished: bool,
    #[serde(flatten)]
    report: Option<&'a Report>,
}

impl Distill {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let registry = Registry::builtin();
        let (teacher, teacher_run) = load_policy(&self.teacher)?;
        let config = self.configuration()?;
        let mut env = match &self.env {
            Some(id) => EnvSpec::new(id),
            None => policy_env(&teacher),
        };
        self.kwargs.apply(&mut env)?;
        let options = self.compute.options(&self.output)?;
        // Everything that can be wrong with the request is found before a directory is made for it.
        Distiller::new(config.clone(), &teacher, Some(env.clone()), &registry, &options.device)?;

        let run = match &self.out {
            Some(path) => RunDir::create(path)?,
            None => RunDir::create_fresh(&run_name(&env.id, "distill", config.seed))?,
        };
        let teacher_run = teacher_run.as_deref();
        let (outcome, report) = run::distill(config, &teacher, teacher_run, Some(env), &run, &registry, &options)?;
        let distilled = Distilled {
            policy: run.policy(),
            run: run.path().to_owned(),
            finished: outcome.finished,
            report: report.as_ref(),
        };
        self.output.print(&distilled, || distilled.text())?;
        if !outcome.finished {
            eprintln!("stopped at step {}; the student so far is {}", outcome.global_step, run.policy().display());
            return Err(Failure::Interrupted);
        }
        Ok(())
    }

    fn configuration(&self) -> Result<DistillConfig, Error> {
        let mut config = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
                presets::with_overrides(&text, &self.overrides)?
            }
            None => presets::distill(&self.overrides)?,
        };
        config.seed = self.seed.unwrap_or(config.seed);
        Ok(config)
    }
}

impl Distilled<'_> {
    fn text(&self) -> String {
        let report = self.report.map(|report| format!("\n{}\n", report.to_text())).unwrap_or_default();
        let report_file =
            if self.report.is_some() { self.run.join("report.md").display().to_string() } else { "–".into() };
        format!(
            "{report}  report       {report_file}\n  policy       {}\n  TensorBoard  tensorboard --logdir {}",
            self.policy.display(),
            self.run.display()
        )
    }
}
