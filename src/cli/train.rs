//! `apprentice train`: a PPO teacher.

use super::{
    Compute, Failure, Kwargs, Output, SEED_MAX, fresh, load_policy, note_idle, note_unfinished, program, read_config,
    say,
};
use crate::agents::{Error, EvaluationPlan, Ppo, PpoConfig, policy_env};
use crate::deploy::Policy;
use crate::distill::{PolicyCard, figure};
use crate::envs::{EnvSpec, Generator, Registry, Space};
use crate::jobs::cores;
use crate::presets;
use crate::run::{self, RunDir, RunOptions};
use crate::seeds::{self, SeedsReport};
use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Train {
    /// The environment, such as CartPole-v1; `apprentice envs` lists them.
    #[arg(required_unless_present_any = ["resume", "config", "init"])]
    env: Option<String>,
    /// The configuration to start from, by its name in presets/ [default: the one tuned for the environment].
    #[arg(long, conflicts_with_all = ["resume", "config"])]
    preset: Option<String>,
    /// A TOML file to start from in place of a preset, such as the config.toml of another run.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Change a key of the configuration; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "resume")]
    overrides: Vec<String>,
    /// Go on training this policy, such as a student, with a fresh critic: a file, or the run directory that holds one. Its
    /// architecture replaces the configuration's, and without ENV it goes on in its own environment; --set critic_warmup=STEPS lets the critic learn alone at first.
    #[arg(long, value_name = "POLICY", conflicts_with_all = ["resume", "seeds"])]
    init: Option<PathBuf>,
    /// The seed of every draw [default: the configuration's, 0 in the presets].
    #[arg(long, conflicts_with = "resume", value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    seed: Option<u64>,
    /// Train under so many seeds, 1000 or num_envs apart, side by side, and report what they have in common.
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = clap::value_parser!(u16).range(1..=1000))]
    seeds: Option<u16>,
    /// With --seeds: runs at a time [default: the cores of the machine].
    #[arg(long, value_name = "N", requires = "seeds", value_parser = clap::value_parser!(u16).range(1..=1000))]
    jobs: Option<u16>,
    /// The run directory [default: runs/ENV-ppo-SEED, numbered if there is one]. With --seeds a folder of runs: those that
    /// were stopped there go on.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with the run in this directory from its newest checkpoint.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["env", "kwargs", "wrappers"])]
    resume: Option<PathBuf>,
    /// What computes the networks: auto, burn or fused [default: the configuration's, auto in the presets].
    #[arg(long, value_parser = ["auto", "burn", "fused"], conflicts_with = "resume")]
    engine: Option<String>,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    output: Output,
}

/// What a policy that training begins with brings along.
const OF_THE_POLICY: [&str; 5] = ["hidden", "gru_hidden_size", "activation", "norm_obs", "shared_trunk"];

#[derive(Serialize)]
struct Trained {
    run: String,
    policy: String,
    finished: bool,
    /// Environment steps of the run; where the best policy is kept, its own are fewer.
    global_step: u64,
    env: EnvSpec,
    #[serde(flatten)]
    card: PolicyCard,
}

