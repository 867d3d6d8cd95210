//! Vector environments: many episodes stepped together through one call.

use crate::{Element, Env, Error, Generator, Space, Value};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// A batch of `num_envs` independent environments of one kind.
///
/// An environment whose episode ends is reset within the same step: its row of `observations` is then the first
/// observation of the next episode, and its row of `final_observations` the true last one of the old episode.
/// No step is spent on resetting, and the value at a time limit can be bootstrapped from the right observation.
///
/// Environment i is seeded with seed + i, as Gymnasium's synchronous vector environment does, so its episodes
/// are those of the scalar environment with that seed. The caller owns all buffers; a step allocates nothing.
pub trait VectorEnv: Send {
    /// How many environments are stepped together (N).
    fn num_envs(&self) -> usize;

    /// The space of one environment's observation.
    fn observation_space(&self) -> &Space;

    /// The space of one environment's action.
    fn action_space(&self) -> &Space;

    /// Starts an episode in every environment and writes the flat observations, [N, flat_dim].
    ///
    /// `Some(seed)` seeds environment i with seed + i first (wrapping); `None` continues the streams.
    ///
    /// # Errors
    /// If the buffer has another shape.
    fn reset(&mut self, seed: Option<u64>, observations: ArrayViewMut2<'_, f32>) -> Result<(), Error>;

    /// Advances every environment by one step. `actions` holds flat rows, [N, flat_dim of the action space].
    ///
    /// # Errors
    /// If a buffer has another shape, before the first `reset`, or if an action lies outside the action space;
    /// then no environment has been stepped.
    fn step(&mut self, actions: ArrayView2<'_, f32>, out: StepView<'_>) -> Result<(), Error>;
}

/// Where a vector environment writes a step: views of buffers that the caller owns.
pub struct StepView<'a> {
    /// `[N, flat_dim]`: the observation to act on next.
    pub observations: ArrayViewMut2<'a, f32>,
    /// `[N, flat_dim]`: where an episode ended, its last observation. Other rows are left as they were.
    pub final_observations: ArrayViewMut2<'a, f32>,
    /// `[N]`: rewards.
    pub rewards: ArrayViewMut1<'a, f64>,
    /// `[N]`: episodes that ended by the rules of the task.
    pub terminated: ArrayViewMut1<'a, bool>,
    /// `[N]`: episodes that were cut off.
    pub truncated: ArrayViewMut1<'a, bool>,
}

/// Buffers for the steps of a vector environment.
#[derive(Clone, Debug, PartialEq)]
pub struct StepBuffer {
    /// `[N, flat_dim]`: the observation to act on next.
    pub observations: Array2<f32>,
    /// `[N, flat_dim]`: valid where an episode ended in the last step.
    pub final_observations: Array2<f32>,
    /// `[N]`: rewards.
    pub rewards: Array1<f64>,
    /// `[N]`: episodes that ended by the rules of the task.
    pub terminated: Array1<bool>,
    /// `[N]`: episodes that were cut off.
    pub truncated: Array1<bool>,
}

impl StepBuffer {
    /// Buffers of the right shape for `env`.
    pub fn new(env: &dyn VectorEnv) -> Self {
        let (rows, columns) = (env.num_envs(), env.observation_space().flat_dim());
        Self {
            observations: Array2::zeros((rows, columns)),
            final_observations: Array2::zeros((rows, columns)),
            rewards: Array1::zeros(rows),
            terminated: Array1::from_elem(rows, false),
            truncated: Array1::from_elem(rows, false),
        }
    }

    /// Views to hand to [`VectorEnv::step`].
    pub fn view_mut(&mut self) -> StepView<'_> {
        StepView {
            observations: self.observations.view_mut(),
            final_observations: self.final_observations.view_mut(),
            rewards: self.rewards.view_mut(),
            terminated: self.terminated.view_mut(),
            truncated: self.truncated.view_mut(),
        }
    }
}

/// Any environment as a vector environment: steps its copies one after another.
pub struct SyncVector<E: Env> {
    envs: Vec<E>,
    rngs: Vec<Generator>,
    observation_space: Space,
    action_space: Space,
    actions: Vec<E::Action>,
    started: bool,
}

impl<E: Env> SyncVector<E> {
    /// `num_envs` copies of `env`; the generator of copy i starts from seed + i.
    pub fn new(env: E, num_envs: usize, seed: u64) -> Self {
        let (observation_space, action_space) = (env.observation_space(), env.action_space());
        let actions = Vec::with_capacity(num_envs);
        Self {
            envs: vec![env; num_envs],
            rngs: generators(num_envs, seed),
            observation_space,
            action_space,
            actions,
            started: false,
        }
    }
}

