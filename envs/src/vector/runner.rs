//! The one vector environment: a batch in chunks, and what is checked before they are stepped.

use super::actions::{self, Act, Actions};
use super::chunk::{Chunk, Rule, Slices};
use super::work::Work;
use super::{Autoreset, Batch, Copies, StepView, VectorEnv};
use crate::threads::Threads;
use crate::{Env, Error, Frame, RowEnv, Rows, Snapshot, Space};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

/// A vector environment over a [`Batch`], split among threads in contiguous chunks.
pub struct Vector<B> {
    chunks: Vec<Chunk<B>>,
    num_envs: usize,
    observation_space: Space,
    action_space: Space,
    rule: Rule,
    threads: Threads,
    /// Whether every environment is known to have an episode, or to begin one in the next step. Asking the chunks would
    /// take what the threads have just written from their caches.
    ready: bool,
}

/// Copies of an [`Env`], stepped one after another.
pub type SyncVector<E> = Vector<Copies<Rows<E>>>;

impl<E: Env> SyncVector<E> {
    /// `num_envs` copies of `env` with same-step autoreset, whose episodes are cut off at their
    /// `max_episode_steps`-th step; the generator of copy i starts from seed + i.
    pub fn copies(env: E, max_episode_steps: Option<u32>, num_envs: usize, seed: u64) -> Self {
        let envs = vec![Rows::new(env); num_envs.max(1)];
        Self::new(envs, max_episode_steps, seed, Autoreset::SameStep, 1).expect("copies of one Env do not differ")
    }
}

impl<B: Batch> Vector<B> {
    /// The environments `envs` as one, each cut off at its `max_episode_steps`-th step; the generator of environment
    /// i starts from seed + i. A second thread pays off from some thousand environments on.
    ///
    /// # Errors
    /// If there are no environments, their spaces differ, one of them fails, or threads cannot be started.
    pub fn new(
        envs: Vec<B::Env>,
        max_episode_steps: Option<u32>,
        seed: u64,
        autoreset: Autoreset,
        threads: usize,
    ) -> Result<Self, Error> {
        let num_envs = envs.len();
        let first = envs.first().ok_or_else(|| Error::config("num_envs: expected at least 1, got 0"))?;
        let (observation_space, action_space) = (first.observation_space(), first.action_space());
        let same = |env: &B::Env| env.observation_space() == observation_space && env.action_space() == action_space;
        if let Some(other) = envs.iter().position(|env| !same(env)) {
            return Err(Error::config(format!(
                "environment {other} has other spaces than environment 0: expected observations of \
                 {observation_space} and actions of {action_space}; vary only parameters that leave the spaces alone"
            )));
        }
        let threads = Threads::new(threads.clamp(1, num_envs))?;
        let mut rest = envs.into_iter();
        let size = num_envs.div_ceil(threads.count());
        let chunk = |first: usize| Chunk::new(first / size, first, rest.by_ref().take(size).collect(), seed);
        let chunks = (0..num_envs).step_by(size).map(chunk).collect::<Result<_, _>>()?;
        let (columns, action_columns) = (observation_space.flat_dim(), action_space.flat_dim());
        let rule = Rule { columns, action_columns, max_episode_steps, autoreset };
        Ok(Self { chunks, num_envs, observation_space, action_space, rule, threads, ready: false })
    }

    /// The chunk of an environment and its place there.
    fn locate(&self, env: usize) -> Option<(&Chunk<B>, usize)> {
        let mut place = env;
        for chunk in &self.chunks {
            match place.checked_sub(chunk.len()) {
                None => return Some((chunk, place)),
                Some(rest) => place = rest,
            }
        }
        None
    }

    /// Refuses to step what has not been reset.
    fn check_started(&self) -> Result<(), Error> {
        if self.ready {
            return Ok(());
        }
        for chunk in &self.chunks {
            if let Some(env) = chunk.idle(&self.rule) {
                let env = chunk.first_env() + env;
                return Err(Error::order(match self.rule.autoreset {
                    Autoreset::Disabled => format!(
                        "environment {env} has no episode: reset it with reset_where before the step (autoreset is disabled)"
                    ),
                    _ => format!("step before reset: environment {env} has no episode; call reset first"),
                }));
            }
        }
        Ok(())
    }

    /// Steps every chunk.
    fn advance<'a>(&'a mut self, actions: impl FnOnce(&'a Space) -> Actions<'a>, out: Slices<'a>) -> Result<(), Error> {
        let actions = actions(&self.action_space);
        let work = Work { chunks: &mut self.chunks, actions, out };
        let done = work.share(&self.rule, self.threads.helpers());
        let ready = done.is_ok() && self.rule.autoreset != Autoreset::Disabled;
        // The threads read what lies beside it: written in every step, it would leave their caches each time.
        if self.ready != ready {
            self.ready = ready;
        }
        done
    }

    /// The caller's buffers, if they have the right shapes.
    fn slices<'a>(&self, out: &'a mut StepView<'_>) -> Result<Slices<'a>, Error> {
        let (n, shape) = (self.num_envs, (self.num_envs, self.rule.columns));
        Ok(Slices {
            observations: buffer("observations", shape, out.observations.dim(), out.observations.as_slice_mut())?,
            final_observations: buffer(
                "final_observations",
                shape,
                out.final_observations.dim(),
                out.final_observations.as_slice_mut(),
            )?,
            rewards: buffer("rewards", n, out.rewards.dim(), out.rewards.as_slice_mut())?,
            terminated: buffer("terminated", n, out.terminated.dim(), out.terminated.as_slice_mut())?,
            truncated: buffer("truncated", n, out.truncated.dim(), out.truncated.as_slice_mut())?,
        })
    }
}

