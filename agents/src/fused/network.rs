//! Forward and backward through a multi-layer perceptron, over one arena of parameters.

use super::simd::{Level, Shape, Strided};
use crate::Activation;

/// A perceptron whose parameters lie in a shared arena, each layer's weight `[inputs × outputs]` before its bias.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    layers: Vec<Dims>,
    activation: Activation,
}

#[derive(Clone, Copy, Debug)]
struct Dims {
    inputs: usize,
    outputs: usize,
    /// Where in the arena the weight begins; the bias follows it.
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
    outputs: Vec<Vec<f32>>,
    /// Gradients of the outputs of two neighbouring layers.
    upper: Vec<f32>,
    lower: Vec<f32>,
    /// The weight of every layer, transposed: `[outputs × inputs]`.
    transposed: Vec<Vec<f32>>,
    /// The gradient of a narrow layer's weight, transposed.
    narrow_grad: Vec<f32>,
}

impl Trace {
    /// The output of the last layer.
    pub(crate) fn output(&self) -> &[f32] {
        self.outputs.last().map_or(&[], Vec::as_slice)
    }
}

/// Layers with fewer outputs than a vector register holds are computed with inputs and outputs in exchanged roles.
const NARROW: usize = 8;

impl Network {
    /// A perceptron of these sizes whose parameters begin at `start` in the arena; also returns where they end.
    pub(crate) fn new(sizes: &[usize], activation: Activation, start: usize) -> (Self, usize) {
        let mut weight = start;
        let mut layers = Vec::new();
        for pair in sizes.windows(2) {
            let dims = Dims { inputs: pair[0], outputs: pair[1], weight };
            weight = dims.end();
            layers.push(dims);
        }
        (Self { layers, activation }, weight)
    }

    /// Writes the transposed weights into `trace`. To be called whenever the arena has changed.
    pub(crate) fn transpose(&self, arena: &[f32], trace: &mut Trace) {
        trace.transposed.resize(self.layers.len(), Vec::new());
        for (dims, to) in self.layers.iter().zip(&mut trace.transposed) {
            transpose(&arena[dims.weight..dims.bias()], dims.inputs, dims.outputs, to);
        }
    }

    /// Runs `samples` rows of features `x` forward; the results are in `trace`.
    pub(crate) fn forward(&self, level: Level, arena: &[f32], x: &[f32], samples: usize, trace: &mut Trace) {
        trace.outputs.resize(self.layers.len(), Vec::new());
        for (l, dims) in self.layers.iter().enumerate() {
            let (before, rest) = trace.outputs.split_at_mut(l);
            let input = before.last().map_or(x, Vec::as_slice);
            let output = &mut rest[0];
            let Dims { inputs, outputs, weight } = *dims;
            let (bias, weight) = (&arena[dims.bias()..dims.end()], &arena[weight..dims.bias()]);
            output.resize(samples * outputs, 0.0);
            if outputs < NARROW {
                for (row, to) in input.chunks_exact(inputs).zip(output.chunks_exact_mut(outputs)) {
                    let columns = trace.transposed[l].chunks_exact(inputs).zip(bias);
                    to.iter_mut().zip(columns).for_each(|(to, (column, bias))| *to = bias + dot(row, column));
                }
            } else {
                output.chunks_exact_mut(outputs).for_each(|to| to.copy_from_slice(bias));
                let a = Strided { data: input, row: inputs, column: 1 };
                level.gemm(a, weight, output, Shape { m: samples, n: outputs, k: inputs });
            }
            if l + 1 < self.layers.len() {
                match self.activation {
                    Activation::Tanh => level.tanh(output),
                    Activation::Relu => output.iter_mut().for_each(|y| *y = y.max(0.0)),
                }
            }
        }
    }

    /// Adds to `grads` the gradient of a loss whose gradient in the outputs of the last [`forward`](Self::forward) is
    /// `output_grad` `[samples × outputs]`; `x` and `samples` as there.
    pub(crate) fn backward(&self, level: Level, grads: &mut [f32], x: &[f32], output_grad: &[f32], trace: &mut Trace) {
        let Trace { outputs, upper, lower, transposed, narrow_grad } = trace;
        upper.clear();
        upper.extend_from_slice(output_grad);
        for (l, dims) in self.layers.iter().enumerate().rev() {
            let Dims { inputs, outputs: n, weight } = *dims;
            let samples = upper.len() / n;
            let input = if l == 0 { x } else { &outputs[l - 1] };

            let (weight_grad, bias_grad) = grads[weight..dims.end()].split_at_mut(inputs * n);
            level.add_rows(bias_grad, upper);
            if n < NARROW {
                // dWᵀ = dYᵀ X has long rows where dW = Xᵀ dY has short ones.
                narrow_grad.clear();
                narrow_grad.resize(n * inputs, 0.0);
                let a = Strided { data: upper, row: 1, column: n };
                level.gemm(a, input, narrow_grad, Shape { m: n, n: inputs, k: samples });
                for (i, row) in weight_grad.chunks_exact_mut(n).enumerate() {
                    row.iter_mut().enumerate().for_each(|(o, g)| *g += narrow_grad[o * inputs + i]);
                }
            } else {
                let a = Strided { data: input, row: 1, column: inputs };
                level.gemm(a, upper, weight_grad, Shape { m: inputs, n, k: samples });
            }
            if l == 0 {
                return;
            }

            // dX = dY Wᵀ, then through the activation of the layer below.
            lower.clear();
            lower.resize(samples * inputs, 0.0);
            let a = Strided { data: upper, row: n, column: 1 };
            level.gemm(a, &transposed[l], lower, Shape { m: samples, n: inputs, k: n });
            match self.activation {
                Activation::Tanh => level.tanh_backward(lower, input),
                Activation::Relu => lower.iter_mut().zip(input).for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 }),
            }
            std::mem::swap(upper, lower);
        }
    }
}

/// Writes the transpose of a `[rows × columns]` matrix into `to`.
fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut Vec<f32>) {
    to.clear();
    to.extend((0..columns).flat_map(|c| (0..rows).map(move |r| from[r * columns + c])));
}

/// Σ a b in eight interleaved sums, which a vector register adds side by side.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
