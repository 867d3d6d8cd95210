//! Checkpoints of students: a distillation on disk, in one [`Container`].
//!
//! ```text
//! header       JSON: the configuration, the teacher's record, the counters and the generators
//! state        in postcard's format: parameters, optimisers, environments, and the states that are learnt from
//! best policy  a policy file; nothing without `keep_best`, and of a tree before the first round
//! ```
//!
//! The states are there with the teacher's answers, so that nobody is asked twice.

use crate::data::dataset::Dataset;
use crate::{DistillConfig, TeacherRecord, ViperConfig};
use apprentice_agents::{Anchor, CollectorState, Container, EngineChoice, Error, Session, checkpoint_path};
use apprentice_deploy::{Normalizer, Policy};
use apprentice_envs::{Generator, Snapshot};
use serde::{Deserialize, Serialize};
use std::path::Path;

const CONTAINER: Container = Container::new(*b"APPRDIST", 1);

/// A distillation between two iterations, or an extraction between two rounds: with it and the teacher, it goes on as if it
/// had never stopped, bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(crate) header: Header,
    pub(crate) state: State,
    /// The policy of the best evaluation.
    pub(crate) best: Option<Policy>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) student: Kind,
    pub(crate) teacher: TeacherRecord,
    /// Iterations or rounds so far.
    pub(crate) iteration: u64,
    pub(crate) global_step: u64,
    pub(crate) finished: bool,
    /// Whether the last evaluation of one that is finished has failed.
    #[serde(default)]
    pub(crate) owes_end: bool,
    /// One for each of several tasks that are learnt one after another.
    pub(crate) collectors: Vec<CollectorState>,
    /// The step and the mean return of the last evaluation, and the mean return of the best.
    pub(crate) evaluated: Option<(u64, f64)>,
    pub(crate) best: Option<f64>,
    pub(crate) train_seconds: f64,
    /// Of a student that began as a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) began: Option<Began>,
}

/// What a student that began as a policy does not have of its teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Began {
    pub(crate) normalizer: Option<Normalizer>,
}

/// What is only known of a network or of a tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Network {
        config: Box<DistillConfig>,
        /// The engine that wrote the optimiser's state, the only one that can read it.
        engine: EngineChoice,
        permutation: Generator,
        turns: Generator,
    },
    Tree {
        config: ViperConfig,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Of every collector.
    pub(crate) envs: Vec<Snapshot>,
    pub(crate) data: Dataset,
    pub(crate) validation: Option<Dataset>,
    pub(crate) student: Option<Learnt>,
    pub(crate) projection: Option<Learnt>,
    pub(crate) anchor: Option<Anchor>,
}

/// Parameters with the state of their optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learnt {
    pub(crate) parameters: Vec<f32>,
    pub(crate) optimizer: Vec<u8>,
}

impl Checkpoint {
    /// Whose student it is.
    pub fn teacher(&self) -> &TeacherRecord {
        &self.header.teacher
    }

    /// Whether the student is a decision tree, and not a network.
    pub fn is_tree(&self) -> bool {
        matches!(self.header.student, Kind::Tree { .. })
    }

    /// The configuration of the run as TOML.
    ///
    /// # Errors
    /// If it holds what TOML cannot.
    pub fn to_toml(&self) -> Result<String, Error> {
        match &self.header.student {
            Kind::Network { config, .. } => config.to_toml(),
            Kind::Tree { config } => config.to_toml(),
        }
    }

    /// Environment steps collected so far.
    pub fn global_step(&self) -> u64 {
        self.header.global_step
    }

    /// Whether there is nothing left to do: everything is learnt, and what has come of it is told.
    pub fn is_finished(&self) -> bool {
        self.header.finished && !self.header.owes_end
    }

    /// Writes the checkpoint under a temporary name and renames it, so that `path` always holds a whole one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let header = serde_json::to_vec(&self.header).expect("a header is plain data");
        let state = postcard::to_allocvec(&self.state).expect("a state is plain data");
        let best = self.best.as_ref().map(Policy::to_bytes).unwrap_or_default();
        CONTAINER.save(path, &[&header, &state, &best])
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or comes from a newer version.
    pub fn load(path: &Path) -> Result<Self, Error> {
        CONTAINER.load(path, |[header, state, best]| {
            let mut header: Header =
                serde_json::from_slice(header).map_err(|e| format!("its header cannot be read: {e}"))?;
            let state: State = postcard::from_bytes(state).map_err(|e| format!("its state cannot be read: {e}"))?;
            if header.collectors.len() != state.envs.len() {
                return Err("its environments are not as many as its header says".to_owned());
            }
            for (collector, envs) in header.collectors.iter_mut().zip(&state.envs) {
                collector.envs = envs.clone();
            }
            let best = (!best.is_empty()).then(|| Policy::from_bytes(best)).transpose().map_err(|e| e.to_string())?;
            Ok(Self { header, state, best })
        })
    }

    /// Refuses to go on where the student is not one that could have got here.
    pub(crate) fn check(&self, iterations: u64, data: &Dataset) -> Result<(), Error> {
        let Header { iteration, .. } = self.header;
        if iteration > iterations {
            return Err(Error::corrupt(format!(
                "the checkpoint is at iteration {iteration} of {iterations}; use another one"
            )));
        }
        // Before the first iteration there may be what is kept of an earlier distillation.
        match data.is_like(&self.state.data) && (iteration == 0) == (self.state.data.len() == self.state.data.kept()) {
            true => Ok(()),
            false => Err(Error::corrupt("the checkpoint's states are not those of its configuration; use another one")),
        }
    }
}

/// Leaves a checkpoint during a run, where there is a folder for it.
pub(crate) fn leave(session: &mut Session<'_>, checkpoint: impl FnOnce() -> Result<Checkpoint, Error>) {
    let Some(folder) = session.checkpoints.clone() else { return };
    let save = |checkpoint: Checkpoint| checkpoint.save(&checkpoint_path(&folder, checkpoint.global_step()));
    // An earlier one is still there, and what has been learnt is worth more than this one.
    if let Err(error) = checkpoint().and_then(save) {
        session.logger.lose(error.to_string());
    }
}

/// Whether one of `times` evenly spread events falls into the iteration that has just ended, of so many.
pub(crate) fn due(times: u32, iteration: u64, iterations: u64) -> bool {
    let passed = |iteration: u64| iteration * u64::from(times) / iterations;
    passed(iteration) > passed(iteration - 1)
}
