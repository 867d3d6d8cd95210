//! How a distillation begins: with a fresh student, with a policy that is there, or where it was left.

use super::Distiller;
use crate::checkpoint::{Began, Checkpoint, Header, Kind, Learnt, State};
use crate::data::collect::{collector, held_out_states, training_envs};
use crate::data::dataset::Dataset;
use crate::loss::check_losses;
use crate::loss::features::{Projection, check_features, lock};
use crate::{DistillConfig, Teacher};
use apprentice_agents::{
    Anchor, Architecture, Arena, Collector, EngineChoice, Error, Initial, Optimizer, OptimizerConfig, Rollout,
    SeedStream, check_fit, check_rollout, engine_for,
};
use apprentice_deploy::{Action, Policy};
use apprentice_envs::wrappers::NormalizeReward;
use apprentice_envs::{EnvSpec, Registry, Space, VectorEnv};
use burn::tensor::Device;
use std::sync::Mutex;

/// Adam's ε.
const ADAM_EPSILON: f32 = 1e-5;

/// The largest normalised reward, as PPO's is by default.
const CLIP_REWARD: f64 = 10.0;

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
        check_rollout(config.num_envs, config.num_steps, flat_dim)?;
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
        let own_spread = |action: &Action| matches!(action, Action::Box { log_std: Some(_), .. });
        if initial.header().action.distribution() != *distiller.teacher.distribution()
            || own_spread(&initial.header().action) != own_spread(distiller.teacher.action())
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
}
