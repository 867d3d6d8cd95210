//! MountainCar-v0: full force to the left, none, or full force to the right.

use super::{GRAVITY, MAX_POSITION, MAX_SPEED, MIN_POSITION, MountainCarConfig, render};
use crate::{Env, EnvInfo, Error, Frame, Generator, Space, Step};

/// What the engine adds to the velocity in a step, m/step².
const FORCE: f64 = 0.001;
/// Where the flag stands, m.
const GOAL_POSITION: f64 = 0.5;

/// The mountain car of Moore (1990) with three actions, bit-equal to Gymnasium's.
///
#[doc = include_str!("discrete.md")]
#[derive(Clone, Debug)]
pub struct MountainCar {
    pub(super) goal_velocity: f64,
    pub(super) state: State,
}

/// x and ẋ in metres and metres a step.
type State = [f64; 2];

impl MountainCar {
    /// A mountain car with the given goal.
    ///
    /// # Errors
    /// If the goal's velocity is not finite.
    pub fn new(config: MountainCarConfig) -> Result<Self, Error> {
        Ok(Self { goal_velocity: config.goal_velocity()?, state: [0.0; 2] })
    }

    fn observation(&self) -> [f32; 2] {
        self.state.map(|x| x as f32)
    }
}

/// One step of the engine and the hill, push ∈ {−1, 0, 1}; `cos` is cos 3x:
///
/// ```text
/// ẋ ← ẋ + push · 0.001 − 0.0025 cos 3x, limited to ±0.07
/// x ← x + ẋ, limited to [−1.2, 0.6]
/// ```
///
/// The wall at the left end takes the car's velocity away; at the right end there is none.
#[inline(always)]
pub(super) fn dynamics([position, velocity]: State, cos: f64, push: f64) -> State {
    let acceleration = push * FORCE + cos * -GRAVITY;
    let velocity = (velocity + acceleration).clamp(-MAX_SPEED, MAX_SPEED);
    let position = (position + velocity).clamp(MIN_POSITION, MAX_POSITION);
    let stopped = position == MIN_POSITION && velocity < 0.0;
    [position, if stopped { 0.0 } else { velocity }]
}

#[inline(always)]
pub(super) fn terminated([position, velocity]: State, goal_velocity: f64) -> bool {
    (position >= GOAL_POSITION) & (velocity >= goal_velocity)
}

impl Env for MountainCar {
    type Observation = [f32; 2];
    type Action = i64;
    type State = State;

    fn observation_space(&self) -> Space {
        super::observation_space()
    }

    fn action_space(&self) -> Space {
        Space::discrete(3)
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 2] {
        self.state = [super::start(rng), 0.0];
        self.observation()
    }

    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<[f32; 2]> {
        let cos = (3.0 * self.state[0]).cos();
        self.state = dynamics(self.state, cos, (action - 1) as f64);
        Step {
            observation: self.observation(),
            reward: -1.0,
            terminated: terminated(self.state, self.goal_velocity),
            truncated: false,
        }
    }

    fn state(&self) -> State {
        self.state
    }

    fn set_state(&mut self, state: State) -> Result<(), Error> {
        self.state = state;
        Ok(())
    }

    fn render_rgb(&self) -> Option<Frame> {
        Some(render::frame(self.state[0], GOAL_POSITION))
    }
}

pub(super) fn info() -> EnvInfo {
    EnvInfo {
        id: "MountainCar-v0".to_owned(),
        max_episode_steps: Some(200),
        reward_threshold: Some(-110.0),
        render_fps: 30,
        physics: Vec::new(),
        page: include_str!("discrete.md"),
    }
}
