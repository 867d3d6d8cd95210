//! `apprentice bench`: how fast things are on this machine.

mod ppo;

use super::{Failure, Kwargs, Output, seconds};
use crate::agents::Error;
use crate::envs::{Element, EnvSpec, Generator, Part, Registry, Space, StepBuffer, Value, VectorOptions};
use clap::{Args, Subcommand};
use ndarray::Array2;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Steps between two looks at the clock, which takes as long as a step.
const STEPS_A_LOOK: usize = 4096;

#[derive(Args)]
pub(super) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Step an environment with random actions: one of them, and batches of them.
    Env(BenchEnv),
    /// Train with PPO: steps a second from collecting to the gradient step, and how much of the processor that takes.
    Ppo(ppo::BenchPpo),
}

/// The drawing of the actions counts, and every thread draws for its own environments; a step of a batch of N counts as N
/// steps, and none of them is a mere reset.
#[derive(Args)]
struct BenchEnv {
    /// The environment, such as CartPole-v1.
    env: String,
    /// Sizes of the batches.
    #[arg(long, value_delimiter = ',', default_value = "1,64,4096", value_name = "N,…")]
    num_envs: Vec<usize>,
    /// Threads for each of them.
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "T,…")]
    threads: Vec<usize>,
    /// Seconds for each measurement, a quarter of which warms up.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// The seed of the environments and of the actions.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Measured<'a> {
    env: &'a EnvSpec,
    /// The environment that `make` returns, stepped with a `Value` and checked; its resets are in the time.
    single: Speed,
    batches: Vec<BatchSpeed>,
}

#[derive(Serialize)]
struct BatchSpeed {
    num_envs: usize,
    threads: usize,
    #[serde(flatten)]
    speed: Speed,
}

#[derive(Serialize)]
struct Speed {
    steps: usize,
    wall_seconds: f64,
    /// Processor time of all threads; null where the system does not tell.
    cpu_seconds: Option<f64>,
    /// By the clock on the wall.
    steps_per_second: f64,
    nanoseconds_per_step: f64,
}

impl Bench {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        match &self.what {
            What::Env(command) => command.run(registry),
            What::Ppo(command) => command.run(registry),
        }
    }
}

impl BenchEnv {
    fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let spec = self.kwargs.over(EnvSpec::new(&self.env))?;
        // Everything that can be wrong with the request is found before the time is spent.
        let mut batches = Vec::new();
        for &num_envs in &self.num_envs {
            for &threads in &self.threads {
                batches.push(VectorOptions::new(num_envs, self.seed).threads(threads));
                registry.make_vec_with(&spec, &batches[batches.len() - 1])?;
            }
        }
        let single = self.single(&spec, registry)?;
        let measure = |options: &VectorOptions| -> Result<_, Error> {
            let speed = self.batch(&spec, options, registry)?;
            Ok(BatchSpeed { num_envs: options.num_envs, threads: options.threads, speed })
        };
        let batches = batches.iter().map(measure).collect::<Result<_, _>>()?;
        let measured = Measured { env: &spec, single, batches };
        self.output.print(&measured, || measured.text())
    }

    fn single(&self, spec: &EnvSpec, registry: &Registry) -> Result<Speed, Error> {
        let mut env = registry.make(spec)?;
        let mut rng = Generator::stream(self.seed, 1);
        env.reset(Some(self.seed))?;
        Speed::measure(self.seconds, || {
            for _ in 0..STEPS_A_LOOK {
                let action = env.action_space().sample(&mut rng);
                if env.step(&action)?.done() {
                    env.reset(None)?;
                }
            }
            Ok(STEPS_A_LOOK)
        })
    }

    fn batch(&self, spec: &EnvSpec, options: &VectorOptions, registry: &Registry) -> Result<Speed, Error> {
        let mut envs = registry.make_vec_with(spec, options)?;
        let space = envs.action_space().clone();
        let stream = |part| Mutex::new(Generator::stream(self.seed.wrapping_add(part as u64), 1));
        let rngs: Vec<Mutex<Generator>> = (0..envs.parts()).map(stream).collect();
        let act = |mut part: Part<'_>| {
            let mut rng = rngs[part.index].lock().unwrap_or_else(PoisonError::into_inner);
            draw(&space, &mut rng, part.actions.as_slice_mut().expect("the array is in C order"));
        };
        let mut actions = Array2::zeros((options.num_envs, space.flat_dim()));
        let mut buffer = StepBuffer::new(&*envs);
        envs.reset(None, buffer.observations.view_mut())?;
        let calls = STEPS_A_LOOK.div_ceil(options.num_envs);
        Speed::measure(self.seconds, || {
            for _ in 0..calls {
                envs.step_with(&act, actions.view_mut(), buffer.view_mut())?;
            }
            Ok(calls * options.num_envs)
        })
    }
}

