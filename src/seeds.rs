//! One configuration under several seeds, side by side on the cores of the machine, and what the runs have in common.
//!
//! ```text
//! runs/NAME/
//!   seed-0/ seed-1000/ …   the runs, each as if it had been trained alone
//!   seeds.json             their returns, the interquartile mean and the curve, with intervals
//!   seeds.png              the learning curves
//! ```

use crate::agents::{
    Checkpoint, Error, EvaluationPlan, Outcome, Ppo, PpoConfig, Progress, Session, ci95, evaluate, iqm, mean,
};
use crate::deploy::Policy;
use crate::distill::{Curve, Series, draw_curves, read_curve};
use crate::envs::{EnvSpec, Registry};
use crate::jobs::in_parallel;
use crate::run::{self, RunDir, RunOptions};
use crate::telemetry::Logger;
use burn::tensor::Device;
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What lies between the seeds of two runs, if they have no more environments than that. A run gives its environments
/// the seeds from its own on, which so are no other run's.
pub const SEED_STRIDE: u64 = 1000;

/// What lies between the seeds of two runs with so many environments.
pub fn seed_stride(num_envs: usize) -> u64 {
    SEED_STRIDE.max(num_envs as u64)
}

/// What came of one seed.
#[derive(Clone, Debug, Serialize)]
pub struct SeedResult {
    /// The seed.
    pub seed: u64,
    /// The run directory.
    pub run: String,
    /// Whether it was trained to the end.
    pub finished: bool,
    /// Mean return over evaluation episodes never trained on; None if there is no policy.
    pub return_mean: Option<f64>,
    /// Environment steps trained on.
    pub train_steps: u64,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Why the run failed, if it did.
    pub error: Option<String>,
}

/// What came of all seeds.
#[derive(Clone, Debug, Serialize)]
pub struct SeedsReport {
    /// The environment.
    pub env: EnvSpec,
    /// The runs; statistics are over those that came to their end.
    pub seeds: Vec<SeedResult>,
    /// Evaluation episodes of each.
    pub episodes: usize,
    /// Over the runs that came to their end; nothing if none did.
    #[serde(flatten)]
    pub statistics: Option<SeedStatistics>,
    /// The mean learning curve.
    pub curve: Vec<CurvePoint>,
    /// Seconds from the start of the first run to the end of the last.
    pub wall_seconds: f64,
}

/// What the runs have in common.
#[derive(Clone, Debug, Serialize)]
pub struct SeedStatistics {
    /// Mean of their returns, and its 95 % interval over seeds (bootstrap).
    pub return_mean: f64,
    /// As it says.
    pub return_mean_ci95: [f64; 2],
    /// The interquartile mean of their returns.
    pub return_iqm: f64,
    /// Its 95 % interval over seeds (bootstrap).
    pub return_iqm_ci95: [f64; 2],
    /// The worst of their returns.
    pub return_min: f64,
    /// The best of their returns.
    pub return_max: f64,
}

/// A step of the mean learning curve.
#[derive(Clone, Debug, Serialize)]
pub struct CurvePoint {
    /// Environment steps.
    pub step: u64,
    /// Mean over seeds of the mean return of an evaluation.
    pub mean: f64,
    /// Its 95 % interval over seeds (bootstrap).
    pub ci95: [f64; 2],
}

/// Trains `config` under `count` seeds from its own on, [`SEED_STRIDE`] apart, `jobs` at a time, into the folder `out`.
///
/// A run that fails is reported, and the others go on; each has the bits that it would have alone. Runs that are there
/// already go on where they were stopped; those that are finished are left as they are.
///
/// # Errors
/// If the configuration is not valid, a folder holds a run with another one, or the report cannot be written.
pub fn train_seeds(
    config: &PpoConfig,
    count: usize,
    jobs: usize,
    out: &Path,
    registry: &Registry,
    device: &Device,
    options: RunOptions<'_>,
) -> Result<SeedsReport, Error> {
    let started = Instant::now();
    // What is wrong with the request is found before a folder is made for it.
    let plan = config.plan()?;
    Ppo::new(config.clone(), registry, device)?;
    let stride = seed_stride(config.num_envs);
    let seeds = (0..count as u64).map(|k| config.seed.wrapping_add(stride * k));
    let folders: Vec<(u64, PathBuf)> = seeds.map(|seed| (seed, out.join(format!("seed-{seed}")))).collect();
    RunDir::check_folder_of_runs(out)?;
    std::fs::create_dir_all(out).map_err(|e| Error::io("create", out, e))?;
    let _lock = run::lock(out)?;
    for (seed, folder) in &folders {
        if !RunDir::has_begun(folder)? {
            continue;
        }
        if PpoConfig::from_toml(&RunDir::open(folder)?.config()?)? != (PpoConfig { seed: *seed, ..config.clone() }) {
            let hint =
                "it holds one with another configuration; choose another directory, or give the one it was begun with";
            return Err(Error::io("train in", folder, hint));
        }
    }

    let steps_of_a_run = plan.num_iterations * plan.batch_size as u64;
    let steps: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
    let mut logger = Logger::console(options.quiet);
    logger.begin(&format!("PPO {}, {count} seeds", config.env.id), steps_of_a_run * count as u64, "steps");
    let work = |k: usize| {
        let (seed, folder) = &folders[k];
        train_one(PpoConfig { seed: *seed, ..config.clone() }, folder, registry, device, options, &steps[k])
    };
    let watch = || logger.progress(steps.iter().map(|steps| steps.load(Ordering::Relaxed)).sum());
    let results = in_parallel(count, jobs, options.stop, work, watch);
    logger.finish();

    let seeds: Vec<SeedResult> = results
        .into_iter()
        .zip(&folders)
        .map(|(result, (seed, folder))| result.unwrap_or_else(|| SeedResult::unbegun(*seed, folder)))
        .collect();
    let finished = || seeds.iter().zip(&folders).filter(|(seed, _)| seed.finished);
    let returns: Vec<f64> = finished().filter_map(|(seed, _)| seed.return_mean).collect();
    let metrics = |folder: &Path| read_curve(&folder.join("metrics.jsonl"), "eval/return_mean");
    let curves: Vec<(u64, Curve)> = finished().map(|(seed, (_, folder))| (seed.seed, metrics(folder))).collect();
    let report = SeedsReport {
        env: config.env.clone(),
        episodes: EvaluationPlan::default().episodes,
        statistics: (!returns.is_empty()).then(|| SeedStatistics {
            return_mean: mean(&returns),
            return_mean_ci95: ci95(&returns, mean),
            return_iqm: iqm(&returns),
            return_iqm_ci95: ci95(&returns, iqm),
            return_min: returns.iter().copied().fold(f64::INFINITY, f64::min),
            return_max: returns.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }),
        curve: mean_curve(&curves.iter().map(|(_, curve)| curve).collect::<Vec<_>>()),
        wall_seconds: started.elapsed().as_secs_f64(),
        seeds,
    };
    write(&report, curves, out)?;
    Ok(report)
}

