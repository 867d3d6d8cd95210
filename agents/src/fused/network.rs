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
    /// Weights and their gradients, transposed.
    transposed: Vec<f32>,
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

    /// Runs `samples` rows of features `x` forward; the results are in `trace`.
    pub(crate) fn forward(&self, level: Level, arena: &[f32], x: &[f32], samples: usize, trace: &mut Trace) {
        trace.outputs.resize(self.layers.len(), Vec::new());
        for (l, dims) in self.layers.iter().enumerate() {
            let (before, rest) = trace.outputs.split_at_mut(l);
            let input = before.last().map_or(x, Vec::as_slice);
            let output = &mut rest[0];
            let Dims { inputs, outputs, weight } = *dims;
            let (bias, weight) = (&arena[dims.bias()..dims.end()], &arena[weight..dims.bias()]);
            output.clear();
            if outputs < NARROW {
                // Yᵀ = Wᵀ Xᵀ would need Xᵀ; with so few outputs the dot products of rows are as good.
                transpose(weight, inputs, outputs, &mut trace.transposed);
                for row in input.chunks_exact(inputs) {
                    let columns = trace.transposed.chunks_exact(inputs).zip(bias);
                    output.extend(columns.map(|(column, bias)| bias + dot(row, column)));
                }
            } else {
                for _ in 0..samples {
                    output.extend_from_slice(bias);
                }
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
    pub(crate) fn backward(
        &self,
        level: Level,
        arena: &[f32],
        grads: &mut [f32],
        x: &[f32],
        output_grad: &[f32],
        trace: &mut Trace,
    ) {
        let Trace { outputs, upper, lower, transposed } = trace;
        upper.clear();
        upper.extend_from_slice(output_grad);
        for (l, dims) in self.layers.iter().enumerate().rev() {
            let Dims { inputs, outputs: n, weight } = *dims;
            let samples = upper.len() / n;
            let input = if l == 0 { x } else { &outputs[l - 1] };

            let (weight_grad, bias_grad) = grads[weight..dims.end()].split_at_mut(inputs * n);
            for row in upper.chunks_exact(n) {
                bias_grad.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
            }
            if n < NARROW {
                // dWᵀ = dYᵀ X has long rows where dW = Xᵀ dY has short ones.
                transposed.clear();
                transposed.resize(n * inputs, 0.0);
                let a = Strided { data: upper, row: 1, column: n };
                level.gemm(a, input, transposed, Shape { m: n, n: inputs, k: samples });
                for (i, row) in weight_grad.chunks_exact_mut(n).enumerate() {
                    row.iter_mut().enumerate().for_each(|(o, g)| *g += transposed[o * inputs + i]);
                }
            } else {
                let a = Strided { data: input, row: 1, column: inputs };
                level.gemm(a, upper, weight_grad, Shape { m: inputs, n, k: samples });
            }
            if l == 0 {
                return;
            }

            // dX = dY Wᵀ, then through the activation of the layer below.
            transpose(&arena[weight..dims.bias()], inputs, n, transposed);
            lower.clear();
            lower.resize(samples * inputs, 0.0);
            let a = Strided { data: upper, row: n, column: 1 };
            level.gemm(a, transposed, lower, Shape { m: samples, n: inputs, k: n });
            match self.activation {
                Activation::Tanh => lower.iter_mut().zip(input).for_each(|(g, y)| *g *= 1.0 - y * y),
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
fn dot(a: &[f32], b: &[f32]) -> f32 {
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
