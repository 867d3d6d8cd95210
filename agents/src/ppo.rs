//! Proximal policy optimisation, in CleanRL's order: collect, advantages, minibatches, losses, log.

use crate::checkpoint::{Checkpoint, Header};
use crate::evaluate::environment_ref;
use crate::logging::{hyperparameters, log_actions, log_weights};
use crate::rollout::normalize_advantages;
use crate::schedule::adapt;
use crate::{
    Architecture, Arena, Collector, Engine, EngineChoice, Error, LossCoefs, NormAdv, Objective, Optimizer, Outcome,
    Plan, PpoConfig, Progress, Rollout, Samples, Session, Timing, Trajectories, UpdateStats, check_rollout,
    checkpoint_path, engine_for, export, gae, policy_action, sequence_heads, sequence_rows,
};
use apprentice_deploy::{Bounding, Normalizer, Policy, Provenance, TeacherRef};
use apprentice_envs::wrappers::{NormalizeReward, RunningMeanStd};
use apprentice_envs::{Generator, Registry, VectorEnv, VectorOptions};
use apprentice_telemetry::Logger;
use burn::tensor::Device;
use ndarray::Array2;
use std::path::Path;
use std::time::Instant;

/// The streams of a run's seed, one for each kind of draw. Environment i draws from the plain seed + i.
#[derive(Clone, Copy)]
pub enum SeedStream {
    /// Initial weights.
    Weights = 1,
    /// Sampled actions.
    Actions = 2,
    /// The order of samples in minibatches.
    Permutation = 3,
    /// Whose turn it is to act, where a teacher and a student take turns.
    Turns = 4,
    /// Initial weights of what a loss learns for itself.
    Projection = 5,
}

impl SeedStream {
    /// The generator of this stream.
    pub fn generator(self, seed: u64) -> Generator {
        Generator::stream(seed, self as u32)
    }
}

/// A PPO agent in training.
///
/// ```no_run
/// use apprentice_agents::{Ppo, PpoConfig, Session, device};
/// use apprentice_envs::Registry;
///
/// let mut ppo = Ppo::new(PpoConfig::default(), &Registry::builtin(), &device("cpu")?)?;
/// ppo.train(&mut Session::default())?;
/// ppo.policy()?.save("policy.apprentice".as_ref())?;
/// # Ok::<(), apprentice_agents::Error>(())
/// ```
pub struct Ppo {
    config: PpoConfig,
    plan: Plan,
    engine: Box<dyn Engine>,
    collector: Collector,
    rollout: Rollout,
    /// The minibatch.
    samples: Samples,
    timing: Timing,
    permutation: Generator,
    iteration: u64,
    /// The learning rate, where it is adaptive.
    adaptive_lr: f64,
    /// The statistics of the observations so far, and what this iteration's are normalised with.
    observations: Option<RunningMeanStd>,
    normalizer: Option<Normalizer>,
    /// The policy that training began with, if it was given one.
    began_with: Option<TeacherRef>,
    /// The state of an optimiser that has taken no step, if the critic learns alone at first.
    fresh_optimizer: Vec<u8>,
    train_seconds: f64,
    arena: Option<Arena>,
    /// The step and the mean return of the last evaluation.
    evaluated: Option<(u64, f64)>,
    /// With `keep_best`, after the first evaluation of what has been learnt.
    best: Option<Best>,
    /// Whether its end has come and could not be told.
    owes_end: bool,
}

/// The policy that had the best evaluation, and the step and the mean return of it.
struct Best {
    step: u64,
    mean: f64,
    policy: Policy,
}

impl Ppo {
    /// An agent at the start of training.
    ///
    /// # Errors
    /// If the configuration is not valid or the environment cannot be made or acted in.
    pub fn new(config: PpoConfig, registry: &Registry, device: &Device) -> Result<Self, Error> {
        config.plan()?;
        let options = VectorOptions::new(config.num_envs, config.seed).threads(config.env_threads);
        let envs = registry.make_vec_with(&config.env, &options)?;
        let arena = || Arena::new(&config.env, config.eval_episodes, registry);
        let arena = (config.evaluations > 0).then(arena).transpose()?;
        Ok(Self { arena, ..Self::with_envs(config, envs, device)? })
    }

