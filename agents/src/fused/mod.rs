//! The fused engine: PPO on perceptrons on the CPU, with hand-derived gradients over one arena of parameters.
//!
//! A network of a few thousand parameters fits into the first-level cache, and a tensor library spends most of its
//! time on it with dispatch, allocation and a scalar tanh. Here a minibatch goes through in blocks: forward, loss,
//! backward, in buffers that are kept.

mod distribution;
mod elementary;
mod loss;
mod model;
mod network;
mod peak;
mod row;
mod simd;

pub use peak::peak_flops;

use crate::encoder::{Encoder, Inputs};
use crate::{
    ActorCritic, Architecture, Behavior, Engine, EngineChoice, Error, Objective, OptimizerConfig, Samples, UpdateStats,
};
use apprentice_deploy::Normalizer;
use apprentice_envs::{Generator, Threads};
use burn::tensor::Device;
use model::{Model, Nets, Part};
use ndarray::{ArrayView2, ArrayViewMut2};
use network::{Network, Transposed};
use row::Row;
use simd::{AdamRates, AdamState, BETA_1, BETA_2};

/// Samples that go forward and backward together: their activations stay in the second-level cache.
const BLOCK: usize = 64;

/// How many parts the samples of a batch are divided into at most, and the blocks that each has at least. The parts depend
/// on nothing else: gradients are added up in their order, so that the same bits come out of any number of threads.
const PARTS: usize = 8;
const BLOCKS_A_PART: usize = 2;

/// An actor-critic pair with AdamW, all parameters in one row.
pub struct Fused {
    model: Model,
    encoder: Encoder,
    optimizer: OptimizerConfig,
    /// Adam's two moments, in the layout of the parameters.
    moment_1: Row,
    moment_2: Row,
    /// Adam steps taken.
    time: u64,
    inputs: Inputs,
    /// The parts of the batch at hand, and room for more.
    parts: Vec<Part>,
    threads: Threads,
    /// Work of fewer floating-point operations is done before another thread has heard of it.
    worth_sharing: usize,
}

/// Where the gradient of a batch is.
struct Gradient {
    /// The part that has the critic's; the first one has all else.
    critic: usize,
    /// Whether it was worth more than one thread.
    shared: bool,
    /// The parts of the loss, and the gradient's norm.
    stats: UpdateStats,
}

/// A network that takes a step.
struct Stepping<'a> {
    network: &'a Network,
    /// What the parameters are rounded to, if they are.
    rounded: &'a mut [f32],
    transposed: &'a mut Transposed,
    state: AdamState<'a>,
}

impl Fused {
    /// An engine with the same fresh weights as [`Learner::new`](crate::Learner::new) with the same generator, on one
    /// thread.
    pub fn new(architecture: &Architecture, optimizer: &OptimizerConfig, rng: &mut Generator) -> Self {
        Self::with_threads(architecture, optimizer, rng, Threads::new(1).expect("there is one"))
    }

    /// One on these threads, which gives the same bits on any number of them. Two have a network each, unless one of them
    /// needs what the other computes; more share out the samples.
    pub fn with_threads(
        architecture: &Architecture,
        optimizer: &OptimizerConfig,
        rng: &mut Generator,
        threads: Threads,
    ) -> Self {
        let network = ActorCritic::new(architecture, rng, &Device::flex().autodiff());
        let model = Model::new(architecture.clone(), &network.flat_parameters());
        let zeros = Row::zeros(model.parameters.len());
        Self {
            encoder: Encoder::new(architecture.observation_space.clone()),
            optimizer: *optimizer,
            moment_1: zeros.clone(),
            moment_2: zeros,
            time: 0,
            inputs: Inputs::default(),
            parts: Vec::new(),
            threads,
            worth_sharing: 1_000_000,
            model,
        }
    }

