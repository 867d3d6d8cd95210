//! A step of all chunks, shared among threads.

use super::Batch;
use super::actions::Actions;
use super::chunk::{Chunk, Rule, Slices};
use super::lanes::LANES;
use crate::Error;
use crate::threads::Helper;
use std::sync::{Mutex, PoisonError};

/// How many chunks there are for each thread, if there are enough environments: what a thread that is held up leaves to
/// another. To take a chunk and to begin with it costs .15 µs, which is 7 % of what 256 CartPoles take.
const CHUNKS: usize = 2;
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
    pub(super) actions: Actions<'a>,
    pub(super) out: Slices<'a>,
}

impl<B: Batch> Work<'_, B> {
    /// Steps every chunk, here and on the helpers. Where several fail, it is the first one's error.
    ///
    /// Two threads have a half each, and whoever is done with its own helps with what is left of the other's: a thread
    /// that is held up, as by another program on its processor, leaves more to the other, and most chunks stay with
    /// one thread and in its cache. More threads are pairs, each with a part of its own.
    pub(super) fn share(self, rule: &Rule, helpers: &mut [Helper]) -> Result<(), Error> {
        match helpers {
            [] => self.step(rule),
            [helper] => {
                let half = self.chunks.len().div_ceil(2);
                let (front, back) = self.split_at(rule, half);
                let (front, back) = (Shared::new(front), Shared::new(back));
                let ((front_first, back_last), (back_first, front_last)) = helper.join(
                    || (front.step_from_front(rule), back.step_from_back(rule)),
                    || (back.step_from_front(rule), front.step_from_back(rule)),
                );
                front_first.and(front_last).and(back_first).and(back_last)
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

    fn has_chunks(&self) -> bool {
        !self.chunks.is_empty()
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

/// Work that one thread takes from the front and another, once it has nothing else to do, from the back. The lock is
/// in nobody's way until then, and on a cache line of its own.
#[repr(align(128))]
struct Shared<'a, B: Batch>(Mutex<Option<Work<'a, B>>>);

impl<'a, B: Batch> Shared<'a, B> {
    fn new(work: Work<'a, B>) -> Self {
        Self(Mutex::new(Some(work).filter(Work::has_chunks)))
    }

    /// Steps the chunks that are left, the first one first. Where several fail, it is the first one's error.
    fn step_from_front(&self, rule: &Rule) -> Result<(), Error> {
        let take = || self.take(|work| work.split_at(rule, 1));
        let done = std::iter::from_fn(take).map(|chunk| chunk.step(rule));
        done.reduce(|before, chunk| before.and(chunk)).unwrap_or(Ok(()))
    }

    /// Steps the chunks that are left, the last one first. Where several fail, it is the first one's error.
    fn step_from_back(&self, rule: &Rule) -> Result<(), Error> {
        let take = || {
            self.take(|work| {
                let chunks = work.chunks.len() - 1;
                let (rest, last) = work.split_at(rule, chunks);
                (last, rest)
            })
        };
        let done = std::iter::from_fn(take).map(|chunk| chunk.step(rule));
        done.reduce(|behind, chunk| chunk.and(behind)).unwrap_or(Ok(()))
    }

    /// Takes a part of what is left, if anything is; `split` returns it and the rest.
    fn take(&self, split: impl FnOnce(Work<'a, B>) -> (Work<'a, B>, Work<'a, B>)) -> Option<Work<'a, B>> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (part, rest) = split(left.take()?);
        *left = Some(rest).filter(Work::has_chunks);
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_chunk_and_large_batches_have_some_to_share() {
        for (num_envs, threads, size) in [
            (4096, 1, 4096),
            (4096, 2, 1024),
            (65_536, 2, 16_384),
            (1000, 2, 256),
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
