//! Environments that give Gymnasium's bits for Gymnasium's seeds.
//!
//! The crate holds the environment API ([`Env`], [`VectorEnv`]), the [`Space`]s of observations and actions,
//! numpy's [`Generator`], the [`Registry`] and the built-in environments. It trains nothing and knows no
//! neural network; for that see `apprentice-agents`.
//!
//! ```
//! use apprentice_envs::{Value, make};
//!
//! let mut env = make("CartPole-v1")?;
//! let observation = env.reset(Some(42))?;
//! assert_eq!(observation, Value::Box(vec![0.027395604, -0.006112156, 0.035859793, 0.019736802]));
//! let step = env.step(&Value::Discrete(1))?;
//! assert_eq!(step.reward, 1.0);
//! assert!(!step.terminated && !step.truncated);
//! # Ok::<(), apprentice_envs::Error>(())
//! ```
//!
//! Where to read on: `env.rs` is the API, `vector/` the batch form with its autoreset, `cartpole/` an
//! environment with everything an environment can have, `draw/` what pictures are made with.

mod acrobot;
mod cartpole;
mod check;
mod checked;
mod draw;
mod env;
mod error;
mod exact;
mod frame;
pub mod gridworld;
mod mountain_car;
mod pendulum;

mod registry;
mod rng;
mod row_env;
mod simd;
mod snapshot;
mod space;
mod statistics;
mod threads;
pub mod toy_text;
mod value;
mod vector;
pub mod wrappers;

pub use acrobot::Acrobot;
pub use cartpole::{CartPole, CartPoleConfig};
pub use check::{Finding, Mistake, check_env, check_env_within, check_row_env};
pub use checked::{Checked, DynEnv};
pub use env::{Env, Step};
pub use error::Error;
pub use frame::{Frame, GifWriter};
pub use gridworld::{GridWorld, GridWorldConfig};
pub use mountain_car::{MountainCar, MountainCarConfig, MountainCarContinuous};
pub use pendulum::{Pendulum, PendulumConfig};
pub use registry::{EnvInfo, EnvSpec, Registry, VectorOptions, make, make_vec};
pub use rng::Generator;
pub use row_env::{Outcome, RowEnv, Rows};
pub use snapshot::Snapshot;
pub use space::Space;
pub use statistics::{Episode, EpisodeStatistics};
pub use threads::Threads;
pub use toy_text::{
    Blackjack, BlackjackConfig, CliffWalking, CliffWalkingConfig, FrozenLake, FrozenLakeConfig, Taxi, TaxiConfig,
};
pub use value::{Element, Value};
pub use vector::{
    Act, AsyncVector, Autoreset, Batch, BatchStep, Copies, Group, Joined, Part, StepBuffer, StepView, SyncVector,
    Vector, VectorEnv,
};
