//! `apprentice distill`: a student of a teacher, and the report.

use super::train::run_name;
use super::{Compute, Failure, Kwargs, Output, load_policy, read_config, say};
use crate::agents::{Error, Ppo, policy_env};
use crate::deploy::Policy;
use crate::distill::{DistillConfig, Distiller, Fusion, Program, Report, Teacher};
use crate::envs::{EnvSpec, Registry};
use crate::presets;
use crate::run::{self, RunDir};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Distill {
    /// The teacher: a policy file, or the run directory that holds one. Given several times, they teach as one.
    #[arg(long = "teacher", value_name = "POLICY", required_unless_present = "expert")]
    teachers: Vec<PathBuf>,
    /// How the answers of several teachers become one: mixture or product.
    #[arg(long, default_value = "mixture", value_parser = fusion)]
    fusion: Fusion,
    /// A program to learn from in place of a policy: it reads an observation, a JSON array, from each line of its input,
    /// and answers with the action on a line of its output. Needs --env.
    #[arg(long, value_name = "COMMAND", conflicts_with = "teachers", requires = "env")]
    expert: Option<String>,
    /// Distil in this environment [default: the teacher's own].
    #[arg(long)]
    env: Option<String>,
    /// The method: default, teacher_driven, student_driven, dagger, kickstarting, ppd, reward_augmented or
    /// entropy_regularised.
    #[arg(long, default_value = "default", conflicts_with = "config")]
    preset: String,
    /// A TOML file to start from in place of a preset.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change a key of the configuration, such as hidden=[8]; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The seed of every draw [default: the configuration's, 0 in the preset].
    #[arg(long)]
    seed: Option<u64>,
    /// The run directory [default: runs/ENV-distill-SEED, numbered if there is one].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    output: Output,
}

fn fusion(text: &str) -> Result<Fusion, String> {
    match text {
        "mixture" => Ok(Fusion::Mixture),
        "product" => Ok(Fusion::Product),
        other => Err(format!("expected mixture or product, got {other}")),
    }
}

#[derive(Serialize)]
struct Distilled<'a> {
    run: String,
    policy: String,
    finished: bool,
    #[serde(flatten)]
    report: Option<&'a Report>,
}

impl Distill {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let device = self.compute.device()?;
        let options = self.output.run_options();
        let loaded = self.teachers.iter().map(|path| load_policy(path)).collect::<Result<Vec<_>, _>>()?;
        let policies: Vec<&Policy> = loaded.iter().map(|(policy, _)| policy).collect();
        let teacher_run = loaded.first().and_then(|(_, run)| run.as_deref());
        // Everything that can be wrong with the request is found before a directory is made for it.
        let config = self.configuration(policies.first().copied())?;
        let mut teacher = match &self.expert {
            Some(command) => {
                let mut program = Program::start(command)?;
                let space = registry.make(config.env.as_ref().expect("--env is given"))?.action_space().clone();
                Teacher::expert(&space, move |observation, action| program.act(observation, action))?
            }
            None => Teacher::ensemble(&policies, None, self.fusion)?,
        };
        if config.wants_teacher_values()
            && let (Some(path), 1) = (teacher_run, policies.len())
        {
            let (checkpoint, _) = RunDir::open(path)?.last_checkpoint()?;
            teacher = teacher.with_critic(Ppo::resume(checkpoint, registry, &device)?.into_engine());
        }
        let distiller = Distiller::new(config, teacher, registry, &device)?;
        let run = match &self.out {
            Some(path) => RunDir::create(path)?,
            None => {
                let id = distiller.config().env.as_ref().map_or("policy", |env| env.id.as_str());
                RunDir::create_fresh(&run_name(id, "distill", distiller.config().seed))?
            }
        };
        let (outcome, report) = run::distill(distiller, teacher_run, &run, registry, options)?;
        let distilled = Distilled {
            run: run.path().display().to_string(),
            policy: run.policy().display().to_string(),
            finished: outcome.finished,
            report: report.as_ref(),
        };
        let printed = self.output.print(&distilled, || distilled.text());
        if !outcome.finished {
            let (step, policy) = (outcome.global_step, &distilled.policy);
            say(format_args!(
                "stopped at step {step}; the student so far is {policy} (a distillation cannot be resumed)"
            ));
            return Err(Failure::Reported);
        }
        printed
    }

    fn configuration(&self, teacher: Option<&Policy>) -> Result<DistillConfig, Error> {
        let mut config: DistillConfig = match &self.config {
            Some(path) => read_config(path, &self.overrides)?,
            None => presets::distill(&self.preset, &self.overrides)?,
        };
        let env = match &self.env {
            Some(id) => {
                let own = teacher.map(policy_env).transpose()?;
                let known = config.env.take().into_iter().chain(own.clone());
                // What the teacher reads and does is within its wrappers, wherever it acts.
                let wrappers = own.map_or_else(Vec::new, |own| own.wrappers);
                let other = || EnvSpec { wrappers, ..EnvSpec::new(id) };
                known.into_iter().find(|env| env.id == *id).unwrap_or_else(other)
            }
            None => match (config.env.take(), teacher) {
                (Some(env), _) => env,
                (None, Some(teacher)) => policy_env(teacher)?,
                (None, None) => unreachable!("an expert comes with --env"),
            },
        };
        config.env = Some(self.kwargs.over(env)?);
        config.seed = self.seed.unwrap_or(config.seed);
        Ok(config)
    }
}

impl Distilled<'_> {
    fn text(&self) -> String {
        let report = self.report.map(|report| format!("\n{}\n", report.to_text())).unwrap_or_default();
        let page = self.report.map(|_| format!("  report       {}/report.md\n", self.run)).unwrap_or_default();
        format!("{report}{page}  policy       {}\n  TensorBoard  tensorboard --logdir {}", self.policy, self.run)
    }
}