/// Fills flat rows with random actions, each uniform in its space and with no more random bits than that takes.
fn draw(space: &Space, rng: &mut Generator, rows: &mut [f32]) {
    /// The bits of a number one by one; shifts by as much as the lane's number take far longer.
    const BITS: [u32; 32] = {
        let mut bits = [1; 32];
        let mut i = 1;
        while i < 32 {
            bits[i] = bits[i - 1] << 1;
            i += 1;
        }
        bits
    };
    match space {
        Space::Discrete { n: 2, start } => {
            let (first, second) = (*start as f32, (*start + 1) as f32);
            for chunk in rows.chunks_mut(BITS.len()) {
                let bits = rng.bits32();
                chunk
                    .iter_mut()
                    .zip(BITS)
                    .for_each(|(action, bit)| *action = if bits & bit == 0 { first } else { second });
            }
        }
        Space::Discrete { n, start } if n.is_power_of_two() => {
            let width = n.trailing_zeros().max(1);
            for chunk in rows.chunks_mut((u64::BITS / width) as usize) {
                let mut bits = rng.bits64();
                for action in chunk {
                    *action = (*start + (bits & u64::from(n - 1)) as i64) as f32;
                    bits >>= width;
                }
            }
        }
        Space::Discrete { n, start } => {
            rows.fill_with(|| (*start + i64::from(rng.integers(*n))) as f32);
        }
        Space::Box { low, high, .. } if low.iter().zip(high).all(|(low, high)| (high - low).is_finite()) => {
            let bounds = low.iter().zip(high).cycle();
            let mut bits = 0;
            for (i, (x, (low, high))) in rows.iter_mut().zip(bounds).enumerate() {
                bits = if i % 2 == 0 { rng.bits64() } else { bits << 32 };
                // The highest 24 bits are as many as an f32 holds.
                *x = low + (high - low) * ((bits >> 40) as f32 / (1 << 24) as f32);
            }
        }
        space => {
            for row in rows.chunks_mut(space.flat_dim()) {
                match space.sample(rng) {
                    Value::Box(action) => row.copy_from_slice(&action),
                    action => action.write_flat(row),
                }
            }
        }
    }
}

impl Speed {
    /// Calls `step`, which says how many steps it took, for so many seconds.
    fn measure(seconds: f64, mut step: impl FnMut() -> Result<usize, Error>) -> Result<Self, Error> {
        let mut steps_for = |seconds: f64| {
            let (started, limit, mut steps) = (Instant::now(), Duration::from_secs_f64(seconds), 0);
            while started.elapsed() < limit {
                steps += step()?;
            }
            Ok::<_, Error>((steps, started.elapsed().as_secs_f64()))
        };
        steps_for(seconds / 4.0)?;
        let cpu_before = cpu_seconds();
        let (steps, wall_seconds) = steps_for(seconds * 3.0 / 4.0)?;
        Ok(Self {
            steps,
            wall_seconds,
            cpu_seconds: cpu_seconds().zip(cpu_before).map(|(after, before)| after - before),
            steps_per_second: steps as f64 / wall_seconds,
            nanoseconds_per_step: wall_seconds * 1e9 / steps as f64,
        })
    }
}

/// The processor time that this process has taken so far, over all threads.
#[cfg(unix)]
fn cpu_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
}

#[cfg(not(unix))]
fn cpu_seconds() -> Option<f64> {
    None
}

impl Measured<'_> {
    fn text(&self) -> String {
        let line = |num_envs: &dyn std::fmt::Display, threads: usize, speed: &Speed| {
            let (rate, wall) = (speed.steps_per_second, speed.nanoseconds_per_step);
            let cpu = speed.cpu_seconds.map_or("–".to_owned(), |s| format!("{:.1}", s * 1e9 / speed.steps as f64));
            format!("{num_envs:>8} {threads:>8} {rate:>14.0} {wall:>10.1} {cpu:>12}\n")
        };
        let mut text = format!(
            "{}\n{:>8} {:>8} {:>14} {:>10} {:>12}\n",
            self.env.id, "num_envs", "threads", "steps/s", "ns/step", "CPU ns/step"
        );
        text += &line(&"single", 1, &self.single);
        for BatchSpeed { num_envs, threads, speed } in &self.batches {
            text += &line(num_envs, *threads, speed);
        }
        text
    }
}
