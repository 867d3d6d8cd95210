//! The fused engine: PPO on perceptrons on the CPU, with hand-derived gradients over one arena of parameters.
//!
//! A network of a few thousand parameters fits into the first-level cache, and a tensor library spends most of its
//! time on it with dispatch, allocation and a scalar tanh. Here a minibatch goes through in blocks: forward, loss,
//! backward, in buffers that are kept.

mod distribution;
mod elementary;
mod loss;
mod network;
mod peak;
mod simd;

pub use peak::peak_flops;

use crate::encoder::{Encoder, Input, Inputs};
use crate::{
    ActorCritic, Architecture, Behavior, Engine, EngineChoice, Error, Objective, OptimizerConfig, OutputBlock,
    OutputLoss, Samples, UpdateStats,
};
use apprentice_deploy::Normalizer;
use apprentice_envs::Generator;
use burn::tensor::Device;
use loss::LossBlock;
use ndarray::{ArrayView2, ArrayViewMut2};
use network::{Gradients, Network, Trace};
use simd::{AdamRates, AdamState, BETA_1, BETA_2, Level};

/// Samples that go forward and backward together: their activations stay in the second-level cache.
const BLOCK: usize = 64;

/// An actor-critic pair with AdamW, all parameters in one row.
pub struct Fused {
    architecture: Architecture,
    encoder: Encoder,
    actor: Network,
    critic: Network,
    /// Where in the parameters the logarithms of standard deviations begin, if there are any.
    log_std: usize,
    level: Level,
    optimizer: OptimizerConfig,
    /// Parameters, their gradients, and Adam's two moments, in the layout of [`Engine::parameters`].
    parameters: Vec<f32>,
    grads: Vec<f32>,
    moment_1: Vec<f32>,
    moment_2: Vec<f32>,
    /// Adam steps taken.
    time: u64,
    inputs: Inputs,
    actor_trace: Trace,
    critic_trace: Trace,
    output_grads: Vec<f32>,
    value_grads: Vec<f32>,
    /// `[params][samples]`: room for the parameters of the distributions.
    params: Vec<[f32; BLOCK]>,
    other: OtherLoss,
}

/// Room for the rows that a loss beside PPO's reads and writes.
#[derive(Default)]
struct OtherLoss {
    /// Parameters of a distribution.
    width: usize,
    /// `[samples × params]`.
    params: Vec<f32>,
    param_grads: Vec<f32>,
    value_grads: Vec<f32>,
}

impl OtherLoss {
    /// Adds the gradient of `loss` in the outputs of a block of samples, which begins with the sample `first`; returns what
    /// they add to the loss. Outputs and gradients are those of the actor `[samples × outputs]`, of the logarithms of
    /// standard deviations that do not depend on the state, and of the critic `[samples]`.
    fn add_gradients(
        &mut self,
        loss: &dyn OutputLoss,
        first: usize,
        (outputs, log_std, values): (&[f32], &[f32], &[f32]),
        (output_grads, log_std_grads, value_grads): (&mut [f32], &mut [f32], &mut [f32]),
    ) -> f64 {
        let width = self.width;
        let row = width - log_std.len();
        self.params.clear();
        outputs.chunks_exact(row).for_each(|outputs| {
            self.params.extend_from_slice(outputs);
            self.params.extend_from_slice(log_std);
        });
        self.param_grads.clear();
        self.param_grads.resize(self.params.len(), 0.0);
        self.value_grads.clear();
        self.value_grads.resize(values.len(), 0.0);
        let loss = loss.gradients(OutputBlock {
            first,
            params: &self.params,
            values,
            param_grads: &mut self.param_grads,
            value_grads: &mut self.value_grads,
        });
        let add = |to: &mut [f32], from: &[f32]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        for (to, from) in output_grads.chunks_exact_mut(row).zip(self.param_grads.chunks_exact(width)) {
            add(to, &from[..row]);
            add(log_std_grads, &from[row..]);
        }
        add(value_grads, &self.value_grads);
        loss
    }
}

