//! The configuration of a distillation.

use apprentice_agents::{Activation, Error, MAX_BATCH, Schedule, check, check_hidden, to_toml};
use apprentice_envs::EnvSpec;
use serde::{Deserialize, Serialize};

/// Who acts in the environments that the student's data comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collection {
    /// The teacher acts: behaviour cloning. The student never sees where its own mistakes lead.
    Teacher,
    /// The student acts and the teacher says what it would have done (DAgger with β = 0; Ross et al. 2011).
    Student,
}

/// Everything that determines a distillation, beside the teacher.
///
/// Reads from TOML, where unknown keys are an error. The loss is
///
/// ```text
/// L = coef · L_KD + task_coef · L_task
/// ```
///
/// with L_KD the temperature-softened KL divergence from the teacher and L_task the PPO loss of the student's own
/// experience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistillConfig {
    /// The seed of every draw.
    pub seed: u64,
    /// Environment steps to collect in all; rounded down to whole rollouts.
    pub total_timesteps: u64,
    /// Who acts: `teacher` or `student`.
    pub collection: Collection,
    /// Sizes of the student's hidden layers; `[]` is a linear student.
    pub hidden: Vec<usize>,
    /// The student's non-linearity: `tanh`, `relu` or `gelu`.
    pub activation: Activation,
    /// Weight of the distillation loss.
    pub coef: f64,
    /// Temperature T that both policies are softened by.
    pub temperature: f64,
    /// Weight λ of the task loss. Above 0 it needs `collection = "student"`, and then every rollout is trained on
    /// once, without the buffer, because PPO's loss holds only for the policy that acted.
    pub task_coef: f64,
    /// Environments stepped in parallel.
    pub num_envs: usize,
    /// Steps of each environment in one rollout.
    pub num_steps: usize,
    /// States that the buffer keeps; the oldest go first.
    pub buffer_size: usize,
    /// Gradient steps are taken on minibatches of this many states.
    pub minibatch_size: usize,
    /// Passes over the data after each rollout, each over as many states as the buffer holds.
    pub update_epochs: usize,
    /// Adam's learning rate at the start.
    pub learning_rate: f64,
    /// How the learning rate goes on from there: `constant`, `linear` or `cosine`.
    pub lr_schedule: Schedule,
    /// The global norm that gradients are clipped to.
    pub max_grad_norm: f32,
    /// States held out for validation, visited by the teacher in environments that nothing is trained on.
    pub validation_states: usize,
    /// Task loss: discount factor γ.
    pub gamma: f32,
    /// Task loss: λ of generalised advantage estimation.
    pub gae_lambda: f32,
    /// Task loss: clip range ε.
    pub clip_coef: f64,
    /// Task loss: coefficient of the entropy bonus.
    pub ent_coef: f64,
    /// Task loss: coefficient of the value loss, ½ · mean squared error.
    pub vf_coef: f64,
    /// Times in a run that the student is evaluated (0: never), evenly spread, besides once at its start.
    pub evaluations: u32,
    /// Episodes of each of these evaluations.
    pub eval_episodes: usize,
    /// The environment; without one it is that which the teacher was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvSpec>,
}

impl Default for DistillConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            total_timesteps: 40_960,
            collection: Collection::Student,
            hidden: vec![16],
            activation: Activation::Tanh,
            coef: 1.0,
            temperature: 1.0,
            task_coef: 0.0,
            num_envs: 16,
            num_steps: 128,
            buffer_size: 16_384,
            minibatch_size: 256,
            update_epochs: 4,
            learning_rate: 3e-3,
            lr_schedule: Schedule::Linear,
            max_grad_norm: 0.5,
            validation_states: 2_048,
            gamma: 0.99,
            gae_lambda: 0.95,
            clip_coef: 0.2,
            ent_coef: 0.0,
            vf_coef: 0.5,
            evaluations: 20,
            eval_episodes: 20,
            env: None,
        }
    }
}

