//! Decision trees as students: VIPER (Bastani, Pu and Solar-Lezama, *Verifiable Reinforcement Learning via Policy
//! Extraction*, 2018).
//!
//! In every round someone acts, in the first the teacher and after that the newest tree; the teacher says what it would
//! have done; and a tree is grown on all states so far. A state weighs as much as a wrong choice would cost there. For a
//! policy of maximal entropy that is max ln π − min ln π, whose role the paper gives to V − min Q. The paper draws states
//! by these weights; here they go into the tree's criterion, which is the same without the noise of drawing.

mod cart;
mod config;

pub use config::ViperConfig;

use crate::checkpoint::{Checkpoint, Header, Kind, State, due, leave};
use crate::data::collect::{Watched, collector, labels};
use crate::data::dataset::{Dataset, States};
use crate::distiller::greedy_action;
use crate::loss::imitation::normalized;
use crate::{Teacher, same_action};
use apprentice_agents::{
    Arena, Behavior, Collector, Error, Outcome, Progress, Rollout, SeedStream, Session, UpdateStats, check_rollout,
    checkpoint_path, environment_ref, export, hyperparameters,
};
use apprentice_deploy::{Action, Body, Distribution, MASKED_LOGIT, Policy, Provenance, Runner, Tree};
use apprentice_envs::{EnvSpec, Registry};
use apprentice_telemetry::Logger;
use cart::{Examples, Limits, grow};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use std::path::Path;
use std::time::Instant;

/// The extraction of a tree from a teacher.
pub struct Viper<'a> {
    config: ViperConfig,
    env: EnvSpec,
    teacher: Teacher<'a>,
    collector: Collector,
    rollout: Rollout,
    data: Dataset,
    weights: Vec<f64>,
    arena: Arena,
    round: u64,
    newest: Option<Policy>,
    /// The tree of the best evaluation, and its mean return.
    best: Option<(f64, Policy)>,
    train_seconds: f64,
    /// Whether its end has come and could not be told.
    owes_end: bool,
}

impl<'a> Viper<'a> {
    /// An extraction that has not begun.
    ///
    /// # Errors
    /// If the configuration is not valid, the environment cannot be made, or the teacher cannot act in it.
    pub fn new(mut config: ViperConfig, teacher: impl Into<Teacher<'a>>, registry: &Registry) -> Result<Self, Error> {
        config.check()?;
        let teacher = teacher.into();
        let env = config.env.take().map_or_else(|| teacher.env(), Ok)?;
        config.env = Some(env.clone());
        // A tree sees what its teacher sees.
        if !teacher.domain_envs()?.is_empty() {
            return Err(Error::config(
                "viper: expected one teacher, or several that answer as one, got one for each domain",
            ));
        }
        if teacher.memory_len() > 0 {
            return Err(Error::config(
                "viper: expected a teacher without a memory, since a tree has none, got one with a GRU; distil a network, or \
                 give another teacher",
            ));
        }
        let envs = registry.make_vec(&env, config.num_envs, config.seed)?;
        teacher.check(&*envs)?;
        let (flat_dim, distribution) = (envs.observation_space().flat_dim(), teacher.distribution().clone());
        check_rollout(config.num_envs, config.num_steps, flat_dim)?;
        Ok(Self {
            collector: collector(envs, &teacher, SeedStream::Actions.generator(config.seed))?,
            rollout: Rollout::new(config.num_steps, config.num_envs, flat_dim, &distribution),
            data: Dataset::new(usize::MAX, config.num_envs, flat_dim, distribution.num_params(), 0),
            weights: Vec::new(),
            arena: Arena::new(&env, config.eval_episodes, registry)?,
            round: 0,
            newest: None,
            best: None,
            train_seconds: 0.0,
            owes_end: false,
            teacher,
            env,
            config,
        })
    }

    /// An extraction that goes on where a checkpoint was written, as if it had not been interrupted. `teacher` is the one
    /// that it began with.
    ///
    /// # Errors
    /// If it is another teacher, the environment cannot be made, or the checkpoint does not belong to it.
    pub fn resume(checkpoint: Checkpoint, teacher: impl Into<Teacher<'a>>, registry: &Registry) -> Result<Self, Error> {
        let teacher = teacher.into();
        checkpoint.header.teacher.check(&teacher.record())?;
        let Kind::Tree { config } = checkpoint.header.student.clone() else {
            return Err(Error::corrupt("the checkpoint is one of a network: expected one of a tree; use another one"));
        };
        let mut viper = Self::new(config, teacher, registry)?;
        checkpoint.check(viper.config.rounds, &viper.data)?;
        let Checkpoint { header, state, best } = checkpoint;
        let mut collectors = header.collectors.into_iter();
        let (Some(collector), None) = (collectors.next(), collectors.next()) else {
            return Err(Error::corrupt("the checkpoint is not of one environment: expected one; use another one"));
        };
        viper.collector.restore(collector)?;
        (viper.data, viper.round) = (state.data, header.iteration);
        viper.weights = viper.weights_of(&viper.data.labels);
        viper.best = header.best.zip(best);
        viper.train_seconds = header.train_seconds;
        viper.owes_end = header.owes_end;
        // The newest tree is what comes of the states so far.
        viper.newest = (viper.round > 0).then(|| viper.grow()).transpose()?.map(|(policy, _)| policy);
        Ok(viper)
    }

