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
//!   teacher.toml         of a distillation: who teaches, and how
//!   report.md|json|png   after a distillation: teacher and student compared
//!   .lock                keeps a second program from going on with it at the same time
//! ```

use crate::agents::{Callback, Checkpoint, Error, Outcome, Ppo, PpoConfig, Session};
use crate::deploy::write_atomically;
use crate::distill::{Comparison, JointComparison, read_curve};
use crate::envs::Registry;
use crate::teachers;
use crate::telemetry::Logger;
use burn::tensor::Device;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

pub(crate) use crate::distillation::{check_begun, go_on_distilling};
pub use crate::distillation::{distill, resume_distillation};

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
            Error::io(
                "start a run in",
                path,
                "it already holds one; go on with that by --resume, choose another directory, or remove it",
            )
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
        match File::create_new(path.join("config.toml")) {
            Ok(_) => Ok(Some(Self(path.to_owned()))),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(fail(e)),
        }
    }

    /// Whether a run has begun in a folder. What one that was stopped before that has left there is removed.
    pub(crate) fn has_begun(path: &Path) -> Result<bool, Error> {
        match std::fs::read_to_string(path.join("config.toml")) {
            Ok(text) if !text.trim().is_empty() => Ok(true),
            // Whoever claims a directory makes an empty one first. Nothing is logged before it is filled.
            Ok(_) if ["metrics.jsonl", "policy.apprentice"].iter().any(|file| path.join(file).exists()) => {
                let what = "its config.toml is empty; restore it, or remove the directory";
                Err(Error::io("go on with the run in", path, what))
            }
            Ok(_) => std::fs::remove_dir_all(path).map(|()| false).map_err(|e| Error::io("remove", path, e)),
            Err(_) => Ok(false),
        }
    }

    /// Keeps other programs from going on with the run while the result lives.
    ///
    /// # Errors
    /// If one is at it.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        lock(&self.0)
    }

    /// Refuses a folder that is to hold several runs and is one itself.
    ///
    /// # Errors
    /// If it is.
    pub fn check_folder_of_runs(path: &Path) -> Result<(), Error> {
        match ["config.toml", "policy.apprentice"].iter().any(|file| path.join(file).exists()) {
            true => Err(Error::io("start runs in", path, "it is a run itself; give them a directory of their own")),
            false => Ok(()),
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
        let none = || Error::io("resume from", &self.checkpoints(), "there is no checkpoint in it");
        self.newest(Checkpoint::load)?.ok_or_else(none)
    }

    /// The newest checkpoint of a distillation that can be read; None if the run is none, or there is no checkpoint.
    pub(crate) fn last_student(&self) -> Result<Option<crate::distill::Checkpoint>, Error> {
        if !teachers::are_in(self) {
            return Ok(None);
        }
        Ok(self.newest(crate::distill::Checkpoint::load)?.map(|(checkpoint, _)| checkpoint))
    }

    /// The newest checkpoint that `load` can read, and what was wrong with newer ones; None if there is none at all.
    pub(crate) fn newest<T>(&self, load: impl Fn(&Path) -> Result<T, Error>) -> Result<Option<(T, Vec<Error>)>, Error> {
        let folder = self.checkpoints();
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "checkpoint"));
        paths.sort();
        let mut damaged = Vec::new();
        for path in paths.into_iter().rev() {
            match load(&path) {
                Ok(checkpoint) => return Ok(Some((checkpoint, damaged))),
                Err(error) => damaged.push(error),
            }
        }
        damaged.pop().map_or(Ok(None), Err)
    }

    /// What was run.
    pub(crate) fn config(&self) -> Result<String, Error> {
        let path = self.0.join("config.toml");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
        // Whoever claims a directory makes an empty one first.
        if text.trim().is_empty() {
            let why = "its config.toml is empty: it was stopped before it began; remove the directory and start anew";
            return Err(Error::io("resume the run in", &self.0, why));
        }
        Ok(text)
    }

    /// Takes back every scalar that was logged of a step or of later ones, and a line that is not whole.
    fn rewind(&self, first_step: u64) -> Result<(), Error> {
        let path = self.metrics();
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let stays = |line: &&str| {
            let line = serde_json::from_str::<serde_json::Value>(line).ok();
            line.and_then(|line| line.get("step")?.as_u64()).is_some_and(|logged| logged < first_step)
        };
        let kept: String = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter(stays).collect();
        match kept == text {
            true => Ok(()),
            false => self.write("metrics.jsonl", &kept),
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.0.join(name);
        write_atomically(&path, text.as_bytes()).map_err(|e| Error::io("write", &path, e))
    }

    pub(crate) fn session<'a>(&self, options: RunOptions<'a>) -> Result<Session<'a>, Error> {
        let logger = Logger::run(&self.0, options.quiet).map_err(|e| Error::io("log into", &self.0, e))?;
        Ok(self.session_with(logger, options))
    }

    /// A session that goes on from a checkpoint of `step`, or from the beginning, and names the checkpoints that could not be
    /// read. What was logged after the step is taken back, since it is logged again.
    pub(crate) fn session_from<'a>(
        &self,
        step: u64,
        damaged: Vec<Error>,
        options: RunOptions<'a>,
    ) -> Result<Session<'a>, Error> {
        // What is logged of a step comes before its checkpoint, but what is logged before the first step is logged again.
        let first_step = if step == 0 { 0 } else { step + 1 };
        self.rewind(first_step)?;
        let logger = Logger::resume(&self.0, first_step, options.quiet);
        let mut logger = logger.map_err(|e| Error::io("log into", &self.0, e))?;
        damaged.into_iter().for_each(|error| logger.lose(error.to_string()));
        Ok(self.session_with(logger, options))
    }

    fn session_with<'a>(&self, logger: Logger, options: RunOptions<'a>) -> Session<'a> {
        Session { logger, checkpoints: Some(self.checkpoints()), stop: options.stop, callback: None }
    }
}

