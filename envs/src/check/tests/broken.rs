//! Environments that make mistakes.

use crate::wrappers::Wrapper;
use crate::{
    Batch, BatchStep, Copies, DynEnv, Env, Error, Frame, Generator, Outcome, RowEnv, Rows, Snapshot, Space, Step, Value,
};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A mistake that the walker makes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    None,
    Build,
    CrossedBounds,
    GrowingSpace,
    OutsideItsSpace,
    AColumnTooMany,
    NanReward,
    Clock,
    StaleStep,
    OwnGenerator,
    ForgottenState,
    RefusedState,
    SharedState,
    MaskWithoutChoice,
    LongMask,
    Panic,
    NoReturn,
    // Of its vector form.
    BatchReward,
    BatchForgetsAnEnd,
    BatchLeavesARow,
    BatchDrawsForTheSkipped,
    BatchKeepsAnotherState,
    BatchPanics,
    BatchFails,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) fault: Fault,
}

/// Walks on the places 0 to 6, on ice, until it leaves them. Observes where it is and how many steps it has taken.
#[derive(Clone)]
pub(super) struct Walker {
    fault: Fault,
    place: i64,
    steps: u32,
    shared: Arc<AtomicI64>,
    own: Generator,
}

/// What no environment should read.
static TIME: AtomicU64 = AtomicU64::new(0);

impl Walker {
    pub(super) fn new(Config { fault }: Config) -> Result<Self, Error> {
        assert!(fault != Fault::Build, "no walker today");
        Ok(Self { fault, place: 3, steps: 0, shared: Arc::default(), own: Generator::new(0) })
    }

    fn observe(&self) -> Vec<f32> {
        let mut row = vec![self.place as f32, self.steps as f32];
        match self.fault {
            Fault::OutsideItsSpace if self.steps == 2 => row[0] = 8.5,
            Fault::AColumnTooMany => row.push(0.0),
            _ => {}
        }
        row
    }
}

impl Env for Walker {
    type Observation = Vec<f32>;
    type Action = i64;
    type State = (i64, u32);

    fn observation_space(&self) -> Space {
        match self.fault {
            Fault::CrossedBounds => Space::bounded(&[1.0, 0.0], &[-1.0, 50.0]),
            Fault::GrowingSpace => Space::bounded(&[-1.0, 0.0], &[7.0, 50.0 + self.steps as f32]),
            _ => Space::bounded(&[-1.0, 0.0], &[7.0, 50.0]),
        }
    }

    fn action_space(&self) -> Space {
        Space::discrete(3)
    }

    fn reset(&mut self, rng: &mut Generator) -> Vec<f32> {
        let rng = if self.fault == Fault::OwnGenerator { &mut self.own } else { rng };
        self.place = 2 + i64::from(rng.integers(3));
        if self.fault != Fault::StaleStep {
            self.steps = 0;
        }
        self.observe()
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<Vec<f32>> {
        self.steps += 1;
        assert!(self.fault != Fault::Panic || self.steps < 3, "the walker fell over");
        if self.fault == Fault::NoReturn && self.steps == 3 {
            loop {
                std::thread::park();
            }
        }
        let slips = match self.fault {
            Fault::Clock => TIME.fetch_add(1, Ordering::Relaxed).is_multiple_of(3),
            Fault::SharedState => self.shared.fetch_add(1, Ordering::Relaxed) % 3 == 0,
            _ => rng.random() < 0.2,
        };
        self.place += if slips { 0 } else { action - 1 };
        let reward = if self.fault == Fault::NanReward && self.steps == 2 { f64::NAN } else { 1.0 };
        let terminated = !(0..7).contains(&self.place);
        // In one world the steps are never set back: they must not leave the space.
        let truncated = self.steps.is_multiple_of(20);
        self.steps = if self.fault == Fault::StaleStep { self.steps % 50 } else { self.steps };
        Step { observation: self.observe(), reward, terminated, truncated }
    }

    fn state(&self) -> (i64, u32) {
        (self.place, if self.fault == Fault::ForgottenState { 0 } else { self.steps })
    }

    fn set_state(&mut self, (place, steps): (i64, u32)) -> Result<(), Error> {
        if self.fault == Fault::RefusedState && steps > 1 {
            return Err(Error::snapshot("too late"));
        }
        (self.place, self.steps) = (place, steps);
        Ok(())
    }

    fn action_mask(&self, mask: &mut [bool]) {
        match self.fault {
            Fault::MaskWithoutChoice if self.place == 2 => mask.fill(false),
            Fault::LongMask => mask[3] = true,
            _ => {}
        }
    }
}

/// The walker's vector form: copies, and what it does wrong with them.
pub(super) struct Walkers {
    copies: Copies<Rows<Walker>>,
    fault: Fault,
    steps: u32,
}

impl Batch for Walkers {
    type Env = Rows<Walker>;

