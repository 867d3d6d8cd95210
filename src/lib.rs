//! Apprentice: train a master, distil an apprentice, ship it anywhere.
//!
//! This crate is the front door of the workspace: it re-exports the rooms behind it, holds the tuned [`presets`], and
//! turns configurations into [run directories](run). Use it to train and distil. A program that only *acts* with a
//! trained policy needs nothing but `apprentice-deploy`.
//!
//! | | |
//! |---|---|
//! | [`envs`] | the environment API, spaces, vector environments, the registry, every built-in environment |
//! | [`agents`] | networks, rollouts, advantages, PPO, checkpoints, evaluation |
//! | [`distill`] | distillation losses and loop, the report |
//! | [`deploy`] | the policy file and its runner |
//! | [`plugins`] | environments from shared libraries |
//! | [`telemetry`] | one logger; TensorBoard, JSON lines and a console behind it |
//!
//! ```
//! use apprentice::prelude::*;
//!
//! let mut env = make("CartPole-v1")?;
//! let mut observation = env.reset(Some(0))?;
//! loop {
//!     // A policy goes here; this one pushes towards where the pole falls.
//!     let Value::Box(x) = &observation else { unreachable!("CartPole observes four numbers") };
//!     let step = env.step(&Value::Discrete(i64::from(x[1] + 4.0 * x[2] + 2.0 * x[3] > 0.0)))?;
//!     if step.done() {
//!         assert!(step.truncated, "the pole stood until the time limit");
//!         break;
//!     }
//!     observation = step.observation;
//! }
//! # Ok::<(), apprentice::envs::Error>(())
//! ```

pub use apprentice_agents as agents;
pub use apprentice_deploy as deploy;
pub use apprentice_distill as distill;
pub use apprentice_envs as envs;
pub use apprentice_plugins as plugins;
pub use apprentice_telemetry as telemetry;

pub mod cli;
mod distillation;
pub mod jobs;
pub mod presets;
pub mod run;
pub mod seeds;
pub mod student;
mod teachers;
pub mod tune;

/// What most programs need.
pub mod prelude {
    pub use crate::agents::{Evaluation, EvaluationPlan, Ppo, PpoConfig, Session, device, evaluate};
    pub use crate::deploy::Policy;
    pub use crate::distill::{DistillConfig, Distiller, Report};
    pub use crate::envs::{Env, EnvInfo, EnvSpec, Generator, Registry, Space, Step, Value, VectorEnv, make, make_vec};
    pub use crate::run::{RunDir, RunOptions};
    pub use crate::telemetry::Logger;
}

/// The programs in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
