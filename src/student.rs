//! Students of either kind, and how they come to be in a run directory.

use crate::agents::{Error, Outcome, Session, environment_ref};
use crate::deploy::{Header, Policy};
use crate::distill::{Distiller, Pupil, Teacher, TeacherRecord, Teaching, Viper};
use crate::envs::EnvSpec;
use crate::run::{RunDir, train_seconds};
use crate::teachers::Teachers;
use std::path::{Path, PathBuf};

/// Somebody who learns from a teacher: a network, or a tree.
pub enum Student<'a> {
    /// A perceptron, by one of the methods of the distillation trainer.
    Network(Box<Distiller<'a>>),
    /// A decision tree, by VIPER.
    Tree(Box<Viper<'a>>),
}

impl<'a> From<Distiller<'a>> for Student<'a> {
    fn from(distiller: Distiller<'a>) -> Self {
        Self::Network(Box::new(distiller))
    }
}

impl<'a> From<Viper<'a>> for Student<'a> {
    fn from(viper: Viper<'a>) -> Self {
        Self::Tree(Box::new(viper))
    }
}

impl<'a> Student<'a> {
    /// Whom it learns from.
    pub fn teacher(&self) -> &Teacher<'a> {
        match self {
            Self::Network(distiller) => distiller.teacher(),
            Self::Tree(viper) => viper.teacher(),
        }
    }

    /// The teacher alone.
    pub(crate) fn into_teacher(self) -> Teacher<'a> {
        match self {
            Self::Network(distiller) => distiller.into_teacher(),
            Self::Tree(viper) => viper.into_teacher(),
        }
    }

    /// The id of the environment that it learns in.
    pub fn env_id(&self) -> &str {
        let env = match self {
            Self::Network(distiller) => &distiller.config().env,
            Self::Tree(viper) => &viper.config().env,
        };
        env.as_ref().map_or("policy", |env| env.id.as_str())
    }

    /// The seed of every draw.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Network(distiller) => distiller.config().seed,
            Self::Tree(viper) => viper.config().seed,
        }
    }

    /// The number of environments that it learns in, those of every task that it learns one after another.
    pub fn num_envs(&self) -> usize {
        match self {
            Self::Network(distiller) => distiller.config().num_envs * distiller.phases(),
            Self::Tree(viper) => viper.config().num_envs,
        }
    }

    /// What its configuration says that its teacher sees.
    pub(crate) fn teacher_env(&self) -> Option<&EnvSpec> {
        match self {
            Self::Network(distiller) => distiller.config().teacher_env.as_ref(),
            Self::Tree(_) => None,
        }
    }

    /// Its configuration as TOML.
    ///
    /// # Errors
    /// If it holds what TOML cannot.
    pub fn to_toml(&self) -> Result<String, Error> {
        match self {
            Self::Network(distiller) => distiller.config().to_toml(),
            Self::Tree(viper) => viper.config().to_toml(),
        }
    }

    /// Learns to the end, or until the session is told to stop.
    ///
    /// # Errors
    /// If training diverges, or the teacher or the environment fails.
    pub fn train(&mut self, session: &mut Session<'_>) -> Result<Outcome, Error> {
        match self {
            Self::Network(distiller) => distiller.train(session),
            Self::Tree(viper) => viper.train(session),
        }
    }

    /// Whether everything is learnt, and the last evaluation has failed.
    pub fn owes_end(&self) -> bool {
        match self {
            Self::Network(distiller) => distiller.owes_end(),
            Self::Tree(viper) => viper.owes_end(),
        }
    }

    /// What it has become; None if there is nothing yet.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub fn policy(&self) -> Result<Option<Policy>, Error> {
        match self {
            Self::Network(distiller) => distiller.final_policy().map(Some),
            Self::Tree(viper) => Ok(viper.policy()),
        }
    }
}

