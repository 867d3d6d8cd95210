//! Multi-layer perceptrons over slices: no heap, no operating system.

use crate::kernel::dense::{LANES, narrow, wide};
use crate::kernel::math::{gelu, relu, tanh};

/// What follows a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Activation {
    /// [`tanh`].
    Tanh,
    /// max(0, x).
    Relu,
    /// [`gelu`].
    Gelu,
    /// x.
    Identity,
}

impl Activation {
    /// Applies it to every element.
    #[inline(always)]
    pub(crate) fn apply(self, y: &mut [f32]) {
        match self {
            Self::Tanh => y.iter_mut().for_each(|y| *y = tanh(*y)),
            Self::Relu => y.iter_mut().for_each(|y| *y = relu(*y)),
            Self::Gelu => y.iter_mut().for_each(|y| *y = gelu(*y)),
            Self::Identity => {}
        }
    }
}

/// The size of a layer and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct LayerShape {
    /// How many numbers go in.
    pub inputs: usize,
    /// How many come out.
    pub outputs: usize,
    /// Applied to every one of these.
    pub activation: Activation,
}

/// Layers over slices.
#[derive(Clone, Copy, Debug)]
pub struct MlpView<'a> {
    /// Their sizes, first to last.
    pub shapes: &'a [LayerShape],
    /// Of each in turn the weight, `[inputs × outputs]`, row-major, and the bias, `[outputs]`.
    pub weights: &'a [f32],
}

impl MlpView<'_> {
    /// The longest row on the way from `inputs` numbers to the outputs.
    pub(crate) fn widest(&self, inputs: usize) -> usize {
        self.shapes.iter().map(|shape| shape.outputs).fold(inputs, usize::max)
    }

    /// Computes the layers on what `x` begins with, and returns the outputs with the rest of the row that they begin.
    /// Both rows are overwritten. None if one of them is shorter than the widest layer.
    ///
    /// # Panics
    /// If the weights end early.
    #[inline]
    pub(crate) fn forward<'r>(&self, mut x: &'r mut [f32], mut y: &'r mut [f32]) -> Option<&'r [f32]> {
        let mut rest = self.weights;
        for shape in self.shapes {
            let (weight, tail) = rest.split_at(shape.inputs * shape.outputs);
            let (bias, tail) = tail.split_at(shape.outputs);
            rest = tail;
            layer(x.get(..shape.inputs)?, weight, bias, shape.activation, y.get_mut(..shape.outputs)?);
            core::mem::swap(&mut x, &mut y);
        }
        Some(x)
    }
}

/// A layer, by the widest registers that the processor has.
#[inline]
pub(crate) fn layer(x: &[f32], weight: &[f32], bias: &[f32], activation: Activation, y: &mut [f32]) {
    // Wider registers take the same operations in the same order, only more of them at a time: same bits.
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if crate::registers::layer(x, weight, bias, activation, y) {
        return;
    }
    layer_any(x, weight, bias, activation, y);
}

fn layer_any(x: &[f32], weight: &[f32], bias: &[f32], activation: Activation, y: &mut [f32]) {
    match y.len() {
        1 => all_narrow::<1>(x, weight, bias, y),
        2 => all_narrow::<2>(x, weight, bias, y),
        3 => all_narrow::<3>(x, weight, bias, y),
        4 => all_narrow::<4>(x, weight, bias, y),
        5 => all_narrow::<5>(x, weight, bias, y),
        6 => all_narrow::<6>(x, weight, bias, y),
        7 => all_narrow::<7>(x, weight, bias, y),
        _ => {
            // The sums of the widest fill half of sixteen registers of four.
            let done = blocks::<32>(x, weight, bias, y, 0);
            let done = blocks::<16>(x, weight, bias, y, done);
            let done = blocks::<LANES>(x, weight, bias, y, done);
            blocks::<1>(x, weight, bias, y, done);
        }
    }
    activation.apply(y);
}

#[inline(always)]
fn all_narrow<const N: usize>(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    y.copy_from_slice(&narrow::<N>(x, weight, bias.first_chunk().expect("a bias for each output")));
}

/// As many blocks of N outputs as there are from `first` on; returns where it stopped. The sums of a block stay in
/// registers, which is twice as fast as to pass over `y` once for each input.
#[inline(always)]
pub(crate) fn blocks<const N: usize>(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
    mut first: usize,
) -> usize {
    let outputs = y.len();
    while let (Some(bias), Some(to)) = (bias[first..].first_chunk(), y[first..].first_chunk_mut::<N>()) {
        *to = wide(x, &weight[first..], outputs, bias);
        first += N;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks and registers of every width give the bits of the plain double loop.
    #[test]
    fn a_layer_is_the_documented_sum_bit_for_bit() {
        let mut state = 1_u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        for outputs in (1..=9).chain([16, 31, 32, 33, 39, 63, 64, 71, 130]) {
            for inputs in [1, 5, 8, 9, 16, 64] {
                let weight: Vec<f32> = (0..inputs * outputs).map(|_| draw()).collect();
                let bias: Vec<f32> = (0..outputs).map(|_| draw()).collect();
                let x: Vec<f32> = (0..inputs).map(|_| draw()).collect();
                let plain = |j: usize| {
                    let product = |i: usize| x[i] * weight[i * outputs + j];
                    if outputs >= LANES {
                        return (0..inputs).fold(bias[j], |sum, i| sum + product(i));
                    }
                    let mut s = [0.0; LANES];
                    (0..inputs).for_each(|i| s[i % LANES] += product(i));
                    bias[j] + (((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])))
                };
                for activation in [Activation::Identity, Activation::Tanh, Activation::Relu, Activation::Gelu] {
                    let mut sums: Vec<f32> = (0..outputs).map(plain).collect();
                    activation.apply(&mut sums);
                    let bits = |y: &[f32]| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>();
                    let check = |y: &[f32]| assert_eq!(bits(y), bits(&sums), "{inputs} → {outputs} {activation:?}");
                    for forward in [layer, layer_any] {
                        let mut y = vec![9.0; outputs];
                        forward(&x, &weight, &bias, activation, &mut y);
                        check(&y);
                    }
                    #[cfg(all(feature = "std", target_arch = "x86_64"))]
                    for forward in crate::registers::tests::available() {
                        let mut y = vec![9.0; outputs];
                        forward(&x, &weight, &bias, activation, &mut y);
                        check(&y);
                    }
                }
            }
        }
    }

    #[test]
    fn layers_follow_one_another() {
        let shape = |inputs, outputs, activation| LayerShape { inputs, outputs, activation };
        let shapes = [shape(2, 3, Activation::Relu), shape(3, 1, Activation::Identity)];
        let weights = [1.0, 2.0, 3.0, -1.0, 0.5, 0.0, 0.5, -10.0, 0.0, 1.0, 1.0, 2.0, 0.25];
        let run = |mut x: [f32; 3], y: &mut [f32]| {
            MlpView { shapes: &shapes, weights: &weights }.forward(&mut x, y).map(|y| y[0])
        };
        // Relu of (−1.5, −4, 6), of which the second layer adds the last twice.
        assert_eq!(run([2.0, 4.0, 9.0], &mut [9.0; 3]), Some(12.25));
        assert!(run([f32::NAN, 4.0, 9.0], &mut [9.0; 3]).unwrap().is_nan());
        assert_eq!(run([2.0, 4.0, 9.0], &mut [9.0; 2]), None);
    }
}
