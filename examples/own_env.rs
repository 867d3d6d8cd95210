//! An environment of your own, with everything that the built-in ones have.
//!
//! ```sh
//! cargo run --release --example own_env                                    # trains and distils
//! cargo run --release --example own_env -- train me/Catch-v0               # or: the whole command line
//! cargo run --release --example own_env -- check-env me/Catch-v0           # what is wrong with it?
//! cargo run --release --example own_env -- envs me/Catch-v0
//! ```

use apprentice::prelude::*;
use apprentice::{cli, envs, presets};
use serde::Deserialize;
use std::process::ExitCode;

/// Parameters with defaults. Unknown ones are refused, so that a typing error is not silently ignored.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CatchConfig {
    width: u32,
    height: u32,
}

impl Default for CatchConfig {
    fn default() -> Self {
        Self { width: 7, height: 9 }
    }
}

/// Catch: a ball falls straight down; move the paddle under it.
#[derive(Clone)]
struct Catch {
    config: (u32, u32),
    ball: (u32, u32),
    paddle: u32,
}

impl Catch {
    fn new(config: CatchConfig) -> Result<Self, envs::Error> {
        if config.width < 2 || config.height < 2 {
            let got = format!("{} × {}", config.width, config.height);
            return Err(envs::Error::config(format!("width × height: expected at least 2 × 2, got {got}")));
        }
        Ok(Self { config: (config.width, config.height), ball: (0, 0), paddle: 0 })
    }

    fn observe(&self) -> [f32; 3] {
        let (width, height) = self.config;
        let share = |x: u32, of: u32| x as f32 / (of - 1) as f32;
        [share(self.ball.0, width), share(self.ball.1, height), share(self.paddle, width)]
    }
}

impl Env for Catch {
    type Observation = [f32; 3];
    type Action = i64;
    /// What changes between two steps: the ball and the paddle.
    type State = ((u32, u32), u32);

    fn observation_space(&self) -> Space {
        Space::bounded(&[0.0; 3], &[1.0; 3])
    }

    /// 0 left, 1 stay, 2 right.
    fn action_space(&self) -> Space {
        Space::discrete(3)
    }

    /// All randomness comes from `rng`, so the same seed gives the same episodes.
    fn reset(&mut self, rng: &mut Generator) -> [f32; 3] {
        self.ball = (rng.integers(self.config.0), 0);
        self.paddle = self.config.0 / 2;
        self.observe()
    }

    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<[f32; 3]> {
        let last = i64::from(self.config.0) - 1;
        self.paddle = (i64::from(self.paddle) + action - 1).clamp(0, last) as u32;
        self.ball.1 += 1;
        let terminated = self.ball.1 == self.config.1 - 1;
        let reward = match (terminated, self.ball.0 == self.paddle) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => -1.0,
        };
        // The time limit is the registry's business, not the author's.
        Step { observation: self.observe(), reward, terminated, truncated: false }
    }

    fn state(&self) -> Self::State {
        (self.ball, self.paddle)
    }

    /// A state may come from a damaged file, so it is looked at.
    fn set_state(&mut self, (ball, paddle): Self::State) -> Result<(), envs::Error> {
        let (width, height) = self.config;
        if ball.0 >= width || ball.1 >= height || paddle >= width {
            return Err(envs::Error::snapshot(format!("ball {ball:?} or paddle {paddle} outside {width} × {height}")));
        }
        (self.ball, self.paddle) = (ball, paddle);
        Ok(())
    }
}

fn main() -> ExitCode {
    let mut registry = Registry::builtin();
    let info =
        EnvInfo::new("me/Catch-v0").max_episode_steps(100).reward_threshold(0.95).page("# me/Catch-v0\n\nCatch.");
    registry.register(info, Catch::new);

    if std::env::args().len() > 1 {
        return cli::run(&registry);
    }
    match train_and_distil(&registry) {
        Ok(report) => {
            println!("{}", report.to_text());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn train_and_distil(registry: &Registry) -> Result<Report, apprentice::agents::Error> {
    let device = device("cpu")?;
    let config = PpoConfig { env: EnvSpec::new("me/Catch-v0"), ..presets::ppo("cartpole", &[])? };
    let mut ppo = Ppo::new(config, registry, &device)?;
    ppo.train(&mut Session { logger: Logger::console(false), ..Session::default() })?;
    let teacher = ppo.policy()?;

    let config = DistillConfig { hidden: vec![8], ..DistillConfig::default() };
    let mut distiller = Distiller::new(config, &teacher, registry, &device)?;
    distiller.train(&mut Session { logger: Logger::console(false), ..Session::default() })?;
    Report::measure((&teacher, None), (&distiller.policy()?, None), registry)
}
