//! The configuration of a PPO run, and the sizes that follow from it.

use crate::{Activation, EngineChoice, Error, LrSchedule, Schedule, ValueClip, ValueLoss};
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
    /// How the learning rate goes on from there: `constant`, `linear` or `cosine` to 0, or `adaptive`.
    pub lr_schedule: LrSchedule,
    /// Who takes the steps: `adamw`, or `muon` for the weights between hidden layers.
    pub optimizer: Optimizer,
    /// Adam's ε. CleanRL and Stable-Baselines3: 1e-5; rsl_rl: 1e-8.
    pub adam_epsilon: f32,
    /// Decoupled weight decay: a step takes learning rate × this off every parameter. 0 is Adam, more AdamW.
    pub weight_decay: f32,
    /// Discount factor γ.
    pub gamma: f32,
    /// λ of generalised advantage estimation.
    pub gae_lambda: f32,
    /// Where advantages are normalised, with the n − 1 standard deviation: within each `minibatch` (CleanRL,
    /// Stable-Baselines3), over the whole `batch` of a rollout (rsl_rl), or not: `off`.
    pub norm_adv: NormAdv,
    /// Whether observations are normalised, by their mean and standard deviation so far, to at most `clip_obs`. The
    /// statistics are part of the policy; they change between iterations only, and start from the observations of one
    /// rollout of the untrained policy that is then taken back.
    pub norm_obs: bool,
    /// The greatest normalised observation.
    pub clip_obs: f32,
    /// Whether rewards are divided by the standard deviation of the discounted return so far, to at most `clip_reward`.
    pub norm_reward: bool,
    /// The greatest normalised reward.
    pub clip_reward: f64,
    /// The clip range ε of the surrogate objective.
    pub clip_coef: f64,
    /// How the clip range goes on from there: `constant`, `linear` as in some tuned presets of the RL Zoo, or `cosine`.
    pub clip_schedule: Schedule,
    /// How the value loss is clipped too. CleanRL: `max`; Stable-Baselines3: `off`, or `clamp` with its
    /// `clip_range_vf`.
    pub clip_vloss: ValueClip,
    /// What a value's error costs: `mse`, or `huber`.
    pub value_loss: ValueLoss,
    /// Coefficient of the entropy bonus at the start.
    pub ent_coef: f64,
    /// How the entropy bonus goes on from there: `constant`, `linear` or `cosine`.
    pub ent_schedule: Schedule,
    /// Coefficient of the value loss, which is ½ · mean squared error as in CleanRL. Stable-Baselines3 has no ½:
    /// its `vf_coef` of 0.5 is 1.0 here.
    pub vf_coef: f64,
    /// The global norm that gradients are clipped to, actor and critic together.
    pub max_grad_norm: f32,
    /// Ends the epochs of an iteration once `approx_kl` exceeds this, checked at the end of an epoch as CleanRL does.
    /// With the adaptive learning rate it ends nothing, and is what that rate aims at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_kl: Option<f32>,
    /// Sizes of the hidden layers of the actor and of the critic; `[]` is a linear policy.
    pub hidden: Vec<usize>,
    /// Units of a memory, a gated recurrent unit between the observations and the hidden layers of actor and critic; 0 for
    /// none. It is for tasks whose observations do not show everything.
    pub gru_hidden_size: usize,
    /// With a memory: steps that gradients reach back. Rollouts are cut into sequences of this length, each with what was
    /// remembered before it, and minibatches are made of whole sequences.
    pub sequence_length: usize,
    /// Whether the critic reads the actor's last hidden layer, and has none of its own.
    pub shared_trunk: bool,
    /// Environment steps at the beginning in which the critic learns alone, which is for runs that begin with a policy.
    pub critic_warmup: u64,
    /// The non-linearity between layers: `tanh`, `relu` or `gelu`.
    pub activation: Activation,
    /// Real actions: the logarithm of the standard deviations at first.
    pub log_std_init: f32,
    /// Real actions: whether the standard deviations are outputs of the actor, and not parameters of their own.
    pub state_dependent_std: bool,
    /// Real actions: whether they are squashed into their bounds by tanh. Otherwise those outside are moved to the bounds
    /// on their way to the environment, and learnt from as they were drawn. The entropy bonus is that of the Gaussian in
    /// both cases: much of it pushes squashed actions to their bounds.
    pub squash_output: bool,
    /// Whether choices that the environment's action mask forbids have probability 0.
    pub mask_actions: bool,
    /// What computes the networks: `burn` (any device), `fused` (the CPU, many times faster), or `auto`, which takes
    /// `fused` on the CPU for perceptrons that AdamW trains. Their results agree within rounding, so that each has its own
    /// bits.
    pub engine: EngineChoice,
    /// Threads that the fused engine computes on: two have a network each, more also parts of a minibatch, from four blocks of
    /// 64 samples on. They change no bit of the result, and small networks are computed on one all the same.
    pub threads: usize,
    /// Threads that the environments are stepped on. They change no bit of the result, and pay off from some thousand
    /// environments on, or where a step takes long.
    pub env_threads: usize,
    /// Times in a run that the policy is evaluated (0: never), evenly spread, besides once at its start, on episodes
    /// never trained on, nor those that `eval` and reports use.
    pub evaluations: u32,
    /// Episodes of each of these evaluations.
    pub eval_episodes: usize,
    /// Whether the run ends with the policy that had the best of these evaluations, and not with its last one, as it does if
    /// there are none.
    pub keep_best: bool,
    /// Ends the run once an evaluation's mean return reaches this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_return: Option<f64>,
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
            lr_schedule: LrSchedule::Linear,
            optimizer: Optimizer::AdamW,
            adam_epsilon: 1e-5,
            weight_decay: 0.0,
            gamma: 0.99,
            gae_lambda: 0.95,
            norm_adv: NormAdv::Minibatch,
            norm_obs: false,
            clip_obs: 10.0,
            norm_reward: false,
            clip_reward: 10.0,
            clip_coef: 0.2,
            clip_schedule: Schedule::Constant,
            clip_vloss: ValueClip::Max,
            value_loss: ValueLoss::Mse,
            ent_coef: 0.01,
            ent_schedule: Schedule::Constant,
            vf_coef: 0.5,
            max_grad_norm: 0.5,
            target_kl: None,
            hidden: vec![64, 64],
            gru_hidden_size: 0,
            sequence_length: 16,
            shared_trunk: false,
            critic_warmup: 0,
            activation: Activation::Tanh,
            log_std_init: 0.0,
            state_dependent_std: false,
            squash_output: false,
            mask_actions: false,
            engine: EngineChoice::Auto,
            threads: 1,
            env_threads: 1,
            evaluations: 20,
            eval_episodes: 20,
            keep_best: false,
            target_return: None,
            checkpoints: 4,
            env: EnvSpec::new("CartPole-v1"),
        }
    }
}

