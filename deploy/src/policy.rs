//! The policy: what it consists of.

use crate::{Action, BatchRunner, Body, Error, Features, Layer, NormalizerView, Runner, file, write_atomically};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A policy, whole: its body and everything else that acting needs. Always valid: it can be built and loaded in no
/// other state.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    header: Header,
    body: Body,
}

/// Everything about a policy but its body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The environment that the policy was made for.
    pub environment: EnvironmentRef,
    /// What it reads.
    pub observation: Features,
    /// What is done to an observation before the body sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalizer: Option<Normalizer>,
    /// What it chooses from.
    pub action: Action,
    /// Whether it has to be told which choices are allowed: [`Runner::decide`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// An environment by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRef {
    /// Its id.
    pub id: String,
    /// Its parameters, as far as they differ from the defaults.
    #[serde(default)]
    pub kwargs: serde_json::Value,
    /// Its time limit, if it differs from the registered one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_episode_steps: Option<u32>,
    /// The wrappers around it, the innermost first; null if there are none.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub wrappers: serde_json::Value,
}

/// Standardises an observation: clamp((x − mean) / std, −clip, clip), coordinate by coordinate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalizer {
    /// Mean of every coordinate.
    pub mean: Vec<f32>,
    /// Standard deviation of every coordinate, positive.
    pub std: Vec<f32>,
    /// Bound of the result, positive.
    pub clip: f32,
}

impl Normalizer {
    /// The same over slices.
    pub fn view(&self) -> NormalizerView<'_> {
        NormalizerView { mean: &self.mean, std: &self.std, clip: self.clip }
    }

    /// Standardises an observation in place.
    pub fn apply(&self, observation: &mut [f32]) {
        self.view().apply(observation);
    }
}

/// Where a policy comes from. Holds no times, so that the same run gives the same file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// `teacher` or `student`.
    pub role: String,
    /// What trained it.
    pub algorithm: String,
    /// The seed of the run.
    pub seed: u64,
    /// Environment steps of the run that it came of.
    pub train_steps: u64,
    /// The version of Apprentice.
    pub version: String,
    /// The configuration of the run.
    pub config: serde_json::Value,
    /// The policy it was distilled from, or that its training began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherRef>,
}

/// The teacher of a student.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherRef {
    /// [`Policy::checksum`] of the teacher.
    pub checksum: String,
    /// What trained the teacher.
    pub algorithm: String,
    /// The seed of the teacher's run.
    pub seed: u64,
}

impl Policy {
    /// A policy of these parts; its body may be layers, a [`Tree`](crate::Tree) or a [`Gru`](crate::Gru).
    ///
    /// # Errors
    /// If the sizes do not fit together or a number is not finite.
    pub fn new(header: Header, body: impl Into<Body>) -> Result<Self, Error> {
        let body = body.into();
        // Before anything is added up: a file may claim any number.
        header.observation.check()?;
        header.action.check()?;
        if header.masked && matches!(header.action, Action::Box { .. }) {
            return Err(Error::shape("masked: expected false where actions are real numbers, which no mask is for"));
        }
        body.check(header.observation.len(), header.action.outputs())?;
        if let Some(normalizer) = &header.normalizer {
            check_normalizer(normalizer, &header.observation)?;
        }
        Ok(Self { header, body })
    }

    /// Everything about the policy but its body.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The same policy as the outcome of so many training steps.
    pub fn with_train_steps(&self, train_steps: u64) -> Self {
        let mut policy = self.clone();
        policy.header.provenance.train_steps = train_steps;
        policy
    }

    /// What computes its outputs.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// See [`Body::layers`].
    pub fn layers(&self) -> &[Layer] {
        self.body.layers()
    }

    /// See [`Body::memory_len`].
    pub fn memory_len(&self) -> usize {
        self.body.memory_len()
    }

    /// See [`Body::parameters`].
    pub fn parameters(&self) -> usize {
        self.body.parameters()
    }

    /// See [`Body::macs`].
    pub fn macs(&self) -> usize {
        self.body.macs()
    }

    /// The size of the policy's file.
    pub fn bytes(&self) -> usize {
        self.to_bytes().len()
    }

    /// CRC-32 of the policy's file, in hexadecimal: a name for exactly this policy.
    pub fn checksum(&self) -> String {
        let bytes = self.to_bytes();
        let (_, checksum) = bytes.split_at(bytes.len() - 4);
        checksum.iter().rev().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The policy's file as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::write(&self.header, &self.body)
    }

    /// Reads the bytes of a policy's file.
    ///
    /// # Errors
    /// If they are damaged, cut off, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (header, body) = file::read(bytes)?;
        Self::new(header, body)
    }

    /// Writes the policy's file under a temporary name and renames it, so that `path` always holds a whole policy.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        write_atomically(path, &self.to_bytes()).map_err(|cause| Error::io("write the policy", path, cause))
    }

    /// Reads a policy's file, or [safetensors](Self::from_safetensors) if its name ends so.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, cut off, or of a newer version.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|cause| Error::io("read the policy", path, cause))?;
        let policy = match path.extension() {
            Some(extension) if extension == "safetensors" => Self::from_safetensors(&bytes),
            _ => Self::from_bytes(&bytes),
        };
        policy.map_err(|error| error.in_file(path))
    }

    /// A runner of this policy, with its working memory.
    pub fn runner(&self) -> Runner<'_> {
        Runner::new(self)
    }

    /// A runner of this policy for many observations at once.
    pub fn batch_runner(&self) -> BatchRunner<'_> {
        BatchRunner::new(self)
    }
}

fn check_normalizer(normalizer: &Normalizer, observation: &Features) -> Result<(), Error> {
    let Features::Box { len } = *observation else {
        return Err(Error::shape("normalizer: only the values of a Box are normalised; leave the normalizer out"));
    };
    let Normalizer { mean, std, clip } = normalizer;
    let valid = mean.len() == len
        && std.len() == len
        && mean.iter().all(|x| x.is_finite())
        && std.iter().chain([clip]).all(|x| x.is_finite() && *x > 0.0);
    if valid {
        return Ok(());
    }
    Err(Error::shape(format!(
        "normalizer: expected {len} finite means, {len} positive standard deviations and a positive clip, got {} means, {} \
         deviations and clip {clip}",
        mean.len(),
        std.len()
    )))
}