    fn from_envs(envs: Vec<Rows<Walker>>) -> Result<Self, Error> {
        Ok(Self { fault: envs[0].get().fault, copies: Copies::from_envs(envs)?, steps: 0 })
    }

    fn env(&self, env: usize) -> Rows<Walker> {
        let mut walker = self.copies.env(env);
        if self.fault == Fault::BatchKeepsAnotherState && env == 5 {
            walker.get_mut().place = 1;
        }
        walker
    }

    fn set_env(&mut self, env: usize, to: Rows<Walker>) {
        self.copies.set_env(env, to);
    }

    fn reset(&mut self, envs: &[usize], rngs: &mut [Generator], observations: &mut [f32]) -> Result<(), Error> {
        self.copies.reset(envs, rngs, observations)
    }

    fn step(
        &mut self,
        actions: &[f32],
        skip: &[bool],
        rngs: &mut [Generator],
        out: BatchStep<'_>,
    ) -> Result<(), Error> {
        self.steps += 1;
        let before = out.observations[2..4].to_vec();
        let BatchStep { observations, rewards, terminated, truncated } = out;
        let inner = BatchStep { observations: &mut *observations, rewards: &mut *rewards, terminated, truncated };
        self.copies.step(actions, skip, rngs, inner)?;
        match self.fault {
            Fault::BatchReward => rewards[4] += 1e-12,
            Fault::BatchForgetsAnEnd => terminated.fill(false),
            Fault::BatchLeavesARow => observations[2..4].copy_from_slice(&before),
            Fault::BatchDrawsForTheSkipped => {
                (0..skip.len()).filter(|&env| skip[env]).for_each(|env| {
                    rngs[env].random();
                });
            }
            Fault::BatchPanics if self.steps == 9 => panic!("all fell over"),
            Fault::BatchFails if self.steps == 9 => return Err(Error::environment("no connection")),
            _ => {}
        }
        Ok(())
    }
}

/// An environment that leaves a column of its rows alone, or fails.
#[derive(Clone, Copy)]
pub(super) enum RowFault {
    Unwritten,
    Fails,
}

#[derive(Clone)]
pub(super) struct Careless(pub(super) RowFault);

impl Wrapper for Careless {
    fn step(
        &mut self,
        env: &mut dyn RowEnv,
        action: &[f32],
        rng: &mut Generator,
        observation: &mut [f32],
    ) -> Result<Outcome, Error> {
        match self.0 {
            RowFault::Fails => Err(Error::environment("no connection")),
            _ => env.step(action, rng, observation),
        }
    }

    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        match self.0 {
            RowFault::Unwritten => observation[0] = inner[0],
            _ => observation.copy_from_slice(inner),
        }
    }
}

/// Takes any bytes for a state that begin like one.
#[derive(Clone)]
pub(super) struct Forgiving(pub(super) Rows<Walker>);

impl RowEnv for Forgiving {
    fn observation_space(&self) -> Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> Space {
        self.0.action_space()
    }

    fn reset(&mut self, rng: &mut Generator, observation: &mut [f32]) -> Result<(), Error> {
        self.0.reset(rng, observation)
    }

    fn step(&mut self, action: &[f32], rng: &mut Generator, observation: &mut [f32]) -> Result<Outcome, Error> {
        self.0.step(action, rng, observation)
    }

    fn save(&self) -> Vec<u8> {
        [self.0.save(), vec![0; 3]].concat()
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        self.0.load(&state[..state.len().min(self.0.save().len())])
    }

    fn boxed(&self) -> Box<dyn RowEnv> {
        Box::new(self.clone())
    }
}

/// An environment that takes whatever it is given.
pub(super) struct Lenient(pub(super) Box<dyn DynEnv>);

impl DynEnv for Lenient {
    fn observation_space(&self) -> &Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.0.action_space()
    }

    fn reset(&mut self, seed: Option<u64>) -> Result<Value, Error> {
        self.0.reset(seed)
    }

    fn step(&mut self, action: &Value) -> Result<Step<Value>, Error> {
        let valid = if self.action_space().contains(action) { action } else { &Value::Discrete(0) };
        self.0.step(valid).or_else(|_| {
            self.0.reset(None)?;
            self.0.step(valid)
        })
    }

    fn action_mask(&self) -> Vec<bool> {
        self.0.action_mask()
    }

    fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        self.0.restore(snapshot)
    }

    fn render_ansi(&self) -> Option<String> {
        None
    }

    fn render_rgb(&self) -> Option<Frame> {
        None
    }
}
