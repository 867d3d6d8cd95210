//! The distillation loop: collect, learn, validate, log. How it begins is in `begin.rs`, and what is learnt from a rollout
//! in `learn.rs`.

mod begin;
mod continual;
mod learn;

use crate::checkpoint::{Checkpoint, due, leave};
use crate::data::dataset::Dataset;
use crate::data::mixture::{Mixture, eyes};
use crate::loss::features::Projection;
use crate::{DistillConfig, Teacher};
use apprentice_agents::{
    Anchor, Arena, Collector, Engine, Error, Outcome, Progress, Rollout, Session, UpdateStats, checkpoint_path,
    environment_ref, export, hyperparameters, log_actions, log_weights,
};
use apprentice_deploy::{Action, Normalizer, Policy, Provenance};
use apprentice_envs::{EnvSpec, Generator, Space};
use apprentice_telemetry::Logger;
use ndarray::{Array2, Axis};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

pub(crate) use learn::greedy_action;

/// A student in training.
pub struct Distiller<'a> {
    pub(crate) config: DistillConfig,
    pub(crate) num_iterations: u64,
    env: EnvSpec,
    pub(crate) teacher: Teacher<'a>,
    pub(crate) student: Box<dyn Engine>,
    /// One, or one for each of several tasks that are learnt one after another.
    pub(crate) collectors: Vec<Collector>,
    rollout: Rollout,
    pub(crate) data: Dataset,
    /// From the student's features to the teacher's, where these are distilled.
    projection: Option<Mutex<Projection>>,
    /// What keeps the student from forgetting earlier tasks.
    pub(crate) anchor: Option<Anchor>,
    validation: Dataset,
    /// What the student sees.
    space: Space,
    /// How its observations are normalised.
    normalizer: Option<Normalizer>,
    /// Where its part of an observation ends and the teacher's begins, if each has one of its own.
    border: Option<usize>,
    pub(crate) permutation: Generator,
    /// Who acts where both may.
    turns: Generator,
    pub(crate) iteration: u64,
    /// Where it is evaluated: in its environment, or in each of several.
    arenas: Vec<(String, Arena)>,
    /// The step and the mean return of the last evaluation.
    evaluated: Option<(u64, f64)>,
    /// With `keep_best`, after the first evaluation of what has been learnt.
    best: Option<(f64, Policy)>,
    /// Whether it began as a policy, and not with weights that were drawn.
    began_with: bool,
    train_seconds: f64,
    /// Whether its end has come and could not be told.
    owes_end: bool,
}

/// The weights of the losses in one iteration.
#[derive(Clone, Copy, Debug)]
struct Coefs {
    beta: f64,
    coef: f64,
    task_coef: f64,
    learning_rate: f64,
}

/// Means over the minibatches of one iteration.
#[derive(Clone, Copy, Debug, Default)]
struct TrainStats {
    total: f64,
    kd: f64,
    task: f64,
    update: UpdateStats,
}

impl<'a> Distiller<'a> {
    /// Whether it began as a policy, and not with weights that were drawn.
    pub fn began_with_policy(&self) -> bool {
        self.began_with
    }

    /// The configuration, its environment filled in.
    pub fn config(&self) -> &DistillConfig {
        &self.config
    }

