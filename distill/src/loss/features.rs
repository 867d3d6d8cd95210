//! Losses of hidden features: what a student makes of a state before it decides, and how it tells states apart.
//!
//! | name | |
//! |---|---|
//! | `hint` | Σ (h_S P + p − h_T)² / Σ (h_T − mean h_T)²: the share of the teacher's variance that a linear projection leaves |
//! | | unexplained; P and p are learnt with the student and thrown away |
//! | `attention` | Σ_i (a_S,i / ‖a_S‖ − a_T,i / ‖a_T‖)², a_i = Σ h_i²: which states of a minibatch move the network most |
//! | `rkd_distance` | mean over pairs of Huber(ψ_S − ψ_T), ψ the distance of two states as a multiple of the mean distance |
//! | `rkd_angle` | mean over triplets of Huber(cos_S − cos_T), of the angle at the middle one |
//!
//! with h the last hidden layer of both. Pairs are those of at most 64 states of a minibatch, and triplets of different
//! states those of at most 24, spread over it: they cost their second and third power. All but `hint` compare teacher and student without a map from one to the other, and
//! so leave the student free to turn and to scale what it computes. An image has an attention map; a row of numbers has none,
//! so here the map is over the states of the minibatch.
//!
//! Sources: Romero et al., *FitNets: Hints for Thin Deep Nets*, 2015; Zagoruyko and Komodakis, *Paying More Attention to
//! Attention*, 2017; Park et al., *Relational Knowledge Distillation*, 2019.

use crate::checkpoint::Learnt;
use apprentice_agents::Error;
use apprentice_envs::Generator;
use burn::module::{Param, ParamId};
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Gradients, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// The states of a minibatch that distances and angles are taken among.
const PAIR_STATES: usize = 64;
const ANGLE_STATES: usize = 24;

/// A distance counts for no less than this share of the mean distance: the direction between two states that are nearly
/// the same is noise, and its gradient has no bound.
const LEAST_DISTANCE: f32 = 1e-3;

/// The variance of the teacher's features counts for no less than this share of their squares: of states that are all the
/// same there is none.
const LEAST_VARIANCE: f32 = 1e-3;

/// Keeps quotients and the square root's slope finite where all states are the same.
const LEAST_SQUARE: f32 = 1e-12;

/// A loss that needs no projection, between features `[B, units]` of teacher and student, a scalar.
pub(crate) fn feature_loss(loss: FeatureLoss, teacher: &Tensor<2>, student: &Tensor<2>) -> Tensor<1> {
    let pair = [teacher, student].map(Clone::clone);
    match loss {
        FeatureLoss::Hint => {
            let mean = teacher.clone().mean_dim(0).expand(teacher.dims());
            let least = teacher.clone().square().sum().mul_scalar(LEAST_VARIANCE).clamp_min(LEAST_SQUARE);
            let variance = (teacher.clone() - mean).square().sum().max_pair(least);
            (student.clone() - teacher.clone()).square().sum() / variance
        }
        FeatureLoss::Attention => {
            let [t, s] = pair.map(|h| {
                let energy = h.square().sum_dim(1);
                let norm = energy.clone().square().sum().clamp_min(LEAST_SQUARE).sqrt();
                energy.clone() / norm.unsqueeze::<2>().expand(energy.dims())
            });
            (s - t).square().sum()
        }
        FeatureLoss::RkdDistance => {
            let [t, s] = pair.map(|h| {
                let directions = Directions::of(some(h, PAIR_STATES));
                directions.lengths.clone() / directions.mean.expand(directions.lengths.dims())
            });
            let [n, ..] = t.dims();
            huber(s - t).sum().div_scalar((n * n - n).max(1) as f32)
        }
        FeatureLoss::RkdAngle => {
            let [t, s] = pair.map(|h| {
                let Directions { vectors, lengths, mean } = Directions::of(some(h, ANGLE_STATES));
                let least = mean.mul_scalar(LEAST_DISTANCE).expand(lengths.dims());
                let unit = vectors.clone() / lengths.max_pair(least).expand(vectors.dims());
                unit.clone().matmul(unit.swap_dims(1, 2))
            });
            let [n, ..] = t.dims();
            // Of different states i and k, each seen from j: from one that is i or k itself there is no direction.
            let same = Tensor::<2>::eye(n, &t.device()).neg().add_scalar(1.0).unsqueeze_dim::<3>(0);
            let triplets = (n * (n - 1) * n.saturating_sub(2)).max(1) as f32;
            huber(s - t).mul(same.expand([n, n, n])).sum().div_scalar(triplets)
        }
    }
}

