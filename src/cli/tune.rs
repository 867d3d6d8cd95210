//! `apprentice tune`: a search for hyperparameters and sizes.

use super::report::{Compared, compare};
use super::{Compute, Failure, Kwargs, Output, SEED_MAX, load_policy, program, say};
use crate::agents::{
    Callback, Error, EvaluationPlan, Ppo, PpoConfig, Progress, SELECTION_SEED, evaluate, evaluate_random, policy_env,
};
use crate::deploy::Policy;
use crate::distill::{DistillConfig, Distiller, figure};
use crate::distillation::learn_watched;
use crate::envs::{EnvSpec, Registry};
use crate::jobs::cores;
use crate::presets;
use crate::run::{self, RunDir, RunOptions};
use crate::student::{Student, pupils};
use crate::telemetry::Logger;
use crate::tune::{Attempt, Measured, Space, Study, StudyConfig, Trial, TrialState};
use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Episodes that a trial is judged on.
const EPISODES: usize = 100;

#[derive(Args)]
pub(super) struct Tune {
    /// Search for a teacher of this environment.
    #[arg(required_unless_present = "teacher", conflicts_with = "teacher")]
    env: Option<String>,
    /// Search for a student of this teacher: a policy file, or the run directory that holds one.
    #[arg(long, value_name = "POLICY")]
    teacher: Option<PathBuf>,
    /// The configuration that trials change [default: of a teacher the one tuned for the environment, of a student dagger].
    #[arg(long)]
    preset: Option<String>,
    /// What is searched, a TOML file [default: presets/tune/distill.toml or ppo.toml].
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
    /// Change a key of the configuration for all trials; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Trials in all.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: u32,
    /// Trials of a generation, which know nothing of each other.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    generation: u32,
    /// Trials at a time; changes nothing but the time [default: the cores of the machine].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    jobs: Option<u16>,
    /// What a trial should reach: of a student the normalised return [default: 0.97], of a teacher the return.
    #[arg(long, allow_negative_numbers = true, value_parser = finite)]
    target: Option<f64>,
    /// Carry every trial out to its end.
    #[arg(long)]
    no_pruning: bool,
    /// The seed of suggestions and of every trial.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    seed: u64,
    /// Where the search is kept. One that is there goes on [default: runs/ENV-tune, or runs/ENV-tune-student].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Tuned<'a> {
    folder: String,
    finished: bool,
    trials: usize,
    pruned: usize,
    failed: usize,
    front: Vec<Found<'a>>,
    /// Whether one of them reached the target; null without one, or while one still may.
    target_reached: Option<bool>,
    /// The front on episodes that no trial was judged on; of students.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a Compared>,
}

/// A trial of the front.
#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    trial: &'a Trial,
    /// Of a teacher: its mean return on episodes that no trial was judged on, and the 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<Unseen>,
}

#[derive(Serialize)]
struct Unseen {
    return_mean: f64,
    return_ci95: [f64; 2],
}

/// A target on the command line.
fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(|| "expected a number".to_owned())
}

/// What the trials of a search have in common.
enum Subject {
    Teacher {
        env: EnvSpec,
    },
    Student {
        teacher: Box<Policy>,
        env: EnvSpec,
        /// Mean returns on the episodes that trials are judged on.
        random: f64,
        reached: f64,
    },
}

impl Tune {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let device = self.compute.device()?;
        let options = RunOptions { quiet: true, ..self.output.run_options() };
        let subject = self.subject(registry)?;
        let config = self.study_config(&subject, registry)?;
        // What is wrong with the request is found before a folder is made for it.
        match &subject {
            Subject::Teacher { env } => drop(Ppo::new(self.ppo_config(env, &[], registry)?, registry, &device)?),
            Subject::Student { teacher, env, .. } => {
                drop(Distiller::new(self.distill_config(env, &[])?, &**teacher, registry, &device)?);
            }
        }
        // So is a key of the search space that is none.
        let drawn = config.space.example();
        match &subject {
            Subject::Teacher { env } => drop(self.ppo_config(env, &drawn, registry)?),
            Subject::Student { env, .. } => drop(self.distill_config(env, &drawn)?),
        }
        if let (Subject::Student { .. }, Some(target)) = (&subject, self.target.filter(|target| *target > 1.0)) {
            say(format_args!("note: --target {target}: 1 is the teacher's own return, which a student hardly exceeds"));
        }
        let (id, count) = (subject.env().id.replace('/', "-"), self.trials as usize);
        let kind = if self.teacher.is_some() { "tune-student" } else { "tune" };
        let folder = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/{id}-{kind}")));
        let mut study = Study::open(config, &folder)?;

