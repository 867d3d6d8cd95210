//! One environment of any type: the form that a user steps.

use crate::snapshot::{Episode, Phase};
use crate::{Element, Error, Frame, Generator, RowEnv, Snapshot, Space, Step, Value};

/// An environment of any type, as [`make`](crate::make) returns it.
///
/// Holds its own generator and time limit, and refuses invalid actions and steps out of order with an error.
pub trait DynEnv: Send {
    /// The space that every observation lies in.
    fn observation_space(&self) -> &Space;

    /// The space of valid actions.
    fn action_space(&self) -> &Space;

    /// Starts an episode. `Some(seed)` seeds the generator first, `None` continues its stream.
    ///
    /// # Errors
    /// If the environment itself fails, as foreign ones can; the built-in ones never do.
    fn reset(&mut self, seed: Option<u64>) -> Result<Value, Error>;

    /// Advances by one step.
    ///
    /// # Errors
    /// If the action lies outside the action space, before the first `reset`, and after the end of an episode.
    fn step(&mut self, action: &Value) -> Result<Step<Value>, Error>;

    /// Which actions make sense in the current state: an entry for each column of the action space's feature row.
    fn action_mask(&self) -> Vec<bool>;

    /// Everything that the future depends on: the state, the generator and the steps of the episode so far.
    fn snapshot(&self) -> Snapshot;

    /// Goes on from a snapshot, which is left as it is: planning can go on from the same one many times.
    ///
    /// # Errors
    /// If it is not of an environment with these parameters; then nothing has changed.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error>;

    /// The state as coloured text (ANSI escapes), if the environment can draw itself so.
    fn render_ansi(&self) -> Option<String>;

    /// The state as a picture, if the environment can draw itself so.
    fn render_rgb(&self) -> Option<Frame>;
}

/// An environment with a generator and a time limit of its own that checks what it is asked.
pub struct Checked<E: RowEnv + Clone> {
    env: E,
    max_episode_steps: Option<u32>,
    observation_space: Space,
    action_space: Space,
    rng: Generator,
    phase: Phase,
    elapsed: u32,
    action: Vec<f32>,
    observation: Vec<f32>,
}

impl<E: RowEnv + Clone> Checked<E> {
    /// Wraps `env`, whose episodes are cut off at their `max_episode_steps`-th step; its generator starts from `seed`.
    pub fn new(env: E, max_episode_steps: Option<u32>, seed: u64) -> Self {
        let (observation_space, action_space) = (env.observation_space(), env.action_space());
        Self {
            env,
            max_episode_steps,
            action: vec![0.0; action_space.flat_dim()],
            observation: vec![0.0; observation_space.flat_dim()],
            observation_space,
            action_space,
            rng: Generator::new(seed),
            phase: Phase::New,
            elapsed: 0,
        }
    }

    fn observation(&self) -> Value {
        Value::from_flat(&self.observation, &self.observation_space).expect("a row of the space's columns")
    }
}

impl<E: RowEnv + Clone> DynEnv for Checked<E> {
    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn reset(&mut self, seed: Option<u64>) -> Result<Value, Error> {
        if let Some(seed) = seed {
            self.rng = Generator::new(seed);
        }
        self.phase = Phase::New;
        self.env.reset(&mut self.rng, &mut self.observation)?;
        (self.phase, self.elapsed) = (Phase::Running, 0);
        Ok(self.observation())
    }

    fn step(&mut self, action: &Value) -> Result<Step<Value>, Error> {
        match self.phase {
            Phase::New => return Err(Error::order("step before reset: call reset first, it starts the episode")),
            Phase::Ended => {
                return Err(Error::order("step after the end of the episode: call reset to start the next one"));
            }
            Phase::Running => {}
        }
        if !self.action_space.contains(action) {
            return Err(self.action_space.reject(action));
        }
        action.write_flat(&mut self.action);
        let mut outcome = self.env.step(&self.action, &mut self.rng, &mut self.observation)?;
        self.elapsed = self.elapsed.saturating_add(1);
        outcome.truncated |= self.max_episode_steps.is_some_and(|limit| self.elapsed >= limit);
        if outcome.done() {
            self.phase = Phase::Ended;
        }
        Ok(Step {
            observation: self.observation(),
            reward: outcome.reward,
            terminated: outcome.terminated,
            truncated: outcome.truncated,
        })
    }

    fn action_mask(&self) -> Vec<bool> {
        let mut mask = vec![true; self.action_space.feature_dim()];
        self.env.action_mask(&mut mask);
        mask
    }

    fn snapshot(&self) -> Snapshot {
        let (rng, phase, elapsed) = (self.rng.clone(), self.phase, self.elapsed);
        Snapshot::new(vec![Episode { rng, phase, elapsed, state: self.env.save() }])
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let [episode] = snapshot.episodes(1)? else { unreachable!("one was asked for") };
        let mut env = self.env.clone();
        env.load(&episode.state)?;
        (self.env, self.rng) = (env, episode.rng.clone());
        (self.phase, self.elapsed) = (episode.phase, episode.elapsed);
        Ok(())
    }

    fn render_ansi(&self) -> Option<String> {
        self.env.render_ansi()
    }

    fn render_rgb(&self) -> Option<Frame> {
        self.env.render_rgb()
    }
}
