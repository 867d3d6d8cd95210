//! From layers in f32 to layers in integers.

use crate::kernel::int8::{ACTIVATION_MAX, OUTPUT_UNIT, TANH_UNIT};
use crate::{Activation, Body, Error, Int8View, Layer, LayerShape, MlpView, Policy};

/// How much larger than anything seen a feature or an activation may become before it is cut off. 16 bits are plenty.
const HEADROOM: f64 = 2.0;

/// The greatest bias, so that the products have room in 32 bits beside it.
const BIAS_MAX: f64 = (1 << 29) as f64;

/// The greatest weight of 8 bits, of which −128 is not used.
const WEIGHT_MAX: f32 = 127.0;

/// Moves every weight of a layer `[inputs × outputs]` to the nearest one that [`Policy::to_int8`] keeps: multiples of a 127th
/// of the greatest magnitude among the weights of the same output.
///
/// Networks that are trained with such weights, their gradients taken as if nothing were rounded, keep them when they become
/// integers, unless an output's bias dwarfs its weights or it has more than some five hundred inputs (quantisation-aware training: Jacob et al., *Quantization and training of neural networks for efficient
/// integer-arithmetic-only inference*, 2018).
pub fn round_to_int8(weight: &mut [f32], outputs: usize) {
    for output in 0..outputs {
        let column = || (output..weight.len()).step_by(outputs);
        let greatest = column().fold(0.0, |max: f32, i| max.max(weight[i].abs()));
        let step = (greatest / WEIGHT_MAX).max(f32::MIN_POSITIVE);
        column().for_each(|i| weight[i] = (weight[i] / step).round_ties_even() * step);
    }
}

/// Layers in integers.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8 {
    /// A feature times this is its integer.
    pub scale: f32,
    /// First to last.
    pub layers: Vec<Int8Layer>,
}

/// A quantised layer; see [`kernel::int8`](crate::kernel::int8) for what its numbers mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Layer {
    /// `[inputs × outputs]`, row-major.
    pub weight: Vec<i8>,
    /// `[outputs]`.
    pub bias: Vec<i32>,
    /// `[outputs]`, not negative.
    pub multiplier: Vec<i32>,
    /// 1 to 31.
    pub shift: u32,
    /// Not GELU; of the last layer, identity.
    pub activation: Activation,
}

impl Int8Layer {
    /// The layer without its numbers.
    pub fn shape(&self) -> LayerShape {
        let outputs = self.bias.len();
        LayerShape { inputs: self.weight.len() / outputs.max(1), outputs, activation: self.activation }
    }

    /// The weight `[outputs × inputs]`, as a sum over the inputs reads it.
    pub(crate) fn by_output(&self) -> Vec<i8> {
        let outputs = self.bias.len();
        (0..outputs).flat_map(|j| self.weight.iter().skip(j).step_by(outputs).copied()).collect()
    }

    /// The same over slices.
    pub fn view(&self) -> Int8View<'_> {
        let Self { weight, bias, multiplier, shift, activation } = self;
        Int8View { weight, bias, multiplier, shift: *shift, activation: *activation }
    }
}

impl Int8 {
    /// Refuses what does not lead from `inputs` features to `outputs` outputs, or could overflow on the way.
    pub(crate) fn check(&self, inputs: usize, outputs: usize) -> Result<(), Error> {
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(Error::shape(format!("int8: expected a positive scale, got {}", self.scale)));
        }
        let mut width = inputs;
        for (i, layer) in self.layers.iter().enumerate() {
            let shape = layer.shape();
            let last = i + 1 == self.layers.len();
            let sound = shape.outputs > 0
                && layer.multiplier.len() == shape.outputs
                && layer.multiplier.iter().all(|m| *m >= 0)
                && (1..=31).contains(&layer.shift)
                && layer.activation != Activation::Gelu
                && (!last || layer.activation == Activation::Identity);
            if !sound || Some(layer.weight.len()) != width.checked_mul(shape.outputs) {
                return Err(Error::shape(format!(
                    "int8, layer {i}: expected {width} × outputs weights, as many biases and multipliers of 0 or more as \
                     outputs (at least 1), a shift of 1 to 31, no gelu, and identity last"
                )));
            }
            for (j, bias) in layer.bias.iter().enumerate() {
                if !fits(layer.weight.iter().skip(j).step_by(shape.outputs), *bias) {
                    return Err(Error::shape(format!("int8, layer {i}: the sum of output {j} may exceed 32 bits")));
                }
            }
            width = shape.outputs;
        }
        match self.layers.is_empty() || width != outputs {
            true => Err(Error::shape(format!("int8: expected at least one layer, and {outputs} outputs at the end"))),
            false => Ok(()),
        }
    }
}

/// Whether no activations make a sum overflow.
fn fits<'a>(weights: impl Iterator<Item = &'a i8>, bias: i32) -> bool {
    let weights: i64 = weights.map(|w| i64::from(*w).abs()).sum();
    weights * ACTIVATION_MAX + i64::from(bias).abs() <= i64::from(i32::MAX)
}

