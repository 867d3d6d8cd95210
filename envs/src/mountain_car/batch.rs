//! Both mountain cars advanced a block at a time.

use super::continuous::{self, MountainCarContinuous};
use super::discrete::{self, MountainCar};
use crate::exact::{Cos, Function};
use crate::simd::Isa;
use crate::vector::{LANES, Lane, LaneBatch, Lanes, Outcomes};

/// Many mountain cars, bit-equal to as many scalar ones.
pub(super) type MountainCarBatch = LaneBatch<MountainCar, 2, 2>;
/// Many mountain cars with forces of any size, bit-equal to as many scalar ones.
pub(super) type MountainCarContinuousBatch = LaneBatch<MountainCarContinuous, 3, 2>;

impl Lanes<2, 2> for MountainCar {
    type Parameters = f64;

    fn pack(&self) -> [f64; 2] {
        self.state
    }

    fn unpack(&mut self, state: [f64; 2]) {
        self.state = state;
    }

    fn parameters(&self) -> f64 {
        self.goal_velocity
    }

    #[inline(always)]
    fn advance<I: Isa>(
        isa: I,
        parameters: impl Fn(usize) -> Self::Parameters,
        [position, velocity]: &mut [Lane; 2],
        actions: &Lane<f32>,
        out: &mut Outcomes<2>,
    ) {
        let cos = Cos::of(isa, &position.map(|x| 3.0 * x));
        for i in 0..LANES {
            let state = discrete::dynamics([position[i], velocity[i]], cos[i], f64::from(actions[i]) - 1.0);
            [position[i], velocity[i]] = state;
            out.observations[i] = state.map(|x| x as f32);
            out.rewards[i] = -1.0;
            out.terminated[i] = discrete::terminated(state, parameters(i));
        }
    }
}

impl Lanes<3, 2> for MountainCarContinuous {
    type Parameters = f64;

    fn pack(&self) -> [f64; 3] {
        pack(self.state)
    }

    fn unpack(&mut self, state: [f64; 3]) {
        self.state = unpack(state);
    }

    fn parameters(&self) -> f64 {
        self.goal_velocity
    }

    #[inline(always)]
    fn advance<I: Isa>(
        isa: I,
        parameters: impl Fn(usize) -> Self::Parameters,
        [position, velocity, driving]: &mut [Lane; 3],
        actions: &Lane<f32>,
        out: &mut Outcomes<2>,
    ) {
        let mut triple = [0.0; LANES];
        for i in 0..LANES {
            triple[i] = unpack([position[i], velocity[i], driving[i]]).triple();
        }
        let cos = Cos::of(isa, &triple);
        for i in 0..LANES {
            let state = unpack([position[i], velocity[i], driving[i]]);
            let (state, terminated) = continuous::dynamics(state, cos[i], actions[i], parameters(i));
            [position[i], velocity[i], driving[i]] = pack(state);
            out.observations[i] = state.observation();
            out.rewards[i] = continuous::reward(actions[i], terminated);
            out.terminated[i] = terminated;
        }
    }
}

#[inline(always)]
fn pack(state: continuous::State) -> [f64; 3] {
    [state.position, f64::from(state.velocity), if state.driving { 1.0 } else { 0.0 }]
}

#[inline(always)]
fn unpack([position, velocity, driving]: [f64; 3]) -> continuous::State {
    continuous::State { position, velocity: velocity as f32, driving: driving != 0.0 }
}
