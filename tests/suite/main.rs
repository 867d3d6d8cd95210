//! Suites over the public API, in one binary so that they link once.

mod cli;
mod distillation;
mod export;
mod gridworld;
mod memory;
mod parity;
mod plugins;
mod ppo_checks;
mod probes;
mod resume;
mod seven_states;
mod students;