/// Keeps other programs out of a folder while the result lives; where the file system has no locks, nothing does.
///
/// # Errors
/// If one is in it.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(|e| Error::io("write", &path, e))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::io(
            "work in",
            folder,
            "another program is at work in it; wait for its end, or choose another directory",
        )),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// How a run is carried out.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions<'a> {
    /// Show no progress.
    pub quiet: bool,
    /// Set by someone else to end the run early; a checkpoint and the policy so far are left.
    pub stop: Option<&'a AtomicBool>,
    /// Of a distillation: write no report, for which the teacher acts in a hundred episodes and more.
    pub skip_report: bool,
}

/// Trains `ppo` into `run`.
///
/// # Errors
/// If a file cannot be written or training diverges.
pub fn train(mut ppo: Ppo, run: &RunDir, options: RunOptions<'_>) -> Result<Outcome, Error> {
    let _lock = run.lock()?;
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
    let _lock = run.lock()?;
    run.write("config.toml", &ppo.config().to_toml()?)?;
    let session = Session { callback: Some(callback), ..run.session(options)? };
    finish_training(&mut ppo, run, session)
}

/// Goes on with a run that was stopped, from its newest checkpoint that can be read.
///
/// # Errors
/// If there is no usable checkpoint, if the run is finished, or as [`train`].
pub fn resume(run: &RunDir, registry: &Registry, device: &Device, options: RunOptions<'_>) -> Result<Outcome, Error> {
    resume_watched(run, registry, device, options, None)
}

/// The same, and tells `callback` after every iteration.
pub(crate) fn resume_watched<'a>(
    run: &RunDir,
    registry: &Registry,
    device: &Device,
    options: RunOptions<'a>,
    callback: Option<Box<Callback<'a>>>,
) -> Result<Outcome, Error> {
    if teachers::are_in(run) {
        let path = run.0.display();
        return Err(Error::config(format!("the run in {path} is a distillation; go on with: distill --resume {path}")));
    }
    let _lock = run.lock()?;
    let (checkpoint, damaged) = run.last_checkpoint()?;
    if checkpoint.is_finished() && run.policy().exists() {
        return Err(Error::config(format!(
            "the run in {0} is finished; to train longer, start anew: train --config {0}/config.toml --set total_timesteps=…",
            run.0.display()
        )));
    }
    if PpoConfig::from_toml(&run.config()?)? != *checkpoint.config() {
        return Err(Error::config(format!(
            "{}/config.toml differs from the configuration that the newest checkpoint was written with; restore it to go on",
            run.0.display()
        )));
    }
    let mut ppo = Ppo::resume(checkpoint, registry, device)?;
    let session = Session { callback, ..run.session_from(ppo.global_step(), damaged, options)? };
    finish_training(&mut ppo, run, session)
}

pub(crate) fn finish_training(ppo: &mut Ppo, run: &RunDir, mut session: Session<'_>) -> Result<Outcome, Error> {
    let trained = ppo.train(&mut session);
    // Where only the last checkpoint could not be written, the policy may still find room; and where only the last
    // evaluation failed, it is what it is.
    if ppo.owes_end() || trained.as_ref().err().is_none_or(Error::is_io) {
        let saved = ppo.final_policy().and_then(|policy| Ok(policy.save(&run.policy())?));
        return trained.and_then(|outcome| saved.map(|()| outcome));
    }
    trained
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

/// Writes comparisons in several environments into `folder`: `report.md` and `report.json`, and each by itself into a folder
/// of its own there.
///
/// # Errors
/// If a file cannot be written.
pub fn write_joint(joint: &JointComparison, folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    let mut page = joint.to_markdown() + "## Robustness, size and return\n\n";
    for (k, (comparison, name)) in joint.comparisons.iter().zip(joint.names()).enumerate() {
        let own = format!("{}-{}", k + 1, comparison.env.id.replace(['/', '\\'], "-"));
        write_comparison(comparison, &folder.join(&own))?;
        page += &format!("- [{name}]({own}/report.md)\n");
    }
    let json = serde_json::to_string_pretty(joint).expect("comparisons are plain data");
    for (name, text) in [("report.json", format!("{json}\n")), ("report.md", page)] {
        let path = folder.join(name);
        write_atomically(&path, text.as_bytes()).map_err(|e| Error::io("write", &path, e))?;
    }
    Ok(())
}

/// The training time that the metrics of a finished run say, seconds.
pub fn train_seconds(metrics: &Path) -> Option<f64> {
    read_curve(metrics, "final/train_seconds").last().map(|(_, seconds)| *seconds)
}
