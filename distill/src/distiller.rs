//! The distillation loop: collect, label, minibatches, losses, validate, log.

use crate::dataset::Dataset;
use crate::teacher::Teacher;
use crate::{Collection, DistillConfig, kd_loss, same_action};
use apprentice_agents::{
    Architecture, Behavior, Collector, Engine, Error, EvaluationPlan, Learner, LossCoefs, OptimizerConfig, Outcome,
    Progress, Rollout, SELECTION_SEED, SeedStream, Session, UpdateStats, ValueClip, ValueLoss, environment_ref,
    evaluate_in, export, gae, hyperparameters, log_actions, log_weights, minibatches, policy_env, ppo_loss, snapshot,
    trajectories,
};
use apprentice_deploy::{Action, Distribution, Header, MASKED_LOGIT, Policy, Provenance, TeacherRef};
use apprentice_envs::{DynEnv, EnvSpec, Generator, Registry, VectorEnv};
use apprentice_telemetry::{Image, Logger};
use burn::tensor::{Device, Tensor};
use ndarray::{Array2, Axis};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Validation environments have seeds of their own, those that begin with the bytes "VALI".
const VALIDATION_SEED: u64 = 0x5641_4c49_0000_0000;

/// Adam's ε.
const ADAM_EPSILON: f32 = 1e-5;

/// A student in training.
pub struct Distiller<'a> {
    config: DistillConfig,
    num_iterations: u64,
    env: EnvSpec,
    teacher_policy: &'a Policy,
    teacher: Teacher<'a>,
    student: Learner,
    collector: Collector,
    rollout: Rollout,
    data: Dataset,
    validation: Dataset,
    permutation: Generator,
    iteration: u64,
    arena: Box<dyn VectorEnv>,
    stage: Box<dyn DynEnv>,
    /// The step and the mean return of the last evaluation.
    evaluated: Option<(u64, f64)>,
}

/// Means over the minibatches of one iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct TrainStats {
    total: f64,
    kd: f64,
    task: f64,
}

impl<'a> Distiller<'a> {
    /// A fresh student of `teacher`.
    ///
    /// # Errors
    /// If the configuration is not valid, the environment cannot be made, or the teacher cannot act in it.
    pub fn new(
        mut config: DistillConfig,
        teacher: &'a Policy,
        registry: &Registry,
        device: &Device,
    ) -> Result<Self, Error> {
        let env = config.env.take().map_or_else(|| policy_env(teacher), Ok)?;
        config.env = Some(env.clone());
        let num_iterations = config.plan()?;
        let envs = registry.make_vec(&env, config.num_envs, config.seed)?;
        let flat_dim = envs.observation_space().flat_dim();
        let mut teacher_at_work = Teacher::new(teacher, &*envs)?;
        let header = teacher.header();
        let distribution = header.action.distribution();
        if matches!(distribution, Distribution::Gaussian { .. }) && config.temperature != 1.0 {
            let got = config.temperature;
            return Err(Error::config(format!("temperature: expected 1 where actions are real numbers, got {got}")));
        }
        let architecture = Architecture {
            observation_space: envs.observation_space().clone(),
            distribution: distribution.clone(),
            // A student's spread is learnt with the rest of the teacher's distribution, and starts like a PPO agent's.
            log_std_init: 0.0,
            state_dependent_std: matches!(header.action, Action::Box { log_std: None, .. }),
            hidden: config.hidden.clone(),
            shared_trunk: false,
            activation: config.activation,
        };
        let mut weights = SeedStream::Weights.generator(config.seed);
        let validation = held_out_states(&mut teacher_at_work, teacher, &env, &config, registry)?;
        let optimizer =
            OptimizerConfig { adam_epsilon: ADAM_EPSILON, weight_decay: 0.0, max_grad_norm: config.max_grad_norm };
        let mut student = Learner::new(&architecture, &optimizer, &mut weights, device);
        // The student looks through the teacher's glasses: what is common to all inputs it need not learn.
        student.set_normalizer(header.normalizer.clone());
        let collector = collector(envs, teacher, SeedStream::Actions.generator(config.seed))?;
        Ok(Self {
            num_iterations,
            teacher_policy: teacher,
            teacher: teacher_at_work,
            student,
            rollout: Rollout::new(config.num_steps, config.num_envs, flat_dim, &distribution),
            data: Dataset::new(config.buffer_size, flat_dim, distribution.num_params()),
            validation,
            permutation: SeedStream::Permutation.generator(config.seed),
            collector,
            iteration: 0,
            arena: registry.make_vec(&env, config.eval_episodes, SELECTION_SEED)?,
            stage: registry.make(&env)?,
            evaluated: None,
            env,
            config,
        })
    }

