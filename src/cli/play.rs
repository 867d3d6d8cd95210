//! `apprentice play`: a policy at work, as numbers, as text, as a picture or as an animation.

use super::{Failure, Kwargs, Output, ending, load_policy, stop_on_signal};
use crate::agents::{Actor, EVALUATION_SEED, Error};
use crate::deploy::Policy;
use crate::distill::figure;
use crate::envs::{DynEnv, EnvSpec, Frame, Generator, GifWriter, Registry, Value};
use clap::Args;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Play {
    /// The policy: a file, or the run directory that holds one; or random for samples of the action space.
    #[arg(value_name = "POLICY|random")]
    policy: PathBuf,
    /// Play in this environment [default: the policy's own].
    #[arg(long, required_if_eq("policy", "random"))]
    env: Option<String>,
    /// Episodes that each environment plays.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    episodes: u32,
    /// Environments that play side by side and share the pictures.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    num_envs: u32,
    /// Seed of the first episode; episode i has this plus i. The default is that of `eval`.
    #[arg(long, default_value_t = EVALUATION_SEED, hide_default_value = true)]
    seed: u64,
    /// An episode that does not end within so many steps is cut there.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_steps: u32,
    /// Write all episodes as an animated GIF.
    #[arg(long, value_name = "FILE", value_parser = |path: &str| ending(path, "gif"))]
    gif: Option<PathBuf>,
    /// Write the last picture as PNG.
    #[arg(long, value_name = "FILE", value_parser = |path: &str| ending(path, "png"))]
    png: Option<PathBuf>,
    /// Print the environment as text after every step; on stderr with --json.
    #[arg(long, conflicts_with = "num_envs")]
    ansi: bool,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Played<'a> {
    env: &'a EnvSpec,
    policy: String,
    /// Of the first episode.
    seed: u64,
    return_mean: f64,
    /// By episode, in the order of their seeds.
    returns: Vec<f64>,
    lengths: Vec<u32>,
    gif: Option<&'a Path>,
    png: Option<&'a Path>,
}

impl Play {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let policy = if self.policy == Path::new("random") { None } else { Some(load_policy(&self.policy)?.0) };
        let spec = match (&self.env, &policy) {
            (id, Some(policy)) => self.kwargs.env_for(policy, id.as_deref(), registry)?,
            (Some(id), None) => self.kwargs.over(EnvSpec::new(id))?,
            (None, None) => return Err(Error::config("random: name the environment with --env").into()),
        };
        let fps = registry.info(&spec.id)?.render_fps;
        let seats = (0..self.num_envs).map(|_| Seat::new(registry.make(&spec)?, policy.as_ref()));
        let mut seats: Vec<Seat<'_>> = seats.collect::<Result<_, Error>>()?;
        let mut gif = self.gif.as_ref().map(|path| GifWriter::create(path, fps)).transpose()?;
        let mut terminal = self.ansi.then(|| Terminal::new(self.output.json, fps));

        let stop = stop_on_signal();
        let (mut returns, mut lengths, mut interrupted) = (Vec::new(), Vec::new(), false);
        'episodes: for round in 0..u64::from(self.episodes) {
            for (seat, i) in seats.iter_mut().zip(round * u64::from(self.num_envs)..) {
                seat.reset(self.seed.wrapping_add(i))?;
            }
            for step in 0..=self.max_steps {
                if stop.load(Ordering::Relaxed) {
                    interrupted = true;
                    break 'episodes;
                }
                if step > 0 {
                    seats.iter_mut().filter(|seat| !seat.done).try_for_each(Seat::step)?;
                }
                if let Some(gif) = &mut gif {
                    gif.push(&picture(&spec.id, &seats)?)?;
                }
                if let Some(terminal) = &mut terminal {
                    let text = seats[0].env.render_ansi().ok_or_else(|| draws_not(&spec.id, "as text"))?;
                    terminal.show(&text)?;
                }
                if seats.iter().all(|seat| seat.done) {
                    break;
                }
            }
            returns.extend(seats.iter().map(|seat| seat.episodic_return));
            lengths.extend(seats.iter().map(|seat| seat.length));
        }
        if interrupted && returns.is_empty() {
            return Err(Failure::Reported);
        }
        gif.map(GifWriter::finish).transpose()?;
        if let Some(path) = &self.png {
            picture(&spec.id, &seats)?.save_png(path)?;
        }
        let played = Played {
            env: &spec,
            policy: self.policy.display().to_string(),
            seed: self.seed,
            return_mean: returns.iter().sum::<f64>() / returns.len() as f64,
            returns,
            lengths,
            gif: self.gif.as_deref(),
            png: self.png.as_deref(),
        };
        let printed = self.output.print(&played, || played.text());
        if interrupted { Err(Failure::Reported) } else { printed }
    }
}