impl Train {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let device = self.compute.device()?;
        let options = self.output.run_options();
        if let Some(count) = self.seeds {
            return self.run_seeds(count.into(), registry, &device, options);
        }
        let (run, outcome) = match &self.resume {
            Some(path) => {
                let run = RunDir::open(path)?;
                let outcome = run::resume(&run, registry, &device, options)?;
                (run, outcome)
            }
            None => {
                // Everything that can be wrong with the request is found before a directory is made for it.
                let config = self.configuration(registry)?;
                let ppo = match &self.init {
                    Some(path) => Ppo::from_policy(config, &load_policy(path)?.0, registry, &device)?,
                    None => Ppo::new(config, registry, &device)?,
                };
                let run = match &self.out {
                    Some(path) => RunDir::create(path)?,
                    None => RunDir::create_fresh(&run_name(&ppo.config().env.id, "ppo", ppo.config().seed))?,
                };
                let outcome = run::train(ppo, &run, options)?;
                (run, outcome)
            }
        };
        let policy = Policy::load(&run.policy())?;
        let plan = EvaluationPlan::default();
        let card = PolicyCard::measure(&policy, None, registry, &plan, Some(outcome.train_seconds))?;
        note_unfinished(&card, plan.max_steps);
        let trained = Trained {
            run: run.path().display().to_string(),
            policy: run.policy().display().to_string(),
            finished: outcome.finished,
            global_step: outcome.global_step,
            env: policy_env(&policy)?,
            card,
        };
        let printed = self.output.print(&trained, || trained.text());
        if !outcome.finished {
            let (step, path) = (outcome.global_step, &trained.run);
            say(format_args!("stopped at step {step}; go on with: {} train --resume {path}", program()));
            return Err(Failure::Reported);
        }
        printed
    }

    fn run_seeds(
        &self,
        count: usize,
        registry: &Registry,
        device: &Device,
        options: RunOptions<'_>,
    ) -> Result<(), Failure> {
        let config = self.configuration(registry)?;
        let out = self.out.clone().unwrap_or_else(|| fresh(&run_name(&config.env.id, "ppo-seeds", config.seed)));
        let jobs = self.jobs.map_or_else(cores, usize::from);
        let report = seeds::train_seeds(&config, count, jobs, &out, registry, device, options)?;
        let text = || seeds_text(&report, &out);
        let printed = self.output.print(&report, text);
        if report.seeds.iter().all(|seed| seed.finished) {
            return printed;
        }
        if report.seeds.iter().any(|seed| !seed.finished && seed.error.is_none()) {
            say(format_args!("the same {} train with --out {} goes on", program(), out.display()));
        }
        Err(Failure::Reported)
    }

    /// Says which preset training starts from, where nobody chose it.
    fn name_preset(&self, preset: &str, env: &str) {
        match presets::tuned_for(env) {
            _ if self.output.quiet => {}
            Some(_) => say(format_args!("preset {preset}, tuned for {env}")),
            None => say(format_args!("preset {preset}, as none is tuned for {env}")),
        }
    }

    fn configuration(&self, registry: &Registry) -> Result<PpoConfig, Error> {
        let mut overrides = self.overrides.clone();
        // A policy that training begins with knows its environment, unless a configuration does.
        let named = self.config.as_ref().map_or(Ok(false), |path| names_env(path))?;
        let own = match (&self.env, &self.init) {
            (None, Some(path)) if !named => Some(policy_env(&load_policy(path)?.0)?),
            _ => None,
        };
        let sets_env = |set: &&String| {
            let key = set.split('=').next().unwrap_or_default().trim();
            key == "env" || key.starts_with("env.")
        };
        if let (Some(own), Some(set)) = (&own, overrides.iter().find(sets_env)) {
            return Err(Error::config(format!(
                "--set {set}: training goes on in the policy's own environment, {}; name another one: train ENV --init …, and \
                 give its parameters with --kwargs",
                own.id
            )));
        }
        if let (Some(env), Some(set)) = (&self.env, overrides.iter().find(|set| set.trim_start().starts_with("env.id")))
        {
            return Err(Error::config(format!("--set {set}: the environment is {env} already; leave one of them out")));
        }
        if let Some(env) = &self.env {
            let other = |path: &PathBuf| Ok::<bool, Error>(read_config::<PpoConfig>(path, &[])?.env.id != *env);
            // First, so that a key of the environment that is set finds an environment to belong to.
            match &self.config {
                None => overrides.insert(0, format!("env.id={env}")),
                // The parameters in the file are those of another environment.
                Some(path) if other(path)? => overrides.insert(0, format!("env={{ id = \"{env}\" }}")),
                Some(_) => {}
            }
        }
        if let (None, Some(path), None, false) = (&self.env, &self.config, &own, named)
            && !overrides.iter().any(|set| sets_env(&set))
        {
            let file = path.display();
            return Err(Error::config(format!(
                "{file}: expected an environment, got none; name it: train ENV --config {file}"
            )));
        }
        if let Some(engine) = &self.engine {
            overrides.push(format!("engine={engine}"));
        }
        let mut config: PpoConfig = match &self.config {
            Some(path) => read_config(path, &overrides)?,
            None => {
                let env = match (&own, &self.env) {
                    (Some(own), _) => own.clone(),
                    (None, id) => self.kwargs.over(EnvSpec::new(id.clone().unwrap_or_default()))?,
                };
                let preset = self.preset.as_deref().unwrap_or_else(|| {
                    let preset = presets::for_env(&env, registry);
                    if registry.info(&env.id).is_ok() {
                        self.name_preset(preset, &env.id);
                    }
                    preset
                });
                presets::ppo(preset, &overrides)?
            }
        };
        config.env = own.unwrap_or(config.env);
        config.env = self.kwargs.over(config.env)?;
        config.seed = self.seed.unwrap_or(config.seed);
        // A preset that is tuned has looked at its environment. What fails here fails in training too, and is told there.
        let tuned = self.preset.is_none() && self.config.is_none() && presets::tuned_for(&config.env.id).is_some();
        if !self.output.quiet && self.init.is_none() && (!tuned || !config.env.wrappers.is_empty()) {
            let _ = note_actions(&config, registry);
        }
        note_idle(&self.overrides, &config.idle_keys());
        if self.init.is_some() {
            note_idle(&self.overrides, &OF_THE_POLICY.map(|key| (key, "a start without --init, which brings its own")));
        }
        Ok(config)
    }
}

