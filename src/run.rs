//! Runs: training and distillation into a run directory.
//!
//! ```text
//! runs/NAME/
//!   config.toml          what was run
//!   metrics.jsonl        every scalar, a line each
//!   events.out.tfevents… the same and more, for TensorBoard
//!   checkpoints/         to go on from
//!   policy.apprentice    the result
//!   teacher.apprentice   of a distillation: a copy of the teacher
//!   report.md|json|png   after a distillation: teacher and student compared
//! ```

use crate::agents::{Callback, Checkpoint, Error, Outcome, Ppo, PpoConfig, Session, environment_ref, policy_env};
use crate::deploy::{Header, Policy, write_atomically};
use crate::distill::{Comparison, Report, Series, draw_curves, read_curve};
use crate::envs::Registry;
use crate::student::{Student, teacher_path};
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
        Self::claim(path)?.ok_or_else(|| {
            Error::io("start a run in", path, "it already holds one; choose another directory or remove it")
        })
    }

    /// Makes `path`, or `path-2`, `path-3`, … if there is a run in it already.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create_fresh(path: &Path) -> Result<Self, Error> {
        let mut candidate = path.to_owned();
        for n in 2.. {
            if let Some(run) = Self::claim(&candidate)? {
                return Ok(run);
            }
            candidate = PathBuf::from(format!("{}-{n}", path.display()));
        }
        unreachable!("there are more numbers than directories")
    }

    /// Makes the directory and claims it by creating its `config.toml`, which only one of several programs that try at
    /// the same time can do. None if there is a run in it.
    fn claim(path: &Path) -> Result<Option<Self>, Error> {
        let fail = |e: std::io::Error| Error::io("create the run directory", path, e);
        std::fs::create_dir_all(path.join("checkpoints")).map_err(fail)?;
        let used = std::fs::read_dir(path.join("checkpoints")).map_err(fail)?.next().is_some();
        if used || path.join("policy.apprentice").exists() {
            return Ok(None);
        }
        match std::fs::File::create_new(path.join("config.toml")) {
            Ok(_) => Ok(Some(Self(path.to_owned()))),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(fail(e)),
        }
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

    /// The newest checkpoint of a training run that can be read, and what was wrong with newer ones.
    ///
    /// # Errors
    /// If there is none.
    pub fn last_checkpoint(&self) -> Result<(Checkpoint, Vec<Error>), Error> {
        let folder = self.checkpoints();
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "checkpoint"));
        paths.sort();
        let mut damaged = Vec::new();
        for path in paths.into_iter().rev() {
            match Checkpoint::load(&path) {
                Ok(checkpoint) => return Ok((checkpoint, damaged)),
                Err(error) => damaged.push(error),
            }
        }
        Err(damaged.pop().unwrap_or_else(|| Error::io("resume from", &folder, "there is no checkpoint in it")))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.0.join(name);
        write_atomically(&path, text.as_bytes()).map_err(|e| Error::io("write", &path, e))
    }

    fn session<'a>(&self, options: RunOptions<'a>) -> Result<Session<'a>, Error> {
        let logger = Logger::run(&self.0, options.quiet).map_err(|e| Error::io("log into", &self.0, e))?;
        Ok(Session { logger, checkpoints: Some(self.checkpoints()), stop: options.stop, callback: None })
    }
}

/// How a run is carried out.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions<'a> {
    /// Show no progress.
    pub quiet: bool,
    /// Set by someone else to end the run early; a checkpoint and the policy so far are left.
    pub stop: Option<&'a AtomicBool>,
}

/// Trains `ppo` into `run`.
///
/// # Errors
/// If a file cannot be written or training diverges.
pub fn train(mut ppo: Ppo, run: &RunDir, options: RunOptions<'_>) -> Result<Outcome, Error> {
    run.write("config.toml", &ppo.config().to_toml()?)?;
    finish_training(&mut ppo, run, run.session(options)?)
}

/// Trains `ppo` into `run`, and tells `callback` after every iteration.
///
/// # Errors
/// As [`train`].
pub fn train_watched<'a>(
    mut ppo: Ppo,
    run: &RunDir,
    options: RunOptions<'a>,
    callback: Box<Callback<'a>>,
) -> Result<Outcome, Error> {
    run.write("config.toml", &ppo.config().to_toml()?)?;
    let session = Session { callback: Some(callback), ..run.session(options)? };
    finish_training(&mut ppo, run, session)
}