    /// The configuration, its environment filled in.
    pub fn config(&self) -> &DistillConfig {
        &self.config
    }

    /// The policy that is being distilled.
    pub fn teacher(&self) -> &'a Policy {
        self.teacher_policy
    }

    /// Environment steps collected so far.
    pub fn global_step(&self) -> u64 {
        self.iteration * (self.config.num_envs * self.config.num_steps) as u64
    }

    /// Trains to the end of the configured steps, or until the session is told to stop.
    ///
    /// # Errors
    /// If training diverges or a checkpoint cannot be written.
    pub fn train(&mut self, session: &mut Session<'_>) -> Result<Outcome, Error> {
        let started = Instant::now();
        let total = self.num_iterations * self.rollout.rewards.len() as u64;
        session.logger.begin(&format!("distil {}", self.env.id), total);
        session.logger.progress(0);
        session.logger.text("config", &format!("```toml\n{}```", self.config.to_toml()?), 0);
        if self.config.evaluations > 0 {
            self.evaluate(&mut session.logger)?;
        }
        let mut ended = false;
        while self.iteration < self.num_iterations && !ended && !session.stopped() {
            self.train_iteration(&mut session.logger)?;
            session.logger.progress(self.global_step());
            if self.due(self.config.evaluations) {
                self.evaluate(&mut session.logger)?;
            }
            session.logger.flush();
            ended = session.breaks(&Progress {
                global_step: self.global_step(),
                total_steps: total,
                update: UpdateStats::default(),
                evaluated: self.evaluated,
            });
        }
        let outcome = Outcome {
            finished: self.iteration == self.num_iterations,
            global_step: self.global_step(),
            train_seconds: started.elapsed().as_secs_f64(),
        };
        if let Some(folder) = &session.checkpoints {
            self.policy()?.save(&student_checkpoint_path(folder, outcome.global_step))?;
        }
        if outcome.finished {
            if self.config.evaluations > 0 && self.evaluated.is_none_or(|(step, _)| step < outcome.global_step) {
                self.evaluate(&mut session.logger)?;
            }
            let mut metrics = vec![("final/train_seconds".to_owned(), outcome.train_seconds)];
            metrics.extend(self.evaluated.map(|(_, mean)| ("final/return_mean".to_owned(), mean)));
            session.logger.hyperparameters(&hyperparameters(&self.config), &metrics);
        }
        session.logger.finish();
        session.logger.flush();
        Ok(outcome)
    }

    /// One rollout and the updates that follow it.
    fn train_iteration(&mut self, logger: &mut Logger) -> Result<(), Error> {
        let learning_rate =
            self.config.learning_rate * self.config.lr_schedule.factor(self.iteration, self.num_iterations);

        let step_before = self.global_step();
        let episodes = match self.config.collection {
            Collection::Teacher => self.collector.collect(&mut self.teacher, &mut self.rollout)?,
            Collection::Student => self.collector.collect(&mut self.student, &mut self.rollout)?,
        };
        for (t, episode) in episodes {
            let step = step_before + ((t + 1) * self.config.num_envs) as u64;
            logger.scalar("charts/episodic_return", episode.episodic_return, step);
        }

        let labels = labels(&mut self.teacher, &self.rollout)?;
        let stats = if self.config.task_coef > 0.0 {
            self.update_with_task(&labels, learning_rate)
        } else {
            self.data.extend(self.rollout.observation_rows(), labels.view());
            self.update(learning_rate)
        };
        self.iteration += 1;

        let step = self.global_step();
        let (validation_loss, accuracy) = self.validate()?;
        for (tag, value) in [
            ("distill/train_loss", stats.total),
            ("distill/kd_loss", stats.kd),
            ("distill/task_loss", stats.task),
            ("distill/validation_loss", validation_loss),
            ("distill/student_accuracy", accuracy),
            ("charts/learning_rate", learning_rate),
        ] {
            if !value.is_finite() {
                return Err(Error::diverged(format!(
                    "{tag} is {value} at step {step}: training diverged; try a smaller learning_rate"
                )));
            }
            logger.scalar(tag, value, step);
        }
        Ok(())
    }

    /// Epochs over the buffer with the distillation loss alone.
    fn update(&mut self, learning_rate: f64) -> TrainStats {
        let distribution = self.student.architecture().distribution.clone();
        let mut order: Vec<usize> = (0..self.data.len()).collect();
        let mut stats = Means::default();
        for _ in 0..self.config.update_epochs {
            self.permutation.shuffle(&mut order);
            for rows in minibatches(&order, order.len().div_ceil(self.config.minibatch_size)) {
                let features = self.student.features(self.data.observations.select(Axis(0), rows).view());
                let labels = self.student.tensor2(self.data.labels.select(Axis(0), rows).view());
                let (kd, _) = self.student.step(learning_rate, |network| {
                    let kd = kd_loss(&distribution, labels, network.policy(features), self.config.temperature);
                    (kd.clone().mul_scalar(self.config.coef), kd.detach())
                });
                let kd = f64::from(kd.into_scalar::<f32>());
                stats.add(TrainStats { total: self.config.coef * kd, kd, task: 0.0 });
            }
        }
        stats.means()
    }

    /// Epochs over the newest rollout with both losses.
    fn update_with_task(&mut self, labels: &Array2<f32>, learning_rate: f64) -> TrainStats {
        let config = &self.config;
        let (advantages, returns) = gae(&trajectories(&self.rollout), config.gamma, config.gae_lambda);
        let coefs = LossCoefs {
            clip_coef: config.clip_coef,
            clip_vloss: ValueClip::Off,
            value_loss: ValueLoss::Mse,
            ent_coef: config.ent_coef,
            vf_coef: config.vf_coef,
        };
        let distribution = self.student.architecture().distribution.clone();
        let mut order: Vec<usize> = (0..self.rollout.rewards.len()).collect();
        let mut stats = Means::default();
        for _ in 0..config.update_epochs {
            self.permutation.shuffle(&mut order);
            for rows in minibatches(&order, order.len().div_ceil(config.minibatch_size)) {
                let batch = self.student.minibatch(&self.rollout.samples(&advantages, &returns, rows, true));
                let labels = self.student.tensor2(labels.select(Axis(0), rows).view());
                let (parts, _) = self.student.step(learning_rate, |network| {
                    let (params, values) =
                        (network.policy(batch.features.clone()), network.value(batch.features.clone()));
                    let kd = kd_loss(&distribution, labels, params.clone(), config.temperature);
                    let task = ppo_loss(&distribution, params, values, &batch, &coefs).total;
                    let total = kd.clone().mul_scalar(config.coef) + task.clone().mul_scalar(config.task_coef);
                    (total.clone(), Tensor::cat(vec![total.detach(), kd.detach(), task.detach()], 0))
                });
                let parts: Vec<f32> = parts.into_data().try_to_vec().expect("losses are f32");
                let [total, kd, task] = [parts[0], parts[1], parts[2]].map(f64::from);
                stats.add(TrainStats { total, kd, task });
            }
        }
        stats.means()
    }

    /// The distillation loss on the held-out states, and the share of them where student and teacher would do
    /// [the same](same_action).
    fn validate(&mut self) -> Result<(f64, f64), Error> {
        let Dataset { observations, labels, .. } = &self.validation;
        let mut params = Array2::zeros(labels.dim());
        self.student.params(observations.view(), params.view_mut())?;
        let student = self.student.tensor2(params.view());
        let distribution = &self.student.architecture().distribution;
        let loss = kd_loss(distribution, self.student.tensor2(labels.view()), student, self.config.temperature);
        let action = &self.teacher_policy.header().action;
        let choices = matches!(distribution, Distribution::Categorical { .. });
        let mut same = 0;
        for (student, teacher) in params.rows().into_iter().zip(labels.rows()) {
            let (mut student, teacher) = (student.to_vec(), teacher.to_vec());
            // What the teacher was not allowed, neither is the student.
            let forbidden = student.iter_mut().zip(&teacher).filter(|(_, x)| choices && Distribution::is_masked(**x));
            forbidden.for_each(|(logit, _)| *logit = MASKED_LOGIT);
            let [a, b] = [student, teacher].map(|params| greedy_action(action, distribution, &params));
            same += usize::from(same_action(action, &a, &b));
        }
        Ok((f64::from(loss.into_scalar::<f32>()), same as f64 / labels.nrows() as f64))
    }

    /// Evaluates the student as it would be deployed.
    fn evaluate(&mut self, logger: &mut Logger) -> Result<(), Error> {
        let policy = self.policy()?;
        let step = self.global_step();
        let (episodes, seed) = (self.config.eval_episodes, SELECTION_SEED);
        let plan = EvaluationPlan { episodes, seed, ..EvaluationPlan::default() };
        let mean = evaluate_in(&policy, &mut *self.arena, &plan)?.mean();
        self.evaluated = Some((step, mean));
        logger.scalar("distill/student_return", mean, step);
        log_weights(logger, &self.student, step);
        if self.iteration > 0 {
            log_actions(logger, &mut self.student, &self.rollout, step)?;
        }
        if let Some(frame) = snapshot(&policy, &mut *self.stage, SELECTION_SEED, 100)? {
            logger.image("eval/frame", &Image { width: frame.width, height: frame.height, rgb: frame.rgb }, step);
        }
        Ok(())
    }

    /// The student as it is now, ready to leave the house.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub fn policy(&self) -> Result<Policy, Error> {
        let teacher = self.teacher_policy.header();
        let provenance = Provenance {
            role: "student".to_owned(),
            algorithm: "distillation".to_owned(),
            seed: self.config.seed,
            train_steps: self.global_step(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: serde_json::to_value(&self.config).expect("a configuration is plain data"),
            teacher: Some(TeacherRef {
                checksum: self.teacher_policy.checksum(),
                algorithm: teacher.provenance.algorithm.clone(),
                seed: teacher.provenance.seed,
            }),
        };
        let environment = environment_ref(&self.env);
        let envs = self.collector.envs();
        let (actor, _, log_std) = self.student.architecture().layers(&self.student.parameters());
        let action = match teacher.action.clone() {
            Action::Box { low, high, bounding, log_std: Some(_) } => {
                Action::Box { low, high, bounding, log_std: Some(log_std) }
            }
            other => other,
        };
        let normalizer = teacher.normalizer.clone();
        export(actor, environment, envs.observation_space(), normalizer, action, teacher.masked, provenance)
    }

    /// Whether one of `times` evenly spread events falls into the iteration that has just ended.
    fn due(&self, times: u32) -> bool {
        let passed = |iteration: u64| iteration * u64::from(times) / self.num_iterations;
        passed(self.iteration) > passed(self.iteration - 1)
    }
}

