//! Losses of hidden features: what a student makes of a state before it decides, and how it tells states apart.
//!
//! | name | |
//! |---|---|
//! | `hint` | mean (h_S P + p − h_T)², P and p a linear projection that is learnt with the student and thrown away |
//! | `attention` | Σ_i (a_S,i / ‖a_S‖ − a_T,i / ‖a_T‖)², a_i = Σ h_i²: which states of a minibatch move the network most |
//! | `rkd_distance` | mean over pairs of Huber(ψ_S − ψ_T), ψ the distance of two states as a multiple of the mean distance |
//! | `rkd_angle` | mean over triplets of Huber(cos_S − cos_T), of the angle at the middle one |
//!
//! with h the last hidden layer of both. All but `hint` compare teacher and student without a map from one to the other, and
//! so leave the student free to turn and to scale what it computes. An image has an attention map; a row of numbers has none,
//! so here the map is over the states of the minibatch.
//!
//! Sources: Romero et al., *FitNets: Hints for Thin Deep Nets*, 2015; Zagoruyko and Komodakis, *Paying More Attention to
//! Attention*, 2017; Park et al., *Relational Knowledge Distillation*, 2019.

use apprentice_agents::Error;
use apprentice_envs::Generator;
use burn::module::{Param, ParamId};
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// How far a student's hidden features are from its teacher's, by the last hidden layer h of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureLoss {
    /// Regression on the teacher's features, through a projection.
    Hint,
    /// Which states move the network most.
    Attention,
    /// Distances between states.
    RkdDistance,
    /// Angles between states.
    RkdAngle,
}

impl FeatureLoss {
    /// Every loss.
    pub const ALL: [Self; 4] = [Self::Hint, Self::Attention, Self::RkdDistance, Self::RkdAngle];
}

/// The states of a minibatch that angles are taken among: they cost their third power.
const ANGLE_STATES: usize = 24;

/// Keeps the square root's slope finite where two states are the same.
const LEAST_SQUARE: f32 = 1e-12;

/// A loss that needs no projection, between features `[B, units]` of teacher and student, a scalar.
pub(crate) fn feature_loss(loss: FeatureLoss, teacher: &Tensor<2>, student: &Tensor<2>) -> Tensor<1> {
    let pair = [teacher, student].map(Clone::clone);
    match loss {
        FeatureLoss::Hint => (student.clone() - teacher.clone()).square().mean(),
        FeatureLoss::Attention => {
            let [t, s] = pair.map(|h| {
                let energy = h.square().sum_dim(1);
                let norm = energy.clone().square().sum().clamp_min(LEAST_SQUARE).sqrt();
                energy.clone() / norm.unsqueeze::<2>().expand(energy.dims())
            });
            (s - t).square().sum()
        }
        FeatureLoss::RkdDistance => {
            let [n, _] = teacher.dims();
            let pairs = (n * n - n).max(1) as f32;
            let [t, s] = pair.map(|h| {
                let distances = distances(&h);
                let mean = distances.clone().sum().div_scalar(pairs).clamp_min(LEAST_SQUARE);
                distances.clone() / mean.unsqueeze::<2>().expand(distances.dims())
            });
            huber(s - t).sum().div_scalar(pairs)
        }
        FeatureLoss::RkdAngle => {
            let [t, s] = pair.map(|h| cosines(&h));
            huber(s - t).mean()
        }
    }
}

/// Distances of all pairs of rows; 0 of a row to itself.
fn distances(h: &Tensor<2>) -> Tensor<2> {
    let [n, _] = h.dims();
    let square = h.clone().square().sum_dim(1);
    let squares = square.clone().expand([n, n]) + square.transpose().expand([n, n]);
    let squares = squares - h.clone().matmul(h.clone().transpose()).mul_scalar(2.0);
    let others = Tensor::<2>::eye(n, &h.device()).neg().add_scalar(1.0);
    squares.clamp_min(LEAST_SQUARE).sqrt() * others
}

/// The cosine of the angle at row j between rows i and k, for all triplets of the first rows: `[j, i, k]`.
fn cosines(h: &Tensor<2>) -> Tensor<3> {
    let [rows, units] = h.dims();
    let n = rows.min(ANGLE_STATES);
    let h = h.clone().slice([0..n, 0..units]);
    let (from, to) = (h.clone().unsqueeze_dim::<3>(1), h.unsqueeze_dim::<3>(0));
    let towards = to.expand([n, n, units]) - from.expand([n, n, units]);
    let length = towards.clone().square().sum_dim(2).clamp_min(LEAST_SQUARE).sqrt();
    let towards = towards / length.expand([n, n, units]);
    towards.clone().matmul(towards.swap_dims(1, 2))
}

