//! Snapshots: the state of an environment, or of a whole batch, to go on from later.

use crate::row_env::{from_bytes, to_bytes};
use crate::{Error, Generator};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"APPRSNAP";
const VERSION: u32 = 1;
const HEADER: usize = MAGIC.len() + 4;

/// Everything that the future of some environments depends on: their states, generators and steps so far.
///
/// One environment and a batch have the same kind of snapshot, so that row i of a batch can go on alone:
/// [`single`](Self::single). It does not hold parameters: restore it in an environment that was made alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    episodes: Vec<Episode>,
    /// What wrappers around the whole batch remember, the outermost last.
    layers: Vec<Vec<u8>>,
}

/// One environment's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    pub(crate) rng: Generator,
    pub(crate) phase: Phase,
    pub(crate) elapsed: u32,
    pub(crate) state: Vec<u8>,
}

/// Where an environment is in the order of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    New,
    Running,
    Ended,
}

impl Snapshot {
    pub(crate) fn new(episodes: Vec<Episode>) -> Self {
        Self { episodes, layers: Vec::new() }
    }

    /// Adds what a wrapper around the whole batch remembers.
    pub(crate) fn within(mut self, layer: Vec<u8>) -> Self {
        self.layers.push(layer);
        self
    }

    /// The snapshot of what the outermost wrapper around the batch wraps, and what that wrapper remembers.
    pub(crate) fn unwrapped(&self) -> Result<(Self, &[u8]), Error> {
        match self.layers.split_last() {
            Some((layer, layers)) => Ok((Self { layers: layers.to_vec(), ..self.clone() }, layer)),
            None => Err(Error::snapshot("the snapshot is of environments without the wrapper that is here")),
        }
    }

    /// That of several batches side by side.
    pub fn of_parts(parts: impl Iterator<Item = Self>) -> Self {
        Self { episodes: Vec::new(), layers: parts.map(|part| part.to_bytes()).collect() }
    }

    /// What [`of_parts`](Self::of_parts) was given.
    ///
    /// # Errors
    /// If that was not `count` snapshots.
    pub fn parts(&self, count: usize) -> Result<Vec<Self>, Error> {
        if self.layers.len() != count || !self.episodes.is_empty() {
            return Err(Error::snapshot(format!(
                "the snapshot is not of {count} batches side by side: expected one of environments like those here"
            )));
        }
        self.layers.iter().map(|part| Self::from_bytes(part)).collect()
    }

    /// How many environments it is of.
    pub fn num_envs(&self) -> usize {
        self.episodes.len()
    }

    /// The snapshot of environment `env` alone, without wrappers around the batch, or None if there are not so many.
    pub fn single(&self, env: usize) -> Option<Self> {
        self.episodes.get(env).map(|episode| Self::new(vec![episode.clone()]))
    }

    /// The parts, if there are `num_envs`.
    pub(crate) fn episodes(&self, num_envs: usize) -> Result<&[Episode], Error> {
        if !self.layers.is_empty() {
            return Err(Error::snapshot("the snapshot is of a batch within a wrapper that is not here"));
        }
        if self.episodes.len() == num_envs {
            return Ok(&self.episodes);
        }
        let got = self.episodes.len();
        Err(Error::snapshot(format!("the snapshot is of {got} environments: expected {num_envs}, as many as here")))
    }

    /// The snapshot as bytes: `APPRSNAP`, the version (u32), the data, and a CRC-32 of all before it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(to_bytes(self));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// If the bytes are not a snapshot, are of another version, or are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (content, checksum) = bytes
            .split_last_chunk()
            .filter(|(content, _)| content.len() >= HEADER && content.starts_with(MAGIC))
            .ok_or_else(|| Error::snapshot("this is not a snapshot: it does not begin with APPRSNAP"))?;
        if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return Err(Error::snapshot(
                "the snapshot is damaged: its checksum is not that of its content; save it anew",
            ));
        }
        let (header, data) = content.split_at(HEADER);
        if header[MAGIC.len()..] != VERSION.to_le_bytes() {
            return Err(Error::snapshot(format!("the snapshot is of another version: expected version {VERSION}")));
        }
        from_bytes(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Value, make};

    fn some() -> Snapshot {
        let mut env = make("Taxi-v4").unwrap();
        env.reset(Some(3)).unwrap();
        env.step(&Value::Discrete(0)).unwrap();
        env.snapshot()
    }

    #[test]
    fn bytes_read_back() {
        assert_eq!(Snapshot::from_bytes(&some().to_bytes()).unwrap(), some());
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let bytes = some().to_bytes();
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 0x10;
            assert!(Snapshot::from_bytes(&damaged).unwrap_err().is_snapshot(), "byte {i}");
            assert!(Snapshot::from_bytes(&bytes[..i]).unwrap_err().is_snapshot(), "{i} bytes");
        }
    }

    #[test]
    fn a_snapshot_of_something_else_is_refused_and_changes_nothing() {
        let mut env = make("CartPole-v1").unwrap();
        env.reset(Some(1)).unwrap();
        let before = env.snapshot();
        assert!(env.restore(&some()).unwrap_err().is_snapshot());
        let two = Snapshot::new([before.episodes.clone(), some().episodes].concat());
        assert!(env.restore(&two).unwrap_err().is_snapshot());
        assert_eq!(env.snapshot(), before);
    }
}
