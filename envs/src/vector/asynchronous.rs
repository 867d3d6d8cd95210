//! Environments that are stepped on threads while the caller does something else.

use super::{StepBuffer, VectorEnv};
use crate::{EnvSpec, Error, Registry, VectorOptions};
use crossbeam_channel::{Receiver, Sender, bounded};
use ndarray::Array2;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Groups of environments, each of which is either with the caller or being stepped.
///
/// Where the times of steps vary, waiting for all environments means waiting for the slowest. Here the first group
/// that is ready comes back, the caller acts in it and sends it off again. Which group comes first is up to the
/// threads; what happens within a group is not: environment i of all is seeded with seed + i, and its episodes depend on
/// its actions alone.
///
/// ```
/// use apprentice_envs::{AsyncVector, Registry, VectorOptions};
///
/// // Eight environments in four groups of two, on two threads.
/// let options = VectorOptions::new(8, 42).threads(2);
/// let mut envs = AsyncVector::new(&Registry::builtin(), "CartPole-v1", &options, 2)?;
/// for _ in 0..100 {
///     let mut group = envs.recv().expect("no group has been kept");
///     group.step()?; // the observations to act on, and the rewards of the last actions
///     group.actions.fill(1.0);
///     envs.send(group)?;
/// }
/// # Ok::<(), apprentice_envs::Error>(())
/// ```
pub struct AsyncVector {
    /// None only while it is dropped.
    jobs: Option<Sender<Group>>,
    ready: Receiver<Group>,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// Groups that are not with the caller.
    out: usize,
    /// What its groups are known by.
    home: Arc<()>,
}

/// Some of the environments of an [`AsyncVector`], at rest.
pub struct Group {
    /// The place of its first environment among all.
    pub first_env: usize,
    /// `[n, flat_dim of the action space]`: what to do next; valid actions for `send`.
    pub actions: Array2<f32>,
    envs: Box<dyn VectorEnv>,
    step: StepBuffer,
    outcome: Result<(), Error>,
    /// Whether an environment has panicked. Nothing is known of it any more, so it is not stepped again.
    broken: bool,
    /// Where it belongs.
    home: Arc<()>,
}

impl Group {
    /// What the last step gave; of a group that has not been stepped yet, its first observations and rewards of 0.
    ///
    /// # Errors
    /// If the step failed: because of an action outside its space (then nothing has been stepped: send the group again
    /// with other actions) or because an environment itself failed. One that panicked fails in every later step too.
    pub fn step(&self) -> Result<&StepBuffer, Error> {
        self.outcome.clone().map(|()| &self.step)
    }

    /// The environments themselves, for snapshots and pictures.
    pub fn envs(&mut self) -> &mut dyn VectorEnv {
        &mut *self.envs
    }

    fn advance(&mut self) {
        if self.broken {
            return;
        }
        let step = || self.envs.step(self.actions.view(), self.step.view_mut());
        self.outcome = catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
            self.broken = true;
            Err(Error::environment("the environment panicked in a step; its message is on stderr"))
        });
    }
}

impl AsyncVector {
    /// `options.num_envs` environments in groups of `group_size` (the last may be smaller), stepped on
    /// `options.threads` threads. All have been reset.
    ///
    /// # Errors
    /// If they cannot be made, if `group_size` is not from 1 to `num_envs`, or if `options.each` is for another number of
    /// environments.
    pub fn new(
        registry: &Registry,
        spec: impl Into<EnvSpec>,
        options: &VectorOptions,
        group_size: usize,
    ) -> Result<Self, Error> {
        let (spec, num_envs) = (spec.into(), options.num_envs);
        if !(1..=num_envs).contains(&group_size) {
            return Err(Error::config(format!("group_size: expected 1 to {num_envs} (num_envs), got {group_size}")));
        }
        if !options.each.is_empty() && options.each.len() != num_envs {
            let got = options.each.len();
            return Err(Error::config(format!("each: expected parameters for {num_envs} environments, got {got}")));
        }
        let home = Arc::new(());
        let group = |first_env: usize| {
            let size = group_size.min(num_envs - first_env);
            let options = VectorOptions {
                num_envs: size,
                seed: options.seed.wrapping_add(first_env as u64),
                threads: 1,
                each: options.each.iter().skip(first_env).take(size).cloned().collect(),
                ..options.clone()
            };
            let mut envs = registry.make_vec_with(&spec, &options)?;
            let mut step = StepBuffer::new(&*envs);
            envs.reset(None, step.observations.view_mut())?;
            let actions = Array2::zeros((size, envs.action_space().flat_dim()));
            Ok(Group { first_env, actions, envs, step, outcome: Ok(()), broken: false, home: Arc::clone(&home) })
        };
        let groups: Vec<Group> = (0..num_envs).step_by(group_size).map(group).collect::<Result<_, Error>>()?;

        let (jobs, work) = bounded::<Group>(groups.len());
        let (done, ready) = bounded(groups.len());
        let out = groups.len();
        groups.into_iter().for_each(|group| done.send(group).expect("the channel has room for every group"));
        let worker = |_| {
            let (work, done) = (work.clone(), done.clone());
            std::thread::spawn(move || {
                for mut group in work {
                    group.advance();
                    if done.send(group).is_err() {
                        return;
                    }
                }
            })
        };
        let threads = (0..options.threads.clamp(1, out)).map(worker).collect();
        Ok(Self { jobs: Some(jobs), ready, threads, out, home })
    }

