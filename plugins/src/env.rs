//! One foreign environment.

use crate::guarded::Guarded;
use crate::instance::{Instance, Out};
use crate::kind::Kind;
use crate::library::Library;
use apprentice_envs::{Error, Frame, Generator, Outcome, RowEnv, Space};
use serde_json::Value as Json;
use std::sync::Arc;

/// The first byte of a saved state: the plugin's bytes follow, or the reason why there are none.
const SAVED: u8 = 0;
const LOST: u8 = 1;

/// One environment of a plugin. A copy is its saved state, until it is used.
pub struct PluginEnv {
    kind: Arc<Kind>,
    state: State,
}

enum State {
    Live(Box<Live>),
    Saved(Vec<u8>),
    /// It could not be saved; whoever uses the copy learns why.
    Lost(String),
}

/// An instance of one environment and buffers for its steps.
struct Live {
    instance: Instance,
    observation: Guarded<f32>,
    reward: Guarded<f64>,
}

impl Live {
    fn new(instance: Instance) -> Box<Self> {
        let columns = instance.kind().widths.observation;
        Box::new(Self { instance, observation: Guarded::rows(columns), reward: Guarded::rewards(1) })
    }
}

impl PluginEnv {
    /// An environment with the parameters `kwargs`, a JSON object.
    pub(crate) fn new(library: &Arc<Library>, index: u32, id: &str, kwargs: &Json) -> Result<Self, Error> {
        let (kind, instance) = Kind::new(library, index, id, kwargs)?;
        Ok(Self { kind, state: State::Live(Live::new(instance)) })
    }

    /// A copy of environment `env` of an instance.
    pub(crate) fn copy_of(instance: &Instance, env: usize) -> Self {
        Self { kind: instance.kind().clone(), state: State::of(instance, env) }
    }

    pub(crate) fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    /// Puts this environment's state into environment `env` of an instance of the same kind.
    pub(crate) fn put_into(&self, instance: &mut Instance, env: usize) -> Result<(), Error> {
        match self.state.saved() {
            State::Saved(bytes) => instance.load(env, &bytes).map_err(|e| self.kind.refuses_state(e)),
            State::Lost(why) => Err(self.kind.fails(why)),
            State::Live(_) => unreachable!("a saved state is not live"),
        }
    }

    /// The environment itself, made of the saved state if need be.
    fn live(&mut self) -> Result<&mut Live, Error> {
        if !matches!(self.state, State::Live(_)) {
            let mut instance = self.kind.create(1)?;
            self.put_into(&mut instance, 0)?;
            self.state = State::Live(Live::new(instance));
        }
        match &mut self.state {
            State::Live(live) => Ok(live),
            _ => unreachable!("it has just been made"),
        }
    }

    /// Asks the environment something; a copy that is not live is made live for the purpose.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Instance) -> T) -> Result<T, Error> {
        if let State::Live(live) = &self.state {
            return Ok(question(&live.instance));
        }
        let mut instance = self.kind.create(1)?;
        self.put_into(&mut instance, 0)?;
        Ok(question(&instance))
    }
}

impl State {
    fn of(instance: &Instance, env: usize) -> Self {
        match instance.save(env) {
            Ok(bytes) => Self::Saved(bytes),
            Err(why) => Self::Lost(why),
        }
    }

    fn saved(&self) -> Self {
        match self {
            Self::Live(live) => Self::of(&live.instance, 0),
            Self::Saved(bytes) => Self::Saved(bytes.clone()),
            Self::Lost(why) => Self::Lost(why.clone()),
        }
    }
}

impl Clone for PluginEnv {
    fn clone(&self) -> Self {
        Self { kind: self.kind.clone(), state: self.state.saved() }
    }
}

impl RowEnv for PluginEnv {
    fn observation_space(&self) -> Space {
        self.kind.observation_space.clone()
    }

    fn action_space(&self) -> Space {
        self.kind.action_space.clone()
    }

    fn reset(&mut self, rng: &mut Generator, observation: &mut [f32]) -> Result<(), Error> {
        self.live()?.instance.reset(std::iter::once(0), std::slice::from_mut(rng), observation)
    }

    fn step(&mut self, action: &[f32], _: &mut Generator, observation: &mut [f32]) -> Result<Outcome, Error> {
        let columns = observation.len();
        let Live { instance, observation: row, reward } = self.live()?;
        let (mut terminated, mut truncated) = ([false], [false]);
        let out = Out {
            observations: row.arm(columns),
            rewards: reward.arm(1),
            terminated: &mut terminated,
            truncated: &mut truncated,
        };
        instance.step(action, &[false], out)?;
        let row = row.read(columns).ok_or_else(|| instance.overrun("step", "observations"))?;
        let reward = reward.read(1).ok_or_else(|| instance.overrun("step", "rewards"))?[0];
        observation.copy_from_slice(row);
        Ok(Outcome { reward, terminated: terminated[0], truncated: truncated[0] })
    }

    fn save(&self) -> Vec<u8> {
        match self.state.saved() {
            State::Saved(bytes) => [&[SAVED], &bytes[..]].concat(),
            State::Lost(why) => [&[LOST], why.as_bytes()].concat(),
            State::Live(_) => unreachable!("a saved state is not live"),
        }
    }

    fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        let bytes = match state.split_first() {
            Some((&SAVED, bytes)) => bytes,
            Some((&LOST, why)) => {
                let why = String::from_utf8_lossy(why);
                return Err(self.kind.refuses_state(format!("the snapshot lacks its state, since {why}")));
            }
            _ => return Err(self.kind.refuses_state("the state is not one of a plugin's environment")),
        };
        if !matches!(self.state, State::Live(_)) {
            self.state = State::Live(Live::new(self.kind.create(1)?));
        }
        self.live()?.instance.load(0, bytes).map_err(|e| self.kind.refuses_state(e))
    }

    fn action_mask(&self, mask: &mut [bool]) {
        // There is no way to report a failure here. The batch form has one, and so does `check`.
        let _ = self.ask(|instance| instance.action_mask(0, mask));
    }

    fn render_ansi(&self) -> Option<String> {
        self.ask(|instance| instance.render_text(0)).ok()??.ok()
    }

    fn render_rgb(&self) -> Option<Frame> {
        self.ask(|instance| instance.render_rgb(0)).ok()??.ok()
    }

    fn boxed(&self) -> Box<dyn RowEnv> {
        Box::new(self.clone())
    }
}
