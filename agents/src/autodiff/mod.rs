//! The engine that differentiates for itself: networks as burn's modules, on any device. It is the reference that the
//! [fused](crate::fused) one is held to.

mod gradients;
mod gru;
mod loss;
mod nn;

pub use gru::Gru;
pub use loss::{Minibatch, PpoLoss, clamp_log_std, log_prob_and_entropy, ppo_loss};
pub use nn::{ActorCritic, Mlp};

use crate::encoder::Encoder;
use crate::{
    Architecture, Behavior, Engine, EngineChoice, Error, Objective, Optimizer, OptimizerConfig, Samples, UpdateStats,
};
use apprentice_deploy::Normalizer;
use apprentice_envs::Generator;
use burn::module::{Module, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, GradientsParams, ModuleOptimizer, MuonConfig};
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use gradients::{clip_grad_norm, flat, pull};
use ndarray::{ArrayView2, ArrayViewMut2};
use nn::to_vec;

/// An actor-critic network with AdamW and one global gradient norm.
///
/// Any loss that burn can differentiate can be minimised with [`step`](Self::step).
pub struct Learner {
    network: ActorCritic,
    optimizer: ModuleOptimizer,
    max_grad_norm: f32,
    device: Device,
    architecture: Architecture,
    encoder: Encoder,
    /// The network without its tape, made when it is first asked to act after an update.
    inference: Option<ActorCritic>,
}

impl Learner {
    /// A learner with fresh weights from `rng`.
    pub fn new(shape: &Architecture, optimizer: &OptimizerConfig, rng: &mut Generator, device: &Device) -> Self {
        let device = device.clone().autodiff();
        let adam = AdamWConfig::new().with_epsilon(optimizer.adam_epsilon).with_weight_decay(optimizer.weight_decay);
        Self {
            network: ActorCritic::new(shape, rng, &device),
            optimizer: match optimizer.optimizer {
                Optimizer::AdamW => adam.init(),
                Optimizer::Muon => {
                    let between = |network: &str| {
                        let network = network.to_owned();
                        (1..shape.hidden.len()).map(move |i| format!("{network}.layers.{i}.weight"))
                    };
                    let between = ParamGroup::from_paths(between("actor").chain(between("critic")).collect());
                    let decay = WeightDecayConfig::new(optimizer.weight_decay);
                    let muon = MuonConfig::new().with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
                    adam.init().with_group(between, muon.with_weight_decay(Some(decay)).build(), None)
                }
            },
            max_grad_norm: optimizer.max_grad_norm,
            device,
            architecture: shape.clone(),
            encoder: Encoder::new(shape.observation_space.clone()),
            inference: None,
        }
    }

    /// The networks, on the autodiff device.
    pub fn network(&self) -> &ActorCritic {
        &self.network
    }

    /// The networks for inference only.
    fn inference(&mut self) -> &ActorCritic {
        self.inference.get_or_insert_with(|| self.network.valid())
    }

    /// Takes one Adam step on a loss of the networks, its gradient clipped to the global norm.
    ///
    /// `loss` gets the networks and returns the scalar to minimise, with anything else the caller wants back.
    /// Also returns the gradient's norm before clipping.
    pub fn step<S>(&mut self, learning_rate: f64, loss: impl FnOnce(&ActorCritic) -> (Tensor<1>, S)) -> (S, f32) {
        let (loss, extra) = loss(&self.network);
        let grads = GradientsParams::from_grads(loss.backward(), &self.network);
        (extra, self.descend(learning_rate, grads))
    }

    /// Takes an Adam step along a gradient, clipped to the global norm. Returns its norm before.
    fn descend(&mut self, learning_rate: f64, grads: GradientsParams) -> f32 {
        let (grads, norm) = clip_grad_norm(grads, &self.network, self.max_grad_norm);
        self.network = self.optimizer.step(learning_rate, self.network.clone(), grads);
        self.inference = None;
        norm
    }