/// Where advantages are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormAdv {
    /// Nowhere.
    Off,
    /// Within each minibatch.
    Minibatch,
    /// Over the whole rollout.
    Batch,
}

/// What an optimiser's step depends on beside the gradient and the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerConfig {
    /// Who takes the steps.
    pub optimizer: Optimizer,
    /// Adam's ε.
    pub adam_epsilon: f32,
    /// AdamW's decay.
    pub weight_decay: f32,
    /// The global norm that gradients are clipped to.
    pub max_grad_norm: f32,
}

/// Who takes the steps along gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// AdamW (Loshchilov and Hutter 2019); Adam if nothing decays.
    #[default]
    AdamW,
    /// Muon (Jordan 2024) for the weights between hidden layers, whose steps are made orthogonal, at the scale that lets it
    /// share AdamW's learning rate (Liu et al. 2025); AdamW for everything else. On burn.
    Muon,
}

impl Default for OptimizerConfig {
    /// That of the default [`PpoConfig`].
    fn default() -> Self {
        PpoConfig::default().optimizer()
    }
}

/// The sizes that follow from a valid [`PpoConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Samples of a rollout.
    pub batch_size: usize,
    /// Steps of a sequence of samples: 1 without a memory.
    pub sequence_length: usize,
    /// Samples of the largest minibatch; minibatches differ by one sequence at most.
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

    /// What the optimiser needs of it.
    pub fn optimizer(&self) -> OptimizerConfig {
        let Self { optimizer, adam_epsilon, weight_decay, max_grad_norm, .. } = *self;
        OptimizerConfig { optimizer, adam_epsilon, weight_decay, max_grad_norm }
    }

    /// Keys that change nothing while others are as they are, and what would make them count.
    pub fn idle_keys(&self) -> Vec<(&'static str, &'static str)> {
        let fused =
            self.engine != EngineChoice::Burn && self.gru_hidden_size == 0 && self.optimizer == Optimizer::AdamW;
        idle_keys(&[
            (!self.norm_obs, &["clip_obs"], "norm_obs = true"),
            (!self.norm_reward, &["clip_reward"], "norm_reward = true"),
            (self.ent_coef == 0.0, &["ent_schedule"], "another ent_coef than 0"),
            (self.gru_hidden_size == 0, &["sequence_length"], "gru_hidden_size of 1 or more"),
            (!fused, &["threads"], "the fused engine"),
            (self.evaluations == 0, &["eval_episodes", "keep_best"], "evaluations of 1 or more"),
        ])
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
        check_threads("threads", self.threads)?;
        check_threads("env_threads", self.env_threads)?;
        check_hidden(&self.hidden)?;
        self.to_toml()?;
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("adam_epsilon", self.adam_epsilon.into()),
            ("clip_coef", self.clip_coef),
            ("clip_obs", self.clip_obs.into()),
            ("clip_reward", self.clip_reward),
            ("max_grad_norm", self.max_grad_norm.into()),
        ] {
            check(key, value, value > 0.0 && value.is_finite(), "a positive number")?;
        }
        for (key, value) in [("vf_coef", self.vf_coef), ("weight_decay", self.weight_decay.into())] {
            check(key, value, value >= 0.0 && value.is_finite(), "a number of 0 or more")?;
        }
        let [low, high] = apprentice_deploy::LOG_STD_BOUNDS;
        let expected = format!("a number between {low} and {high}");
        check("log_std_init", self.log_std_init, (low..=high).contains(&self.log_std_init), &expected)?;
        check("gamma", self.gamma, (0.0..=1.0).contains(&self.gamma), "a number between 0 and 1")?;
        check("gae_lambda", self.gae_lambda, (0.0..=1.0).contains(&self.gae_lambda), "a number between 0 and 1")?;
        check("ent_coef", self.ent_coef, self.ent_coef.is_finite(), "a finite number")?;
        if let Some(target_kl) = self.target_kl {
            check("target_kl", target_kl, target_kl > 0.0 && target_kl.is_finite(), "a positive number")?;
        }
        if self.lr_schedule == LrSchedule::Adaptive && self.target_kl.is_none() {
            return Err(Error::config(
                "target_kl: expected a number for lr_schedule = \"adaptive\" to aim at, such as 0.01, got none",
            ));
        }
        let never = self.evaluations == 0;
        if let Some(target) = self.target_return {
            check(
                "target_return",
                target,
                target.is_finite() && !never,
                "a finite number, and evaluations of 1 or more",
            )?;
        }
        let expected = "adamw where there are fewer than two hidden layers, and no weights between them";
        let between = self.optimizer == Optimizer::AdamW || self.hidden.len() >= 2;
        check("optimizer", "muon", between, expected)?;
        let alone = !self.shared_trunk && self.gru_hidden_size == 0;
        let expected = "0 where actor and critic share a trunk or a memory";
        check("critic_warmup", self.critic_warmup, alone || self.critic_warmup == 0, expected)?;
        let still = self.weight_decay == 0.0 || self.critic_warmup == 0;
        check("critic_warmup", self.critic_warmup, still, "0 with weight_decay, which the actor does not escape")?;
        let batch_size = self.num_envs * self.num_steps;
        check("num_envs × num_steps", batch_size, batch_size <= MAX_BATCH, "at most 16777216 samples")?;
        let sequence_length = check_memory(self.gru_hidden_size, self.sequence_length, self.num_steps)?;
        let sequences = batch_size / sequence_length;
        let expected = match sequence_length {
            1 => format!("at most num_envs × num_steps = {batch_size}"),
            _ => format!("at most num_envs × num_steps / sequence_length = {sequences}"),
        };
        check("num_minibatches", self.num_minibatches, self.num_minibatches <= sequences, &expected)?;
        let expected = format!("at least one rollout, num_envs × num_steps = {batch_size}");
        check("total_timesteps", self.total_timesteps, self.total_timesteps >= batch_size as u64, &expected)?;
        let num_iterations = self.total_timesteps / batch_size as u64;
        let before_the_last = (num_iterations - 1) * batch_size as u64;
        let expected =
            format!("at most {before_the_last}, so that the actor learns from a rollout of {batch_size} steps");
        check("critic_warmup", self.critic_warmup, self.critic_warmup <= before_the_last, &expected)?;
        check_kept(self)?;
        Ok(Plan {
            batch_size,
            sequence_length,
            minibatch_size: sequences.div_ceil(self.num_minibatches) * sequence_length,
            num_iterations,
        })
    }
}

