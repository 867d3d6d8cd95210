//! Nanoseconds a step of single environments through the typed API, resets included: `cargo bench -p apprentice-envs`.
//!
//! The actions are drawn before. Counted is the processor's time, which other programs lengthen less; where the system does
//! not tell, it is the time on the wall. Prints a JSON object: for each environment its rounds, in the order of time.

use apprentice_envs::{
    Acrobot, CartPole, CartPoleConfig, Element, Env, Generator, MountainCar, MountainCarConfig, MountainCarContinuous,
    Pendulum, PendulumConfig,
};
use serde_json::json;
use std::hint::black_box;
use std::time::Duration;

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(200);

fn main() -> Result<(), apprentice_envs::Error> {
    let measured = json!({
        "CartPole-v1": rounds(CartPole::new(CartPoleConfig::default())?),
        "MountainCar-v0": rounds(MountainCar::new(MountainCarConfig::default())?),
        "MountainCarContinuous-v0": rounds(MountainCarContinuous::new(MountainCarConfig::default())?),
        "Pendulum-v1": rounds(Pendulum::new(PendulumConfig::default())?),
        "Acrobot-v1": rounds(Acrobot::new()),
    });
    println!("{measured}");
    Ok(())
}

/// Nanoseconds a step, of every round.
fn rounds<E: Env>(mut env: E) -> Vec<f64> {
    let space = env.action_space();
    let mut rng = Generator::new(0);
    let mut row = vec![0.0; space.flat_dim()];
    let actions: Vec<E::Action> = (0..4096)
        .map(|_| {
            space.sample(&mut rng).write_flat(&mut row);
            E::Action::from_flat(&row, &space).expect("a sample is an action")
        })
        .collect();
    env.reset(&mut rng);
    let round = |_| {
        let (started, mut steps) = (now(), 0);
        while now() - started < ROUND {
            for action in &actions {
                if black_box(env.step(black_box(action), &mut rng)).done() {
                    black_box(env.reset(&mut rng));
                }
            }
            steps += actions.len();
        }
        (now() - started).as_secs_f64() * 1e9 / steps as f64
    };
    (0..ROUNDS).map(round).collect()
}

/// How long this thread has had a processor.
#[cfg(unix)]
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(not(unix))]
fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