    /// The extraction as it is now.
    fn checkpoint(&self) -> Checkpoint {
        let collector = self.collector.state();
        Checkpoint {
            state: State {
                envs: vec![collector.envs.clone()],
                data: self.data.clone(),
                validation: None,
                student: None,
                projection: None,
                anchor: None,
            },
            header: Header {
                student: Kind::Tree { config: self.config.clone() },
                teacher: self.teacher.record(),
                iteration: self.round,
                global_step: self.global_step(),
                finished: self.finished(),
                owes_end: self.owes_end,
                collectors: vec![collector],
                evaluated: None,
                best: self.best.as_ref().map(|(mean, _)| *mean),
                train_seconds: self.train_seconds,
                began: None,
            },
            best: self.best.as_ref().map(|(_, policy)| policy.clone()),
        }
    }

    /// The configuration, its environment filled in.
    pub fn config(&self) -> &ViperConfig {
        &self.config
    }

    /// Whom the tree learns from.
    pub fn teacher(&self) -> &Teacher<'a> {
        &self.teacher
    }

    /// The teacher alone, to be measured.
    pub fn into_teacher(self) -> Teacher<'a> {
        self.teacher
    }

    /// Environment steps collected so far.
    pub fn global_step(&self) -> u64 {
        self.round * (self.config.num_envs * self.config.num_steps) as u64
    }

    /// Grows a tree in each round, until the last or until the session is told to stop.
    ///
    /// # Errors
    /// If the teacher or the environment fails, or the last checkpoint cannot be written.
    pub fn train(&mut self, session: &mut Session<'_>) -> Result<Outcome, Error> {
        let started = Instant::now();
        let seconds_before = self.train_seconds;
        let total_steps = self.config.rounds * (self.config.num_envs * self.config.num_steps) as u64;
        session.logger.begin(&format!("extract a tree for {}", self.env.id), total_steps, "steps");
        session.logger.progress(self.global_step());
        if self.round == 0 {
            session.logger.text("config", &format!("```toml\n{}```", self.config.to_toml()?), 0);
        }
        // Whoever goes on from the last checkpoint has told everything already, unless that failed.
        let told = self.finished() && !self.owes_end;
        let mut ended = false;
        while !self.finished() && !ended && !session.stopped() {
            let good = session.checkpoints.is_some().then(|| self.checkpoint());
            let advanced = self.advance(&mut session.logger);
            self.train_seconds = seconds_before + started.elapsed().as_secs_f64();
            let mean = advanced.map_err(|error| match &good {
                Some(good) => session.leave_last_good(good.global_step(), |path| good.save(path), error),
                None => error,
            })?;
            let step = self.global_step();
            session.logger.flush();
            if due(self.config.checkpoints, self.round, self.config.rounds) && !self.finished() {
                leave(session, || Ok(self.checkpoint()));
            }
            let (update, evaluated) = (UpdateStats::default(), Some((step, mean)));
            ended = session.breaks(&Progress { global_step: step, total_steps, update, evaluated });
        }
        let ending = if self.finished() && !told { self.tell_end(&mut session.logger) } else { Ok(()) };
        self.owes_end = ending.is_err();
        session.logger.finish();
        session.logger.flush();
        let (global_step, train_seconds) = (self.global_step(), self.train_seconds);
        let save = |path: &Path| self.checkpoint().save(path);
        match (ending, &session.checkpoints) {
            (Err(error), _) => return Err(session.leave_last_good(global_step, save, error)),
            (Ok(()), Some(folder)) => save(&checkpoint_path(folder, global_step))?,
            (Ok(()), None) => {}
        }
        Ok(Outcome { finished: self.finished(), global_step, train_seconds })
    }

    /// Whether everything is learnt, and the last evaluation has failed.
    pub fn owes_end(&self) -> bool {
        self.owes_end
    }

    /// Whether there is nothing left to learn.
    fn finished(&self) -> bool {
        self.round == self.config.rounds
    }

    /// A round with all that is said of it. Returns the mean return of the tree.
    fn advance(&mut self, logger: &mut Logger) -> Result<f64, Error> {
        let since = Instant::now();
        let (mean, accuracy) = self.train_round()?;
        let (step, tree) = (self.global_step(), self.newest.as_ref().map(tree).expect("one was grown"));
        for (tag, value) in [
            ("distill/student_return", mean),
            ("distill/student_accuracy", accuracy),
            ("distill/tree_nodes", tree.nodes() as f64),
            ("distill/tree_depth", tree.depth() as f64),
            ("charts/SPS", self.rollout.rewards.len() as f64 / since.elapsed().as_secs_f64()),
        ] {
            logger.scalar(tag, value, step);
        }
        logger.progress(step);
        Ok(mean)
    }

    /// Logs the final metrics.
    fn tell_end(&mut self, logger: &mut Logger) -> Result<(), Error> {
        let policy = self.policy().expect("one was grown");
        let metrics = vec![
            ("final/train_seconds".to_owned(), self.train_seconds),
            ("final/return_mean".to_owned(), self.arena.final_return(&policy)?),
        ];
        logger.hyperparameters(&hyperparameters(&self.config), &metrics);
        Ok(())
    }

    /// One rollout and the tree of all states so far. Returns its mean return, and the share of the states where it does
    /// [the same](same_action) as the teacher.
    fn train_round(&mut self) -> Result<(f64, f64), Error> {
        let distribution = self.teacher.distribution().clone();
        let mut answers = Vec::new();
        let episodes = match &self.newest {
            None => {
                let mut teacher = Watched::new(&mut self.teacher, None);
                let collected =
                    self.collector.collect(&mut Greedy::new(&mut teacher, &distribution), &mut self.rollout);
                answers = teacher.answers;
                collected
            }
            Some(tree) => {
                let mut tree = Grown(tree.runner());
                self.collector.collect(&mut Greedy::new(&mut tree, &distribution), &mut self.rollout)
            }
        };
        episodes?;
        let labels = labels(&mut self.teacher, answers, &self.rollout, self.rollout.memory_rows(), None)?;
        self.data.extend(&States {
            observations: self.rollout.observation_rows(),
            labels: labels.view(),
            values: &[],
            weights: &[],
            features: self.rollout.memory_rows(),
            memory: self.rollout.memory_rows(),
            starts: &[],
        });
        self.weights.extend(self.weights_of(&labels));
        self.round += 1;

        let (policy, accuracy) = self.grow()?;
        let mean = self.arena.evaluate(&policy)?.mean();
        // Of equals the smaller one, and of those the newer one, which has seen more.
        let better =
            |(best, kept): &(f64, Policy)| mean > *best || mean == *best && tree(&policy).nodes() <= tree(kept).nodes();
        if self.best.as_ref().is_none_or(better) {
            self.best = Some((mean, policy.clone()));
        }
        self.newest = Some(policy);
        Ok((mean, accuracy))
    }

    /// What states count for, by the teacher's answers.
    fn weights_of(&self, labels: &Array2<f32>) -> Vec<f64> {
        let distribution = self.teacher.distribution();
        let weigh = |label: ndarray::ArrayView1<'_, f32>| weight(distribution, label.as_slice().expect("contiguous"));
        labels.rows().into_iter().map(weigh).collect()
    }

    /// A tree of all states so far, and its accuracy on them.
    fn grow(&self) -> Result<(Policy, f64), Error> {
        let distribution = self.teacher.distribution();
        let action = self.teacher.action();
        let outputs = distribution.num_params() / if matches!(action, Action::Box { .. }) { 2 } else { 1 };
        let (rows, space) = (self.data.len(), self.collector.envs().observation_space());
        let mut features = Array2::zeros((rows, space.feature_dim()));
        let mut targets = Array2::zeros((rows, outputs));
        let mut row = vec![0.0; action.dim()];
        for (i, (observation, label)) in
            self.data.observations.rows().into_iter().zip(self.data.labels.rows()).enumerate()
        {
            let mut to = features.row_mut(i);
            space.write_features(observation.as_slice().expect("contiguous"), to.as_slice_mut().expect("contiguous"));
            distribution.mode(label.as_slice().expect("contiguous"), &mut row);
            match distribution {
                Distribution::Categorical { .. } => {
                    distribution
                        .choices()
                        .zip(&row)
                        .for_each(|(range, j)| targets[[i, range.start + *j as usize]] = 1.0);
                }
                Distribution::Gaussian { .. } => row.iter().enumerate().for_each(|(j, mean)| targets[[i, j]] = *mean),
            }
        }
        let examples = Examples { features: features.view(), targets: targets.view(), weights: &self.weights };
        let (max_nodes, max_depth) = (self.config.max_nodes, self.config.max_depth);
        let mut tree = grow(&examples, Limits { max_nodes, max_depth });

        let mut squares = vec![0.0; outputs];
        for (x, target) in features.rows().into_iter().zip(targets.rows()) {
            let errors = tree.outputs(x.as_slice().expect("contiguous")).iter().zip(target).map(|(a, b)| a - b);
            squares.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error * error);
        }
        let action = match action.clone() {
            Action::Box { low, high, bounding, .. } => {
                // What the tree cannot say is its spread.
                let log_std = squares.iter().map(|sum| (sum / rows as f32).sqrt().max(1e-3).ln()).collect();
                Action::Box { low, high, bounding, log_std: Some(log_std) }
            }
            choices => {
                // Shares of the samples as logits; what was never chosen is most improbable.
                tree.leaves.iter_mut().for_each(|share| *share = share.max(LEAST_SHARE).ln());
                choices
            }
        };
        let policy = self.policy_of(tree, action)?;
        let mut runner = policy.runner();
        let (mut same, mut student) = (0, Vec::new());
        for (observation, label) in self.data.observations.rows().into_iter().zip(self.data.labels.rows()) {
            let label = label.as_slice().expect("contiguous");
            let params = runner.params(observation.as_slice().expect("contiguous"))?;
            normalized(distribution, label, params, &mut student);
            let [a, b] = [&student[..], label].map(|params| greedy_action(self.teacher.action(), distribution, params));
            same += usize::from(same_action(self.teacher.action(), &a, &b));
        }
        Ok((policy, same as f64 / rows as f64))
    }

    fn policy_of(&self, tree: Tree, action: Action) -> Result<Policy, Error> {
        let provenance = Provenance {
            role: "student".to_owned(),
            algorithm: "viper".to_owned(),
            seed: self.config.seed,
            train_steps: self.global_step(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: serde_json::to_value(&self.config).expect("a configuration is plain data"),
            teacher: Some(self.teacher.reference()),
        };
        let space = self.collector.envs().observation_space();
        // A tree asks for single numbers: it needs no normaliser, and its thresholds are in the environment's own units.
        export(tree, environment_ref(&self.env), space, None, action, self.teacher.masked(), provenance)
    }

    /// The tree that had the best evaluation so far; of equals the smallest. None before the first round.
    pub fn policy(&self) -> Option<Policy> {
        self.best.as_ref().map(|(_, policy)| policy.with_train_steps(self.global_step()))
    }
}

