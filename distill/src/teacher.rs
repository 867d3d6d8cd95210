//! The teacher: a deployed policy that acts and says what it would do.

use apprentice_agents::{Behavior, Error, check_fit};
use apprentice_deploy::{Distribution, Policy, Runner};
use apprentice_envs::VectorEnv;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// A policy file at work as a teacher, its observation normaliser included.
pub(crate) struct Teacher<'a> {
    runner: Runner<'a>,
}

impl<'a> Teacher<'a> {
    /// # Errors
    /// If the policy was made for other observations or actions than those of `envs`.
    pub(crate) fn new(policy: &'a Policy, envs: &dyn VectorEnv) -> Result<Self, Error> {
        check_fit(policy, envs.observation_space(), envs.action_space())?;
        Ok(Self { runner: policy.runner() })
    }

    /// What its parameters stand for.
    pub(crate) fn distribution(&self) -> &Distribution {
        self.runner.distribution()
    }

    /// The distributions of actions by their parameters in normal form: flat observations `[B, flat_dim]` →
    /// `[B, params]`.
    ///
    /// # Errors
    /// If the teacher's outputs are not finite.
    pub(crate) fn labels(&mut self, observations: ArrayView2<'_, f32>) -> Result<Array2<f32>, Error> {
        let mut labels = Array2::zeros((observations.nrows(), self.runner.distribution().num_params()));
        self.params(observations, labels.view_mut())?;
        Ok(labels)
    }
}

impl Behavior for Teacher<'_> {
    fn params(&mut self, observations: ArrayView2<'_, f32>, mut params: ArrayViewMut2<'_, f32>) -> Result<(), Error> {
        for (observation, mut row) in observations.rows().into_iter().zip(params.rows_mut()) {
            let row = row.as_slice_mut().expect("the rows of a buffer are contiguous");
            row.copy_from_slice(match observation.as_slice() {
                Some(observation) => self.runner.params(observation)?,
                None => self.runner.params(&observation.to_vec())?,
            });
            self.runner.distribution().normalize(row);
        }
        Ok(())
    }

    /// A deployed policy has no critic.
    fn values(&mut self, _: ArrayView2<'_, f32>, values: &mut [f32]) {
        values.fill(0.0);
    }
}
