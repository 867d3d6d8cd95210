//! `apprentice distill`: a student of a teacher, and the report.

use super::report::{Compared, compare};
use super::train::run_name;
use super::{Compute, Failure, Kwargs, Output, SEED_MAX, fresh, load_policy, note_idle, program, say};
use crate::agents::{Error, EvaluationPlan, Outcome, PpoConfig, policy_env};
use crate::deploy::Policy;
use crate::distill::{DistillConfig, Distiller, Report, Teacher, TeacherRecord, Teaching, Viper, ViperConfig};
use crate::envs::{EnvSpec, Registry};
use crate::jobs::{cores, in_parallel};
use crate::presets;
use crate::run::{self, RunDir, RunOptions};
use crate::seeds::seed_stride;
use crate::student::{Student, check_over, pupils_of, runs_in};
use crate::teachers::{self, critic_of};
use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Distill {
    /// The teacher: a policy file, or the run directory that holds one. Given several times, they teach as one. With
    /// --seeds it may be a folder of runs: each student then has the teacher of its place.
    #[arg(long = "teacher", value_name = "POLICY", required_unless_present_any = ["expert", "resume"])]
    teachers: Vec<PathBuf>,
    /// What several teachers do: a mixture or a product of what they say; domains, where each teaches in the environment
    /// that it was made for, and the student learns in all of them; or tasks, domains whose spaces may differ, with inputs
    /// and outputs of the student for each.
    #[arg(long, default_value = "mixture", value_parser = ["mixture", "product", "domains", "tasks"])]
    fusion: String,
    /// A program to learn from in place of a policy: it reads an observation, a JSON array, from each line of its input,
    /// and answers with the action on a line of its output. Needs --env.
    #[arg(long, value_name = "COMMAND", conflicts_with = "teachers", requires = "env")]
    expert: Option<String>,
    /// Begin as this policy in place of random weights, with its architecture and its eyes: an earlier student, from a new
    /// teacher; or a network that shall get 8 bits (--set quantization_aware=true). A file, or the run directory that holds
    /// one; the directory, if --set ewc=… or --set replay=… shall hold on to what it was taught there.
    #[arg(long, value_name = "POLICY", conflicts_with_all = ["resume", "seeds"])]
    init: Option<PathBuf>,
    /// Distil in this environment [default: the teacher's own].
    #[arg(long)]
    env: Option<String>,
    /// The method: default, teacher_driven, student_driven, dagger, kickstarting, ppd, reward_augmented,
    /// entropy_regularised, or viper for a decision tree.
    #[arg(long, default_value = "default", conflicts_with = "config")]
    preset: String,
    /// A TOML file to start from in place of a preset.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change a key of the configuration, such as hidden=[8]; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The seed of every draw [default: the configuration's, 0 in the presets].
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    seed: Option<u64>,
    /// Distil under so many seeds, 1000 or num_envs apart, side by side, and report what they have in common.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    seeds: Option<u16>,
    /// With --seeds: runs at a time [default: the cores of the machine].
    #[arg(long, value_name = "N", requires = "seeds", value_parser = clap::value_parser!(u16).range(1..=1000))]
    jobs: Option<u16>,
    /// The run directory [default: runs/ENV-distill-SEED, numbered if there is one]. With --seeds a folder of runs: those that
    /// were stopped there go on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the distillation in this directory from its newest checkpoint.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["teachers", "fusion", "expert", "env", "preset", "config",
        "overrides", "seed", "seeds", "out", "kwargs", "wrappers"])]
    resume: Option<PathBuf>,
    /// Write no report: for it the teacher is asked a hundred thousand times, which is dear where it is a program. `distill
    /// --resume` writes it later.
    #[arg(long, conflicts_with = "seeds")]
    no_report: bool,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Distilled<'a> {
    run: String,
    policy: String,
    finished: bool,
    #[serde(flatten)]
    report: Option<&'a Report>,
    /// Of several domains or tasks, a report for each.
    #[serde(skip_serializing_if = "<[Report]>::is_empty")]
    tasks: &'a [Report],
}

