//! The distillation loop: collect, label, advantages, minibatches, losses, validate, log.

use crate::checkpoint::{Began, Checkpoint, Header, Kind, Learnt, State, due, leave};
use crate::collect::{allowed, collector, held_out_states, labels, training_envs};
use crate::dataset::{Dataset, States};
use crate::features::{FeatureTerm, Projection, check_features, lock};
use crate::imitation::{Imitation, normalized};
use crate::loss::{Scratch, add_loss, check_losses};
use crate::mixture::{Mixture, eyes};
use crate::{DistillConfig, PolicyLoss, Teacher, Temperatures, ValueGate, same_action};
use apprentice_agents::{
    Anchor, Architecture, Arena, Behavior, Collector, Engine, EngineChoice, Error, Initial, LossCoefs, NormAdv,
    Objective, Optimizer, OptimizerConfig, Outcome, OutputLoss, Progress, Rollout, Samples, SeedStream, Session,
    UpdateStats, ValueClip, ValueLoss, check_fit, checkpoint_path, engine_for, environment_ref, export, gae,
    hyperparameters, log_actions, log_weights, minibatches, normalize_advantages, params_in_order, sequence_heads,
    sequence_rows, trajectories,
};
use apprentice_deploy::{Action, Distribution, Normalizer, Policy, Provenance};
use apprentice_envs::wrappers::NormalizeReward;
use apprentice_envs::{EnvSpec, Generator, Registry, Space, VectorEnv};
use apprentice_telemetry::Logger;
use burn::tensor::Device;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

/// Adam's ε.
const ADAM_EPSILON: f32 = 1e-5;

