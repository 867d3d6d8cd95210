//! Functions without branches, so that a loop over them becomes vector instructions.
//!
//! `FUSED` says whether the processor multiplies and adds in one instruction; the last bits differ between the two.
//! (`apprentice_deploy::tanh` is another rational function, with the same bits everywhere.)

/// a · b + c.
#[inline(always)]
pub(crate) fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// The polynomial with these coefficients, the highest power's first.
#[inline(always)]
fn polynomial<const FUSED: bool, const N: usize>(coefficients: [f32; N], x: f32) -> f32 {
    let mut y = coefficients[0];
    for coefficient in &coefficients[1..] {
        y = mul_add::<FUSED>(y, x, *coefficient);
    }
    y
}

/// The hyperbolic tangent within 5e-7: Eigen's rational minimax approximation.
#[inline(always)]
pub(crate) fn tanh<const FUSED: bool>(x: f32) -> f32 {
    const CLAMP: f32 = 7.998_811_7;
    const P: [f32; 7] = [
        -2.760_768_4e-16,
        2.000_188e-13,
        -8.604_672e-11,
        5.122_297_3e-8,
        1.485_722_4e-5,
        6.372_619_4e-4,
        4.893_524_7e-3,
    ];
    const Q: [f32; 4] = [1.198_258_4e-6, 1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3];
    let x = x.clamp(-CLAMP, CLAMP);
    x * polynomial::<FUSED, 7>(P, x * x) / polynomial::<FUSED, 4>(Q, x * x)
}

/// √(2/π) and the cubic coefficient of [`gelu`].
const GELU: [f32; 2] = [0.797_884_6, 0.044_715];

/// ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))).
#[inline(always)]
pub(crate) fn gelu<const FUSED: bool>(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh::<FUSED>(GELU[0] * x * (1.0 + GELU[1] * x * x)))
}

/// The derivative of [`gelu`] within 1e-5. Beyond ±6 it is 0 or 1, and the cubic would magnify the error of tanh.
#[inline(always)]
pub(crate) fn gelu_slope<const FUSED: bool>(x: f32) -> f32 {
    let x = x.clamp(-6.0, 6.0);
    let t = tanh::<FUSED>(GELU[0] * x * (1.0 + GELU[1] * x * x));
    let inner = GELU[0] * (1.0 + 3.0 * GELU[1] * x * x);
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner
}

/// eˣ within a relative error of 2e-7: Cephes' `expf`. Infinite from 88.4 on, and never less than 1.2e-38.
#[inline(always)]
pub(crate) fn exp<const FUSED: bool>(x: f32) -> f32 {
    // Added to a number of this size, a float's last bit is worth 1.
    const SHIFT: f32 = 12_582_912.0;
    const P: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    // x = n ln 2 + r; ln 2 is taken off in two parts, the first of which has few bits.
    let x = x.clamp(-87.3, 88.8);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = mul_add::<FUSED>(n, 2.121_944_4e-4, mul_add::<FUSED>(n, -0.693_359_4, x));
    let exp_r = mul_add::<FUSED>(polynomial::<FUSED, 6>(P, r), r * r, r) + 1.0;
    // The low bits of `shifted` are those of n, and become the exponent.
    exp_r * f32::from_bits((shifted.to_bits().wrapping_add(127)) << 23)
}

/// The natural logarithm of a normal positive number within 1e-7 absolutely or relatively: Cephes' `logf`.
#[inline(always)]
pub(crate) fn ln<const FUSED: bool>(x: f32) -> f32 {
    const P: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    // x = 2ⁿ (1 + r) with 1 + r between √½ and √2.
    let bits = x.to_bits() as i32;
    let exponent = (bits - std::f32::consts::FRAC_1_SQRT_2.to_bits() as i32) >> 23;
    let n = exponent as f32;
    let r = f32::from_bits((bits - (exponent << 23)) as u32) - 1.0;
    let small = mul_add::<FUSED>(n, -2.121_944_4e-4, r * r * r * polynomial::<FUSED, 9>(P, r));
    mul_add::<FUSED>(n, 0.693_359_4, r + mul_add::<FUSED>(-0.5 * r, r, small))
}

/// Σ a b in eight interleaved sums, which a vector register adds side by side.
#[inline(always)]
pub(crate) fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..8 {
            sums[i] = mul_add::<FUSED>(a[i], b[i], sums[i]);
        }
    }
    let halves: [f32; 4] = std::array::from_fn(|i| sums[i] + sums[i + 4]);
    let sum = (halves[0] + halves[2]) + (halves[1] + halves[3]);
    sum + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Σ x² in as many interleaved sums as hide the latency of an addition.
#[inline(always)]
pub(crate) fn sum_of_squares<const FUSED: bool>(x: &[f32]) -> f32 {
    let (blocks, rest) = x.as_chunks::<64>();
    let mut sums = [0.0_f32; 64];
    for x in blocks {
        for i in 0..64 {
            sums[i] = mul_add::<FUSED>(x[i], x[i], sums[i]);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(xs: impl Iterator<Item = f32>, got: fn(f32) -> f32, error: impl Fn(f64, f64) -> f64) -> f64 {
        xs.map(|x| error(f64::from(got(x)), f64::from(x))).fold(0.0, f64::max)
    }

    fn check<const FUSED: bool>() {
        let steps = |low: f32, high: f32| (0..=1_000_000).map(move |i| low + (high - low) * i as f32 / 1e6);
        let error = worst(steps(-20.0, 20.0), tanh::<FUSED>, |got, x| (got - x.tanh()).abs());
        assert!(error < 5e-7, "tanh {error:e}");
        let error = worst(steps(-87.3, 88.3), exp::<FUSED>, |got, x| (got / x.exp() - 1.0).abs());
        assert!(error < 2e-7, "exp {error:e}");
        let error = worst(steps(1.0, 1000.0), ln::<FUSED>, |got, x| (got - x.ln()).abs() / x.ln().max(1.0));
        assert!(error < 1e-7, "ln {error:e}");
        let error =
            worst(steps(-87.3, 88.3).map(f32::exp), ln::<FUSED>, |got, x| (got - x.ln()).abs() / x.ln().abs().max(1.0));
        assert!(error < 1e-7, "ln {error:e}");
        let exact =
            |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh());
        let error = worst(steps(-20.0, 20.0), gelu::<FUSED>, |got, x| (got - exact(x)).abs() / x.abs().max(1.0));
        assert!(error < 5e-7, "gelu {error:e}");
        let slope = |x: f64| (exact(x + 1e-5) - exact(x - 1e-5)) / 2e-5;
        let error = worst(steps(-20.0, 20.0), gelu_slope::<FUSED>, |got, x| (got - slope(x)).abs());
        assert!(error < 1e-5, "gelu' {error:e}");
        assert_eq!((exp::<FUSED>(0.0), ln::<FUSED>(1.0), tanh::<FUSED>(0.0)), (1.0, 0.0, 0.0));
        assert_eq!(exp::<FUSED>(f32::INFINITY), f32::INFINITY);
        assert!((0.0..1.3e-38).contains(&exp::<FUSED>(f32::NEG_INFINITY)));
        assert!(exp::<FUSED>(f32::NAN).is_nan() && tanh::<FUSED>(f32::NAN).is_nan());
    }

    #[test]
    fn errors_are_as_small_as_documented() {
        check::<false>();
        check::<true>();
    }
}