/// Sums of losses on their way to means.
#[derive(Default)]
struct Means {
    sums: TrainStats,
    count: f64,
}

impl Means {
    fn add(&mut self, stats: TrainStats) {
        self.sums.total += stats.total;
        self.sums.kd += stats.kd;
        self.sums.task += stats.task;
        self.count += 1.0;
    }

    fn means(&self) -> TrainStats {
        let TrainStats { total, kd, task } = self.sums;
        TrainStats { total: total / self.count, kd: kd / self.count, task: task / self.count }
    }
}

/// Steps `envs` as `teacher` is to act in them: with masks if it needs them.
fn collector(envs: Box<dyn VectorEnv>, teacher: &Policy, rng: Generator) -> Result<Collector, Error> {
    let Header { action, masked, .. } = teacher.header();
    let collector = Collector::new(envs, action.clone(), rng)?;
    if *masked { collector.mask_actions() } else { Ok(collector) }
}

/// States that the teacher visits in environments of their own.
fn held_out_states(
    teacher: &mut Teacher<'_>,
    policy: &Policy,
    env: &EnvSpec,
    config: &DistillConfig,
    registry: &Registry,
) -> Result<Dataset, Error> {
    let num_envs = config.validation_states.min(16);
    let seed = VALIDATION_SEED.wrapping_add(config.seed);
    let envs = registry.make_vec(env, num_envs, seed)?;
    let (flat_dim, distribution) = (envs.observation_space().flat_dim(), policy.header().action.distribution());
    let mut rollout = Rollout::new(config.validation_states.div_ceil(num_envs), num_envs, flat_dim, &distribution);
    collector(envs, policy, SeedStream::Actions.generator(seed))?.collect(teacher, &mut rollout)?;
    let mut data = Dataset::new(config.validation_states, flat_dim, distribution.num_params());
    let labels = labels(teacher, &rollout)?;
    data.extend(rollout.observation_rows(), labels.view());
    Ok(data)
}

/// The teacher's distributions in the states of a rollout, within what was allowed there.
fn labels(teacher: &mut Teacher<'_>, rollout: &Rollout) -> Result<Array2<f32>, Error> {
    let mut labels = teacher.labels(rollout.observation_rows())?;
    let masks = rollout.masks.as_slice().expect("a rollout is contiguous");
    if !masks.is_empty() {
        let width = labels.ncols();
        for (mut label, mask) in labels.rows_mut().into_iter().zip(masks.chunks_exact(width)) {
            let label = label.as_slice_mut().expect("rows are contiguous");
            teacher.distribution().mask(label, mask);
            teacher.distribution().normalize(label);
        }
    }
    Ok(labels)
}

/// The most probable action of a distribution, as the environment is given it.
fn greedy_action(action: &Action, distribution: &Distribution, params: &[f32]) -> Vec<f32> {
    let mut row = vec![0.0; action.dim()];
    distribution.mode(params, &mut row);
    action.bound(&mut row);
    row
}

/// The name of the student's checkpoint of a step within `folder`: a policy file that `eval` reads.
fn student_checkpoint_path(folder: &Path, global_step: u64) -> PathBuf {
    folder.join(format!("{global_step:012}.apprentice"))
}
