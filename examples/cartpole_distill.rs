//! The whole journey: train a PPO teacher on CartPole, distil it into a student a fortieth of its size, compare them.
//!
//! ```sh
//! cargo run --release --example cartpole_distill
//! ```
//!
//! Takes some seconds. Options: `-- --seed 1`, `-- --out DIR`, `-- --quiet`.

use apprentice::prelude::*;
use apprentice::{presets, run};
use clap::Parser;
use std::path::PathBuf;

/// Train a CartPole teacher and distil it.
#[derive(Parser)]
struct Args {
    /// The seed of both runs.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the two run directories go.
    #[arg(long, default_value = "runs/cartpole_distill")]
    out: PathBuf,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let registry = Registry::builtin();
    let device = device("cpu")?;
    let options = RunOptions { quiet: args.quiet, ..RunOptions::default() };

    // The teacher: two hidden layers of 64, tuned hyperparameters.
    let teacher_run = RunDir::create_fresh(&args.out.join("teacher"))?;
    let config = PpoConfig { seed: args.seed, ..presets::ppo("cartpole", &[])? };
    run::train(Ppo::new(config, &registry, &device)?, &teacher_run, options)?;
    let teacher = Policy::load(&teacher_run.policy())?;

    // The student: one hidden layer of 16. It acts, and the teacher says what it would have done.
    let student_run = RunDir::create_fresh(&args.out.join("student"))?;
    let config = DistillConfig { seed: args.seed, ..presets::distill("default", &[])? };
    let distiller = Distiller::new(config, &teacher, &registry, &device)?;
    let (_, reports) = run::distill(distiller, Some(teacher_run.path()), &student_run, &registry, options)?;

    for report in &reports {
        println!("\n{}", report.to_text());
    }
    println!("  report       {}", student_run.path().join("report.md").display());
    println!("  policy       {}", student_run.policy().display());
    println!("  TensorBoard  tensorboard --logdir {}", args.out.display());
    Ok(())
}
