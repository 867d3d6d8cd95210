//! The arithmetic of a policy, over slices: no heap, no operating system.

/// What follows a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Activation {
    /// [`tanh`].
    Tanh,
    /// max(0, x).
    Relu,
    /// x.
    Identity,
}

/// Outputs that are summed at a time: as many as fit into half of the smallest vector register file (SSE2).
const LANES: usize = 32;

/// A linear layer and its activation: y = f(x W + b).
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// W, [inputs × outputs], row-major.
    pub weight: &'a [f32],
    /// b, [outputs].
    pub bias: &'a [f32],
    /// f.
    pub activation: Activation,
}

impl Dense<'_> {
    /// Computes the layer: `x` [inputs] → `y` [outputs], where inputs × outputs is the length of the weight.
    ///
    /// Every output is the bias plus the products in the order of the inputs, each rounded by itself, so that the
    /// result does not depend on the machine.
    #[inline]
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        let outputs = y.len();
        let (blocks, rest) = y.as_chunks_mut::<LANES>();
        for (i, block) in blocks.iter_mut().enumerate() {
            self.sums(x, outputs, i * LANES, block);
        }
        let first = outputs - rest.len();
        for (i, y) in rest.iter_mut().enumerate() {
            self.sums(x, outputs, first + i, core::array::from_mut(y));
        }
        match self.activation {
            Activation::Tanh => y.iter_mut().for_each(|y| *y = tanh(*y)),
            Activation::Relu => y.iter_mut().for_each(|y| *y = if *y > 0.0 { *y } else { 0.0 }),
            Activation::Identity => {}
        }
    }

    /// The N outputs from `first` on, before the activation, accumulated in registers.
    #[inline]
    fn sums<const N: usize>(&self, x: &[f32], outputs: usize, first: usize, y: &mut [f32; N]) {
        let mut sums: [f32; N] = core::array::from_fn(|j| self.bias[first + j]);
        for (x, row) in x.iter().zip(self.weight.chunks_exact(outputs)) {
            let row = &row[first..first + N];
            for (sum, w) in sums.iter_mut().zip(row) {
                *sum += x * w;
            }
        }
        *y = sums;
    }
}

/// Hyperbolic tangent by a rational function of degree 13 over 6 on a clamped argument (the one of Eigen and XLA),
/// within 5e-7 of the true value. NaN stays NaN.
///
/// Unlike the system's `tanhf` it gives the same bits everywhere, and it has no branch, so that a loop over a
/// layer becomes vector instructions.
#[inline]
pub fn tanh(x: f32) -> f32 {
    const CLAMP: f32 = 7.998_811_7;
    let x = x.clamp(-CLAMP, CLAMP);
    let x2 = x * x;
    let mut p = -2.760_768_4e-16_f32;
    for coefficient in
        [2.000_188e-13, -8.604_672e-11, 5.122_297_3e-8, 1.485_722_4e-5, 6.372_619_4e-4, 4.893_524_7e-3_f32]
    {
        p = p * x2 + coefficient;
    }
    let mut q = 1.198_258_4e-6_f32;
    for coefficient in [1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3_f32] {
        q = q * x2 + coefficient;
    }
    x * p / q
}

/// The index of the largest score, the first of equals; NaN is never the largest. 0 for no scores.
#[inline]
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (i, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_within_5e_7_everywhere() {
        let mut worst: f64 = 0.0;
        for i in -2_000_000..=2_000_000 {
            let x = i as f32 * 1e-5;
            worst = worst.max((f64::from(tanh(x)) - f64::from(x).tanh()).abs());
        }
        assert!(worst < 5e-7, "{worst:e}");
        for x in [0.0, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY] {
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 5e-7);
            assert_eq!(tanh(-x), -tanh(x));
        }
        assert!(tanh(f32::NAN).is_nan());
        // So that no platform or compiler may differ.
        assert_eq!([0.1_f32, 1.0, 3.0].map(|x| tanh(x).to_bits()), [0x3dcc_1ebb, 0x3f42_f7d6, 0x3f7e_bbe8]);
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_never_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f32::NAN, 2.0, f32::NAN]), 1);
        assert_eq!(argmax(&[f32::NAN, f32::NAN]), 0);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn a_layer_by_hand() {
        let layer =
            Dense { weight: &[1.0, 2.0, 3.0, -1.0, 0.5, 0.0], bias: &[0.5, -10.0, 0.0], activation: Activation::Relu };
        let mut y = [9.0; 3];
        layer.forward(&[2.0, 4.0], &mut y);
        assert_eq!(y, [0.0, 0.0, 6.0]);
        Dense { activation: Activation::Identity, ..layer }.forward(&[2.0, 4.0], &mut y);
        assert_eq!(y, [-1.5, -4.0, 6.0]);
    }
}