#[derive(Serialize)]
struct DistilledSeeds<'a> {
    folder: String,
    finished: bool,
    seeds: Vec<SeedState>,
    #[serde(flatten)]
    comparison: Option<&'a Compared>,
}

/// How far the run of a seed has come.
#[derive(Serialize)]
struct SeedState {
    seed: u64,
    run: String,
    finished: bool,
    /// Why it failed, if it did.
    error: Option<String>,
}

/// What a student is made with.
#[derive(Clone)]
enum Config {
    Network(Box<DistillConfig>),
    Tree(ViperConfig),
}

impl Distill {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let device = self.compute.device()?;
        let options = RunOptions { skip_report: self.no_report, ..self.output.run_options() };
        if self.fusion == "product" && self.teachers.len() == 1 {
            say(format_args!("note: --fusion product changes nothing with one teacher; give --teacher once for each"));
        }
        if let Some(count) = self.seeds {
            return self.run_seeds(count.into(), registry, &device, options);
        }
        if let Some(path) = &self.resume {
            let run = RunDir::open(path)?;
            let (outcome, reports) = run::resume_distillation(&run, registry, &device, options)?;
            return self.tell(&run, &outcome, &reports);
        }
        // Everything that can be wrong with the request is found before a directory is made for it.
        let teachers: Vec<&PathBuf> = self.teachers.iter().collect();
        let (run, outcome, reports) =
            self.with_student(&teachers, None, registry, &device, |student, teacher_run| {
                let run = match &self.out {
                    Some(path) => RunDir::create(path)?,
                    None => RunDir::create_fresh(&run_name(student.env_id(), "distill", student.seed()))?,
                };
                let (outcome, reports) = run::distill(student, teacher_run, &run, registry, options)?;
                Ok((run, outcome, reports))
            })?;
        self.tell(&run, &outcome, &reports)
    }

    fn tell(&self, run: &RunDir, outcome: &Outcome, reports: &[Report]) -> Result<(), Failure> {
        let distilled = Distilled {
            run: run.path().display().to_string(),
            policy: run.policy().display().to_string(),
            finished: outcome.finished,
            report: reports.first().filter(|_| reports.len() == 1),
            tasks: if reports.len() > 1 { reports } else { &[] },
        };
        let printed = self.output.print(&distilled, || distilled.text());
        if !outcome.finished {
            let (step, path) = (outcome.global_step, &distilled.run);
            say(format_args!("stopped at step {step}; go on with: {} distill --resume {path}", program()));
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
        // A folder of runs has a teacher for each seed; anything else is the same for all.
        let of_seeds = |path: &PathBuf| -> Result<Vec<PathBuf>, Error> {
            if !path.is_dir() || path.join("policy.apprentice").exists() {
                return Ok(vec![path.clone(); count]);
            }
            let runs = runs_in(path);
            if runs.len() < count {
                let (path, got) = (path.display(), runs.len());
                return Err(Error::config(format!("--seeds {count}: expected as many runs in {path}, got {got}")));
            }
            check_over(path, &runs[..count])?;
            Ok(runs)
        };
        let paired = self.teachers.iter().map(of_seeds).collect::<Result<Vec<_>, _>>()?;
        let teachers = |k: usize| -> Vec<&PathBuf> { paired.iter().map(|runs| &runs[k]).collect() };
        let (seed, stride, id) = self.with_student(&teachers(0), None, registry, device, |student, _| {
            Ok((student.seed(), seed_stride(student.num_envs()), student.env_id().to_owned()))
        })?;
        let out = self.out.clone().unwrap_or_else(|| fresh(&run_name(&id, "distill-seeds", seed)));
        RunDir::check_folder_of_runs(&out)?;
        std::fs::create_dir_all(&out).map_err(|e| Error::io("create", &out, e))?;
        let _lock = run::lock(&out)?;
        let seeds: Vec<u64> = (0..count as u64).map(|k| seed.wrapping_add(stride * k)).collect();
        let folders: Vec<PathBuf> = seeds.iter().map(|seed| out.join(format!("seed-{seed}"))).collect();
        let begun = folders.iter().map(|folder| RunDir::has_begun(folder)).collect::<Result<Vec<_>, _>>()?;
        // Runs that are there must be these, before one of the others begins.
        for k in (0..count).filter(|k| begun[*k]) {
            self.with_student(&teachers(k), Some(seeds[k]), registry, device, |student, _| {
                run::check_begun(&student, &RunDir::open(&folders[k])?)
            })?;
        }
        let one = |k: usize| -> Result<bool, Error> {
            self.with_student(&teachers(k), Some(seeds[k]), registry, device, |student, teacher_run| {
                let options = RunOptions { quiet: true, ..options };
                if begun[k] {
                    return run::go_on_distilling(&student, &RunDir::open(&folders[k])?, registry, device, options);
                }
                let run = RunDir::create(&folders[k])?;
                Ok(run::distill(student, teacher_run, &run, registry, options)?.0.finished)
            })
        };
        let jobs = self.jobs.map_or_else(cores, usize::from);
        let results = in_parallel(count, jobs, options.stop, one, || ());
        let state = |((seed, folder), result): ((&u64, &PathBuf), &Option<Result<bool, Error>>)| SeedState {
            seed: *seed,
            run: folder.display().to_string(),
            finished: matches!(result, Some(Ok(true))),
            error: result.as_ref().and_then(|result| Some(result.as_ref().err()?.to_string())),
        };
        let states: Vec<SeedState> = seeds.iter().zip(&folders).zip(&results).map(state).collect();
        let finished = results.iter().all(|result| matches!(result, Some(Ok(true))));
        let mut comparison = None;
        if finished {
            let students = vec![(name_of(&out), pupils_of(&folders)?)];
            let made = compare(students, EvaluationPlan::default().episodes, registry, self.output.quiet)?;
            made.write(&out)?;
            comparison = Some(made);
        }
        let folder = out.display().to_string();
        let distilled = DistilledSeeds { folder, finished, seeds: states, comparison: comparison.as_ref() };
        let printed = self.output.print(&distilled, || distilled.text());
        if finished {
            return printed;
        }
        if results.iter().any(|result| !matches!(result, Some(Ok(true) | Err(_)))) {
            say(format_args!("the same {} distill with --out {} goes on", program(), out.display()));
        }
        Err(Failure::Reported)
    }

    /// Does something with the student of these teachers that has not begun, under `seed` if it is given, and with the run of
    /// the first.
    fn with_student<T>(
        &self,
        teachers: &[&PathBuf],
        seed: Option<u64>,
        registry: &Registry,
        device: &Device,
        then: impl FnOnce(Student<'_>, Option<&Path>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let loaded = teachers.iter().map(|path| load_policy(path)).collect::<Result<Vec<_>, _>>()?;
        let policies: Vec<&Policy> = loaded.iter().map(|(policy, _)| policy).collect();
        let teacher_run = loaded.first().and_then(|(_, run)| run.as_deref());
        let config = self.configuration(policies.first().copied())?;
        let config = match seed {
            Some(seed) => config.with_seed(seed),
            None => {
                config.note_idle(&self.overrides);
                config
            }
        };
        then(self.student(config, &policies, teacher_run, registry, device)?, teacher_run)
    }

    /// A student that has not begun.
    fn student<'a>(
        &self,
        config: Config,
        policies: &[&'a Policy],
        teacher_run: Option<&Path>,
        registry: &Registry,
        device: &Device,
    ) -> Result<Student<'a>, Error> {
        let teaching = match (&self.expert, self.fusion.as_str()) {
            (Some(_), _) => Teaching::Expert,
            (None, "domains") => Teaching::Domains,
            (None, "tasks") => Teaching::Tasks,
            (None, "product") => Teaching::Product,
            (None, _) => Teaching::Mixture,
        };
        let record = TeacherRecord {
            teaching,
            policies: policies.iter().map(|policy| policy.checksum()).collect(),
            weights: None,
            command: self.expert.clone(),
            critic: None,
        };
        // Teachers of tasks have environments of their own, and there is none to start a program for.
        let env = config.env().cloned().unwrap_or_else(|| EnvSpec::new(""));
        let mut teacher = record.teacher(policies, &env, registry)?;
        Ok(match config {
            Config::Tree(_) if self.init.is_some() => {
                return Err(Error::config(
                    "--init: a tree grows from nothing; leave it out, or choose another --preset",
                ));
            }
            Config::Tree(config) => Viper::new(config, teacher, registry)?.into(),
            Config::Network(config) => {
                if config.wants_teacher_values()
                    && let (Some(path), 1) = (teacher_run, policies.len())
                {
                    let run = RunDir::open(path)?;
                    if teachers::are_in(&run) {
                        return Err(Error::config(format!(
                            "value_coef, value_gate: expected 0 and \"off\", or a teacher that was trained; {} is a \
                             distillation, which keeps no critic of its policy",
                            path.display()
                        )));
                    }
                    let (checkpoint, _) = run.last_checkpoint()?;
                    check_units(checkpoint.config(), &config)?;
                    teacher = teacher.with_critic(critic_of(checkpoint, policies[0], registry, device)?);
                }
                match &self.init {
                    None => Distiller::new(*config, teacher, registry, device)?.into(),
                    Some(path) => self.go_on_from(path, *config, teacher, registry, device)?,
                }
            }
        })
    }

    /// A student that begins as the policy at `path`, and holds on to what it was taught in the run there.
    fn go_on_from<'a>(
        &self,
        path: &Path,
        config: DistillConfig,
        teacher: Teacher<'a>,
        registry: &Registry,
        device: &Device,
    ) -> Result<Student<'a>, Error> {
        note_idle(
            &self.overrides,
            &["hidden", "gru_hidden_size", "activation"]
                .map(|key| (key, "a start without --init, which brings its own")),
        );
        let (policy, run) = load_policy(path)?;
        let earlier = match run.map(|run| RunDir::open(&run)).transpose()? {
            Some(run) if config.ewc > 0.0 || config.replay > 0 => run.last_student()?,
            _ => None,
        };
        Ok(Distiller::from_policy(config, &policy, earlier, teacher, registry, device)?.into())
    }

    fn configuration(&self, teacher: Option<&Policy>) -> Result<Config, Error> {
        let text = match &self.config {
            Some(path) => std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?,
            None => presets::student(&self.preset)?,
        };
        let in_file = |e: Error| match &self.config {
            Some(path) => Error::config(format!("{}: {e}", path.display())),
            None => e,
        };
        let mut config = match presets::is_tree(&text) {
            true => Config::Tree(presets::with_overrides(&text, &self.overrides).map_err(in_file)?),
            false => Config::Network(Box::new(presets::with_overrides(&text, &self.overrides).map_err(in_file)?)),
        };
        let with_seed = |config: Config| match self.seed {
            Some(seed) => config.with_seed(seed),
            None => config,
        };
        let each_at_home = ["tasks", "domains"].contains(&self.fusion.as_str());
        if each_at_home && (self.env.is_some() || self.kwargs.are_given()) {
            return Err(Error::config(format!(
                "--fusion {}: expected no --env, --kwargs or --wrappers, since each teacher teaches in its own environment",
                self.fusion
            )));
        }
        if self.fusion == "tasks" {
            return Ok(with_seed(config));
        }
        let env = match &self.env {
            Some(id) => {
                let own = teacher.map(policy_env).transpose()?;
                let known = config.env().cloned().into_iter().chain(own.clone());
                // What the teacher reads and does is within its wrappers, wherever it acts.
                let wrappers = own.map_or_else(Vec::new, |own| own.wrappers);
                let other = || EnvSpec { wrappers, ..EnvSpec::new(id) };
                known.into_iter().find(|env| env.id == *id).unwrap_or_else(other)
            }
            None => match (config.env().cloned(), teacher) {
                (Some(env), _) => env,
                (None, Some(teacher)) => policy_env(teacher)?,
                (None, None) => unreachable!("an expert comes with --env"),
            },
        };
        config.set_env(self.kwargs.over(env)?);
        Ok(with_seed(config))
    }
}