impl DistillConfig {
    /// Reads a configuration from TOML; keys that are missing have their defaults.
    ///
    /// # Errors
    /// If a key is unknown or a value of the wrong type. Ranges are checked by [`plan`](Self::plan).
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|e| Error::config(e.to_string().trim_end().to_owned()))
    }

    /// The configuration as TOML, from which [`from_toml`](Self::from_toml) reads the same one.
    ///
    /// # Errors
    /// If it holds what TOML cannot: a null among the environment's parameters, an integer of more than 63 bits.
    pub fn to_toml(&self) -> Result<String, Error> {
        to_toml(self)
    }

    /// Checks every value and returns the number of rollouts.
    ///
    /// # Errors
    /// If a value is out of range; the message names the key, what was expected and what came.
    pub fn plan(&self) -> Result<u64, Error> {
        for (key, value) in [
            ("num_envs", self.num_envs),
            ("num_steps", self.num_steps),
            ("buffer_size", self.buffer_size),
            ("minibatch_size", self.minibatch_size),
            ("update_epochs", self.update_epochs),
            ("validation_states", self.validation_states),
            ("eval_episodes", self.eval_episodes),
        ] {
            check(key, value, (1..=1 << 20).contains(&value), "1 to 1048576")?;
        }
        check_hidden(&self.hidden)?;
        self.to_toml()?;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        check("temperature", self.temperature, positive(self.temperature), "a positive number")?;
        check("learning_rate", self.learning_rate, positive(self.learning_rate), "a positive number")?;
        check("clip_coef", self.clip_coef, positive(self.clip_coef), "a positive number")?;
        let norm = self.max_grad_norm;
        check("max_grad_norm", norm, norm > 0.0 && norm.is_finite(), "a positive number")?;
        check("coef", self.coef, not_negative(self.coef), "a number of 0 or more")?;
        check("task_coef", self.task_coef, not_negative(self.task_coef), "a number of 0 or more")?;
        check("vf_coef", self.vf_coef, not_negative(self.vf_coef), "a number of 0 or more")?;
        check("ent_coef", self.ent_coef, self.ent_coef.is_finite(), "a finite number")?;
        check("gamma", self.gamma, (0.0..=1.0).contains(&self.gamma), "a number between 0 and 1")?;
        check("gae_lambda", self.gae_lambda, (0.0..=1.0).contains(&self.gae_lambda), "a number between 0 and 1")?;
        if self.coef == 0.0 && self.task_coef == 0.0 {
            return Err(Error::config("coef and task_coef are both 0: expected at least one loss to train on"));
        }
        if self.task_coef > 0.0 && self.collection == Collection::Teacher {
            return Err(Error::config(format!(
                "task_coef = {} with collection = \"teacher\": the task loss needs the student's own experience; \
                 set collection = \"student\" or task_coef = 0",
                self.task_coef
            )));
        }
        let batch = self.num_envs * self.num_steps;
        check("num_envs × num_steps", batch, batch <= MAX_BATCH, "at most 16777216 samples")?;
        let expected = format!("at least one rollout, num_envs × num_steps = {batch}");
        check("total_timesteps", self.total_timesteps, self.total_timesteps >= batch as u64, &expected)?;
        Ok(self.total_timesteps / batch as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_survives_toml() {
        let env = Some(EnvSpec::new("CartPole-v1").with("gravity", 1.62));
        let config = DistillConfig { hidden: vec![], env, ..DistillConfig::default() };
        assert_eq!(DistillConfig::from_toml(&config.to_toml().unwrap()).unwrap(), config);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused_by_name() {
        for (text, key) in [
            ("temprature = 2", "temprature"),
            ("temperature = 0", "temperature"),
            ("buffer_size = 0", "buffer_size"),
            ("num_envs = -4", "num_envs"),
            ("coef = 0", "coef"),
            ("task_coef = 1\ncollection = \"teacher\"", "task_coef"),
            ("collection = \"both\"", "collection"),
            ("total_timesteps = 1", "total_timesteps"),
        ] {
            let error = DistillConfig::from_toml(text).and_then(|config| config.plan()).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(key), "{text}: {error}");
        }
    }
}
