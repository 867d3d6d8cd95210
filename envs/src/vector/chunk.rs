//! A contiguous part of a batch, on one thread: its episodes begin and end here.

use super::actions::{self, Actions, Part};
use super::{Autoreset, Batch, BatchStep};
use crate::snapshot::{Episode, Phase};
use crate::{Error, Generator, RowEnv};
use ndarray::{ArrayView2, ArrayViewMut2};

/// The slices of a chunk have the lengths that its environments need.
const IN_SHAPE: &str = "the runner has checked the buffers";

/// What is the same for all environments of a vector.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// Columns of an observation.
    pub(super) columns: usize,
    /// Columns of an action.
    pub(super) action_columns: usize,
    pub(super) max_episode_steps: Option<u32>,
    pub(super) autoreset: Autoreset,
}

/// n environments and what is known of their episodes.
pub(super) struct Chunk<B> {
    /// Its place among the chunks, and that of its first environment among all.
    index: usize,
    first_env: usize,
    batch: B,
    rngs: Vec<Generator>,
    phases: Vec<Phase>,
    elapsed: Vec<u32>,
    /// Those that the next step starts instead of advancing.
    skip: Vec<bool>,
    /// How many cannot be stepped before they are reset.
    idle: usize,
    /// Scratch: the environments that start an episode now.
    starting: Vec<usize>,
}

/// The rows of a chunk in the caller's buffers.
#[derive(Default)]
pub(super) struct Slices<'a> {
    pub(super) observations: &'a mut [f32],
    pub(super) final_observations: &'a mut [f32],
    pub(super) rewards: &'a mut [f64],
    pub(super) terminated: &'a mut [bool],
    pub(super) truncated: &'a mut [bool],
}

impl<'a> Slices<'a> {
    /// The first `envs` environments and the rest.
    pub(super) fn split_at(self, envs: usize, columns: usize) -> (Self, Self) {
        let (observations, observations_after) = self.observations.split_at_mut(envs * columns);
        let (final_observations, final_observations_after) = self.final_observations.split_at_mut(envs * columns);
        let (rewards, rewards_after) = self.rewards.split_at_mut(envs);
        let (terminated, terminated_after) = self.terminated.split_at_mut(envs);
        let (truncated, truncated_after) = self.truncated.split_at_mut(envs);
        (
            Self { observations, final_observations, rewards, terminated, truncated },
            Self {
                observations: observations_after,
                final_observations: final_observations_after,
                rewards: rewards_after,
                terminated: terminated_after,
                truncated: truncated_after,
            },
        )
    }
}

impl<B: Batch> Chunk<B> {
    /// The environments `envs` before their first episodes, the generator of environment i of all seeded with seed + i.
    pub(super) fn new(index: usize, first_env: usize, envs: Vec<B::Env>, seed: u64) -> Result<Self, Error> {
        let n = envs.len();
        Ok(Self {
            index,
            first_env,
            batch: B::from_envs(envs)?,
            rngs: (first_env..first_env + n).map(|env| Generator::new(seed.wrapping_add(env as u64))).collect(),
            phases: vec![Phase::New; n],
            elapsed: vec![0; n],
            skip: vec![false; n],
            idle: n,
            starting: Vec::with_capacity(n),
        })
    }

    /// The place of its first environment among all.
    pub(super) fn first_env(&self) -> usize {
        self.first_env
    }

    pub(super) fn len(&self) -> usize {
        self.rngs.len()
    }

    /// The first environment that has to be reset before it can be stepped, if there is one.
    pub(super) fn idle(&self, rule: &Rule) -> Option<usize> {
        if self.idle == 0 { None } else { (0..self.len()).find(|&env| self.waits(rule, env)) }
    }

    fn waits(&self, rule: &Rule, env: usize) -> bool {
        match self.phases[env] {
            Phase::New => true,
            Phase::Running => false,
            Phase::Ended => rule.autoreset == Autoreset::Disabled,
        }
    }

    fn count_idle(&mut self, rule: &Rule) {
        self.idle = (0..self.len()).filter(|&env| self.waits(rule, env)).count();
    }

    /// Whether the next step starts an episode in `env`, and ignores its action.
    pub(super) fn skips(&self, env: usize) -> bool {
        self.skip[env]
    }

    pub(super) fn seed(&mut self, env: usize, seed: u64) {
        self.rngs[env] = Generator::new(seed);
    }

    /// Starts episodes in the environments that `chosen` says.
    pub(super) fn reset(
        &mut self,
        rule: &Rule,
        chosen: impl Fn(usize) -> bool,
        observations: &mut [f32],
    ) -> Result<(), Error> {
        self.starting.clear();
        self.starting.extend((0..self.rngs.len()).filter(|&env| chosen(env)));
        self.start(observations)?;
        self.count_idle(rule);
        Ok(())
    }

    /// Starts episodes in the environments of `starting`.
    fn start(&mut self, observations: &mut [f32]) -> Result<(), Error> {
        for &env in &self.starting {
            self.elapsed[env] = 0;
            self.skip[env] = false;
            self.phases[env] = Phase::Running;
        }
        let started = self.batch.reset(&self.starting, &mut self.rngs, observations);
        started.inspect_err(|_| self.stop())
    }

