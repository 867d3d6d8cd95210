//! PPO on burn: networks, rollouts, advantages, updates, checkpoints and evaluation.
//!
//! The crate trains a policy in any [`VectorEnv`](apprentice_envs::VectorEnv) with discrete or real actions and exports it
//! as an [`apprentice_deploy::Policy`]. To act with a trained policy you do not need it: `apprentice-deploy` is
//! enough. To train a small policy from a large one, see `apprentice-distill`.
//!
//! ```
//! use apprentice_agents::{Ppo, PpoConfig, Session, device, evaluate, EvaluationPlan};
//! use apprentice_envs::Registry;
//!
//! let config = PpoConfig { total_timesteps: 1024, ..PpoConfig::default() };
//! let registry = Registry::builtin();
//! let mut ppo = Ppo::new(config, &registry, &device("cpu")?)?;
//! ppo.train(&mut Session::default())?;
//! let policy = ppo.policy()?;
//! let evaluation = evaluate(&policy, None, &registry, &EvaluationPlan::default())?;
//! assert_eq!(evaluation.returns.len(), 100);
//! # Ok::<(), apprentice_agents::Error>(())
//! ```
//!
//! Start reading at `ppo.rs`: it is the algorithm from top to bottom, and names every other file where it is used.

mod actor;
mod arena;
mod autodiff;
mod checkpoint;
mod config;
mod container;
mod device;
mod encoder;
mod engine;
mod error;
mod evaluate;
mod export;
mod fine_tune;
mod fused;
mod gae;
mod logging;
mod objective;
mod ppo;
mod rollout;
mod schedule;
mod sequences;
mod session;
mod statistics;

pub use actor::Actor;
pub use arena::Arena;
pub use autodiff::{ActorCritic, Gru, Learner, Minibatch, Mlp, PpoLoss, clamp_log_std, log_prob_and_entropy, ppo_loss};
pub use checkpoint::Checkpoint;
pub use config::{
    MAX_BATCH, NormAdv, Optimizer, OptimizerConfig, Plan, PpoConfig, check, check_hidden, check_kept, check_memory,
    check_rollout, check_threads, idle_keys, to_toml,
};
pub use container::Container;
pub use device::device;
pub use engine::{Activation, Architecture, Engine, EngineChoice, Networks, Samples, engine_for};
pub use error::Error;
pub use evaluate::{
    Contender, EVALUATION_SEED, EpisodeRunner, Evaluation, EvaluationPlan, SELECTION_SEED, check_fit, environment_ref,
    episodes, evaluate, evaluate_in, evaluate_random, policy_env, run_episodes, run_episodes_of,
};
pub use export::{export, policy_action};
pub use fine_tune::Initial;
pub use fused::{Fused, peak_flops};
pub use gae::{Trajectories, gae};
pub use logging::{hyperparameters, log_actions, log_weights};
pub use objective::{Anchor, LossCoefs, Objective, OutputBlock, OutputLoss, ValueClip, ValueLoss};
pub use ppo::{Ppo, SeedStream, minibatches, trajectories};
pub use rollout::{Behavior, Collector, CollectorState, Rollout, normalize_advantages};
pub use schedule::{LrSchedule, Schedule};
pub use sequences::{params_in_order, sequence_heads, sequence_rows};
pub use session::{Callback, Outcome, Progress, Session, Timing, UpdateStats, checkpoint_path};
pub use statistics::{ci95, iqm, mean, std};