impl Config {
    fn env(&self) -> Option<&EnvSpec> {
        match self {
            Self::Network(config) => config.env.as_ref(),
            Self::Tree(config) => config.env.as_ref(),
        }
    }

    fn note_idle(&self, overrides: &[String]) {
        if let Self::Network(config) = self {
            note_idle(overrides, &config.idle_keys());
        }
    }

    fn set_env(&mut self, env: EnvSpec) {
        match self {
            Self::Network(config) => config.env = Some(env),
            Self::Tree(config) => config.env = Some(env),
        }
    }

    fn with_seed(self, seed: u64) -> Self {
        match self {
            Self::Network(config) => Self::Network(Box::new(DistillConfig { seed, ..*config })),
            Self::Tree(config) => Self::Tree(ViperConfig { seed, ..config }),
        }
    }
}

/// The last part of a path.
fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Refuses a critic whose values are in other units than those that the student learns from its own rewards.
fn check_units(teacher: &PpoConfig, student: &DistillConfig) -> Result<(), Error> {
    let same = !teacher.norm_reward && !student.norm_reward && teacher.gamma == student.gamma;
    if student.task_coef.is_zero() || same {
        return Ok(());
    }
    Err(Error::config(format!(
        "value_coef, value_gate: with task_coef the student learns values of its own rewards, which have to be in the units of \
         the teacher's critic: expected norm_reward = false and gamma = {0} of both, got {1} and {0} of the teacher, {2} and {3} \
         of the student; change the student's, train the teacher without norm_reward, or set task_coef = 0",
        teacher.gamma, teacher.norm_reward, student.norm_reward, student.gamma
    )))
}

