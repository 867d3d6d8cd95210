//! CartPole advanced a block at a time.

use super::{CartPole, CartPoleConfig, State};
use crate::exact::{CosSmall, Function, SinSmall};
use crate::simd::Isa;
use crate::vector::{LANES, Lane, LaneBatch, Lanes, Outcomes};

/// Many cart-poles, bit-equal to as many scalar ones.
pub(super) type CartPoleBatch = LaneBatch<CartPole, 4, 4>;

impl Lanes<4, 4> for CartPole {
    type Parameters = CartPoleConfig;

    fn pack(&self) -> State {
        self.state
    }

    fn unpack(&mut self, state: State) {
        self.state = state;
    }

    fn parameters(&self) -> Self::Parameters {
        self.config
    }

    #[inline(always)]
    fn advance<I: Isa>(
        isa: I,
        parameters: impl Fn(usize) -> Self::Parameters,
        states: &mut [Lane; 4],
        actions: &Lane<f32>,
        out: &mut Outcomes<4>,
    ) {
        let [x, x_dot, theta, theta_dot] = states;
        let (sin, cos) = (SinSmall::of(isa, theta), CosSmall::of(isa, theta));
        for i in 0..LANES {
            let config = parameters(i);
            let state = [x[i], x_dot[i], theta[i], theta_dot[i]];
            let state = config.dynamics(state, (sin[i], cos[i]), actions[i] == 1.0);
            let terminated = CartPoleConfig::terminated(state);
            [x[i], x_dot[i], theta[i], theta_dot[i]] = state;
            out.observations[i] = state.map(|x| x as f32);
            out.rewards[i] = config.reward(terminated);
            out.terminated[i] = terminated;
        }
    }
}
