//! A step of all chunks, shared among threads.

use super::Batch;
use super::chunk::{Chunk, Rule, Slices};
use super::helper::Helper;
use super::lanes::LANES;
use crate::Error;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// How many chunks there are for each thread, if there are enough environments.
const CHUNKS: usize = 8;
/// A chunk of this many environments takes a microsecond at least, which is long beside the time to take one.
const SMALLEST_SHARE: usize = 4 * LANES;

/// The size of the chunks, the last of which may be smaller. One thread has a single chunk. Several have some more than
/// there are threads, of whole blocks of lanes, but no thread goes without one for that.
pub(super) fn chunk_size(num_envs: usize, threads: usize) -> usize {
    match threads {
        1 => num_envs,
        _ => num_envs.div_ceil(threads * CHUNKS).next_multiple_of(SMALLEST_SHARE).min(num_envs.div_ceil(threads)),
    }
}

/// Consecutive chunks that are to be stepped, with their rows in the caller's buffers.
pub(super) struct Work<'a, B> {
    pub(super) chunks: &'a mut [Chunk<B>],
    pub(super) actions: &'a [f32],
    pub(super) out: Slices<'a>,
}

impl<B: Batch> Work<'_, B> {
    /// Steps every chunk, here and on the helpers. Where several fail, it is the first one's error.
    ///
    /// Two threads take chunks as they get to them, one from the front and one from the back: whoever is held up, as
    /// by another program on its processor, leaves more to the other, and most chunks stay with one thread and in its
    /// cache. More threads are pairs, each with a part of its own.
    pub(super) fn share(self, rule: &Rule, helpers: &mut [Helper]) -> Result<(), Error> {
        match helpers {
            [] => self.step(rule),
            [helper] => {
                let left = Mutex::new(self);
                let steps = |take: fn(&mut Self, &Rule) -> Option<Self>| {
                    let left = &left;
                    std::iter::from_fn(move || take(&mut left.lock().unwrap_or_else(PoisonError::into_inner), rule))
                        .map(|chunk| chunk.step(rule))
                };
                let (front, back) = helper.join(
                    || steps(Self::take_first).reduce(|before, chunk| before.and(chunk)),
                    || steps(Self::take_last).reduce(|behind, chunk| chunk.and(behind)),
                );
                front.unwrap_or(Ok(())).and(back.unwrap_or(Ok(())))
            }
            [helper, helpers @ ..] => {
                let threads = helpers.len() + 2;
                let (near, far) = helpers.split_at_mut(threads / 2 - 1);
                let chunks = self.chunks.len() * (threads / 2) / threads;
                let (front, back) = self.split_at(rule, chunks);
                let (front, back) = helper.join(|| front.share(rule, near), || back.share(rule, far));
                front.and(back)
            }
        }
    }

    /// Steps every chunk, one after another.
    fn step(mut self, rule: &Rule) -> Result<(), Error> {
        match &mut *self.chunks {
            [] => Ok(()),
            [chunk] => chunk.step(rule, self.actions, &mut self.out),
            [_, ..] => {
                let half = self.chunks.len() / 2;
                let (front, back) = self.split_at(rule, half);
                front.step(rule).and(back.step(rule))
            }
        }
    }

    /// The first chunk that is left.
    fn take_first(&mut self, rule: &Rule) -> Option<Self> {
        let all = self.take()?;
        let (first, rest) = all.split_at(rule, 1);
        *self = rest;
        Some(first)
    }

    /// The last chunk that is left.
    fn take_last(&mut self, rule: &Rule) -> Option<Self> {
        let all = self.take()?;
        let chunks = all.chunks.len() - 1;
        let (rest, last) = all.split_at(rule, chunks);
        *self = rest;
        Some(last)
    }

    /// All that is left, if there is anything.
    fn take(&mut self) -> Option<Self> {
        let chunks = Some(mem::take(&mut self.chunks)).filter(|chunks| !chunks.is_empty())?;
        Some(Self { chunks, actions: self.actions, out: mem::take(&mut self.out) })
    }

    /// The first `chunks` chunks and the rest.
    fn split_at(self, rule: &Rule, chunks: usize) -> (Self, Self) {
        let (front, back) = self.chunks.split_at_mut(chunks);
        let envs = front.iter().map(Chunk::len).sum::<usize>();
        let (actions, actions_back) = self.actions.split_at(envs * rule.action_columns);
        let (out, out_back) = self.out.split_at(envs, rule.columns);
        (Self { chunks: front, actions, out }, Self { chunks: back, actions: actions_back, out: out_back })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_chunk_and_large_batches_have_some_to_share() {
        for (num_envs, threads, size) in [
            (4096, 1, 4096),
            (4096, 2, 256),
            (65_536, 2, 4096),
            (1000, 2, 128),
            (200, 2, 100),
            (64, 2, 32),
            (5, 2, 3),
            (5, 4, 2),
            (3, 3, 1),
            (1, 1, 1),
        ] {
            assert_eq!(chunk_size(num_envs, threads), size, "{num_envs} environments, {threads} threads");
        }
    }
}
