//! `TimeLimit`: episodes that are cut off.

use super::Wrapper;
use crate::row_env::{from_bytes, to_bytes};
use crate::{Error, Generator, Outcome, RowEnv};

#[derive(Clone)]
pub(super) struct TimeLimit {
    max_episode_steps: u32,
    elapsed: u32,
}

impl TimeLimit {
    pub(super) fn new(max_episode_steps: u32) -> Result<Self, Error> {
        match max_episode_steps {
            0 => Err(Error::config("max_episode_steps: expected at least 1, got 0")),
            _ => Ok(Self { max_episode_steps, elapsed: 0 }),
        }
    }
}

impl Wrapper for TimeLimit {
    fn begin(&mut self, _: &[f32]) {
        self.elapsed = 0;
    }

    fn step(
        &mut self,
        env: &mut dyn RowEnv,
        action: &[f32],
        rng: &mut Generator,
        observation: &mut [f32],
    ) -> Result<Outcome, Error> {
        let mut outcome = env.step(action, rng, observation)?;
        self.elapsed = self.elapsed.saturating_add(1);
        outcome.truncated |= self.elapsed >= self.max_episode_steps;
        Ok(outcome)
    }

    fn save(&self) -> Vec<u8> {
        to_bytes(&self.elapsed)
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        let elapsed = from_bytes(state)?;
        if elapsed > self.max_episode_steps {
            return Err(Error::snapshot(format!(
                "the episode has {elapsed} steps behind it: expected at most {}, the time limit here",
                self.max_episode_steps
            )));
        }
        self.elapsed = elapsed;
        Ok(())
    }
}