    /// Divides samples into parts, each of whole blocks but for the last, for each of `nets`; does `work` with every one of
    /// them, which takes so many operations a sample. Returns the number of parts for each.
    fn share(
        &mut self,
        samples: usize,
        nets: &[Nets],
        flops: usize,
        work: impl Fn(&Model, &Encoder, &Inputs, &mut Part) + Sync,
    ) -> usize {
        let (blocks, count) = (samples.div_ceil(BLOCK), num_parts(samples));
        while self.parts.len() < nets.len() * count {
            self.parts.push(Part::new(&self.model));
        }
        let parts = &mut self.parts[..nets.len() * count];
        for (part, (nets, i)) in parts.iter_mut().zip(nets.iter().flat_map(|nets| (0..count).map(move |i| (nets, i)))) {
            let end = |i: usize| (blocks * i / count * BLOCK).min(samples);
            (part.nets, part.samples) = (*nets, end(i)..end(i + 1));
        }
        let Self { model, encoder, inputs, .. } = self;
        let shared = samples * flops >= self.worth_sharing;
        for_each(&mut self.threads, shared, parts, |part| work(model, encoder, inputs, part));
        count
    }

    /// Writes the gradient of the loss of `batch` into the first part, or into the first for the actor and the first for the
    /// critic.
    fn compute_gradient(&mut self, batch: &Samples, objective: &Objective<'_>) -> Gradient {
        debug_assert!(!objective.other.is_some_and(|other| other.wants_features()), "features are for burn");
        self.encoder.encode(batch.observations.view(), &mut self.inputs);
        let nets = match self.model.separate(objective) {
            true => &[Nets::Actor, Nets::Critic][..],
            false => &[Nets::Both],
        };
        let samples = batch.observations.nrows();
        let flops = self.model.architecture.training_flops();
        let shared = samples * flops >= self.worth_sharing;
        let whole = num_parts(samples) == 1 && objective.anchor.is_none();
        let count = self.share(samples, nets, flops, |model, encoder, inputs, part| {
            model.gradient(|samples| encoder.samples(inputs, samples), batch, objective, part);
            if whole {
                part.square(model);
            }
        });

        let model = &self.model;
        let (first, second) = self.parts[..nets.len() * count].split_at_mut(count);
        let mut groups = [first, second];
        let groups = &mut groups[..nets.len()];
        if count > 1 {
            for_each(&mut self.threads, shared, groups, |parts| {
                let (first, others) = parts.split_first_mut().expect("there are parts");
                first.add(model, others);
                first.square(model);
            });
        }
        if let Some(anchor) = objective.anchor {
            for part in groups.iter_mut().map(|parts| &mut parts[0]) {
                for i in model.ranges(part.nets).into_iter().flatten() {
                    part.grads[i] += anchor.pull(model.flat_index(i), model.parameters[i]);
                }
                part.square(model);
            }
        }
        let (mut stats, mut square) = (UpdateStats::default(), 0.0);
        for parts in groups {
            stats.add(&parts[0].stats);
            square += parts[0].square;
        }
        stats.grad_norm = f64::from(square.sqrt());
        Gradient { critic: (nets.len() - 1) * count, shared, stats }
    }

    /// One AdamW step along the gradient times `grad_scale`, with ε outside the corrected root as in PyTorch.
    fn adam(&mut self, gradient: &Gradient, learning_rate: f32, grad_scale: f32) {
        self.time += 1;
        let time = i32::try_from(self.time).unwrap_or(i32::MAX);
        let root = (1.0 - BETA_2.powi(time)).sqrt();
        let rate = learning_rate * root / (1.0 - BETA_1.powi(time));
        let keep = 1.0 - learning_rate * self.optimizer.weight_decay;
        let rates = AdamRates { grad_scale, rate, epsilon: self.optimizer.adam_epsilon * root, keep };

        let (actor_len, range, level) = (self.model.actor.len(), self.model.critic_range(), self.model.level);
        let Model { actor, critic: critic_network, parameters, rounded, actor_transposed, critic_transposed, .. } =
            &mut self.model;
        let mut all = AdamState {
            parameters,
            grads: &self.parts[0].grads,
            moment_1: &mut self.moment_1,
            moment_2: &mut self.moment_2,
        };
        let actor_state = all.take(actor_len);
        all.take(range.start - actor_len);
        let mut critic_state = all.take(range.len());
        critic_state.grads = &self.parts[gradient.critic].grads[range];
        level.adam(all, rates);
        let mut networks = [
            Stepping { network: actor, rounded, transposed: actor_transposed, state: actor_state },
            Stepping { network: critic_network, rounded: &mut [], transposed: critic_transposed, state: critic_state },
        ];
        let step = |Stepping { network, rounded, transposed, state }: &mut Stepping<'_>| {
            level.adam(state.reborrow(), rates);
            let mut parameters = &*state.parameters;
            if !rounded.is_empty() {
                network.round(parameters, rounded);
                parameters = rounded;
            }
            network.transpose(level, parameters, transposed);
        };
        // Each on the thread that has its gradient.
        for_each(&mut self.threads, gradient.shared && gradient.critic > 0, &mut networks, step);
    }
}

