//! Quantised policies: layers in integers, over slices.

use crate::Activation;
use crate::kernel::int8::{identity_q, output, quantize, relu_q, requantize, tanh_q15};

/// A quantised layer over slices; see [`kernel::int8`](crate::kernel::int8) for what its numbers mean.
#[derive(Clone, Copy, Debug)]
pub struct Int8View<'a> {
    /// `[inputs × outputs]`, row-major.
    pub weight: &'a [i8],
    /// `[outputs]`.
    pub bias: &'a [i32],
    /// `[outputs]`, not negative.
    pub multiplier: &'a [i32],
    /// 1 to 31.
    pub shift: u32,
    /// Not GELU; of the last layer, identity.
    pub activation: Activation,
}

/// Computes the layers on the features that `x` begins with, and returns the outputs with the rest of the row that they
/// begin. Between them the rows hold integers, as the bits of their floats. None if one of them is too short.
pub(crate) fn forward<'r>(
    layers: &[Int8View<'_>],
    scale: f32,
    mut x: &'r mut [f32],
    mut y: &'r mut [f32],
) -> Option<&'r [f32]> {
    let inputs = layers.first().map_or(0, |layer| layer.weight.len() / layer.bias.len());
    for x in x.get_mut(..inputs)? {
        *x = bits(i32::from(quantize(*x, scale)));
    }
    for (i, layer) in layers.iter().enumerate() {
        let outputs = layer.bias.len();
        let sums = y.get_mut(..outputs)?;
        sums.iter_mut().zip(layer.bias).for_each(|(sum, bias)| *sum = bits(*bias));
        for (x, row) in x.iter().zip(layer.weight.chunks_exact(outputs)) {
            let x = integer(*x);
            sums.iter_mut().zip(row).for_each(|(sum, w)| *sum = bits(integer(*sum) + x * i32::from(*w)));
        }
        for (sum, multiplier) in sums.iter_mut().zip(layer.multiplier) {
            let z = requantize(integer(*sum), *multiplier, layer.shift);
            *sum = match layer.activation {
                _ if i + 1 == layers.len() => output(z),
                Activation::Tanh => bits(i32::from(tanh_q15(z))),
                Activation::Relu => bits(i32::from(relu_q(z))),
                Activation::Identity | Activation::Gelu => bits(i32::from(identity_q(z))),
            };
        }
        core::mem::swap(&mut x, &mut y);
    }
    Some(x)
}

fn bits(integer: i32) -> f32 {
    f32::from_bits(integer as u32)
}

fn integer(bits: f32) -> i32 {
    bits.to_bits() as i32
}
