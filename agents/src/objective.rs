//! What a gradient step minimises.

use burn::tensor::{Gradients, Tensor};
use serde::{Deserialize, Serialize};

/// L = L_PPO + L_other + L_anchor, each of them only if it is there. An [`Engine`](crate::Engine) takes its steps along the gradient
/// of this.
#[derive(Clone, Copy, Default)]
pub struct Objective<'a> {
    /// The PPO loss of the samples.
    pub ppo: Option<LossCoefs>,
    /// A loss of what the networks put out for them, such as the distance to a teacher.
    pub other: Option<&'a dyn OutputLoss>,
    /// What holds the parameters back where they are.
    pub anchor: Option<&'a Anchor>,
}

/// The coefficients of the loss; see [`PpoConfig`](crate::PpoConfig).
#[derive(Clone, Copy, Debug)]
pub struct LossCoefs {
    /// Clip range ε.
    pub clip_coef: f64,
    /// Coefficient of the surrogate objective: 1, or 0 where only the critic shall learn.
    pub policy_coef: f64,
    /// Whether and how the value loss is clipped too.
    pub clip_vloss: ValueClip,
    /// What a value's error costs.
    pub value_loss: ValueLoss,
    /// Coefficient of the entropy bonus.
    pub ent_coef: f64,
    /// Coefficient of the value loss.
    pub vf_coef: f64,
}

/// How the value loss is clipped: V_clip = V_old + clamp(V − V_old, −ε, ε).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueClip {
    /// Not at all.
    Off,
    /// The larger of the losses of V and V_clip: OpenAI's baselines, CleanRL, rsl_rl.
    Max,
    /// The loss of V_clip: Stable-Baselines3 with `clip_range_vf`.
    Clamp,
}

/// What an error e of the value costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueLoss {
    /// ½ e².
    Mse,
    /// ½ e² up to |e| = 1, |e| − ½ beyond.
    Huber,
}

/// ½ Σ Fᵢ (θᵢ − θᵢ*)²: lets parameters θ that matter for something learnt before go from where they were then only for a
/// good reason (elastic weight consolidation: Kirkpatrick et al., *Overcoming catastrophic forgetting in neural networks*,
/// 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anchor {
    /// θ*, in the layout of [`Engine::parameters`](crate::Engine::parameters).
    pub parameters: Vec<f32>,
    /// F, how much each of them matters.
    pub importance: Vec<f32>,
}

impl Anchor {
    /// F (θ − θ*) of the i-th parameter.
    pub(crate) fn pull(&self, i: usize, parameter: f32) -> f32 {
        self.importance[i] * (parameter - self.parameters[i])
    }
}

impl Objective<'_> {
    /// The PPO loss alone.
    pub fn ppo(coefs: LossCoefs) -> Self {
        Self { ppo: Some(coefs), ..Self::default() }
    }

    /// Whether the critic is needed.
    pub(crate) fn wants_values(&self) -> bool {
        self.ppo.is_some() || self.other.is_some_and(OutputLoss::wants_values)
    }
}

/// A loss of the networks' outputs, the mean over a batch of samples that it knows everything else about.
///
/// It is written twice: as a formula on tensors, which burn differentiates, and with its gradient by hand, for the
/// fused engine. Whoever implements it has a test that holds both equal.
pub trait OutputLoss: Sync {
    /// Whether it reads the critic's values.
    fn wants_values(&self) -> bool {
        false
    }

    /// The loss, a scalar.
    ///
    /// # Shapes
    /// `params` `[B, params]`: the parameters of the distributions of actions. `values` `[B]`, if they are wanted.
    fn loss(&self, params: Tensor<2>, values: Option<Tensor<1>>) -> Tensor<1>;

    /// Whether there is a [`feature_loss`](Self::feature_loss), which only burn computes.
    fn wants_features(&self) -> bool {
        false
    }

    /// A loss of the actor's last hidden layer, a scalar, that is added if it is wanted. `features` `[B, units]`.
    fn feature_loss(&self, features: Tensor<2>) -> Tensor<1> {
        features.sum().mul_scalar(0.0)
    }

    /// Called before each step with the gradients of everything that had a part in the loss: parameters that the loss has of
    /// its own learn here.
    fn learn(&self, gradients: &mut Gradients, learning_rate: f64) {
        let _ = (gradients, learning_rate);
    }

    /// Adds up the loss of some samples and writes its gradient.
    fn gradients(&self, block: OutputBlock<'_>) -> f64;
}

/// Some consecutive samples of a batch, and where the gradient of the batch's loss in their outputs goes.
pub struct OutputBlock<'a> {
    /// The index of the first of them in the batch.
    pub first: usize,
    /// `[samples × params]`.
    pub params: &'a [f32],
    /// `[samples]`, or empty if they are not wanted.
    pub values: &'a [f32],
    /// `[samples × params]`, all 0.
    pub param_grads: &'a mut [f32],
    /// `[samples]`, all 0, or empty.
    pub value_grads: &'a mut [f32],
}
