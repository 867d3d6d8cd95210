//! Wrappers made of a function, for programs: a function has no place in a configuration file.

use super::Wrapper;
use crate::{Generator, RowEnv, Space};

/// Changes observations by a function of two flat rows: it reads the wrapped environment's and writes the one that is
/// given out.
///
/// ```
/// use apprentice_envs::wrappers::{TransformObservation, Wrapped};
/// use apprentice_envs::{CartPole, CartPoleConfig, RowEnv, Rows, Space};
///
/// let cart_pole = Rows::new(CartPole::new(CartPoleConfig::default())?).boxed();
/// let angle = Space::bounded(&[-0.42], &[0.42]);
/// let angle_only = TransformObservation::new(angle, |all: &[f32], to: &mut [f32]| to[0] = all[2]);
/// assert_eq!(Wrapped::new(cart_pole, angle_only).observation_space().flat_dim(), 1);
/// # Ok::<(), apprentice_envs::Error>(())
/// ```
#[derive(Clone)]
pub struct TransformObservation<F> {
    space: Space,
    function: F,
}

impl<F: Fn(&[f32], &mut [f32]) + Clone + Send + 'static> TransformObservation<F> {
    /// Observations that `function` writes, which lie in `space`.
    pub fn new(space: Space, function: F) -> Self {
        Self { space, function }
    }
}

impl<F: Fn(&[f32], &mut [f32]) + Clone + Send + 'static> Wrapper for TransformObservation<F> {
    fn observation_space(&self, _: Space) -> Space {
        self.space.clone()
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        (self.function)(inner, observation);
    }
}

/// Changes actions by a function of two flat rows: it reads an element of the space that it was made with and writes
/// one of the wrapped environment's action space.
#[derive(Clone)]
pub struct TransformAction<F> {
    space: Space,
    function: F,
}

impl<F: Fn(&[f32], &mut [f32]) + Clone + Send + 'static> TransformAction<F> {
    /// Actions from `space`, which `function` turns into the wrapped environment's.
    pub fn new(space: Space, function: F) -> Self {
        Self { space, function }
    }
}

impl<F: Fn(&[f32], &mut [f32]) + Clone + Send + 'static> Wrapper for TransformAction<F> {
    fn action_space(&self, _: Space) -> Space {
        self.space.clone()
    }

    fn action(&mut self, action: &[f32], _: &mut Generator, inner: &mut [f32]) {
        (self.function)(action, inner);
    }

    /// What the function makes of an action, nobody knows.
    fn action_mask(&self, _: &dyn RowEnv, _: &mut [bool]) {}
}

/// Changes rewards by a function.
#[derive(Clone)]
pub struct TransformReward<F>(
    /// The function.
    pub F,
);

impl<F: Fn(f64) -> f64 + Clone + Send + 'static> Wrapper for TransformReward<F> {
    fn reward(&mut self, reward: f64) -> f64 {
        (self.0)(reward)
    }
}
