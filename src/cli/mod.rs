//! The command line: one file a subcommand.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed (a file, a damaged policy, training
//! that diverged or was interrupted, mistakes in an environment, an expert that came to its end), 2 wrong usage (an unknown
//! environment, key or device, a value out of range, a policy in an environment that it does not fit).

mod bench;
mod check_env;
mod check_plugin;
mod distill;
mod envs;
mod eval;
mod export;
mod inspect;
mod play;
mod presets;
mod report;
mod trace;
mod train;
mod tune;
mod verify;

use crate::agents::{Error, device, policy_env};
use crate::deploy::{Policy, write_atomically};
use crate::distill::PolicyCard;
use crate::envs::wrappers::WrapperSpec;
use crate::envs::{EnvSpec, Registry};
use crate::plugins;
use crate::presets::with_overrides;
use crate::run::RunOptions;
use burn::tensor::Device;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Train a master, distil an apprentice, ship it anywhere.
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// Add the environments of a plugin, a shared library; may be given often.
    #[arg(long = "plugin", value_name = "FILE", global = true)]
    plugins: Vec<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a teacher with PPO.
    Train(train::Train),
    /// Distil a teacher into a small student and report what was lost.
    Distill(distill::Distill),
    /// Compare students: sizes, returns, fidelity, robustness, and the front of size and return.
    Report(report::Report),
    /// Search for hyperparameters and sizes: the front of size and return.
    Tune(tune::Tune),
    /// Evaluate a policy on episodes it was never trained on.
    Eval(eval::Eval),
    /// Turn a policy into source code that needs nothing, Rust or C99, into an ONNX model, or into safetensors.
    Export(export::Export),
    /// Run an export and compare it with its policy: numbers, actions and returns.
    Verify(verify::Verify),
    /// Show what a policy file holds.
    Inspect(inspect::Inspect),
    /// Watch a policy, or random actions: returns, an animated GIF, a picture, or text.
    Play(play::Play),
    /// List the environments, or show the page of one.
    Envs(envs::Envs),
    /// List the presets, or show one: every key with its meaning.
    Presets(presets::Presets),
    /// Print what an environment does, step by step, to compare with another implementation.
    Trace(trace::Trace),
    /// Look for the mistakes that are easily made in an environment.
    CheckEnv(check_env::CheckEnv),
    /// Measure how fast an environment, or training, is on this machine.
    Bench(bench::Bench),
    /// Try the environments of a plugin, and say what is wrong with them or that all is well.
    CheckPlugin(check_plugin::CheckPlugin),
}

/// Parses the program's arguments, runs the subcommand over the environments of `registry` and reports its error.
///
/// A program with environments of its own has the whole command line with
///
/// ```no_run
/// use apprentice::{cli, envs::Registry};
///
/// fn main() -> std::process::ExitCode {
///     let mut registry = Registry::builtin();
///     // registry.register(…)
///     cli::run(&registry)
/// }
/// ```
pub fn run(registry: &Registry) -> ExitCode {
    // An environment's panic is not worth another exit code; its message is on stderr already.
    let run = || arguments().run(registry.clone());
    let Ok(ended) = catch_unwind(AssertUnwindSafe(run)) else {
        say(format_args!(
            "error: something panicked, with the message above: an environment, which check-env tries, or this program; a run \
             goes on from its last checkpoint with --resume"
        ));
        return ExitCode::from(1);
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Reported) => ExitCode::from(1),
        Err(Failure::Error(error)) => {
            say(format_args!("error: {error}"));
            ExitCode::from(if error.is_config() || error.is_environment() || error.is_device() { 2 } else { 1 })
        }
        // The reader of a pipe has gone (`apprentice trace … | head`): nobody is left to tell.
        Err(Failure::Output(cause)) if cause.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(cause)) => {
            say(format_args!("error: cannot write to stdout: {cause}"));
            ExitCode::from(1)
        }
    }
}