/// The pupils in a folder: of the run that it is, or of the runs that it holds, in the order of their names. A student of
/// several domains or tasks is a pupil of each of its teachers, in that one's environment.
///
/// # Errors
/// If there are none, or a file cannot be read.
pub fn pupils(folder: &Path) -> Result<Vec<Pupil>, Error> {
    let is_run = ["policy.apprentice", "config.toml"].iter().any(|file| folder.join(file).exists());
    let runs = if is_run { vec![folder.to_owned()] } else { runs_in(folder) };
    if runs.is_empty() {
        let what = "it is no run directory and holds none; give directories that distill has written";
        return Err(Error::io("compare the students in", folder, what));
    }
    check_over(folder, &runs)?;
    pupils_of(&runs)
}

/// The pupils of these runs.
///
/// # Errors
/// If one is none, or a file cannot be read.
pub(crate) fn pupils_of(runs: &[PathBuf]) -> Result<Vec<Pupil>, Error> {
    let mut pupils = Vec::new();
    for run in runs {
        if !run.join("teacher.toml").exists() {
            let what = "it has no teacher.toml: it is a teacher, or from before there was one";
            return Err(Error::io("compare", run, format!("{what}; give directories that distill has written")));
        }
        let (teachers, record) = teachers_of(run)?;
        let student = Policy::load(&run.join("policy.apprentice"))?;
        let train_seconds = train_seconds(&run.join("metrics.jsonl"));
        let places = match record.teaching {
            Teaching::Domains => Teacher::domains(&teachers.iter().collect::<Vec<_>>())?.domain_envs()?,
            Teaching::Tasks => Teacher::tasks(&teachers.iter().collect::<Vec<_>>())?.domain_envs()?,
            _ => {
                pupils.push(Pupil { student, teachers, record, train_seconds });
                continue;
            }
        };
        for (k, (teacher, place)) in teachers.into_iter().zip(&places).enumerate() {
            // Of several teachers of one environment the first is the yardstick.
            if places[..k].contains(place) {
                continue;
            }
            let record = TeacherRecord {
                teaching: Teaching::Mixture,
                policies: vec![teacher.checksum()],
                weights: None,
                ..record.clone()
            };
            pupils.push(Pupil { student: moved(&student, place)?, teachers: vec![teacher], record, train_seconds });
        }
    }
    Ok(pupils)
}

/// Refuses runs in `folder` that have not come to their ends: without them those that have would be a selection.
///
/// # Errors
/// If there is one.
pub(crate) fn check_over(folder: &Path, runs: &[PathBuf]) -> Result<(), Error> {
    let Some(run) = runs.iter().find(|run| run.join("config.toml").exists() && !is_over(run)) else { return Ok(()) };
    let (path, learns) = (run.display(), run.join("teacher.toml").exists());
    let command = if learns { "distill" } else { "train" };
    let what = format!(
        "{path} has not come to its end; go on with the command that began it, or with {command} --resume {path}, or remove it"
    );
    Err(Error::io("take the runs in", folder, what))
}

/// Whether a run has come to its end: that is the last that is logged of it, and then it has a report.
fn is_over(run: &Path) -> bool {
    run.join("policy.apprentice").exists()
        && (run.join("report.md").exists() || train_seconds(&run.join("metrics.jsonl")).is_some())
}

/// The same policy in another environment.
pub(crate) fn moved(policy: &Policy, env: &EnvSpec) -> Result<Policy, Error> {
    let header = Header { environment: environment_ref(env), ..policy.header().clone() };
    Ok(Policy::new(header, policy.body().clone())?)
}

/// The teachers of a run, without a critic, which has no say in what they do.
fn teachers_of(run: &Path) -> Result<(Vec<Policy>, TeacherRecord), Error> {
    let teachers = Teachers::read(&RunDir::open(run)?)?;
    Ok((teachers.policies, TeacherRecord { critic: None, ..teachers.record }))
}

/// The run directories in a folder, by the numbers in their names. Those that have not come to a policy are among them.
pub(crate) fn runs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_run = |path: &PathBuf| ["policy.apprentice", "config.toml"].iter().any(|file| path.join(file).exists());
    let mut runs: Vec<PathBuf> = entries.filter(is_run).collect();
    runs.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let digits: String = name.chars().filter(char::is_ascii_digit).collect();
        (digits.parse::<u64>().unwrap_or(0), name)
    });
    runs
}
