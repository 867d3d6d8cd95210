//! `TimeAwareObservation`: observations that know how late it is.

use super::Wrapper;
use crate::row_env::{from_bytes, to_bytes};
use crate::{Error, Generator, Outcome, RowEnv, Space};

#[derive(Clone)]
pub(super) struct TimeAware {
    /// The steps of the longest episode.
    limit: u32,
    normalize: bool,
    /// The name of the time in a `Dict`.
    key: String,
    /// The column that the time stands in.
    column: usize,
    elapsed: u32,
}

impl TimeAware {
    /// `limit` is what the time limit below this wrapper says, if there is one.
    pub(super) fn new(limit: Option<u32>, normalize: bool, key: &str, space: &Space) -> Result<Self, Error> {
        let Some(limit) = limit else {
            return Err(Error::config(
                "the environment has no time limit: expected one, to measure the time by; set max_episode_steps or put \
                 a TimeLimit before this wrapper",
            ));
        };
        let column = match space {
            Space::Dict { spaces } if spaces.contains_key(key) => {
                return Err(Error::config(format!(
                    "dict_time_key: {key:?} is already a part of the observation {space}; choose another name"
                )));
            }
            Space::Dict { spaces } => {
                spaces.iter().take_while(|(name, _)| name.as_str() < key).map(|(_, space)| space.flat_dim()).sum()
            }
            _ => space.flat_dim(),
        };
        Ok(Self { limit, normalize, key: key.to_owned(), column, elapsed: 0 })
    }
}

impl Wrapper for TimeAware {
    fn observation_space(&self, inner: Space) -> Space {
        let time = Space::bounded(&[0.0], &[if self.normalize { 1.0 } else { self.limit as f32 }]);
        match inner {
            Space::Dict { mut spaces } => {
                spaces.insert(self.key.clone(), time);
                Space::Dict { spaces }
            }
            Space::Tuple { mut spaces } => {
                spaces.push(time);
                Space::Tuple { spaces }
            }
            inner => Space::dict([("obs", inner), ("time", time)]),
        }
    }

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
        self.elapsed = self.elapsed.saturating_add(1).min(self.limit);
        env.step(action, rng, observation)
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        let (before, after) = inner.split_at(self.column);
        observation[..self.column].copy_from_slice(before);
        observation[self.column + 1..].copy_from_slice(after);
        observation[self.column] = match self.normalize {
            true => (f64::from(self.elapsed) / f64::from(self.limit)) as f32,
            false => self.elapsed as f32,
        };
    }

    fn save(&self) -> Vec<u8> {
        to_bytes(&self.elapsed)
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        let elapsed = from_bytes(state)?;
        if elapsed > self.limit {
            return Err(Error::snapshot(format!("the time is {elapsed}: expected at most {}", self.limit)));
        }
        self.elapsed = elapsed;
        Ok(())
    }
}
