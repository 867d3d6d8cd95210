//! Functions of one number, the same bits everywhere: nothing is fused and no mathematical library is asked.

/// Where [`tanh()`] is 1 in f32.
pub(crate) const TANH_LIMIT: f32 = 7.8;
/// The coefficients of P, the highest power's first.
pub(crate) const TANH_P: [f32; 4] = [1.151_971_2e-5, 2.958_170_1e-3, 0.129_316_78, 0.999_999_46];
/// The coefficients of Q.
pub(crate) const TANH_Q: [f32; 5] = [2.491_027e-7, 2.397_634_2e-4, 2.384_300_9e-2, 0.462_648_18, 1.0];

/// Hyperbolic tangent, within 5e-7 of the true value; NaN stays NaN.
///
/// x · P(x²) / Q(x²) on an argument clamped to ±7.8, where the tangent is 1 in f32. The coefficients are a minimax fit
/// over that range (Lawson's reweighted least squares). No branch, so that a loop over a layer becomes vector
/// instructions, and as few operations one after another as that precision takes.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let x = x.clamp(-TANH_LIMIT, TANH_LIMIT);
    let u = x * x;
    let ([p3, p2, p1, p0], [q4, q3, q2, q1, q0]) = (TANH_P, TANH_Q);
    let p = ((p3 * u + p2) * u + p1) * u + p0;
    let q = (((q4 * u + q3) * u + q2) * u + q1) * u + q0;
    x * p / q
}

/// The logistic function σ(x) = 1 / (1 + e⁻ˣ), as ½ + ½ tanh(x/2) by [`tanh()`], within 3e-7 of the true value.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

/// The Gaussian error linear unit in its tanh form, ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), by [`tanh()`]. (Hendrycks
/// and Gimpel 2016.)
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh(0.797_884_6 * x * (1.0 + 0.044_715 * x * x)))
}

/// max(0, x), but NaN stays NaN.
#[inline(always)]
pub fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// eˣ within a relative error of 4e-16; 0 below −708, infinite above 709.
///
/// x = n ln 2 + r with |r| ≤ ½ ln 2, and eʳ by its Taylor series. ln 2 is taken off in two parts, the first of which has
/// so few bits that n times it is exact.
pub fn exp(x: f64) -> f64 {
    // Added to a number of this size, 1.5 · 2⁵², a double's last bit is worth 1.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    // 13! to 1!.
    const FACTORIALS: [f64; 13] = [
        6_227_020_800.0,
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
    ];
    if x < -708.0 {
        return 0.0;
    }
    if x > 709.0 {
        return f64::INFINITY;
    }
    let shifted = x * core::f64::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut sum = 0.0;
    for factorial in FACTORIALS {
        sum = (sum + 1.0 / factorial) * r;
    }
    sum += 1.0;
    // The low bits of `shifted` are those of n, and become the exponent. (NaN has come this far, and stays.)
    sum * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
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
            assert!(tanh(x) <= 1.0);
            assert_eq!(tanh(-x), -tanh(x));
        }
        assert!(tanh(f32::NAN).is_nan());
        // So that no platform or compiler may differ.
        let bits = [0.1_f32, 1.0, 3.0].map(|x| tanh(x).to_bits());
        assert_eq!(bits, [0x3dcc_1eb5, 0x3f42_f7d8, 0x3f7e_bbe9], "{bits:x?}");
    }

    #[test]
    fn sigmoid_is_its_formula() {
        for i in -3000..=3000 {
            let x = f64::from(i) / 100.0;
            assert!((f64::from(sigmoid(x as f32)) - 1.0 / (1.0 + (-x).exp())).abs() < 3e-7, "{x}");
        }
        assert_eq!(sigmoid(0.0), 0.5);
        let [low, high] = [f32::NEG_INFINITY, f32::INFINITY].map(sigmoid);
        assert!((0.0..3e-7).contains(&low) && (1.0 - 3e-7..=1.0).contains(&high), "{low} and {high}");
        assert!(sigmoid(f32::NAN).is_nan());
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
    fn exp_is_within_4e_16_everywhere() {
        let mut worst: f64 = 0.0;
        for i in -1_000_000..=1_000_000 {
            let x = f64::from(i) * 7.08e-4;
            worst = worst.max((exp(x) / x.exp() - 1.0).abs());
        }
        assert!(worst < 4e-16, "{worst:e}");
        assert_eq!([0.0, -1e8, f64::NEG_INFINITY, f64::INFINITY].map(exp), [1.0, 0.0, 0.0, f64::INFINITY]);
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(exp(1.0).to_bits(), 0x4005_bf0a_8b14_576a);
    }
}
