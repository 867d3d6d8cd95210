//! The teachers of a run: copies of their policies, and `teacher.toml`, which says what they do together. With them a
//! distillation goes on although the teachers' own runs may have been moved or trained further.

use crate::agents::{Checkpoint, Engine, Error, Ppo};
use crate::deploy::{Policy, write_atomically};
use crate::distill::{Teacher, TeacherRecord, critic_checksum};
use crate::envs::{EnvSpec, Registry};
use crate::run::RunDir;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What `teacher.toml` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The teacher's own run, whose learning curve goes into the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<PathBuf>,
    teacher: TeacherRecord,
}

/// The teachers that a run names.
pub(crate) struct Teachers {
    pub(crate) policies: Vec<Policy>,
    /// Where the critic is, if there is one.
    critic: PathBuf,
    pub(crate) record: TeacherRecord,
    /// Their own run.
    pub(crate) run: Option<PathBuf>,
}

/// Whether the run is a distillation.
pub(crate) fn are_in(run: &RunDir) -> bool {
    record_path(run).exists()
}

/// Leaves copies of a student's teachers in its run, and names them.
pub(crate) fn write(teacher: &Teacher<'_>, teacher_run: Option<&Path>, run: &RunDir) -> Result<(), Error> {
    let (policies, record) = (teacher.policies(), teacher.record());
    for (k, policy) in policies.iter().enumerate() {
        policy.save(&teacher_path(run.path(), k, policies.len()))?;
    }
    if let (Some(critic), Some(from)) = (&record.critic, teacher_run) {
        let (checkpoint, _) = RunDir::open(from)?.last_checkpoint()?;
        if critic_checksum(checkpoint.parameters()) != *critic {
            let hint = "its critic is no longer the one that the student began with; wait until it is finished, and distil anew";
            return Err(Error::io("copy the critic of the run in", from, format!("it goes on meanwhile: {hint}")));
        }
        checkpoint.save(&critic_path(run))?;
    }
    let absolute = teacher_run.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let written = Written { run: absolute, teacher: record };
    let text = toml::to_string(&written).map_err(|e| Error::config(format!("the teacher cannot be named: {e}")))?;
    let path = record_path(run);
    write_atomically(
        &path,
        format!("# Whom the student learns from: what distill --resume reads.\n\n{text}").as_bytes(),
    )
    .map_err(|e| Error::io("write", &path, e))
}

impl Teachers {
    /// Those of a run that was stopped.
    ///
    /// # Errors
    /// If a copy is missing or is not what it was when the student began.
    pub(crate) fn read(run: &RunDir) -> Result<Self, Error> {
        let path = record_path(run);
        let refuse = |e: &dyn std::fmt::Display| {
            let e = e.to_string();
            let hint = "expected the file as distill wrote it; restore it, or distil anew";
            Error::io("read the student's teachers in", &path, format!("{}; {hint}", e.trim_end()))
        };
        let text = std::fs::read_to_string(&path).map_err(|e| refuse(&e))?;
        let Written { run: own, teacher: record } = toml::from_str(&text).map_err(|e| refuse(&e))?;
        let count = record.policies.len();
        let mut policies = Vec::new();
        for (k, expected) in record.policies.iter().enumerate() {
            let path = teacher_path(run.path(), k, count);
            let hint = format!(
                "expected the policy with checksum {expected}, which the student began with; put it back there, for instance \
                 from the teacher's own run, or distil anew"
            );
            if !path.exists() {
                return Err(Error::io("find the teacher", &path, format!("there is no such file: {hint}")));
            }
            let policy =
                Policy::load(&path).map_err(|e| Error::io("read the teacher", &path, format!("{e}: {hint}")))?;
            let got = policy.checksum();
            if got != *expected {
                let changed = format!("the file has changed since the student began: got checksum {got}, {hint}");
                return Err(Error::io("go on with the teacher", &path, changed));
            }
            policies.push(policy);
        }
        Ok(Self { policies, critic: critic_path(run), record, run: own })
    }

    /// They, ready to teach in `env`.
    ///
    /// # Errors
    /// If they were not all written down, or do not fit together.
    pub(crate) fn teacher(&self, env: &EnvSpec, registry: &Registry, device: &Device) -> Result<Teacher<'_>, Error> {
        let policies: Vec<&Policy> = self.policies.iter().collect();
        let mut teacher = self.record.teacher(&policies, env, registry)?;
        if let (Some(_), [policy]) = (&self.record.critic, &policies[..]) {
            let critic = Checkpoint::load(&self.critic)?;
            teacher = teacher.with_critic(critic_of(critic, policy, registry, device)?);
        }
        self.record.check(&teacher.record())?;
        Ok(teacher)
    }
}

/// The critic in a checkpoint of the run that `policy` came of.
///
/// # Errors
/// If the checkpoint cannot be gone on from, or its critic cannot judge what the policy remembers.
pub(crate) fn critic_of(
    checkpoint: Checkpoint,
    policy: &Policy,
    registry: &Registry,
    device: &Device,
) -> Result<Box<dyn Engine>, Error> {
    let ppo = Ppo::resume(checkpoint, registry, device)?;
    if policy.memory_len() > 0 && ppo.policy()?.body() != policy.body() {
        return Err(Error::config(
            "value_coef and value_gate: the critic of the last checkpoint has another memory than the policy (keep_best?); \
             set value_coef = 0 and value_gate = \"off\", or train without keep_best",
        ));
    }
    Ok(ppo.into_engine())
}

/// Where the run of a student keeps copies of its teachers.
pub(crate) fn teacher_path(run: &Path, index: usize, count: usize) -> PathBuf {
    match count {
        1 => run.join("teacher.apprentice"),
        _ => run.join(format!("teacher-{}.apprentice", index + 1)),
    }
}

fn record_path(run: &RunDir) -> PathBuf {
    run.path().join("teacher.toml")
}

fn critic_path(run: &RunDir) -> PathBuf {
    run.path().join("teacher.checkpoint")
}
