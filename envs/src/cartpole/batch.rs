//! CartPole's own batch: the states in four arrays.

use super::{CartPole, CartPoleConfig, State};
use crate::{Batch, BatchStep, Error, Generator, Rows};

/// A batch of cart-poles, bit-equal to as many scalar ones.
pub(super) struct CartPoleBatch {
    configs: Vec<CartPoleConfig>,
    x: Vec<f64>,
    x_dot: Vec<f64>,
    theta: Vec<f64>,
    theta_dot: Vec<f64>,
}

impl CartPoleBatch {
    fn state(&self, i: usize) -> State {
        [self.x[i], self.x_dot[i], self.theta[i], self.theta_dot[i]]
    }

    fn set_state(&mut self, i: usize, [x, x_dot, theta, theta_dot]: State) {
        self.x[i] = x;
        self.x_dot[i] = x_dot;
        self.theta[i] = theta;
        self.theta_dot[i] = theta_dot;
    }
}

fn observe(state: State, observation: &mut [f32]) {
    observation.iter_mut().zip(state).for_each(|(to, from)| *to = from as f32);
}

impl Batch for CartPoleBatch {
    type Env = Rows<CartPole>;

    fn from_envs(envs: Vec<Rows<CartPole>>) -> Result<Self, Error> {
        let column = |k: usize| envs.iter().map(|env| env.get().state[k]).collect();
        let [x, x_dot, theta, theta_dot] = std::array::from_fn(column);
        Ok(Self { configs: envs.iter().map(|env| env.get().config.clone()).collect(), x, x_dot, theta, theta_dot })
    }

    fn env(&self, env: usize) -> Rows<CartPole> {
        Rows::new(CartPole { config: self.configs[env].clone(), state: self.state(env) })
    }

    fn set_env(&mut self, env: usize, to: Rows<CartPole>) {
        self.set_state(env, to.get().state);
    }

    fn reset(&mut self, envs: &[usize], rngs: &mut [Generator], observations: &mut [f32]) -> Result<(), Error> {
        for &env in envs {
            let state = CartPoleConfig::start(&mut rngs[env]);
            self.set_state(env, state);
            observe(state, &mut observations[4 * env..4 * (env + 1)]);
        }
        Ok(())
    }

    fn step(&mut self, actions: &[f32], _: &[bool], _: &mut [Generator], out: BatchStep<'_>) -> Result<(), Error> {
        for (i, &action) in actions.iter().enumerate() {
            let state = self.configs[i].dynamics(self.state(i), action == 1.0);
            let terminated = CartPoleConfig::terminated(state);
            self.set_state(i, state);
            observe(state, &mut out.observations[4 * i..4 * (i + 1)]);
            out.rewards[i] = self.configs[i].reward(terminated);
            out.terminated[i] = terminated;
            out.truncated[i] = false;
        }
        Ok(())
    }
}
