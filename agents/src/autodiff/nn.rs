//! Networks: the multi-layer perceptron, and an actor and a critic side by side.

use crate::{Activation, Architecture, Gru};
use apprentice_deploy::{Distribution, GruCell};
use apprentice_envs::Generator;
use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand_distr::{Distribution as _, StandardNormal};

/// A multi-layer perceptron: linear layers with an activation after each but the last.
///
/// # Shapes
/// `[batch, inputs]` → `[batch, outputs]`
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    activation: Activation,
    /// Whether weights are rounded to 8 bits before they are used.
    #[module(skip)]
    int8_weights: bool,
}

impl Mlp {
    /// A network with `sizes` = `[inputs, hidden…, outputs]`, weights orthogonal with gain √2 in hidden layers and
    /// `output_gain` in the last, biases zero (the initialisation of CleanRL and Stable-Baselines3).
    ///
    /// Parameters are numbered from `first_id`, so that optimiser state is stored under the same names in every run.
    pub fn new(
        sizes: &[usize],
        activation: Activation,
        output_gain: f32,
        first_id: u64,
        rng: &mut Generator,
        device: &Device,
    ) -> Self {
        let last = sizes.len() - 2;
        let layer = |(i, pair): (usize, &[usize])| {
            let gain = if i == last { output_gain } else { std::f32::consts::SQRT_2 };
            let weight = orthogonal(pair[0], pair[1], gain, rng);
            linear(weight, vec![0.0; pair[1]], first_id + 2 * i as u64, device)
        };
        Self { layers: sizes.windows(2).enumerate().map(layer).collect(), activation, int8_weights: false }
    }

    /// The outputs for a batch of inputs.
    pub fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.apply(self.layers.last().expect("an Mlp has at least one layer"), self.hidden(inputs))
    }

    fn apply(&self, layer: &Linear, inputs: Tensor<2>) -> Tensor<2> {
        match self.int8_weights {
            true => {
                burn::tensor::module::linear(inputs, rounded(layer.weight.val()), layer.bias.as_ref().map(Param::val))
            }
            false => layer.forward(inputs),
        }
    }

    /// The outputs of the last hidden layer, `[batch, units]`; the inputs if there is none.
    pub fn hidden(&self, inputs: Tensor<2>) -> Tensor<2> {
        let activate = |x| match self.activation {
            Activation::Tanh => activation::tanh(x),
            Activation::Relu => activation::relu(x),
            Activation::Gelu => activation::gelu_approximate(x),
        };
        let hidden = &self.layers[..self.layers.len() - 1];
        hidden.iter().fold(inputs, |x, layer| activate(self.apply(layer, x)))
    }

    /// Weight `[inputs × outputs, row-major]` and bias of every layer.
    fn weights(&self) -> Vec<(Vec<f32>, Vec<f32>)> {
        let layer = |layer: &Linear| {
            let bias = layer.bias.as_ref().expect("every layer has a bias");
            (to_vec(layer.weight.val()), to_vec(bias.val()))
        };
        self.layers.iter().map(layer).collect()
    }

    /// The same architecture with other parameters, in the layout of [`weights`](Self::weights).
    fn with_weights(&self, weights: impl IntoIterator<Item = (Vec<f32>, Vec<f32>)>, device: &Device) -> Self {
        let layer = |(old, (weight, bias)): (&Linear, _)| {
            let [inputs, outputs] = old.weight.dims();
            linear((weight, inputs, outputs), bias, old.weight.id.val(), device)
        };
        Self { layers: self.layers.iter().zip(weights).map(layer).collect(), ..self.clone() }
    }
}

/// A policy network (actor) and a value network (critic), which share nothing, or the hidden layers. If there is a memory,
/// both read what it remembers, and nothing else.
#[derive(Module, Debug)]
pub struct ActorCritic {
    /// The memory: features → what the networks read.
    pub gru: Option<Gru>,
    /// `[batch, features]` → `[batch, outputs]`.
    pub actor: Mlp,
    /// `[batch, features]` → `[batch, 1]`: the value of the state. With a shared trunk it reads hidden units instead.
    pub critic: Mlp,
    /// `[dim]`: logarithms of the standard deviations of a Gaussian policy, where they do not depend on the state.
    pub log_std: Option<Param<Tensor<1>>>,
    /// Whether the critic reads the actor's last hidden layer.
    #[module(skip)]
    shared_trunk: bool,
}

