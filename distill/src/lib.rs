//! Distillation: a small student takes over a teacher's policy, and a report says what was lost.

mod config;
mod dataset;
mod distiller;
mod loss;
mod teacher;

pub use apprentice_agents::Error;
pub use config::{Collection, DistillConfig};
pub use distiller::Distiller;
pub use loss::kd_loss;