/// Huber's loss with δ = 1.
fn huber<const D: usize>(error: Tensor<D>) -> Tensor<D> {
    let size = error.abs();
    let small = size.clone().clamp_max(1.0);
    small.clone().square().mul_scalar(0.5) + (size - small)
}

/// The projection of `hint`, with an optimiser of its own.
pub(crate) struct Projection {
    linear: Linear,
    optimizer: ModuleOptimizer,
}

impl Projection {
    /// From `student` units to `teacher` units.
    pub(crate) fn new(student: usize, teacher: usize, rng: &mut Generator, device: &Device) -> Self {
        let device = device.clone().autodiff();
        let scale = (student as f64).sqrt().recip();
        let weight = (0..student * teacher).map(|_| (scale * rng.standard_normal()) as f32).collect();
        let weight = Tensor::<2>::from_data(TensorData::new(weight, [student, teacher]), &device);
        let bias = Tensor::<1>::from_data(TensorData::new(vec![0.0_f32; teacher], [teacher]), &device);
        Self {
            linear: Linear {
                weight: Param::initialized(ParamId::from(1 << 32), weight.require_grad()),
                bias: Some(Param::initialized(ParamId::from((1 << 32) + 1), bias.require_grad())),
            },
            optimizer: AdamConfig::new().init(),
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.linear.forward(features)
    }

    fn learn(&mut self, gradients: &mut Gradients, learning_rate: f64) {
        let grads = GradientsParams::from_module(gradients, &self.linear);
        self.linear = self.optimizer.step(learning_rate, self.linear.clone(), grads);
    }
}

/// The feature losses of a minibatch.
pub(crate) struct FeatureTerm<'a> {
    /// Losses with their coefficients, `coef` included.
    pub(crate) losses: &'a [(FeatureLoss, f64)],
    /// `[B, units]`: the teacher's features.
    pub(crate) teacher: ndarray::Array2<f32>,
    pub(crate) projection: &'a RefCell<Projection>,
}

impl FeatureTerm<'_> {
    pub(crate) fn loss(&self, student: &Tensor<2>) -> Tensor<1> {
        let (rows, units) = self.teacher.dim();
        let teacher = TensorData::new(self.teacher.iter().copied().collect(), [rows, units]);
        let teacher = Tensor::<2>::from_data(teacher, &student.device());
        let one = |(loss, coef): &(FeatureLoss, f64)| {
            let value = match loss {
                FeatureLoss::Hint => feature_loss(*loss, &teacher, &self.projection.borrow().forward(student.clone())),
                _ => feature_loss(*loss, &teacher, student),
            };
            value.mul_scalar(*coef)
        };
        self.losses.iter().map(one).reduce(|sum, loss| sum + loss).expect("there is a loss")
    }

    pub(crate) fn learn(&self, gradients: &mut Gradients, learning_rate: f64) {
        if self.losses.iter().any(|(loss, _)| *loss == FeatureLoss::Hint) {
            self.projection.borrow_mut().learn(gradients, learning_rate);
        }
    }
}