    /// The gradient of the loss of `batch`, and the parts of the loss. With a learning rate what the loss has of its own
    /// learns.
    fn compute_gradient(
        &self,
        batch: &Samples,
        objective: &Objective<'_>,
        learning_rate: Option<f64>,
    ) -> (GradientsParams, UpdateStats) {
        let memory = self.remembers().then(|| self.tensor2(batch.memory.view()));
        let starts = &batch.starts;
        let (features, batch) = match objective.ppo {
            Some(coefs) => {
                let batch = self.minibatch(batch);
                (batch.features.clone(), Some((batch, coefs)))
            }
            None => (self.features(batch.observations.view()), None),
        };
        let distribution = self.architecture.distribution.clone();
        let network = &self.network;
        let (loss, parts) = {
            let inputs = network.recall(features, memory, starts);
            let params = network.policy(inputs.clone());
            // A critic that nobody asks has a gradient too, of zeros, so that its optimiser goes on like the actor's.
            let (values, unasked) = match network.value(inputs.clone()) {
                values if objective.wants_values() => (Some(values), None),
                values => (None, Some(values.sum().mul_scalar(0.0))),
            };
            let (mut total, mut parts) = (None, Vec::new());
            if let Some((batch, coefs)) = &batch {
                let values = values.clone().expect("PPO wants values");
                let loss = ppo_loss(&distribution, params.clone(), values, batch, coefs);
                parts.extend([loss.policy, loss.value, loss.entropy, loss.approx_kl, loss.clipfrac]);
                total = Some(loss.total);
            }
            if let Some(other) = objective.other {
                let mut loss = other.loss(params, values);
                if other.wants_features() {
                    loss = loss + other.feature_loss(network.actor.hidden(inputs.clone()));
                }
                parts.push(loss.clone());
                total = Some(total.map_or(loss.clone(), |total: Tensor<1>| total + loss));
            }
            let total = total.into_iter().chain(unasked).reduce(|total, loss| total + loss);
            let total = total.expect("an objective has at least one loss");
            (total, Tensor::cat(parts.into_iter().map(Tensor::detach).collect(), 0))
        };
        let mut gradients = loss.backward();
        if let Some((other, learning_rate)) = objective.other.zip(learning_rate) {
            other.learn(&mut gradients, learning_rate);
        }
        let mut grads = GradientsParams::from_grads(gradients, network);
        if let Some(anchor) = objective.anchor {
            grads = pull(grads, network, anchor);
        }
        let parts: Vec<f64> = to_vec(parts).into_iter().map(f64::from).collect();
        let mut stats = UpdateStats::default();
        if let [policy_loss, value_loss, entropy, approx_kl, clipfrac, ..] = parts[..] {
            stats = UpdateStats { policy_loss, value_loss, entropy, approx_kl, clipfrac, ..stats };
        }
        if objective.other.is_some() {
            stats.other_loss = *parts.last().expect("it was put in");
        }
        (grads, stats)
    }

    /// Flat rows of observations `[B, flat_dim]` as the features `[B, feature_dim]` that the networks of
    /// [`step`](Self::step) read.
    pub fn features(&self, observations: ArrayView2<'_, f32>) -> Tensor<2> {
        self.features_on(observations, &self.device)
    }

    /// What the networks read of `observations` after `memory`; the new memory, if there is one.
    fn recall(&mut self, observations: ArrayView2<'_, f32>, memory: ArrayView2<'_, f32>) -> Tensor<2> {
        let device = self.device.clone().inner();
        let features = self.features_on(observations, &device);
        let memory = self.remembers().then(|| rows_on(memory, &device));
        self.inference().recall(features, memory, &[])
    }

    fn remembers(&self) -> bool {
        self.architecture.gru_hidden_size > 0
    }

    fn features_on(&self, observations: ArrayView2<'_, f32>, device: &Device) -> Tensor<2> {
        let mut features = Vec::new();
        self.encoder.write(observations, &mut features);
        Tensor::from_data(TensorData::new(features, [observations.nrows(), self.encoder.width()]), device)
    }