/// How many parts so many samples are divided into.
fn num_parts(samples: usize) -> usize {
    (samples.div_ceil(BLOCK) / BLOCKS_A_PART).clamp(1, PARTS)
}

/// Does `work` with every one of `items`, on all threads if that is worth it.
fn for_each<T: Send>(threads: &mut Threads, worth: bool, items: &mut [T], work: impl Fn(&mut T) + Sync) {
    if worth { threads.for_each(items, work) } else { items.iter_mut().for_each(work) }
}

impl Behavior for Fused {
    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        _: Option<ArrayView2<'_, bool>>,
        _: ArrayViewMut2<'_, f32>,
        mut params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        self.encoder.encode(observations, &mut self.inputs);
        let flops = 2 * self.model.actor.len();
        let count = self.share(observations.nrows(), &[Nets::Actor], flops, |model, encoder, inputs, part| {
            model.outputs(|samples| encoder.samples(inputs, samples), part);
        });
        let outputs = self.parts[..count].iter().flat_map(|part| part.outputs.chunks_exact(self.model.num_outputs()));
        for (row, outputs) in params.rows_mut().into_iter().zip(outputs) {
            row.into_iter().zip(outputs.iter().chain(self.model.log_std())).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }

    fn values(&mut self, observations: ArrayView2<'_, f32>, _: ArrayView2<'_, f32>, values: &mut [f32]) {
        self.encoder.encode(observations, &mut self.inputs);
        let trunk = if self.model.architecture.shared_trunk { self.model.actor.len() } else { 0 };
        let flops = 2 * (self.model.critic.len() + trunk);
        let count = self.share(observations.nrows(), &[Nets::Critic], flops, |model, encoder, inputs, part| {
            model.values(|samples| encoder.samples(inputs, samples), part);
        });
        let mut rest = values;
        for part in &self.parts[..count] {
            let (values, after) = std::mem::take(&mut rest).split_at_mut(part.outputs.len());
            values.copy_from_slice(&part.outputs);
            rest = after;
        }
    }
}

impl Engine for Fused {
    fn choice(&self) -> EngineChoice {
        EngineChoice::Fused
    }

    fn architecture(&self) -> &Architecture {
        &self.model.architecture
    }

    fn set_normalizer(&mut self, normalizer: Option<Normalizer>) {
        self.encoder.set_normalizer(normalizer);
    }

    fn parameters(&self) -> Vec<f32> {
        self.model.flat(&self.model.parameters)
    }

    fn update(&mut self, batch: &Samples, learning_rate: f64, objective: &Objective<'_>) -> UpdateStats {
        let gradient = self.compute_gradient(batch, objective);
        // PyTorch's clip_grad_norm_, its 1e-6 included.
        let grad_scale = (self.optimizer.max_grad_norm / (gradient.stats.grad_norm as f32 + 1e-6)).min(1.0);
        self.adam(&gradient, learning_rate as f32, grad_scale);
        gradient.stats
    }

    fn gradient(&mut self, batch: &Samples, objective: &Objective<'_>) -> Vec<f32> {
        let Gradient { critic, .. } = self.compute_gradient(batch, objective);
        let (range, mut grads) = (self.model.critic_range(), self.parts[0].grads.clone());
        grads[range.clone()].copy_from_slice(&self.parts[critic].grads[range]);
        self.model.flat(&grads)
    }

