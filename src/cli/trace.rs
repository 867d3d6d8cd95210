//! `apprentice trace`: what an environment does, so that anyone can compare it with Gymnasium.

use super::{Failure, Kwargs, Output, write_into};
use crate::agents::Error;
use crate::envs::{EnvSpec, Generator, Registry, Space, Value};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Prints JSON lines: `{"reset":true,"observation":…}` first and after every end, where the generator's stream
/// continues, and `{"action":…,"observation":…,"reward":…,"terminated":…,"truncated":…}` a step. Observations are f32
/// in the shortest form that reads back as the same f32: compare them as `numpy.float32`.
#[derive(Args)]
pub(super) struct Trace {
    /// The environment, such as CartPole-v1.
    env: String,
    /// The seed of the first reset.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A file with one JSON action a line, or random:SEED for samples of the action space seeded with SEED.
    #[arg(long, default_value = "random:0", value_name = "FILE|random:SEED")]
    actions: String,
    /// Steps to take [default: as many as the file has actions, or 100].
    #[arg(long)]
    steps: Option<usize>,
    /// Write DIR/trace.jsonl in place of stdout.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Reset { reset: bool, observation: Value },
    Step { action: Value, observation: Value, reward: f64, terminated: bool, truncated: bool },
}

enum Actions {
    Listed(Vec<Value>),
    Random(Generator),
}

/// With `--json`: the whole trace as one object.
#[derive(Serialize)]
struct Whole<'a> {
    env: &'a EnvSpec,
    seed: u64,
    lines: Vec<Line>,
}

impl Trace {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let spec = self.kwargs.over(EnvSpec::new(&self.env))?;
        if let Some(folder) = &self.out {
            let mut all = String::new();
            self.each(&spec, registry, |line| {
                all += &text(&line);
                all.push('\n');
                Ok(())
            })?;
            let path = write_into(folder, "trace.jsonl", &all)?.display().to_string();
            return self.output.print(&serde_json::json!({ "trace": path }), || path.clone());
        }
        if self.output.json {
            let mut whole = Whole { env: &spec, seed: self.seed, lines: Vec::new() };
            self.each(&spec, registry, |line| {
                whole.lines.push(line);
                Ok(())
            })?;
            return self.output.print(&whole, String::new);
        }
        let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
        self.each(&spec, registry, |line| writeln!(stdout, "{}", text(&line)).map_err(Failure::Output))?;
        stdout.flush().map_err(Failure::Output)
    }

    /// Runs the environment and hands out every line as it comes.
    fn each(
        &self,
        spec: &EnvSpec,
        registry: &Registry,
        mut give: impl FnMut(Line) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut env = registry.make(spec)?;
        let (mut actions, available) = self.actions(env.action_space())?;
        let steps = self.steps.unwrap_or(available.unwrap_or(100));
        if let Some(available) = available.filter(|available| *available < steps) {
            return Err(Error::config(format!("--steps {steps}: {} has only {available} actions", self.actions)).into());
        }
        give(Line::Reset { reset: true, observation: env.reset(Some(self.seed))? })?;
        for i in 0..steps {
            let action = actions.next(i, env.action_space());
            let step = env.step(&action).map_err(|e| {
                let what = format!("action {}: {e}", i + 1);
                if e.is_environment() { Error::failed(what) } else { Error::config(what) }
            })?;
            let done = step.done();
            give(Line::Step {
                action,
                observation: step.observation,
                reward: step.reward,
                terminated: step.terminated,
                truncated: step.truncated,
            })?;
            if done {
                give(Line::Reset { reset: true, observation: env.reset(None)? })?;
            }
        }
        Ok(())
    }

    /// The actions, and how many there are if that is limited.
    fn actions(&self, space: &Space) -> Result<(Actions, Option<usize>), Error> {
        if let Some(seed) = self.actions.strip_prefix("random:") {
            let seed = seed.parse().map_err(|_| {
                Error::config(format!("--actions {}: expected a number after random:, such as random:0", self.actions))
            })?;
            return Ok((Actions::Random(Generator::new(seed)), None));
        }
        let path = Path::new(&self.actions);
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read the actions in", path, e))?;
        let parse = |(i, line): (usize, &str)| {
            let read = serde_json::from_str(line).map_err(|e| e.to_string());
            let read = read.and_then(|json| space.value_from_json(&json).map_err(|e| e.to_string()));
            read.map_err(|e| {
                Error::config(format!("{}, line {}: expected one action as JSON: {e}", path.display(), i + 1))
            })
        };
        let listed: Vec<Value> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(parse)
            .collect::<Result<_, _>>()?;
        let available = listed.len();
        Ok((Actions::Listed(listed), Some(available)))
    }
}

impl Actions {
    fn next(&mut self, i: usize, space: &Space) -> Value {
        match self {
            Self::Listed(actions) => actions[i].clone(),
            Self::Random(rng) => space.sample(rng),
        }
    }
}

fn text(line: &Line) -> String {
    serde_json::to_string(line).expect("lines are plain data")
}