/// Of groups of keys those that are idle, each with what it needs.
pub fn idle_keys(groups: &[(bool, &[&'static str], &'static str)]) -> Vec<(&'static str, &'static str)> {
    let idle = groups.iter().filter(|(idle, ..)| *idle);
    idle.flat_map(|(_, keys, need)| keys.iter().map(|key| (*key, *need))).collect()
}

/// Refuses a value that is not as expected, naming its key.
pub fn check(key: &str, value: impl std::fmt::Display, ok: bool, expected: &str) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::config(format!("{key}: expected {expected}, got {value}"))) }
}

/// The largest rollout: beyond it a typing error is likelier than a purpose.
pub const MAX_BATCH: usize = 1 << 24;

/// Refuses rollouts that no memory holds: samples of observations as wide as this.
pub fn check_rollout(num_envs: usize, num_steps: usize, columns: usize) -> Result<(), Error> {
    let numbers = (num_envs * num_steps).saturating_mul(columns);
    let name = format!("num_envs × num_steps × {columns} numbers of an observation");
    check(&name, numbers, numbers <= 1 << 29, "at most 2^29")
}

/// Refuses to do without a thread, and more of them than machines have processors.
pub fn check_threads(key: &str, threads: usize) -> Result<(), Error> {
    check(key, threads, (1..=256).contains(&threads), "1 to 256, and best no more than there are processors")
}