/// At most so many rows, spread over all of them.
fn some(h: Tensor<2>, most: usize) -> Tensor<2> {
    let [rows, _] = h.dims();
    if rows <= most {
        return h;
    }
    let places: Vec<i32> = (0..most).map(|i| (i * rows / most) as i32).collect();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [most]), &h.device());
    h.select(0, places)
}

/// From every row to every other one.
struct Directions {
    /// `[n, n, units]`: row i − row j at `[j, i]`.
    vectors: Tensor<3>,
    /// `[n, n, 1]`; 0 of a row to itself.
    lengths: Tensor<3>,
    /// `[1, 1, 1]`: the mean length between different rows.
    mean: Tensor<3>,
}

impl Directions {
    fn of(h: Tensor<2>) -> Self {
        let [n, units] = h.dims();
        let (from, to) = (h.clone().unsqueeze_dim::<3>(1), h.unsqueeze_dim::<3>(0));
        let vectors = to.expand([n, n, units]) - from.expand([n, n, units]);
        let others = Tensor::<2>::eye(n, &vectors.device()).neg().add_scalar(1.0).unsqueeze_dim::<3>(2);
        let lengths = vectors.clone().square().sum_dim(2).clamp_min(LEAST_SQUARE).sqrt() * others;
        let mean = lengths.clone().sum().div_scalar((n * n - n).max(1) as f32).clamp_min(LEAST_SQUARE.sqrt());
        Self { vectors, lengths, mean: mean.unsqueeze::<3>() }
    }
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
        let scale = (student as f64).sqrt().recip();
        let weight = (0..student * teacher).map(|_| (scale * rng.standard_normal()) as f32).collect();
        let linear = linear([student, teacher], weight, vec![0.0; teacher], device);
        Self { linear, optimizer: AdamConfig::new().init() }
    }

    /// Its weight and its bias, and the state of its optimiser.
    pub(crate) fn state(&self) -> Result<Learnt, Error> {
        let bias = self.linear.bias.as_ref().map(|bias| to_vec(bias.val())).unwrap_or_default();
        let optimizer = self.optimizer.into_bytes();
        let optimizer = optimizer.map_err(|e| Error::corrupt(format!("the projection cannot be saved: {e}")))?.to_vec();
        Ok(Learnt { parameters: [to_vec(self.linear.weight.val()), bias].concat(), optimizer })
    }

    /// Goes on from a saved [`state`](Self::state).
    pub(crate) fn restore(&mut self, state: Learnt, device: &Device) -> Result<(), Error> {
        let [student, teacher] = self.linear.weight.dims();
        let Learnt { parameters, optimizer } = state;
        let (got, expected) = (parameters.len(), (student + 1) * teacher);
        if got != expected {
            return Err(Error::corrupt(format!("the projection has {expected} parameters, the checkpoint {got}")));
        }
        let (weight, bias) = parameters.split_at(student * teacher);
        self.linear = linear([student, teacher], weight.to_vec(), bias.to_vec(), device);
        let optimizer = self.optimizer.clone().from_bytes(Bytes::from_bytes_vec(optimizer));
        self.optimizer = optimizer.map_err(|e| Error::corrupt(format!("the projection cannot be read: {e}")))?;
        Ok(())
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.linear.forward(features)
    }

    fn learn(&mut self, gradients: &mut Gradients, learning_rate: f64) {
        let grads = GradientsParams::from_module(gradients, &self.linear);
        self.linear = self.optimizer.step(learning_rate, self.linear.clone(), grads);
    }
}

/// A layer of these numbers that learns.
fn linear(shape: [usize; 2], weight: Vec<f32>, bias: Vec<f32>, device: &Device) -> Linear {
    let device = device.clone().autodiff();
    let weight = Tensor::<2>::from_data(TensorData::new(weight, shape), &device);
    let bias = Tensor::<1>::from_data(TensorData::new(bias, [shape[1]]), &device);
    Linear {
        weight: Param::initialized(ParamId::from(1 << 32), weight.require_grad()),
        bias: Some(Param::initialized(ParamId::from((1 << 32) + 1), bias.require_grad())),
    }
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("parameters are f32")
}

/// The projection, which nobody else looks at meanwhile.
pub(crate) fn lock(projection: &Mutex<Projection>) -> MutexGuard<'_, Projection> {
    projection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The feature losses of a minibatch.
pub(crate) struct FeatureTerm<'a> {
    /// Losses with their coefficients, `coef` included.
    pub(crate) losses: &'a [(FeatureLoss, f64)],
    /// `[B, units]`: the teacher's features.
    pub(crate) teacher: ndarray::Array2<f32>,
    pub(crate) projection: &'a Mutex<Projection>,
}