/// Goes on with a run that was stopped, from its newest checkpoint that can be read.
///
/// # Errors
/// If there is no usable checkpoint, if the run is finished, or as [`train`].
pub fn resume(run: &RunDir, registry: &Registry, device: &Device, options: RunOptions<'_>) -> Result<Outcome, Error> {
    let (checkpoint, damaged) = run.last_checkpoint()?;
    let finished = checkpoint.iteration() == checkpoint.config().plan()?.num_iterations;
    if finished && run.policy().exists() {
        return Err(Error::config(format!(
            "the run in {0} is finished; to train longer, start anew: train --config {0}/config.toml --set total_timesteps=…",
            run.0.display()
        )));
    }
    let path = run.path().join("config.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
    if PpoConfig::from_toml(&text)? != *checkpoint.config() {
        return Err(Error::config(format!(
            "{} differs from the configuration that the newest checkpoint was written with; restore it to go on",
            path.display()
        )));
    }
    let mut ppo = Ppo::resume(checkpoint, registry, device)?;
    let mut session = run.session(options)?;
    for error in damaged {
        session.logger.lose(error.to_string());
    }
    finish_training(&mut ppo, run, session)
}

fn finish_training(ppo: &mut Ppo, run: &RunDir, mut session: Session<'_>) -> Result<Outcome, Error> {
    let trained = ppo.train(&mut session);
    // Where only the last checkpoint could not be written, the policy may still find room.
    if trained.as_ref().err().is_none_or(Error::is_io) {
        ppo.final_policy()?.save(&run.policy())?;
    }
    trained
}

/// Lets a student learn into `run`; one that has finished leaves its report there, and copies of its teachers.
///
/// `teacher_run` is the teacher's own run directory, if it has one: its learning curve and training time go into the
/// report. Whoever learns several domains or tasks has a report for each. Whoever learns from several teachers that answer as
/// one or from an expert has none: there is no one policy to compare with.
///
/// # Errors
/// If a file cannot be written or training diverges.
pub fn distill<'a>(
    student: impl Into<Student<'a>>,
    teacher_run: Option<&Path>,
    run: &RunDir,
    registry: &Registry,
    options: RunOptions<'_>,
) -> Result<(Outcome, Vec<Report>), Error> {
    let mut student = student.into();
    let teachers = student.teacher().policies().to_vec();
    let places = student.teacher().domain_envs()?;
    let (outcome, policy) = learn(&mut student, teacher_run, run, options, None)?;
    let Some(policy) = policy.filter(|_| outcome.finished) else { return Ok((outcome, Vec::new())) };
    if !places.is_empty() {
        let mut reports = Vec::new();
        for (k, (teacher, place)) in teachers.iter().zip(&places).enumerate() {
            let header = Header { environment: environment_ref(place), ..policy.header().clone() };
            let there = Policy::new(header, policy.body().clone()).map_err(Error::from)?;
            let report = Report::measure((teacher, None), (&there, Some(outcome.train_seconds)), registry)?;
            let json = serde_json::to_string_pretty(&report).expect("a report is plain data");
            run.write(&format!("report-{}.json", k + 1), &format!("{json}\n"))?;
            reports.push(report);
        }
        return Ok((outcome, reports));
    }
    let [teacher] = &teachers[..] else { return Ok((outcome, Vec::new())) };
    let teacher_metrics = teacher_run.map(|path| path.join("metrics.jsonl"));
    let report = Report::measure(
        (teacher, teacher_metrics.as_deref().and_then(train_seconds)),
        (&policy, Some(outcome.train_seconds)),
        registry,
    )?;
    // A curve from another environment would be on another scale.
    let same_task = policy_env(teacher)? == report.env;
    write_report(&report, teacher_metrics.as_deref().filter(|_| same_task), run)?;
    Ok((outcome, vec![report]))
}

/// Lets a student learn into `run`, with copies of its teachers and without a report, and tells `callback` after every
/// iteration. Returns what it has become; None if there is nothing yet.
pub(crate) fn learn<'a>(
    student: &mut Student<'_>,
    teacher_run: Option<&Path>,
    run: &RunDir,
    options: RunOptions<'a>,
    callback: Option<Box<Callback<'a>>>,
) -> Result<(Outcome, Option<Policy>), Error> {
    let teachers = student.teacher().policies();
    for (i, teacher) in teachers.iter().enumerate() {
        teacher.save(&teacher_path(run.path(), i, teachers.len()))?;
    }
    let from = teacher_run.map_or(String::new(), |path| format!(" in {}", path.display()));
    let names = teachers.iter().map(|policy| policy.checksum()).collect::<Vec<_>>().join(", ");
    let origin = match teachers {
        [] => "# Teacher: an expert\n\n".to_owned(),
        [_] => format!("# Teacher: the policy with checksum {names}{from}\n\n"),
        _ => format!("# Teachers: the policies with checksums {names}\n\n"),
    };
    run.write("config.toml", &(origin + &student.to_toml()?))?;
    let outcome = student.train(&mut Session { callback, ..run.session(options)? })?;
    let policy = student.policy()?;
    if let Some(policy) = &policy {
        policy.save(&run.policy())?;
    }
    Ok((outcome, policy))
}

/// Writes a comparison of students into `folder`: `report.md`, `report.json`, `front.png`, and for TensorBoard.
///
/// # Errors
/// If a file cannot be written.
pub fn write_comparison(comparison: &Comparison, folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    let page = comparison.to_markdown();
    let json = serde_json::to_string_pretty(comparison).expect("a comparison is plain data");
    for (name, text) in [("report.json", format!("{json}\n")), ("report.md", page.clone())] {
        let path = folder.join(name);
        write_atomically(&path, text.as_bytes()).map_err(|e| Error::io("write", &path, e))?;
    }
    comparison.draw_front(&folder.join("front.png"))?;
    let mut logger = Logger::run(folder, true).map_err(|e| Error::io("log into", folder, e))?;
    logger.text("report", &page, 0);
    logger.image("front", &comparison.front_picture()?, 0);
    logger.flush();
    Ok(())
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
        series.push(Series {
            label: "teacher".into(),
            curve: read_curve(metrics, "eval/return_mean"),
            band: Vec::new(),
        });
    }
    series.push(Series {
        label: "student".into(),
        curve: read_curve(&run.metrics(), "distill/student_return"),
        band: Vec::new(),
    });
    series.retain(|series| !series.curve.is_empty());
    let title = format!("{}: mean return over evaluation episodes", report.env.id);
    draw_curves(&run.path().join("report.png"), &title, "return", &series)?;

    run.write("report.md", &format!("{}\n![Learning curves](report.png)\n", report.to_markdown()))
}
