//! Forward and backward through a multi-layer perceptron, over one row of parameters.

use super::row::Row;
use super::simd::{Level, Shape, Start, Strided};
use crate::Activation;
use crate::encoder::Input;
use apprentice_deploy::round_to_int8;

/// A perceptron whose parameters lie in one row, each layer's weight `[inputs × outputs]` before its bias.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    layers: Vec<Dims>,
    activation: Activation,
}

#[derive(Clone, Copy, Debug)]
struct Dims {
    inputs: usize,
    outputs: usize,
    /// Where in the row the weight begins; the bias follows it.
    weight: usize,
}

impl Dims {
    fn bias(self) -> usize {
        self.weight + self.inputs * self.outputs
    }

    fn end(self) -> usize {
        self.bias() + self.outputs
    }
}

/// The activations of one block of samples, kept for the way back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// The output of every layer, `[samples × outputs]`.
    outputs: Vec<Row>,
    /// The same before the activation, where its derivative needs it.
    preactivations: Vec<Row>,
    /// Gradients of the outputs of two neighbouring layers.
    upper: Row,
    lower: Row,
    /// The gradient of a narrow layer's weight, transposed.
    narrow_grad: Row,
}

/// The weight of every layer, transposed: `[outputs × inputs]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transposed(Vec<Row>);

impl Trace {
    /// The output of the last layer.
    pub(crate) fn output(&self) -> &[f32] {
        self.outputs.last().map_or(&[], |outputs| outputs)
    }

    /// The output of the last hidden layer; None if there is none.
    pub(crate) fn hidden(&self) -> Option<&[f32]> {
        self.outputs.len().checked_sub(2).map(|l| &*self.outputs[l])
    }

    /// The gradient in the inputs, after a [`backward`](Network::backward) that was asked for it.
    pub(crate) fn input_grad(&self) -> &[f32] {
        &self.lower
    }
}

/// What a network's gradient comes from.
#[derive(Clone, Copy)]
pub(crate) struct Gradients<'a> {
    /// `[samples × outputs]`: in the outputs.
    pub(crate) output: &'a [f32],
    /// What another network, a head on this one, hands to the last hidden layer.
    pub(crate) head: Option<&'a [f32]>,
    /// Whether the gradient in the features is wanted too.
    pub(crate) inputs: bool,
}

/// Layers with fewer outputs than a vector register holds are computed with inputs and outputs in exchanged roles.
const NARROW: usize = 8;

impl Network {
    /// A perceptron of these sizes.
    pub(crate) fn new(sizes: &[usize], activation: Activation) -> Self {
        let mut weight = 0;
        let mut layers = Vec::new();
        for pair in sizes.windows(2) {
            let dims = Dims { inputs: pair[0], outputs: pair[1], weight };
            weight = dims.end();
            layers.push(dims);
        }
        Self { layers, activation }
    }

    /// The number of its parameters.
    pub(crate) fn len(&self) -> usize {
        self.layers.last().map_or(0, |last| last.end())
    }

    /// Writes the parameters with weights rounded to 8 bits.
    pub(crate) fn round(&self, parameters: &[f32], rounded: &mut [f32]) {
        rounded.copy_from_slice(parameters);
        self.layers.iter().for_each(|dims| round_to_int8(&mut rounded[dims.weight..dims.bias()], dims.outputs));
    }

    /// Writes the transposed weights. To be called whenever the parameters have changed.
    pub(crate) fn transpose(&self, level: Level, parameters: &[f32], transposed: &mut Transposed) {
        transposed.0.resize(self.layers.len(), Row::default());
        for (l, (dims, to)) in self.layers.iter().zip(&mut transposed.0).enumerate() {
            // The first layer has nobody to hand a gradient to, but for a head on another network, and heads are narrow.
            if l > 0 || dims.outputs < NARROW {
                to.resize(dims.inputs * dims.outputs);
                level.transpose(&parameters[dims.weight..dims.bias()], dims.outputs, to);
            }
        }
    }