/// Refuses hidden layers of size 0 or beyond what a control policy can need.
pub fn check_hidden(hidden: &[usize]) -> Result<(), Error> {
    for size in hidden {
        check("hidden", size, (1..=4096).contains(size), "layers of 1 to 4096 units")?;
    }
    check("hidden", format!("{} layers", hidden.len()), hidden.len() <= 16, "at most 16 layers")
}

/// Refuses a memory of more than 4096 units and sequences that rollouts cannot be cut into. Returns the length of a
/// sequence, which is 1 where nothing is remembered.
pub fn check_memory(gru_hidden_size: usize, sequence_length: usize, num_steps: usize) -> Result<usize, Error> {
    check("gru_hidden_size", gru_hidden_size, gru_hidden_size <= 4096, "0 to 4096 units")?;
    if gru_hidden_size == 0 {
        return Ok(1);
    }
    let fits = sequence_length > 0 && num_steps.is_multiple_of(sequence_length);
    check("sequence_length", sequence_length, fits, &format!("a divisor of num_steps = {num_steps}"))?;
    Ok(sequence_length)
}

/// Refuses a configuration that would not come back from a checkpoint.
///
/// # Errors
/// If it holds what JSON cannot.
pub fn check_kept<C: Serialize + serde::de::DeserializeOwned + PartialEq>(config: &C) -> Result<(), Error> {
    let json = serde_json::to_string(config).map_err(|e| Error::config(format!("the configuration as JSON: {e}")))?;
    // JSON has no infinity and writes null.
    if serde_json::from_str::<C>(&json).is_ok_and(|kept| kept == *config) {
        return Ok(());
    }
    let table = toml::Value::try_from(config).map_err(|e| Error::config(format!("the configuration as TOML: {e}")))?;
    let (key, number) = not_finite(&table, "").unwrap_or_else(|| ("the configuration".to_owned(), f64::NAN));
    Err(Error::config(format!(
        "{key}: expected a finite number, got {number}: policies and checkpoints are in JSON, which has no other; 3e38 is as \
         good as infinity"
    )))
}

