//! The configuration of a PPO run, and the sizes that follow from it.

use crate::{Activation, EngineChoice, Error};
use apprentice_envs::EnvSpec;
use serde::{Deserialize, Serialize};

/// Everything that determines a training run. Names are CleanRL's; so are the defaults, those of its `ppo.py`.
///
/// Reads from TOML, where unknown keys are an error. The comments say which convention a field reproduces where
/// published implementations differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PpoConfig {
    /// The seed of every draw: environments, initial weights, actions, permutations.
    pub seed: u64,
    /// Environment steps in all; rounded down to whole rollouts.
    pub total_timesteps: u64,
    /// Environments stepped in parallel (N).
    pub num_envs: usize,
    /// Steps of each environment in one rollout (T). A rollout has `num_envs × num_steps` samples.
    pub num_steps: usize,
    /// Parts that a rollout is split into, as evenly as it goes; each is one gradient step.
    pub num_minibatches: usize,
    /// Passes over a rollout.
    pub update_epochs: usize,
    /// Adam's learning rate at the start.
    pub learning_rate: f64,
    /// Whether the learning rate falls linearly to 0.
    pub anneal_lr: bool,
    /// Adam's ε. CleanRL and Stable-Baselines3: 1e-5; rsl_rl: 1e-8.
    pub adam_epsilon: f32,
    /// Discount factor γ.
    pub gamma: f32,
    /// λ of generalised advantage estimation.
    pub gae_lambda: f32,
    /// Whether advantages are normalised within each minibatch, with the n − 1 standard deviation.
    pub norm_adv: bool,
    /// The clip range ε of the surrogate objective.
    pub clip_coef: f64,
    /// Whether the clip range falls linearly to 0, as in the tuned presets of the RL Zoo.
    pub anneal_clip: bool,
    /// Whether the value loss is clipped too. CleanRL: true; Stable-Baselines3: false.
    pub clip_vloss: bool,
    /// Coefficient of the entropy bonus.
    pub ent_coef: f64,
    /// Coefficient of the value loss, which is ½ · mean squared error as in CleanRL. Stable-Baselines3 has no ½:
    /// its `vf_coef` of 0.5 is 1.0 here.
    pub vf_coef: f64,
    /// The global norm that gradients are clipped to, actor and critic together.
    pub max_grad_norm: f32,
    /// Ends the epochs of an iteration once `approx_kl` exceeds this, checked at the end of an epoch as CleanRL does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_kl: Option<f32>,
    /// Sizes of the hidden layers of the actor and of the critic; `[]` is a linear policy.
    pub hidden: Vec<usize>,
    /// The non-linearity between layers: `tanh` or `relu`.
    pub activation: Activation,
    /// What computes the networks: `burn` (any device), `fused` (the CPU, many times faster), or `auto`, which takes
    /// `fused` on the CPU. Their results agree within rounding, so that each has its own bits.
    pub engine: EngineChoice,
    /// Times in a run that the policy is evaluated (0: never), evenly spread, besides once at its start, on episodes
    /// never trained on.
    pub evaluations: u32,
    /// Episodes of each of these evaluations.
    pub eval_episodes: usize,
    /// Checkpoints written during a run, evenly spread, besides the one at its end.
    pub checkpoints: u32,
    /// The environment.
    pub env: EnvSpec,
}

impl Default for PpoConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            total_timesteps: 500_000,
            num_envs: 4,
            num_steps: 128,
            num_minibatches: 4,
            update_epochs: 4,
            learning_rate: 2.5e-4,
            anneal_lr: true,
            adam_epsilon: 1e-5,
            gamma: 0.99,
            gae_lambda: 0.95,
            norm_adv: true,
            clip_coef: 0.2,
            anneal_clip: false,
            clip_vloss: true,
            ent_coef: 0.01,
            vf_coef: 0.5,
            max_grad_norm: 0.5,
            target_kl: None,
            hidden: vec![64, 64],
            activation: Activation::Tanh,
            engine: EngineChoice::Auto,
            evaluations: 20,
            eval_episodes: 20,
            checkpoints: 4,
            env: EnvSpec::new("CartPole-v1"),
        }
    }
}

/// The sizes that follow from a valid [`PpoConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Samples of a rollout.
    pub batch_size: usize,
    /// Samples of the largest minibatch; minibatches differ by one sample at most.
    pub minibatch_size: usize,
    /// Rollouts in all.
    pub num_iterations: u64,
}

impl PpoConfig {
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

