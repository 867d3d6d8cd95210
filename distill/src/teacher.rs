//! The teacher: a deployed policy that acts and says what it would do.

use apprentice_agents::{Behavior, Error, check_fit};
use apprentice_deploy::{Policy, Runner};
use apprentice_envs::VectorEnv;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// A policy file at work as a teacher, its observation normaliser included.
pub(crate) struct Teacher<'a> {
    runner: Runner<'a>,
    actions: usize,
}

impl<'a> Teacher<'a> {
    /// # Errors
    /// If the policy was made for other observations or actions than those of `envs`.
    pub(crate) fn new(policy: &'a Policy, envs: &dyn VectorEnv) -> Result<Self, Error> {
        check_fit(policy, envs.observation_space(), envs.action_space())?;
        let apprentice_deploy::Action::Discrete { n, .. } = policy.header().action;
        Ok(Self { runner: policy.runner(), actions: n })
    }

    /// ln π(a|s) of every action: flat observations `[B, flat_dim]` → `[B, actions]`.
    ///
    /// # Errors
    /// If the teacher's outputs are not finite.
    pub(crate) fn log_probabilities(&mut self, observations: ArrayView2<'_, f32>) -> Result<Array2<f32>, Error> {
        let mut labels = Array2::zeros((observations.nrows(), self.actions));
        self.logits(observations, labels.view_mut())?;
        Ok(labels)
    }
}

impl Behavior for Teacher<'_> {
    fn logits(&mut self, observations: ArrayView2<'_, f32>, mut logits: ArrayViewMut2<'_, f32>) -> Result<(), Error> {
        for (observation, mut row) in observations.rows().into_iter().zip(logits.rows_mut()) {
            let row = row.as_slice_mut().expect("the rows of a buffer are contiguous");
            match observation.as_slice() {
                Some(observation) => self.runner.log_probabilities(observation, row)?,
                None => self.runner.log_probabilities(&observation.to_vec(), row)?,
            }
        }
        Ok(())
    }

    /// A deployed policy has no critic.
    fn values(&mut self, _: ArrayView2<'_, f32>, values: &mut [f32]) {
        values.fill(0.0);
    }
}