    /// An agent that trains in `envs`, whatever `config.env` says; its `num_envs` must be the configuration's.
    /// It is not evaluated while it trains.
    ///
    /// # Errors
    /// If the configuration is not valid or the environment cannot be acted in.
    pub fn with_envs(config: PpoConfig, envs: Box<dyn VectorEnv>, device: &Device) -> Result<Self, Error> {
        let plan = config.plan()?;
        let expected = format!("{}, as many environments as were given", envs.num_envs());
        crate::check("num_envs", config.num_envs, config.num_envs == envs.num_envs(), &expected)?;
        check_rollout(config.num_envs, config.num_steps, envs.observation_space().flat_dim())?;
        let action = policy_action(envs.action_space(), bounding(&config), None)?;
        let architecture = Architecture {
            observation_space: envs.observation_space().clone(),
            distribution: action.distribution(),
            gru_hidden_size: config.gru_hidden_size,
            log_std_init: config.log_std_init,
            state_dependent_std: config.state_dependent_std,
            hidden: config.hidden.clone(),
            shared_trunk: config.shared_trunk,
            activation: config.activation,
            int8_weights: false,
        };
        let mut weights = SeedStream::Weights.generator(config.seed);
        let engine =
            engine_for(config.engine, &architecture, &config.optimizer(), &mut weights, device, config.threads)?;
        let fresh_optimizer = if config.critic_warmup > 0 { engine.optimizer_state()? } else { Vec::new() };
        let flat_dim = envs.observation_space().flat_dim();
        let rollout = Rollout::new(config.num_steps, config.num_envs, flat_dim, &architecture.distribution);
        let mut collector = Collector::new(envs, action, SeedStream::Actions.generator(config.seed))?;
        if config.mask_actions {
            collector = collector.mask_actions()?;
        }
        if config.norm_reward {
            let gamma = config.gamma.into();
            let rewards =
                NormalizeReward { gamma, clip: Some(config.clip_reward), ..NormalizeReward::new(config.num_envs) };
            collector = collector.normalize_rewards(rewards);
        }
        let mut ppo = Self {
            collector,
            permutation: SeedStream::Permutation.generator(config.seed),
            adaptive_lr: config.learning_rate,
            config,
            plan,
            engine,
            rollout,
            samples: Samples::default(),
            timing: Timing::default(),
            iteration: 0,
            observations: None,
            normalizer: None,
            began_with: None,
            fresh_optimizer,
            train_seconds: 0.0,
            arena: None,
            evaluated: None,
            best: None,
            owes_end: false,
        };
        if ppo.config.norm_obs {
            ppo.look_around()?;
        }
        Ok(ppo)
    }

    /// Takes the first statistics of observations from a rollout of the untrained policy, and everything else that it
    /// changed back.
    fn look_around(&mut self) -> Result<(), Error> {
        let space = self.collector.envs().observation_space();
        if !matches!(space, apprentice_envs::Space::Box { .. }) {
            return Err(Error::config(format!("norm_obs: expected observations of a Box, got {space}; switch it off")));
        }
        self.observations = Some(RunningMeanStd::new(space.flat_dim()));
        let before = self.collector.state();
        self.collector.collect(&mut *self.engine, &mut self.rollout)?;
        self.collector.restore(before)?;
        self.take_in_observations();
        self.renew_normalizer();
        Ok(())
    }

    /// Sets out from a policy that normalises observations like this, for good, and is called so.
    pub(crate) fn begin_with(&mut self, normalizer: Option<Normalizer>, policy: TeacherRef) {
        self.normalizer = normalizer;
        self.engine.set_normalizer(self.normalizer.clone());
        self.began_with = Some(policy);
    }

    /// Takes the observations of a rollout into their statistics, if there are any.
    fn take_in_observations(&mut self) {
        if let Some(statistics) = &mut self.observations {
            let columns = self.rollout.observations.dim().2;
            let observations = self.rollout.observations.as_slice().expect("a rollout is contiguous");
            statistics.update(observations.chunks_exact(columns));
        }
    }

    /// Normalises from now on with the statistics so far.
    fn renew_normalizer(&mut self) {
        let Some(statistics) = &self.observations else { return };
        self.normalizer = Some(Normalizer {
            mean: statistics.mean().iter().map(|mean| *mean as f32).collect(),
            std: statistics.var().iter().map(|var| (var + 1e-8).sqrt() as f32).collect(),
            clip: self.config.clip_obs,
        });
        self.engine.set_normalizer(self.normalizer.clone());
    }

