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
//! Start reading at `distiller/mod.rs`, which is the loop, and `distiller/learn.rs`, which is what the student learns from a
//! rollout. This crate trains; to act with a student, `apprentice-deploy` is enough.

mod checkpoint;
mod config;
mod data;
mod distiller;
pub mod loss;
mod report;
mod schedule;
mod teacher;
mod viper;

pub use apprentice_agents::Error;
pub use checkpoint::Checkpoint;
pub use config::{DistillConfig, ValueGate};
pub use distiller::Distiller;
pub use loss::{FeatureLoss, PolicyLoss, Temperatures};
pub use report::{
    ACTION_NOISE_LEVELS, Agreement, Comparison, Curve, Footprint, JointComparison, NOISE_LEVELS, NoiseReturns,
    PHYSICS_FACTORS, PolicyCard, Pupil, Report, ReportCard, Robustness, Series, Students, Versatile, Watch,
    by_environment, draw_curves, figure, read_curve, same_action,
};
pub use schedule::CoefSchedule;
pub use teacher::{Expert, Fusion, Program, Teacher, TeacherRecord, Teaching, critic_checksum};
pub use viper::{Viper, ViperConfig};