/// The smallest share that a leaf gives to a choice.
const LEAST_SHARE: f32 = 1e-6;

fn tree(policy: &Policy) -> &Tree {
    match policy.body() {
        Body::Tree(tree) => tree,
        _ => unreachable!("it was grown"),
    }
}

/// What a wrong choice costs at most: Σ over choices of max ln π − min ln π. Of real numbers all states count the same.
fn weight(distribution: &Distribution, label: &[f32]) -> f64 {
    let spread = |range: std::ops::Range<usize>| {
        let allowed = label[range].iter().filter(|logit| !Distribution::is_masked(**logit));
        let bounds = allowed.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        f64::from(bounds.1 - bounds.0)
    };
    match distribution {
        Distribution::Categorical { .. } => distribution.choices().map(spread).sum(),
        Distribution::Gaussian { .. } => 1.0,
    }
}

/// A grown tree that acts.
struct Grown<'a>(Runner<'a>);

impl Behavior for Grown<'_> {
    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        _: Option<ArrayView2<'_, bool>>,
        _: ArrayViewMut2<'_, f32>,
        mut params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        for (observation, mut row) in observations.rows().into_iter().zip(params.rows_mut()) {
            let answer = self.0.params(observation.as_slice().expect("contiguous"))?;
            row.iter_mut().zip(answer).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }

    fn values(&mut self, _: ArrayView2<'_, f32>, _: ArrayView2<'_, f32>, values: &mut [f32]) {
        values.fill(0.0);
    }
}

/// Someone who always takes the most probable action.
struct Greedy<'a> {
    who: &'a mut dyn Behavior,
    distribution: &'a Distribution,
}

impl<'a> Greedy<'a> {
    fn new(who: &'a mut dyn Behavior, distribution: &'a Distribution) -> Self {
        Self { who, distribution }
    }
}

impl Behavior for Greedy<'_> {
    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        masks: Option<ArrayView2<'_, bool>>,
        memory: ArrayViewMut2<'_, f32>,
        mut params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        self.who.params(observations, masks, memory, params.view_mut())?;
        match self.distribution {
            // So far apart that nothing else is ever drawn, and above what will be forbidden.
            Distribution::Categorical { .. } => params.mapv_inplace(|logit| (logit * 1e6).max(0.9 * MASKED_LOGIT)),
            Distribution::Gaussian { dim, .. } => params.slice_mut(ndarray::s![.., *dim..]).fill(-20.0),
        }
        Ok(())
    }

    fn values(&mut self, observations: ArrayView2<'_, f32>, memory: ArrayView2<'_, f32>, values: &mut [f32]) {
        self.who.values(observations, memory, values);
    }
}
