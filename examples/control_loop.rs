//! A control loop with a deadline: a policy balances the pole in real time, fifty times a second, and the program reports
//! how late it woke up and how long an action took.
//!
//! ```sh
//! cargo run --release --example control_loop -- runs/CartPole-v1-distill-0/policy.apprentice 10   # seconds
//! ```
//!
//! Without a policy it takes a rule of four weights.

use apprentice::agents::{Actor, policy_env};
use apprentice::deploy::{Action, Activation, EnvironmentRef, Features, Header, Layer, Policy, Provenance};
use apprentice::envs::Registry;
use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Of the loop; CartPole advances by as much each step.
const PERIOD: Duration = Duration::from_millis(20);
/// What an action may take at most, waking up included.
const DEADLINE: Duration = Duration::from_millis(2);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let policy = arguments.next().map_or_else(rule, |path| Policy::load(path.as_ref()))?;
    let seconds: f64 = arguments.next().map_or(Ok(2.0), |text| text.parse())?;
    let ticks = (seconds.clamp(0.1, 3600.0) / PERIOD.as_secs_f64()) as u32;

    let mut env = Registry::builtin().make(policy_env(&policy)?)?;
    let mut actor = Actor::new(&policy, &*env)?;
    let mut observation = env.reset(Some(0))?;
    let (mut late, mut act, mut missed, mut falls) = (Vec::new(), Vec::new(), 0, 0);
    let start = Instant::now();
    for tick in 1..=ticks {
        // Counted from the start, so that a late tick does not make all that follow late.
        let due = start + PERIOD * tick;
        sleep(due.saturating_duration_since(Instant::now()));
        let woken = Instant::now();
        let action = actor.act(&*env, &observation)?;
        let done = Instant::now();
        late.push(woken - due);
        act.push(done - woken);
        missed += u32::from(done - due > DEADLINE);

        // Here the motor would be set; the environment stands for the world.
        let step = env.step(&action)?;
        falls += u32::from(step.terminated);
        observation = step.observation.clone();
        if step.done() {
            observation = env.reset(None)?;
            actor.reset();
        }
    }
    println!("{ticks} ticks of {PERIOD:?}, {missed} beyond the deadline of {DEADLINE:?}; the pole fell {falls} times");
    println!("              median      99 %       most");
    for (name, mut times) in [("woken late", late), ("action", act)] {
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
        println!("{name:<10} {:>6.1} µs {:>6.1} µs {:>7.1} µs", at(0.5), at(0.99), at(1.0));
    }
    Ok(())
}

/// Pushes right where ẋ + 4 θ + 2 θ̇ > 0.
fn rule() -> Result<Policy, apprentice::deploy::Error> {
    let header = Header {
        environment: EnvironmentRef {
            id: "CartPole-v1".into(),
            kwargs: serde_json::Value::Null,
            max_episode_steps: None,
            wrappers: serde_json::Value::Null,
        },
        observation: Features::Box { len: 4 },
        normalizer: None,
        action: Action::Discrete { n: 2, start: 0 },
        masked: false,
        provenance: Provenance {
            role: "teacher".into(),
            algorithm: "by hand".into(),
            seed: 0,
            train_steps: 0,
            version: "0".into(),
            config: serde_json::Value::Null,
            teacher: None,
        },
    };
    let weight = vec![0.0, 0.0, 0.0, 1.0, 0.0, 4.0, 0.0, 2.0];
    Policy::new(header, vec![Layer { weight, bias: vec![0.0; 2], activation: Activation::Identity }])
}
