//! Writes a run directory with something of every kind:
//!
//! ```text
//! cargo run -p apprentice-telemetry --example write_everything -- runs/demo
//! tensorboard --logdir runs
//! ```

use std::error::Error;
use std::f64::consts::{PI, TAU};
use std::path::PathBuf;

use apprentice_telemetry::{HparamValue, Image, Logger};

fn main() -> Result<(), Box<dyn Error>> {
    let dir: PathBuf = std::env::args_os().nth(1).ok_or("which directory? usage: write_everything RUN_DIR")?.into();
    let mut log = Logger::run(&dir, false)?;

    log.begin("write everything", 100_000, "steps");
    for step in (0..=100_000_u64).step_by(500) {
        let part = step as f64 / 100_000.0;
        log.scalar("charts/episodic_return", 500.0 * (PI * part / 2.0).sin(), step);
        log.scalar("losses/value_loss", (-5.0 * part).exp(), step);
        if step % 20_000 == 0 {
            log.histogram("weights/normal", &bell(1.0 - 0.5 * part, 0.0), step);
            log.histogram("weights/drifting", &bell(0.2, 3.0 * part), step);
            log.image("view", &gradient(step), step);
            log.flush();
        }
        log.progress(step);
    }
    let extremes =
        [0.0, -0.0, 0.1, f64::MAX, f64::MIN_POSITIVE, 16_777_217.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for (step, value) in extremes.into_iter().enumerate() {
        log.scalar("extremes", value, step as u64);
    }
    log.text("config", "# A run\n\n| key | value |\n|---|---|\n| algo | ppo |", 0);
    log.hyperparameters(
        &[
            ("learning_rate".to_owned(), HparamValue::Number(2.5e-4)),
            ("algorithm".to_owned(), HparamValue::Text("ppo".to_owned())),
            ("anneal".to_owned(), HparamValue::Bool(true)),
        ],
        &[("final/return".to_owned(), 500.0)],
    );
    log.finish();
    log.message(&format!("wrote {}", dir.display()));
    Ok(())
}

/// Bell-shaped values without a random number in sight.
fn bell(width: f64, centre: f64) -> Vec<f32> {
    let evenly = |index: u32| (f64::from(index) + 0.5) / 1_000.0;
    (0..1_000).map(evenly).map(|u| (centre + width * (-2.0 * u.ln()).sqrt() * (TAU * u * 377.0).cos()) as f32).collect()
}

/// Wider than high, so that swapped sides would show.
fn gradient(step: u64) -> Image {
    let (width, height) = (96, 48);
    let blue = (step / 500) as u8;
    let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| [(x * 2) as u8, (y * 5) as u8, blue])).collect();
    Image { width, height, rgb }
}
