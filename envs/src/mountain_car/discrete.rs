//! MountainCar-v0: full force to the left, none, or full force to the right.

use super::{GRAVITY, MAX_POSITION, MAX_SPEED, MIN_POSITION, MountainCarConfig};
use crate::{Env, EnvInfo, Error, Generator, Space, Step};

/// What the engine adds to the velocity in a step, m/step².
const FORCE: f64 = 0.001;
/// Where the flag stands, m.
const GOAL_POSITION: f64 = 0.5;

/// The mountain car of Moore (1990) with three actions, bit-equal to Gymnasium's.
#[derive(Clone, Debug)]
pub struct MountainCar {
    goal_velocity: f64,
    position: f64,
    velocity: f64,
}

impl MountainCar {
    /// A mountain car with the given goal.
    ///
    /// # Errors
    /// If the goal's velocity is not finite.
    pub fn new(config: MountainCarConfig) -> Result<Self, Error> {
        Ok(Self { goal_velocity: config.goal_velocity()?, position: 0.0, velocity: 0.0 })
    }

    /// One step of the engine and the hill, push ∈ {−1, 0, 1}:
    ///
    /// ```text
    /// ẋ ← ẋ + push · 0.001 − 0.0025 cos 3x, limited to ±0.07
    /// x ← x + ẋ, limited to [−1.2, 0.6]
    /// ```
    ///
    /// The wall at the left end takes the car's velocity away; at the right end there is none.
    fn advance(&mut self, push: f64) {
        let acceleration = push * FORCE + (3.0 * self.position).cos() * -GRAVITY;
        self.velocity = (self.velocity + acceleration).clamp(-MAX_SPEED, MAX_SPEED);
        self.position = (self.position + self.velocity).clamp(MIN_POSITION, MAX_POSITION);
        if self.position == MIN_POSITION && self.velocity < 0.0 {
            self.velocity = 0.0;
        }
    }

    fn observation(&self) -> [f32; 2] {
        [self.position as f32, self.velocity as f32]
    }
}

impl Env for MountainCar {
    type Observation = [f32; 2];
    type Action = i64;
    type State = [f64; 2];

    fn observation_space(&self) -> Space {
        super::observation_space()
    }

    fn action_space(&self) -> Space {
        Space::discrete(3)
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 2] {
        (self.position, self.velocity) = (super::start(rng), 0.0);
        self.observation()
    }

    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<[f32; 2]> {
        self.advance((action - 1) as f64);
        let terminated = self.position >= GOAL_POSITION && self.velocity >= self.goal_velocity;
        Step { observation: self.observation(), reward: -1.0, terminated, truncated: false }
    }

    fn state(&self) -> [f64; 2] {
        [self.position, self.velocity]
    }

    fn set_state(&mut self, state: [f64; 2]) -> Result<(), Error> {
        [self.position, self.velocity] = state;
        Ok(())
    }
}

pub(super) fn info() -> EnvInfo {
    EnvInfo {
        id: "MountainCar-v0".to_owned(),
        max_episode_steps: Some(200),
        reward_threshold: Some(-110.0),
        page: include_str!("discrete.md"),
    }
}