/// The largest normalised reward, as PPO's is by default.
const CLIP_REWARD: f64 = 10.0;

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
    /// A fresh student of `teacher`.
    ///
    /// # Errors
    /// If the configuration is not valid, the environment cannot be made, or the teacher cannot act in it.
    pub fn new(
        config: DistillConfig,
        teacher: impl Into<Teacher<'a>>,
        registry: &Registry,
        device: &Device,
    ) -> Result<Self, Error> {
        Self::build(config, teacher.into(), None, false, registry, device)
    }

    /// A fresh student that is validated on these states, or on states that are collected now. Whether it has something to
    /// remember before its first task.
    fn build(
        mut config: DistillConfig,
        mut teacher: Teacher<'a>,
        validation: Option<Dataset>,
        remembers: bool,
        registry: &Registry,
        device: &Device,
    ) -> Result<Self, Error> {
        let env = match config.env.take() {
            Some(env) if teacher.several_tasks().is_some() && env != teacher.env()? => {
                return Err(Error::config(
                    "env: expected none with teachers of several tasks, each of which teaches in its own environment; leave it out",
                ));
            }
            Some(env) => env,
            None => teacher.env()?,
        };
        config.env = Some(env.clone());
        let num_iterations = config.plan()?;
        if !config.sequential && !remembers && (config.replay > 0 || config.ewc > 0.0) {
            return Err(Error::config(
                "replay and ewc hold on to what was learnt before: expected sequential = true, or a student to begin with \
                 (init), or 0",
            ));
        }
        let phases = if config.sequential { teacher.domain_envs()?.len() } else { 1 };
        if config.sequential && !(2..=num_iterations).contains(&(phases as u64)) {
            return Err(Error::config(format!(
                "sequential: expected teachers of several domains or tasks and a rollout for each at least, got {phases} and \
                 {num_iterations} rollouts; give several teachers with --fusion domains or tasks"
            )));
        }
        // The phases are of two lengths at most.
        for length in [num_iterations / phases as u64, num_iterations.div_ceil(phases as u64)] {
            config.check_idle(length)?;
        }
        let mut parts = Vec::new();
        for phase in 0..phases {
            teacher.set_only(config.sequential.then_some(phase));
            let seed = config.seed.wrapping_add((phase * config.num_envs) as u64);
            parts.push(training_envs(&mut teacher, &config, config.num_envs, seed, registry)?);
        }
        teacher.set_only(None);
        let (flat_dim, space) = (parts[0].0.observation_space().flat_dim(), parts[0].1.clone());
        let border = (*parts[0].0.observation_space() != space).then(|| space.flat_dim());
        if config.wants_teacher_values() && teacher.several_tasks().is_some() {
            return Err(Error::config(
                "value_coef and value_gate: expected 0 and \"off\" with teachers of several tasks, whose values nobody puts together",
            ));
        }
        if config.wants_teacher_values() && !teacher.has_critic() {
            return Err(Error::config(
                "value_coef and value_gate need the values of a teacher's critic, which a policy file does not have: give the \
                 teacher's run directory with its checkpoints, or set value_coef = 0 and value_gate = \"off\"",
            ));
        }
        let distribution = teacher.distribution().clone();
        check_losses(&config.policy_losses(), config.temperatures(), &distribution)?;
        let architecture = Architecture {
            observation_space: space.clone(),
            distribution: distribution.clone(),
            gru_hidden_size: config.gru_hidden_size,
            // A student's spread is learnt with the rest of the teacher's distribution, and starts like a PPO agent's.
            log_std_init: 0.0,
            state_dependent_std: matches!(teacher.action(), Action::Box { log_std: None, .. }),
            hidden: config.hidden.clone(),
            shared_trunk: false,
            activation: config.activation,
            int8_weights: config.quantization_aware,
        };
        let mut weights = SeedStream::Weights.generator(config.seed);
        let mut engine = config.engine;
        let mut projection = None;
        if !config.feature_losses().is_empty() {
            let (own, units) = check_features(teacher.feature_units(), &config.hidden)?;
            if config.engine == EngineChoice::Fused {
                return Err(Error::config(
                    "features: expected engine = \"burn\" or \"auto\", got \"fused\", which has no such loss",
                ));
            }
            engine = EngineChoice::Burn;
            let mut rng = SeedStream::Projection.generator(config.seed);
            projection = Some(Mutex::new(Projection::new(own, units, &mut rng, device)));
        }
        let validation = match validation {
            Some(validation) => validation,
            None => held_out_states(&mut teacher, &config, registry)?,
        };
        teacher.set_num_envs(config.num_envs);
        let optimizer = OptimizerConfig {
            optimizer: Optimizer::AdamW,
            adam_epsilon: ADAM_EPSILON,
            weight_decay: 0.0,
            max_grad_norm: config.max_grad_norm,
        };
        let mut student = engine_for(engine, &architecture, &optimizer, &mut weights, device, config.threads)?;
        // The student looks through the teacher's glasses: what is common to all inputs it need not learn. Other eyes
        // need others.
        let normalizer = teacher.normalizer().filter(|_| border.is_none());
        student.set_normalizer(normalizer.clone());
        let collect = |(envs, _): (Box<dyn VectorEnv>, Space)| -> Result<Collector, Error> {
            let collector = collector(envs, &teacher, SeedStream::Actions.generator(config.seed))?;
            let gamma = config.gamma.into();
            let rewards = NormalizeReward { gamma, clip: Some(CLIP_REWARD), ..NormalizeReward::new(config.num_envs) };
            Ok(if config.norm_reward { collector.normalize_rewards(rewards) } else { collector })
        };
        let collectors = parts.into_iter().map(collect).collect::<Result<_, _>>()?;
        let mut places = teacher.domain_envs()?;
        if places.is_empty() {
            places.push(env.clone());
        }
        let arena = |(k, place): (usize, &EnvSpec)| -> Result<_, Error> {
            let tag = format!("distill/student_return_{k}_{}", place.id.replace('/', "_"));
            Ok((tag, Arena::new(place, config.eval_episodes, registry)?))
        };
        let arenas = places.iter().enumerate().map(arena).collect::<Result<Vec<_>, _>>()?;
        let batch = config.num_envs * config.num_steps;
        let mut capacity = if config.on_policy() { batch } else { config.buffer_size.max(batch) };
        if config.gru_hidden_size > 0 {
            // Whole rollouts, so that sequences stay whole.
            capacity -= capacity % batch;
        }
        Ok(Self {
            num_iterations,
            teacher,
            student,
            rollout: Rollout::new(config.num_steps, config.num_envs, flat_dim, &distribution),
            data: Dataset::new(
                capacity,
                config.num_envs,
                space.flat_dim(),
                distribution.num_params(),
                config.gru_hidden_size,
            ),
            validation,
            border,
            space,
            normalizer,
            permutation: SeedStream::Permutation.generator(config.seed),
            turns: SeedStream::Turns.generator(config.seed),
            collectors,
            projection,
            anchor: None,
            iteration: 0,
            arenas,
            evaluated: None,
            best: None,
            began_with: false,
            train_seconds: 0.0,
            owes_end: false,
            env,
            config,
        })
    }

    /// A student of `teacher` that begins as `initial`, such as an earlier student that shall learn something new, or a
    /// policy that shall become one of 8 bits (`quantization_aware`): `config` gets its architecture, and it goes on seeing
    /// as it does. With `ewc` or `replay` it holds on to what it was taught in the distillation that `earlier` is the last
    /// checkpoint of.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if the policy is no network in f32, does not fit the environment, or has learnt from
    /// nothing that `earlier` knows.
    pub fn from_policy(
        mut config: DistillConfig,
        initial: &Policy,
        earlier: Option<Checkpoint>,
        teacher: impl Into<Teacher<'a>>,
        registry: &Registry,
        device: &Device,
    ) -> Result<Self, Error> {
        let start = Initial::of(initial)?;
        config.hidden = start.hidden();
        config.gru_hidden_size = start.gru_hidden_size();
        config.activation = start.activation.unwrap_or(config.activation);
        let remembers = config.ewc > 0.0 || config.replay > 0;
        let mut distiller = Self::build(config, teacher.into(), None, remembers, registry, device)?;
        check_fit(initial, &distiller.space, distiller.collectors[0].envs().action_space())?;
        if initial.header().action.distribution() != *distiller.teacher.distribution()
            || initial.header().masked != distiller.teacher.masked()
        {
            return Err(Error::config(format!(
                "init: expected a policy with the actions and masks of the teacher, {}, got {}",
                distiller.teacher.action(),
                initial.header().action
            )));
        }
        start.write_into(&mut *distiller.student)?;
        distiller.normalizer = initial.header().normalizer.clone();
        distiller.student.set_normalizer(distiller.normalizer.clone());
        distiller.began_with = true;
        if remembers {
            let earlier = earlier.ok_or_else(|| {
                Error::config(
                    "init with ewc or replay: expected the run directory of the student's own distillation, whose states say what \
                     to hold on to, got a policy alone; give the directory, or set both to 0",
                )
            })?;
            distiller.remember(earlier)?;
        }
        Ok(distiller)
    }

    /// A student that goes on where a checkpoint was written, as if its distillation had not been interrupted. `teacher` is
    /// the one that it began with.
    ///
    /// # Errors
    /// If it is another teacher, the environment cannot be made, or the checkpoint does not belong to it.
    pub fn resume(
        checkpoint: Checkpoint,
        teacher: impl Into<Teacher<'a>>,
        registry: &Registry,
        device: &Device,
    ) -> Result<Self, Error> {
        let teacher = teacher.into();
        checkpoint.header.teacher.check(&teacher.record())?;
        let Kind::Network { config, engine, permutation, turns } = checkpoint.header.student.clone() else {
            return Err(Error::corrupt("the checkpoint is one of a tree: expected one of a network; use another one"));
        };
        let running = DistillConfig { engine, ..(*config).clone() };
        let mut distiller = Self::build(running, teacher, checkpoint.state.validation.clone(), true, registry, device)?;
        checkpoint.check(distiller.num_iterations, &distiller.data)?;
        let Checkpoint { header, state, best } = checkpoint;
        if let Some(began) = &header.began {
            (distiller.began_with, distiller.normalizer) = (true, began.normalizer.clone());
            distiller.student.set_normalizer(began.normalizer.clone());
        }
        let n = distiller.student.parameters().len();
        let fits = |anchor: &Anchor| anchor.parameters.len() == n && anchor.importance.len() == n;
        if header.collectors.len() != distiller.collectors.len() || !state.anchor.as_ref().is_none_or(fits) {
            return Err(Error::corrupt("the checkpoint's tasks are not those of its configuration; use another one"));
        }
        let Learnt { parameters, optimizer } =
            state.student.ok_or_else(|| Error::corrupt("the checkpoint has no parameters; use another one"))?;
        distiller.student.restore(&parameters, optimizer)?;
        if let Some((projection, saved)) = distiller.projection.as_ref().zip(state.projection) {
            lock(projection).restore(saved, device)?;
        }
        for (collector, saved) in distiller.collectors.iter_mut().zip(header.collectors) {
            collector.restore(saved)?;
        }
        distiller.config = *config;
        (distiller.data, distiller.anchor) = (state.data, state.anchor);
        (distiller.permutation, distiller.turns) = (permutation, turns);
        (distiller.iteration, distiller.evaluated) = (header.iteration, header.evaluated);
        distiller.best = header.best.zip(best);
        distiller.train_seconds = header.train_seconds;
        distiller.owes_end = header.owes_end;
        Ok(distiller)
    }

    /// The distillation as it is now.
    ///
    /// # Errors
    /// If the state of an optimiser cannot be saved.
    pub fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let collectors: Vec<_> = self.collectors.iter().map(Collector::state).collect();
        let student = Learnt { parameters: self.student.parameters(), optimizer: self.student.optimizer_state()? };
        let projection = self.projection.as_ref().map(|projection| lock(projection).state()).transpose()?;
        Ok(Checkpoint {
            state: State {
                envs: collectors.iter().map(|collector| collector.envs.clone()).collect(),
                data: self.data.clone(),
                validation: Some(self.validation.clone()),
                student: Some(student),
                projection,
                anchor: self.anchor.clone(),
            },
            header: Header {
                student: Kind::Network {
                    config: Box::new(self.config.clone()),
                    engine: self.student.choice(),
                    permutation: self.permutation.clone(),
                    turns: self.turns.clone(),
                },
                teacher: self.teacher.record(),
                iteration: self.iteration,
                global_step: self.global_step(),
                finished: self.finished(),
                owes_end: self.owes_end,
                collectors,
                evaluated: self.evaluated,
                best: self.best.as_ref().map(|(mean, _)| *mean),
                train_seconds: self.train_seconds,
                began: self.began_with.then(|| Began { normalizer: self.normalizer.clone() }),
            },
            best: self.best.as_ref().map(|(_, policy)| policy.clone()),
        })
    }

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
        let mut actor = Mixture {
            teacher: &mut self.teacher,
            student: &mut *self.student,
            beta: coefs.beta,
            rng: &mut self.turns,
            wants_values: self.config.wants_values(),
            border: self.border,
        };
        for (t, episode) in self.collectors[task].collect(&mut actor, &mut self.rollout)? {
            let step = step_before + ((t + 1) * self.config.num_envs) as u64;
            logger.scalar("charts/episodic_return", episode.episodic_return, step);
        }

        self.label()?;
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

    /// Adds the states of the rollout to the data, with the teacher's answers.
    fn label(&mut self) -> Result<(), Error> {
        let (observations, teacher_sees) = eyes(self.rollout.observation_rows(), self.border);
        let (memory, teacher_memory) = self.rollout.memory_rows().split_at(Axis(1), self.student.memory_len());
        let labels = labels(&mut self.teacher, &self.rollout, teacher_memory, self.border)?;
        let (mut values, mut weights) = (Vec::new(), Vec::new());
        if self.config.wants_teacher_values() {
            values = vec![0.0; observations.nrows()];
            self.teacher.values(teacher_sees, teacher_memory, &mut values);
            let scale = self.config.gate_scale as f32;
            let pairs = values.iter().zip(&self.rollout.values);
            weights = match self.config.value_gate {
                ValueGate::Off => Vec::new(),
                ValueGate::Hard => pairs.map(|(teacher, student)| f32::from(u8::from(teacher > student))).collect(),
                ValueGate::Soft => {
                    pairs.map(|(teacher, student)| (scale * (teacher - student)).min(1.0).exp()).collect()
                }
            };
        }
        let features = match &self.projection {
            Some(_) => self.teacher.features(teacher_sees, teacher_memory)?,
            None => Array2::zeros((observations.nrows(), 0)),
        };
        self.data.extend(&States {
            features: features.view(),
            observations,
            labels: labels.view(),
            values: &values,
            weights: &weights,
            memory,
            starts: &self.rollout.starts(),
        });
        Ok(())
    }

    /// Epochs over the data.
    fn update(&mut self, coefs: Coefs) -> Result<TrainStats, Error> {
        let reshaped = self.config.kd_reward > 0.0 || self.config.task_reward != 1.0;
        if coefs.task_coef > 0.0 && reshaped {
            self.reshape_rewards(coefs)?;
        }
        let config = &self.config;
        let task = (coefs.task_coef > 0.0).then(|| {
            let (mut advantages, returns) = gae(&trajectories(&self.rollout), config.gamma, config.gae_lambda);
            if config.norm_adv == NormAdv::Batch {
                normalize_advantages(advantages.as_slice_mut().expect("advantages are contiguous"));
            }
            let losses = LossCoefs {
                policy_coef: coefs.task_coef,
                clip_coef: config.clip_coef,
                clip_vloss: ValueClip::Off,
                value_loss: ValueLoss::Mse,
                ent_coef: config.ent_coef * coefs.task_coef,
                vf_coef: config.vf_coef * coefs.task_coef,
            };
            (advantages, returns, losses)
        });
        let losses = self.weighted_losses(coefs.coef);
        let feature_losses: Vec<_> =
            config.feature_losses().into_iter().map(|(loss, weight)| (loss, weight * coefs.coef)).collect();
        let distribution = self.teacher.distribution().clone();
        let (num_envs, length, remembered) = (config.num_envs, config.sequence_length(), config.gru_hidden_size);
        let (mut order, mut rows) = (sequence_heads(self.data.len(), num_envs, length), Vec::new());
        let sequences = (config.minibatch_size / length).max(1);
        let (mut stats, mut updates) = (TrainStats::default(), 0.0);
        for _ in 0..config.update_epochs {
            self.permutation.shuffle(&mut order);
            for heads in minibatches(&order, order.len().div_ceil(sequences)) {
                sequence_rows(heads, num_envs, length, &mut rows);
                let rows = &rows[..];
                let mut samples = match &task {
                    // The data is the rollout, in its order.
                    Some((advantages, returns, _)) => {
                        let norm_adv = config.norm_adv == NormAdv::Minibatch;
                        self.rollout.samples(advantages, returns, rows, length, norm_adv)
                    }
                    None if config.proximal => {
                        let none = Array2::zeros(self.rollout.rewards.dim());
                        self.rollout.samples(&none, &none, rows, length, false)
                    }
                    None => {
                        let observations = self.data.observations.select(Axis(0), rows);
                        let memory = self.data.memory.select(Axis(0), &rows[..heads.len()]);
                        let starts = rows.iter().map(|&row| self.data.starts[row]).collect();
                        Samples { observations, memory, starts, ..Samples::default() }
                    }
                };
                // Without the teacher's part of what is seen and remembered.
                if samples.memory.ncols() > remembered {
                    samples.memory = samples.memory.slice(s![.., ..remembered]).to_owned();
                }
                if let Some(border) = self.border.filter(|border| samples.observations.ncols() > *border) {
                    samples.observations = samples.observations.slice(s![.., ..border]).to_owned();
                }
                let mut imitation = imitation(config, &distribution, &self.data, rows, &losses, coefs.coef, &samples);
                imitation.features = self.projection.as_ref().map(|projection| FeatureTerm {
                    losses: &feature_losses,
                    teacher: self.data.features.select(Axis(0), rows),
                    projection,
                });
                let other: Option<&dyn OutputLoss> = if coefs.coef > 0.0 { Some(&imitation) } else { None };
                let ppo = task.as_ref().map(|(.., losses)| *losses);
                let objective = Objective { ppo, other, anchor: self.anchor.as_ref() };
                let update = self.student.update(&samples, coefs.learning_rate, &objective);
                stats.update.add(&update);
                updates += 1.0;
            }
        }
        stats.update.divide(updates);
        let update = &stats.update;
        if let Some((.., losses)) = &task {
            let LossCoefs { policy_coef, ent_coef, vf_coef, .. } = losses;
            let weighted = policy_coef * update.policy_loss - ent_coef * update.entropy + vf_coef * update.value_loss;
            stats.task = weighted / coefs.task_coef;
        }
        stats.kd = if coefs.coef > 0.0 { update.other_loss / coefs.coef } else { 0.0 };
        stats.total = coefs.coef * stats.kd + coefs.task_coef * stats.task;
        Ok(stats)
    }

    /// The losses of the configuration, each with its weight times `coef`.
    fn weighted_losses(&self, coef: f64) -> Vec<(PolicyLoss, f64)> {
        self.config.policy_losses().into_iter().map(|(loss, weight)| (loss, weight * coef)).collect()
    }

    /// Turns the rewards of the rollout into `task_reward` · r − `kd_reward` · `coef` / `task_coef` · L_KD(s'), with s' the
    /// state that the action has led to. After the end of an episode there is none; the last observation of one that was
    /// cut off is not looked at.
    ///
    /// Czarnecki et al., *Distilling Policy Distillation*, 2019.
    fn reshape_rewards(&mut self, coefs: Coefs) -> Result<(), Error> {
        let num_envs = self.config.num_envs;
        let mut losses = vec![0.0; self.rollout.rewards.len()];
        let scale = self.config.kd_reward / coefs.task_coef;
        let losses_at_work = self.weighted_losses(coefs.coef);
        if scale > 0.0 {
            // The data is the rollout, in its order; what comes after its last step is asked for.
            let task = self.phase().0;
            let collector = &mut self.collectors[task];
            let masks: Vec<bool> = collector.masks()?.into_iter().flatten().copied().collect();
            let (last, teacher_sees) = eyes(collector.observations(), self.border);
            let (memory, teacher_memory) = collector.memory().split_at(Axis(1), self.student.memory_len());
            let last_labels = self.teacher.labels(teacher_sees, teacher_memory)?;
            let last_labels = allowed(last_labels, self.teacher.distribution(), masks);
            let Self { student, teacher, config, data, .. } = self;
            let (distribution, temperatures) = (teacher.distribution(), config.temperatures());
            let mut of = |observations: ArrayView2<'_, f32>, memory: ArrayView2<'_, f32>, labels: &Array2<f32>| {
                let mut params = Array2::zeros(labels.dim());
                student.params(observations, memory.to_owned().view_mut(), params.view_mut())?;
                Ok::<_, Error>(state_losses(&params, labels, distribution, &losses_at_work, temperatures))
            };
            losses = of(data.observations.view(), data.memory.view(), &data.labels)?;
            losses.drain(..num_envs);
            losses.extend(of(last, memory, &last_labels)?);
        }
        let Rollout { rewards, terminated, truncated, .. } = &mut self.rollout;
        let ended = terminated.iter().zip(&*truncated).map(|(a, b)| *a || *b);
        for ((reward, loss), ended) in rewards.iter_mut().zip(losses).zip(ended) {
            let loss = if ended { 0.0 } else { loss };
            *reward = (self.config.task_reward * f64::from(*reward) - scale * loss) as f32;
        }
        Ok(())
    }

    /// The distillation loss on the held-out states, and the share of them where student and teacher would do
    /// [the same](same_action).
    fn validate(&mut self) -> Result<(f64, f64), Error> {
        let Self { student, teacher, config, validation, .. } = self;
        let Dataset { observations, labels, starts, num_envs, .. } = validation;
        let (distribution, action) = (teacher.distribution(), teacher.action());
        let mut memory = Array2::zeros((*num_envs, student.memory_len()));
        let params =
            params_in_order(&mut **student, observations.view(), &mut memory, starts, distribution.num_params())?;
        let losses = state_losses(&params, labels, distribution, &config.policy_losses(), config.temperatures());
        let (mut same, mut student) = (0, Vec::new());
        for (params, label) in params.rows().into_iter().zip(labels.rows()) {
            let label = label.as_slice().expect("rows are contiguous");
            normalized(distribution, label, params.as_slice().expect("rows are contiguous"), &mut student);
            let [a, b] = [&student[..], label].map(|params| greedy_action(action, distribution, params));
            same += usize::from(same_action(action, &a, &b));
        }
        Ok((apprentice_agents::mean(&losses), same as f64 / labels.nrows() as f64))
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
            self.student.params(observations, memory.view_mut(), params.view_mut())?;
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

/// The distillation loss of some states of the data.
fn imitation<'m>(
    config: &DistillConfig,
    distribution: &'m Distribution,
    data: &Dataset,
    rows: &[usize],
    losses: &'m [(PolicyLoss, f64)],
    coef: f64,
    samples: &'m Samples,
) -> Imitation<'m> {
    let pick = |from: &[f32]| if from.is_empty() { Vec::new() } else { rows.iter().map(|&row| from[row]).collect() };
    Imitation {
        distribution,
        losses,
        temperatures: config.temperatures(),
        labels: data.labels.select(Axis(0), rows),
        weights: pick(&data.weights),
        teacher_values: pick(&data.values),
        value_coef: coef * config.value_coef,
        proximal: config.proximal.then_some((samples, config.clip_coef)),
        features: None,
    }
}

