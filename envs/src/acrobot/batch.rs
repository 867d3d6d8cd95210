//! Acrobot advanced a block at a time.

use super::{Acrobot, State, dynamics, is_high, reward};
use crate::exact::{Cos, Function, sin_cos_f32};
use crate::simd::Isa;
use crate::vector::{LANES, Lane, LaneBatch, Lanes, Outcomes};

/// Many acrobots, bit-equal to as many scalar ones.
pub(super) type AcrobotBatch = LaneBatch<Acrobot, 4, 6>;

impl Lanes<4, 6> for Acrobot {
    type Parameters = ();

    fn pack(&self) -> State {
        self.state
    }

    fn unpack(&mut self, state: State) {
        self.state = state;
    }

    fn parameters(&self) {}

    #[inline(always)]
    fn advance<I: Isa>(isa: I, _: impl Fn(usize), states: &mut [Lane; 4], actions: &Lane<f32>, out: &mut Outcomes<6>) {
        let mut torques = [0.0; LANES];
        for i in 0..LANES {
            torques[i] = f64::from(actions[i]) - 1.0;
        }
        *states = dynamics(isa, states, &torques);
        let [theta1, theta2, speed1, speed2] = states;
        let mut sum = [0.0; LANES];
        for i in 0..LANES {
            sum[i] = theta2[i] + theta1[i];
        }
        let (upper, lower) = (Cos::of(isa, theta1), Cos::of(isa, &sum));
        let ((sin1, cos1), (sin2, cos2)) = (sin_cos_f32(isa, theta1), sin_cos_f32(isa, theta2));
        for i in 0..LANES {
            out.observations[i] = [cos1[i], sin1[i], cos2[i], sin2[i], speed1[i] as f32, speed2[i] as f32];
            out.terminated[i] = is_high(upper[i], lower[i]);
            out.rewards[i] = reward(out.terminated[i]);
        }
    }
}
