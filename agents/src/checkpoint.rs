//! Checkpoints: a training run on disk, in one file.
//!
//! ```text
//! magic   8 bytes   "APPRCKPT"
//! version u32
//! lengths 5 × u64   of the header, the parameters, the optimiser state, the environments and the best policy
//! header  JSON      the configuration, the counters and the generators
//! parameters        f32, little endian
//! optimiser state   in the engine's own format
//! environments      a snapshot
//! best policy       a policy file; nothing without `keep_best`
//! checksum u32      CRC-32 of everything before it
//! ```

use crate::rollout::CollectorState;
use crate::{EngineChoice, Error, PpoConfig};
use apprentice_deploy::{Normalizer, Policy, TeacherRef, write_atomically};
use apprentice_envs::wrappers::RunningMeanStd;
use apprentice_envs::{Generator, Snapshot};
use serde::{Deserialize, Serialize};
use std::path::Path;

const MAGIC: &[u8; 8] = b"APPRCKPT";
const VERSION: u32 = 3;
const PREFIX: usize = 8 + 4 + 5 * 8;

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
}

impl Checkpoint {
    /// The configuration of the run.
    pub fn config(&self) -> &PpoConfig {
        &self.header.config
    }

    /// Rollouts done so far.
    pub fn iteration(&self) -> u64 {
        self.header.iteration
    }

    /// Writes the checkpoint under a temporary name and renames it, so that `path` always holds a whole one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        write_atomically(path, &self.to_bytes()).map_err(|e| Error::io("write the checkpoint", path, e))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or comes from a newer version.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read the checkpoint", path, e))?;
        Self::from_bytes(&bytes).map_err(|what| {
            Error::corrupt(format!(
                "{} is not a usable checkpoint: {what}; use an earlier one of the run",
                path.display()
            ))
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).expect("a header is plain data");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        let envs = self.header.collector.envs.to_bytes();
        let best = self.best.as_ref().map(Policy::to_bytes).unwrap_or_default();
        for length in [header.len(), 4 * self.parameters.len(), self.optimizer.len(), envs.len(), best.len()] {
            bytes.extend((length as u64).to_le_bytes());
        }
        bytes.extend(header);
        bytes.extend(self.parameters.iter().flat_map(|x| x.to_le_bytes()));
        bytes.extend(&self.optimizer);
        bytes.extend(envs);
        bytes.extend(best);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let truncated = || format!("it is cut off after {} bytes", bytes.len());
        if bytes.get(..8) != Some(MAGIC) {
            return Err("it does not begin like one".to_owned());
        }
        let prefix = bytes.get(..PREFIX).filter(|_| bytes.len() >= PREFIX + 4).ok_or_else(truncated)?;
        let version = u32::from_le_bytes(prefix[8..12].try_into().expect("four bytes"));
        if version != VERSION {
            return Err(format!(
                "it has version {version}, this build reads version {VERSION}; resume it with its own build"
            ));
        }
        let (body, checksum) = bytes.split_at(bytes.len() - 4);
        if crc32fast::hash(body).to_le_bytes() != checksum {
            return Err("its checksum does not match, so it is damaged or cut off".to_owned());
        }
        let mut rest = &body[PREFIX..];
        let mut part = |i: usize| {
            let at = 12 + 8 * i;
            let length = u64::from_le_bytes(prefix[at..at + 8].try_into().expect("eight bytes"));
            let (part, tail) =
                usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n)).ok_or_else(truncated)?;
            rest = tail;
            Ok::<_, String>(part)
        };
        let mut header: Header =
            serde_json::from_slice(part(0)?).map_err(|e| format!("its header cannot be read: {e}"))?;
        let parameters = part(1)?.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().expect("four bytes")));
        let parameters = parameters.collect();
        let optimizer = part(2)?.to_vec();
        header.collector.envs = Snapshot::from_bytes(part(3)?).map_err(|e| e.to_string())?;
        let best = part(4)?;
        let best = (!best.is_empty()).then(|| Policy::from_bytes(best)).transpose().map_err(|e| e.to_string())?;
        Ok(Self { header, parameters, optimizer, best })
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

    #[test]
    fn every_truncation_and_every_flipped_bit_is_an_error() {
        let bytes = checkpoint().to_bytes();
        for length in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..length]).is_err(), "cut to {length}");
        }
        for bit in (0..8 * bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::from_bytes(&damaged).is_err(), "bit {bit}");
        }
    }
}