/// Of every state the sum of the losses of a student that are weighed there, by its and the teacher's parameters.
fn state_losses(
    params: &Array2<f32>,
    labels: &Array2<f32>,
    distribution: &Distribution,
    losses: &[(PolicyLoss, f64)],
    temperatures: Temperatures,
) -> Vec<f64> {
    let (mut unused, mut scratch) = (vec![0.0; labels.ncols()], Scratch::default());
    let mut of = |(params, label): (ArrayView1<'_, f32>, ArrayView1<'_, f32>)| {
        let [params, label] = [params.to_slice(), label.to_slice()].map(|row| row.expect("rows are contiguous"));
        let mut one = |(loss, weight): &(PolicyLoss, f64)| {
            let loss = (*loss, *weight as f32);
            f64::from(add_loss(loss, distribution, label, params, temperatures, &mut unused, &mut scratch))
        };
        losses.iter().map(&mut one).sum()
    };
    params.rows().into_iter().zip(labels.rows()).map(&mut of).collect()
}

/// The most probable action of a distribution, as the environment is given it.
pub(crate) fn greedy_action(action: &Action, distribution: &Distribution, params: &[f32]) -> Vec<f32> {
    let mut row = vec![0.0; action.dim()];
    distribution.mode(params, &mut row);
    action.bound(&mut row);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use apprentice_agents::device;

    /// The reward of a step is minus the distance in the state that it led to, and nothing where it ended the episode.
    #[test]
    fn the_distance_of_the_next_state_is_the_reward() {
        let (registry, env) = (Registry::builtin(), EnvSpec::new("CartPole-v1"));
        let actions = registry.make(&env).unwrap().action_space().clone();
        let teacher = Teacher::expert(&actions, |observation, action| {
            action[0] = f32::from(u8::from(observation[2] > 0.0));
            Ok(())
        });
        let config = DistillConfig {
            env: Some(env),
            coef: 3.0.into(),
            task_coef: 0.5.into(),
            task_reward: 0.0,
            kd_reward: 1.0,
            // So small that the student stays what it was.
            learning_rate: 1e-30,
            total_timesteps: 256,
            num_envs: 4,
            num_steps: 64,
            update_epochs: 1,
            validation_states: 16,
            evaluations: 0,
            ..DistillConfig::default()
        };
        let mut distiller = Distiller::new(config, teacher.unwrap(), &registry, &device("cpu").unwrap()).unwrap();
        distiller.train_iteration(&mut Logger::none()).unwrap();
        let Distiller { student, teacher, rollout, data, config, .. } = &mut distiller;
        let mut params = Array2::zeros(data.labels.dim());
        let mut none = Array2::zeros((params.nrows(), 0));
        student.params(data.observations.view(), none.view_mut(), params.view_mut()).unwrap();
        let losses = [(PolicyLoss::Kl, 3.0 / 0.5)];
        let losses = state_losses(&params, &data.labels, teacher.distribution(), &losses, config.temperatures());
        let (mut ends, mut steps) = (0, 0);
        for t in 0..63 {
            for env in 0..4 {
                let ended = rollout.terminated[[t, env]] || rollout.truncated[[t, env]];
                let expected = if ended { 0.0 } else { -losses[(t + 1) * 4 + env] };
                let got = f64::from(rollout.rewards[[t, env]]);
                assert!((got - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{t}, {env}: {got} and {expected}");
                (ends, steps) = (ends + usize::from(ended), steps + usize::from(!ended));
            }
        }
        assert!(ends > 0 && steps > 100, "{ends} ends and {steps} steps");
    }
}