    /// Steps taken as u64, then both moments as f32, little endian.
    fn optimizer_state(&self) -> Result<Vec<u8>, Error> {
        let moments = [&self.moment_1, &self.moment_2].map(|moment| self.model.flat(moment)).concat();
        Ok(self.time.to_le_bytes().into_iter().chain(moments.iter().flat_map(|x| x.to_le_bytes())).collect())
    }

    fn restore(&mut self, parameters: &[f32], optimizer_state: Vec<u8>) -> Result<(), Error> {
        let n = self.model.num_parameters();
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
        self.moment_1 = self.model.row(&moments[..n]);
        self.moment_2 = self.model.row(&moments[n..]);
        self.model.parameters = self.model.row(parameters);
        self.model.changed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Anchor, LossCoefs, ValueClip, ValueLoss};
    use apprentice_deploy::Distribution;
    use apprentice_envs::Space;
    use ndarray::Array2;

    /// Every kind of network and of batch, in one part and in eight uneven ones.
    #[test]
    fn threads_change_no_bit() {
        let mut rng = Generator::new(3);
        let two = || Distribution::Categorical { nvec: vec![3, 2] };
        let gaussian = || Distribution::Gaussian { dim: 2, squash: true };
        let boxed = || Space::bounded(&[-9.0; 3], &[9.0; 3]);
        for (space, distribution, hidden, shared_trunk, activation) in [
            (boxed(), two(), vec![16, 8], false, Activation::Tanh),
            (boxed(), gaussian(), vec![16], true, Activation::Relu),
            (boxed(), gaussian(), vec![9], false, Activation::Gelu),
            (Space::discrete(7), two(), vec![], false, Activation::Tanh),
        ] {
            let architecture = Architecture {
                distribution: distribution.clone(),
                shared_trunk,
                ..Architecture::categorical(space.clone(), 2, &hidden, activation)
            };
            let mut engines = [1, 2, 5].map(|count| {
                let threads = Threads::new(count).unwrap();
                let optimizer = OptimizerConfig::default();
                let mut engine = Fused::with_threads(&architecture, &optimizer, &mut Generator::new(1), threads);
                engine.worth_sharing = 0;
                engine
            });
            for samples in [1, 100, 300, 1100] {
                let mut draw = |low: f64, high: f64| rng.uniform(low, high) as f32;
                let (columns, one_hot) = (space.flat_dim(), space.feature_dim() > space.flat_dim());
                let observations = Array2::from_shape_fn((samples, columns), |_| match one_hot {
                    true => draw(0.0, 7.0).floor(),
                    false => draw(-2.0, 2.0),
                });
                let actions = Array2::from_shape_fn((samples, 2), |_| draw(0.0, 2.0).floor());
                let mut column = || (0..samples).map(|_| draw(-1.5, -0.1)).collect::<Vec<f32>>();
                let batch = Samples {
                    observations,
                    actions,
                    log_probs: column(),
                    advantages: column(),
                    returns: column(),
                    values: column(),
                    ..Samples::default()
                };
                let anchor = Anchor { parameters: engines[0].parameters(), importance: engines[0].parameters() };
                let coefs = LossCoefs {
                    policy_coef: 1.0,
                    clip_coef: 0.2,
                    clip_vloss: ValueClip::Max,
                    value_loss: ValueLoss::Huber,
                    ent_coef: 0.01,
                    vf_coef: 0.5,
                };
                let objective = Objective { anchor: (samples == 300).then_some(&anchor), ..Objective::ppo(coefs) };
                let results = engines.each_mut().map(|engine| {
                    let stats = engine.update(&batch, 0.01, &objective);
                    let mut params = Array2::zeros((samples, distribution.num_params()));
                    let (mut memory, mut values) = (Array2::zeros((samples, 0)), vec![0.0; samples]);
                    engine.params(batch.observations.view(), None, memory.view_mut(), params.view_mut()).unwrap();
                    engine.values(batch.observations.view(), memory.view(), &mut values);
                    (stats, engine.parameters(), params, values)
                });
                assert!(results[0].1.iter().all(|x| x.is_finite()));
                assert!(results[1] == results[0] && results[2] == results[0], "{samples} samples, {hidden:?}");
            }
        }
    }
}
