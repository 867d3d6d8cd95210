//! What a training run is connected to, and what it says of itself.

use crate::Error;
use apprentice_telemetry::Logger;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a run is connected to: where it logs, where it leaves checkpoints, and what can stop it.
pub struct Session<'a> {
    /// Where metrics go.
    pub logger: Logger,
    /// The folder for checkpoints; without it none are written.
    pub checkpoints: Option<PathBuf>,
    /// Set by someone else (a signal handler, say) to end the run after the current iteration.
    pub stop: Option<&'a AtomicBool>,
    /// Called after every iteration; the run ends if it breaks.
    pub callback: Option<Box<Callback<'a>>>,
}

/// Who is told of every iteration, and can end the run.
pub type Callback<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// What a callback is told of an iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Environment steps trained on so far.
    pub global_step: u64,
    /// Environment steps of the whole run.
    pub total_steps: u64,
    /// What the updates of this iteration were like.
    pub update: UpdateStats,
    /// The step and the mean return of the last evaluation.
    pub evaluated: Option<(u64, f64)>,
}

impl Default for Session<'_> {
    /// Logs nothing, writes nothing, runs to the end.
    fn default() -> Self {
        Self { logger: Logger::none(), checkpoints: None, stop: None, callback: None }
    }
}

impl Session<'_> {
    /// Whether somebody has asked the run to stop.
    pub fn stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Tells the callback; whether the run shall end.
    pub fn breaks(&mut self, progress: &Progress) -> bool {
        self.callback.as_mut().is_some_and(|callback| callback(progress).is_break())
    }

    /// Writes what the run was before it failed, at `step`, and names it in the error that ended it. Whoever goes on from
    /// there does again what failed.
    pub fn leave_last_good(&self, step: u64, save: impl FnOnce(&Path) -> Result<(), Error>, error: Error) -> Error {
        let Some(folder) = &self.checkpoints else { return error };
        let path = checkpoint_path(folder, step);
        match save(&path) {
            Ok(()) => error.and(&format!("the last good checkpoint is {}", path.display())),
            Err(lost) => error.and(&lost.to_string()),
        }
    }
}

/// The name of the checkpoint of a step within `folder`.
pub fn checkpoint_path(folder: &Path, global_step: u64) -> PathBuf {
    folder.join(format!("{global_step:012}.checkpoint"))
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// False if the run was stopped before its end; reaching `target_return` is an end.
    pub finished: bool,
    /// Environment steps trained on, over all sessions of the run.
    pub global_step: u64,
    /// Seconds of training, over all sessions of the run.
    pub train_seconds: f64,
}

/// Where the time of one iteration went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// In the environments and in asking the networks what to do there.
    pub collect: Duration,
    /// In advantages, minibatches and gradient steps.
    pub update: Duration,
}

/// Means over the minibatches of one iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpdateStats {
    /// The clipped surrogate objective, negated.
    pub policy_loss: f64,
    /// Half the mean squared error of the values.
    pub value_loss: f64,
    /// Entropy of the action distributions, nats.
    pub entropy: f64,
    /// Estimate of KL(old ‖ new).
    pub approx_kl: f64,
    /// Share of samples whose ratio left the clip range.
    pub clipfrac: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The loss beside PPO's, if there is one.
    pub other_loss: f64,
}

impl UpdateStats {
    /// Adds those of a minibatch.
    pub fn add(&mut self, update: &Self) {
        self.policy_loss += update.policy_loss;
        self.value_loss += update.value_loss;
        self.entropy += update.entropy;
        self.approx_kl += update.approx_kl;
        self.clipfrac += update.clipfrac;
        self.grad_norm += update.grad_norm;
        self.other_loss += update.other_loss;
    }

    /// Turns sums over minibatches into means.
    pub fn divide(&mut self, updates: f64) {
        for sum in [
            &mut self.policy_loss,
            &mut self.value_loss,
            &mut self.entropy,
            &mut self.approx_kl,
            &mut self.clipfrac,
            &mut self.grad_norm,
            &mut self.other_loss,
        ] {
            *sum /= updates;
        }
    }

    /// The means of PPO's own figures under the tags they are logged with.
    pub fn tagged(&self) -> [(&'static str, f64); 6] {
        [
            ("losses/policy_loss", self.policy_loss),
            ("losses/value_loss", self.value_loss),
            ("losses/entropy", self.entropy),
            ("losses/approx_kl", self.approx_kl),
            ("losses/clipfrac", self.clipfrac),
            ("losses/grad_norm", self.grad_norm),
        ]
    }
}
