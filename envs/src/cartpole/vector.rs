//! CartPole's own vector form: the state of the whole batch in four arrays.

use super::{CartPoleConfig, State};
use crate::vector::{check_shape, check_step, generators};
use crate::{Error, Generator, Space, StepView, VectorEnv};
use ndarray::{ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// A batch of cart-poles, bit-equal to as many scalar ones.
pub struct CartPoleVector {
    config: CartPoleConfig,
    max_episode_steps: Option<u32>,
    observation_space: Space,
    action_space: Space,
    rngs: Vec<Generator>,
    x: Vec<f64>,
    x_dot: Vec<f64>,
    theta: Vec<f64>,
    theta_dot: Vec<f64>,
    elapsed: Vec<u32>,
    started: bool,
}

impl CartPoleVector {
    pub(super) fn new(config: CartPoleConfig, max_episode_steps: Option<u32>, num_envs: usize, seed: u64) -> Self {
        Self {
            config,
            max_episode_steps,
            observation_space: CartPoleConfig::observation_space(),
            action_space: Space::discrete(2),
            rngs: generators(num_envs, seed),
            x: vec![0.0; num_envs],
            x_dot: vec![0.0; num_envs],
            theta: vec![0.0; num_envs],
            theta_dot: vec![0.0; num_envs],
            elapsed: vec![0; num_envs],
            started: false,
        }
    }

    fn state(&self, i: usize) -> State {
        [self.x[i], self.x_dot[i], self.theta[i], self.theta_dot[i]]
    }

    fn set_state(&mut self, i: usize, [x, x_dot, theta, theta_dot]: State) {
        self.x[i] = x;
        self.x_dot[i] = x_dot;
        self.theta[i] = theta;
        self.theta_dot[i] = theta_dot;
    }

    fn start(&mut self, i: usize, observation: ArrayViewMut1<'_, f32>) {
        let state = CartPoleConfig::start(&mut self.rngs[i]);
        self.set_state(i, state);
        self.elapsed[i] = 0;
        observe(state, observation);
    }
}

fn observe(state: State, mut observation: ArrayViewMut1<'_, f32>) {
    observation.iter_mut().zip(state).for_each(|(to, from)| *to = from as f32);
}

impl VectorEnv for CartPoleVector {
    fn num_envs(&self) -> usize {
        self.rngs.len()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, seed: Option<u64>, mut observations: ArrayViewMut2<'_, f32>) -> Result<(), Error> {
        check_shape("observations", observations.dim(), self.num_envs(), &self.observation_space)?;
        if let Some(seed) = seed {
            self.rngs = generators(self.num_envs(), seed);
        }
        for i in 0..self.num_envs() {
            self.start(i, observations.row_mut(i));
        }
        self.started = true;
        Ok(())
    }

    fn step(&mut self, actions: ArrayView2<'_, f32>, mut out: StepView<'_>) -> Result<(), Error> {
        check_step(self, self.started, &actions, &out)?;
        for i in 0..self.num_envs() {
            let state = self.config.dynamics(self.state(i), actions[[i, 0]] == 1.0);
            self.elapsed[i] = self.elapsed[i].saturating_add(1);
            let terminated = CartPoleConfig::terminated(state);
            let truncated = self.max_episode_steps.is_some_and(|limit| self.elapsed[i] >= limit);
            out.rewards[i] = self.config.reward(terminated);
            out.terminated[i] = terminated;
            out.truncated[i] = truncated;
            if terminated || truncated {
                observe(state, out.final_observations.row_mut(i));
                self.start(i, out.observations.row_mut(i));
            } else {
                self.set_state(i, state);
                observe(state, out.observations.row_mut(i));
            }
        }
        Ok(())
    }
}
