//! Sine and cosine of any angle that an environment meets.

use super::{Function, fast_two_sum, inverse_factorial, unambiguous};
use std::f64::consts::{FRAC_1_PI, PI};

/// Larger angles are left to the C library, rad. The half turns in them number less than 2¹⁹.
pub(super) const LARGEST: f64 = 1_048_576.0;
/// Smaller results are left to the C library: 2⁻²⁰.
pub(super) const SMALLEST: f64 = 1.0 / 1_048_576.0;
/// Added to a number below 2⁵¹, rounds it to an integer, which is then in the low bits.
pub(super) const TO_INTEGER: f64 = 1.5 * (1_u64 << 52) as f64;
/// π is `PI` + this − 3.0e-33.
pub(super) const PI_LOW: f64 = 1.2246467991473532e-16;
/// Bound on the errors of glibc and of this file together, for results from 1/8 to 1 in absolute terms, below
/// relative to the result: 2⁻⁵⁹.
const ERROR: f64 = 1.0 / (1_u64 << 59) as f64;

/// Sine: sin x = (−1)ᵏ sin(x − k π) for the integer k nearest to x/π.
pub(crate) struct Sin;

impl Function for Sin {
    type Number = f64;

    #[inline(always)]
    fn candidate(x: f64) -> f64 {
        let k = x.mul_add(FRAC_1_PI, TO_INTEGER);
        reduced(x, k - TO_INTEGER, k.to_bits() << 63)
    }

    #[inline(always)]
    fn libm(x: f64) -> f64 {
        x.sin()
    }
}

/// Cosine: cos x = −(−1)ᵏ sin(x − (k + 1/2) π) for the integer k nearest to x/π − 1/2.
pub(crate) struct Cos;

impl Function for Cos {
    type Number = f64;

    #[inline(always)]
    fn candidate(x: f64) -> f64 {
        let k = x.mul_add(FRAC_1_PI, -0.5) + TO_INTEGER;
        reduced(x, (k - TO_INTEGER) + 0.5, !k.to_bits() << 63)
    }

    #[inline(always)]
    fn libm(x: f64) -> f64 {
        x.cos()
    }
}

/// sin(x − n π), its sign flipped by `sign`, or NaN where that is not certain to be what glibc returns; n is a multiple
/// of 1/2.
#[inline(always)]
fn reduced(x: f64, n: f64, sign: u64) -> f64 {
    // The difference from n times the high part of π is exact from |x| = 1 on, where both are multiples of 2⁻⁵²;
    // below, |n| ≤ 1/2, and `lost` is what rounding took. What is neglected of n π is less than 2⁻⁸⁶.
    let near = (-n).mul_add(PI, x);
    let lost = x - n.mul_add(PI, near);
    let high = (-n).mul_add(PI_LOW, near);
    let low = (-n).mul_add(PI_LOW, near - high) + lost;
    let (high, low) = sine(high, low);
    let size = high.abs();
    let value = unambiguous(high, low, if size < 0.125 { ERROR * size } else { ERROR });
    let in_range = (x.abs() <= LARGEST) & (size >= SMALLEST);
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
    let r2 = r * r;
    let r2_low = r.mul_add(r, -r2) + 2.0 * r * r_low;

    // By halves, so that less waits for less.
    let (r4, pair) = (r2 * r2, |n| r2.mul_add(-inverse_factorial(n + 2), inverse_factorial(n)));
    let (low_half, high_half) = (r4.mul_add(pair(13), pair(9)), r4.mul_add(pair(21), pair(17)));
    let tail = (r4 * r4).mul_add(high_half, low_half).mul_add(r2, C7.0);

    // C5 + r² tail: the second fused multiplication gives what the first one rounded off.
    let fifth = tail.mul_add(r2, C5.0);
    let fifth_low = tail.mul_add(r2, (C5.0 - fifth) + r2.mul_add(C7.1, C5.1));
    let (product, product_low) = multiply((r2, r2_low), (fifth, fifth_low));
    let (third, lost) = fast_two_sum(C3.0, product);
    let third_low = (lost + C3.1) + product_low;
    let (product, product_low) = multiply((r2, r2_low), (third, third_low));
    let (cubic, cubic_low) = multiply((r, r_low), (product, product_low));
    let (high, lost) = fast_two_sum(r, cubic);
    (high, (lost + r_low) + cubic_low)
}

/// The product of two sums of two doubles.
#[inline(always)]
fn multiply((a, a_low): (f64, f64), (b, b_low): (f64, f64)) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b_low, a_low.mul_add(b, a.mul_add(b, -product))))
}