impl SeedResult {
    /// Of a run that was stopped before it began.
    fn unbegun(seed: u64, folder: &Path) -> Self {
        Self {
            seed,
            run: folder.display().to_string(),
            finished: false,
            return_mean: None,
            train_steps: 0,
            train_seconds: 0.0,
            error: None,
        }
    }
}

fn train_one(
    config: PpoConfig,
    folder: &Path,
    registry: &Registry,
    device: &Device,
    options: RunOptions<'_>,
    steps: &AtomicU64,
) -> SeedResult {
    let unbegun = SeedResult::unbegun(config.seed, folder);
    let train = || -> Result<(Outcome, f64), Error> {
        let callback = |progress: &Progress| {
            steps.store(progress.global_step, Ordering::Relaxed);
            ControlFlow::Continue(())
        };
        let options = RunOptions { quiet: true, ..options };
        let is_there = folder.join("config.toml").exists();
        let run = if is_there { RunDir::open(folder)? } else { RunDir::create(folder)? };
        let outcome = match is_there.then(|| run.newest(Checkpoint::load)).transpose()?.flatten() {
            Some((checkpoint, _)) if checkpoint.is_finished() && run.policy().exists() => {
                steps.store(checkpoint.global_step(), Ordering::Relaxed);
                Outcome {
                    finished: true,
                    global_step: checkpoint.global_step(),
                    train_seconds: checkpoint.train_seconds(),
                }
            }
            Some(_) => run::resume_watched(&run, registry, device, options, Some(Box::new(callback)))?,
            None => {
                let _lock = run.lock()?;
                let mut ppo = Ppo::new(config, registry, device)?;
                run.write("config.toml", &ppo.config().to_toml()?)?;
                // What one that was stopped before its first checkpoint has logged is logged again.
                let session = if is_there { run.session_from(0, Vec::new(), options)? } else { run.session(options)? };
                run::finish_training(&mut ppo, &run, Session { callback: Some(Box::new(callback)), ..session })?
            }
        };
        let policy = Policy::load(&run.policy())?;
        Ok((outcome, evaluate(&policy, None, registry, &EvaluationPlan::default())?.mean()))
    };
    match train() {
        Ok((Outcome { finished, global_step, train_seconds }, mean)) => {
            SeedResult { finished, return_mean: Some(mean), train_steps: global_step, train_seconds, ..unbegun }
        }
        Err(error) => SeedResult { error: Some(error.to_string()), ..unbegun },
    }
}

/// The mean over curves at every step that all of them have.
fn mean_curve(curves: &[&Curve]) -> Vec<CurvePoint> {
    let Some((first, others)) = curves.split_first() else { return Vec::new() };
    let at = |curve: &Curve, step: f64| curve.iter().find(|(s, _)| *s == step).map(|(_, value)| *value);
    let point = |&(step, value): &(f64, f64)| {
        let values: Option<Vec<f64>> = others.iter().map(|curve| at(curve, step)).collect();
        let values: Vec<f64> = std::iter::once(value).chain(values?).collect();
        Some(CurvePoint { step: step as u64, mean: mean(&values), ci95: ci95(&values, mean) })
    };
    first.iter().filter_map(point).collect()
}

fn write(report: &SeedsReport, curves: Vec<(u64, Curve)>, out: &Path) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(report).expect("a report is plain data");
    let path = out.join("seeds.json");
    std::fs::create_dir_all(out).map_err(|e| Error::io("create", out, e))?;
    crate::deploy::write_atomically(&path, format!("{json}\n").as_bytes()).map_err(|e| Error::io("write", &path, e))?;

    let mut series: Vec<Series> = Vec::new();
    if !report.curve.is_empty() {
        series.push(Series {
            label: format!("mean of {} seeds, 95 % interval", curves.len()),
            curve: report.curve.iter().map(|point| (point.step as f64, point.mean)).collect(),
            band: report.curve.iter().map(|point| (point.step as f64, point.ci95)).collect(),
        });
    }
    // More than a few curves are not told apart by their colours any more.
    if curves.len() <= 3 {
        let one = |(seed, curve)| Series { label: format!("seed {seed}"), curve, band: Vec::new() };
        series.extend(curves.into_iter().map(one));
    }
    let title = format!("{}: mean return over evaluation episodes", report.env.id);
    draw_curves(&out.join("seeds.png"), &title, "return", &series)
}