/// The key of a number that is not finite, and the number.
fn not_finite(value: &toml::Value, key: &str) -> Option<(String, f64)> {
    let inner = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        toml::Value::Float(number) if !number.is_finite() => Some((key.to_owned(), *number)),
        toml::Value::Array(values) => values.iter().find_map(|value| not_finite(value, key)),
        toml::Value::Table(table) => table.iter().find_map(|(name, value)| not_finite(value, &inner(name))),
        _ => None,
    }
}

/// A configuration as TOML that reads back.
///
/// # Errors
/// If it holds what TOML cannot.
pub fn to_toml<C: Serialize + serde::de::DeserializeOwned>(config: &C) -> Result<String, Error> {
    let refuse = |e: &dyn std::fmt::Display| {
        let cause = e.to_string();
        // What JSON makes of an infinite parameter.
        let hint = match cause.contains("unit type") {
            true => {
                ": expected finite numbers, texts, switches and lists in env.kwargs, got null or a number that is not finite"
            }
            false => "",
        };
        Error::config(format!("the configuration cannot be written as TOML: {}{hint}", cause.trim().replace('\n', " ")))
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
        assert_eq!(plan, Plan { batch_size: 512, sequence_length: 1, minibatch_size: 128, num_iterations: 976 });
        let plan = PpoConfig { gru_hidden_size: 8, num_minibatches: 5, ..PpoConfig::default() }.plan().unwrap();
        assert_eq!(plan, Plan { batch_size: 512, sequence_length: 16, minibatch_size: 112, num_iterations: 976 });
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
    fn keys_that_change_nothing_are_named() {
        let idle = |toml: &str| -> Vec<_> {
            PpoConfig::from_toml(toml).unwrap().idle_keys().into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(idle(""), ["clip_obs", "clip_reward", "sequence_length"]);
        assert_eq!(idle("norm_obs = true\nnorm_reward = true\ngru_hidden_size = 4"), ["threads"]);
        let of_entropy_and_evaluations = ["ent_schedule", "eval_episodes", "keep_best"];
        let idle = idle("ent_coef = 0\nevaluations = 0");
        assert!(of_entropy_and_evaluations.iter().all(|key| idle.contains(key)), "{idle:?}");
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
            ("optimizer = \"muon\"\nhidden = [8]", "optimizer"),
            ("gru_hidden_size = 5000", "gru_hidden_size"),
            ("gru_hidden_size = 8\nsequence_length = 0", "sequence_length"),
            ("gru_hidden_size = 8\nsequence_length = 3", "sequence_length"),
            ("gru_hidden_size = 8\nnum_minibatches = 40", "num_minibatches"),
            ("num_minibatches = 1000", "num_minibatches"),
            ("total_timesteps = 10", "total_timesteps"),
            ("activation = \"sine\"", "activation"),
            ("lr_schedule = \"adaptive\"", "target_kl"),
            ("target_return = nan", "target_return"),
            ("log_std_init = 3.0", "log_std_init"),
            ("weight_decay = -1.0", "weight_decay"),
            ("norm_adv = true", "norm_adv"),
            ("target_kl = 0", "target_kl"),
            ("target_kl = inf", "target_kl"),
            ("max_grad_norm = inf", "max_grad_norm"),
            ("num_envs = 1048576\nnum_steps = 1048576", "num_envs × num_steps"),
            ("hidden = [65536, 65536]", "hidden"),
            (
                "env.id = \"CartPole-v1\"\nenv.wrappers = [{ type = \"ScaleReward\", scale = inf }]",
                "env.wrappers.scale",
            ),
            ("critic_warmup = 499201", "critic_warmup"),
        ] {
            let error = PpoConfig::from_toml(text).and_then(|config| config.plan()).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(key), "{text}: {error}");
        }
    }
}