    /// An agent that goes on where a checkpoint was written, as if the run had not been interrupted.
    ///
    /// # Errors
    /// If the environment cannot be made or the checkpoint does not belong to it.
    pub fn resume(checkpoint: Checkpoint, registry: &Registry, device: &Device) -> Result<Self, Error> {
        let Checkpoint { header, parameters, optimizer, best } = checkpoint;
        let (got, num_iterations) = (header.iteration, header.config.plan()?.num_iterations);
        if got > num_iterations {
            return Err(Error::corrupt(format!(
                "the checkpoint is at iteration {got} of {num_iterations}; use another one"
            )));
        }
        let config = PpoConfig { engine: header.engine, ..header.config.clone() };
        let mut ppo = Self::new(config, registry, device)?;
        ppo.config = header.config;
        ppo.engine.restore(&parameters, optimizer)?;
        ppo.collector.restore(header.collector)?;
        ppo.evaluated = header.evaluated;
        ppo.best = header.best.zip(best).map(|((step, mean), policy)| Best { step, mean, policy });
        (ppo.adaptive_lr, ppo.observations) = (header.adaptive_lr, header.observations);
        ppo.normalizer = header.normalizer;
        ppo.began_with = header.began_with;
        ppo.engine.set_normalizer(ppo.normalizer.clone());
        ppo.permutation = header.permutation_rng;
        ppo.iteration = header.iteration;
        ppo.train_seconds = header.train_seconds;
        ppo.owes_end = header.owes_end;
        Ok(ppo)
    }

    /// The configuration of the run.
    pub fn config(&self) -> &PpoConfig {
        &self.config
    }

    /// Environment steps trained on so far.
    pub fn global_step(&self) -> u64 {
        self.iteration * self.plan.batch_size as u64
    }

    /// The networks and their optimiser.
    pub fn engine(&mut self) -> &mut dyn Engine {
        &mut *self.engine
    }

    /// The networks as they are now, normaliser included, without the run around them.
    pub fn into_engine(self) -> Box<dyn Engine> {
        self.engine
    }

    /// What steps the environments.
    pub(crate) fn collector(&self) -> &Collector {
        &self.collector
    }

    /// The rollout of the last iteration.
    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Where the time of the last iteration went.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Trains to the end of the configured steps, or until the session is told to stop.
    ///
    /// # Errors
    /// If training diverges or the last checkpoint cannot be written. (An earlier one that cannot is a warning.)
    pub fn train(&mut self, session: &mut Session<'_>) -> Result<Outcome, Error> {
        let started = Instant::now();
        let seconds_before = self.train_seconds;
        let engine = match (self.config.engine, self.engine.choice()) {
            (EngineChoice::Auto, EngineChoice::Fused) => "fused, because the device is the CPU".to_owned(),
            (EngineChoice::Auto, choice) if self.config.gru_hidden_size > 0 => {
                format!("{choice}, because the policy has a memory")
            }
            (EngineChoice::Auto, choice) if self.config.optimizer == Optimizer::Muon => {
                format!("{choice}, because the optimiser is Muon")
            }
            (EngineChoice::Auto, choice) => format!("{choice}, because the device is not the CPU"),
            (_, choice) => choice.to_string(),
        };
        session.logger.begin(&format!("PPO {} ({engine})", self.config.env.id), self.total_steps(), "steps");
        session.logger.progress(self.global_step());
        if self.iteration == 0 {
            session.logger.text("config", &format!("```toml\n{}```", self.config.to_toml()?), 0);
            if self.config.evaluations > 0 {
                self.evaluate(&mut session.logger)?;
            }
        }
        // Whoever goes on from the last checkpoint has told everything already, unless that failed.
        let told = self.iteration > 0 && self.finished() && !self.owes_end;
        let (mut ended, mut good) = (false, None::<Checkpoint>);
        while !self.finished() && !ended && !session.stopped() {
            if session.checkpoints.is_some() && self.engine.parameters().iter().all(|x| x.is_finite()) {
                good = Some(self.checkpoint()?);
            }
            let advanced = self.advance(&mut session.logger);
            self.train_seconds = seconds_before + started.elapsed().as_secs_f64();
            let update = advanced.map_err(|error| match &good {
                Some(good) => session.leave_last_good(good.global_step(), |path| good.save(path), error),
                None => error,
            })?;
            let step = self.global_step();
            // Before a checkpoint, so that whoever goes on from it lacks nothing that came before.
            session.logger.flush();
            if let Some(folder) = &session.checkpoints
                && self.due(self.config.checkpoints)
                && !self.finished()
            {
                // An earlier one is still there, and what has been learnt is worth more than this one.
                let saved = self.checkpoint().and_then(|checkpoint| checkpoint.save(&checkpoint_path(folder, step)));
                if let Err(error) = saved {
                    session.logger.lose(error.to_string());
                }
            }
            let (global_step, total_steps) = (step, self.total_steps());
            ended = session.breaks(&Progress { global_step, total_steps, update, evaluated: self.evaluated });
        }
        self.close(session, told)
    }

