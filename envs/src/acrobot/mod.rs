//! Acrobot: two links hang from a fixed joint; a motor between them has to swing the free end up.

mod single;

use crate::exact::square;
use crate::{Env, EnvInfo, Error, Generator, Registry, Space, Step};
use serde::Deserialize;
use std::f64::consts::PI;

/// Seconds between state updates.
const DT: f64 = 0.2;
/// Lengths of the links, m; only that of the first enters the equations.
const L1: f64 = 1.0;
/// Masses of the links, kg.
const M1: f64 = 1.0;
const M2: f64 = 1.0;
/// Distances from a link's joint to its centre of mass, m.
const LC1: f64 = 0.5;
const LC2: f64 = 0.5;
/// Moments of inertia of the links, kg m².
const I1: f64 = 1.0;
const I2: f64 = 1.0;
/// Gravitational acceleration, m/s².
const G: f64 = 9.8;
/// The greatest angular velocities of the joints in either direction, rad/s.
const MAX_SPEED_1: f64 = 4.0 * PI;
const MAX_SPEED_2: f64 = 9.0 * PI;

/// θ₁, θ₂, θ̇₁, θ̇₂ in radians and seconds. Links that hang straight down have both angles 0; θ₂ is relative to the
/// first link.
type State = [f64; 4];

/// The acrobot of Sutton (1996) with the equations of Sutton and Barto's book, bit-equal to Gymnasium's.
#[derive(Clone, Debug)]
pub struct Acrobot {
    state: State,
}

impl Acrobot {
    /// An acrobot. It has no parameters.
    pub fn new() -> Self {
        Self { state: [0.0; 4] }
    }

    fn observation(&self) -> [f32; 6] {
        let [theta1, theta2, speed1, speed2] = self.state;
        [theta1.cos(), theta1.sin(), theta2.cos(), theta2.sin(), speed1, speed2].map(|x| x as f32)
    }
}

impl Default for Acrobot {
    fn default() -> Self {
        Self::new()
    }
}

/// The equations of motion: the time derivative of the state under a torque τ at the second joint.
///
/// ```text
/// d₁ = m₁ l_c1² + m₂ (l₁² + l_c2² + 2 l₁ l_c2 cos θ₂) + I₁ + I₂
/// d₂ = m₂ (l_c2² + l₁ l_c2 cos θ₂) + I₂
/// φ₂ = m₂ l_c2 g cos(θ₁ + θ₂ − π/2)
/// φ₁ = −m₂ l₁ l_c2 θ̇₂² sin θ₂ − 2 m₂ l₁ l_c2 θ̇₂ θ̇₁ sin θ₂ + (m₁ l_c1 + m₂ l₁) g cos(θ₁ − π/2) + φ₂
/// θ̈₂ = (τ + d₂/d₁ φ₁ − m₂ l₁ l_c2 θ̇₁² sin θ₂ − φ₂) / (m₂ l_c2² + I₂ − d₂²/d₁)
/// θ̈₁ = −(d₂ θ̈₂ + φ₁) / d₁
/// ```
///
/// No operation may be reordered or fused: its bits are the contract.
fn derivative([theta1, theta2, speed1, speed2]: State, torque: f64) -> State {
    let (sin2, cos2) = (theta2.sin(), theta2.cos());
    let d1 = M1 * (LC1 * LC1) + M2 * (L1 * L1 + LC2 * LC2 + 2.0 * L1 * LC2 * cos2) + I1 + I2;
    let d2 = M2 * (LC2 * LC2 + L1 * LC2 * cos2) + I2;
    let phi2 = M2 * LC2 * G * (theta1 + theta2 - PI / 2.0).cos();
    let phi1 = -M2 * L1 * LC2 * square(speed2) * sin2 - 2.0 * M2 * L1 * LC2 * speed2 * speed1 * sin2
        + (M1 * LC1 + M2 * L1) * G * (theta1 - PI / 2.0).cos()
        + phi2;
    let acc2 = (torque + d2 / d1 * phi1 - M2 * L1 * LC2 * square(speed1) * sin2 - phi2)
        / (M2 * (LC2 * LC2) + I2 - square(d2) / d1);
    let acc1 = -(d2 * acc2 + phi1) / d1;
    [speed1, speed2, acc1, acc2]
}

