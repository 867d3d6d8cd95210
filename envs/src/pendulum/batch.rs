//! Pendulum advanced a block at a time.

use super::{Pendulum, PendulumConfig, cost};
use crate::exact::{Function, RemTurn, Sin, Square, SquareF32, sin_cos_f32};
use crate::simd::Isa;
use crate::vector::{LANES, Lane, LaneBatch, Lanes, Outcomes};
use std::f64::consts::PI;

/// Many pendulums, bit-equal to as many scalar ones.
pub(super) type PendulumBatch = LaneBatch<Pendulum, 3, 3>;

impl Lanes<3, 3> for Pendulum {
    type Parameters = PendulumConfig;

    /// θ, θ̇ and the last torque, NaN where the episode has had none.
    fn pack(&self) -> [f64; 3] {
        let [theta, theta_dot] = self.motion;
        [theta, theta_dot, self.last_torque.map_or(f64::NAN, f64::from)]
    }

    fn unpack(&mut self, [theta, theta_dot, torque]: [f64; 3]) {
        self.motion = [theta, theta_dot];
        self.last_torque = Some(torque as f32).filter(|torque| !torque.is_nan());
    }

    fn parameters(&self) -> Self::Parameters {
        self.config
    }

    #[inline(always)]
    fn advance<I: Isa>(
        isa: I,
        parameters: impl Fn(usize) -> Self::Parameters,
        [theta, theta_dot, last_torque]: &mut [Lane; 3],
        torques: &Lane<f32>,
        out: &mut Outcomes<3>,
    ) {
        let mut angles = *theta;
        angles.iter_mut().for_each(|angle| *angle += PI);
        let mut angles = RemTurn::of(isa, &angles);
        angles.iter_mut().for_each(|angle| *angle -= PI);
        let angles = Square::of(isa, &angles);
        let speeds = Square::of(isa, theta_dot);
        let efforts = SquareF32::of(isa, torques);
        let sin = Sin::of(isa, theta);
        for i in 0..LANES {
            out.rewards[i] = -cost(angles[i], speeds[i], efforts[i]);
            [theta[i], theta_dot[i]] = parameters(i).dynamics([theta[i], theta_dot[i]], sin[i], torques[i]);
            last_torque[i] = torques[i].into();
        }
        let (sin, cos) = sin_cos_f32(isa, theta);
        for i in 0..LANES {
            out.observations[i] = [cos[i], sin[i], theta_dot[i] as f32];
            out.terminated[i] = false;
        }
    }
}