/// Says what of an environment's actions a configuration leaves unused or cannot reach: both let training fail in silence.
fn note_actions(config: &PpoConfig, registry: &Registry) -> Result<(), Error> {
    /// Random steps in which masks are looked for.
    const STEPS: usize = 100;
    let mut env = registry.make(&config.env)?;
    if let Space::Box { low, high, .. } = env.action_space() {
        // A fresh policy draws its actions around 0, with a standard deviation of about 1.
        let odd = |(low, high): &(&f32, &f32)| {
            let (low, high) = (**low, **high);
            (high - low).is_finite() && (!(0.2..=20.0).contains(&(high - low)) || low > 1.0 || high < -1.0)
        };
        if let Some((low, high)) = low.iter().zip(high).find(odd).filter(|_| !config.squash_output) {
            let place = if config.env.wrappers.is_empty() { "" } else { " after the others" };
            say(format_args!(
                "note: actions of {} go from {low} to {high}, and a fresh policy draws from about -1 to 1: train within \
                 --wrappers '[{{\"type\": \"RescaleAction\", \"min_action\": -1, \"max_action\": 1}}]'{place}, or with --set \
                 squash_output=true",
                config.env.id
            ));
        }
        return Ok(());
    }
    let mut rng = Generator::new(config.seed);
    env.reset(Some(config.seed))?;
    let mut masks = !env.action_mask().iter().all(|allowed| *allowed);
    for _ in 0..STEPS {
        if masks || config.mask_actions {
            break;
        }
        let action = env.action_space().sample(&mut rng);
        if env.step(&action)?.done() {
            env.reset(None)?;
        }
        masks = !env.action_mask().iter().all(|allowed| *allowed);
    }
    if masks && !config.mask_actions {
        say(format_args!("note: {} masks actions, and nobody looks: --set mask_actions=true does", config.env.id));
    }
    Ok(())
}

/// Whether a configuration says where to train.
fn names_env(path: &Path) -> Result<bool, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    // What is no TOML is refused where it is read.
    Ok(text.parse::<toml::Table>().map_or(true, |table| table.is_empty() || table.contains_key("env")))
}

impl Trained {
    fn text(&self) -> String {
        let card = &self.card;
        let [low, high] = card.return_ci95.map(figure);
        format!(
            "return {} [{low}, {high}] over {} episodes never trained on\n\
             {} steps in {:.1} s, {} parameters\n\
             policy       {}\n\
             TensorBoard  tensorboard --logdir {}\n\
             next         {} distill --teacher {}",
            figure(card.return_mean),
            card.episodes,
            self.global_step,
            card.train_seconds.unwrap_or(f64::NAN),
            card.footprint.map_or(0, |footprint| footprint.parameters),
            self.policy,
            self.run,
            program(),
            self.run
        )
    }
}

fn seeds_text(report: &SeedsReport, out: &Path) -> String {
    let mut text = String::new();
    for seed in &report.seeds {
        let what = match (seed.return_mean, &seed.error) {
            (_, Some(error)) => format!("failed: {error}"),
            (Some(mean), None) if seed.finished => format!("return {}, {:.1} s", figure(mean), seed.train_seconds),
            (Some(_), None) => {
                format!("stopped at step {}", seed.train_steps)
            }
            (None, None) => "not begun".to_owned(),
        };
        text += &format!("seed {:<6} {what}\n", seed.seed);
    }
    let Some(statistics) = &report.statistics else { return text + "no run came to its end" };
    let ended = report.seeds.iter().filter(|seed| seed.finished).count();
    if ended < report.seeds.len() {
        text += &format!("of the {ended} runs that came to their end:\n");
    }
    let interval = |[low, high]: [f64; 2]| format!("[{}, {}]", figure(low), figure(high));
    text + &format!(
        "mean {} {}, interquartile mean {} {}, from {} to {}\n{} episodes never trained on a seed; {:.1} s in all\n\
         curves       {}\nTensorBoard  tensorboard --logdir {}",
        figure(statistics.return_mean),
        interval(statistics.return_mean_ci95),
        figure(statistics.return_iqm),
        interval(statistics.return_iqm_ci95),
        figure(statistics.return_min),
        figure(statistics.return_max),
        report.episodes,
        report.wall_seconds,
        out.join("seeds.png").display(),
        out.display(),
    )
}

/// `runs/CartPole-v1-ppo-0`; a namespace's slash does not become a folder.
pub(super) fn run_name(env: &str, algorithm: &str, seed: u64) -> PathBuf {
    PathBuf::from("runs").join(format!("{}-{algorithm}-{seed}", env.replace(['/', '\\'], "-")))
}