    /// After a failure nothing is known of any environment.
    fn stop(&mut self) {
        self.phases.fill(Phase::New);
        self.skip.fill(false);
        self.idle = self.len();
    }

    /// Advances every environment by one step.
    pub(super) fn step(&mut self, rule: &Rule, actions: Actions<'_>, out: &mut Slices<'_>) -> Result<(), Error> {
        let actions = match actions {
            Actions::Given(actions) => actions,
            Actions::Chosen { act, space, rows } => {
                let n = self.len();
                act(Part {
                    index: self.index,
                    first_env: self.first_env,
                    observations: ArrayView2::from_shape((n, rule.columns), out.observations).expect(IN_SHAPE),
                    actions: ArrayViewMut2::from_shape((n, rule.action_columns), rows).expect(IN_SHAPE),
                });
                actions::check(space, rows, self.first_env, |env| self.skips(env)).inspect_err(|_| self.stop())?;
                &*rows
            }
        };
        let batch_out = BatchStep {
            observations: out.observations,
            rewards: out.rewards,
            terminated: out.terminated,
            truncated: out.truncated,
        };
        self.batch.step(actions, &self.skip, &mut self.rngs, batch_out).inspect_err(|_| self.stop())?;

        if rule.autoreset == Autoreset::NextStep {
            self.start_skipped(out)?;
        }
        self.count(rule, out.truncated);
        self.find_ended(out.terminated, out.truncated);
        if self.starting.is_empty() { Ok(()) } else { self.end(rule, out) }
    }

    /// Counts a step of every episode, and cuts off those that have reached the limit.
    fn count(&mut self, rule: &Rule, truncated: &mut [bool]) {
        let (limited, limit) = (rule.max_episode_steps.is_some(), rule.max_episode_steps.unwrap_or(0));
        for (elapsed, truncated) in self.elapsed.iter_mut().zip(truncated) {
            *elapsed = elapsed.wrapping_add(1);
            *truncated |= limited & (*elapsed >= limit);
        }
    }

    /// Puts the environments whose episodes have ended into `starting`. Which ones is hard to foresee for a processor,
    /// so there is no branch: every environment is written, and kept if its episode has ended.
    fn find_ended(&mut self, terminated: &[bool], truncated: &[bool]) {
        let n = self.elapsed.len();
        self.starting.resize(n, 0);
        let (mut ended, starting) = (0, &mut self.starting[..n]);
        for (env, (&terminated, &truncated)) in terminated.iter().zip(truncated).enumerate() {
            starting[ended] = env;
            ended += usize::from(terminated | truncated);
        }
        self.starting.truncate(ended);
    }

    /// Keeps the last observations of the episodes that end, and starts the next ones if that is the rule.
    fn end(&mut self, rule: &Rule, out: &mut Slices<'_>) -> Result<(), Error> {
        for &env in &self.starting {
            let row = env * rule.columns..(env + 1) * rule.columns;
            out.final_observations[row.clone()].copy_from_slice(&out.observations[row]);
        }
        match rule.autoreset {
            Autoreset::SameStep => return self.start(out.observations),
            Autoreset::NextStep => self.starting.iter().for_each(|&env| self.skip[env] = true),
            Autoreset::Disabled => self.idle += self.starting.len(),
        }
        self.starting.iter().for_each(|&env| self.phases[env] = Phase::Ended);
        Ok(())
    }

    /// Starts the episodes of the environments that the step has skipped.
    fn start_skipped(&mut self, out: &mut Slices<'_>) -> Result<(), Error> {
        self.starting.clear();
        self.starting.extend((0..self.skip.len()).filter(|&env| self.skip[env]));
        self.start(out.observations)?;
        for &env in &self.starting {
            out.rewards[env] = 0.0;
            out.terminated[env] = false;
            out.truncated[env] = false;
            // This step is none of the episode; it is about to be counted.
            self.elapsed[env] = 0_u32.wrapping_sub(1);
        }
        Ok(())
    }

    pub(super) fn batch(&self) -> &B {
        &self.batch
    }

    pub(super) fn save(&self) -> impl Iterator<Item = Episode> {
        (0..self.len()).map(|env| Episode {
            rng: self.rngs[env].clone(),
            phase: self.phases[env],
            elapsed: self.elapsed[env],
            state: self.batch.env(env).save(),
        })
    }

    /// The environments in the states of `episodes`; nothing has changed yet.
    pub(super) fn loaded(&self, episodes: &[Episode]) -> Result<Vec<B::Env>, Error> {
        let load = |(env, episode): (usize, &Episode)| {
            let mut env = self.batch.env(env);
            env.load(&episode.state)?;
            Ok(env)
        };
        episodes.iter().enumerate().map(load).collect()
    }

    /// Goes on from `episodes`, whose states `envs` are in.
    pub(super) fn restore(&mut self, rule: &Rule, episodes: &[Episode], envs: Vec<B::Env>) {
        for (i, (episode, env)) in episodes.iter().zip(envs).enumerate() {
            self.batch.set_env(i, env);
            self.rngs[i] = episode.rng.clone();
            self.phases[i] = episode.phase;
            self.elapsed[i] = episode.elapsed;
            self.skip[i] = episode.phase == Phase::Ended && rule.autoreset == Autoreset::NextStep;
        }
        self.count_idle(rule);
    }
}
