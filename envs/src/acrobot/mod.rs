//! Acrobot: two links hang from a fixed joint; a motor between them has to swing the free end up.

mod batch;
mod render;
mod single;

use crate::exact::{Cos, Function, Sin, Square};
use crate::simd::{Baseline, Isa};
use crate::{Env, EnvInfo, Error, Frame, Generator, Registry, Space, Step};
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
///
#[doc = include_str!("page.md")]
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

/// One step of `N` acrobots, whose torques are constant over the step. The scalar form is that of one acrobot.
#[inline(always)]
fn dynamics<I: Isa, const N: usize>(isa: I, states: &[[f64; N]; 4], torques: &[f64; N]) -> [[f64; N]; 4] {
    let mut next = runge_kutta(isa, states, torques);
    let [theta1, theta2, speed1, speed2] = &mut next;
    for i in 0..N {
        // Hardly any step turns a link around more than twice.
        (theta1[i], theta2[i]) = (turn(turn(theta1[i])), turn(turn(theta2[i])));
        speed1[i] = speed1[i].clamp(-MAX_SPEED_1, MAX_SPEED_1);
        speed2[i] = speed2[i].clamp(-MAX_SPEED_2, MAX_SPEED_2);
    }
    for i in 0..N {
        (theta1[i], theta2[i]) = (wrap(theta1[i]), wrap(theta2[i]));
    }
    next
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
#[inline(always)]
fn derivative<I: Isa, const N: usize>(
    isa: I,
    [theta1, theta2, speed1, speed2]: &[[f64; N]; 4],
    torques: &[f64; N],
) -> [[f64; N]; 4] {
    let (sin2, cos2) = (Sin::of(isa, theta2), Cos::of(isa, theta2));
    let (mut upper, mut lower, mut d2) = (*theta1, *theta1, cos2);
    for i in 0..N {
        upper[i] = theta1[i] - PI / 2.0;
        lower[i] = theta1[i] + theta2[i] - PI / 2.0;
        d2[i] = M2 * (LC2 * LC2 + L1 * LC2 * cos2[i]) + I2;
    }
    let (upper, lower) = (Cos::of(isa, &upper), Cos::of(isa, &lower));
    let d2_square = Square::of(isa, &d2);
    let speed1_square = Square::of(isa, speed1);
    let speed2_square = Square::of(isa, speed2);

    let (mut acc1, mut acc2) = ([0.0; N], [0.0; N]);
    for i in 0..N {
        let d1 = M1 * (LC1 * LC1) + M2 * (L1 * L1 + LC2 * LC2 + 2.0 * L1 * LC2 * cos2[i]) + I1 + I2;
        let phi2 = M2 * LC2 * G * lower[i];
        let phi1 = -M2 * L1 * LC2 * speed2_square[i] * sin2[i] - 2.0 * M2 * L1 * LC2 * speed2[i] * speed1[i] * sin2[i]
            + (M1 * LC1 + M2 * L1) * G * upper[i]
            + phi2;
        acc2[i] = (torques[i] + d2[i] / d1 * phi1 - M2 * L1 * LC2 * speed1_square[i] * sin2[i] - phi2)
            / (M2 * (LC2 * LC2) + I2 - d2_square[i] / d1);
        acc1[i] = -(d2[i] * acc2[i] + phi1) / d1;
    }
    [*speed1, *speed2, acc1, acc2]
}

/// One step of the classical Runge-Kutta method of fourth order:
///
/// ```text
/// k₁ = f(y), k₂ = f(y + dt/2 k₁), k₃ = f(y + dt/2 k₂), k₄ = f(y + dt k₃)
/// y ← y + dt/6 (k₁ + 2 k₂ + 2 k₃ + k₄)
/// ```
#[inline(always)]
fn runge_kutta<I: Isa, const N: usize>(isa: I, y: &[[f64; N]; 4], torques: &[f64; N]) -> [[f64; N]; 4] {
    let k1 = derivative(isa, y, torques);
    let k2 = derivative(isa, &ahead(y, DT / 2.0, &k1), torques);
    let k3 = derivative(isa, &ahead(y, DT / 2.0, &k2), torques);
    let k4 = derivative(isa, &ahead(y, DT, &k3), torques);
    let mut next = *y;
    for j in 0..4 {
        for i in 0..N {
            next[j][i] += DT / 6.0 * (k1[j][i] + 2.0 * k2[j][i] + 2.0 * k3[j][i] + k4[j][i]);
        }
    }
    next
}

/// y + dt k.
#[inline(always)]
fn ahead<const N: usize>(y: &[[f64; N]; 4], dt: f64, k: &[[f64; N]; 4]) -> [[f64; N]; 4] {
    let mut ahead = *y;
    for j in 0..4 {
        for i in 0..N {
            ahead[j][i] += dt * k[j][i];
        }
    }
    ahead
}

/// Whether the free end is above the line, a link's length over the joint, given cos θ₁ and cos(θ₂ + θ₁).
#[inline(always)]
fn is_high(upper: f64, lower: f64) -> bool {
    -upper - lower > 1.0
}

#[inline(always)]
fn reward(terminated: bool) -> f64 {
    if terminated { 0.0 } else { -1.0 }
}

/// A turn less, if the angle is beyond [−π, π].
#[inline(always)]
fn turn(angle: f64) -> f64 {
    if angle > PI {
        angle - 2.0 * PI
    } else if angle < -PI {
        angle + 2.0 * PI
    } else {
        angle
    }
}

/// The same angle in [−π, π]. Turns are taken off one by one, as in Gymnasium: a remainder rounds otherwise.
#[inline(always)]
fn wrap(mut angle: f64) -> f64 {
    while angle.abs() > PI {
        angle = turn(angle);
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
        let states = dynamics(Baseline, &self.state.map(|x| [x]), &[(action - 1) as f64]);
        self.state = states.map(|[x]| x);
        let [theta1, theta2, ..] = self.state;
        let terminated = is_high(theta1.cos(), (theta2 + theta1).cos());
        Step { observation: self.observation(), reward: reward(terminated), terminated, truncated: false }
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

    fn render_rgb(&self) -> Option<Frame> {
        Some(render::frame(self.state))
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
        render_fps: 15,
        physics: Vec::new(),
        page: include_str!("page.md"),
    };
    registry.register_native::<batch::AcrobotBatch, _, _>(info, |NoParameters {}| Ok(Acrobot::new()));
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
