//! The fused engine: PPO on perceptrons on the CPU, with hand-derived gradients over one arena of parameters.
//!
//! A network of a few thousand parameters fits into the first-level cache, and a tensor library spends most of its
//! time on it with dispatch, allocation and a scalar tanh. Here a minibatch goes through in blocks: forward, loss,
//! backward, in buffers that are kept.

mod elementary;
mod loss;
mod network;
mod peak;
mod simd;

pub use peak::peak_flops;

use crate::{ActorCritic, Architecture, Behavior, Engine, EngineChoice, Error, LossCoefs, Samples, UpdateStats};
use apprentice_envs::Generator;
use burn::tensor::Device;
use loss::LossBlock;
use ndarray::{ArrayView2, ArrayViewMut2};
use network::{Network, Trace};
use simd::{AdamRates, AdamState, BETA_1, BETA_2, Level};

/// Samples that go forward and backward together: their activations stay in the second-level cache.
const BLOCK: usize = 64;

/// An actor-critic pair with Adam, all parameters in one row.
pub struct Fused {
    architecture: Architecture,
    actor: Network,
    critic: Network,
    level: Level,
    adam_epsilon: f32,
    max_grad_norm: f32,
    /// Parameters, their gradients, and Adam's two moments, in the layout of [`Engine::parameters`].
    parameters: Vec<f32>,
    grads: Vec<f32>,
    moment_1: Vec<f32>,
    moment_2: Vec<f32>,
    /// Adam steps taken.
    time: u64,
    features: Vec<f32>,
    actor_trace: Trace,
    critic_trace: Trace,
    logit_grads: Vec<f32>,
    value_grads: Vec<f32>,
    /// `[actions][samples]`.
    log_probs: Vec<[f32; BLOCK]>,
}

impl Fused {
    /// An engine with the same fresh weights as [`Learner::new`](crate::Learner::new) with the same generator.
    pub fn new(architecture: &Architecture, adam_epsilon: f32, max_grad_norm: f32, rng: &mut Generator) -> Self {
        let network = ActorCritic::new(architecture, rng, &Device::flex().autodiff());
        let parameters = network.flat_parameters();
        let (actor, end) = Network::new(&architecture.actor_sizes(), architecture.activation, 0);
        let (critic, _) = Network::new(&architecture.critic_sizes(), architecture.activation, end);
        let zeros = vec![0.0; parameters.len()];
        let mut fused = Self {
            architecture: architecture.clone(),
            actor,
            critic,
            level: Level::detect(),
            adam_epsilon,
            max_grad_norm,
            parameters,
            grads: zeros.clone(),
            moment_1: zeros.clone(),
            moment_2: zeros,
            time: 0,
            features: Vec::new(),
            actor_trace: Trace::default(),
            critic_trace: Trace::default(),
            logit_grads: Vec::new(),
            value_grads: Vec::new(),
            log_probs: vec![[0.0; BLOCK]; architecture.actions],
        };
        fused.transpose();
        fused
    }

    /// Lays flat rows out as feature rows.
    fn write_features(&mut self, observations: ArrayView2<'_, f32>) {
        let space = &self.architecture.observation_space;
        let width = space.feature_dim();
        self.features.resize(observations.nrows() * width, 0.0);
        for (flat, row) in observations.rows().into_iter().zip(self.features.chunks_exact_mut(width)) {
            match flat.as_slice() {
                Some(flat) => space.write_features(flat, row),
                None => space.write_features(&flat.to_vec(), row),
            }
        }
    }

    /// The gradient's norm over all parameters, and the factor that brings it down to the largest one allowed.
    fn grad_norm(&self) -> (f32, f32) {
        let mut square = [0.0];
        self.level.gemm_narrow(&self.grads, &self.grads, &[0.0], &mut square);
        let norm = square[0].sqrt();
        // PyTorch's clip_grad_norm_, its 1e-6 included.
        (norm, (self.max_grad_norm / (norm + 1e-6)).min(1.0))
    }

    /// One Adam step along the gradient times `grad_scale`, with ε outside the corrected root as in PyTorch.
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
        self.level.adam(state, AdamRates { grad_scale, rate, epsilon: self.adam_epsilon * root });
        self.transpose();
    }

    /// Brings the transposed weights up to date; to be called whenever parameters have changed.
    fn transpose(&mut self) {
        self.actor.transpose(self.level, &self.parameters, &mut self.actor_trace);
        self.critic.transpose(self.level, &self.parameters, &mut self.critic_trace);
    }
}

impl Behavior for Fused {
    fn logits(&mut self, observations: ArrayView2<'_, f32>, mut logits: ArrayViewMut2<'_, f32>) -> Result<(), Error> {
        self.write_features(observations);
        let mut to = logits.iter_mut();
        let width = self.architecture.observation_space.feature_dim();
        for x in self.features.chunks(BLOCK * width) {
            self.actor.forward(self.level, &self.parameters, x, x.len() / width, &mut self.actor_trace);
            // In this order: the longer iterator is asked last, so that it loses nothing.
            self.actor_trace.output().iter().zip(to.by_ref()).for_each(|(from, to)| *to = *from);
        }
        Ok(())
    }

    fn values(&mut self, observations: ArrayView2<'_, f32>, values: &mut [f32]) {
        self.write_features(observations);
        let width = self.architecture.observation_space.feature_dim();
        for (x, values) in self.features.chunks(BLOCK * width).zip(values.chunks_mut(BLOCK)) {
            self.critic.forward(self.level, &self.parameters, x, x.len() / width, &mut self.critic_trace);
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

    fn parameters(&self) -> Vec<f32> {
        self.parameters.clone()
    }

    fn update(&mut self, batch: &Samples, learning_rate: f64, coefs: &LossCoefs) -> UpdateStats {
        self.write_features(batch.observations.view());
        self.grads.fill(0.0);
        let mut stats = UpdateStats::default();
        let (width, actions) = (self.architecture.observation_space.feature_dim(), self.architecture.actions);
        for (i, x) in self.features.chunks(BLOCK * width).enumerate() {
            let samples = x.len() / width;
            self.actor.forward(self.level, &self.parameters, x, samples, &mut self.actor_trace);
            self.critic.forward(self.level, &self.parameters, x, samples, &mut self.critic_trace);
            self.logit_grads.resize(samples * actions, 0.0);
            self.value_grads.resize(samples, 0.0);
            self.level.loss_gradients(LossBlock {
                logits: self.actor_trace.output(),
                values: self.critic_trace.output(),
                batch,
                first: i * BLOCK,
                coefs,
                stats: &mut stats,
                logit_grads: &mut self.logit_grads,
                value_grads: &mut self.value_grads,
                log_probs: &mut self.log_probs,
            });
            self.actor.backward(self.level, &mut self.grads, x, &self.logit_grads, &mut self.actor_trace);
            self.critic.backward(self.level, &mut self.grads, x, &self.value_grads, &mut self.critic_trace);
        }
        let (norm, grad_scale) = self.grad_norm();
        self.adam(learning_rate as f32, grad_scale);
        stats.grad_norm = f64::from(norm);
        stats
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
