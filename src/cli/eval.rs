//! `apprentice eval`: what a policy is and does.

use super::{Failure, Kwargs, Output, load_policy, note_unfinished, write_into};
use crate::agents::{EVALUATION_SEED, EvaluationPlan};
use crate::distill::{Footprint, PolicyCard, figure};
use crate::envs::{EnvSpec, Registry};
use crate::run::train_seconds;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Eval {
    /// The policy: a file, or the run directory that holds one.
    policy: PathBuf,
    /// Evaluate in this environment [default: the policy's own].
    #[arg(long)]
    env: Option<String>,
    /// Episodes for each figure.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    episodes: u32,
    /// Seed of the first episode; episode i has this plus i. The default is one that nobody trains on.
    #[arg(long, default_value_t = EVALUATION_SEED, hide_default_value = true)]
    seed: u64,
    /// Steps after which an episode that has not ended is left, and counts with what it has earned.
    #[arg(long, value_name = "N", default_value_t = EvaluationPlan::default().max_steps,
        value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    max_steps: u32,
    /// Write the result to DIR/eval.json too.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Evaluated {
    env: EnvSpec,
    made_for: String,
    role: String,
    algorithm: String,
    checksum: String,
    #[serde(flatten)]
    card: PolicyCard,
}

impl Eval {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let (policy, run) = load_policy(&self.policy)?;
        let env = self.kwargs.env_for(&policy, self.env.as_deref(), registry)?;
        let (episodes, seed, max_steps) = (self.episodes as usize, self.seed, self.max_steps);
        let plan = EvaluationPlan { episodes, seed, max_steps, ..EvaluationPlan::default() };
        let seconds = run.and_then(|run| train_seconds(&run.join("metrics.jsonl")));
        let card = PolicyCard::measure(&policy, Some(&env), registry, &plan, seconds)?;
        let provenance = &policy.header().provenance;
        let evaluated = Evaluated {
            role: provenance.role.clone(),
            made_for: policy.header().environment.id.clone(),
            algorithm: provenance.algorithm.clone(),
            checksum: policy.checksum(),
            env,
            card,
        };
        if let Some(folder) = &self.out {
            let json = serde_json::to_string_pretty(&evaluated).expect("results are plain data");
            write_into(folder, "eval.json", &format!("{json}\n"))?;
        }
        note_unfinished(&evaluated.card, max_steps);
        self.output.print(&evaluated, || evaluated.text())
    }
}

impl Evaluated {
    fn text(&self) -> String {
        let card = &self.card;
        let [low, high] = card.return_ci95.map(figure);
        let mut place = String::new();
        if self.env.id != self.made_for {
            place = format!(" in {}", self.env.id);
        }
        if !self.env.kwargs.is_empty() {
            place += &format!(" with {}", serde_json::to_string(&self.env.kwargs).expect("parameters are plain data"));
        }
        if !self.env.wrappers.is_empty() {
            let wrappers = serde_json::to_string(&self.env.wrappers).expect("wrappers are plain data");
            place += &format!(" within {wrappers}");
        }
        let takes = card.footprint.map(|Footprint { parameters, bytes, macs, ns_per_action }| {
            format!("{parameters} parameters, {bytes} bytes, {macs} multiply-adds, {ns_per_action:.0} ns an action\n")
        });
        let mut text = format!(
            "{} of {} ({}){place}\n{}return {} [{low}, {high}] over {} episodes; sampled actions {}\n",
            self.role,
            self.made_for,
            self.algorithm,
            takes.unwrap_or_default(),
            figure(card.return_mean),
            card.episodes,
            card.return_mean_sampled.map_or("–".to_owned(), figure)
        );
        for (sigma, mean) in card.noise.0.iter().filter(|(sigma, _)| *sigma > 0.0) {
            text += &format!("return {} under observation noise σ = {sigma}\n", figure(*mean));
        }
        text
    }
}
