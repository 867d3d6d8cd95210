//! Suites over the public API, in one binary so that they link once.

mod gridworld;
mod ppo_checks;
mod probes;
