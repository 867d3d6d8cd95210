//! The configuration of a distillation.

use crate::{CoefSchedule, FeatureLoss, PolicyLoss, Temperatures};
use apprentice_agents::{
    Activation, EngineChoice, Error, MAX_BATCH, NormAdv, Schedule, check, check_hidden, check_kept, check_memory,
    check_threads, idle_keys, to_toml,
};
use apprentice_envs::EnvSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a state counts for, by the values that teacher and student give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueGate {
    /// All count the same.
    Off,
    /// 1 where the teacher expects more than the student, else 0.
    Hard,
    /// exp(`gate_scale` · (V_T − V_S)), at most e.
    Soft,
}

/// Everything that determines a distillation, beside the teacher.
///
/// Reads from TOML, where unknown keys are an error. The loss is
///
/// ```text
/// L = coef · L_KD + task_coef · L_task
/// ```
///
/// with L_KD the distance from the teacher and L_task the PPO loss of the student's own experience. Who acts, `beta`,
/// and both coefficients have [schedules](CoefSchedule). The methods of the literature are choices of these three:
///
/// | | `coef` | `task_coef` | `beta` | |
/// |---|---|---|---|---|
/// | teacher-driven (behaviour cloning) | 1 | 0 | 1 | |
/// | student-driven | 1 | 0 | 0 | `buffer_size = 0` |
/// | DAgger | 1 | 0 | 1 → 0 | |
/// | kickstarting | 1 → 0 | 1 | 0 | |
/// | proximal policy distillation | 1 | 1 | 0 | `proximal = true` |
/// | reward-augmented | 1 | 1 | 0 | `task_reward = 0`, `kd_reward = 1`, `norm_adv = "off"` |
/// | entropy-regularised | 1 | 1 | 0 | the same, with `losses.reverse_cross_entropy` |
///
/// Whenever the task loss is at work, every rollout is trained on once and the buffer holds nothing else, because PPO's
/// loss is that of the policy that acted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistillConfig {
    /// The seed of every draw.
    pub seed: u64,
    /// Environment steps to collect in all; rounded down to whole rollouts.
    pub total_timesteps: u64,
    /// The probability that the teacher acts, in every step of every environment; otherwise the student does.
    pub beta: CoefSchedule,
    /// Weight of the distillation loss.
    pub coef: CoefSchedule,
    /// Weight λ of the task loss.
    pub task_coef: CoefSchedule,
    /// The distances from the teacher that make up L_KD, each with its weight.
    pub losses: BTreeMap<PolicyLoss, f64>,
    /// Distances of hidden features that are added to L_KD, each with its weight: see [`FeatureLoss`]. They need a teacher
    /// that is one network, and burn.
    pub features: BTreeMap<FeatureLoss, f64>,
    /// Temperature T that both policies are softened by.
    pub temperature: f64,
    /// Temperature τ that the teacher is sharpened by, in `sharpened_kl` alone.
    pub sharpening: f64,
    /// Weight of ½ (V_S − V_T)² in L_KD; above 0 it needs a teacher with a critic.
    pub value_coef: f64,
    /// Which states count, by their values; needs a teacher with a critic, unless it is off.
    pub value_gate: ValueGate,
    /// What differences of values are multiplied by in a `soft` gate.
    pub gate_scale: f64,
    /// Weighs every state by max(ratio, 1 − `clip_coef`), the ratio being that of PPO: proximal policy distillation.
    pub proximal: bool,
    /// Task loss: weight of the environment's reward.
    pub task_reward: f64,
    /// Task loss: weight of a second reward, −`coef` / `task_coef` times the losses of policies in the state that an action
    /// leads to. At 1 the whole update is the gradient of the distance over trajectories, which it is not otherwise.
    pub kd_reward: f64,
    /// Sizes of the student's hidden layers; `[]` is a linear student.
    pub hidden: Vec<usize>,
    /// Units of the student's memory, a gated recurrent unit between observations and hidden layers; 0 for none. It lets a
    /// student learn from a teacher that sees more.
    pub gru_hidden_size: usize,
    /// With a memory: steps that gradients reach back. Rollouts are cut into sequences of this length, each with what was
    /// remembered before it, and minibatches are made of whole sequences.
    pub sequence_length: usize,
    /// The student's non-linearity: `tanh`, `relu` or `gelu`.
    pub activation: Activation,
    /// Whether the student's weights are rounded to 8 bits wherever it computes, and in its file, so that nothing is lost
    /// when it is exported as int8. Not with a memory or gelu.
    pub quantization_aware: bool,
    /// Environments stepped in parallel.
    pub num_envs: usize,
    /// Steps of each environment in one rollout.
    pub num_steps: usize,
    /// States that the buffer keeps; the oldest go first. At 0 those of the newest rollout.
    pub buffer_size: usize,
    /// Gradient steps are taken on minibatches of about this many states.
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
    /// Task loss: whether and where advantages are normalised.
    pub norm_adv: NormAdv,
    /// Task loss: divide rewards by the standard deviation of the discounted return so far, to at most 10.
    pub norm_reward: bool,
    /// Task loss: clip range ε.
    pub clip_coef: f64,
    /// Task loss: coefficient of the entropy bonus.
    pub ent_coef: f64,
    /// Task loss: coefficient of the value loss, ½ · mean squared error.
    pub vf_coef: f64,
    /// Several domains or tasks: one after another, each for an equal share of the rollouts, and not all at once. Schedules
    /// begin anew with each.
    pub sequential: bool,
    /// One after another: states of every task before that are kept for good and trained on with the new ones.
    pub replay: usize,
    /// One after another: how strongly the parameters are held where they were at the end of each task, each by how much it
    /// matters there: the weight λ of ½ Σ F (θ − θ*)², with the diagonal F of the Fisher information (elastic weight
    /// consolidation).
    pub ewc: f64,
    /// Who computes the student and its updates: `fused` (perceptrons on the CPU), `burn` (any device), or `auto`.
    pub engine: EngineChoice,
    /// Threads that the fused engine computes on, if student and minibatch are large enough. They change no bit of the result.
    pub threads: usize,
    /// Times in a run that the student is evaluated (0: never), evenly spread, besides once at its start.
    pub evaluations: u32,
    /// Episodes of each of these evaluations.
    pub eval_episodes: usize,
    /// End with the student of the best evaluation, and not with the last one.
    pub keep_best: bool,
    /// Checkpoints written during a run, evenly spread, besides the one at its end.
    pub checkpoints: u32,
    /// The environment; without one it is that which the teacher was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvSpec>,
    /// What the teacher sees of the student's episodes: an environment that takes the same course with the same seeds and
    /// actions. Without it, a policy sees `env` through the wrappers of observations that it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_env: Option<EnvSpec>,
}