/// The program's arguments. A negative number is a value, and is refused as one where it is out of range.
fn arguments() -> Cli {
    let negative = |arg: clap::Arg| {
        let takes_value = arg.get_action().takes_values() && !arg.is_allow_hyphen_values_set();
        if takes_value { arg.allow_negative_numbers(true) } else { arg }
    };
    let matches = Cli::command().mut_subcommands(|command| command.mut_args(negative)).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

impl Cli {
    fn run(self, mut registry: Registry) -> Result<(), Failure> {
        for plugin in &self.plugins {
            plugins::load(plugin, &mut registry)?;
        }
        match self.command {
            Command::Train(command) => command.run(&registry),
            Command::Distill(command) => command.run(&registry),
            Command::Report(command) => command.run(&registry),
            Command::Tune(command) => command.run(&registry),
            Command::Eval(command) => command.run(&registry),
            Command::Export(command) => command.run(&registry),
            Command::Verify(command) => command.run(&registry),
            Command::Inspect(command) => command.run(),
            Command::Play(command) => command.run(&registry),
            Command::Envs(command) => command.run(&registry),
            Command::Presets(command) => command.run(),
            Command::Trace(command) => command.run(&registry),
            Command::CheckEnv(command) => command.run(&registry),
            Command::CheckPlugin(command) => command.run(),
            Command::Bench(command) => command.run(&registry),
        }
    }
}

/// Why a subcommand did not end well.
enum Failure {
    Error(Error),
    /// Training that was stopped by Ctrl-C, mistakes that were found: what there is to say has been said.
    Reported,
    Output(std::io::Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// What every subcommand understands.
#[derive(Args)]
struct Output {
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

impl Output {
    /// How a run is carried out: with or without progress, and stopped by Ctrl-C.
    fn run_options(&self) -> RunOptions<'static> {
        RunOptions { quiet: self.quiet, stop: Some(stop_on_signal()), ..RunOptions::default() }
    }

    /// Prints the result: as JSON, or as the text that `text` makes.
    fn print(&self, result: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let text = match self.json {
            true => serde_json::to_string(result).expect("results are plain data"),
            false => text(),
        };
        writeln!(std::io::stdout().lock(), "{}", text.trim_end()).map_err(Failure::Output)
    }
}

/// The parameters and the wrappers of an environment, as JSON.
#[derive(Args)]
struct Kwargs {
    /// Parameters of the environment as a JSON object, such as '{"gravity": 1.62}', over those that the policy or
    /// configuration has.
    #[arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true)]
    kwargs: String,
    /// Wrappers around the environment as a JSON list, the innermost first, such as
    /// '[{"type": "StickyAction", "repeat_action_probability": 0.25}]', in place of those that the policy or
    /// configuration has.
    #[arg(long, value_name = "JSON")]
    wrappers: Option<String>,
}

impl Kwargs {
    /// Whether there are any.
    fn are_given(&self) -> bool {
        self.kwargs != "{}" || self.wrappers.is_some()
    }

    /// `spec` with these parameters over its own, and these wrappers if there are any.
    fn over(&self, mut spec: EnvSpec) -> Result<EnvSpec, Error> {
        let kwargs = serde_json::from_str::<serde_json::Map<_, _>>(&self.kwargs);
        let refuse = |e| Error::config(format!("--kwargs {}: expected a JSON object: {e}", self.kwargs));
        spec.kwargs.extend(kwargs.map_err(refuse)?);
        if let Some(wrappers) = &self.wrappers {
            let refuse = |e| Error::config(format!("--wrappers {wrappers}: expected a JSON list of wrappers: {e}"));
            spec.wrappers = serde_json::from_str(wrappers).map_err(refuse)?;
        }
        Ok(spec)
    }
}

impl Kwargs {
    /// Where a policy acts: in its own environment or in the one that is asked for, with these parameters and wrappers.
    fn env_for(&self, policy: &Policy, id: Option<&str>, registry: &Registry) -> Result<EnvSpec, Error> {
        let own = policy_env(policy)?;
        let Some(id) = id.filter(|id| *id != own.id) else { return self.over(own) };
        // What the policy reads and does is within its wrappers, wherever it acts.
        let mut spec = self.over(EnvSpec { wrappers: own.wrappers, ..EnvSpec::new(id) })?;
        let Some(WrapperSpec::MultiTask { observations, actions, .. }) = spec.wrappers.last() else { return Ok(spec) };
        if self.wrappers.is_some() {
            return Ok(spec);
        }
        // A student of several tasks does the one whose inputs and outputs are those of the environment.
        let (observations, actions) = (observations.clone(), actions.clone());
        spec.wrappers.clear();
        let env = registry.make(&spec)?;
        let sizes = (env.observation_space().feature_dim(), env.action_space().feature_dim());
        let tasks = observations.iter().zip(&actions).map(|(features, choices)| (*features, *choices as usize));
        let fitting: Vec<usize> = tasks.enumerate().filter(|(_, task)| *task == sizes).map(|(task, _)| task).collect();
        let [task] = fitting[..] else {
            let (features, choices) = sizes;
            return Err(Error::config(format!(
                "--env {id}: expected the environment of one of the policy's {} tasks, got one of {features} features and \
                 {choices} choices, which fits {} of them; give the parameters of its own with --kwargs, or everything with \
                 --wrappers, its own wrappers first: '[…, {{\"type\": \"MultiTask\", \"task\": 0, \"observations\": \
                 {observations:?}, \"actions\": {actions:?}}}]'",
                observations.len(),
                fitting.len()
            )));
        };
        spec.wrappers.push(WrapperSpec::MultiTask { task, observations, actions });
        Ok(spec)
    }
}

/// How training is carried out.
#[derive(Args)]
struct Compute {
    /// Where tensors live: cpu, or cuda:N in a build with the feature `cuda`.
    #[arg(long, default_value = "cpu")]
    device: String,
}

impl Compute {
    fn device(&self) -> Result<Device, Error> {
        device(&self.device)
    }
}

/// The largest seed of a run: what its configuration, a TOML file, can hold.
const SEED_MAX: u64 = i64::MAX as u64;

/// A file on the command line that is to be written in the format of its ending.
fn ending(path: &str, extension: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    match path.extension().is_some_and(|got| got.eq_ignore_ascii_case(extension)) {
        true => Ok(path),
        false => Err(format!("expected a name that ends in .{extension}")),
    }
}

/// A duration on the command line.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!("expected 0.001 to 3600 seconds, got {text:?}")),
    }
}

/// What the user typed to run this program.
fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from);
    path.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())).unwrap_or_else(|| "apprentice".into())
}

