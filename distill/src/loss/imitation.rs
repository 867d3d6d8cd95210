//! The distillation loss of a minibatch: L_KD, as an engine takes it.

use super::features::FeatureTerm;
use super::{Scratch, add_log_prob, add_loss, policy_loss};
use crate::{PolicyLoss, Temperatures};
use apprentice_agents::{OutputBlock, OutputLoss, Samples, log_prob_and_entropy};
use apprentice_deploy::{Distribution, MASKED_LOGIT};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use ndarray::Array2;

/// The distance of a student from its teacher, over a minibatch:
///
/// ```text
/// L = mean wᵢ · mᵢ · Σ_k cₖ ℓₖ(Tᵢ, Sᵢ)  +  value_coef · ½ mean (V_S − V_T)²  +  Σ_k dₖ f_k(h_T, h_S)
/// mᵢ = max(π_S(aᵢ|sᵢ) / π_S,old(aᵢ|sᵢ), 1 − ε)     in proximal policy distillation, else 1
/// ```
///
/// with the [losses](PolicyLoss) ℓₖ and their coefficients cₖ, those of [features](crate::FeatureLoss) fₖ with dₖ, and with weights wᵢ of the samples. (Spigler, *Proximal
/// Policy Distillation*, 2024: the ratio is part of the gradient.)
pub(crate) struct Imitation<'a> {
    pub(crate) distribution: &'a Distribution,
    /// Losses with their coefficients, `coef` included.
    pub(crate) losses: &'a [(PolicyLoss, f64)],
    pub(crate) temperatures: Temperatures,
    /// `[B, params]`: the teacher's distributions.
    pub(crate) labels: Array2<f32>,
    /// `[B]`: weights of the samples, or empty if all are 1.
    pub(crate) weights: Vec<f32>,
    /// `[B]`: the teacher's values.
    pub(crate) teacher_values: Vec<f32>,
    /// Coefficient of the value loss; 0 switches it off.
    pub(crate) value_coef: f64,
    /// Proximal policy distillation: the samples, and ε.
    pub(crate) proximal: Option<(&'a Samples, f64)>,
    /// Losses of hidden features, on top.
    pub(crate) features: Option<FeatureTerm<'a>>,
}

impl Imitation<'_> {
    fn weight(&self, row: usize) -> f32 {
        self.weights.get(row).copied().unwrap_or(1.0)
    }
}

