//! The engine: whoever computes the networks and their updates.

use crate::{Behavior, Error, Fused, Learner, Objective, Optimizer, OptimizerConfig, UpdateStats, check};
use apprentice_deploy::{Body, Distribution, Gru, GruCell, Layer, Normalizer, round_to_int8};
use apprentice_envs::{Generator, Space, Threads};
use burn::tensor::Device;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// An actor and a critic that act and learn. PPO and distillation ask for nothing else.
///
/// There are two: [`Learner`](crate::Learner), which computes on burn, runs on any device and is the reference, and
/// [`Fused`](crate::Fused), which is many times faster for perceptrons on a CPU. Their parameters have one layout and
/// can be exchanged.
pub trait Engine: Behavior + Send {
    /// The choice that selects it.
    fn choice(&self) -> EngineChoice;

    /// The shape of its networks.
    fn architecture(&self) -> &Architecture;

    /// How observations are normalised from now on, as features; None leaves them as they are.
    fn set_normalizer(&mut self, normalizer: Option<Normalizer>);

    /// All parameters in one row: the memory, if there is one, with the weight and bias of inputs before those of what is
    /// remembered; the actor's layers, then the critic's, each weight `[inputs × outputs]` before its bias; then the
    /// logarithms of a Gaussian's standard deviations, where they do not depend on the state.
    fn parameters(&self) -> Vec<f32>;

    /// The networks as they compute: their weights rounded where they are rounded.
    fn networks(&self) -> Networks {
        let architecture = self.architecture();
        let mut networks = architecture.networks(&self.parameters());
        if architecture.int8_weights {
            networks.actor.iter_mut().for_each(|layer| round_to_int8(&mut layer.weight, layer.bias.len()));
        }
        networks
    }

    /// One Adam step on the loss of `batch`, its gradient clipped to the global norm. Returns the parts of the loss before
    /// the step. Without a PPO loss, `batch` needs nothing but observations.
    fn update(&mut self, batch: &Samples, learning_rate: f64, objective: &Objective<'_>) -> UpdateStats;

    /// The gradient of the loss of `batch` in all parameters, in the layout of [`parameters`](Self::parameters), not
    /// clipped. Nothing changes.
    fn gradient(&mut self, batch: &Samples, objective: &Objective<'_>) -> Vec<f32>;

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
    /// `fused` for perceptrons on the CPU, `burn` for all else.
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

/// The engine that a configuration asks for, with fresh weights. The fused one computes on so many threads.
///
/// # Errors
/// If the fused engine is asked for on a device that is not the CPU, for a network with a memory, or for Muon, if a network
/// has more than 2²⁶ weights, or if the system refuses to start the threads.
pub fn engine_for(
    choice: EngineChoice,
    architecture: &Architecture,
    optimizer: &OptimizerConfig,
    weights: &mut Generator,
    device: &Device,
    threads: usize,
) -> Result<Box<dyn Engine>, Error> {
    let on_cpu = *device == Device::flex();
    let fused = match choice {
        EngineChoice::Auto => on_cpu && architecture.gru_hidden_size == 0 && optimizer.optimizer == Optimizer::AdamW,
        EngineChoice::Burn => false,
        EngineChoice::Fused if architecture.gru_hidden_size > 0 => {
            return Err(Error::config(
                "engine = \"fused\" computes perceptrons only: use engine = \"burn\", or gru_hidden_size = 0",
            ));
        }
        EngineChoice::Fused if optimizer.optimizer == Optimizer::Muon => {
            return Err(Error::config(
                "engine = \"fused\" takes AdamW's steps only: use engine = \"burn\", or optimizer = \"adamw\"",
            ));
        }
        EngineChoice::Fused if on_cpu => true,
        EngineChoice::Fused => {
            return Err(Error::config(
                "engine = \"fused\" computes on the CPU only: use --device cpu, or engine = \"burn\"",
            ));
        }
    };
    architecture.check_size()?;
    Ok(match fused {
        true => Box::new(Fused::with_threads(architecture, optimizer, weights, Threads::new(threads)?)),
        false => Box::new(Learner::new(architecture, optimizer, weights, device)),
    })
}

/// Samples of a rollout that one gradient step is computed on; all have B rows. Where something is remembered, they are S
/// sequences of B / S steps: row l·S + s is step l of sequence s.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// `[B, flat_dim]`: the observations that were acted on.
    pub observations: Array2<f32>,
    /// `[B, components]`: the actions as they were drawn from the distribution.
    pub actions: Array2<f32>,
    /// `[B, params]`: the choices that were allowed; without columns if all were.
    pub masks: Array2<bool>,
    /// `[B]`: log-probabilities of these actions when they were taken.
    pub log_probs: Vec<f32>,
    /// `[B]`: advantages, normalised if they shall be.
    pub advantages: Vec<f32>,
    /// `[B]`: value targets.
    pub returns: Vec<f32>,
    /// `[B]`: values when the actions were taken.
    pub values: Vec<f32>,
    /// `[S, memory]`: what was remembered before the first step of each sequence; empty where nothing is.
    pub memory: Array2<f32>,
    /// `[B]`: whether an episode begins with the sample; empty where nothing is remembered.
    pub starts: Vec<bool>,
}

/// The non-linearity between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// max(0, x).
    Relu,
    /// ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))): the Gaussian error linear unit in its tanh form (Hendrycks and
    /// Gimpel 2016), which JAX's `gelu` and PyTorch's `gelu(approximate="tanh")` compute.
    Gelu,
}

/// The shape of an actor and a critic with the same hidden layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The space of the observations that the networks read, as its feature rows.
    pub observation_space: Space,
    /// What the actor's outputs stand for.
    pub distribution: Distribution,
    /// The units of a [memory](crate::Gru) between the observations and the hidden layers; 0 if there is none.
    pub gru_hidden_size: usize,
    /// The logarithm of a Gaussian's standard deviations at first.
    pub log_std_init: f32,
    /// Whether a Gaussian's standard deviations are outputs of the actor, after the means, or parameters of their own.
    pub state_dependent_std: bool,
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// Whether the critic reads the actor's last hidden layer, and has none of its own.
    pub shared_trunk: bool,
    /// The non-linearity between layers.
    pub activation: Activation,
    /// Whether the actor computes with weights [rounded to 8 bits](round_to_int8), and learns as if it did not. Not with
    /// a memory.
    pub int8_weights: bool,
}