impl ActorCritic {
    /// Fresh networks: gain 0.01 on the policy's output, 1 on the value's.
    pub fn new(shape: &Architecture, rng: &mut Generator, device: &Device) -> Self {
        let critic_id = 1 + 2 * (shape.hidden.len() as u64 + 1);
        let mut actor = Mlp::new(&shape.actor_sizes(), shape.activation, 0.01, 1, rng, device);
        actor.int8_weights = shape.int8_weights;
        let critic = Mlp::new(&shape.critic_sizes(), shape.activation, 1.0, critic_id, rng, device);
        let log_std = vec![shape.log_std_init; shape.num_log_stds()];
        let log_std = (!log_std.is_empty()).then(|| vector(log_std, 2 * critic_id - 1, device));
        let gru = (shape.gru_hidden_size > 0).then(|| {
            let inputs = shape.observation_space.feature_dim();
            Gru::new(inputs, shape.gru_hidden_size, 2 * critic_id, rng, device)
        });
        let network = Self { gru, actor, critic, log_std, shared_trunk: shape.shared_trunk };
        match &shape.distribution {
            Distribution::Gaussian { dim, .. } if shape.state_dependent_std => {
                let mut parameters = network.flat_parameters();
                let end = shape.gru_parameters() + shape.actor_parameters();
                parameters[end - dim..end].fill(shape.log_std_init);
                network.with_flat_parameters(&parameters, device).expect("as many parameters as before")
            }
            _ => network,
        }
    }

    /// What the networks read in every step of some sequences: what the memory remembers, or the features as they are if
    /// there is none. See [`Gru::sequence`].
    pub fn recall(&self, features: Tensor<2>, memory: Option<Tensor<2>>, starts: &[bool]) -> Tensor<2> {
        match (&self.gru, memory) {
            (Some(gru), Some(memory)) => gru.sequence(features, memory, starts),
            _ => features,
        }
    }

    /// The parameters of the action distributions: `[batch, inputs]`, as [recalled](Self::recall) → `[batch, params]`.
    pub fn policy(&self, inputs: Tensor<2>) -> Tensor<2> {
        let outputs = self.actor.forward(inputs);
        match &self.log_std {
            Some(log_std) => {
                let [samples, dim] = outputs.dims();
                let log_std = log_std.val().unsqueeze::<2>().expand([samples, dim]);
                Tensor::cat(vec![outputs, log_std], 1)
            }
            None => outputs,
        }
    }

    /// The values of states: `[batch, inputs]`, as [recalled](Self::recall) → `[batch]`.
    pub fn value(&self, inputs: Tensor<2>) -> Tensor<1> {
        let inputs = if self.shared_trunk { self.actor.hidden(inputs) } else { inputs };
        self.critic.forward(inputs).squeeze_dim(1)
    }

    /// All parameters in one row: the memory's weight and bias of inputs, then those of what is remembered; the actor's
    /// layers, then the critic's, each weight before its bias; then the logarithms of the standard deviations.
    pub fn flat_parameters(&self) -> Vec<f32> {
        let memory =
            self.gru.iter().map(Gru::cell).flat_map(|GruCell { weight_x, bias_x, weight_h, bias_h }| {
                [weight_x, bias_x, weight_h, bias_h].concat()
            });
        let layers = self.actor.weights().into_iter().chain(self.critic.weights());
        let log_std = self.log_std.iter().flat_map(|log_std| to_vec(log_std.val()));
        memory.chain(layers.flat_map(|(weight, bias)| weight.into_iter().chain(bias))).chain(log_std).collect()
    }

    /// The same architecture with the parameters of [`flat_parameters`](Self::flat_parameters); None if their
    /// number is not the right one.
    pub fn with_flat_parameters(&self, parameters: &[f32], device: &Device) -> Option<Self> {
        if parameters.len() != self.num_params() {
            return None;
        }
        let mut rest = parameters;
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at(n);
            rest = tail;
            head.to_vec()
        };
        let gru = self.gru.as_ref().map(|gru| {
            let GruCell { weight_x, bias_x, weight_h, bias_h } = gru.cell();
            let [weight_x, bias_x, weight_h, bias_h] =
                [weight_x, bias_x, weight_h, bias_h].map(|part| take(part.len()));
            gru.with_cell(GruCell { weight_x, bias_x, weight_h, bias_h }, device)
        });
        let mut load = |mlp: &Mlp| {
            let shapes = mlp.layers.iter().map(|layer| layer.weight.dims());
            let weights: Vec<_> = shapes.map(|[inputs, outputs]| (take(inputs * outputs), take(outputs))).collect();
            mlp.with_weights(weights, device)
        };
        let (actor, critic) = (load(&self.actor), load(&self.critic));
        let log_std = self.log_std.as_ref().map(|old| vector(take(old.dims()[0]), old.id.val(), device));
        Some(Self { gru, actor, critic, log_std, shared_trunk: self.shared_trunk })
    }
}

/// Weights `[inputs, outputs]` rounded as by [`apprentice_deploy::round_to_int8`]; the gradient passes straight through.
fn rounded(weight: Tensor<2>) -> Tensor<2> {
    let as_they_are = weight.clone().detach();
    let step = as_they_are.clone().abs().max_dim(0).div_scalar(127.0).clamp_min(f32::MIN_POSITIVE);
    let rounded = as_they_are.clone().div(step.clone()).round().mul(step);
    weight + (rounded - as_they_are)
}

fn vector(values: Vec<f32>, id: u64, device: &Device) -> Param<Tensor<1>> {
    let length = values.len();
    let values = Tensor::from_data(TensorData::new(values, [length]), device);
    Param::initialized(ParamId::from(id), values.require_grad())
}