impl Policy {
    /// The policy with its layers in integers: 8-bit weights with a scale for each output, 16-bit activations whose ranges
    /// are those that come up on `observations`, flat rows from the policy's environment.
    ///
    /// # Errors
    /// If there are no observations or one is not the policy's, the body is not layers, or one of them has GELU.
    pub fn to_int8(&self, observations: &[Vec<f32>]) -> Result<Self, Error> {
        let refuse = |hint: &str| Err(Error::shape(format!("int8: expected a policy of layers in f32; {hint}")));
        let layers = match self.body() {
            Body::Mlp(layers) => layers,
            Body::Tree(_) => return refuse("a tree has no weights to make smaller"),
            Body::Int8(_) => return refuse("this one has integers already"),
            Body::Gru(_) => {
                return refuse(
                    "only layers are quantised, no recurrent cell; keep this one in f32, or distil a student of layers",
                );
            }
        };
        let (last, hidden) = layers.split_last().expect("a policy has a layer");
        if last.activation != Activation::Identity || hidden.iter().any(|layer| layer.activation == Activation::Gelu) {
            return Err(Error::shape(
                "int8: expected layers with tanh or relu and none after the last; distil such a student",
            ));
        }
        if observations.is_empty() {
            return Err(Error::shape("int8: expected observations to calibrate with, got none"));
        }
        let ranges = ranges(self, layers, observations)?;
        let mut unit = HEADROOM * ranges[0] / ACTIVATION_MAX as f64;
        let scale = (1.0 / unit) as f32;
        let mut quantized = Vec::new();
        for (i, layer) in layers.iter().enumerate() {
            let next = match layer.activation {
                _ if i + 1 == layers.len() => f64::from(OUTPUT_UNIT),
                Activation::Tanh => TANH_UNIT,
                _ => HEADROOM * ranges[i + 1] / ACTIVATION_MAX as f64,
            };
            quantized.push(quantize_layer(layer, unit, next)?);
            unit = if layer.activation == Activation::Tanh { 1.0 / ACTIVATION_MAX as f64 } else { next };
        }
        Self::new(self.header().clone(), Int8 { scale, layers: quantized })
    }
}

/// The greatest magnitude of the features, and of the activations after every layer.
fn ranges(policy: &Policy, layers: &[Layer], observations: &[Vec<f32>]) -> Result<Vec<f64>, Error> {
    let mut ranges = vec![1e-6; layers.len() + 1];
    let widest = layers.iter().map(|layer| layer.inputs().max(layer.outputs())).max().unwrap_or(0);
    let (mut x, mut y) = (vec![0.0; widest], vec![0.0; widest]);
    let mut note =
        |i: usize, row: &[f32]| ranges[i] = row.iter().fold(ranges[i], |max: f64, x| max.max(f64::from(x.abs())));
    for observation in observations {
        policy.runner().features(observation, &mut x)?;
        note(0, &x[..policy.header().observation.len()]);
        for (i, layer) in layers.iter().enumerate() {
            let weights = [&layer.weight[..], &layer.bias].concat();
            let view = MlpView { shapes: &[layer.shape()], weights: &weights };
            let outputs = view.forward(&mut x, &mut y).expect("the rows are as long as the widest layer")
                [..layer.outputs()]
                .to_vec();
            note(i + 1, &outputs);
            x[..outputs.len()].copy_from_slice(&outputs);
        }
    }
    match ranges.iter().all(|range| range.is_finite()) {
        true => Ok(ranges),
        false => {
            Err(Error::shape("int8: an observation leads to numbers that are not finite; look for NaN and infinity"))
        }
    }
}

/// A layer whose inputs are integers in `unit`s, and whose sums are to become integers in units of `next`.
fn quantize_layer(layer: &Layer, unit: f64, next: f64) -> Result<Int8Layer, Error> {
    let outputs = layer.outputs();
    let column = |j: usize| layer.weight.iter().skip(j).step_by(outputs).map(|w| f64::from(*w));
    let mut quantized = Int8Layer {
        weight: vec![0; layer.weight.len()],
        bias: vec![0; outputs],
        multiplier: vec![0; outputs],
        shift: 31,
        activation: layer.activation,
    };
    let mut factors = Vec::new();
    for j in 0..outputs {
        let bias = f64::from(layer.bias[j]);
        let greatest = column(j).fold(0.0, |max: f64, w| max.max(w.abs()));
        // What a weight of 1 stands for.
        let mut step = (greatest / f64::from(WEIGHT_MAX)).max(bias.abs() / (unit * BIAS_MAX)).max(1e-30);
        loop {
            let weights: Vec<i8> = column(j).map(|w| (w / step).round() as i8).collect();
            let integer = (bias / (step * unit)).round() as i32;
            if fits(weights.iter(), integer) {
                weights.iter().enumerate().for_each(|(i, w)| quantized.weight[i * outputs + j] = *w);
                quantized.bias[j] = integer;
                break;
            }
            step *= 2.0;
        }
        factors.push(step * unit / next);
    }
    let greatest = factors.iter().copied().fold(0.0, f64::max);
    while quantized.shift > 0 && greatest * f64::from(quantized.shift).exp2() >= f64::from(i32::MAX) {
        quantized.shift -= 1;
    }
    if quantized.shift == 0 {
        return Err(Error::shape(
            "int8: the weights or features are so large that integers cannot hold what they lead to",
        ));
    }
    let power = f64::from(quantized.shift).exp2();
    quantized.multiplier = factors.iter().map(|factor| (factor * power).round() as i32).collect();
    Ok(quantized)
}
