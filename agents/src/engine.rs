//! The engine: whoever computes the networks and their updates.

use crate::{Activation, Behavior, Error, LossCoefs, UpdateStats};
use apprentice_deploy::Layer;
use apprentice_envs::Space;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// An actor and a critic that act and learn. PPO asks it for nothing else.
///
/// There are two: [`Learner`](crate::Learner), which computes on burn, runs on any device and is the reference, and
/// [`Fused`](crate::Fused), which is many times faster for perceptrons on a CPU. Their parameters have one layout and
/// can be exchanged.
pub trait Engine: Behavior + Send {
    /// The choice that selects it.
    fn choice(&self) -> EngineChoice;

    /// The shape of its networks.
    fn architecture(&self) -> &Architecture;

    /// All parameters in one row: the actor's layers, then the critic's, each weight `[inputs × outputs]` before its
    /// bias.
    fn parameters(&self) -> Vec<f32>;

    /// One Adam step on the PPO loss of `batch`, its gradient clipped to the global norm. Returns the parts of the
    /// loss before the step.
    fn update(&mut self, batch: &Samples, learning_rate: f64, coefs: &LossCoefs) -> UpdateStats;

    /// The optimiser's state; only the same engine can read it.
    ///
    /// # Errors
    /// If it cannot be saved.
    fn optimizer_state(&self) -> Result<Vec<u8>, Error>;

    /// Continues from saved parameters and optimiser state.
    ///
    /// # Errors
    /// If they are not of this architecture.
    fn restore(&mut self, parameters: &[f32], optimizer_state: Vec<u8>) -> Result<(), Error>;
}

/// Which engine a run shall use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// `fused` on the CPU, `burn` elsewhere.
    #[default]
    Auto,
    /// burn's autodiff, on any device.
    Burn,
    /// Hand-derived gradients on the CPU.
    Fused,
}

impl std::fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Burn => "burn",
            Self::Fused => "fused",
        })
    }
}

/// Samples of a rollout that one gradient step is computed on; all have B rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// `[B, flat_dim]`: the observations that were acted on.
    pub observations: Array2<f32>,
    /// `[B]`: the actions taken, counted from 0.
    pub actions: Vec<usize>,
    /// `[B]`: log-probabilities of these actions when they were taken.
    pub log_probs: Vec<f32>,
    /// `[B]`: advantages, normalised if they shall be.
    pub advantages: Vec<f32>,
    /// `[B]`: value targets.
    pub returns: Vec<f32>,
    /// `[B]`: values when the actions were taken.
    pub values: Vec<f32>,
}

/// The shape of an actor and a critic with the same hidden layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The space of the observations that the networks read, as its feature rows.
    pub observation_space: Space,
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// Number of actions.
    pub actions: usize,
    /// The non-linearity between layers.
    pub activation: Activation,
}

impl Architecture {
    /// Sizes of the actor's layers: inputs, hidden, outputs.
    pub fn actor_sizes(&self) -> Vec<usize> {
        [&[self.observation_space.feature_dim()], &self.hidden[..], &[self.actions]].concat()
    }

    /// Floating-point operations of one sample's way forward and backward through both networks. A weight costs two
    /// of them forward, two for its own gradient, and two for that of its input, which the first layer does not need.
    pub fn training_flops(&self) -> usize {
        let flops = |sizes: Vec<usize>| -> usize {
            let weights = |l: usize| sizes[l] * sizes[l + 1];
            (0..sizes.len() - 1).map(|l| weights(l) * if l == 0 { 4 } else { 6 }).sum()
        };
        flops(self.actor_sizes()) + flops(self.critic_sizes())
    }

    /// Sizes of the critic's layers: inputs, hidden, one output.
    pub fn critic_sizes(&self) -> Vec<usize> {
        [&[self.observation_space.feature_dim()], &self.hidden[..], &[1]].concat()
    }

    /// The layers of the actor and of the critic, cut out of a row of [`parameters`](Engine::parameters).
    pub fn layers(&self, parameters: &[f32]) -> (Vec<Layer>, Vec<Layer>) {
        let mut rest = parameters;
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at(n);
            rest = tail;
            head.to_vec()
        };
        let hidden = match self.activation {
            Activation::Tanh => apprentice_deploy::Activation::Tanh,
            Activation::Relu => apprentice_deploy::Activation::Relu,
        };
        let mut network = |sizes: Vec<usize>| -> Vec<Layer> {
            let last = sizes.len() - 2;
            let layer = |(i, pair): (usize, &[usize])| Layer {
                weight: take(pair[0] * pair[1]),
                bias: take(pair[1]),
                activation: if i < last { hidden } else { apprentice_deploy::Activation::Identity },
            };
            sizes.windows(2).enumerate().map(layer).collect()
        };
        (network(self.actor_sizes()), network(self.critic_sizes()))
    }
}