impl Architecture {
    /// One that chooses among `actions`.
    pub fn categorical(observation_space: Space, actions: usize, hidden: &[usize], activation: Activation) -> Self {
        Self {
            observation_space,
            distribution: Distribution::Categorical { nvec: vec![actions] },
            gru_hidden_size: 0,
            log_std_init: 0.0,
            state_dependent_std: false,
            hidden: hidden.to_vec(),
            shared_trunk: false,
            activation,
            int8_weights: false,
        }
    }

    /// Refuses more weights than anybody can mean, before memory is asked for.
    fn check_size(&self) -> Result<(), Error> {
        let memory = (self.gru_hidden_size > 0).then_some(self.gru_hidden_size);
        let sizes =
            std::iter::once(self.observation_space.feature_dim()).chain(memory).chain(self.hidden.iter().copied());
        let sizes: Vec<usize> = sizes.chain([self.distribution.num_params()]).collect();
        let weights = sizes.windows(2).fold(0, |sum: usize, pair| sum.saturating_add(pair[0].saturating_mul(pair[1])));
        check("weights", weights, weights <= 1 << 26, &format!("at most 2^26 in layers of {sizes:?}"))
    }

    /// The number of standard deviations that are parameters of their own.
    pub fn num_log_stds(&self) -> usize {
        match self.distribution {
            Distribution::Gaussian { dim, .. } if !self.state_dependent_std => dim,
            _ => 0,
        }
    }

    /// Sizes of the actor's layers: inputs, hidden, outputs.
    pub fn actor_sizes(&self) -> Vec<usize> {
        self.sizes(self.distribution.num_params() - self.num_log_stds())
    }

    /// Sizes of the critic's layers: inputs, hidden, one output; with a shared trunk the actor's last hidden layer and one
    /// output.
    pub fn critic_sizes(&self) -> Vec<usize> {
        match self.hidden.last() {
            Some(last) if self.shared_trunk => vec![*last, 1],
            _ => self.sizes(1),
        }
    }