impl OutputLoss for Imitation<'_> {
    fn wants_values(&self) -> bool {
        self.value_coef > 0.0
    }

    fn wants_features(&self) -> bool {
        self.features.is_some()
    }

    fn feature_loss(&self, features: Tensor<2>) -> Tensor<1> {
        self.features.as_ref().expect("it is wanted").loss(&features)
    }

    fn learn(&self, gradients: &mut Gradients, learning_rate: f64) {
        if let Some(features) = &self.features {
            features.learn(gradients, learning_rate);
        }
    }

    fn loss(&self, params: Tensor<2>, values: Option<Tensor<1>>) -> Tensor<1> {
        let device = params.device();
        let labels = tensor2(&self.labels, &device).cast(params.dtype());
        let one = |(loss, coef): &(PolicyLoss, f64)| {
            policy_loss(*loss, self.distribution, &labels, &params, self.temperatures).mul_scalar(*coef)
        };
        // Without any, as beside losses of features, zeros that the outputs are part of.
        let none = || params.clone().sum_dim(1).squeeze_dim::<1>(1).mul_scalar(0.0);
        let mut per_sample = self.losses.iter().map(one).reduce(|sum, loss| sum + loss).unwrap_or_else(none);
        if !self.weights.is_empty() {
            per_sample = per_sample * tensor1(&self.weights, &device);
        }
        if let Some((samples, epsilon)) = self.proximal {
            let allowed = labels.greater_elem(0.5 * MASKED_LOGIT);
            let masks = matches!(self.distribution, Distribution::Categorical { .. }).then_some(&allowed);
            let actions = tensor2(&samples.actions, &device);
            let (log_prob, _) = log_prob_and_entropy(self.distribution, params, &actions, masks);
            let ratio = (log_prob - tensor1(&samples.log_probs, &device)).exp();
            per_sample = per_sample * ratio.clamp_min(1.0 - epsilon);
        }
        let mut total = per_sample.mean();
        if let Some(values) = values.filter(|_| self.value_coef > 0.0) {
            let error = (values - tensor1(&self.teacher_values, &device)).square();
            total = total + error.mean().mul_scalar(0.5 * self.value_coef);
        }
        total
    }

    fn gradients(&self, block: OutputBlock<'_>) -> f64 {
        let OutputBlock { first, params, values, param_grads, value_grads } = block;
        let (n, width) = self.labels.dim();
        let share = 1.0 / n as f32;
        let (mut scratch, mut row_grads, mut normal) = (Scratch::default(), vec![0.0; width], Vec::new());
        let mut sum = 0.0;
        let rows = params.chunks_exact(width).zip(param_grads.chunks_exact_mut(width));
        for (row, (student, grads)) in (first..).zip(rows) {
            let teacher = self.labels.row(row);
            let teacher = teacher.as_slice().expect("rows are contiguous");
            row_grads.fill(0.0);
            let add = |loss: &(PolicyLoss, f64)| {
                let loss = (loss.0, loss.1 as f32);
                let (to, scratch) = (&mut row_grads, &mut scratch);
                add_loss(loss, self.distribution, teacher, student, self.temperatures, to, scratch)
            };
            let loss: f32 = self.losses.iter().map(add).sum();
            let mut weight = self.weight(row) * share;
            if let Some((samples, epsilon)) = self.proximal {
                let action = samples.actions.row(row);
                let action = action.as_slice().expect("rows are contiguous");
                normalized(self.distribution, teacher, student, &mut normal);
                let ratio = (self.distribution.log_prob(&normal, action) - samples.log_probs[row]).exp();
                let least = 1.0 - epsilon as f32;
                if ratio > least {
                    add_log_prob(self.distribution, &normal, action, weight * ratio * loss, grads);
                }
                weight *= ratio.max(least);
            }
            grads.iter_mut().zip(&row_grads).for_each(|(to, from)| *to += weight * from);
            sum += f64::from(weight * loss);
        }
        if self.value_coef > 0.0 {
            let coef = self.value_coef as f32 * share;
            for ((value, grad), target) in values.iter().zip(value_grads).zip(&self.teacher_values[first..]) {
                let error = value - target;
                *grad += coef * error;
                sum += f64::from(0.5 * coef * error * error);
            }
        }
        sum
    }
}

/// A student's distribution in normal form, within what its teacher was allowed.
pub(crate) fn normalized(distribution: &Distribution, teacher: &[f32], student: &[f32], to: &mut Vec<f32>) {
    to.clear();
    to.extend_from_slice(student);
    if let Distribution::Categorical { .. } = distribution {
        let forbidden = to.iter_mut().zip(teacher).filter(|(_, label)| Distribution::is_masked(**label));
        forbidden.for_each(|(logit, _)| *logit = MASKED_LOGIT);
    }
    distribution.normalize(to);
}

fn tensor2(rows: &Array2<f32>, device: &Device) -> Tensor<2> {
    let (height, width) = rows.dim();
    Tensor::from_data(TensorData::new(rows.iter().copied().collect(), [height, width]), device)
}