/// Says something on stderr. That nobody can read it any more must not end a run.
fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A flag that the first Ctrl-C (or SIGTERM) sets, so that the run can end in order; the second ends the program.
fn stop_on_signal() -> &'static AtomicBool {
    static STOP: AtomicBool = AtomicBool::new(false);
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
        say(format_args!("\nstopping after this iteration; once more to stop at once"));
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        say(format_args!("warning: Ctrl-C will not leave a checkpoint: {error}"));
    }
    &STOP
}

/// Says which of the keys that were set change nothing, and why.
fn note_idle(overrides: &[String], idle: &[(&str, &str)]) {
    let set = |key: &str| overrides.iter().any(|set| set.split('=').next().is_some_and(|name| name.trim() == key));
    for (key, need) in idle.iter().filter(|(key, _)| set(key)) {
        say(format_args!("note: {key} changes nothing here; it needs {need}"));
    }
}

/// Says that episodes were left before their end, which their returns do not tell.
fn note_unfinished(card: &PolicyCard, max_steps: u32) {
    if card.unfinished > 0 {
        say(format_args!(
            "note: {} of {} episodes had not ended after {max_steps} steps, and count with what they had earned; give the \
             environment a time limit",
            card.unfinished, card.episodes
        ));
    }
}

/// A configuration from a TOML file with `key=value` overrides over it.
fn read_config<C: DeserializeOwned>(path: &Path, overrides: &[String]) -> Result<C, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    if text.trim().is_empty() {
        return Err(Error::config(format!("{}: the file is empty; give the config.toml of a run", path.display())));
    }
    let in_file = |e| Error::config(format!("{}: {e}", path.display()));
    // What is wrong with the file itself is told from what is wrong with an override.
    with_overrides::<C>(&text, &[]).map_err(in_file)?;
    with_overrides(&text, overrides).map_err(|e| Error::config(format!("--set over {}: {e}", path.display())))
}

/// Writes a result into a folder that a user named, making the folder if need be.
fn write_into(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| write_atomically(&path, text.as_bytes()))
        .map_err(|e| Error::io("write", &path, e))?;
    Ok(path)
}

/// The folder of this name, or the first of `path-2`, `path-3`, … if there is one already.
fn fresh(path: &Path) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{}-{n}", path.display())));
    let mut names = std::iter::once(path.to_owned()).chain(numbered);
    names.find(|path| !path.exists()).expect("there are more numbers than directories")
}

/// Loads a policy from its file or from the run directory that holds it.
fn load_policy(path: &Path) -> Result<(Policy, Option<PathBuf>), Error> {
    if path.is_dir() {
        let file = path.join("policy.apprentice");
        if !file.exists() {
            let seed = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
            let seed = seed.filter(|path| path.join("policy.apprentice").exists()).min();
            return Err(Error::io(
                "find a policy in",
                path,
                match seed {
                    Some(run) => format!("it holds several runs; give one, such as {}", run.display()),
                    None if path.join("config.toml").exists() => {
                        let kind = if path.join("teacher.toml").exists() { "distill" } else { "train" };
                        format!(
                            "its run has not come to a policy yet; go on with: {} {kind} --resume {}",
                            program(),
                            path.display()
                        )
                    }
                    None => {
                        "there is no policy.apprentice in it; give a policy file or the directory of a run".to_owned()
                    }
                },
            ));
        }
        return Ok((Policy::load(&file)?, Some(path.to_owned())));
    }
    if path.extension().is_some_and(|extension| extension == "checkpoint") {
        let hint = "it is a checkpoint, for train --resume or distill --resume; the policy is policy.apprentice in the run's directory";
        return Err(Error::io("evaluate", path, hint));
    }
    // Beside a student's policy lies a copy of its teacher, whose run is another one.
    let own = path.file_name().is_some_and(|name| name == "policy.apprentice");
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok((Policy::load(path)?, (own && folder.join("metrics.jsonl").exists()).then(|| folder.to_owned())))
}