    fn sizes(&self, outputs: usize) -> Vec<usize> {
        let inputs = match self.gru_hidden_size {
            0 => self.observation_space.feature_dim(),
            units => units,
        };
        [&[inputs], &self.hidden[..], &[outputs]].concat()
    }

    /// The number of the memory's weights and biases.
    pub(crate) fn gru_parameters(&self) -> usize {
        3 * self.gru_hidden_size * (self.observation_space.feature_dim() + self.gru_hidden_size + 2)
    }

    /// The number of the actor's weights and biases.
    pub(crate) fn actor_parameters(&self) -> usize {
        self.actor_sizes().windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
    }

    /// Floating-point operations of one sample's way forward and backward through both networks. A weight costs two
    /// of them forward, two for its own gradient, and two for that of its input, which the first layer does not need.
    pub fn training_flops(&self) -> usize {
        let flops = |sizes: Vec<usize>, first: usize| -> usize {
            let weights = |l: usize| sizes[l] * sizes[l + 1];
            (0..sizes.len() - 1).map(|l| weights(l) * if l == 0 { first } else { 6 }).sum()
        };
        let (inputs, units) = (self.observation_space.feature_dim(), self.gru_hidden_size);
        let first = if units > 0 { 6 } else { 4 };
        let memory = 3 * units * (4 * inputs + 6 * units);
        memory
            + flops(self.actor_sizes(), first)
            + flops(self.critic_sizes(), if self.shared_trunk { 6 } else { first })
    }

    /// The networks, cut out of a row of [`parameters`](Engine::parameters).
    pub fn networks(&self, parameters: &[f32]) -> Networks {
        let mut rest = parameters;
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at(n);
            rest = tail;
            head.to_vec()
        };
        let hidden = match self.activation {
            Activation::Tanh => apprentice_deploy::Activation::Tanh,
            Activation::Relu => apprentice_deploy::Activation::Relu,
            Activation::Gelu => apprentice_deploy::Activation::Gelu,
        };
        let (inputs, units) = (self.observation_space.feature_dim(), self.gru_hidden_size);
        let gru = (units > 0).then(|| GruCell {
            weight_x: take(inputs * 3 * units),
            bias_x: take(3 * units),
            weight_h: take(units * 3 * units),
            bias_h: take(3 * units),
        });
        let mut network = |sizes: Vec<usize>| -> Vec<Layer> {
            let last = sizes.len() - 2;
            let layer = |(i, pair): (usize, &[usize])| Layer {
                weight: take(pair[0] * pair[1]),
                bias: take(pair[1]),
                activation: if i < last { hidden } else { apprentice_deploy::Activation::Identity },
            };
            sizes.windows(2).enumerate().map(layer).collect()
        };
        let (actor, critic) = (network(self.actor_sizes()), network(self.critic_sizes()));
        Networks { gru, actor, critic, log_std: take(self.num_log_stds()) }
    }
}

/// An actor and a critic by their numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Networks {
    /// The memory that both read, if there is one.
    pub gru: Option<GruCell>,
    /// The actor's layers.
    pub actor: Vec<Layer>,
    /// The critic's layers.
    pub critic: Vec<Layer>,
    /// The logarithms of the standard deviations that do not depend on the state.
    pub log_std: Vec<f32>,
}

impl Networks {
    /// The row that they were cut out of: the inverse of [`Architecture::networks`].
    pub fn to_parameters(&self) -> Vec<f32> {
        let Self { gru, actor, critic, log_std } = self;
        let cell = gru.iter().flat_map(|cell| [&cell.weight_x, &cell.bias_x, &cell.weight_h, &cell.bias_h]);
        let layers = actor.iter().chain(critic).flat_map(|layer| [&layer.weight, &layer.bias]);
        cell.chain(layers).chain([log_std]).flatten().copied().collect()
    }

    /// What acts: the actor with its memory.
    pub fn into_body(self) -> Body {
        match self.gru {
            Some(cell) => Gru { cell, layers: self.actor }.into(),
            None => self.actor.into(),
        }
    }
}
