//! `RepeatAction`: several steps for every action.

use super::{MAX_ROWS, Wrapper};
use crate::{Error, Generator, Outcome, RowEnv};

#[derive(Clone)]
pub(super) struct RepeatAction {
    num_repeats: u32,
}

impl RepeatAction {
    pub(super) fn new(num_repeats: u32) -> Result<Self, Error> {
        if !(1..=MAX_ROWS).contains(&num_repeats) {
            return Err(Error::config(format!("num_repeats: expected 1 to {MAX_ROWS}, got {num_repeats}")));
        }
        Ok(Self { num_repeats })
    }
}

impl Wrapper for RepeatAction {
    fn step(
        &mut self,
        env: &mut dyn RowEnv,
        action: &[f32],
        rng: &mut Generator,
        observation: &mut [f32],
    ) -> Result<Outcome, Error> {
        let mut total = Outcome::default();
        for _ in 0..self.num_repeats {
            let outcome = env.step(action, rng, observation)?;
            total = Outcome { reward: total.reward + outcome.reward, ..outcome };
            if outcome.done() {
                break;
            }
        }
        Ok(total)
    }
}
