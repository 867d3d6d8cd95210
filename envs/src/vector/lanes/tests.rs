//! Blocks against the scalar environments, bit for bit.

use super::*;
use crate::{
    Acrobot, CartPole, CartPoleConfig, MountainCar, MountainCarConfig, MountainCarContinuous, Pendulum, PendulumConfig,
};

/// NaN is equal to NaN here, whatever its bits.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// Two full blocks and a part of one, stepped beside as many scalar environments. Once in a while one of the numbers of
/// an environment's state becomes one of `strange`.
fn check<E: Lanes<K, D>, const K: usize, const D: usize>(
    make: impl Fn(usize) -> E,
    action: impl Fn(&mut Generator) -> f32,
    strange: &[f64],
) {
    let n = 2 * LANES + 5;
    let mut scalar: Vec<Rows<E>> = (0..n).map(|i| Rows::new(make(i))).collect();
    let mut batch = LaneBatch::<E, K, D>::from_envs(scalar.clone()).unwrap();
    let mut rngs: Vec<Generator> = (0..n as u64).map(Generator::new).collect();
    let mut rng = Generator::new(0);
    let (mut observations, mut rewards) = (vec![0.0; n * D], vec![0.0; n]);
    let (mut terminated, mut truncated) = (vec![false; n], vec![true; n]);
    let mut row = [0.0; D];

    let all: Vec<usize> = (0..n).collect();
    let mut twins = rngs.clone();
    batch.reset(&all, &mut rngs, &mut observations).unwrap();
    for (i, env) in scalar.iter_mut().enumerate() {
        env.reset(&mut twins[i], &mut row).unwrap();
        assert_eq!(row, observations[i * D..(i + 1) * D]);
    }
    let mut ends = 0;
    for step in 0..3000 {
        if step % 3 == 0 {
            let (i, k) = (rng.integers(n as u32) as usize, rng.integers(K as u32) as usize);
            let mut state = scalar[i].get().pack();
            state[k] = strange[rng.integers(strange.len() as u32) as usize];
            scalar[i].get_mut().unpack(state);
            batch.set_env(i, scalar[i].clone());
        }
        let actions: Vec<f32> = (0..n).map(|_| action(&mut rng)).collect();
        let out = BatchStep {
            observations: &mut observations,
            rewards: &mut rewards,
            terminated: &mut terminated,
            truncated: &mut truncated,
        };
        batch.step(&actions, &vec![false; n], &mut rngs, out).unwrap();
        for (i, env) in scalar.iter_mut().enumerate() {
            let outcome = env.step(&actions[i..=i], &mut twins[i], &mut row).unwrap();
            let got = &observations[i * D..(i + 1) * D];
            assert!(row.iter().zip(got).all(|(&a, &b)| same(a.into(), b.into())), "step {step}: {got:?} for {row:?}");
            assert!(same(outcome.reward, rewards[i]), "step {step}: {} for {}", rewards[i], outcome.reward);
            assert_eq!((outcome.terminated, outcome.truncated), (terminated[i], truncated[i]), "step {step}");
            let (state, expected) = (batch.env(i).get().pack(), env.get().pack());
            assert!(state.iter().zip(&expected).all(|(&a, &b)| same(a, b)), "step {step}: {state:?} for {expected:?}");
            if terminated[i] || step % 500 == i % 500 {
                ends += 1;
                env.reset(&mut twins[i], &mut row).unwrap();
                batch.reset(&[i], &mut rngs, &mut observations).unwrap();
            }
        }
        assert_eq!(rngs, twins);
    }
    assert!(ends > n, "{ends} episodes");
}

const STRANGE: [f64; 12] = [0.0, -0.0, 1e-30, -1e-9, 0.1254, 0.3, -1.0, 3.0, 1e5, -1e300, f64::INFINITY, f64::NAN];

fn discrete<const ACTIONS: u32>(rng: &mut Generator) -> f32 {
    rng.integers(ACTIONS) as f32
}

#[test]
fn cartpoles() {
    let config = CartPoleConfig::default();
    check(|_| CartPole::new(config).unwrap(), discrete::<2>, &STRANGE);
    let config = |i| CartPoleConfig { length: 0.3 + 0.01 * i as f64, sutton_barto_reward: i % 2 == 0, ..config };
    check(|i| CartPole::new(config(i)).unwrap(), discrete::<2>, &STRANGE);
}

#[test]
fn mountain_cars() {
    for spread in [0.0, 0.001] {
        let config = |i| MountainCarConfig { goal_velocity: spread * i as f64 };
        check(|i| MountainCar::new(config(i)).unwrap(), discrete::<3>, &STRANGE);
        let force = |rng: &mut Generator| rng.uniform(-1.0, 1.0) as f32;
        check(|i| MountainCarContinuous::new(config(i)).unwrap(), force, &STRANGE);
    }
}

#[test]
fn pendulums() {
    for spread in [0.0, 0.1] {
        let config = |i| PendulumConfig { g: 10.0 + spread * i as f64 };
        let torque = |rng: &mut Generator| rng.uniform(-2.0, 2.0) as f32;
        check(|i| Pendulum::new(config(i)).unwrap(), torque, &STRANGE);
    }
}

/// Of angles that its `set_state` would refuse, those that turns can be taken off one by one.
#[test]
fn acrobots() {
    check(|_| Acrobot::new(), discrete::<3>, &STRANGE.map(|x| if x.abs() > 50.0 { 40.0 } else { x }));
}
