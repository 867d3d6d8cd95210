//! `apprentice export`: a policy as source code or as a model.

use super::{Failure, Output, load_policy};
use crate::agents::{Error, EvaluationPlan, SELECTION_SEED, policy_env, run_episodes};
use crate::deploy::Policy;
use crate::deploy::export::{Format, check_name, export, write};
use crate::envs::Registry;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// Writes the policy as source code or as a model, with examples of its own environment and a self-test that checks them on the target.
#[derive(Args)]
pub(super) struct Export {
    /// The policy: a file, or the run directory that holds one.
    policy: PathBuf,
    /// rust: a module that needs `core` only. c: a header and a source in C99, without heap or libraries. onnx: a model;
    /// onnx-exact: the same with the runner's bits, but slower.
    /// safetensors: tensors for other frameworks, which every subcommand takes as a policy too.
    #[arg(long)]
    format: Format,
    /// int8: layers in integers, with 8-bit weights; calibrated on episodes of the policy, and written as NAME.apprentice
    /// too, a policy like any other.
    #[arg(long)]
    quant: Option<Quant>,
    /// What files and functions are called after.
    #[arg(long, default_value = "policy", value_parser = |name: &str| check_name(name).map(|()| name.to_owned()))]
    name: String,
    /// The folder to write into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Quant {
    Int8,
}

#[derive(Serialize)]
struct Exported {
    format: Format,
    name: String,
    checksum: String,
    out: PathBuf,
    /// Their names and sizes in bytes.
    files: Vec<(String, usize)>,
}

impl Export {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let (mut policy, _) = load_policy(&self.policy)?;
        if self.out.join("config.toml").exists() {
            let hint = "it is the directory of a run; give the export one of its own";
            return Err(Error::io("write the export into", &self.out, hint).into());
        }
        if let Some(Quant::Int8) = self.quant {
            policy = policy.to_int8(&visited(&policy, registry, 16)?)?;
        }
        // A policy whose environment is not there, as without its plugin, gets made-up examples.
        let states = visited(&policy, registry, 1).unwrap_or_default();
        // To a policy that remembers they have to be the first of an episode.
        let step = if policy.memory_len() > 0 { 1 } else { states.len().div_ceil(8).max(1) };
        let examples: Vec<_> = states.iter().step_by(step).cloned().collect();
        let files = export(&policy, self.format, &self.name, &examples)?;
        write(&self.out, &files)?;
        let exported = Exported {
            format: self.format,
            name: self.name.clone(),
            checksum: policy.checksum(),
            out: self.out.clone(),
            files: files.iter().map(|(name, content)| (name.clone(), content.len())).collect(),
        };
        self.output.print(&exported, || exported.text())
    }
}

/// What the policy sees in some episodes, with sampled actions: they lead to more of the states there are.
fn visited(policy: &Policy, registry: &Registry, episodes: usize) -> Result<Vec<Vec<f32>>, Error> {
    // Not those that reports are measured in.
    let plan =
        EvaluationPlan { episodes, seed: SELECTION_SEED, sampled: true, max_steps: 500, ..EvaluationPlan::default() };
    let mut envs = registry.make_vec(policy_env(policy)?, plan.episodes, plan.seed)?;
    let mut seen = Vec::new();
    run_episodes(policy, &mut *envs, &plan, |_, observation, _, _| {
        seen.push(observation.to_vec());
        Ok(())
    })?;
    Ok(seen)
}

impl Exported {
    fn text(&self) -> String {
        let folder = self.out.display();
        let mut text = format!("policy {} as {} in {folder}\n", self.checksum, self.format);
        for (name, bytes) in &self.files {
            text += &format!("  {name:<16} {bytes} bytes\n");
        }
        text + &format!("apprentice verify POLICY --export {folder} tries it, and compares it with its policy\n")
    }
}
