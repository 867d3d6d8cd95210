//! MountainCarContinuous-v0: any force up to the engine's, and forces cost.

use super::{GRAVITY, MAX_POSITION, MAX_SPEED, MIN_POSITION, MountainCarConfig, render};
use crate::{Env, EnvInfo, Error, Frame, Generator, Space, Step};
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
///
#[doc = include_str!("continuous.md")]
#[derive(Clone, Debug)]
pub struct MountainCarContinuous {
    pub(super) goal_velocity: f64,
    pub(super) state: State,
}

/// Where the car is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct State {
    /// x, m; after the first step a single-precision number.
    pub(super) position: f64,
    /// ẋ, m a step.
    pub(super) velocity: f32,
    /// Whether the first step has been taken.
    pub(super) driving: bool,
}

impl State {
    /// 3x, of which a step needs the cosine.
    #[inline(always)]
    pub(super) fn triple(self) -> f64 {
        let triple = 3.0 * self.position;
        if self.driving { f64::from(triple as f32) } else { triple }
    }

    #[inline(always)]
    pub(super) fn observation(self) -> [f32; 2] {
        [self.position as f32, self.velocity]
    }
}

impl MountainCarContinuous {
    /// A mountain car with the given goal.
    ///
    /// # Errors
    /// If the goal's velocity is not finite.
    pub fn new(config: MountainCarConfig) -> Result<Self, Error> {
        let state = State { position: 0.0, velocity: 0.0, driving: false };
        Ok(Self { goal_velocity: config.goal_velocity()?, state })
    }
}

/// One step from `state`; says whether the goal was reached. `cos` is cos 3x.
///
/// ```text
/// ẋ ← ẋ + force · 0.0015 − 0.0025 cos 3x, limited to ±0.07
/// x ← x + ẋ, limited to [−1.2, 0.6]
/// ```
///
/// The wall at the left end takes the car's velocity away; at the right end there is none.
#[inline(always)]
pub(super) fn dynamics(state: State, cos: f64, force: f32, goal_velocity: f64) -> (State, bool) {
    let (top_speed, wall, end) = (MAX_SPEED as f32, MIN_POSITION as f32, MAX_POSITION as f32);
    let unlimited = state.velocity + acceleration(force, cos);
    let velocity = unlimited.clamp(-top_speed, top_speed);
    // Of single-precision numbers, this is their sum in single precision: rounding twice changes nothing when the
    // wider format has more than twice the digits.
    let position = ((state.position + f64::from(velocity)) as f32).clamp(wall, end);
    let stopped = (position == wall) & (velocity < 0.0);
    let velocity = if stopped { 0.0 } else { velocity };

    // A velocity that was just limited is a Python float in Gymnasium, 0.07 in double precision, and is
    // compared as one; any other is compared in single precision. (None is limited to −0.07 near the goal.)
    let fast_enough = if unlimited > top_speed { MAX_SPEED >= goal_velocity } else { velocity >= goal_velocity as f32 };
    let reached = (position >= GOAL_POSITION as f32) & fast_enough;
    (State { position: f64::from(position), velocity, driving: true }, reached)
}

/// The reward of a step. Gymnasium's pow(force, 2) is a product here: the square of an f32 fits a double exactly, so
/// that both agree.
#[inline(always)]
pub(super) fn reward(force: f32, reached: bool) -> f64 {
    let effort = f64::from(force) * f64::from(force);
    (if reached { GOAL_REWARD } else { 0.0 }) - effort * 0.1
}

/// What a step adds to the velocity; the engine's part and the difference are taken in single precision.
#[inline(always)]
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
        self.state = State { position: super::start(rng), velocity: 0.0, driving: false };
        self.state.observation()
    }

    fn step(&mut self, &[force]: &[f32; 1], _: &mut Generator) -> Step<[f32; 2]> {
        let (state, terminated) = dynamics(self.state, self.state.triple().cos(), force, self.goal_velocity);
        self.state = state;
        Step { observation: state.observation(), reward: reward(force, terminated), terminated, truncated: false }
    }

    fn state(&self) -> State {
        self.state
    }

    fn set_state(&mut self, state: State) -> Result<(), Error> {
        self.state = state;
        Ok(())
    }

    fn render_rgb(&self) -> Option<Frame> {
        let [position, _] = self.state.observation();
        Some(render::frame(f64::from(position), GOAL_POSITION))
    }
}

pub(super) fn info() -> EnvInfo {
    EnvInfo {
        id: "MountainCarContinuous-v0".to_owned(),
        max_episode_steps: Some(999),
        reward_threshold: Some(90.0),
        render_fps: 30,
        physics: Vec::new(),
        page: include_str!("continuous.md"),
    }
}
