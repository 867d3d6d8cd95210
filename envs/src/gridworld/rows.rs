//! Grid worlds in rows.

use super::GridWorld;
use crate::row_env::{from_bytes, to_bytes};
use crate::{Env, Error, Frame, Generator, Outcome, RowEnv, Space};

/// A grid world that writes what the agent sees where it belongs, where [`Rows`](crate::Rows) would make an array of it
/// first.
#[derive(Clone)]
pub(super) struct GridRows(GridWorld);

impl From<GridWorld> for GridRows {
    fn from(env: GridWorld) -> Self {
        Self(env)
    }
}

impl RowEnv for GridRows {
    fn observation_space(&self) -> Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> Space {
        self.0.action_space()
    }

    fn reset(&mut self, rng: &mut Generator, observation: &mut [f32]) -> Result<(), Error> {
        self.0.begin(rng);
        self.0.world.write_observation(&self.0.state, observation);
        Ok(())
    }

    fn step(&mut self, action: &[f32], rng: &mut Generator, observation: &mut [f32]) -> Result<Outcome, Error> {
        let GridWorld { world, state } = &mut self.0;
        let (reward, terminated) = world.step(state, action[0] as usize, rng);
        world.write_observation(state, observation);
        Ok(Outcome { reward, terminated, truncated: false })
    }

    fn save(&self) -> Vec<u8> {
        to_bytes(&self.0.state)
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        self.0.set_state(from_bytes(state)?)
    }

    fn render_ansi(&self) -> Option<String> {
        self.0.render_ansi()
    }

    fn render_rgb(&self) -> Option<Frame> {
        self.0.render_rgb()
    }

    fn boxed(&self) -> Box<dyn RowEnv> {
        Box::new(self.clone())
    }
}