impl Fused {
    /// An engine with the same fresh weights as [`Learner::new`](crate::Learner::new) with the same generator.
    pub fn new(architecture: &Architecture, optimizer: &OptimizerConfig, rng: &mut Generator) -> Self {
        let network = ActorCritic::new(architecture, rng, &Device::flex().autodiff());
        let parameters = network.flat_parameters();
        let (actor, end) = Network::new(&architecture.actor_sizes(), architecture.activation, 0);
        let (critic, log_std) = Network::new(&architecture.critic_sizes(), architecture.activation, end);
        let zeros = vec![0.0; parameters.len()];
        let mut fused = Self {
            architecture: architecture.clone(),
            encoder: Encoder::new(architecture.observation_space.clone()),
            actor,
            critic,
            log_std,
            level: Level::detect(),
            optimizer: *optimizer,
            parameters,
            grads: zeros.clone(),
            moment_1: zeros.clone(),
            moment_2: zeros,
            time: 0,
            inputs: Inputs::default(),
            actor_trace: Trace::default(),
            critic_trace: Trace::default(),
            output_grads: Vec::new(),
            value_grads: Vec::new(),
            params: vec![[0.0; BLOCK]; architecture.distribution.num_params()],
            other: OtherLoss { width: architecture.distribution.num_params(), ..OtherLoss::default() },
        };
        fused.transpose();
        fused
    }

    /// Writes the gradient of the loss of `batch` into `grads`; returns the parts of the loss.
    fn compute_gradient(&mut self, batch: &Samples, objective: &Objective<'_>) -> UpdateStats {
        debug_assert!(!objective.other.is_some_and(|other| other.wants_features()), "features are for burn");
        self.encoder.encode(batch.observations.view(), &mut self.inputs);
        self.grads.fill(0.0);
        let mut stats = UpdateStats::default();
        let wants_values = objective.wants_values();
        for (i, (x, samples)) in self.encoder.blocks(&self.inputs, BLOCK).enumerate() {
            self.actor.forward(self.level, &self.parameters, x, samples, &mut self.actor_trace);
            let trunk = self.actor_trace.hidden().filter(|_| self.architecture.shared_trunk).map(Input::Dense);
            let critic_x = trunk.unwrap_or(x);
            if wants_values {
                self.critic.forward(self.level, &self.parameters, critic_x, samples, &mut self.critic_trace);
            }
            self.output_grads.clear();
            self.output_grads.resize(self.actor_trace.output().len(), 0.0);
            self.value_grads.clear();
            self.value_grads.resize(if wants_values { samples } else { 0 }, 0.0);
            if let Some(coefs) = &objective.ppo {
                self.level.loss_gradients(LossBlock {
                    distribution: &self.architecture.distribution,
                    outputs: self.actor_trace.output(),
                    log_std: &self.parameters[self.log_std..],
                    values: self.critic_trace.output(),
                    batch,
                    first: i * BLOCK,
                    coefs,
                    stats: &mut stats,
                    output_grads: &mut self.output_grads,
                    log_std_grads: &mut self.grads[self.log_std..],
                    value_grads: &mut self.value_grads,
                    params: &mut self.params,
                });
            }
            if let Some(other) = objective.other {
                let values = if wants_values { self.critic_trace.output() } else { &[] };
                stats.other_loss += self.other.add_gradients(
                    other,
                    i * BLOCK,
                    (self.actor_trace.output(), &self.parameters[self.log_std..], values),
                    (&mut self.output_grads, &mut self.grads[self.log_std..], &mut self.value_grads),
                );
            }
            let (grads, shared) = (&mut self.grads, trunk.is_some() && wants_values);
            if wants_values {
                let from = Gradients { output: &self.value_grads, head: None, inputs: shared };
                self.critic.backward(self.level, grads, critic_x, from, &mut self.critic_trace);
            }
            let head = shared.then(|| self.critic_trace.input_grad());
            let from = Gradients { output: &self.output_grads, head, inputs: false };
            self.actor.backward(self.level, grads, x, from, &mut self.actor_trace);
        }
        if let Some(anchor) = objective.anchor {
            let pull = |(i, parameter)| anchor.pull(i, parameter);
            let pulls = self.parameters.iter().copied().enumerate().map(pull);
            self.grads.iter_mut().zip(pulls).for_each(|(grad, pull)| *grad += pull);
        }
        stats
    }

    /// The gradient's norm over all parameters, and the factor that brings it down to the largest one allowed.
    fn grad_norm(&self) -> (f32, f32) {
        let mut square = [0.0];
        self.level.gemm_narrow(&self.grads, &self.grads, &[0.0], &mut square);
        let norm = square[0].sqrt();
        // PyTorch's clip_grad_norm_, its 1e-6 included.
        (norm, (self.optimizer.max_grad_norm / (norm + 1e-6)).min(1.0))
    }

