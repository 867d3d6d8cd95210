//! Probe environments: tiny tasks with known answers, each of which isolates one thing that PPO has to get right.

use apprentice::agents::{Ppo, PpoConfig, Session, ValueClip, device};
use apprentice::envs::{self, Env, Generator, Space, Step, SyncVector};
use ndarray::Array2;

/// An environment given by functions of its own small state.
#[derive(Clone)]
pub(crate) struct Probe {
    pub observations: u32,
    pub actions: u32,
    /// The first state of an episode.
    pub start: fn(&mut Generator) -> i64,
    /// (state, action) → (next state, reward, terminated).
    pub step: fn(i64, i64, &mut Generator) -> (i64, f64, bool),
    pub state: i64,
}

impl Env for Probe {
    type Observation = i64;
    type Action = i64;
    type State = i64;

    fn observation_space(&self) -> Space {
        Space::discrete(self.observations)
    }

    fn action_space(&self) -> Space {
        Space::discrete(self.actions)
    }

    fn reset(&mut self, rng: &mut Generator) -> i64 {
        self.state = (self.start)(rng);
        self.state
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<i64> {
        let (state, reward, terminated) = (self.step)(self.state, *action, rng);
        self.state = state;
        Step { observation: state, reward, terminated, truncated: false }
    }

    fn state(&self) -> i64 {
        self.state
    }

    fn set_state(&mut self, state: i64) -> Result<(), envs::Error> {
        self.state = state;
        Ok(())
    }
}

/// A configuration that learns small tasks within some thousand steps.
pub(crate) fn quick(total_timesteps: u64) -> PpoConfig {
    PpoConfig {
        seed: 1,
        total_timesteps,
        num_steps: 32,
        num_minibatches: 2,
        update_epochs: 8,
        learning_rate: 1e-2,
        clip_vloss: ValueClip::Off,
        ent_coef: 0.0,
        hidden: vec![16],
        gamma: 0.9,
        gae_lambda: 0.95,
        evaluations: 0,
        ..PpoConfig::default()
    }
}

pub(crate) fn train(config: PpoConfig, env: impl Env) -> Ppo {
    train_limited(config, env, None)
}

fn train_limited(config: PpoConfig, env: impl Env, max_episode_steps: Option<u32>) -> Ppo {
    let envs = Box::new(SyncVector::copies(env, max_episode_steps, config.num_envs, config.seed));
    let mut ppo = Ppo::with_envs(config, envs, &device("cpu").unwrap()).unwrap();
    assert!(ppo.train(&mut Session::default()).unwrap().finished);
    ppo
}

/// The critic's value of every state 0, 1, ….
pub(crate) fn values(ppo: &mut Ppo, states: usize) -> Vec<f32> {
    let observations = Array2::from_shape_fn((states, 1), |(state, _)| state as f32);
    let mut values = vec![0.0; states];
    ppo.engine().values(observations.view(), Array2::zeros((states, 0)).view(), &mut values);
    values
}

/// The most probable action in every state 0, 1, ….
fn actions(ppo: &Ppo, states: usize) -> Vec<usize> {
    let policy = ppo.policy().unwrap();
    let mut runner = policy.runner();
    (0..states).map(|state| runner.act_discrete(&[state as f32]).unwrap()).collect()
}

fn assert_close(got: &[f32], expected: &[f32], tolerance: f32) {
    let close = got.iter().zip(expected).all(|(g, e)| (g - e).abs() <= tolerance);
    assert!(close, "got {got:?}, expected {expected:?} ± {tolerance}");
}

#[test]
fn constant_reward_gives_its_value() {
    let env = Probe { observations: 1, actions: 2, start: |_| 0, step: |_, _, _| (0, 1.0, true), state: 0 };
    assert_close(&values(&mut train(quick(4_000), env), 1), &[1.0], 0.02);
}

#[test]
fn the_value_depends_on_the_observation() {
    let env = Probe {
        observations: 2,
        actions: 2,
        start: |rng| i64::from(rng.integers(2)),
        step: |state, _, _| (state, if state == 0 { -1.0 } else { 1.0 }, true),
        state: 0,
    };
    assert_close(&values(&mut train(quick(4_000), env), 2), &[-1.0, 1.0], 0.05);
}

#[test]
fn a_reward_one_step_away_is_discounted_once() {
    let env = Probe {
        observations: 2,
        actions: 2,
        start: |_| 0,
        step: |state, _, _| (1, state as f64, state == 1),
        state: 0,
    };
    assert_close(&values(&mut train(quick(6_000), env), 2), &[0.9, 1.0], 0.03);
}

#[test]
fn the_better_arm_of_a_bandit_is_found() {
    let env = Probe {
        observations: 1,
        actions: 3,
        start: |_| 0,
        step: |_, a, _| (0, [0.1, 1.0, 0.3][a as usize], true),
        state: 0,
    };
    assert_eq!(actions(&train(quick(4_000), env), 1), [1]);
}

#[test]
fn the_action_can_depend_on_the_observation() {
    let env = Probe {
        observations: 3,
        actions: 3,
        start: |rng| i64::from(rng.integers(3)),
        step: |state, action, _| (state, if action == (state + 1) % 3 { 1.0 } else { -1.0 }, true),
        state: 0,
    };
    let mut ppo = train(quick(6_000), env);
    assert_eq!(actions(&ppo, 3), [1, 2, 0]);
    assert_close(&values(&mut ppo, 3), &[1.0; 3], 0.1);
}

/// Repeat the observation as the action; 90 of 100 right within 1,200 steps.
#[test]
fn identity_is_learnt_within_1200_steps() {
    let identity = Probe {
        observations: 4,
        actions: 4,
        start: |rng| i64::from(rng.integers(4)),
        step: |state, action, rng| (i64::from(rng.integers(4)), if action == state { 1.0 } else { 0.0 }, false),
        state: 0,
    };
    let config = PpoConfig { num_steps: 16, update_epochs: 10, gamma: 0.5, ..quick(1_200) };
    let ppo = train_limited(config, identity, Some(100));
    assert_eq!(actions(&ppo, 4), [0, 1, 2, 3]);
}

/// With a reward of 1 a step and a time limit of 8, a state is worth 1 / (1 − γ) = 50: the limit is not an end of
/// the task. Were it treated as one, the value would be about 7.5.
#[test]
fn a_time_limit_is_not_an_end() {
    let env = Probe { observations: 1, actions: 2, start: |_| 0, step: |_, _, _| (0, 1.0, false), state: 0 };
    let config = PpoConfig { gamma: 0.98, max_grad_norm: 1e9, learning_rate: 3e-2, ..quick(60_000) };
    assert_close(&values(&mut train_limited(config, env, Some(8)), 1), &[50.0], 1.0);
}

/// A ring of three states that pays in one of them, cut off after every single step: only the value of the final
/// observation itself, not that of the observation before it, leads to the true values.
#[test]
fn a_cut_bootstraps_from_the_final_observation() {
    let env = Probe {
        observations: 3,
        actions: 2,
        start: |rng| i64::from(rng.integers(3)),
        step: |state, _, _| ((state + 1) % 3, if state == 2 { 1.0 } else { 0.0 }, false),
        state: 0,
    };
    let config = PpoConfig { max_grad_norm: 1e9, ..quick(30_000) };
    let cycle = 1.0 - 0.9_f32.powi(3);
    let expected = [0.9 * 0.9 / cycle, 0.9 / cycle, 1.0 / cycle];
    assert_close(&values(&mut train_limited(config, env, Some(1)), 3), &expected, 0.1);
}