/// An environment and who plays in it.
struct Seat<'a> {
    env: Box<dyn DynEnv>,
    player: Player<'a>,
    observation: Value,
    episodic_return: f64,
    length: u32,
    done: bool,
}

enum Player<'a> {
    Policy(Box<Actor<'a>>),
    Random(Generator),
}

impl<'a> Seat<'a> {
    /// Without a policy, actions are random.
    fn new(env: Box<dyn DynEnv>, policy: Option<&'a Policy>) -> Result<Self, Error> {
        let player = match policy {
            Some(policy) => Player::Policy(Box::new(Actor::new(policy, &*env)?)),
            None => Player::Random(Generator::new(0)),
        };
        Ok(Self { env, player, observation: Value::Discrete(0), episodic_return: 0.0, length: 0, done: false })
    }

    fn reset(&mut self, seed: u64) -> Result<(), Error> {
        self.observation = self.env.reset(Some(seed))?;
        (self.episodic_return, self.length, self.done) = (0.0, 0, false);
        match &mut self.player {
            // A stream that the environment does not have.
            Player::Random(rng) => *rng = Generator::stream(seed, 1),
            Player::Policy(actor) => actor.reset(),
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Error> {
        let action = match &mut self.player {
            Player::Policy(actor) => actor.act(&*self.env, &self.observation)?,
            Player::Random(rng) => self.env.action_space().sample(rng),
        };
        let step = self.env.step(&action)?;
        self.done = step.done();
        self.observation = step.observation;
        self.episodic_return += step.reward;
        self.length += 1;
        Ok(())
    }
}

/// The environments side by side.
fn picture(id: &str, seats: &[Seat<'_>]) -> Result<Frame, Error> {
    let frames: Option<Vec<Frame>> = seats.iter().map(|seat| seat.env.render_rgb()).collect();
    let frames = frames.ok_or_else(|| draws_not(id, "as a picture"))?;
    Ok(Frame::grid(&frames)?)
}

fn draws_not(id: &str, how: &str) -> Error {
    let other = if how == "as text" { "--gif or --png" } else { "--ansi" };
    Error::config(format!("{id} does not draw itself {how}; leave the flag out, or try {other}"))
}

/// Where text frames go: one after the other, or for a person one over the other at the environment's speed.
struct Terminal {
    to_stderr: bool,
    animated: bool,
    pause: Duration,
    /// Of the last frame.
    lines: usize,
}

impl Terminal {
    fn new(to_stderr: bool, fps: u32) -> Self {
        let animated = if to_stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        Self { to_stderr, animated, pause: Duration::from_secs(1) / fps.max(1), lines: 0 }
    }

    fn show(&mut self, text: &str) -> Result<(), Failure> {
        let text = text.trim_end_matches('\n');
        let frame = match self.lines {
            0 => format!("{text}\n"),
            // Up to the beginning of the last frame, and clear what is below.
            lines if self.animated => format!("\x1b[{lines}A\x1b[J{text}\n"),
            _ => format!("\n{text}\n"),
        };
        self.lines = text.lines().count();
        let written = match self.to_stderr {
            true => std::io::stderr().write_all(frame.as_bytes()),
            false => std::io::stdout().write_all(frame.as_bytes()),
        };
        written.map_err(Failure::Output)?;
        if self.animated {
            std::thread::sleep(self.pause);
        }
        Ok(())
    }
}

impl Played<'_> {
    fn text(&self) -> String {
        let mut text = String::new();
        for (i, (episodic_return, length)) in self.returns.iter().zip(&self.lengths).enumerate() {
            text += &format!("episode {i}: return {} in {length} steps\n", figure(*episodic_return));
        }
        if self.returns.len() > 1 {
            text += &format!("mean return {} over {} episodes\n", figure(self.return_mean), self.returns.len());
        }
        for path in [self.gif, self.png].into_iter().flatten() {
            text += &format!("{}\n", path.display());
        }
        text
    }
}