    /// An iteration with all that is said of it.
    fn advance(&mut self, logger: &mut Logger) -> Result<UpdateStats, Error> {
        let since = Instant::now();
        let update = self.train_iteration(logger)?;
        let step = self.global_step();
        logger.scalar("charts/SPS", self.plan.batch_size as f64 / since.elapsed().as_secs_f64(), step);
        logger.progress(step);
        if self.due(self.config.evaluations) {
            self.evaluate(logger)?;
        }
        Ok(update)
    }

    /// One rollout and its updates.
    ///
    /// # Errors
    /// If the loss or the policy is no longer finite.
    pub fn train_iteration(&mut self, logger: &mut Logger) -> Result<UpdateStats, Error> {
        let (iteration, num_iterations) = (self.iteration, self.plan.num_iterations);
        let mut learning_rate = match self.config.lr_schedule.timed() {
            Some(schedule) => self.config.learning_rate * schedule.factor(iteration, num_iterations),
            None => self.adaptive_lr,
        };
        let (step, batch, alone) = (self.global_step(), self.plan.batch_size as u64, self.config.critic_warmup);
        let acts = if step < alone { 0.0 } else { 1.0 };
        if (alone..alone + batch).contains(&step) && alone > 0 {
            // An optimiser that has seen nothing but zeros of the actor would take its first steps far too large.
            let fresh = self.fresh_optimizer.clone();
            self.engine.restore(&self.engine.parameters(), fresh)?;
        }
        let coefs = LossCoefs {
            clip_coef: self.config.clip_coef * self.config.clip_schedule.factor(iteration, num_iterations),
            policy_coef: acts,
            clip_vloss: self.config.clip_vloss,
            value_loss: self.config.value_loss,
            ent_coef: acts * self.config.ent_coef * self.config.ent_schedule.factor(iteration, num_iterations),
            vf_coef: self.config.vf_coef,
        };
        if iteration > 0 {
            self.renew_normalizer();
        }

        let step_before = self.global_step();
        let started = Instant::now();
        let episodes = self.collector.collect(&mut *self.engine, &mut self.rollout)?;
        let collected = Instant::now();
        for (t, episode) in episodes {
            let step = step_before + ((t + 1) * self.config.num_envs) as u64;
            logger.scalar("charts/episodic_return", episode.episodic_return, step);
            logger.scalar("charts/episodic_length", f64::from(episode.length), step);
        }

        let (mut advantages, returns) = gae(&trajectories(&self.rollout), self.config.gamma, self.config.gae_lambda);
        if self.config.norm_adv == NormAdv::Batch {
            normalize_advantages(advantages.as_slice_mut().expect("advantages are contiguous"));
        }

        let adaptive = self.config.lr_schedule.timed().is_none();
        let target_kl = self.config.target_kl.map(f64::from);
        let (num_envs, length) = (self.config.num_envs, self.plan.sequence_length);
        let mut order = sequence_heads(self.plan.batch_size, num_envs, length);
        let mut rows = Vec::new();
        let mut stats = UpdateStats::default();
        let mut updates = 0.0;
        for epoch in 0..self.config.update_epochs {
            self.permutation.shuffle(&mut order);
            let mut last_kl = 0.0;
            for (minibatch, heads) in minibatches(&order, self.config.num_minibatches).enumerate() {
                let norm_adv = self.config.norm_adv == NormAdv::Minibatch;
                sequence_rows(heads, num_envs, length, &mut rows);
                self.rollout.pick(&advantages, &returns, &rows, length, norm_adv, &mut self.samples);
                let update = self.engine.update(&self.samples, learning_rate, &Objective::ppo(coefs));
                last_kl = update.approx_kl;
                if let Some((tag, value)) = update.tagged().into_iter().find(|(_, value)| !value.is_finite()) {
                    return Err(Error::diverged(format!(
                        "{tag} is {value} in epoch {epoch}, minibatch {minibatch} (both from 0) after step {step_before}: \
                         training diverged; try a smaller learning_rate"
                    )));
                }
                // While the critic learns alone, nothing diverges, and that says nothing about the rate.
                if let Some(target_kl) = target_kl.filter(|_| adaptive && acts > 0.0) {
                    learning_rate = adapt(learning_rate, last_kl, target_kl);
                }
                stats.add(&update);
                updates += 1.0;
            }
            if target_kl.is_some_and(|target_kl| last_kl > target_kl && !adaptive) {
                break;
            }
        }
        stats.divide(updates);
        self.timing = Timing { collect: collected - started, update: collected.elapsed() };
        self.iteration += 1;
        self.adaptive_lr = learning_rate;
        self.take_in_observations();

        let step = self.global_step();
        stats.tagged().into_iter().for_each(|(tag, value)| logger.scalar(tag, value, step));
        logger.scalar("losses/explained_variance", explained_variance(&self.rollout.values, &returns), step);
        logger.scalar("charts/learning_rate", learning_rate, step);
        logger.scalar("charts/clip_coef", coefs.clip_coef, step);
        logger.scalar("charts/ent_coef", coefs.ent_coef, step);
        Ok(stats)
    }