/// Refuses teachers and students without hidden layers.
pub(crate) fn check_features(teacher_units: Option<usize>, hidden: &[usize]) -> Result<(usize, usize), Error> {
    match (teacher_units, hidden.last()) {
        (Some(teacher), Some(student)) => Ok((*student, teacher)),
        (None, _) => Err(Error::config(
            "features: expected one teacher that is a network with hidden layers and no memory, got another; use losses of what \
             it puts out, or set no features",
        )),
        (_, None) => Err(Error::config("features: expected a student with a hidden layer, got hidden = []")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, units: usize, rng: &mut Generator) -> Vec<Vec<f64>> {
        (0..n).map(|_| (0..units).map(|_| rng.standard_normal()).collect()).collect()
    }

    fn tensor(rows: &[Vec<f64>]) -> Tensor<2> {
        let values = rows.concat().iter().map(|x| *x as f32).collect();
        Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), &Device::flex().autodiff())
    }

    fn value(loss: FeatureLoss, t: &[Vec<f64>], s: &[Vec<f64>]) -> f64 {
        f64::from(feature_loss(loss, &tensor(t), &tensor(s)).into_scalar::<f32>())
    }

    /// The definitions, in plain f64.
    fn definition(loss: FeatureLoss, t: &[Vec<f64>], s: &[Vec<f64>]) -> f64 {
        let n = t.len();
        let huber = |e: f64| if e.abs() <= 1.0 { 0.5 * e * e } else { e.abs() - 0.5 };
        let distance = |h: &[Vec<f64>], i: usize, j: usize| {
            h[i].iter().zip(&h[j]).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        };
        let all = || (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|(i, j)| i != j);
        match loss {
            FeatureLoss::Hint => {
                let squares = t.iter().flatten().zip(s.iter().flatten()).map(|(a, b)| (a - b) * (a - b));
                squares.sum::<f64>() / (n * t[0].len()) as f64
            }
            FeatureLoss::Attention => {
                let map = |h: &[Vec<f64>]| {
                    let energy: Vec<f64> = h.iter().map(|h| h.iter().map(|x| x * x).sum()).collect();
                    let norm = energy.iter().map(|a| a * a).sum::<f64>().sqrt();
                    energy.iter().map(|a| a / norm).collect::<Vec<f64>>()
                };
                map(t).iter().zip(map(s)).map(|(a, b)| (a - b) * (a - b)).sum()
            }
            FeatureLoss::RkdDistance => {
                let mean = |h: &[Vec<f64>]| all().map(|(i, j)| distance(h, i, j)).sum::<f64>() / (n * n - n) as f64;
                let (of_t, of_s) = (mean(t), mean(s));
                let error = |(i, j)| huber(distance(s, i, j) / of_s - distance(t, i, j) / of_t);
                all().map(error).sum::<f64>() / (n * n - n) as f64
            }
            FeatureLoss::RkdAngle => {
                let n = n.min(ANGLE_STATES);
                let cosine = |h: &[Vec<f64>], i: usize, j: usize, k: usize| {
                    if i == j || k == j {
                        return 0.0;
                    }
                    let dot: f64 = (0..h[0].len()).map(|u| (h[i][u] - h[j][u]) * (h[k][u] - h[j][u])).sum();
                    dot / (distance(h, i, j) * distance(h, k, j))
                };
                let triplets = (0..n * n * n).map(|x| (x / n / n, x / n % n, x % n));
                let error = |(i, j, k)| huber(cosine(s, i, j, k) - cosine(t, i, j, k));
                triplets.map(error).sum::<f64>() / (n * n * n) as f64
            }
        }
    }

    #[test]
    fn losses_are_those_of_the_definitions() {
        let mut rng = Generator::new(2);
        for loss in FeatureLoss::ALL {
            for n in [2, 7, 30] {
                let t = rows(n, 5, &mut rng);
                let s = rows(n, if loss == FeatureLoss::Hint { 5 } else { 3 }, &mut rng);
                let (got, expected) = (value(loss, &t, &s), definition(loss, &t, &s));
                assert!((got - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{loss:?}, {n}: {got} and {expected}");
            }
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut rng = Generator::new(3);
        for loss in FeatureLoss::ALL {
            let t = rows(6, 4, &mut rng);
            let s = rows(6, if loss == FeatureLoss::Hint { 4 } else { 3 }, &mut rng);
            let student = tensor(&s).require_grad();
            let gradients = feature_loss(loss, &tensor(&t), &student).backward();
            let got: Vec<f32> = student.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
            for (at, got) in got.iter().enumerate() {
                let moved = |by: f64| {
                    let mut s = s.clone();
                    let width = s[0].len();
                    s[at / width][at % width] += by;
                    definition(loss, &t, &s)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((f64::from(*got) - expected).abs() < 1e-3, "{loss:?}, {at}: {got} and {expected}");
            }
        }
    }

    /// Relations between states do not change where all features are turned and scaled.
    #[test]
    fn relations_survive_rotation_and_scale() {
        let t = rows(9, 2, &mut Generator::new(4));
        let turned: Vec<Vec<f64>> = t.iter().map(|h| vec![-3.0 * h[1], 3.0 * h[0]]).collect();
        for loss in [FeatureLoss::Attention, FeatureLoss::RkdDistance, FeatureLoss::RkdAngle] {
            assert!(value(loss, &t, &turned) < 1e-6, "{loss:?}");
        }
        assert!(value(FeatureLoss::Hint, &t, &turned) > 1.0);
    }

    /// Equal states have no direction, and no gradient that is not a number.
    #[test]
    fn states_that_are_the_same_are_harmless() {
        let (t, s) = (vec![vec![0.5, 0.5]; 4], vec![vec![0.0, 0.0]; 4]);
        for loss in FeatureLoss::ALL {
            let student = tensor(&s).require_grad();
            let gradients = feature_loss(loss, &tensor(&t), &student).backward();
            let got: Vec<f32> = student.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
            assert!(got.iter().all(|g| g.is_finite()), "{loss:?}: {got:?}");
        }
    }
}
