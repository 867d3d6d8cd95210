//! CartPole: a pole on a cart that is pushed left or right.

mod batch;
mod render;

use crate::exact::{CosSmall, Function, SinSmall};
use crate::{Env, EnvInfo, Error, Frame, Generator, Registry, Space, Step};
use serde::{Deserialize, Serialize};

use batch::CartPoleBatch;

const PAGE: &str = include_str!("page.md");

/// The physics of the task. Gymnasium's values are the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CartPoleConfig {
    /// Gravitational acceleration, m/s².
    pub gravity: f64,
    /// Mass of the cart, kg.
    pub masscart: f64,
    /// Mass of the pole, kg.
    pub masspole: f64,
    /// Half the pole's length, m.
    pub length: f64,
    /// Magnitude of the push, N.
    pub force_mag: f64,
    /// Seconds between state updates.
    pub tau: f64,
    /// Reward 0 a step and −1 at the end (Sutton and Barto) in place of 1 a step.
    pub sutton_barto_reward: bool,
}

impl Default for CartPoleConfig {
    fn default() -> Self {
        Self {
            gravity: 9.8,
            masscart: 1.0,
            masspole: 0.1,
            length: 0.5,
            force_mag: 10.0,
            tau: 0.02,
            sutton_barto_reward: false,
        }
    }
}

/// Angle at which an episode ends: 12° in radians, in the order of operations that gives Gymnasium's bits.
const THETA_THRESHOLD: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
/// Distance from the centre at which an episode ends, m.
const X_THRESHOLD: f64 = 2.4;

/// x, ẋ, θ, θ̇ in metres, radians and seconds.
type State = [f64; 4];

/// The cart-pole of Barto, Sutton and Anderson (1983), bit-equal to Gymnasium's.
///
#[doc = include_str!("page.md")]
#[derive(Clone, Debug)]
pub struct CartPole {
    config: CartPoleConfig,
    state: State,
}

impl CartPole {
    /// A cart-pole with the given physics.
    ///
    /// # Errors
    /// If a parameter is not finite, or a mass, the length or the time step is not positive.
    pub fn new(config: CartPoleConfig) -> Result<Self, Error> {
        let CartPoleConfig { gravity, masscart, masspole, length, force_mag, tau, .. } = config;
        for (name, value) in [("masscart", masscart), ("masspole", masspole), ("length", length), ("tau", tau)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::config(format!("{name}: expected a positive number, got {value}")));
            }
        }
        for (name, value) in [("gravity", gravity), ("force_mag", force_mag)] {
            if !value.is_finite() {
                return Err(Error::config(format!("{name}: expected a finite number, got {value}")));
            }
        }
        Ok(Self { config, state: [0.0; 4] })
    }
}

impl CartPoleConfig {
    fn start(rng: &mut Generator) -> State {
        std::array::from_fn(|_| rng.uniform(-0.05, 0.05))
    }

    /// One explicit Euler step of the equations of motion (Florian 2007, without friction):
    ///
    /// ```text
    /// temp = (F + m_p l θ̇² sin θ) / M
    /// θ̈    = (g sin θ − cos θ · temp) / (l (4/3 − m_p cos² θ / M))
    /// ẍ    = temp − m_p l θ̈ cos θ / M
    /// ```
    ///
    /// Both forms of the environment call this, and no operation may be reordered or fused: its bits are the
    /// contract.
    #[inline(always)]
    fn dynamics(&self, [x, x_dot, theta, theta_dot]: State, (sin, cos): (f64, f64), push_right: bool) -> State {
        let force = if push_right { self.force_mag } else { -self.force_mag };
        let total_mass = self.masspole + self.masscart;
        let polemass_length = self.masspole * self.length;
        let temp = (force + polemass_length * (theta_dot * theta_dot) * sin) / total_mass;
        let theta_acc =
            (self.gravity * sin - cos * temp) / (self.length * (4.0 / 3.0 - self.masspole * (cos * cos) / total_mass));
        let x_acc = temp - polemass_length * theta_acc * cos / total_mass;
        [x + self.tau * x_dot, x_dot + self.tau * x_acc, theta + self.tau * theta_dot, theta_dot + self.tau * theta_acc]
    }

    #[inline(always)]
    fn terminated([x, _, theta, _]: State) -> bool {
        !((x.abs() <= X_THRESHOLD) & (theta.abs() <= THETA_THRESHOLD))
    }

    #[inline(always)]
    fn reward(&self, terminated: bool) -> f64 {
        match (self.sutton_barto_reward, terminated) {
            (false, _) => 1.0,
            (true, false) => 0.0,
            (true, true) => -1.0,
        }
    }

    fn observation_space() -> Space {
        let high = [2.0 * X_THRESHOLD as f32, f32::INFINITY, (2.0 * THETA_THRESHOLD) as f32, f32::INFINITY];
        Space::bounded(&high.map(|bound| -bound), &high)
    }
}

impl Env for CartPole {
    type Observation = [f32; 4];
    type Action = i64;
    type State = State;

    fn observation_space(&self) -> Space {
        CartPoleConfig::observation_space()
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 4] {
        self.state = CartPoleConfig::start(rng);
        self.state.map(|x| x as f32)
    }

    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<[f32; 4]> {
        let theta = self.state[2];
        self.state = self.config.dynamics(self.state, (SinSmall::libm(theta), CosSmall::libm(theta)), *action == 1);
        let terminated = CartPoleConfig::terminated(self.state);
        Step {
            observation: self.state.map(|x| x as f32),
            reward: self.config.reward(terminated),
            terminated,
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
        Some(render::frame(self.state, self.config.length))
    }
}

/// What a cart and a pole may turn out to be, with the defaults.
fn physics() -> Vec<(String, f64)> {
    let CartPoleConfig { gravity, masspole, length, force_mag, .. } = CartPoleConfig::default();
    let parameters = [("gravity", gravity), ("masspole", masspole), ("length", length), ("force_mag", force_mag)];
    parameters.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

pub(crate) fn register(registry: &mut Registry) {
    for (id, max_episode_steps, reward_threshold) in [("CartPole-v0", 200, 195.0), ("CartPole-v1", 500, 475.0)] {
        let info = EnvInfo {
            id: id.to_owned(),
            max_episode_steps: Some(max_episode_steps),
            reward_threshold: Some(reward_threshold),
            render_fps: 50,
            physics: physics(),
            page: PAGE,
        };
        registry.register_native::<CartPoleBatch, _, _>(info, CartPole::new);
    }
}