        let mut logger = Logger::console(self.output.quiet);
        logger.begin(&format!("tune {id}"), count as u64, "trials");
        let jobs = self.jobs.map_or_else(cores, usize::from);
        let carry_out = |attempt: &mut Attempt<'_>| match &subject {
            Subject::Teacher { env } => self.try_teacher(attempt, env, registry, &device, options),
            Subject::Student { teacher, env, random, reached } => {
                let normal = |mean: f64| (mean - random) / (reached - random);
                self.try_student(attempt, (teacher, env), &normal, registry, &device, options)
            }
        };
        study.run(count, jobs, options.stop, carry_out, |ended| logger.progress(ended as u64))?;
        logger.finish();

        let finished = study.trials().len() >= count;
        let front = study.front();
        let mut report = None;
        if let (Subject::Student { .. }, true, false) = (&subject, finished, front.is_empty()) {
            let of = |trial: &&Trial| Ok((format!("trial {}", trial.trial), pupils(&study.trial_folder(trial.trial))?));
            let students = front.iter().map(of).collect::<Result<Vec<_>, Error>>()?;
            let made = compare(students, EvaluationPlan::default().episodes, registry, self.output.quiet)?;
            made.write(&folder)?;
            report = Some(made);
        }
        let unseen = |trial: &Trial| -> Result<Option<Unseen>, Error> {
            if !(finished && matches!(subject, Subject::Teacher { .. })) {
                return Ok(None);
            }
            let policy = Policy::load(&RunDir::open(&study.trial_folder(trial.trial))?.policy())?;
            let evaluation = evaluate(&policy, None, registry, &EvaluationPlan::default())?;
            Ok(Some(Unseen { return_mean: evaluation.mean(), return_ci95: evaluation.ci95() }))
        };
        let reached = |target| front.iter().any(|trial| trial.value.is_some_and(|value| value >= target));
        let target_reached = study.target().filter(|_| finished && !front.is_empty()).map(reached);
        let found = |trial| Ok(Found { trial, unseen: unseen(trial)? });
        let front = front.into_iter().map(found).collect::<Result<Vec<_>, Error>>()?;
        let ended = |state| study.trials().iter().filter(|trial| trial.state == state).count();
        let tuned = Tuned {
            folder: folder.display().to_string(),
            finished,
            trials: study.trials().len(),
            pruned: ended(TrialState::Pruned),
            failed: ended(TrialState::Failed),
            front,
            target_reached,
            report: report.as_ref(),
        };
        if finished && tuned.failed == tuned.trials {
            let error = study.trials().first().and_then(|trial| trial.error.as_deref()).unwrap_or("unknown");
            say(format_args!("error: every trial failed, the first with: {error}"));
            return Err(Failure::Reported);
        }
        let printed = self.output.print(&tuned, || tuned.text());
        if !finished {
            let (ended, folder) = (tuned.trials, &tuned.folder);
            say(format_args!("stopped after {ended} trials; the same {} tune with --out {folder} goes on", program()));
            return Err(Failure::Reported);
        }
        printed
    }

    fn subject(&self, registry: &Registry) -> Result<Subject, Error> {
        let Some(path) = &self.teacher else {
            let env = EnvSpec::new(self.env.as_deref().unwrap_or_default());
            return Ok(Subject::Teacher { env: self.kwargs.over(env)? });
        };
        let (teacher, _) = load_policy(path)?;
        let env = self.kwargs.over(policy_env(&teacher)?)?;
        let plan = self.plan();
        let mut envs = registry.make_vec(&env, EPISODES, plan.seed)?;
        let random = evaluate_random(&mut *envs, &plan)?.mean();
        let reached = evaluate(&teacher, Some(&env), registry, &plan)?.mean();
        if reached <= random {
            return Err(Error::config(format!(
                "the teacher's return of {} is no better than that of random actions, {}: train one that is",
                figure(reached),
                figure(random)
            )));
        }
        Ok(Subject::Student { teacher: Box::new(teacher), env, random, reached })
    }

    /// The episodes that trials are judged on. The report is of others.
    fn plan(&self) -> EvaluationPlan {
        EvaluationPlan { episodes: EPISODES, seed: SELECTION_SEED, ..EvaluationPlan::default() }
    }

    fn study_config(&self, subject: &Subject, registry: &Registry) -> Result<StudyConfig, Error> {
        let space = match (&self.space, subject) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
                Space::from_toml(&text).map_err(|e| Error::config(format!("{}: {e}", path.display())))?
            }
            (None, Subject::Teacher { .. }) => Space::from_toml(presets::TUNE_PPO)?,
            (None, Subject::Student { .. }) => Space::from_toml(presets::TUNE_DISTILL)?,
        };
        let set =
            |key: &str| self.overrides.iter().any(|set| set.split('=').next().is_some_and(|set| set.trim() == key));
        if let Some(key) = space.keys().find(|key| set(key)) {
            return Err(Error::config(format!(
                "--set {key}: the search varies it; leave it out, or give a search space without it (--space FILE; the usual \
                 ones are in presets/tune/)"
            )));
        }
        let (target, base) = match subject {
            Subject::Teacher { env } => (self.target, serde_json::to_value(self.ppo_config(env, &[], registry)?)),
            Subject::Student { env, .. } => {
                (self.target.or(Some(0.97)), serde_json::to_value(self.distill_config(env, &[])?))
            }
        };
        let teacher = match subject {
            Subject::Teacher { .. } => None,
            Subject::Student { teacher, .. } => Some(teacher.checksum()),
        };
        let subject = serde_json::json!({ "teacher": teacher, "config": base.expect("plain data") });
        let (seed, generation) = (self.seed, self.generation as usize);
        Ok(StudyConfig { seed, generation, target, prune: !self.no_pruning, space, subject })
    }

    fn ppo_config(&self, env: &EnvSpec, overrides: &[String], registry: &Registry) -> Result<PpoConfig, Error> {
        let preset = self.preset.as_deref().unwrap_or_else(|| presets::for_env(env, registry));
        let config = presets::ppo(preset, &[&self.overrides[..], overrides].concat())?;
        Ok(PpoConfig { seed: self.seed, env: env.clone(), ..config })
    }

    fn distill_config(&self, env: &EnvSpec, overrides: &[String]) -> Result<DistillConfig, Error> {
        let preset = self.preset.as_deref().unwrap_or("dagger");
        if preset == "viper" {
            return Err(Error::config(
                "--preset viper: the search is for networks; of a tree vary max_nodes by hand: distill --preset viper --set \
                 max_nodes=7",
            ));
        }
        let config = presets::distill(preset, &[&self.overrides[..], overrides].concat())?;
        Ok(DistillConfig { seed: self.seed, env: Some(env.clone()), ..config })
    }

    fn try_teacher(
        &self,
        attempt: &mut Attempt<'_>,
        env: &EnvSpec,
        registry: &Registry,
        device: &Device,
        options: RunOptions<'_>,
    ) -> Result<Option<Measured>, Error> {
        let ppo = Ppo::new(self.ppo_config(env, attempt.overrides, registry)?, registry, device)?;
        let (run, parameters) = (RunDir::create(&attempt.folder)?, ppo.policy()?.parameters());
        let mut pruned = false;
        let callback = watch(attempt, parameters, &mut pruned, |mean| mean);
        let outcome = run::train_watched(ppo, &run, options, callback)?;
        if !outcome.finished && !pruned {
            return Ok(None);
        }
        let policy = Policy::load(&run.policy())?;
        Ok(Some(Measured { value: evaluate(&policy, None, registry, &self.plan())?.mean(), parameters }))
    }

    fn try_student(
        &self,
        attempt: &mut Attempt<'_>,
        (teacher, env): (&Policy, &EnvSpec),
        normal: &dyn Fn(f64) -> f64,
        registry: &Registry,
        device: &Device,
        options: RunOptions<'_>,
    ) -> Result<Option<Measured>, Error> {
        let distiller = Distiller::new(self.distill_config(env, attempt.overrides)?, teacher, registry, device)?;
        let parameters = distiller.policy()?.parameters();
        let run = RunDir::create(&attempt.folder)?;
        let mut pruned = false;
        let callback = watch(attempt, parameters, &mut pruned, normal);
        let (outcome, policy) = learn_watched(&mut Student::from(distiller), &run, options, callback)?;
        match policy {
            Some(policy) if outcome.finished || pruned => {
                let mean = evaluate(&policy, None, registry, &self.plan())?.mean();
                Ok(Some(Measured { value: normal(mean), parameters }))
            }
            _ => Ok(None),
        }
    }
}