/// One step of the classical Runge-Kutta method of fourth order, the torque being constant over the step:
///
/// ```text
/// k₁ = f(y), k₂ = f(y + dt/2 k₁), k₃ = f(y + dt/2 k₂), k₄ = f(y + dt k₃)
/// y ← y + dt/6 (k₁ + 2 k₂ + 2 k₃ + k₄)
/// ```
fn runge_kutta(y: State, torque: f64) -> State {
    let ahead = |dt: f64, k: State| derivative(std::array::from_fn(|i| y[i] + dt * k[i]), torque);
    let k1 = derivative(y, torque);
    let k2 = ahead(DT / 2.0, k1);
    let k3 = ahead(DT / 2.0, k2);
    let k4 = ahead(DT, k3);
    std::array::from_fn(|i| y[i] + DT / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
}

/// The same angle in [−π, π]. Turns are taken off one by one, as in Gymnasium: a remainder rounds otherwise.
fn wrap(mut angle: f64) -> f64 {
    while angle > PI {
        angle -= 2.0 * PI;
    }
    while angle < -PI {
        angle += 2.0 * PI;
    }
    angle
}

impl Env for Acrobot {
    type Observation = [f32; 6];
    type Action = i64;
    type State = State;

    fn observation_space(&self) -> Space {
        let high = [1.0, 1.0, 1.0, 1.0, MAX_SPEED_1 as f32, MAX_SPEED_2 as f32];
        Space::bounded(&high.map(|bound| -bound), &high)
    }

    fn action_space(&self) -> Space {
        Space::discrete(3)
    }

    /// Gymnasium draws the state in single precision, so that numpy computes this one observation in single
    /// precision too.
    fn reset(&mut self, rng: &mut Generator) -> [f32; 6] {
        let start: [f32; 4] = std::array::from_fn(|_| rng.uniform(-0.1, 0.1) as f32);
        self.state = start.map(f64::from);
        let [theta1, theta2, speed1, speed2] = start;
        [single::cos(theta1), single::sin(theta1), single::cos(theta2), single::sin(theta2), speed1, speed2]
    }

    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<[f32; 6]> {
        let [theta1, theta2, speed1, speed2] = runge_kutta(self.state, (action - 1) as f64);
        self.state = [
            wrap(theta1),
            wrap(theta2),
            speed1.clamp(-MAX_SPEED_1, MAX_SPEED_1),
            speed2.clamp(-MAX_SPEED_2, MAX_SPEED_2),
        ];
        let [theta1, theta2, ..] = self.state;
        let height = -theta1.cos() - (theta2 + theta1).cos();
        let terminated = height > 1.0;
        let reward = if terminated { 0.0 } else { -1.0 };
        Step { observation: self.observation(), reward, terminated, truncated: false }
    }

    fn state(&self) -> State {
        self.state
    }

    fn set_state(&mut self, state: State) -> Result<(), Error> {
        let within = |x: f64, bound: f64| (-bound..=bound).contains(&x);
        let [theta1, theta2, speed1, speed2] = state;
        let angles = within(theta1, PI) && within(theta2, PI);
        if !(angles && within(speed1, MAX_SPEED_1) && within(speed2, MAX_SPEED_2)) {
            return Err(Error::snapshot(format!(
                "no acrobot can be in the state {state:?}: angles or speeds beyond their limits"
            )));
        }
        self.state = state;
        Ok(())
    }
}

/// Acrobot takes no parameters, and says so to whoever gives one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

pub(crate) fn register(registry: &mut Registry) {
    let info = EnvInfo {
        id: "Acrobot-v1".to_owned(),
        max_episode_steps: Some(500),
        reward_threshold: Some(-100.0),
        page: include_str!("page.md"),
    };
    registry.register(info, |NoParameters {}| Ok(Acrobot::new()));
}

#[cfg(test)]
mod tests {
    use crate::{EnvSpec, make};

    #[test]
    fn there_are_no_parameters() {
        let refused = make(EnvSpec::new("Acrobot-v1").with("dt", 0.1)).err().expect("this should have been refused");
        assert!(refused.is_config(), "{refused}");
    }
}