    /// The policy as it is now, ready to leave the house.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub fn policy(&self) -> Result<Policy, Error> {
        // On how many threads is not how it was made.
        let config = PpoConfig { threads: 1, env_threads: 1, ..self.config.clone() };
        let provenance = Provenance {
            role: "teacher".to_owned(),
            algorithm: "ppo".to_owned(),
            seed: self.config.seed,
            train_steps: self.global_step(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: serde_json::to_value(&config).expect("a configuration is plain data"),
            teacher: self.began_with.clone(),
        };
        let environment = environment_ref(&self.config.env);
        let envs = self.collector.envs();
        let networks = self.engine.networks();
        let log_std = (!self.config.state_dependent_std).then(|| networks.log_std.clone());
        let action = policy_action(envs.action_space(), bounding(&self.config), log_std)?;
        let (normalizer, masked) = (self.normalizer.clone(), self.config.mask_actions);
        export(networks.into_body(), environment, envs.observation_space(), normalizer, action, masked, provenance)
    }

    /// What the run ends with: the policy as it is now, or with `keep_best` the one that had the best evaluation. Its
    /// training steps are those of the run: what came after the best was needed to know that it is.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub fn final_policy(&self) -> Result<Policy, Error> {
        match &self.best {
            Some(best) => Ok(best.policy.with_train_steps(self.global_step())),
            None => self.policy(),
        }
    }

    /// The run as it is now.
    ///
    /// # Errors
    /// If the optimiser's state cannot be saved.
    pub fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let header = Header {
            config: self.config.clone(),
            engine: self.engine.choice(),
            iteration: self.iteration,
            collector: self.collector.state(),
            permutation_rng: self.permutation.clone(),
            adaptive_lr: self.adaptive_lr,
            observations: self.observations.clone(),
            normalizer: self.normalizer.clone(),
            began_with: self.began_with.clone(),
            evaluated: self.evaluated,
            best: self.best.as_ref().map(|best| (best.step, best.mean)),
            train_seconds: self.train_seconds,
            owes_end: self.owes_end,
        };
        let best = self.best.as_ref().map(|best| best.policy.clone());
        Ok(Checkpoint { header, parameters: self.engine.parameters(), optimizer: self.engine.optimizer_state()?, best })
    }

    fn total_steps(&self) -> u64 {
        self.plan.num_iterations * self.plan.batch_size as u64
    }

    /// Whether the last evaluation has reached the target.
    fn solved(&self) -> bool {
        let mean = self.evaluated.map(|(_, mean)| mean);
        self.config.target_return.zip(mean).is_some_and(|(target, mean)| mean >= target)
    }

    /// Whether everything is trained, and the last evaluation has failed.
    pub fn owes_end(&self) -> bool {
        self.owes_end
    }

    /// Whether there is nothing left to train.
    fn finished(&self) -> bool {
        self.iteration == self.plan.num_iterations || self.solved()
    }

    /// Whether one of `times` evenly spread events falls into the iteration that has just ended.
    fn due(&self, times: u32) -> bool {
        let passed = |iteration: u64| iteration * u64::from(times) / self.plan.num_iterations;
        passed(self.iteration) > passed(self.iteration - 1)
    }

    /// Logs what the policy is and, where it can be evaluated, what it earns.
    fn evaluate(&mut self, logger: &mut Logger) -> Result<(), Error> {
        let policy = self.policy()?;
        let step = self.global_step();
        log_weights(logger, &*self.engine, step);
        if self.iteration > 0 {
            let distribution = self.engine.architecture().distribution.clone();
            let (observations, mut memory) = (self.rollout.observation_rows(), self.rollout.memory_rows().to_owned());
            let mut params = Array2::zeros((observations.nrows(), distribution.num_params()));
            self.engine.params(observations, None, memory.view_mut(), params.view_mut())?;
            log_actions(logger, &distribution, params, step);
        }
        let Some(arena) = &mut self.arena else { return Ok(()) };
        let evaluation = arena.evaluate(&policy)?;
        let mean = evaluation.mean();
        self.evaluated = Some((step, mean));
        logger.scalar("eval/return_mean", mean, step);
        logger.scalar("eval/return_std", evaluation.std(), step);
        if let Some(picture) = arena.picture(&policy)? {
            logger.image("eval/frame", &picture, step);
        }
        // Of equals the one that has learnt longer, and never the one that has learnt nothing.
        let better = self.best.as_ref().is_none_or(|best| mean >= best.mean);
        let has_learnt = self.iteration > 0 || self.began_with.is_some();
        if self.config.keep_best && has_learnt && better {
            self.best = Some(Best { step, mean, policy });
        }
        Ok(())
    }

    /// Leaves the final metrics, unless they were told before, and the last checkpoint, and ends the progress display. Where
    /// the last evaluation fails, what was learnt is there all the same, and whoever goes on evaluates it again.
    fn close(&mut self, session: &mut Session<'_>, told: bool) -> Result<Outcome, Error> {
        let (global_step, finished) = (self.global_step(), self.finished());
        let ending = if finished && !told { self.tell_end(&mut session.logger) } else { Ok(()) };
        self.owes_end = ending.is_err();
        session.logger.finish();
        if let (true, Some(target), Some((step, mean))) = (self.solved(), self.config.target_return, self.evaluated) {
            session
                .logger
                .message(&format!("target_return {target} reached: an evaluation of {mean:.1} at step {step}"));
        }
        if let Some(Best { step, mean, .. }) = self.best.as_ref().filter(|_| finished) {
            session
                .logger
                .message(&format!("kept the policy of step {step}, whose evaluation of {mean:.1} was the best"));
        }
        session.logger.flush();
        let save = |path: &Path| self.checkpoint()?.save(path);
        match (ending, &session.checkpoints) {
            (Err(error), _) => return Err(session.leave_last_good(global_step, save, error)),
            (Ok(()), Some(folder)) => save(&checkpoint_path(folder, global_step))?,
            (Ok(()), None) => {}
        }
        Ok(Outcome { finished, global_step, train_seconds: self.train_seconds })
    }

    /// Logs the final metrics.
    fn tell_end(&mut self, logger: &mut Logger) -> Result<(), Error> {
        let mut metrics = vec![("final/train_seconds".to_owned(), self.train_seconds)];
        if self.config.evaluations > 0 && self.evaluated.is_none_or(|(step, _)| step < self.global_step()) {
            self.evaluate(logger)?;
        }
        let policy = self.final_policy()?;
        if let Some(arena) = &mut self.arena {
            metrics.push(("final/return_mean".to_owned(), arena.final_return(&policy)?));
        }
        logger.hyperparameters(&hyperparameters(&self.config), &metrics);
        Ok(())
    }
}

