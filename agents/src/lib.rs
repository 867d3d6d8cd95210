//! PPO on burn.

mod categorical;
mod config;
mod device;
mod error;
mod gae;
mod learner;
mod loss;
mod nn;

pub use config::{Plan, PpoConfig, check, check_hidden};
pub use device::device;
pub use error::Error;
pub use gae::{Trajectories, gae};
pub use learner::{Architecture, Learner};
pub use loss::{LossCoefs, Minibatch, PpoLoss, ppo_loss};
pub use nn::{Activation, ActorCritic, Mlp};
