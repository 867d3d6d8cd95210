//! Batches whose states are a few numbers an environment: kept in columns, and advanced a block at a time.

#[cfg(test)]
mod tests;

use super::{Batch, BatchStep};
use crate::simd::{Isa, Kernel, dispatch};
use crate::{Env, Error, Generator, RowEnv, Rows};

/// How many environments a block has: enough for several vectors at once, and few enough that all that is computed
/// for a block stays in the first-level cache.
pub(crate) const LANES: usize = 32;

/// One number of each environment of a block.
pub(crate) type Lane<T = f64> = [T; LANES];

/// An environment that can be advanced a block at a time. Its state is `K` numbers, its observation `D`, its action one.
pub(crate) trait Lanes<const K: usize, const D: usize>: Env {
    /// What may differ between environments, beside their states.
    type Parameters: Copy + PartialEq;

    /// The state.
    fn pack(&self) -> [f64; K];

    /// Puts the environment in a state that [`pack`](Self::pack) gave.
    fn unpack(&mut self, state: [f64; K]);

    /// The parameters.
    fn parameters(&self) -> Self::Parameters;

    /// Advances a block by one step, with the bits of [`Env::step`]; `parameters(i)` are those of environment i.
    ///
    /// To be marked `#[inline(always)]`: see [`Kernel`].
    fn advance<I: Isa>(
        isa: I,
        parameters: impl Fn(usize) -> Self::Parameters,
        states: &mut [Lane; K],
        actions: &Lane<f32>,
        out: &mut Outcomes<D>,
    );
}

/// What a step gives, for a block; it begins with a cache line as a [`Block`] does.
#[repr(align(64))]
pub(crate) struct Outcomes<const D: usize> {
    /// The observations after the step.
    pub(crate) observations: Lane<[f32; D]>,
    /// The rewards.
    pub(crate) rewards: Lane,
    /// The episodes that ended by the rules of the task.
    pub(crate) terminated: Lane<bool>,
}

/// The states of a block. It begins with a cache line, so that no vector register of them lies across two.
#[derive(Clone)]
#[repr(align(64))]
struct Block<const K: usize>([Lane; K]);

/// The batch of an environment that can be advanced a block at a time.
pub(crate) struct LaneBatch<E, const K: usize, const D: usize> {
    /// The parameters; the states are those of the last reset.
    envs: Vec<Rows<E>>,
    /// Whether all parameters are the same, so that those of the first environment will do.
    alike: bool,
    /// The states. The lanes of the last block that no environment has are copies of its first.
    blocks: Vec<Block<K>>,
}

impl<E: Lanes<K, D>, const K: usize, const D: usize> LaneBatch<E, K, D> {
    /// The place of the parameters of `env`.
    fn parameters(&self, env: usize) -> usize {
        if self.alike { 0 } else { env }
    }

    fn set_state(&mut self, env: usize, state: [f64; K]) {
        self.blocks[env / LANES].0.iter_mut().zip(state).for_each(|(lane, x)| lane[env % LANES] = x);
    }
}

impl<E: Lanes<K, D>, const K: usize, const D: usize> Batch for LaneBatch<E, K, D> {
    type Env = Rows<E>;

    fn from_envs(envs: Vec<Rows<E>>) -> Result<Self, Error> {
        let alike = envs.windows(2).all(|pair| pair[0].get().parameters() == pair[1].get().parameters());
        let mut batch = Self { alike, blocks: vec![Block([[0.0; LANES]; K]); envs.len().div_ceil(LANES)], envs };
        for env in 0..batch.envs.len() {
            batch.set_state(env, batch.envs[env].get().pack());
        }
        Ok(batch)
    }

    fn env(&self, env: usize) -> Rows<E> {
        let mut one = self.envs[env].clone();
        one.get_mut().unpack(self.blocks[env / LANES].0.map(|lane| lane[env % LANES]));
        one
    }

    fn set_env(&mut self, env: usize, to: Rows<E>) {
        self.set_state(env, to.get().pack());
    }

    fn reset(&mut self, envs: &[usize], rngs: &mut [Generator], observations: &mut [f32]) -> Result<(), Error> {
        for &env in envs {
            let at = self.parameters(env);
            self.envs[at].reset(&mut rngs[env], &mut observations[env * D..(env + 1) * D])?;
            self.set_state(env, self.envs[at].get().pack());
        }
        Ok(())
    }

    fn step(&mut self, actions: &[f32], _: &[bool], _: &mut [Generator], out: BatchStep<'_>) -> Result<(), Error> {
        out.truncated.fill(false);
        dispatch(Step { batch: self, actions, out });
        Ok(())
    }
}

/// A step of all blocks.
struct Step<'a, E, const K: usize, const D: usize> {
    batch: &'a mut LaneBatch<E, K, D>,
    actions: &'a [f32],
    out: BatchStep<'a>,
}

impl<E: Lanes<K, D>, const K: usize, const D: usize> Kernel for Step<'_, E, K, D> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { batch: LaneBatch { envs, alike, blocks }, actions, out } = self;
        // A copy, which the compiler knows not to change under the writes of a loop.
        let common = envs[0].get().parameters();
        let mut outcomes =
            Outcomes { observations: [[0.0; D]; LANES], rewards: [0.0; LANES], terminated: [false; LANES] };
        let rows = out.observations.chunks_mut(LANES * D);
        let flags = out.rewards.chunks_mut(LANES).zip(out.terminated.chunks_mut(LANES));
        for (b, (((Block(block), actions), rows), (rewards, terminated))) in
            blocks.iter_mut().zip(actions.chunks(LANES)).zip(rows).zip(flags).enumerate()
        {
            let mut filled = [actions[0]; LANES];
            let n = actions.len();
            let actions = match actions.try_into() {
                Ok(full) => full,
                Err(_) => {
                    filled[..n].copy_from_slice(actions);
                    for lane in block.iter_mut() {
                        let first = lane[0];
                        lane[n..].fill(first);
                    }
                    &filled
                }
            };
            if *alike {
                E::advance(isa, |_| common, block, actions, &mut outcomes);
            } else {
                let envs = &envs[b * LANES..][..n];
                E::advance(isa, |i| envs.get(i).unwrap_or(&envs[0]).get().parameters(), block, actions, &mut outcomes);
            }
            store(outcomes.observations.as_flattened(), rows);
            store(&outcomes.rewards, rewards);
            store(&outcomes.terminated, terminated);
        }
    }
}

/// Copies the entries that there is room for.
#[inline(always)]
fn store<T: Copy>(from: &[T], to: &mut [T]) {
    match to.len() == from.len() {
        // Of known length, this needs no call.
        true => to.copy_from_slice(from),
        false => to.copy_from_slice(&from[..to.len()]),
    }
}