pub(crate) fn linear(
    (weight, inputs, outputs): (Vec<f32>, usize, usize),
    bias: Vec<f32>,
    id: u64,
    device: &Device,
) -> Linear {
    let weight = Tensor::from_data(TensorData::new(weight, [inputs, outputs]), device);
    Linear {
        weight: Param::initialized(ParamId::from(id), weight.require_grad()),
        bias: Some(vector(bias, id + 1, device)),
    }
}

pub(crate) fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("parameters are f32")
}

/// An `[inputs × outputs]` matrix with orthonormal rows or columns (whichever are fewer), times `gain`.
///
/// Modified Gram–Schmidt on a matrix of normal draws, in f64. It gives the QR factor whose R has a positive
/// diagonal, which is the one that makes the result uniform over orthogonal matrices (Mezzadri 2007).
pub(crate) fn orthogonal(inputs: usize, outputs: usize, gain: f32, rng: &mut Generator) -> (Vec<f32>, usize, usize) {
    let (count, length) = (inputs.min(outputs), inputs.max(outputs));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| StandardNormal.sample(rng)).collect();
        for previous in &vectors {
            let dot: f64 = vector.iter().zip(previous).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(previous).for_each(|(x, p)| *x -= dot * p);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        // A draw that lies in the span of the others has no direction of its own; draw again.
        if norm > 1e-6 {
            vector.iter_mut().for_each(|x| *x /= norm);
            vectors.push(vector);
        }
    }
    let entry = |row: usize, column: usize| if inputs <= outputs { vectors[row][column] } else { vectors[column][row] };
    let weight = (0..inputs * outputs).map(|i| gain * entry(i / outputs, i % outputs) as f32).collect();
    (weight, inputs, outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_weights_are_orthogonal_with_the_gain() {
        for (inputs, outputs) in [(4, 64), (64, 4), (8, 8), (1, 3)] {
            let (weight, ..) = orthogonal(inputs, outputs, 2.0, &mut Generator::new(0));
            let at = |row: usize, column: usize| weight[row * outputs + column];
            let count = inputs.min(outputs);
            for a in 0..count {
                for b in 0..count {
                    let dot: f32 = (0..inputs.max(outputs))
                        .map(|i| if inputs <= outputs { at(a, i) * at(b, i) } else { at(i, a) * at(i, b) })
                        .sum();
                    assert!((dot - if a == b { 4.0 } else { 0.0 }).abs() < 1e-5, "{inputs}×{outputs}: {a}·{b} = {dot}");
                }
            }
        }
    }

    /// √2 in hidden layers, 0.01 on the policy's output, so that a fresh policy is nearly uniform, and 1 on the value's.
    #[test]
    fn every_layer_has_its_gain() {
        let shape = Architecture::categorical(apprentice_envs::Space::discrete(4), 3, &[8, 8], Activation::Tanh);
        let network = ActorCritic::new(&shape, &mut Generator::new(0), &Device::flex().autodiff());
        // The columns of a wide-to-narrow layer are orthonormal times the gain.
        let gain = |layer: &(Vec<f32>, Vec<f32>)| {
            let outputs = layer.1.len();
            layer.0.iter().step_by(outputs).map(|w| w * w).sum::<f32>().sqrt()
        };
        for (mlp, last) in [(&network.actor, 0.01), (&network.critic, 1.0)] {
            let layers = mlp.weights();
            assert!((gain(&layers[1]) - std::f32::consts::SQRT_2).abs() < 1e-5);
            assert!((gain(&layers[2]) - last).abs() < 1e-6, "{}", gain(&layers[2]));
            assert!(layers.iter().all(|(_, bias)| bias.iter().all(|b| *b == 0.0)));
        }
    }

    #[test]
    fn parameters_survive_the_way_out_and_in() {
        let device = Device::flex().autodiff();
        let categorical = Architecture::categorical(apprentice_envs::Space::discrete(3), 2, &[5, 4], Activation::Tanh);
        let gaussian = Architecture {
            distribution: Distribution::Gaussian { dim: 2, squash: false },
            log_std_init: -0.7,
            ..categorical.clone()
        };
        let dependent = Architecture { state_dependent_std: true, ..gaussian.clone() };
        for (shape, log_stds) in [(categorical, None), (gaussian, Some(103..105)), (dependent, Some(62..64))] {
            let new = |seed| ActorCritic::new(&shape, &mut Generator::new(seed), &device);
            let (first, second) = (new(1), new(2));
            assert_ne!(first.flat_parameters(), second.flat_parameters());
            let copied = second.with_flat_parameters(&first.flat_parameters(), &device).unwrap();
            assert_eq!(first.flat_parameters(), copied.flat_parameters());
            assert!(second.with_flat_parameters(&[0.0], &device).is_none());
            let params = log_stds.map(|range| first.flat_parameters()[range].to_vec());
            assert!(params.is_none_or(|log_stds| log_stds == [-0.7; 2]));
        }
    }
}
