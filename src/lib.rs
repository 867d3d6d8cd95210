//! Apprentice: train a master, distil an apprentice, ship it anywhere.

pub use apprentice_agents as agents;
pub use apprentice_deploy as deploy;
pub use apprentice_distill as distill;
pub use apprentice_envs as envs;
pub use apprentice_telemetry as telemetry;
