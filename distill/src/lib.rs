//! Distillation: a small student takes over a teacher's policy, and a report says what was lost.
//!
//! The objective is L = `coef` · L_KD + `task_coef` · L_task, where L_KD is the distance from the teacher, by one of the
//! [losses](loss) or several, and L_task the student's own PPO loss. The teacher is a policy file, several of them, or
//! anyone who knows an action for an observation.
//!
//! ```
//! use apprentice_agents::{Ppo, PpoConfig, Session, device};
//! use apprentice_distill::{DistillConfig, Distiller, Report};
//! use apprentice_envs::Registry;
//!
//! let (registry, device) = (Registry::builtin(), device("cpu")?);
//! let mut ppo = Ppo::new(PpoConfig { total_timesteps: 1024, ..PpoConfig::default() }, &registry, &device)?;
//! ppo.train(&mut Session::default())?;
//! let teacher = ppo.policy()?;
//!
//! let config = DistillConfig { total_timesteps: 2048, ..DistillConfig::default() };
//! let mut distiller = Distiller::new(config, &teacher, &registry, &device)?;
//! distiller.train(&mut Session::default())?;
//! let student = distiller.policy()?;
//!
//! let report = Report::measure((&teacher, None), (&student, None), &registry)?;
//! assert!(report.compression_ratio.unwrap() > 20.0);
//! println!("{}", report.to_text());
//! # Ok::<(), apprentice_distill::Error>(())
//! ```
//!
//! Start reading at `distiller.rs`, which is the loop, and `distiller/learn.rs`, which is what the student learns from a
//! rollout. This crate trains; to act with a student, `apprentice-deploy` is enough.

mod agreement;
mod cart;
mod checkpoint;
mod collect;
mod comparison;
mod comparison_page;
mod config;
mod contest;
mod continual;
mod curves;
mod dataset;
mod distiller;
mod features;
mod front;
mod fusion;
mod imitation;
mod joint;
pub mod loss;
mod mixture;
mod page;
mod paired;
mod program;
mod report;
mod robustness;
mod schedule;
mod table;
mod tasks;
mod teacher;
mod teacher_record;
mod viper;

pub use agreement::Agreement;
pub use apprentice_agents::Error;
pub use checkpoint::Checkpoint;
pub use comparison::{Comparison, Pupil, ReportCard, Students, Watch};
pub use config::{DistillConfig, ValueGate};
pub use contest::Footprint;
pub use curves::{Curve, Series, draw_curves, read_curve};
pub use distiller::Distiller;
pub use features::FeatureLoss;
pub use fusion::Fusion;
pub use joint::{JointComparison, Versatile, by_environment};
pub use loss::{PolicyLoss, Temperatures};
pub use page::figure;
pub use program::Program;
pub use report::{NoiseReturns, PolicyCard, Report, same_action};
pub use robustness::{ACTION_NOISE_LEVELS, NOISE_LEVELS, PHYSICS_FACTORS, Robustness};
pub use schedule::CoefSchedule;
pub use teacher::{Expert, Teacher};
pub use teacher_record::{TeacherRecord, Teaching, critic_checksum};
pub use viper::{Viper, ViperConfig};
