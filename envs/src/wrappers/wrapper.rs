//! What a wrapper is: some hooks around the steps of an environment.

use crate::{Error, Frame, Generator, Outcome, RowEnv, Space};

/// Changes an environment from the outside. Every hook does nothing until it is written: a wrapper says what it
/// changes, and everything else stays the wrapped environment's.
///
/// [`Wrapped`] calls the hooks, and is an environment like any other: wrappers stack, and serve scalar and vector
/// environments alike. They draw from the environment's own generator, and what they remember is part of its
/// snapshots.
///
/// ```
/// use apprentice_envs::wrappers::{Wrapped, Wrapper};
/// use apprentice_envs::{CartPole, CartPoleConfig, Error, Generator, Outcome, RowEnv, Rows};
///
/// /// Takes a little off every reward.
/// #[derive(Clone)]
/// struct StepCost(f64);
///
/// impl Wrapper for StepCost {
///     fn step(
///         &mut self,
///         env: &mut dyn RowEnv,
///         action: &[f32],
///         rng: &mut Generator,
///         observation: &mut [f32],
///     ) -> Result<Outcome, Error> {
///         let outcome = env.step(action, rng, observation)?;
///         Ok(Outcome { reward: outcome.reward - self.0, ..outcome })
///     }
/// }
///
/// let cart_pole = Rows::new(CartPole::new(CartPoleConfig::default())?);
/// let mut env = Wrapped::new(cart_pole.boxed(), StepCost(0.25));
/// let (mut rng, mut observation) = (Generator::new(0), [0.0; 4]);
/// env.reset(&mut rng, &mut observation)?;
/// assert_eq!(env.step(&[1.0], &mut rng, &mut observation)?.reward, 0.75);
/// # Ok::<(), Error>(())
/// ```
pub trait Wrapper: Clone + Send + 'static {
    /// The space of the observations; `inner` is that of the wrapped environment's.
    fn observation_space(&self, inner: Space) -> Space {
        inner
    }

    /// The space of the actions; `inner` is that of the wrapped environment's.
    fn action_space(&self, inner: Space) -> Space {
        inner
    }

    /// An episode starts. `first` is its first observation, `[flat_dim]`, which [`observation`](Self::observation)
    /// gets next.
    fn begin(&mut self, first: &[f32]) {
        let _ = first;
    }

    /// Turns an action into one of the wrapped environment's, an element of its action space.
    fn action(&mut self, action: &[f32], rng: &mut Generator, inner: &mut [f32]) {
        let _ = rng;
        inner.copy_from_slice(action);
    }

    /// Steps the wrapped environment with the action that [`action`](Self::action) gave.
    ///
    /// # Errors
    /// Those of the wrapped environment.
    fn step(
        &mut self,
        env: &mut dyn RowEnv,
        action: &[f32],
        rng: &mut Generator,
        observation: &mut [f32],
    ) -> Result<Outcome, Error> {
        env.step(action, rng, observation)
    }

    /// Turns a reward of the wrapped environment into the one that is given out.
    fn reward(&mut self, reward: f64) -> f64 {
        reward
    }

    /// Turns an observation of the wrapped environment into the one that is given out. Called once a reset and once a
    /// step.
    fn observation(&mut self, inner: &[f32], rng: &mut Generator, observation: &mut [f32]) {
        let _ = rng;
        observation.copy_from_slice(inner);
    }

    /// Marks the actions that make sense in the current state: see [`Env::action_mask`](crate::Env::action_mask). A
    /// wrapper that gives actions another meaning leaves the mask as it is or translates it.
    fn action_mask(&self, env: &dyn RowEnv, mask: &mut [bool]) {
        env.action_mask(mask);
    }

    /// What the wrapper remembers from step to step, in bytes.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Goes on from bytes that [`save`](Self::save) gave.
    ///
    /// # Errors
    /// If they are not what a wrapper with these parameters remembers; then nothing has changed.
    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        if state.is_empty() { Ok(()) } else { Err(Error::snapshot("a wrapper that remembers nothing has no state")) }
    }
}

/// An environment within a [`Wrapper`].
#[derive(Clone)]
pub struct Wrapped<W> {
    env: Box<dyn RowEnv>,
    wrapper: W,
    /// The wrapped environment's rows.
    action: Vec<f32>,
    observation: Vec<f32>,
}

impl<W: Wrapper> Wrapped<W> {
    /// `env` within `wrapper`.
    pub fn new(env: Box<dyn RowEnv>, wrapper: W) -> Self {
        let action = vec![0.0; env.action_space().flat_dim()];
        let observation = vec![0.0; env.observation_space().flat_dim()];
        Self { env, wrapper, action, observation }
    }
}

impl<W: Wrapper> RowEnv for Wrapped<W> {
    fn observation_space(&self) -> Space {
        self.wrapper.observation_space(self.env.observation_space())
    }

    fn action_space(&self) -> Space {
        self.wrapper.action_space(self.env.action_space())
    }

    fn reset(&mut self, rng: &mut Generator, observation: &mut [f32]) -> Result<(), Error> {
        self.env.reset(rng, &mut self.observation)?;
        self.wrapper.begin(&self.observation);
        self.wrapper.observation(&self.observation, rng, observation);
        Ok(())
    }

    fn step(&mut self, action: &[f32], rng: &mut Generator, observation: &mut [f32]) -> Result<Outcome, Error> {
        self.wrapper.action(action, rng, &mut self.action);
        let outcome = self.wrapper.step(&mut *self.env, &self.action, rng, &mut self.observation)?;
        self.wrapper.observation(&self.observation, rng, observation);
        Ok(Outcome { reward: self.wrapper.reward(outcome.reward), ..outcome })
    }

    fn save(&self) -> Vec<u8> {
        crate::row_env::to_bytes(&(self.wrapper.save(), self.env.save()))
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        let (own, inner): (Vec<u8>, Vec<u8>) = crate::row_env::from_bytes(state)?;
        let mut wrapper = self.wrapper.clone();
        wrapper.load(&own)?;
        self.env.load(&inner)?;
        self.wrapper = wrapper;
        Ok(())
    }

    fn action_mask(&self, mask: &mut [bool]) {
        self.wrapper.action_mask(&*self.env, mask);
    }

    fn render_ansi(&self) -> Option<String> {
        self.env.render_ansi()
    }

    fn render_rgb(&self) -> Option<Frame> {
        self.env.render_rgb()
    }

    fn boxed(&self) -> Box<dyn RowEnv> {
        Box::new(self.clone())
    }
}
