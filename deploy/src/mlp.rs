//! The arithmetic of a policy, over slices: no heap, no operating system.

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

/// A linear layer and its activation: y = f(x W + b).
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// W, `[inputs × outputs]`, row-major.
    pub weight: &'a [f32],
    /// b, `[outputs]`.
    pub bias: &'a [f32],
    /// f.
    pub activation: Activation,
}

impl Dense<'_> {
    /// Computes the layer: `x` `[inputs]` → `y` `[outputs]`, where inputs × outputs is the length of the weight.
    ///
    /// Every output is the bias plus the products in the order of the inputs, each rounded by itself, so that the
    /// result does not depend on the machine.
    ///
    /// # Panics
    /// If `y` is not as long as the bias, or the weight not inputs × outputs long.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        assert_eq!(y.len(), self.bias.len(), "y must have one place for each bias");
        assert_eq!(Some(self.weight.len()), x.len().checked_mul(y.len()), "the weight must be inputs × outputs long");
        // Wider registers take the same operations in the same order, only more of them at a time: same bits.
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as asked in the line above.
            return unsafe { self.forward_avx2(x, y) };
        }
        self.forward_any::<32>(x, y);
    }

    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    #[target_feature(enable = "avx2")]
    fn forward_avx2(&self, x: &[f32], y: &mut [f32]) {
        self.forward_any::<64>(x, y);
    }

    /// Inlined always, so that each caller compiles it for the processor that it may assume. `WIDEST` outputs should
    /// fill half of that processor's vector registers.
    #[inline(always)]
    fn forward_any<const WIDEST: usize>(&self, x: &[f32], y: &mut [f32]) {
        let done = self.sums::<WIDEST>(x, y, 0);
        let done = self.sums::<32>(x, y, done);
        let done = self.sums::<8>(x, y, done);
        let done = self.sums::<2>(x, y, done);
        self.sums::<1>(x, y, done);
        match self.activation {
            Activation::Tanh => y.iter_mut().for_each(|y| *y = tanh(*y)),
            // Not `max(0)`, which would make a NaN zero and so hide it.
            Activation::Relu => y.iter_mut().for_each(|y| *y = if *y < 0.0 { 0.0 } else { *y }),
            Activation::Gelu => y.iter_mut().for_each(|y| *y = gelu(*y)),
            Activation::Identity => {}
        }
    }

    /// As many blocks of N outputs as there are from `first` on, before the activation; returns where it stopped.
    /// The sums of a block stay in registers, which is twice as fast as to pass over `y` once for each input.
    #[inline(always)]
    fn sums<const N: usize>(&self, x: &[f32], y: &mut [f32], mut first: usize) -> usize {
        let outputs = y.len();
        while outputs - first >= N {
            let mut sums: [f32; N] = core::array::from_fn(|j| self.bias[first + j]);
            for (x, row) in x.iter().zip(self.weight.chunks_exact(outputs)) {
                for (sum, w) in sums.iter_mut().zip(&row[first..first + N]) {
                    *sum += x * w;
                }
            }
            y[first..first + N].copy_from_slice(&sums);
            first += N;
        }
        first
    }
}

/// Hyperbolic tangent by a rational function of degree 13 over 6 on a clamped argument (the one of Eigen and XLA),
/// within 5e-7 of the true value. NaN stays NaN.
///
/// Unlike the system's `tanhf` it gives the same bits everywhere, and it has no branch, so that a loop over a
/// layer becomes vector instructions.
#[inline(always)]
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

/// The Gaussian error linear unit in its tanh form, ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), by [`tanh()`]. (Hendrycks
/// and Gimpel 2016.)
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh(0.797_884_6 * x * (1.0 + 0.044_715 * x * x)))
}

/// The index of the largest score, the first of equals; NaN is never the largest. 0 for no scores.
#[inline]
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (i, &score) in scores.iter().enumerate() {
        if score > scores[best] || (scores[best].is_nan() && !score.is_nan()) {
            best = i;
        }
    }
    best
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
    fn gelu_is_its_formula() {
        for i in -1000..=1000 {
            let x = f64::from(i) / 100.0;
            let exact = 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh());
            assert!((f64::from(gelu(x as f32)) - exact).abs() < 3e-6, "{x}");
        }
        assert!(gelu(f32::NAN).is_nan());
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_never_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f32::NAN, 2.0, f32::NAN]), 1);
        assert_eq!(argmax(&[f32::NAN, f32::NEG_INFINITY]), 1);
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
        layer.forward(&[f32::NAN, 0.0], &mut y);
        assert!(y.iter().all(|y| y.is_nan()), "{y:?}");
    }

    /// Blocks and registers of every width give the bits of the plain double loop.
    #[test]
    fn a_layer_is_the_plain_sum_bit_for_bit() {
        let mut state = 1_u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let (mut weight, mut bias, mut x) = ([0.0; 64 * 71], [0.0; 71], [0.0; 64]);
        weight.iter_mut().chain(&mut bias).chain(&mut x).for_each(|to| *to = draw());
        for outputs in [1, 2, 3, 4, 7, 31, 32, 33, 39, 64, 71] {
            for inputs in [1, 5, 64] {
                for activation in [Activation::Tanh, Activation::Relu, Activation::Gelu, Activation::Identity] {
                    let (x, bias) = (&x[..inputs], &bias[..outputs]);
                    let layer = Dense { weight: &weight[..inputs * outputs], bias, activation };
                    let mut plain = [0.0; 71];
                    plain[..outputs].copy_from_slice(bias);
                    for (x, row) in x.iter().zip(layer.weight.chunks_exact(outputs)) {
                        plain.iter_mut().zip(row).for_each(|(y, w)| *y += x * w);
                    }
                    plain[..outputs].iter_mut().for_each(|y| match activation {
                        Activation::Tanh => *y = tanh(*y),
                        Activation::Relu => *y = if *y < 0.0 { 0.0 } else { *y },
                        Activation::Gelu => *y = gelu(*y),
                        Activation::Identity => {}
                    });
                    let (mut fastest, mut portable) = ([0.0; 71], [0.0; 71]);
                    layer.forward(x, &mut fastest[..outputs]);
                    layer.forward_any::<32>(x, &mut portable[..outputs]);
                    assert_eq!(plain.map(f32::to_bits), fastest.map(f32::to_bits));
                    assert_eq!(plain.map(f32::to_bits), portable.map(f32::to_bits));
                }
            }
        }
    }
}
