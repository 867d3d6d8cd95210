//! The configuration of the extraction of a tree.

use apprentice_agents::{Error, MAX_BATCH, check, check_kept, to_toml};
use apprentice_envs::EnvSpec;
use serde::{Deserialize, Serialize};

/// Everything that determines the extraction of a tree, beside the teacher. Reads from TOML, where unknown keys are an
/// error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViperConfig {
    /// The seed of every draw.
    pub seed: u64,
    /// The largest tree: splits and leaves together.
    pub max_nodes: usize,
    /// Splits on the longest way from the root to a leaf.
    pub max_depth: usize,
    /// Trees that are grown, one after another.
    pub rounds: u64,
    /// Environments stepped in parallel.
    pub num_envs: usize,
    /// Steps of each environment in a round.
    pub num_steps: usize,
    /// Episodes that each tree is evaluated on; the best of them is what the run ends with.
    pub eval_episodes: usize,
    /// Checkpoints written during a run, evenly spread, besides the one at its end.
    pub checkpoints: u32,
    /// The environment; without one it is that which the teacher was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvSpec>,
}

impl Default for ViperConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            max_nodes: 15,
            max_depth: 16,
            rounds: 150,
            num_envs: 16,
            num_steps: 16,
            eval_episodes: 50,
            checkpoints: 4,
            env: None,
        }
    }
}

impl ViperConfig {
    /// Reads a configuration from TOML; keys that are missing have their defaults.
    ///
    /// # Errors
    /// If a key is unknown or a value of the wrong type.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|e| Error::config(e.to_string().trim_end().to_owned()))
    }

    /// The configuration as TOML, from which [`from_toml`](Self::from_toml) reads the same one.
    ///
    /// # Errors
    /// If it holds what TOML cannot.
    pub fn to_toml(&self) -> Result<String, Error> {
        to_toml(self)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// If a value is out of range; the message names the key, what was expected and what came.
    pub fn check(&self) -> Result<(), Error> {
        for (key, value, most) in [
            ("max_nodes", self.max_nodes, 1 << 16),
            ("max_depth", self.max_depth, 1 << 10),
            ("rounds", self.rounds as usize, 1 << 16),
            ("num_envs", self.num_envs, 1 << 16),
            ("num_steps", self.num_steps, 1 << 16),
            ("eval_episodes", self.eval_episodes, 1 << 16),
        ] {
            check(key, value, (1..=most).contains(&value), &format!("1 to {most}"))?;
        }
        let batch = self.num_envs * self.num_steps;
        check("num_envs × num_steps", batch, batch <= MAX_BATCH, "at most 16777216 samples")?;
        check_kept(self)
    }
}