/// The part of a rollout that advantages are computed from.
pub fn trajectories(rollout: &Rollout) -> Trajectories<'_> {
    Trajectories {
        rewards: rollout.rewards.view(),
        values: rollout.values.view(),
        terminated: rollout.terminated.view(),
        truncated: rollout.truncated.view(),
        final_values: rollout.final_values.view(),
        last_values: rollout.last_values.view(),
    }
}

/// Splits an epoch's order of samples into `parts` minibatches whose sizes differ by one at most, so that every sample
/// is in exactly one, and none is much smaller than the others.
pub fn minibatches(order: &[usize], parts: usize) -> impl Iterator<Item = &[usize]> {
    (0..parts).map(move |i| &order[i * order.len() / parts..(i + 1) * order.len() / parts])
}

/// 1 − Var(returns − values) / Var(returns): how much of the returns the critic foresaw; NaN if they do not vary.
fn explained_variance(values: &Array2<f32>, returns: &Array2<f32>) -> f64 {
    let variance = f64::from(returns.var(0.0));
    if variance == 0.0 { f64::NAN } else { 1.0 - f64::from((returns - values).var(0.0)) / variance }
}

fn bounding(config: &PpoConfig) -> Bounding {
    if config.squash_output { Bounding::Tanh } else { Bounding::Clip }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Schedule, device};
    use std::path::PathBuf;

    fn ppo(engine: EngineChoice) -> Ppo {
        let config = PpoConfig {
            engine,
            total_timesteps: 1024,
            num_steps: 32,
            update_epochs: 2,
            hidden: vec![8],
            learning_rate: 1e-2,
            clip_schedule: Schedule::Linear,
            evaluations: 0,
            ..PpoConfig::default()
        };
        Ppo::new(config, &Registry::builtin(), &device("cpu").unwrap()).unwrap()
    }

    #[test]
    fn minibatches_partition_an_epoch_evenly() {
        let order: Vec<usize> = (0..10).rev().collect();
        for parts in 1..=10 {
            let sizes: Vec<usize> = minibatches(&order, parts).map(<[usize]>::len).collect();
            assert_eq!(sizes.len(), parts);
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
            assert_eq!(minibatches(&order, parts).flatten().copied().collect::<Vec<_>>(), order);
        }
    }

    /// Every epoch draws an order of its own, and nothing else draws from that stream.
    #[test]
    fn every_epoch_shuffles_the_rollout_anew() {
        let mut ppo = ppo(EngineChoice::Fused);
        ppo.train_iteration(&mut Logger::none()).unwrap();
        let mut expected = SeedStream::Permutation.generator(0);
        let mut order: Vec<usize> = (0..128).collect();
        for _ in 0..2 {
            expected.shuffle(&mut order);
        }
        assert_eq!(ppo.permutation, expected);
    }

    /// Both rates fall by the same amount after every iteration, whatever the number of epochs and minibatches.
    #[test]
    fn rates_fall_linearly_once_an_iteration() {
        let (logger, log) = Logger::memory();
        ppo(EngineChoice::Burn).train(&mut Session { logger, ..Session::default() }).unwrap();
        for (tag, first) in [("charts/learning_rate", 1e-2), ("charts/clip_coef", 0.2)] {
            let rates: Vec<f64> = log.scalars().into_iter().filter(|(t, ..)| t == tag).map(|(.., rate)| rate).collect();
            let expected: Vec<f64> = (0..8).map(|k| first * (1.0 - f64::from(k) / 8.0)).collect();
            assert_eq!(rates, expected, "{tag}");
        }
    }

    /// Of every minibatch for itself, of the rollout as a whole, or not at all.
    #[test]
    fn advantages_are_normalised_where_the_configuration_says() {
        let moments = |norm_adv| {
            let mut ppo = ppo(EngineChoice::Fused);
            ppo.config.norm_adv = norm_adv;
            ppo.train_iteration(&mut Logger::none()).unwrap();
            let advantages: Vec<f64> = ppo.samples.advantages.iter().map(|a| f64::from(*a)).collect();
            assert_eq!(advantages.len(), 32, "the last of four minibatches");
            (crate::mean(&advantages), crate::std(&advantages))
        };
        let normal = |(mean, std): (f64, f64)| mean.abs() < 1e-5 && (std - 1.0).abs() < 1e-4;
        let (minibatch, batch, off) = (moments(NormAdv::Minibatch), moments(NormAdv::Batch), moments(NormAdv::Off));
        assert!(normal(minibatch) && !normal(batch) && !normal(off), "{minibatch:?} {batch:?} {off:?}");
        assert!(batch.0.abs() < 1.0 && (0.3..3.0).contains(&batch.1) && batch != off, "{batch:?} {off:?}");
    }

    /// Interrupted anywhere, through a file and into a new agent: the same bits as without.
    #[test]
    fn a_resumed_run_equals_an_uninterrupted_one() {
        let remembering = || {
            let hidden = vec![8, 8];
            let optimizer = Optimizer::Muon;
            let config = PpoConfig {
                gru_hidden_size: 4,
                sequence_length: 8,
                hidden,
                optimizer,
                ..ppo(EngineChoice::Auto).config
            };
            Ppo::new(config, &Registry::builtin(), &device("cpu").unwrap()).unwrap()
        };
        let agents: [(EngineChoice, &dyn Fn() -> Ppo); 3] = [
            (EngineChoice::Burn, &|| ppo(EngineChoice::Burn)),
            (EngineChoice::Fused, &|| ppo(EngineChoice::Fused)),
            (EngineChoice::Burn, &remembering),
        ];
        for (engine, new) in agents {
            let mut whole = new();
            whole.train(&mut Session::default()).unwrap();
            for interruption in [1, 3, 7] {
                let mut first = new();
                for _ in 0..interruption {
                    first.train_iteration(&mut Logger::none()).unwrap();
                }
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("a.checkpoint");
                first.checkpoint().unwrap().save(&path).unwrap();
                let checkpoint = Checkpoint::load(&path).unwrap();
                let mut second = Ppo::resume(checkpoint, &Registry::builtin(), &device("cpu").unwrap()).unwrap();
                assert_eq!(second.global_step(), interruption * 128);
                second.train(&mut Session::default()).unwrap();
                // Seconds are the only thing that may differ.
                second.train_seconds = whole.train_seconds;
                let (second, whole) = (second.checkpoint().unwrap(), whole.checkpoint().unwrap());
                assert!(second.header == whole.header, "{engine:?}, {interruption}");
                assert!(second.parameters == whole.parameters, "{engine:?}, {interruption}");
                // burn numbers its parameters anew in every process, and writes the numbers down.
                assert!(engine == EngineChoice::Burn || second.optimizer == whole.optimizer);
            }
        }
    }

    /// A disk that is full half-way costs a checkpoint and not what has been learnt.
    #[test]
    fn a_checkpoint_that_cannot_be_written_does_not_stop_the_run() {
        let mut ppo = ppo(EngineChoice::Fused);
        let mut session = Session { checkpoints: Some(PathBuf::from("no/such/folder")), ..Session::default() };
        assert!(ppo.train(&mut session).unwrap_err().is_io(), "the last one is missed");
        assert_eq!(ppo.global_step(), 1024);
        assert_eq!(session.logger.lost().len(), 3, "{:?}", session.logger.lost());
    }

    /// Whatever goes wrong with the numbers, what there was before it is left and named.
    #[test]
    fn a_run_that_diverges_leaves_the_last_good_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        for engine in [EngineChoice::Burn, EngineChoice::Fused] {
            let mut ppo = ppo(engine);
            ppo.train_iteration(&mut Logger::none()).unwrap();
            // Two steps that no f32 survives.
            ppo.config.learning_rate = 1e38;
            let mut session = Session { checkpoints: Some(folder.path().to_owned()), ..Session::default() };
            let error = ppo.train(&mut session).unwrap_err();
            let message = error.to_string();
            assert!(error.is_diverged() && message.contains("minibatch") || message.contains("outputs"), "{message}");
            let path = checkpoint_path(folder.path(), 128);
            assert!(message.contains(&path.display().to_string()), "{message}");
            let good = Checkpoint::load(&path).unwrap();
            assert!(good.iteration() == 1 && good.parameters.iter().all(|x| x.is_finite()));
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_checkpoint_of_another_network_is_refused() {
        let refused = |checkpoint| {
            Ppo::resume(checkpoint, &Registry::builtin(), &device("cpu").unwrap()).err().unwrap().is_corrupt()
        };
        for engine in [EngineChoice::Burn, EngineChoice::Fused] {
            let checkpoint = ppo(engine).checkpoint().unwrap();
            assert!(refused(Checkpoint { parameters: vec![0.0; 3], ..checkpoint.clone() }));
            assert!(refused(Checkpoint { optimizer: vec![0; 3], ..checkpoint.clone() }));
            let header = Header { iteration: u64::MAX, ..checkpoint.header.clone() };
            assert!(refused(Checkpoint { header, ..checkpoint }));
        }
    }
}