fn tensor1(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apprentice_agents::{
        Activation, Architecture, Engine, Fused, Learner, LossCoefs, Objective, OptimizerConfig, ValueClip, ValueLoss,
        device,
    };
    use apprentice_envs::{Generator, Space};
    use ndarray::Array2;

    /// A batch that reaches every part of the loss, from the student's own experience.
    fn batch(engine: &mut dyn Engine, n: usize, rng: &mut Generator) -> (Samples, Array2<f32>, Vec<f32>, Vec<f32>) {
        let distribution = engine.architecture().distribution.clone();
        let flat_dim = engine.architecture().observation_space.flat_dim();
        let mut draw = |low: f64, high: f64| (low + (high - low) * rng.random()) as f32;
        let observations = Array2::from_shape_fn((n, flat_dim), |_| draw(-2.0, 2.0));
        let mut labels = Array2::from_shape_fn((n, distribution.num_params()), |_| draw(-1.5, 1.5));
        let choices = matches!(distribution, Distribution::Categorical { .. });
        if choices {
            labels.rows_mut().into_iter().step_by(3).for_each(|mut label| label[1] = MASKED_LOGIT);
        }
        let mut params = Array2::zeros(labels.dim());
        engine.params(observations.view(), None, Array2::zeros((n, 0)).view_mut(), params.view_mut()).unwrap();
        let mut actions = Array2::zeros((n, distribution.dim()));
        let mut log_probs = Vec::new();
        let mut normal = Vec::new();
        for ((label, params), mut action) in labels.rows().into_iter().zip(params.rows()).zip(actions.rows_mut()) {
            normalized(&distribution, label.as_slice().unwrap(), params.as_slice().unwrap(), &mut normal);
            let action = action.as_slice_mut().unwrap();
            let draws: Vec<f64> = action.iter().map(|_| f64::from(draw(0.0, 1.0))).collect();
            distribution.sample(&normal, &draws, action);
            // As if the policy had changed since: ratios from ½ to 1½.
            log_probs.push(distribution.log_prob(&normal, action) + draw(-0.4, 0.7));
        }
        labels.rows_mut().into_iter().for_each(|mut label| distribution.normalize(label.as_slice_mut().unwrap()));
        let mut column = |low, high| (0..n).map(|_| draw(low, high)).collect::<Vec<f32>>();
        let samples = Samples {
            masks: Array2::from_shape_fn(if choices { labels.dim() } else { (n, 0) }, |(row, j)| {
                !Distribution::is_masked(labels[[row, j]])
            }),
            observations,
            actions,
            log_probs,
            advantages: column(-2.0, 2.0),
            returns: column(-2.0, 2.0),
            values: column(-1.0, 1.0),
            ..Samples::default()
        };
        (samples, labels, column(0.0, 2.0), column(-1.0, 1.0))
    }

    /// Both engines take the same steps on every loss, with and without PPO's, weights, ratios and values.
    #[test]
    fn engines_agree() {
        let space = Space::bounded(&[-9.0; 3], &[9.0; 3]);
        let two = Distribution::Categorical { nvec: vec![3, 2] };
        let gaussian = Distribution::Gaussian { dim: 2, squash: true };
        let mut rng = Generator::new(5);
        for (distribution, state_dependent_std, shared_trunk) in
            [(two.clone(), false, false), (two, false, true), (gaussian.clone(), false, false), (gaussian, true, true)]
        {
            let architecture = Architecture {
                distribution: distribution.clone(),
                state_dependent_std,
                shared_trunk,
                ..Architecture::categorical(space.clone(), 2, &[8], Activation::Tanh)
            };
            let optimizer = OptimizerConfig::default();
            let mut reference =
                Learner::new(&architecture, &optimizer, &mut Generator::new(2), &device("cpu").unwrap());
            let mut fused = Fused::new(&architecture, &optimizer, &mut Generator::new(2));
            for step in 0..60 {
                // More than a block, and not a whole number of them.
                let (samples, labels, weights, teacher_values) = batch(&mut fused, 100, &mut rng);
                let loss = PolicyLoss::ALL[step % PolicyLoss::ALL.len()];
                let losses: Vec<_> = [(PolicyLoss::Kl, 0.5), (loss, 1.5)]
                    .into_iter()
                    .filter(|(loss, _)| loss.applies_to(&distribution))
                    .collect();
                let imitation = Imitation {
                    distribution: &distribution,
                    losses: &losses,
                    temperatures: Temperatures { softening: 1.0, sharpening: 0.5 },
                    labels,
                    weights: if step % 2 == 0 { weights } else { Vec::new() },
                    teacher_values,
                    value_coef: if step % 3 == 0 { 0.5 } else { 0.0 },
                    proximal: (step % 4 < 2).then_some((&samples, 0.2)),
                    features: None,
                };
                let ppo = LossCoefs {
                    policy_coef: 0.8,
                    clip_coef: 0.2,
                    clip_vloss: ValueClip::Off,
                    value_loss: ValueLoss::Mse,
                    ent_coef: 0.01,
                    vf_coef: 0.5,
                };
                let objective = Objective { ppo: (step % 5 < 3).then_some(ppo), other: Some(&imitation), anchor: None };
                let a = reference.update(&samples, 1e-3, &objective);
                let b = fused.update(&samples, 1e-3, &objective);
                let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * (1.0 + a.abs());
                assert!(close(a.other_loss, b.other_loss), "step {step}, {losses:?}: {a:?} and {b:?}");
                assert!(close(a.grad_norm, b.grad_norm), "step {step}, {losses:?}: {a:?} and {b:?}");
                let (a, b) = (reference.parameters(), fused.parameters());
                let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-4, "step {step}, {losses:?}: parameters differ by {worst}");
                // The next step starts from the same parameters, so that rounding does not add up.
                let state = fused.optimizer_state().unwrap();
                fused.restore(&a, state).unwrap();
            }
        }
    }
}