    /// Host rows as a tensor that the networks of [`step`](Self::step) can be combined with.
    pub fn tensor2(&self, rows: ArrayView2<'_, f32>) -> Tensor<2> {
        rows_on(rows, &self.device)
    }

    /// Host values as a tensor that the networks of [`step`](Self::step) can be combined with.
    pub fn tensor1(&self, values: &[f32]) -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &self.device)
    }

    /// Samples as tensors that the networks of [`step`](Self::step) can be combined with.
    pub fn minibatch(&self, samples: &Samples) -> Minibatch {
        Minibatch {
            features: self.features(samples.observations.view()),
            actions: self.tensor2(samples.actions.view()),
            masks: (!samples.masks.is_empty()).then(|| {
                let masks =
                    TensorData::new(samples.masks.iter().copied().collect(), <[usize; 2]>::from(samples.masks.dim()));
                Tensor::from_data(masks, &self.device)
            }),
            log_probs: self.tensor1(&samples.log_probs),
            advantages: self.tensor1(&samples.advantages),
            returns: self.tensor1(&samples.returns),
            values: self.tensor1(&samples.values),
        }
    }
}

impl Behavior for Learner {
    fn memory_len(&self) -> usize {
        self.architecture.gru_hidden_size
    }

    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        _: Option<ArrayView2<'_, bool>>,
        mut memory: ArrayViewMut2<'_, f32>,
        mut params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        let inputs = self.recall(observations, memory.view());
        if self.remembers() {
            memory.iter_mut().zip(to_vec(inputs.clone())).for_each(|(to, from)| *to = from);
        }
        let output: Vec<f32> = to_vec(self.inference().policy(inputs));
        params.iter_mut().zip(output).for_each(|(to, from)| *to = from);
        Ok(())
    }

    fn values(&mut self, observations: ArrayView2<'_, f32>, memory: ArrayView2<'_, f32>, values: &mut [f32]) {
        let inputs = self.recall(observations, memory);
        values.copy_from_slice(&to_vec(self.inference().value(inputs)));
    }
}

impl Engine for Learner {
    fn choice(&self) -> EngineChoice {
        EngineChoice::Burn
    }

    fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    fn set_normalizer(&mut self, normalizer: Option<Normalizer>) {
        self.encoder.set_normalizer(normalizer);
    }

    fn parameters(&self) -> Vec<f32> {
        self.network.flat_parameters()
    }

    fn update(&mut self, batch: &Samples, learning_rate: f64, objective: &Objective<'_>) -> UpdateStats {
        let (grads, stats) = self.compute_gradient(batch, objective, Some(learning_rate));
        UpdateStats { grad_norm: f64::from(self.descend(learning_rate, grads)), ..stats }
    }

    fn gradient(&mut self, batch: &Samples, objective: &Objective<'_>) -> Vec<f32> {
        let (grads, _) = self.compute_gradient(batch, objective, None);
        flat(&grads, &self.network)
    }

    fn optimizer_state(&self) -> Result<Vec<u8>, Error> {
        let bytes = self.optimizer.into_bytes();
        Ok(bytes.map_err(|e| Error::corrupt(format!("the optimiser's state cannot be saved: {e}")))?.to_vec())
    }

    fn restore(&mut self, parameters: &[f32], optimizer_state: Vec<u8>) -> Result<(), Error> {
        self.network = self.network.with_flat_parameters(parameters, &self.device).ok_or_else(|| {
            let expected = self.network.num_params();
            Error::corrupt(format!("the network has {expected} parameters, the checkpoint {}", parameters.len()))
        })?;
        let optimizer = self.optimizer.clone().from_bytes(Bytes::from_bytes_vec(optimizer_state));
        self.optimizer = optimizer.map_err(|e| Error::corrupt(format!("the optimiser's state cannot be read: {e}")))?;
        self.inference = None;
        Ok(())
    }
}