    /// Whom the student learns from.
    pub fn teacher(&self) -> &Teacher<'a> {
        &self.teacher
    }

    /// The student's networks and their optimiser.
    pub fn engine(&mut self) -> &mut dyn Engine {
        &mut *self.student
    }

    /// The teacher alone, to be measured.
    pub fn into_teacher(self) -> Teacher<'a> {
        self.teacher
    }

    /// The number of tasks that are learnt one after another; 1 if all are learnt at once.
    pub fn phases(&self) -> usize {
        self.collectors.len()
    }

    /// Environment steps collected so far.
    pub fn global_step(&self) -> u64 {
        self.iteration * (self.config.num_envs * self.config.num_steps) as u64
    }

    /// Trains to the end of the configured steps, or until the session is told to stop.
    ///
    /// # Errors
    /// If training diverges or the last checkpoint cannot be written. (An earlier one that cannot is a warning.)
    pub fn train(&mut self, session: &mut Session<'_>) -> Result<Outcome, Error> {
        let started = Instant::now();
        let seconds_before = self.train_seconds;
        let total = self.num_iterations * self.rollout.rewards.len() as u64;
        session.logger.begin(&format!("distil {}", self.env.id), total, "steps");
        session.logger.progress(self.global_step());
        if self.iteration == 0 {
            session.logger.text("config", &format!("```toml\n{}```", self.config.to_toml()?), 0);
            if self.config.evaluations > 0 {
                self.evaluate(&mut session.logger)?;
            }
        }
        // Whoever goes on from the last checkpoint has told everything already, unless that failed.
        let told = self.finished() && !self.owes_end;
        let (mut ended, mut good) = (false, None::<Checkpoint>);
        while !self.finished() && !ended && !session.stopped() {
            if session.checkpoints.is_some() && self.student.parameters().iter().all(|x| x.is_finite()) {
                good = Some(self.checkpoint()?);
            }
            let advanced = self.advance(&mut session.logger);
            self.train_seconds = seconds_before + started.elapsed().as_secs_f64();
            let update = advanced.map_err(|error| match &good {
                Some(good) => session.leave_last_good(good.global_step(), |path| good.save(path), error),
                None => error,
            })?;
            // Before a checkpoint, so that whoever goes on from it lacks nothing that came before.
            session.logger.flush();
            if self.due(self.config.checkpoints) && !self.finished() {
                leave(session, || self.checkpoint());
            }
            ended = session.breaks(&Progress {
                global_step: self.global_step(),
                total_steps: total,
                update,
                evaluated: self.evaluated,
            });
        }
        let ending = if self.finished() && !told { self.tell_end(&mut session.logger) } else { Ok(()) };
        self.owes_end = ending.is_err();
        session.logger.finish();
        session.logger.flush();
        let (finished, global_step) = (self.finished(), self.global_step());
        let save = |path: &Path| self.checkpoint()?.save(path);
        match (ending, &session.checkpoints) {
            (Err(error), _) => return Err(session.leave_last_good(global_step, save, error)),
            (Ok(()), Some(folder)) => save(&checkpoint_path(folder, global_step))?,
            (Ok(()), None) => {}
        }
        Ok(Outcome { finished, global_step, train_seconds: self.train_seconds })
    }

    /// Whether everything is learnt, and the last evaluation has failed.
    pub fn owes_end(&self) -> bool {
        self.owes_end
    }

    /// Whether there is nothing left to learn.
    fn finished(&self) -> bool {
        self.iteration == self.num_iterations
    }

    /// An iteration with all that is said of it.
    fn advance(&mut self, logger: &mut Logger) -> Result<UpdateStats, Error> {
        let since = Instant::now();
        let update = self.train_iteration(logger)?;
        let (samples, step) = (self.rollout.rewards.len() as f64, self.global_step());
        logger.scalar("charts/SPS", samples / since.elapsed().as_secs_f64(), step);
        logger.progress(step);
        let (_, first, _) = self.phase();
        let task_ends = self.config.sequential && self.iteration == first;
        if self.due(self.config.evaluations) || task_ends && self.config.evaluations > 0 {
            self.evaluate(logger)?;
        }
        Ok(update)
    }

    /// Logs the final metrics.
    fn tell_end(&mut self, logger: &mut Logger) -> Result<(), Error> {
        let mut metrics = vec![("final/train_seconds".to_owned(), self.train_seconds)];
        metrics.extend(self.final_return()?.map(|mean| ("final/return_mean".to_owned(), mean)));
        logger.hyperparameters(&hyperparameters(&self.config), &metrics);
        Ok(())
    }

    /// The mean return of what the distillation ends with over the episodes that reports use, and over its environments if
    /// there are several; None if it is never evaluated.
    fn final_return(&mut self) -> Result<Option<f64>, Error> {
        if self.config.evaluations == 0 {
            return Ok(None);
        }
        let policy = self.final_policy()?;
        let mut means = Vec::new();
        for (_, arena) in &mut self.arenas {
            means.push(arena.final_return(&policy)?);
        }
        Ok(Some(apprentice_agents::mean(&means)))
    }

    /// One rollout and the updates that follow it.
    ///
    /// # Errors
    /// If a loss or the student is no longer finite, or the teacher or the environment fails.
    pub fn train_iteration(&mut self, logger: &mut Logger) -> Result<UpdateStats, Error> {
        let (task, first, _) = self.phase();
        if self.config.sequential {
            if self.iteration == first && task > 0 {
                self.next_task()?;
            }
            self.teacher.set_only(Some(task));
        }
        let coefs = self.coefs();
        let step_before = self.global_step();
        let mut answers = Vec::new();
        let mut actor = Mixture {
            teacher: &mut self.teacher,
            student: &mut *self.student,
            beta: coefs.beta,
            rng: &mut self.turns,
            wants_values: self.config.wants_values(),
            border: self.border,
            answers: &mut answers,
        };
        for (t, episode) in self.collectors[task].collect(&mut actor, &mut self.rollout)? {
            let step = step_before + ((t + 1) * self.config.num_envs) as u64;
            logger.scalar("charts/episodic_return", episode.episodic_return, step);
        }

        self.label(answers)?;
        let stats = self.update(coefs)?;
        self.iteration += 1;

        let step = self.global_step();
        let (validation_loss, accuracy) = self.validate()?;
        for (tag, value) in [
            ("distill/train_loss", stats.total),
            ("distill/kd_loss", stats.kd),
            ("distill/task_loss", stats.task),
            ("distill/validation_loss", validation_loss),
            ("distill/student_accuracy", accuracy),
            ("charts/learning_rate", coefs.learning_rate),
            ("charts/beta", coefs.beta),
            ("charts/coef", coefs.coef),
            ("charts/task_coef", coefs.task_coef),
        ] {
            if !value.is_finite() {
                return Err(Error::diverged(format!(
                    "{tag} is {value} at step {step}: training diverged; try a smaller learning_rate"
                )));
            }
            logger.scalar(tag, value, step);
        }
        if coefs.task_coef > 0.0 {
            stats.update.tagged().iter().for_each(|(tag, value)| logger.scalar(tag, *value, step));
        }
        Ok(stats.update)
    }

    /// What this iteration is done with.
    fn coefs(&self) -> Coefs {
        let (_, first, num_iterations) = self.phase();
        let iteration = self.iteration - first;
        let config = &self.config;
        Coefs {
            beta: config.beta.at(iteration, num_iterations),
            coef: config.coef.at(iteration, num_iterations),
            task_coef: config.task_coef.at(iteration, num_iterations),
            learning_rate: config.learning_rate * config.lr_schedule.factor(iteration, num_iterations),
        }
    }

    /// Evaluates the student as it would be deployed.
    fn evaluate(&mut self, logger: &mut Logger) -> Result<(), Error> {
        let policy = self.policy()?;
        let step = self.global_step();
        let several = self.arenas.len() > 1;
        let mut means = Vec::new();
        for (tag, arena) in &mut self.arenas {
            let mean = arena.evaluate(&policy)?.mean();
            if several {
                logger.scalar(tag, mean, step);
            }
            means.push(mean);
        }
        // Over tasks with different scales this says little, but a student that gains everywhere gains here too.
        let mean = apprentice_agents::mean(&means);
        self.evaluated = Some((step, mean));
        logger.scalar("distill/student_return", mean, step);
        log_weights(logger, &*self.student, step);
        if self.iteration > 0 {
            let distribution = self.teacher.distribution();
            let observations = eyes(self.rollout.observation_rows(), self.border).0;
            let mut memory = self.rollout.memory_rows().split_at(Axis(1), self.student.memory_len()).0.to_owned();
            let mut params = Array2::zeros((observations.nrows(), distribution.num_params()));
            self.student.params(observations, None, memory.view_mut(), params.view_mut())?;
            log_actions(logger, distribution, params, step);
        }
        if let Some(picture) = self.arenas[0].1.picture(&policy)? {
            logger.image("eval/frame", &picture, step);
        }
        // Of equals the one that has learnt longer, and never the one that has learnt nothing.
        let better = self.best.as_ref().is_none_or(|(best, _)| mean >= *best);
        if self.config.keep_best && (self.iteration > 0 || self.began_with) && better {
            self.best = Some((mean, policy));
        }
        Ok(())
    }

    /// What the distillation ends with: the student as it is now, or with `keep_best` the one that had the best evaluation.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub fn final_policy(&self) -> Result<Policy, Error> {
        match &self.best {
            // What came after the best was needed to know that it is.
            Some((_, policy)) => Ok(policy.with_train_steps(self.global_step())),
            None => self.policy(),
        }
    }

    /// The student as it is now, ready to leave the house.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub fn policy(&self) -> Result<Policy, Error> {
        // On how many threads is not how it was made.
        let config = DistillConfig { threads: 1, ..self.config.clone() };
        let provenance = Provenance {
            role: "student".to_owned(),
            algorithm: "distillation".to_owned(),
            seed: self.config.seed,
            train_steps: self.global_step(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: serde_json::to_value(&config).expect("a configuration is plain data"),
            teacher: Some(self.teacher.reference()),
        };
        let environment = environment_ref(&self.env);
        let networks = self.student.networks();
        let action = match self.teacher.action().clone() {
            Action::Box { low, high, bounding, log_std: Some(_) } => {
                Action::Box { low, high, bounding, log_std: Some(networks.log_std.clone()) }
            }
            other => other,
        };
        let (normalizer, masked) = (self.normalizer.clone(), self.teacher.masked());
        export(networks.into_body(), environment, &self.space, normalizer, action, masked, provenance)
    }

    /// Whether one of `times` evenly spread events falls into the iteration that has just ended.
    fn due(&self, times: u32) -> bool {
        due(times, self.iteration, self.num_iterations)
    }
}
