//! One configuration under several seeds, side by side on the cores of the machine, and what the runs have in common.
//!
//! ```text
//! runs/NAME/
//!   seed-0/ seed-1000/ …   the runs, each as if it had been trained alone
//!   seeds.json             their returns, the interquartile mean and the curve, with intervals
//!   seeds.png              the learning curves
//! ```

use crate::agents::{Error, EvaluationPlan, Ppo, PpoConfig, ci95, evaluate, iqm, mean};
use crate::deploy::Policy;
use crate::distill::{Curve, Series, draw_curves, read_curve};
use crate::envs::Registry;
use crate::run::{self, RunDir, RunOptions};
use crate::telemetry::Logger;
use burn::tensor::Device;
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What lies between the seeds of two runs. A run gives its environments the seeds from its own on, which so are no
/// other run's.
pub const SEED_STRIDE: u64 = 1000;

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
    pub env: String,
    /// The runs.
    pub seeds: Vec<SeedResult>,
    /// Evaluation episodes of each.
    pub episodes: usize,
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
    /// The mean learning curve.
    pub curve: Vec<CurvePoint>,
    /// Seconds from the start of the first run to the end of the last.
    pub wall_seconds: f64,
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
/// A run that fails is reported, and the others go on; each has the bits that it would have alone.
///
/// # Errors
/// If the configuration is not valid, a folder cannot be written, or all runs fail.
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
    let run = |k: usize| -> Result<(u64, RunDir), Error> {
        let seed = config.seed.wrapping_add(SEED_STRIDE * k as u64);
        Ok((seed, RunDir::create(&out.join(format!("seed-{seed}")))?))
    };
    let runs: Vec<(u64, RunDir)> = (0..count).map(run).collect::<Result<_, _>>()?;

    let steps_of_a_run = plan.num_iterations * plan.batch_size as u64;
    let steps: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
    let (next, working) = (AtomicUsize::new(0), AtomicUsize::new(jobs.clamp(1, count)));
    let results = Mutex::new(vec![None; count]);
    let mut logger = Logger::console(options.quiet);
    logger.begin(&format!("PPO {}, {count} seeds", config.env.id), steps_of_a_run * count as u64);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let k = next.fetch_add(1, Ordering::Relaxed);
                let Some((seed, run)) = runs.get(k) else { break };
                let config = PpoConfig { seed: *seed, ..config.clone() };
                let result = train_one(config, run, registry, device, options, &steps[k]);
                steps[k].store(steps_of_a_run, Ordering::Relaxed);
                results.lock().expect("nobody panics with it")[k] = Some(result);
            }
            working.fetch_sub(1, Ordering::Release);
        };
        (0..jobs.clamp(1, count)).for_each(|_| drop(scope.spawn(work)));
        while working.load(Ordering::Acquire) > 0 {
            std::thread::sleep(Duration::from_millis(50));
            logger.progress(steps.iter().map(|steps| steps.load(Ordering::Relaxed)).sum());
        }
    });
    logger.finish();

    let seeds: Vec<SeedResult> =
        results.into_inner().expect("nobody panics with it").into_iter().map(|r| r.expect("all are done")).collect();
    let returns: Vec<f64> = seeds.iter().filter_map(|seed| seed.return_mean).collect();
    if returns.is_empty() {
        let first = seeds.into_iter().find_map(|seed| seed.error).unwrap_or_default();
        return Err(Error::diverged(format!("all {count} runs failed, the first with: {first}")));
    }
    let curves: Vec<Curve> = runs.iter().map(|(_, run)| read_curve(&run.metrics(), "eval/return_mean")).collect();
    let report = SeedsReport {
        env: config.env.id.clone(),
        episodes: EvaluationPlan::default().episodes,
        return_mean: mean(&returns),
        return_mean_ci95: ci95(&returns, mean),
        return_iqm: iqm(&returns),
        return_iqm_ci95: ci95(&returns, iqm),
        return_min: returns.iter().copied().fold(f64::INFINITY, f64::min),
        return_max: returns.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        curve: mean_curve(&curves),
        wall_seconds: started.elapsed().as_secs_f64(),
        seeds,
    };
    write(&report, &runs, curves, out)?;
    Ok(report)
}

fn train_one(
    config: PpoConfig,
    run: &RunDir,
    registry: &Registry,
    device: &Device,
    options: RunOptions<'_>,
    steps: &AtomicU64,
) -> SeedResult {
    let seed = config.seed;
    let train = || -> Result<(run::Outcome, f64), Error> {
        let callback = |progress: &crate::agents::Progress| {
            steps.store(progress.global_step, Ordering::Relaxed);
            ControlFlow::Continue(())
        };
        let options = RunOptions { quiet: true, ..options };
        let outcome = run::train_watched(Ppo::new(config, registry, device)?, run, options, Box::new(callback))?;
        let policy = Policy::load(&run.policy())?;
        Ok((outcome, evaluate(&policy, None, registry, &EvaluationPlan::default())?.mean()))
    };
    let (outcome, error) = match train() {
        Ok(outcome) => (Some(outcome), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let (outcome, return_mean) = outcome.unzip();
    SeedResult {
        seed,
        run: run.path().display().to_string(),
        finished: outcome.as_ref().is_some_and(|outcome| outcome.finished),
        return_mean,
        train_steps: outcome.as_ref().map_or(0, |outcome| outcome.global_step),
        train_seconds: outcome.as_ref().map_or(0.0, |outcome| outcome.train_seconds),
        error,
    }
}

/// The mean over curves at every step that all of them have.
fn mean_curve(curves: &[Curve]) -> Vec<CurvePoint> {
    let Some((first, others)) = curves.split_first() else { return Vec::new() };
    let at = |curve: &Curve, step: f64| curve.iter().find(|(s, _)| *s == step).map(|(_, value)| *value);
    let point = |&(step, value): &(f64, f64)| {
        let values: Option<Vec<f64>> = others.iter().map(|curve| at(curve, step)).collect();
        let values: Vec<f64> = std::iter::once(value).chain(values?).collect();
        Some(CurvePoint { step: step as u64, mean: mean(&values), ci95: ci95(&values, mean) })
    };
    first.iter().filter_map(point).collect()
}

fn write(report: &SeedsReport, runs: &[(u64, RunDir)], curves: Vec<Curve>, out: &Path) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(report).expect("a report is plain data");
    let path = out.join("seeds.json");
    crate::deploy::write_atomically(&path, format!("{json}\n").as_bytes()).map_err(|e| Error::io("write", &path, e))?;

    let mut series: Vec<Series> = Vec::new();
    if !report.curve.is_empty() {
        series.push(Series {
            label: format!("mean of {} seeds, 95 % interval", runs.len()),
            curve: report.curve.iter().map(|point| (point.step as f64, point.mean)).collect(),
            band: report.curve.iter().map(|point| (point.step as f64, point.ci95)).collect(),
        });
    }
    // More than a few curves are not told apart by their colours any more.
    if runs.len() <= 3 {
        let labels = runs.iter().map(|(seed, _)| format!("seed {seed}"));
        series.extend(labels.zip(curves).map(|(label, curve)| Series { label, curve, band: Vec::new() }));
    }
    let title = format!("{}: mean return over evaluation episodes", report.env);
    draw_curves(&out.join("seeds.png"), &title, "return", &series)
}