impl Distilled<'_> {
    fn text(&self) -> String {
        let reports = self.report.into_iter().chain(self.tasks);
        let report: String = reports.map(|report| format!("\n{}\n", report.to_text())).collect();
        let page = Path::new(&self.run).join("report.md");
        let page = if page.exists() { format!("  report       {}\n", page.display()) } else { String::new() };
        let (policy, run, program) = (&self.policy, &self.run, program());
        let next = match self.finished {
            true => format!("\n  next         {program} export {run} --format c --out export"),
            false => String::new(),
        };
        format!("{report}{page}  policy       {policy}\n  TensorBoard  tensorboard --logdir {run}{next}")
    }
}

impl DistilledSeeds<'_> {
    fn text(&self) -> String {
        let unfinished = self.seeds.iter().filter(|state| !state.finished).map(|state| match &state.error {
            Some(error) => format!("seed {:<6} failed: {error}\n", state.seed),
            None => format!("seed {:<6} stopped, or not begun\n", state.seed),
        });
        let failed: String = unfinished.collect();
        let report = self.comparison.map(|comparison| format!("\n{}\n", comparison.to_text())).unwrap_or_default();
        let page = self.comparison.map(|_| format!("  report       {}/report.md\n", self.folder)).unwrap_or_default();
        format!("{failed}{report}{page}  students     {0}\n  TensorBoard  tensorboard --logdir {0}", self.folder)
    }
}
