//! The time limit: cuts an episode off, and says that it was cut and not ended.

use crate::{Env, Frame, Generator, Space, Step};

/// Truncates an episode after a number of steps.
///
/// The last step keeps its own `terminated` flag, so both flags may be true. Without a limit it changes nothing.
#[derive(Clone, Debug)]
pub struct TimeLimit<E> {
    env: E,
    max_episode_steps: Option<u32>,
    elapsed: u32,
}

impl<E: Env> TimeLimit<E> {
    /// Truncates episodes of `env` at their `max_episode_steps`-th step.
    pub fn new(env: E, max_episode_steps: Option<u32>) -> Self {
        Self { env, max_episode_steps, elapsed: 0 }
    }
}

impl<E: Env> Env for TimeLimit<E> {
    type Observation = E::Observation;
    type Action = E::Action;

    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    fn reset(&mut self, rng: &mut Generator) -> Self::Observation {
        self.elapsed = 0;
        self.env.reset(rng)
    }

    fn step(&mut self, action: &Self::Action, rng: &mut Generator) -> Step<Self::Observation> {
        let mut step = self.env.step(action, rng);
        self.elapsed = self.elapsed.saturating_add(1);
        step.truncated |= self.max_episode_steps.is_some_and(|limit| self.elapsed >= limit);
        step
    }

    fn render_ansi(&self) -> Option<String> {
        self.env.render_ansi()
    }

    fn render_rgb(&self) -> Option<Frame> {
        self.env.render_rgb()
    }
}