impl<B: Batch> VectorEnv for Vector<B> {
    fn num_envs(&self) -> usize {
        self.num_envs
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn autoreset(&self) -> Autoreset {
        self.rule.autoreset
    }

    fn reset(&mut self, seed: Option<u64>, mut observations: ArrayViewMut2<'_, f32>) -> Result<(), Error> {
        let shape = (self.num_envs, self.rule.columns);
        let mut observations = buffer("observations", shape, observations.dim(), observations.as_slice_mut())?;
        self.ready = false;
        for chunk in &mut self.chunks {
            let first = chunk.first_env();
            if let Some(seed) = seed {
                (0..chunk.len()).for_each(|env| chunk.seed(env, seed.wrapping_add((first + env) as u64)));
            }
            let (rows, rest) = observations.split_at_mut(chunk.len() * self.rule.columns);
            chunk.reset(&self.rule, |_| true, rows)?;
            observations = rest;
        }
        Ok(())
    }

    fn reset_where(
        &mut self,
        mask: ArrayView1<'_, bool>,
        seeds: Option<&[u64]>,
        mut observations: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        let shape = (self.num_envs, self.rule.columns);
        let mut observations = buffer("observations", shape, observations.dim(), observations.as_slice_mut())?;
        entries("mask", self.num_envs, mask.len())?;
        entries("seeds", self.num_envs, seeds.map_or(self.num_envs, <[u64]>::len))?;
        self.ready = false;
        for chunk in &mut self.chunks {
            let first = chunk.first_env();
            if let Some(seeds) = seeds {
                (0..chunk.len()).filter(|env| mask[first + env]).for_each(|env| chunk.seed(env, seeds[first + env]));
            }
            let (rows, rest) = observations.split_at_mut(chunk.len() * self.rule.columns);
            chunk.reset(&self.rule, |env| mask[first + env], rows)?;
            observations = rest;
        }
        Ok(())
    }

    fn step(&mut self, actions: ArrayView2<'_, f32>, mut out: StepView<'_>) -> Result<(), Error> {
        let shape = (self.num_envs, self.rule.action_columns);
        let actions = buffer("actions", shape, actions.dim(), actions.as_slice())?;
        let out = self.slices(&mut out)?;
        self.check_started()?;
        let skipped = |env: usize| self.locate(env).is_some_and(|(chunk, place)| chunk.skips(place));
        actions::check(&self.action_space, actions, 0, skipped)?;
        self.advance(|_| Actions::Given(actions), out)
    }

    fn parts(&self) -> usize {
        self.chunks.len()
    }

    fn step_with(
        &mut self,
        act: &Act<'_>,
        mut actions: ArrayViewMut2<'_, f32>,
        mut out: StepView<'_>,
    ) -> Result<(), Error> {
        let shape = (self.num_envs, self.rule.action_columns);
        let rows = buffer("actions", shape, actions.dim(), actions.as_slice_mut())?;
        let out = self.slices(&mut out)?;
        self.check_started()?;
        self.advance(|space| Actions::Chosen { act, space, rows }, out)
    }

    fn action_masks(&self, mut masks: ArrayViewMut2<'_, bool>) -> Result<(), Error> {
        let columns = self.action_space.feature_dim();
        let masks = buffer("masks", (self.num_envs, columns), masks.dim(), masks.as_slice_mut())?;
        masks.fill(true);
        let envs = self.chunks.iter().flat_map(|chunk| (0..chunk.len()).map(|env| (chunk.batch(), env)));
        let mut rows = masks.chunks_exact_mut(columns).zip(envs);
        rows.try_for_each(|(mask, (batch, env))| batch.action_mask(env, mask))
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.chunks.iter().flat_map(Chunk::save).collect())
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let mut episodes = snapshot.episodes(self.num_envs)?;
        let mut parts = Vec::with_capacity(self.chunks.len());
        for chunk in &self.chunks {
            let (part, rest) = episodes.split_at(chunk.len());
            parts.push((part, chunk.loaded(part)?));
            episodes = rest;
        }
        self.ready = false;
        let chunks = self.chunks.iter_mut().zip(parts);
        chunks.for_each(|(chunk, (part, envs))| chunk.restore(&self.rule, part, envs));
        Ok(())
    }

    fn render_ansi(&self, env: usize) -> Option<String> {
        self.locate(env).and_then(|(chunk, place)| chunk.batch().render_ansi(place))
    }

    fn render_rgb(&self, env: usize) -> Option<Frame> {
        self.locate(env).and_then(|(chunk, place)| chunk.batch().render_rgb(place))
    }
}

/// The elements of a caller's buffer, if it has the right shape and is contiguous.
pub(crate) fn buffer<S: PartialEq + std::fmt::Debug, T>(
    name: &str,
    expected: S,
    got: S,
    slice: Option<T>,
) -> Result<T, Error> {
    match slice {
        _ if got != expected => {
            Err(Error::shape(format!("{name}: expected shape {expected:?}, environments first, got {got:?}")))
        }
        Some(slice) => Ok(slice),
        None => Err(Error::shape(format!("{name}: expected a buffer that is contiguous in C order; copy it into one"))),
    }
}

fn entries(name: &str, expected: usize, got: usize) -> Result<(), Error> {
    if got == expected {
        return Ok(());
    }
    Err(Error::shape(format!("{name}: expected {expected} entries, one an environment, got {got}")))
}
