//! MountainCar: a car in a valley whose engine is too weak for the hill, so that it has to swing up.
//!
//! The two forms share the hill, the engine's place in the equation and the start. What differs is the precision
//! that Gymnasium computes in, which is why each has its own `step`.

mod batch;
mod continuous;
mod discrete;
mod render;

use crate::{Error, Generator, Registry, Space};
use serde::{Deserialize, Serialize};

pub use continuous::MountainCarContinuous;
pub use discrete::MountainCar;

/// The left end of the road, where there is a wall, m.
const MIN_POSITION: f64 = -1.2;
/// The right end of the road, m.
const MAX_POSITION: f64 = 0.6;
/// The greatest speed in either direction, m a step.
const MAX_SPEED: f64 = 0.07;
/// What gravity takes from the velocity in a step on the steepest slope, m/step².
const GRAVITY: f64 = 0.0025;

/// The parameter of both MountainCars. Gymnasium's value is the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MountainCarConfig {
    /// The velocity that the car must have at the goal for the episode to end there, m a step; 0 by default.
    pub goal_velocity: f64,
}

impl MountainCarConfig {
    /// The velocity wanted at the goal.
    fn goal_velocity(&self) -> Result<f64, Error> {
        let velocity = self.goal_velocity;
        if !velocity.is_finite() {
            return Err(Error::config(format!("goal_velocity: expected a finite number, got {velocity}")));
        }
        Ok(velocity)
    }
}

fn observation_space() -> Space {
    let high = [MAX_POSITION as f32, MAX_SPEED as f32];
    Space::bounded(&[MIN_POSITION as f32, -high[1]], &high)
}

/// The position of a car that stands near the bottom of the valley.
fn start(rng: &mut Generator) -> f64 {
    rng.uniform(-0.6, -0.4)
}

pub(crate) fn register(registry: &mut Registry) {
    registry.register_native::<batch::MountainCarBatch, _, _>(discrete::info(), MountainCar::new);
    registry.register_native::<batch::MountainCarContinuousBatch, _, _>(continuous::info(), MountainCarContinuous::new);
}

#[cfg(test)]
mod tests {
    use crate::{EnvSpec, make};
    use serde_json::json;

    #[test]
    fn bad_parameters_are_refused() {
        for id in ["MountainCar-v0", "MountainCarContinuous-v0"] {
            for (name, value) in [("goal_velocity", json!("fast")), ("goal_velocity", json!(null)), ("goal", json!(1))]
            {
                let refused = make(EnvSpec::new(id).with(name, value)).err().expect("this should have been refused");
                assert!(refused.is_config(), "{refused}");
            }
        }
    }

    #[test]
    fn a_goal_velocity_is_finite() {
        for goal_velocity in [f64::NAN, f64::INFINITY] {
            assert!(super::MountainCar::new(super::MountainCarConfig { goal_velocity }).is_err());
            assert!(super::MountainCarContinuous::new(super::MountainCarConfig { goal_velocity }).is_err());
        }
    }
}