    /// Runs the features `x` of `samples` samples forward; the results are in `trace`.
    pub(crate) fn forward(
        &self,
        level: Level,
        (parameters, transposed): (&[f32], &Transposed),
        x: Input<'_>,
        samples: usize,
        trace: &mut Trace,
    ) {
        trace.outputs.resize(self.layers.len(), Row::default());
        trace.preactivations.resize(self.layers.len(), Row::default());
        for (l, dims) in self.layers.iter().enumerate() {
            let (before, rest) = trace.outputs.split_at_mut(l);
            let input = before.last().map_or(x, |below| Input::Dense(below));
            let output = &mut rest[0];
            let Dims { inputs, outputs, weight } = *dims;
            let (bias, weight) = (&parameters[dims.bias()..dims.end()], &parameters[weight..dims.bias()]);
            output.resize(samples * outputs);
            match input {
                Input::Dense(input) if outputs < NARROW => {
                    level.gemm_narrow(input, &transposed.0[l], bias, output);
                }
                Input::Dense(input) => {
                    let a = Strided { data: input, row: inputs, column: 1 };
                    level.gemm(a, weight, output, Start::Row(bias), Shape { m: samples, n: outputs, k: inputs });
                }
                Input::OneHot { places, columns } => {
                    for (places, output) in places.chunks_exact(columns).zip(output.chunks_exact_mut(outputs)) {
                        output.copy_from_slice(bias);
                        places.iter().for_each(|&place| add(&weight[place as usize * outputs..][..outputs], output));
                    }
                }
            }
            if l + 1 < self.layers.len() {
                match self.activation {
                    Activation::Tanh => level.tanh(output),
                    Activation::Relu => output.iter_mut().for_each(|y| *y = y.max(0.0)),
                    Activation::Gelu => {
                        trace.preactivations[l].copy(output);
                        level.gelu(output);
                    }
                }
            }
        }
    }

    /// Adds to `grads` the gradient of a loss whose gradient in the outputs of the last [`forward`](Self::forward) is
    /// given; `x` as there.
    pub(crate) fn backward(
        &self,
        level: Level,
        (transposed, grads): (&Transposed, &mut [f32]),
        x: Input<'_>,
        from: Gradients<'_>,
        trace: &mut Trace,
    ) {
        let Gradients { output: output_grad, head, inputs } = from;
        let wanted = if inputs { 0 } else { 1 };
        let Trace { outputs, preactivations, upper, lower, narrow_grad } = trace;
        upper.copy(output_grad);
        for (l, dims) in self.layers.iter().enumerate().rev() {
            let Dims { inputs, outputs: n, weight } = *dims;
            let samples = upper.len() / n;
            let input = if l == 0 { x } else { Input::Dense(&outputs[l - 1]) };

            let (weight_grad, bias_grad) = grads[weight..dims.end()].split_at_mut(inputs * n);
            let ones = Strided { data: &[1.0], row: 0, column: 0 };
            level.gemm(ones, upper, bias_grad, Start::Kept, Shape { m: 1, n, k: samples });
            match input {
                Input::Dense(input) if n < NARROW => {
                    // dWᵀ = dYᵀ X has long rows where dW = Xᵀ dY has short ones.
                    narrow_grad.resize(n * inputs);
                    let a = Strided { data: upper, row: 1, column: n };
                    level.gemm(a, input, narrow_grad, Start::Zero, Shape { m: n, n: inputs, k: samples });
                    for (i, row) in weight_grad.chunks_exact_mut(n).enumerate() {
                        row.iter_mut().enumerate().for_each(|(o, g)| *g += narrow_grad[o * inputs + i]);
                    }
                }
                Input::Dense(input) => {
                    let a = Strided { data: input, row: 1, column: inputs };
                    level.gemm(a, upper, weight_grad, Start::Kept, Shape { m: inputs, n, k: samples });
                }
                Input::OneHot { places, columns } => {
                    for (places, grad) in places.chunks_exact(columns).zip(upper.chunks_exact(n)) {
                        places.iter().for_each(|&place| add(grad, &mut weight_grad[place as usize * n..][..n]));
                    }
                }
            }
            if l < wanted {
                return;
            }

            // dX = dY Wᵀ, then through the activation of the layer below.
            lower.resize(samples * inputs);
            let a = Strided { data: upper, row: n, column: 1 };
            level.gemm(a, &transposed.0[l], lower, Start::Zero, Shape { m: samples, n: inputs, k: n });
            let Some(below) = l.checked_sub(1) else { return };
            if let Some(head) = head.filter(|_| l + 1 == self.layers.len()) {
                add(head, lower);
            }
            match self.activation {
                Activation::Tanh => level.tanh_backward(lower, &outputs[below]),
                Activation::Relu => {
                    lower.iter_mut().zip(&*outputs[below]).for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 });
                }
                Activation::Gelu => level.gelu_backward(lower, &preactivations[below]),
            }
            std::mem::swap(upper, lower);
        }
    }
}

fn add(from: &[f32], to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
