//! Sine and cosine of any angle that an environment meets.

use super::{Function, fast_two_sum, inverse_factorial, unambiguous};
use std::f64::consts::{FRAC_1_PI, FRAC_PI_2};

/// Larger angles are left to the C library, rad. The quarter turns in them number less than 2²⁰.
pub(super) const LARGEST: f64 = 1_048_576.0;
/// Smaller results are left to the C library: 2⁻²⁰.
pub(super) const SMALLEST: f64 = 1.0 / 1_048_576.0;
/// Added to a number below 2⁵¹, rounds it to an integer, which is then in the low bits.
pub(super) const TO_INTEGER: f64 = 1.5 * (1_u64 << 52) as f64;
/// π/2 is `FRAC_PI_2` + this + 1.5e-33.
pub(super) const FRAC_PI_2_LOW: f64 = 6.123233995736766e-17;
/// Bound on the errors of glibc and of this file together, for results from 1/8 to 1 in absolute terms, below
/// relative to the result: 2⁻⁵⁹.
const ERROR: f64 = 1.0 / (1_u64 << 59) as f64;

/// Sine: sin x = (−1)ᵏ sin(x − 2k π/2) for the integer k nearest to x/π.
pub(crate) struct Sin;

impl Function for Sin {
    type Number = f64;

    #[inline(always)]
    fn candidate(x: f64) -> f64 {
        let k = x * FRAC_1_PI + TO_INTEGER;
        reduced(x, 2.0 * (k - TO_INTEGER), k.to_bits() << 63)
    }

    #[inline(always)]
    fn libm(x: f64) -> f64 {
        x.sin()
    }
}

/// Cosine: cos x = −(−1)ᵏ sin(x − (2k + 1) π/2) for the integer k nearest to x/π − 1/2.
pub(crate) struct Cos;

impl Function for Cos {
    type Number = f64;

    #[inline(always)]
    fn candidate(x: f64) -> f64 {
        let k = (x * FRAC_1_PI - 0.5) + TO_INTEGER;
        reduced(x, 2.0 * (k - TO_INTEGER) + 1.0, !k.to_bits() << 63)
    }

    #[inline(always)]
    fn libm(x: f64) -> f64 {
        x.cos()
    }
}

/// sin(x − n π/2), its sign flipped by `sign`, or NaN where it might not be what glibc returns.
#[inline(always)]
fn reduced(x: f64, n: f64, sign: u64) -> f64 {
    // The difference from n times the high part of π/2 is exact from |x| = 1 on, where both are multiples of 2⁻⁵²;
    // below, |n| ≤ 1, and `lost` is what rounding took. What is neglected of n π/2 is less than 2⁻⁸⁶.
    let near = (-n).mul_add(FRAC_PI_2, x);
    let lost = x - n.mul_add(FRAC_PI_2, near);
    let high = (-n).mul_add(FRAC_PI_2_LOW, near);
    let low = (-n).mul_add(FRAC_PI_2_LOW, near - high) + lost;
    let (high, low) = sine(high, low);
    let size = high.abs();
    let value = unambiguous(high, low, if size < 0.125 { ERROR * size } else { ERROR });
    let in_range = x.abs() <= LARGEST && size >= SMALLEST;
    if in_range { f64::from_bits(value.to_bits() ^ sign) } else { f64::NAN }
}

/// The sine of r + r_low, |r| ≤ π/2 + 2⁻³⁰, as a sum of two doubles:
///
/// ```text
/// r + r³ (−1/3! + r² (1/5! + r² (−1/7! + …)))
/// ```
///
/// The first two coefficients and everything multiplied by them are sums of two doubles. What is left is the rounding
/// of the bracket of 1/7!, 0.6 · 2⁻⁵³ of r⁷/7!, which is 2⁻⁶¹ at a quarter turn and vanishes quickly below.
/// The series is cut after r²³/23!, at less than 2⁻⁶⁷.
#[inline(always)]
fn sine(r: f64, r_low: f64) -> (f64, f64) {
    // The nearest doubles to 1/3!, 1/5! and 1/7!, and what they lack.
    const C3: (f64, f64) = (-inverse_factorial(3), -9.25185853854297e-18);
    const C5: (f64, f64) = (inverse_factorial(5), 1.1564823173178714e-19);
    const C7: (f64, f64) = (-inverse_factorial(7), -1.7209558293420705e-22);
    let square = r * r;
    let square_low = r.mul_add(r, -square) + 2.0 * r * r_low;
    let times_square = |(high, low): (f64, f64)| {
        let product = square * high;
        (product, square.mul_add(high, -product) + (square * low + square_low * high))
    };

    let mut tail = -inverse_factorial(23);
    for n in [21, 19, 17, 15, 13, 11, 9] {
        let sign = if n % 4 == 1 { 1.0 } else { -1.0 };
        tail = tail.mul_add(square, sign * inverse_factorial(n));
    }
    tail = tail.mul_add(square, C7.0);

    // C5 + r² tail: the second fused multiplication gives what the first one rounded off.
    let fifth = tail.mul_add(square, C5.0);
    let fifth_low = tail.mul_add(square, C5.0 - fifth) + square.mul_add(C7.1, C5.1);
    let (product, product_low) = times_square((fifth, fifth_low));
    let (third, third_low) = fast_two_sum(C3.0, product);
    let (product, product_low) = times_square((third, third_low + (product_low + C3.1)));

    let cubic = r * product;
    let cubic_low = r.mul_add(product, -cubic) + (r * product_low + r_low * product);
    let (high, low) = fast_two_sum(r, cubic);
    fast_two_sum(high, low + (r_low + cubic_low))
}
