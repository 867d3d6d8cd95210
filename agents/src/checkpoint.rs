//! Checkpoints of PPO: a training run on disk, in one [`Container`].
//!
//! ```text
//! header            JSON: the configuration, the counters and the generators
//! parameters        f32, little endian
//! optimiser state   in the engine's own format
//! environments      a snapshot
//! best policy       a policy file; nothing without `keep_best`
//! ```

use crate::rollout::CollectorState;
use crate::{Container, EngineChoice, Error, PpoConfig};
use apprentice_deploy::{Normalizer, Policy, TeacherRef};
use apprentice_envs::wrappers::RunningMeanStd;
use apprentice_envs::{Generator, Snapshot};
use serde::{Deserialize, Serialize};
use std::path::Path;

const CONTAINER: Container = Container::new(*b"APPRCKPT", 3);

/// A training run between two iterations: with it, the run goes on as if it had never stopped, bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(crate) header: Header,
    pub(crate) parameters: Vec<f32>,
    pub(crate) optimizer: Vec<u8>,
    /// The policy of the best evaluation.
    pub(crate) best: Option<Policy>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) config: PpoConfig,
    /// The engine that wrote the optimiser's state, the only one that can read it.
    pub(crate) engine: EngineChoice,
    pub(crate) iteration: u64,
    pub(crate) collector: CollectorState,
    pub(crate) permutation_rng: Generator,
    /// The learning rate, where it is adaptive.
    pub(crate) adaptive_lr: f64,
    /// The statistics of observations, which the next iteration normalises with, and how this one does.
    pub(crate) observations: Option<RunningMeanStd>,
    pub(crate) normalizer: Option<Normalizer>,
    /// The policy that training began with, if it was given one.
    #[serde(default)]
    pub(crate) began_with: Option<TeacherRef>,
    /// The step and the mean return of the last evaluation and of the best.
    pub(crate) evaluated: Option<(u64, f64)>,
    pub(crate) best: Option<(u64, f64)>,
    pub(crate) train_seconds: f64,
    /// Whether the last evaluation of a run that has come to its end has failed.
    #[serde(default)]
    pub(crate) owes_end: bool,
}

impl Checkpoint {
    /// The configuration of the run.
    pub fn config(&self) -> &PpoConfig {
        &self.header.config
    }

    /// The networks, in the layout of [`Engine::parameters`](crate::Engine::parameters).
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Rollouts done so far.
    pub fn iteration(&self) -> u64 {
        self.header.iteration
    }

    /// Seconds of training so far.
    pub fn train_seconds(&self) -> f64 {
        self.header.train_seconds
    }

    /// Whether there is nothing left to do: its steps are done, or its last evaluation has reached the target, and what it
    /// has come to is told.
    pub fn is_finished(&self) -> bool {
        let Header { config, iteration, evaluated, owes_end, .. } = &self.header;
        let solved = config.target_return.zip(*evaluated).is_some_and(|(target, (_, mean))| mean >= target);
        !owes_end && (solved || config.plan().is_ok_and(|plan| *iteration == plan.num_iterations))
    }

    /// Environment steps so far.
    pub fn global_step(&self) -> u64 {
        self.header.config.plan().map_or(0, |plan| self.header.iteration * plan.batch_size as u64)
    }

    /// Writes the checkpoint under a temporary name and renames it, so that `path` always holds a whole one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        CONTAINER.save(path, &self.sections().each_ref().map(Vec::as_slice))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or comes from a newer version.
    pub fn load(path: &Path) -> Result<Self, Error> {
        CONTAINER.load(path, Self::from_sections)
    }

    fn sections(&self) -> [Vec<u8>; 5] {
        [
            serde_json::to_vec(&self.header).expect("a header is plain data"),
            self.parameters.iter().flat_map(|x| x.to_le_bytes()).collect(),
            self.optimizer.clone(),
            self.header.collector.envs.to_bytes(),
            self.best.as_ref().map(Policy::to_bytes).unwrap_or_default(),
        ]
    }

    fn from_sections([header, parameters, optimizer, envs, best]: [&[u8]; 5]) -> Result<Self, String> {
        let mut header: Header =
            serde_json::from_slice(header).map_err(|e| format!("its header cannot be read: {e}"))?;
        header.collector.envs = Snapshot::from_bytes(envs).map_err(|e| e.to_string())?;
        let best = (!best.is_empty()).then(|| Policy::from_bytes(best)).transpose().map_err(|e| e.to_string())?;
        let parameters = parameters.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        Ok(Self { header, parameters, optimizer: optimizer.to_vec(), best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let config = PpoConfig {
            total_timesteps: 64,
            num_steps: 16,
            hidden: vec![2],
            norm_obs: true,
            norm_reward: true,
            ..PpoConfig::default()
        };
        let device = crate::device("cpu").unwrap();
        let mut ppo = crate::Ppo::new(config, &apprentice_envs::Registry::builtin(), &device).unwrap();
        ppo.train_iteration(&mut apprentice_telemetry::Logger::none()).unwrap();
        ppo.checkpoint().unwrap()
    }

    #[test]
    fn survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.checkpoint");
        checkpoint().save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint());
        assert!(checkpoint().save(&folder.path().join("missing/a.checkpoint")).unwrap_err().is_io());
        assert!(Checkpoint::load(&folder.path().join("b")).unwrap_err().is_io());
    }
}