/// Reports the evaluations of a run to its trial, which may give it up.
fn watch<'a, 'b: 'a>(
    attempt: &'a mut Attempt<'b>,
    parameters: usize,
    pruned: &'a mut bool,
    value: impl Fn(f64) -> f64 + 'a,
) -> Box<Callback<'a>> {
    Box::new(move |progress: &Progress| match progress.evaluated {
        // Before it has learnt anything, there is nothing to judge.
        Some((step, mean)) if step > 0 && attempt.report(step, value(mean), parameters) => {
            *pruned = true;
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
}

impl Subject {
    fn env(&self) -> &EnvSpec {
        match self {
            Self::Teacher { env } | Self::Student { env, .. } => env,
        }
    }
}

impl Unseen {
    fn text(&self) -> String {
        let [low, high] = self.return_ci95.map(figure);
        format!(", {} [{low}, {high}] on others", figure(self.return_mean))
    }
}

impl Tuned<'_> {
    fn text(&self) -> String {
        let mut text = format!("{} trials, {} given up, {} failed\n", self.trials, self.pruned, self.failed);
        for Found { trial, unseen } in &self.front {
            let (value, parameters) = (trial.value.unwrap_or(f64::NAN), trial.parameters.unwrap_or(0));
            text += &format!(
                "trial {:<4} {parameters:>6} parameters, {} on the episodes of the search{}: {}\n",
                trial.trial,
                figure(value),
                unseen.as_ref().map_or_else(String::new, Unseen::text),
                trial.overrides.join(" ")
            );
            text += &format!("           {}/trial-{:03}\n", self.folder, trial.trial);
        }
        if self.target_reached == Some(false) {
            text += "no trial reached the target; these are the best: try more --trials, or a wider --space\n";
        }
        if let Some(report) = self.report {
            text += &format!("\n{}\n  report       {}/report.md\n", report.to_text(), self.folder);
        }
        text + &format!("  trials       {0}/journal.jsonl\n  TensorBoard  tensorboard --logdir {0}", self.folder)
    }
}