    /// Checks every value and derives the sizes.
    ///
    /// # Errors
    /// If a value is out of range; the message names the key, what was expected and what came.
    pub fn plan(&self) -> Result<Plan, Error> {
        for (key, value) in [
            ("num_envs", self.num_envs),
            ("num_steps", self.num_steps),
            ("num_minibatches", self.num_minibatches),
            ("update_epochs", self.update_epochs),
            ("eval_episodes", self.eval_episodes),
        ] {
            check(key, value, value >= 1, "at least 1")?;
            check(key, value, value <= 1 << 20, "at most 1048576")?;
        }
        check_hidden(&self.hidden)?;
        self.to_toml()?;
        check(
            "learning_rate",
            self.learning_rate,
            self.learning_rate > 0.0 && self.learning_rate.is_finite(),
            "a positive number",
        )?;
        check(
            "adam_epsilon",
            self.adam_epsilon,
            self.adam_epsilon > 0.0 && self.adam_epsilon.is_finite(),
            "a positive number",
        )?;
        check("gamma", self.gamma, (0.0..=1.0).contains(&self.gamma), "a number between 0 and 1")?;
        check("gae_lambda", self.gae_lambda, (0.0..=1.0).contains(&self.gae_lambda), "a number between 0 and 1")?;
        check("clip_coef", self.clip_coef, self.clip_coef > 0.0 && self.clip_coef.is_finite(), "a positive number")?;
        check("ent_coef", self.ent_coef, self.ent_coef.is_finite(), "a finite number")?;
        check("vf_coef", self.vf_coef, self.vf_coef >= 0.0 && self.vf_coef.is_finite(), "a number of 0 or more")?;
        let norm = self.max_grad_norm;
        check("max_grad_norm", norm, norm > 0.0 && norm.is_finite(), "a positive number")?;
        if let Some(target_kl) = self.target_kl {
            check("target_kl", target_kl, target_kl > 0.0 && target_kl.is_finite(), "a positive number")?;
        }
        let batch_size = self.num_envs * self.num_steps;
        check("num_envs × num_steps", batch_size, batch_size <= MAX_BATCH, "at most 16777216 samples")?;
        let expected = format!("at most num_envs × num_steps = {batch_size}");
        check("num_minibatches", self.num_minibatches, self.num_minibatches <= batch_size, &expected)?;
        let expected = format!("at least one rollout, num_envs × num_steps = {batch_size}");
        check("total_timesteps", self.total_timesteps, self.total_timesteps >= batch_size as u64, &expected)?;
        Ok(Plan {
            batch_size,
            minibatch_size: batch_size.div_ceil(self.num_minibatches),
            num_iterations: self.total_timesteps / batch_size as u64,
        })
    }
}

/// Refuses a value that is not as expected, naming its key.
pub fn check(key: &str, value: impl std::fmt::Display, ok: bool, expected: &str) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::config(format!("{key}: expected {expected}, got {value}"))) }
}

/// The largest rollout: beyond it a typing error is likelier than a purpose.
pub const MAX_BATCH: usize = 1 << 24;

/// Refuses hidden layers of size 0 or beyond what a control policy can need.
pub fn check_hidden(hidden: &[usize]) -> Result<(), Error> {
    for size in hidden {
        check("hidden", size, (1..=4096).contains(size), "layers of 1 to 4096 units")?;
    }
    check("hidden", format!("{} layers", hidden.len()), hidden.len() <= 16, "at most 16 layers")
}

/// A configuration as TOML that reads back.
///
/// # Errors
/// If it holds what TOML cannot.
pub fn to_toml<C: Serialize + serde::de::DeserializeOwned>(config: &C) -> Result<String, Error> {
    let refuse = |e: &dyn std::fmt::Display| {
        let cause = e.to_string();
        Error::config(format!("the configuration cannot be written as TOML: {}", cause.trim().replace('\n', " ")))
    };
    let text = toml::to_string(config).map_err(|e| refuse(&e))?;
    let table: toml::Table = text.parse().map_err(|e| refuse(&e))?;
    table.try_into::<C>().map_err(|e| refuse(&e))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_follows_from_the_config() {
        let plan = PpoConfig::default().plan().unwrap();
        assert_eq!(plan, Plan { batch_size: 512, minibatch_size: 128, num_iterations: 976 });
    }

    #[test]
    fn a_config_survives_toml() {
        let mut env = EnvSpec::new("CartPole-v1").with("gravity", 1.62).with("sutton_barto_reward", true);
        env.max_episode_steps = Some(7);
        let config = PpoConfig { target_kl: Some(0.02), seed: i64::MAX as u64, env, ..PpoConfig::default() };
        assert_eq!(PpoConfig::from_toml(&config.to_toml().unwrap()).unwrap(), config);
    }

    #[test]
    fn what_toml_cannot_hold_is_refused_before_a_run_starts() {
        let null = EnvSpec::new("GridWorld-v0").with("map_name", serde_json::Value::Null);
        for config in
            [PpoConfig { seed: u64::MAX, ..PpoConfig::default() }, PpoConfig { env: null, ..PpoConfig::default() }]
        {
            let error = config.plan().unwrap_err();
            assert!(error.is_config() && error.to_string().contains("TOML"), "{error}");
        }
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused_by_name() {
        for (text, key) in [
            ("num_env = 4", "num_env"),
            ("num_envs = 0", "num_envs"),
            ("num_envs = -1", "num_envs"),
            ("num_steps = 0", "num_steps"),
            ("gamma = 1.5", "gamma"),
            ("learning_rate = nan", "learning_rate"),
            ("hidden = [0]", "hidden"),
            ("num_minibatches = 1000", "num_minibatches"),
            ("total_timesteps = 10", "total_timesteps"),
            ("activation = \"gelu\"", "activation"),
            ("target_kl = 0", "target_kl"),
            ("target_kl = inf", "target_kl"),
            ("max_grad_norm = inf", "max_grad_norm"),
            ("num_envs = 1048576\nnum_steps = 1048576", "num_envs × num_steps"),
            ("hidden = [65536, 65536]", "hidden"),
        ] {
            let error = PpoConfig::from_toml(text).and_then(|config| config.plan()).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(key), "{text}: {error}");
        }
    }
}
