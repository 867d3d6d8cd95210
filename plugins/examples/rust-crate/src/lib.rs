//! An environment that Apprentice knows nothing of, in a crate of its own. There are two ways to use it:
//!
//! ```sh
//! cargo build --release                                            # a plugin for the command line as it is
//! apprentice train lab/Thermostat-v0 --plugin target/release/libthermostat.so
//!
//! cargo run --release --features cli -- train lab/Thermostat-v0    # or a program with everything built in
//! ```

use apprentice_envs::{Env, EnvInfo, Error, Generator, Registry, Space, Step};
use serde::Deserialize;

/// The house. Unknown parameters are refused, so that a typing error is not silently ignored.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThermostatConfig {
    /// The temperature to keep, °C.
    pub target: f32,
    /// How much the heater warms the room in a step, °C.
    pub heating: f32,
    /// The share of the difference to outside that is lost in a step.
    pub loss: f32,
}

impl Default for ThermostatConfig {
    fn default() -> Self {
        Self { target: 20.0, heating: 1.5, loss: 0.05 }
    }
}

/// Keep a room warm, but not too warm, while the weather changes.
#[derive(Clone)]
pub struct Thermostat {
    config: ThermostatConfig,
    room: f32,
    outside: f32,
}

impl Thermostat {
    /// A house with these parameters.
    ///
    /// # Errors
    /// If a parameter is out of range.
    pub fn new(config: ThermostatConfig) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&config.loss) || !(0.0..=10.0).contains(&config.heating) {
            return Err(Error::config("expected loss from 0 to 1 and heating from 0 to 10 °C"));
        }
        Ok(Self { config, room: 0.0, outside: 0.0 })
    }

    fn observe(&self) -> [f32; 2] {
        [self.room - self.config.target, self.outside]
    }
}

impl Env for Thermostat {
    /// The room's temperature above the target, and that outside, °C.
    type Observation = [f32; 2];
    /// 0: heater off, 1: on.
    type Action = i64;
    type State = (f32, f32);

    fn observation_space(&self) -> Space {
        Space::bounded(&[f32::NEG_INFINITY, -10.0], &[f32::INFINITY, 15.0])
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 2] {
        self.room = rng.uniform(5.0, 30.0) as f32;
        self.outside = rng.uniform(-10.0, 15.0) as f32;
        self.observe()
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<[f32; 2]> {
        self.room += self.config.heating * *action as f32 - self.config.loss * (self.room - self.outside);
        self.outside = (self.outside + rng.uniform(-1.0, 1.0) as f32).clamp(-10.0, 15.0);
        let reward = -f64::from((self.room - self.config.target).abs());
        Step { observation: self.observe(), reward, terminated: false, truncated: false }
    }

    fn state(&self) -> (f32, f32) {
        (self.room, self.outside)
    }

    fn set_state(&mut self, (room, outside): (f32, f32)) -> Result<(), Error> {
        if !room.is_finite() || !(-10.0..=15.0).contains(&outside) {
            return Err(Error::snapshot(format!("no such weather: {room} °C inside, {outside} °C outside")));
        }
        (self.room, self.outside) = (room, outside);
        Ok(())
    }
}

/// Adds the environment to a registry.
pub fn register(registry: &mut Registry) {
    let info = EnvInfo::new("lab/Thermostat-v0").max_episode_steps(100).page(
        "# lab/Thermostat-v0\n\nKeep a room at a temperature while the weather changes.\n\n\
         **Parameters**: `target` 20 °C, `heating` 1.5 °C a step, `loss` 0.05.\n",
    );
    registry.register(info, Thermostat::new);
}

apprentice_plugins::export_plugin!(register);