    /// The first group that is ready; waits for one. None if all groups are with the caller.
    pub fn recv(&mut self) -> Option<Group> {
        self.out = self.out.checked_sub(1)?;
        self.ready.recv().ok()
    }

    /// Hands a group back, to be stepped with its `actions`.
    ///
    /// # Errors
    /// If it is a group of another `AsyncVector`, which then is lost.
    pub fn send(&mut self, group: Group) -> Result<(), Error> {
        if !Arc::ptr_eq(&group.home, &self.home) {
            return Err(Error::order("send: the group is one of another AsyncVector; send it where it was received"));
        }
        self.out += 1;
        let jobs = self.jobs.as_ref().expect("there are threads until the end");
        assert!(jobs.send(group).is_ok(), "the threads run until the end");
        Ok(())
    }
}

/// Ends the threads.
impl Drop for AsyncVector {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Env, EnvInfo, Generator, Space, Step};
    use serde::Deserialize;

    /// Whatever comes first, every environment has the episodes of its seed.
    #[test]
    fn episodes_are_those_of_the_synchronous_form() {
        let registry = Registry::builtin();
        let options = VectorOptions::new(7, 30).threads(3);
        let mut envs = AsyncVector::new(&registry, "FrozenLake-v1", &options, 2).unwrap();
        let mut traces = vec![Vec::new(); 7];
        let action = |env: usize, t: usize| Generator::stream(env as u64, t as u32).integers(4) as f32;
        while traces.iter().any(|trace| trace.len() < 60) {
            let mut group = envs.recv().unwrap();
            let step = group.step().unwrap().clone();
            for (row, trace) in traces.iter_mut().skip(group.first_env).take(step.rewards.len()).enumerate() {
                let t = trace.len();
                trace.push((step.observations[[row, 0]], step.rewards[row], step.terminated[row]));
                group.actions[[row, 0]] = action(group.first_env + row, t);
            }
            envs.send(group).unwrap();
        }
        let mut sync = registry.make_vec("FrozenLake-v1", 7, 30).unwrap();
        let mut step = StepBuffer::new(&*sync);
        sync.reset(None, step.observations.view_mut()).unwrap();
        for t in 0..60 {
            for (env, trace) in traces.iter().enumerate() {
                assert_eq!(trace[t], (step.observations[[env, 0]], step.rewards[env], step.terminated[env]));
            }
            let actions = Array2::from_shape_fn((7, 1), |(env, _)| action(env, t));
            sync.step(actions.view(), step.view_mut()).unwrap();
        }
    }

    #[test]
    fn groups_are_somewhere_at_every_time() {
        let options = VectorOptions::new(5, 0).threads(2);
        let mut envs = AsyncVector::new(&Registry::builtin(), "CartPole-v1", &options, 2).unwrap();
        let mut groups: Vec<Group> = std::iter::from_fn(|| envs.recv()).collect();
        assert_eq!(groups.iter().map(|group| group.actions.nrows()).sum::<usize>(), 5);
        assert!(envs.recv().is_none());

        let mut group = groups.remove(0);
        group.actions.fill(7.0);
        envs.send(group).unwrap();
        let mut group = envs.recv().unwrap();
        assert!(group.step().unwrap_err().is_action());
        group.actions.fill(1.0);
        envs.send(group).unwrap();
        assert!(envs.recv().unwrap().step().is_ok());
        let mut others = AsyncVector::new(&Registry::builtin(), "CartPole-v1", &options, 2).unwrap();
        assert!(others.send(groups.remove(0)).unwrap_err().is_order());

        let each = VectorOptions { each: vec![Default::default(); 9], ..options.clone() };
        assert!(AsyncVector::new(&Registry::builtin(), "CartPole-v1", &each, 2).err().unwrap().is_config());
        for size in [0, 6] {
            assert!(AsyncVector::new(&Registry::builtin(), "CartPole-v1", &options, size).err().unwrap().is_config());
        }
    }

    /// Panics in its tenth step, and takes any number after it.
    #[derive(Clone)]
    struct Fragile {
        steps: u32,
    }

    #[derive(Deserialize)]
    struct Nothing {}

    impl Env for Fragile {
        type Observation = i64;
        type Action = i64;
        type State = u32;

        fn observation_space(&self) -> Space {
            Space::discrete(1)
        }

        fn action_space(&self) -> Space {
            Space::discrete(1)
        }

        fn reset(&mut self, _: &mut Generator) -> i64 {
            0
        }

        fn step(&mut self, _: &i64, _: &mut Generator) -> Step<i64> {
            self.steps += 1;
            assert!(self.steps != 10, "the tenth step");
            Step { observation: 0, reward: 0.0, terminated: false, truncated: false }
        }

        fn state(&self) -> u32 {
            self.steps
        }

        fn set_state(&mut self, steps: u32) -> Result<(), Error> {
            self.steps = steps;
            Ok(())
        }
    }

    #[test]
    fn a_group_with_an_environment_that_panicked_is_not_stepped_again() {
        let mut registry = Registry::empty();
        registry.register(EnvInfo::new("Fragile-v0"), |_: Nothing| Ok(Fragile { steps: 0 }));
        let mut envs = AsyncVector::new(&registry, "Fragile-v0", &VectorOptions::new(1, 0), 1).unwrap();
        for step in 0..12 {
            let group = envs.recv().unwrap();
            assert_eq!(group.step().is_ok(), step < 10, "after {step} steps");
            envs.send(group).unwrap();
        }
    }
}
