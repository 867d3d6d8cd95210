//! MountainCarContinuous-v0: any force up to the engine's, and forces cost.

use super::{GRAVITY, MAX_POSITION, MAX_SPEED, MIN_POSITION, MountainCarConfig};
use crate::{Env, EnvInfo, Error, Generator, Space, Step};
use serde::{Deserialize, Serialize};

/// What the engine adds to the velocity in a step at full force, m/step².
const POWER: f64 = 0.0015;
/// Where the flag stands, m.
const GOAL_POSITION: f64 = 0.45;
/// The reward for reaching the flag.
const GOAL_REWARD: f64 = 100.0;

/// The mountain car of Moore (1990) with forces from −1 to 1, bit-equal to Gymnasium's.
///
/// Gymnasium starts an episode in double precision, and stores the state in single precision after every step. As
/// numpy computes a single-precision number with a Python float in single precision, the first step is taken from
/// a double, and all further ones in f32 except for the cosine.
#[derive(Clone, Debug)]
pub struct MountainCarContinuous {
    goal_velocity: f64,
    state: State,
}

/// Where the car is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum State {
    /// At rest, before the first step.
    Start { position: f64 },
    /// After it.
    Driving { position: f32, velocity: f32 },
}

impl MountainCarContinuous {
    /// A mountain car with the given goal.
    ///
    /// # Errors
    /// If the goal's velocity is not finite.
    pub fn new(config: MountainCarConfig) -> Result<Self, Error> {
        Ok(Self { goal_velocity: config.goal_velocity()?, state: State::Start { position: 0.0 } })
    }

    /// The first step. It can reach neither the top speed nor an end of the road: from rest within [−0.6, −0.4],
    /// the car moves by 0.004 at most.
    fn set_off(&mut self, position: f64, force: f32) {
        let velocity = acceleration(force, (3.0 * position).cos());
        self.state = State::Driving { position: (position + f64::from(velocity)) as f32, velocity };
    }

    /// Any further step; says whether the goal was reached.
    ///
    /// ```text
    /// ẋ ← ẋ + force · 0.0015 − 0.0025 cos 3x, limited to ±0.07
    /// x ← x + ẋ, limited to [−1.2, 0.6]
    /// ```
    ///
    /// The wall at the left end takes the car's velocity away; at the right end there is none.
    fn drive(&mut self, position: f32, velocity: f32, force: f32) -> bool {
        let (top_speed, wall, end) = (MAX_SPEED as f32, MIN_POSITION as f32, MAX_POSITION as f32);
        let unlimited = velocity + acceleration(force, f64::from(3.0 * position).cos());
        let mut velocity = unlimited.clamp(-top_speed, top_speed);
        let position = (position + velocity).clamp(wall, end);
        if position == wall && velocity < 0.0 {
            velocity = 0.0;
        }
        self.state = State::Driving { position, velocity };

        // A velocity that was just limited is a Python float in Gymnasium, 0.07 in double precision, and is
        // compared as one; any other is compared in single precision. (None is limited to −0.07 near the goal.)
        let fast_enough =
            if unlimited > top_speed { MAX_SPEED >= self.goal_velocity } else { velocity >= self.goal_velocity as f32 };
        position >= GOAL_POSITION as f32 && fast_enough
    }

    fn observation(&self) -> [f32; 2] {
        match self.state {
            State::Start { position } => [position as f32, 0.0],
            State::Driving { position, velocity } => [position, velocity],
        }
    }
}

/// What a step adds to the velocity; the engine's part and the difference are taken in single precision.
fn acceleration(force: f32, cos: f64) -> f32 {
    force * POWER as f32 - (GRAVITY * cos) as f32
}

impl Env for MountainCarContinuous {
    type Observation = [f32; 2];
    type Action = [f32; 1];
    type State = State;

    fn observation_space(&self) -> Space {
        super::observation_space()
    }

    fn action_space(&self) -> Space {
        Space::bounded(&[-1.0], &[1.0])
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 2] {
        self.state = State::Start { position: super::start(rng) };
        self.observation()
    }

    fn step(&mut self, &[force]: &[f32; 1], _: &mut Generator) -> Step<[f32; 2]> {
        let terminated = match self.state {
            State::Start { position } => {
                self.set_off(position, force);
                false
            }
            State::Driving { position, velocity } => self.drive(position, velocity, force),
        };
        let reward = if terminated { GOAL_REWARD } else { 0.0 };
        // Gymnasium's pow(force, 2): the square of an f32 fits a double exactly, so that both agree.
        let effort = f64::from(force) * f64::from(force);
        Step { observation: self.observation(), reward: reward - effort * 0.1, terminated, truncated: false }
    }

    fn state(&self) -> State {
        self.state
    }

    fn set_state(&mut self, state: State) -> Result<(), Error> {
        self.state = state;
        Ok(())
    }
}

pub(super) fn info() -> EnvInfo {
    EnvInfo {
        id: "MountainCarContinuous-v0".to_owned(),
        max_episode_steps: Some(999),
        reward_threshold: Some(90.0),
        page: include_str!("continuous.md"),
    }
}