impl Default for DistillConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            total_timesteps: 40_960,
            beta: 0.0.into(),
            coef: 1.0.into(),
            task_coef: 0.0.into(),
            losses: BTreeMap::from([(PolicyLoss::Kl, 1.0)]),
            features: BTreeMap::new(),
            temperature: 1.0,
            sharpening: 0.01,
            value_coef: 0.0,
            value_gate: ValueGate::Off,
            gate_scale: 1.0,
            proximal: false,
            task_reward: 1.0,
            kd_reward: 0.0,
            hidden: vec![16],
            gru_hidden_size: 0,
            sequence_length: 16,
            activation: Activation::Tanh,
            quantization_aware: false,
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
            norm_adv: NormAdv::Minibatch,
            norm_reward: false,
            clip_coef: 0.2,
            ent_coef: 0.0,
            vf_coef: 0.5,
            sequential: false,
            replay: 0,
            ewc: 0.0,
            engine: EngineChoice::Auto,
            threads: 1,
            evaluations: 20,
            eval_episodes: 20,
            keep_best: false,
            checkpoints: 4,
            env: None,
            teacher_env: None,
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

    /// The losses that are at work, with their weights.
    pub(crate) fn policy_losses(&self) -> Vec<(PolicyLoss, f64)> {
        self.losses.iter().map(|(loss, weight)| (*loss, *weight)).filter(|(_, weight)| *weight > 0.0).collect()
    }

    /// The losses of hidden features that are at work, with their weights.
    pub(crate) fn feature_losses(&self) -> Vec<(FeatureLoss, f64)> {
        self.features.iter().map(|(loss, weight)| (*loss, *weight)).filter(|(_, weight)| *weight > 0.0).collect()
    }

    /// What logits are divided by.
    pub(crate) fn temperatures(&self) -> Temperatures {
        Temperatures { softening: self.temperature, sharpening: self.sharpening }
    }

    /// Steps of a sequence of samples: 1 without a memory.
    pub(crate) fn sequence_length(&self) -> usize {
        if self.gru_hidden_size > 0 { self.sequence_length } else { 1 }
    }

    /// Whether every rollout is trained on for itself, as PPO's loss and ratio demand.
    pub(crate) fn on_policy(&self) -> bool {
        !self.task_coef.is_zero() || self.proximal
    }

    /// Whether the student's critic has anything to do.
    pub(crate) fn wants_values(&self) -> bool {
        !self.task_coef.is_zero() || self.wants_teacher_values()
    }

    /// Whether the teacher's critic has anything to do.
    pub fn wants_teacher_values(&self) -> bool {
        self.value_coef > 0.0 || self.value_gate != ValueGate::Off
    }

    /// Keys that change nothing while others are as they are, and what would make them count.
    pub fn idle_keys(&self) -> Vec<(&'static str, &'static str)> {
        let task =
            &["task_reward", "kd_reward", "gamma", "gae_lambda", "norm_adv", "norm_reward", "ent_coef", "vf_coef"];
        let no_task = self.task_coef.is_zero();
        let sharpened = self.losses.get(&PolicyLoss::SharpenedKl).is_some_and(|weight| *weight > 0.0);
        let fused = self.engine != EngineChoice::Burn && self.gru_hidden_size == 0 && self.feature_losses().is_empty();
        idle_keys(&[
            (no_task, task, "another task_coef than 0"),
            (self.on_policy(), &["buffer_size"], "task_coef = 0 and proximal = false"),
            (no_task && !self.proximal, &["clip_coef"], "another task_coef than 0, or proximal = true"),
            (!sharpened, &["sharpening"], "losses.sharpened_kl above 0"),
            (self.value_gate != ValueGate::Soft, &["gate_scale"], "value_gate = \"soft\""),
            (self.gru_hidden_size == 0, &["sequence_length"], "gru_hidden_size of 1 or more"),
            (!fused, &["threads"], "the fused engine"),
            (self.evaluations == 0, &["eval_episodes", "keep_best"], "evaluations of 1 or more"),
        ])
    }

    /// Checks every value and returns the number of rollouts.
    ///
    /// # Errors
    /// If a value is out of range; the message names the key, what was expected and what came.
    pub fn plan(&self) -> Result<u64, Error> {
        for (key, value) in [
            ("num_envs", self.num_envs),
            ("num_steps", self.num_steps),
            ("minibatch_size", self.minibatch_size),
            ("update_epochs", self.update_epochs),
            ("validation_states", self.validation_states),
            ("eval_episodes", self.eval_episodes),
        ] {
            check(key, value, (1..=1 << 20).contains(&value), "1 to 1048576")?;
        }
        check_threads("threads", self.threads)?;
        check("buffer_size", self.buffer_size, self.buffer_size <= MAX_BATCH, "at most 16777216")?;
        check_hidden(&self.hidden)?;
        check_memory(self.gru_hidden_size, self.sequence_length, self.num_steps)?;
        let layers = self.gru_hidden_size == 0 && self.activation != Activation::Gelu;
        let expected = "false with a memory or gelu, which int8 policies do not have";
        check("quantization_aware", self.quantization_aware, layers || !self.quantization_aware, expected)?;
        self.to_toml()?;
        for (key, value) in [
            ("temperature", self.temperature),
            ("sharpening", self.sharpening),
            ("learning_rate", self.learning_rate),
            ("clip_coef", self.clip_coef),
            ("max_grad_norm", self.max_grad_norm.into()),
        ] {
            check(key, value, value > 0.0 && value.is_finite(), "a positive number")?;
        }
        for (key, value) in [
            ("value_coef", self.value_coef),
            ("gate_scale", self.gate_scale),
            ("task_reward", self.task_reward),
            ("kd_reward", self.kd_reward),
            ("vf_coef", self.vf_coef),
            ("ewc", self.ewc),
        ] {
            check(key, value, value >= 0.0 && value.is_finite(), "a number of 0 or more")?;
        }
        for (loss, weight) in &self.losses {
            let key = format!("losses.{}", serde_json::to_value(loss).expect("plain data").as_str().unwrap_or("?"));
            check(&key, weight, *weight >= 0.0 && weight.is_finite(), "a number of 0 or more")?;
        }
        for (loss, weight) in &self.features {
            let key = format!("features.{}", serde_json::to_value(loss).expect("plain data").as_str().unwrap_or("?"));
            check(&key, weight, *weight >= 0.0 && weight.is_finite(), "a number of 0 or more")?;
        }
        check("ent_coef", self.ent_coef, self.ent_coef.is_finite(), "a finite number")?;
        check("gamma", self.gamma, (0.0..=1.0).contains(&self.gamma), "a number between 0 and 1")?;
        check("gae_lambda", self.gae_lambda, (0.0..=1.0).contains(&self.gae_lambda), "a number between 0 and 1")?;
        self.coef.check("coef", f64::INFINITY)?;
        self.task_coef.check("task_coef", f64::INFINITY)?;
        self.beta.check("beta", 1.0)?;
        self.check_together()?;

        let batch = self.num_envs * self.num_steps;
        check("num_envs × num_steps", batch, batch <= MAX_BATCH, "at most 16777216 samples")?;
        let expected = format!("at least one rollout, num_envs × num_steps = {batch}");
        check("total_timesteps", self.total_timesteps, self.total_timesteps >= batch as u64, &expected)?;
        check_kept(self)?;
        Ok(self.total_timesteps / batch as u64)
    }

    /// Refuses schedules that leave nothing to train on in one of so many iterations.
    pub(crate) fn check_idle(&self, iterations: u64) -> Result<(), Error> {
        let idle = |k| self.coef.at(k, iterations) == 0.0 && self.task_coef.at(k, iterations) == 0.0;
        match (0..iterations.min(1 << 20)).find(|k| idle(*k)) {
            None => Ok(()),
            Some(k) => Err(Error::config(format!(
                "coef and task_coef are both 0 in iteration {k}: expected at least one loss to train on"
            ))),
        }
    }

    /// Refuses values that are sound each for itself.
    fn check_together(&self) -> Result<(), Error> {
        self.check_idle(self.total_timesteps / (self.num_envs * self.num_steps).max(1) as u64)?;
        if !self.coef.is_zero() && self.policy_losses().is_empty() && self.feature_losses().is_empty() {
            return Err(Error::config("losses: expected at least one with a positive weight, or coef = 0"));
        }
        if self.on_policy() && !self.beta.is_zero() {
            let key = if self.proximal { "proximal" } else { "task_coef" };
            return Err(Error::config(format!(
                "beta is not 0 with {key}, which needs the student's own experience; set beta = 0, or do without {key}"
            )));
        }
        if self.replay > 0 && (self.on_policy() || self.gru_hidden_size > 0) {
            return Err(Error::config(
                "replay: expected 0 with task_coef, proximal or gru_hidden_size, which need whole rollouts of the student's own",
            ));
        }
        if self.value_gate != ValueGate::Off && self.value_coef == 0.0 && self.task_coef.is_zero() {
            return Err(Error::config(
                "value_gate compares the teacher's values with the student's, which nothing teaches it: expected value_coef or \
                 task_coef above 0, or value_gate = \"off\"",
            ));
        }
        if self.kd_reward > 0.0 && self.policy_losses().is_empty() {
            return Err(Error::config(
                "kd_reward is made of losses of what is put out: expected one with a positive weight, got none",
            ));
        }
        if self.kd_reward > 0.0 && self.task_coef.is_zero() {
            return Err(Error::config("kd_reward is a reward of the task loss: expected task_coef above 0, got 0"));
        }
        Ok(())
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
            ("[losses]\nkl = -1", "losses.kl"),
            ("[losses]\nkl = 0", "losses"),
            ("[losses]\nklx = 1", "klx"),
            ("kd_reward = 1", "kd_reward"),
            ("proximal = true\nbeta = 0.5", "beta"),
            ("beta = 1.5", "beta"),
            ("coef = { schedule = \"linear\", start = 1, end = 0, fraction = 0.5 }", "iteration 10"),
            ("num_envs = -4", "num_envs"),
            ("value_gate = \"hard\"", "value_coef"),
            ("[features]\nhint = -1", "features.hint"),
            ("[features]\nhints = 1", "hints"),
            ("sequential = true\nreplay = 5\ngru_hidden_size = 4", "replay"),
            ("gru_hidden_size = 4\nsequence_length = 5", "sequence_length"),
            ("coef = 0", "coef"),
            ("task_coef = 1\nbeta = 1", "beta"),
            ("total_timesteps = 1", "total_timesteps"),
        ] {
            let error = DistillConfig::from_toml(text).and_then(|config| config.plan()).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(key), "{text}: {error}");
        }
    }
}
