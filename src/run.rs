//! Runs: training and distillation into a run directory.
//!
//! ```text
//! runs/NAME/
//!   config.toml          what was run
//!   metrics.jsonl        every scalar, a line each
//!   events.out.tfevents… the same and more, for TensorBoard
//!   checkpoints/         to go on from
//!   policy.apprentice    the result
//!   report.md|json|png   after a distillation: teacher and student compared
//! ```

use crate::agents::{Checkpoint, Error, Outcome, Ppo, PpoConfig, Session};
use crate::deploy::{Policy, write_atomically};
use crate::distill::{DistillConfig, Distiller, Report, Series, draw_curves, read_curve};
use crate::envs::{EnvSpec, Registry};
use crate::telemetry::Logger;
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// A directory that holds everything of a run.
#[derive(Clone, Debug)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// Makes a directory for a new run.
    ///
    /// # Errors
    /// If it cannot be written, or already holds a run, which is never overwritten.
    pub fn create(path: &Path) -> Result<Self, Error> {
        if path.join("config.toml").exists() {
            return Err(Error::io(
                "start a run in",
                path,
                "it already holds one; choose another directory or remove it",
            ));
        }
        std::fs::create_dir_all(path.join("checkpoints"))
            .map_err(|e| Error::io("create the run directory", path, e))?;
        Ok(Self(path.to_owned()))
    }

    /// Makes `path`, or `path-2`, `path-3`, … if there is a run in it already.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create_fresh(path: &Path) -> Result<Self, Error> {
        let taken = |path: &Path| path.join("config.toml").exists();
        let numbered = |n: u32| PathBuf::from(format!("{}-{n}", path.display()));
        let free = if taken(path) { (2..).map(numbered).find(|path| !taken(path)) } else { None };
        Self::create(&free.unwrap_or_else(|| path.to_owned()))
    }

    /// An existing run.
    ///
    /// # Errors
    /// If there is none at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match path.join("config.toml").exists() {
            true => Ok(Self(path.to_owned())),
            false => Err(Error::io("resume the run in", path, "there is no config.toml in it; give a run directory")),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the run's policy is.
    pub fn policy(&self) -> PathBuf {
        self.0.join("policy.apprentice")
    }

    /// Where the run's scalars are.
    pub fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    /// Where the run's checkpoints are.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The newest checkpoint of a training run that can be read; damaged ones are passed over.
    ///
    /// # Errors
    /// If there is none.
    pub fn last_checkpoint(&self) -> Result<Checkpoint, Error> {
        let folder = self.checkpoints();
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "checkpoint"));
        paths.sort();
        let mut last_error = Error::io("resume from", &folder, "there is no checkpoint in it");
        for path in paths.into_iter().rev() {
            match Checkpoint::load(&path) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.0.join(name);
        write_atomically(&path, text.as_bytes()).map_err(|e| Error::io("write", &path, e))
    }

    fn session<'a>(&self, options: &RunOptions<'a>) -> Result<Session<'a>, Error> {
        let logger = Logger::run(&self.0, options.quiet).map_err(|e| Error::io("log into", &self.0, e))?;
        Ok(Session { logger, checkpoints: Some(self.checkpoints()), stop: options.stop })
    }
}

/// How a run is carried out, beside what is run.
#[derive(Clone, Debug)]
pub struct RunOptions<'a> {
    /// Where tensors live.
    pub device: Device,
    /// Show no progress.
    pub quiet: bool,
    /// Set by someone else to end the run early; a checkpoint and the policy so far are left.
    pub stop: Option<&'a AtomicBool>,
}

/// Trains a teacher with PPO into `run`.
///
/// # Errors
/// If the configuration is not valid, a file cannot be written, or training diverges.
pub fn train(config: PpoConfig, run: &RunDir, registry: &Registry, options: &RunOptions<'_>) -> Result<Outcome, Error> {
    let toml = config.to_toml();
    let ppo = Ppo::new(config, registry, &options.device)?;
    run.write("config.toml", &toml)?;
    finish_training(ppo, run, options)
}

/// Goes on with a run that was stopped, from its newest checkpoint.
///
/// # Errors
/// If there is no usable checkpoint, or as [`train`].
pub fn resume(run: &RunDir, registry: &Registry, options: &RunOptions<'_>) -> Result<Outcome, Error> {
    let ppo = Ppo::resume(run.last_checkpoint()?, registry, &options.device)?;
    finish_training(ppo, run, options)
}

fn finish_training(mut ppo: Ppo, run: &RunDir, options: &RunOptions<'_>) -> Result<Outcome, Error> {
    let outcome = ppo.train(&mut run.session(options)?)?;
    ppo.policy()?.save(&run.policy())?;
    Ok(outcome)
}

/// Distils `teacher` into `run`; a finished distillation leaves its report there.
///
/// `teacher_run` is the teacher's own run directory, if it has one: its learning curve and training time go into the
/// report.
///
/// # Errors
/// If the configuration is not valid, the teacher is of another environment, a file cannot be written, or training
/// diverges.
pub fn distill(
    config: DistillConfig,
    teacher: &Policy,
    teacher_run: Option<&Path>,
    env: Option<EnvSpec>,
    run: &RunDir,
    registry: &Registry,
    options: &RunOptions<'_>,
) -> Result<(Outcome, Option<Report>), Error> {
    let toml = config.to_toml();
    let mut distiller = Distiller::new(config, teacher, env, registry, &options.device)?;
    run.write("config.toml", &toml)?;
    let outcome = distiller.train(&mut run.session(options)?)?;
    let student = distiller.policy()?;
    student.save(&run.policy())?;
    if !outcome.finished {
        return Ok((outcome, None));
    }
    let teacher_metrics = teacher_run.map(|path| path.join("metrics.jsonl"));
    let report = Report::measure(
        (teacher, teacher_metrics.as_deref().and_then(train_seconds)),
        (&student, Some(outcome.train_seconds)),
        registry,
    )?;
    write_report(&report, teacher_metrics.as_deref(), run)?;
    Ok((outcome, Some(report)))
}

/// The training time that the metrics of a finished run say, seconds.
pub fn train_seconds(metrics: &Path) -> Option<f64> {
    read_curve(metrics, "final/train_seconds").last().map(|(_, seconds)| *seconds)
}

fn write_report(report: &Report, teacher_metrics: Option<&Path>, run: &RunDir) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(report).expect("a report is plain data");
    run.write("report.json", &format!("{json}\n"))?;

    let mut series = Vec::new();
    if let Some(metrics) = teacher_metrics {
        series.push(Series { label: "teacher".into(), curve: read_curve(metrics, "eval/return_mean") });
    }
    series.push(Series { label: "student".into(), curve: read_curve(&run.metrics(), "distill/student_return") });
    let title = format!("{}: mean return over evaluation episodes", report.env.id);
    draw_curves(&run.path().join("report.png"), &title, "return", &series)?;

    run.write("report.md", &format!("{}\n![Learning curves](report.png)\n", report.to_markdown()))
}