impl FeatureTerm<'_> {
    pub(crate) fn loss(&self, student: &Tensor<2>) -> Tensor<1> {
        let (rows, units) = self.teacher.dim();
        let teacher = TensorData::new(self.teacher.iter().copied().collect(), [rows, units]);
        let teacher = Tensor::<2>::from_data(teacher, &student.device());
        let one = |(loss, coef): &(FeatureLoss, f64)| {
            let value = match loss {
                FeatureLoss::Hint => feature_loss(*loss, &teacher, &lock(self.projection).forward(student.clone())),
                _ => feature_loss(*loss, &teacher, student),
            };
            value.mul_scalar(*coef)
        };
        self.losses.iter().map(one).reduce(|sum, loss| sum + loss).expect("there is a loss")
    }

    pub(crate) fn learn(&self, gradients: &mut Gradients, learning_rate: f64) {
        if self.losses.iter().any(|(loss, _)| *loss == FeatureLoss::Hint) {
            lock(self.projection).learn(gradients, learning_rate);
        }
    }
}

/// Refuses teachers and students without hidden layers.
pub(crate) fn check_features(teacher_units: Option<usize>, hidden: &[usize]) -> Result<(usize, usize), Error> {
    match (teacher_units, hidden.last()) {
        (Some(teacher), Some(student)) => Ok((*student, teacher)),
        (None, _) => Err(Error::config(
            "features: expected one teacher that is a network with a hidden layer or a memory, got another; use losses of what it \
             puts out, or set no features",
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
        let most = match loss {
            FeatureLoss::RkdDistance => PAIR_STATES,
            FeatureLoss::RkdAngle => ANGLE_STATES,
            _ => usize::MAX,
        };
        let rows = t.len();
        let picked = |h: &[Vec<f64>]| match rows <= most {
            true => h.to_vec(),
            false => (0..most).map(|i| h[i * rows / most].clone()).collect(),
        };
        let (t, s) = (&picked(t)[..], &picked(s)[..]);
        let n = t.len();
        let huber = |e: f64| if e.abs() <= 1.0 { 0.5 * e * e } else { e.abs() - 0.5 };
        let distance = |h: &[Vec<f64>], i: usize, j: usize| {
            h[i].iter().zip(&h[j]).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        };
        let all = || (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|(i, j)| i != j);
        match loss {
            FeatureLoss::Hint => {
                let squares = t.iter().flatten().zip(s.iter().flatten()).map(|(a, b)| (a - b) * (a - b));
                let variance = (0..t[0].len()).map(|u| {
                    let mean = t.iter().map(|h| h[u]).sum::<f64>() / n as f64;
                    t.iter().map(|h| (h[u] - mean) * (h[u] - mean)).sum::<f64>()
                });
                squares.sum::<f64>() / variance.sum::<f64>()
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
                let cosine = |h: &[Vec<f64>], i: usize, j: usize, k: usize| {
                    let dot: f64 = (0..h[0].len()).map(|u| (h[i][u] - h[j][u]) * (h[k][u] - h[j][u])).sum();
                    dot / (distance(h, i, j) * distance(h, k, j))
                };
                let triplets = (0..n * n * n).map(|x| (x / n / n, x / n % n, x % n));
                let triplets = triplets.filter(|(i, j, k)| i != j && j != k && i != k);
                let error = |(i, j, k)| huber(cosine(s, i, j, k) - cosine(t, i, j, k));
                triplets.map(error).sum::<f64>() / (n * (n - 1) * (n - 2)) as f64
            }
        }
    }

    #[test]
    fn losses_are_those_of_the_definitions() {
        let mut rng = Generator::new(2);
        for loss in FeatureLoss::ALL {
            for n in [3, 7, 30, 150] {
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

    /// Two states that are nearly the same to the student have a direction that means nothing, and no gradient of its own
    /// size.
    #[test]
    fn states_that_are_nearly_the_same_do_not_take_over() {
        let mut rng = Generator::new(5);
        let (t, mut s) = (rows(8, 3, &mut rng), rows(8, 3, &mut rng));
        s[1] = s[0].iter().map(|x| x + 1e-5).collect();
        for loss in FeatureLoss::ALL {
            let student = tensor(&s).require_grad();
            let gradients = feature_loss(loss, &tensor(&t), &student).backward();
            let got: Vec<f32> = student.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
            assert!(got.iter().all(|g| g.abs() < 30.0), "{loss:?}: {got:?}");
        }
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
