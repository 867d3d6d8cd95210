//! Generalised advantage estimation, with ends and time limits told apart.

use ndarray::{Array2, ArrayView1, ArrayView2};

/// What one rollout of T steps in N environments gave; all arrays are `[T, N]`.
pub struct Trajectories<'a> {
    /// Rewards of the steps.
    pub rewards: ArrayView2<'a, f32>,
    /// V(s_t): the value of the observation that was acted on.
    pub values: ArrayView2<'a, f32>,
    /// Episodes that ended by the rules of the task in this step.
    pub terminated: ArrayView2<'a, bool>,
    /// Episodes that were cut off in this step.
    pub truncated: ArrayView2<'a, bool>,
    /// V of the final observation of an episode; read only where it was truncated and not terminated.
    pub final_values: ArrayView2<'a, f32>,
    /// `[N]`: V of the observation after the last step; read only where no episode ended in it.
    pub last_values: ArrayView1<'a, f32>,
}

/// Advantages and value targets (advantage + value), both `[T, N]`.
///
/// ```text
/// δ_t = r_t + γ V(s_{t+1}) − V(s_t)
/// A_t = δ_t + γ λ A_{t+1}
/// ```
///
/// where V(s_{t+1}) is 0 after a terminated step and the value of the *final* observation after a truncated one,
/// and A_{t+1} is 0 after either. (CleanRL treats a time limit as an end; rsl_rl bootstraps from V(s_t).)
///
/// Schulman et al., *High-Dimensional Continuous Control Using Generalized Advantage Estimation*, 2016.
pub fn gae(steps: &Trajectories<'_>, gamma: f32, gae_lambda: f32) -> (Array2<f32>, Array2<f32>) {
    let (num_steps, num_envs) = steps.rewards.dim();
    let mut advantages = Array2::zeros((num_steps, num_envs));
    for env in 0..num_envs {
        let mut next_advantage = 0.0;
        let mut next_value = steps.last_values[env];
        for t in (0..num_steps).rev() {
            let at = [t, env];
            if steps.terminated[at] {
                (next_value, next_advantage) = (0.0, 0.0);
            } else if steps.truncated[at] {
                (next_value, next_advantage) = (steps.final_values[at], 0.0);
            }
            let delta = steps.rewards[at] + gamma * next_value - steps.values[at];
            next_advantage = delta + gamma * gae_lambda * next_advantage;
            next_value = steps.values[at];
            advantages[at] = next_advantage;
        }
    }
    let returns = &advantages + &steps.values;
    (advantages, returns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apprentice_envs::Generator;
    use ndarray::{Array1, array};

    /// Three steps of one environment with an end after the second.
    fn single(terminated: bool) -> Array2<f32> {
        let end = array![[false], [true], [false]];
        let none = Array2::from_elem((3, 1), false);
        let (terminated, truncated) = if terminated { (end, none) } else { (none, end) };
        let (rewards, values) = (array![[1.0], [1.0], [1.0]], array![[0.5], [0.5], [0.5]]);
        let (final_values, last_values) = (array![[9.0], [2.0], [9.0]], array![0.5]);
        let steps = Trajectories {
            rewards: rewards.view(),
            values: values.view(),
            terminated: terminated.view(),
            truncated: truncated.view(),
            final_values: final_values.view(),
            last_values: last_values.view(),
        };
        gae(&steps, 0.9, 0.8).0
    }

    #[test]
    fn by_hand() {
        let close = |got: Array2<f32>, expected: [f32; 3]| {
            assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-6), "{got} is not {expected:?}");
        };
        close(single(true), [1.31, 0.5, 0.95]);
        close(single(false), [2.606, 2.3, 0.95]);
    }

    /// Against the definition as a double sum in f64, with ends of both kinds everywhere, the last step included.
    #[test]
    fn equals_the_quadratic_definition() {
        let (num_steps, num_envs, gamma, lambda) = (17, 64, 0.97_f64, 0.9_f64);
        let mut rng = Generator::new(3);
        let mut random = |low, high| Array2::from_shape_fn((num_steps, num_envs), |_| rng.uniform(low, high) as f32);
        let (rewards, values, final_values) = (random(-1.0, 1.0), random(-2.0, 2.0), random(-2.0, 2.0));
        let (a, b) = (random(0.0, 1.0), random(0.0, 1.0));
        let mut terminated = a.mapv(|u| u < 0.15);
        let mut truncated = b.mapv(|u| u < 0.15);
        for env in 0..num_steps {
            terminated[[env, env]] = true;
            truncated[[env, num_steps + env]] = true;
        }
        let last_values = Array1::from_shape_fn(num_envs, |i| i as f32 / 10.0);
        let steps = Trajectories {
            rewards: rewards.view(),
            values: values.view(),
            terminated: terminated.view(),
            truncated: truncated.view(),
            final_values: final_values.view(),
            last_values: last_values.view(),
        };
        let (advantages, returns) = gae(&steps, gamma as f32, lambda as f32);
        for env in 0..num_envs {
            for t in 0..num_steps {
                let mut expected = 0.0;
                for k in t..num_steps {
                    let next = if terminated[[k, env]] {
                        0.0
                    } else if truncated[[k, env]] {
                        final_values[[k, env]]
                    } else if k + 1 == num_steps {
                        last_values[env]
                    } else {
                        values[[k + 1, env]]
                    };
                    let delta = f64::from(rewards[[k, env]]) + gamma * f64::from(next) - f64::from(values[[k, env]]);
                    expected += (gamma * lambda).powi((k - t) as i32) * delta;
                    if terminated[[k, env]] || truncated[[k, env]] {
                        break;
                    }
                }
                let got = advantages[[t, env]];
                assert!((f64::from(got) - expected).abs() < 1e-5, "A[{t}, {env}] = {got}, expected {expected}");
                assert!((returns[[t, env]] - (got + values[[t, env]])).abs() < 1e-6);
            }
        }
    }
}
