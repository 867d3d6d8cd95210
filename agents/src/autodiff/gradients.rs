//! What is done to burn's gradients between a loss and its step, over all parameters of the networks.

use super::nn::to_vec;
use crate::{ActorCritic, Anchor};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

/// Scales all gradients by one factor so that their norm, taken over all parameters together, is at most
/// `max_norm`. Returns the norm before. (burn's own clipping takes the norm of each tensor for itself.)
pub(crate) fn clip_grad_norm(grads: GradientsParams, network: &ActorCritic, max_norm: f32) -> (GradientsParams, f32) {
    let mut squares = SumOfSquares { grads: &grads, sum: None };
    network.visit(&mut squares);
    let norm = squares.sum.map_or(0.0, |sum| sum.into_scalar::<f32>().sqrt());
    // PyTorch's clip_grad_norm_, its 1e-6 included.
    let factor = max_norm / (norm + 1e-6);
    if factor >= 1.0 {
        return (grads, norm);
    }
    let mut scale = Scale { grads, factor };
    network.visit(&mut scale);
    (scale.grads, norm)
}

struct SumOfSquares<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let sum = grad.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(so_far) => so_far + sum,
                None => sum,
            });
        }
    }
}

/// Adds the pull of an anchor to all gradients.
pub(crate) fn pull(grads: GradientsParams, network: &ActorCritic, anchor: &Anchor) -> GradientsParams {
    let mut pull = Pull { grads, anchor, first: 0 };
    network.visit(&mut pull);
    pull.grads
}

/// All gradients as one row, in the layout of [`ActorCritic::flat_parameters`]; zeros where there is none.
pub(crate) fn flat(grads: &GradientsParams, network: &ActorCritic) -> Vec<f32> {
    let mut flat = Flat { grads, values: Vec::new() };
    network.visit(&mut flat);
    flat.values
}

/// Visits parameters in the order of the flat row.
struct Pull<'a> {
    grads: GradientsParams,
    anchor: &'a Anchor,
    first: usize,
}

impl ModuleVisitor for Pull<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let (shape, device) = (value.dims(), value.device());
        let pulls = to_vec(value).into_iter().enumerate().map(|(i, x)| self.anchor.pull(self.first + i, x));
        let pulls: Vec<f32> = pulls.collect();
        self.first += pulls.len();
        let pulls = Tensor::<D>::from_data(TensorData::new(pulls, shape), &device);
        let grad = match self.grads.remove::<D>(param.id) {
            Some(grad) => grad + pulls,
            None => pulls,
        };
        self.grads.register(param.id, grad);
    }
}

struct Flat<'a> {
    grads: &'a GradientsParams,
    values: Vec<f32>,
}

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        match self.grads.get::<D>(param.id) {
            Some(grad) => self.values.extend(to_vec(grad)),
            None => self.values.extend(std::iter::repeat_n(0.0, param.val().dims().iter().product())),
        }
    }
}

struct Scale {
    grads: GradientsParams,
    factor: f32,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad.mul_scalar(self.factor));
        }
    }
}