fn rows_on(rows: ArrayView2<'_, f32>, device: &Device) -> Tensor<2> {
    let (height, width) = rows.dim();
    Tensor::from_data(TensorData::new(rows.iter().copied().collect(), [height, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;
    use apprentice_envs::Space;
    use ndarray::array;

    /// The step of the weight between hidden layers has singular values near one size, which Newton and Schulz's iteration
    /// brings them to; those of all other parameters are AdamW's.
    #[test]
    fn muon_takes_orthogonal_steps_between_hidden_layers() {
        let space = Space::bounded(&[-9.0; 3], &[9.0; 3]);
        let shape = Architecture::categorical(space, 2, &[4, 4], Activation::Tanh);
        let step = |optimizer| {
            let config = OptimizerConfig { optimizer, max_grad_norm: 1e9, ..OptimizerConfig::default() };
            let device = crate::device("cpu").unwrap();
            let mut learner = Learner::new(&shape, &config, &mut Generator::new(0), &device);
            let before = learner.parameters();
            let features = learner.features(array![[0.5, 1.0, -2.0], [1.0, 0.3, 0.2], [-1.0, 0.4, 1.5]].view());
            learner.step(1e-2, |network| {
                let critic = network.critic.forward(features.clone()).square().sum();
                (network.actor.forward(features).square().sum() + critic, ())
            });
            learner.parameters().iter().zip(before).map(|(a, b)| a - b).collect::<Vec<f32>>()
        };
        let (muon, adam) = (step(Optimizer::Muon), step(Optimizer::AdamW));
        // Actor: 3×4 and 4, then 4×4.
        let between = 16..32;
        for i in 0..muon.len() / 2 {
            assert_eq!(muon[i] == adam[i], !between.contains(&i), "{i}: {} and {}", muon[i], adam[i]);
        }
        let rows: Vec<&[f32]> = muon[between].chunks(4).collect();
        let scale = 0.2 * 4.0_f32.sqrt() * 1e-2;
        let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
        let total = rows.iter().map(|row| norm(row)).sum::<f32>();
        // Three samples make a gradient of rank three.
        let size = (total / 3.0).sqrt() / scale;
        assert!((0.6..1.3).contains(&size), "{size}");
    }

    /// A loss that is linear in the outputs of two linear networks has a known gradient: its norm is taken over actor
    /// and critic together, and clipping keeps its direction.
    #[test]
    fn gradients_are_clipped_by_one_norm_over_all_parameters() {
        let space = Space::bounded(&[-9.0; 2], &[9.0; 2]);
        let shape = Architecture::categorical(space, 1, &[], Activation::Tanh);
        let optimizer = OptimizerConfig { max_grad_norm: 1.0, ..OptimizerConfig::default() };
        let mut learner = Learner::new(&shape, &optimizer, &mut Generator::new(0), &crate::device("cpu").unwrap());
        // Gradients: actor 3·(2, 1) and bias 3, critic 4·(2, 1) and bias 4; the norm is 5·√(4 + 1 + 1).
        let features = learner.features(array![[2.0, 1.0]].view());
        let ((), norm) = learner.step(1e-30, |network| {
            let actor = network.actor.forward(features.clone()).sum() * 3.0;
            (actor + network.critic.forward(features).sum() * 4.0, ())
        });
        assert!((norm - 5.0 * 6.0_f32.sqrt()).abs() < 1e-4, "{norm}");

        let features = learner.features(array![[2.0, 1.0]].view());
        let loss = learner.network.actor.forward(features.clone()).sum() * 3.0
            + learner.network.critic.forward(features).sum() * 4.0;
        let grads = GradientsParams::from_grads(loss.backward(), &learner.network);
        let (clipped, _) = clip_grad_norm(grads, &learner.network, 1.0);
        let norm = flat(&clipped, &learner.network).iter().map(|g| g * g).sum::<f32>().sqrt();
        assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    }
}