impl<E: Env> VectorEnv for SyncVector<E> {
    fn num_envs(&self) -> usize {
        self.envs.len()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, seed: Option<u64>, mut observations: ArrayViewMut2<'_, f32>) -> Result<(), Error> {
        check_shape("observations", observations.dim(), self.envs.len(), &self.observation_space)?;
        if let Some(seed) = seed {
            self.rngs = generators(self.envs.len(), seed);
        }
        for ((env, rng), mut row) in self.envs.iter_mut().zip(&mut self.rngs).zip(observations.rows_mut()) {
            write_row(&env.reset(rng), &mut row);
        }
        self.started = true;
        Ok(())
    }

    fn step(&mut self, actions: ArrayView2<'_, f32>, mut out: StepView<'_>) -> Result<(), Error> {
        check_step(self, self.started, &actions, &out)?;
        self.actions.clear();
        for row in actions.rows() {
            let action = match row.as_slice() {
                Some(row) => E::Action::from_flat(row, &self.action_space),
                None => E::Action::from_flat(&row.to_vec(), &self.action_space),
            };
            self.actions.push(action.ok_or_else(|| self.action_space.reject(&Value::Box(row.to_vec())))?);
        }
        for (i, (env, rng)) in self.envs.iter_mut().zip(&mut self.rngs).enumerate() {
            let step = env.step(&self.actions[i], rng);
            out.rewards[i] = step.reward;
            out.terminated[i] = step.terminated;
            out.truncated[i] = step.truncated;
            if step.done() {
                write_row(&step.observation, &mut out.final_observations.row_mut(i));
                write_row(&env.reset(rng), &mut out.observations.row_mut(i));
            } else {
                write_row(&step.observation, &mut out.observations.row_mut(i));
            }
        }
        Ok(())
    }
}

/// The generators of a batch: seed, seed + 1, … (wrapping).
pub(crate) fn generators(num_envs: usize, seed: u64) -> Vec<Generator> {
    (0..num_envs as u64).map(|i| Generator::new(seed.wrapping_add(i))).collect()
}

/// Checks everything that [`VectorEnv::step`] promises to refuse.
pub(crate) fn check_step(
    env: &dyn VectorEnv,
    started: bool,
    actions: &ArrayView2<'_, f32>,
    out: &StepView<'_>,
) -> Result<(), Error> {
    if !started {
        return Err(Error::order("step before reset: call reset first, it starts the episodes"));
    }
    let n = env.num_envs();
    check_shape("actions", actions.dim(), n, env.action_space())?;
    check_shape("observations", out.observations.dim(), n, env.observation_space())?;
    check_shape("final_observations", out.final_observations.dim(), n, env.observation_space())?;
    let lengths =
        [("rewards", out.rewards.len()), ("terminated", out.terminated.len()), ("truncated", out.truncated.len())];
    for (name, length) in lengths {
        if length != n {
            return Err(Error::shape(format!("{name}: expected {n} entries, one an environment, got {length}")));
        }
    }
    let space = env.action_space();
    for row in actions.rows() {
        let valid = match row.as_slice() {
            Some(row) => space.contains_flat(row),
            None => space.contains_flat(&row.to_vec()),
        };
        if !valid {
            return Err(space.reject(&match space {
                Space::Discrete { .. } if row[0].fract() == 0.0 => Value::Discrete(row[0] as i64),
                _ => Value::Box(row.to_vec()),
            }));
        }
    }
    Ok(())
}

/// Checks that a buffer is [num_envs, flat_dim].
pub(crate) fn check_shape(name: &str, got: (usize, usize), num_envs: usize, space: &Space) -> Result<(), Error> {
    let expected = (num_envs, space.flat_dim());
    if got == expected {
        return Ok(());
    }
    Err(Error::shape(format!("{name}: expected shape {expected:?} (environments, columns of {space}), got {got:?}")))
}

/// Writes an element into a row of a buffer that may not be contiguous.
fn write_row(element: &impl Element, row: &mut ArrayViewMut1<'_, f32>) {
    match row.as_slice_mut() {
        Some(slice) => element.write_flat(slice),
        None => {
            let mut copy = row.to_vec();
            element.write_flat(&mut copy);
            row.iter_mut().zip(copy).for_each(|(to, from)| *to = from);
        }
    }
}
