//! A step of all chunks, shared among threads.

use super::Batch;
use super::actions::Actions;
use super::chunk::{Chunk, Rule, Slices};
use crate::Error;
use crate::threads::Helper;

/// Consecutive chunks that are to be stepped, with their rows in the caller's buffers.
pub(super) struct Work<'a, B> {
    pub(super) chunks: &'a mut [Chunk<B>],
    pub(super) actions: Actions<'a>,
    pub(super) out: Slices<'a>,
}

impl<B: Batch> Work<'_, B> {
    /// Steps every chunk, here and on the helpers. Where several fail, it is the first one's error.
    ///
    /// There is a chunk for each thread, and unless a thread is held up it has the same one in every step, so that what it
    /// holds stays in the thread's cache.
    pub(super) fn share(mut self, rule: &Rule, helpers: &mut [Helper]) -> Result<(), Error> {
        match (&mut *self.chunks, helpers) {
            ([], _) => Ok(()),
            ([chunk], _) => chunk.step(rule, self.actions, &mut self.out),
            (_, []) => {
                let half = self.chunks.len() / 2;
                let (front, back) = self.split_at(rule, half);
                front.share(rule, &mut []).and(back.share(rule, &mut []))
            }
            (_, [helper, helpers @ ..]) => {
                let threads = helpers.len() + 2;
                let (near, far) = helpers.split_at_mut(threads / 2 - 1);
                let half = self.chunks.len() * (threads / 2) / threads;
                let (front, back) = self.split_at(rule, half);
                let (front, back) = helper.join(|| front.share(rule, near), || back.share(rule, far));
                front.and(back)
            }
        }
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
