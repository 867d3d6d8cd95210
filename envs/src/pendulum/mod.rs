//! Pendulum: swing a rod up and keep it there, with a motor that is too weak to lift it at once.

mod batch;
mod render;

use crate::exact::{square, square_f32};
use crate::{Env, EnvInfo, Error, Frame, Generator, Registry, Space, Step};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The physics of the task. Gymnasium's value is the default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PendulumConfig {
    /// Gravitational acceleration, m/s².
    pub g: f64,
}

impl Default for PendulumConfig {
    fn default() -> Self {
        Self { g: 10.0 }
    }
}

/// Mass of the rod, kg.
const MASS: f64 = 1.0;
/// Length of the rod, m.
const LENGTH: f64 = 1.0;
/// Seconds between state updates.
const DT: f64 = 0.05;
/// The greatest angular velocity in either direction, rad/s.
const MAX_SPEED: f64 = 8.0;
/// The greatest torque in either direction, N m.
const MAX_TORQUE: f32 = 2.0;

/// θ and θ̇ in radians and seconds. Upright is 0; turns add up, and are taken off only for the cost.
type Motion = [f64; 2];

/// The inverted pendulum with a torque at its hinge, bit-equal to Gymnasium's.
///
#[doc = include_str!("page.md")]
#[derive(Clone, Debug)]
pub struct Pendulum {
    config: PendulumConfig,
    motion: Motion,
    /// The torque of the episode's last step, N m, for drawing.
    last_torque: Option<f32>,
}

impl Pendulum {
    /// A pendulum with the given physics.
    ///
    /// # Errors
    /// If the gravitational acceleration is not finite.
    pub fn new(config: PendulumConfig) -> Result<Self, Error> {
        if !config.g.is_finite() {
            return Err(Error::config(format!("g: expected a finite number, got {}", config.g)));
        }
        Ok(Self { config, motion: [0.0; 2], last_torque: None })
    }

    fn observation(&self) -> [f32; 3] {
        let [theta, theta_dot] = self.motion;
        [theta.cos(), theta.sin(), theta_dot].map(|x| x as f32)
    }
}

/// What a step costs, given the squares of the angle in [−π, π), of the angular velocity and of the torque:
///
/// ```text
/// θ² + 0.1 θ̇² + 0.001 u²
/// ```
///
/// The torque is single-precision, and numpy keeps its term so until the sum.
#[inline(always)]
fn cost(angle: f64, theta_dot: f64, torque: f32) -> f64 {
    angle + 0.1 * theta_dot + f64::from(0.001 * torque)
}

impl PendulumConfig {
    /// One semi-implicit Euler step of a rod that is hinged at its end:
    ///
    /// ```text
    /// θ̈ = 3 g / (2 l) · sin θ + 3 / (m l²) · u
    /// θ̇ ← θ̇ + θ̈ dt, limited to ±8
    /// θ ← θ + θ̇ dt
    /// ```
    ///
    /// As in the cost, the torque's term is single-precision.
    #[inline(always)]
    fn dynamics(&self, [theta, theta_dot]: Motion, sin: f64, torque: f32) -> Motion {
        let gravity = 3.0 * self.g / (2.0 * LENGTH) * sin;
        let motor = (3.0 / (MASS * LENGTH * LENGTH)) as f32 * torque;
        let theta_acc = gravity + f64::from(motor);
        let theta_dot = (theta_dot + theta_acc * DT).clamp(-MAX_SPEED, MAX_SPEED);
        [theta + theta_dot * DT, theta_dot]
    }
}

impl Env for Pendulum {
    type Observation = [f32; 3];
    type Action = [f32; 1];
    /// With the torque of the last step, so that what goes on is drawn as it was.
    type State = (Motion, Option<f32>);

    fn observation_space(&self) -> Space {
        let high = [1.0, 1.0, MAX_SPEED as f32];
        Space::bounded(&high.map(|bound| -bound), &high)
    }

    fn action_space(&self) -> Space {
        Space::bounded(&[-MAX_TORQUE], &[MAX_TORQUE])
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 3] {
        self.motion = [rng.uniform(-PI, PI), rng.uniform(-1.0, 1.0)];
        self.last_torque = None;
        self.observation()
    }

    fn step(&mut self, &[torque]: &[f32; 1], _: &mut Generator) -> Step<[f32; 3]> {
        let [theta, theta_dot] = self.motion;
        let angle = (theta + PI).rem_euclid(2.0 * PI) - PI;
        let reward = -cost(square(angle), square(theta_dot), square_f32(torque));
        self.motion = self.config.dynamics(self.motion, theta.sin(), torque);
        self.last_torque = Some(torque);
        Step { observation: self.observation(), reward, terminated: false, truncated: false }
    }

    fn state(&self) -> Self::State {
        (self.motion, self.last_torque)
    }

    fn set_state(&mut self, state: Self::State) -> Result<(), Error> {
        (self.motion, self.last_torque) = state;
        Ok(())
    }

    fn render_rgb(&self) -> Option<Frame> {
        Some(render::frame(self.motion[0], self.last_torque))
    }
}

pub(crate) fn register(registry: &mut Registry) {
    let info = EnvInfo {
        id: "Pendulum-v1".to_owned(),
        max_episode_steps: Some(200),
        reward_threshold: None,
        render_fps: 30,
        physics: vec![("g".to_owned(), 10.0)],
        page: include_str!("page.md"),
    };
    registry.register_native::<batch::PendulumBatch, _, _>(info, Pendulum::new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvSpec, Snapshot, StepBuffer, Value, make, make_vec};

    #[test]
    fn bad_parameters_are_refused() {
        assert!(Pendulum::new(PendulumConfig { g: f64::NAN }).is_err());
        for spec in [EnvSpec::new("Pendulum-v1").with("g", "low"), EnvSpec::new("Pendulum-v1").with("gravity", 9.81)] {
            let refused = make(&spec).err().expect("this should have been refused");
            assert!(refused.is_config(), "{refused}");
        }
    }

    #[test]
    fn a_picture_is_the_same_in_a_batch_and_after_a_restore() {
        let mut single = make("Pendulum-v1").unwrap();
        let mut batch = make_vec("Pendulum-v1", 1, 0).unwrap();
        let mut out = StepBuffer::new(&*batch);
        single.reset(Some(4)).unwrap();
        batch.reset(Some(4), out.observations.view_mut()).unwrap();
        let still = single.render_rgb();
        assert_eq!(batch.render_rgb(0), still);
        single.step(&Value::Box(vec![1.5])).unwrap();
        batch.step(ndarray::array![[1.5]].view(), out.view_mut()).unwrap();
        let pushed = single.render_rgb();
        let mut same = Pendulum::new(PendulumConfig::default()).unwrap();
        same.reset(&mut Generator::new(4));
        same.step(&[1.5], &mut Generator::new(0));
        assert_eq!(pushed, same.render_rgb());
        assert!(pushed != Some(render::frame(same.motion[0], None)), "the torque is drawn");
        assert_eq!(batch.render_rgb(0), pushed);

        let saved = Snapshot::from_bytes(&batch.snapshot().to_bytes()).unwrap();
        let mut other = make("Pendulum-v1").unwrap();
        other.restore(&saved).unwrap();
        assert_eq!(other.render_rgb(), pushed);
        batch.reset(None, out.observations.view_mut()).unwrap();
        batch.restore(&saved).unwrap();
        assert_eq!(batch.render_rgb(0), pushed);
    }
}