    /// One AdamW step along the gradient times `grad_scale`, with ε outside the corrected root as in PyTorch.
    fn adam(&mut self, learning_rate: f32, grad_scale: f32) {
        self.time += 1;
        let time = i32::try_from(self.time).unwrap_or(i32::MAX);
        let root = (1.0 - BETA_2.powi(time)).sqrt();
        let state = AdamState {
            parameters: &mut self.parameters,
            grads: &self.grads,
            moment_1: &mut self.moment_1,
            moment_2: &mut self.moment_2,
        };
        let rate = learning_rate * root / (1.0 - BETA_1.powi(time));
        let keep = 1.0 - learning_rate * self.optimizer.weight_decay;
        self.level.adam(state, AdamRates { grad_scale, rate, epsilon: self.optimizer.adam_epsilon * root, keep });
        self.transpose();
    }

    /// Brings the transposed weights up to date; to be called whenever parameters have changed.
    fn transpose(&mut self) {
        self.actor.transpose(self.level, &self.parameters, &mut self.actor_trace);
        self.critic.transpose(self.level, &self.parameters, &mut self.critic_trace);
    }
}

impl Behavior for Fused {
    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        _: ArrayViewMut2<'_, f32>,
        mut params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        self.encoder.encode(observations, &mut self.inputs);
        let log_std = &self.parameters[self.log_std..];
        let mut rows = params.rows_mut().into_iter();
        for (x, samples) in self.encoder.blocks(&self.inputs, BLOCK) {
            self.actor.forward(self.level, &self.parameters, x, samples, &mut self.actor_trace);
            let outputs = self.actor_trace.output();
            // In this order: the longer iterator is asked last, so that it loses nothing.
            for (outputs, row) in outputs.chunks_exact(outputs.len() / samples).zip(rows.by_ref()) {
                row.into_iter().zip(outputs.iter().chain(log_std)).for_each(|(to, from)| *to = *from);
            }
        }
        Ok(())
    }

    fn values(&mut self, observations: ArrayView2<'_, f32>, _: ArrayView2<'_, f32>, values: &mut [f32]) {
        self.encoder.encode(observations, &mut self.inputs);
        for ((x, samples), values) in self.encoder.blocks(&self.inputs, BLOCK).zip(values.chunks_mut(BLOCK)) {
            let mut x = x;
            if self.architecture.shared_trunk {
                self.actor.forward(self.level, &self.parameters, x, samples, &mut self.actor_trace);
                x = self.actor_trace.hidden().map_or(x, Input::Dense);
            }
            self.critic.forward(self.level, &self.parameters, x, samples, &mut self.critic_trace);
            values.copy_from_slice(self.critic_trace.output());
        }
    }
}

impl Engine for Fused {
    fn choice(&self) -> EngineChoice {
        EngineChoice::Fused
    }

    fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    fn set_normalizer(&mut self, normalizer: Option<Normalizer>) {
        self.encoder.set_normalizer(normalizer);
    }

    fn parameters(&self) -> Vec<f32> {
        self.parameters.clone()
    }

    fn update(&mut self, batch: &Samples, learning_rate: f64, objective: &Objective<'_>) -> UpdateStats {
        let mut stats = self.compute_gradient(batch, objective);
        let (norm, grad_scale) = self.grad_norm();
        self.adam(learning_rate as f32, grad_scale);
        stats.grad_norm = f64::from(norm);
        stats
    }

    fn gradient(&mut self, batch: &Samples, objective: &Objective<'_>) -> Vec<f32> {
        self.compute_gradient(batch, objective);
        self.grads.clone()
    }

    /// Steps taken as u64, then both moments as f32, little endian.
    fn optimizer_state(&self) -> Result<Vec<u8>, Error> {
        let moments = self.moment_1.iter().chain(&self.moment_2).flat_map(|x| x.to_le_bytes());
        Ok(self.time.to_le_bytes().into_iter().chain(moments).collect())
    }

    fn restore(&mut self, parameters: &[f32], optimizer_state: Vec<u8>) -> Result<(), Error> {
        let n = self.parameters.len();
        let (time, moments) = match optimizer_state.split_first_chunk::<8>() {
            Some(parts) if parameters.len() == n && parts.1.len() == 8 * n => parts,
            _ => {
                return Err(Error::corrupt(format!(
                    "the checkpoint is of another network: expected {n} parameters and {} bytes of optimiser state, got {} \
                     and {}",
                    8 + 8 * n,
                    parameters.len(),
                    optimizer_state.len()
                )));
            }
        };
        let moments: Vec<f32> = moments.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        self.time = u64::from_le_bytes(*time);
        self.parameters.copy_from_slice(parameters);
        self.moment_1.copy_from_slice(&moments[..n]);
        self.moment_2.copy_from_slice(&moments[n..]);
        self.transpose();
        Ok(())
    }
}
