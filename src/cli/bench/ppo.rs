//! `apprentice bench ppo`: how fast a teacher is trained.

use super::{Failure, Kwargs, Output, cpu_seconds};
use crate::agents::{Error, LrSchedule, Ppo, Timing, peak_flops};
use crate::cli::Compute;
use crate::envs::{EnvSpec, Registry};
use crate::presets;
use crate::telemetry::Logger;
use clap::Args;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Nothing is evaluated, logged or written meanwhile. A tenth of the steps before warms up.
#[derive(Args)]
pub(super) struct BenchPpo {
    /// The environment.
    #[arg(long, default_value = "CartPole-v1")]
    env: String,
    /// The configuration, by its name in presets/.
    #[arg(long, default_value = "cleanrl")]
    preset: String,
    /// Change a key of the configuration; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Environment steps to train, rounded up to whole rollouts.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps: u64,
    /// What computes the networks: auto, burn or fused.
    #[arg(long, default_value = "auto", value_parser = ["auto", "burn", "fused"])]
    engine: String,
    #[command(flatten)]
    kwargs: Kwargs,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Measured {
    env: EnvSpec,
    preset: String,
    engine: String,
    steps: u64,
    wall_seconds: f64,
    /// Processor time of all threads; null where the system does not tell.
    cpu_seconds: Option<f64>,
    /// By the clock on the wall.
    steps_per_second: f64,
    /// By processor time, which other programs lengthen less.
    steps_per_cpu_second: Option<f64>,
    /// Shares of the time of an iteration; medians over iterations.
    collect_share: f64,
    update_share: f64,
    /// The best of one core, in its widest vectors, on registers only.
    peak_gflops: f64,
    /// What the networks' arithmetic comes to in the median time of an iteration's updates.
    update_gflops: f64,
    update_share_of_peak: f64,
    /// The most memory the process has had; null where the system does not tell.
    peak_memory_mb: Option<f64>,
}

impl BenchPpo {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let mut overrides = vec![format!("env.id={}", self.env), format!("engine={}", self.engine)];
        overrides.extend_from_slice(&self.overrides);
        let mut config = presets::ppo(&self.preset, &overrides)?;
        config.env = self.kwargs.over(config.env)?;
        // Epochs that end early would make the work depend on what is learnt.
        config.target_kl = config.target_kl.filter(|_| config.lr_schedule == LrSchedule::Adaptive);
        config.total_timesteps = self.steps.max(config.num_envs.saturating_mul(config.num_steps) as u64);
        let batch_size = config.plan()?.batch_size as u64;
        let iterations = self.steps.div_ceil(batch_size);
        let warm_up = iterations.div_ceil(10);
        config.total_timesteps = (iterations + warm_up) * batch_size;
        let env = config.env.clone();
        let updated_samples = batch_size as usize * config.update_epochs;

        let mut ppo = Ppo::new(config, registry, &self.compute.device()?)?;
        run(&mut ppo, warm_up)?;
        let (started, cpu_before) = (Instant::now(), cpu_seconds());
        let timings = run(&mut ppo, iterations)?;
        let wall_seconds = started.elapsed().as_secs_f64();
        let cpu_seconds = cpu_seconds().zip(cpu_before).map(|(after, before)| after - before);

        let steps = iterations * batch_size;
        let collect = median(timings.iter().map(|timing| timing.collect));
        let update = median(timings.iter().map(|timing| timing.update));
        let (peak_gflops, engine) = (peak_flops() / 1e9, ppo.engine());
        let update_gflops = (updated_samples * engine.architecture().training_flops()) as f64 / update / 1e9;
        let measured = Measured {
            env,
            preset: self.preset.clone(),
            engine: engine.choice().to_string(),
            steps,
            wall_seconds,
            cpu_seconds,
            steps_per_second: steps as f64 / wall_seconds,
            steps_per_cpu_second: cpu_seconds.map(|seconds| steps as f64 / seconds),
            collect_share: collect / (collect + update),
            update_share: update / (collect + update),
            peak_gflops,
            update_gflops,
            update_share_of_peak: update_gflops / peak_gflops,
            peak_memory_mb: peak_memory_mb(),
        };
        self.output.print(&measured, || measured.text())
    }
}

fn run(ppo: &mut Ppo, iterations: u64) -> Result<Vec<Timing>, Error> {
    let iteration = |_| ppo.train_iteration(&mut Logger::none()).map(|_| ppo.timing());
    (0..iterations).map(iteration).collect()
}

/// Seconds; there is at least one duration.
fn median(durations: impl Iterator<Item = Duration>) -> f64 {
    let mut durations: Vec<Duration> = durations.collect();
    durations.sort();
    durations[durations.len() / 2].as_secs_f64()
}

/// What Linux calls the high-water mark of the resident set.
fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok().map(|kilobytes: f64| kilobytes / 1024.0)
}

impl Measured {
    fn text(&self) -> String {
        let cpu =
            self.steps_per_cpu_second.map_or(String::new(), |rate| format!(", {rate:.0} a second of processor time"));
        let memory = self.peak_memory_mb.map_or(String::new(), |mb| format!("\npeak memory {mb:.0} MB"));
        format!(
            "{} {} ({}): {:.0} steps/s{cpu}\n\
             collecting {:.0} %, updating {:.0} %\n\
             {:.1} of {:.1} GFLOP/s in the update, {:.0} % of one core's peak{memory}",
            self.env.id,
            self.preset,
            self.engine,
            self.steps_per_second,
            100.0 * self.collect_share,
            100.0 * self.update_share,
            self.update_gflops,
            self.peak_gflops,
            100.0 * self.update_share_of_peak,
        )
    }
}
