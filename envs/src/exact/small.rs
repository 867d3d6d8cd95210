//! Sine and cosine of small angles, without a reduction and with fewer terms: for CartPole, whose pole has fallen
//! beyond 0.21 rad.

use super::{fast_two_sum, inverse_factorial, settle, unambiguous};

/// Larger angles are left to the C library, rad.
const LARGEST: f64 = 0.25;
/// Smaller angles are left to the C library, rad: 2⁻²⁰.
const SMALLEST: f64 = 1.0 / 1_048_576.0;

/// `f64::sin` and `f64::cos` of every x. Quick for |x| ≤ 1/4 only.
#[inline(always)]
pub(crate) fn sin_cos_small<const FMA: bool>(x: &[f64], sin: &mut [f64], cos: &mut [f64]) {
    assert!(x.len() == sin.len() && x.len() == cos.len());
    if FMA {
        for ((x, sin), cos) in x.iter().zip(&mut *sin).zip(&mut *cos) {
            (*sin, *cos) = sin_cos_candidate(*x);
        }
        settle(x, sin, f64::sin);
        settle(x, cos, f64::cos);
    } else {
        x.iter().zip(sin).for_each(|(x, sin)| *sin = x.sin());
        x.iter().zip(cos).for_each(|(x, cos)| *cos = x.cos());
    }
}

#[inline(always)]
pub(super) fn sin_cos_candidate(x: f64) -> (f64, f64) {
    let in_range = (SMALLEST..=LARGEST).contains(&x.abs());
    if in_range { (sin_candidate(x), cos_candidate(x)) } else { (f64::NAN, f64::NAN) }
}

/// x − x³/3! + … + x¹³/13!, cut at less than 2⁻⁶⁸ x. Beyond x all is small enough for plain doubles, with an error
/// below 3 · 2⁻⁵³ of it.
#[inline(always)]
fn sin_candidate(x: f64) -> f64 {
    let square = x * x;
    let mut series = inverse_factorial(13);
    for n in [11, 9, 7, 5, 3] {
        let sign = if n % 4 == 1 { 1.0 } else { -1.0 };
        series = series.mul_add(square, sign * inverse_factorial(n));
    }
    let correction = x * (square * series);
    let (high, low) = fast_two_sum(x, correction);
    let table = if x.abs() <= 0.125 { 0.0 } else { 1.0 / (1_u64 << 60) as f64 };
    unambiguous(high, low, table + correction.abs() * (1.0 / (1_u64 << 50) as f64))
}

/// 1 − x²/2! + … − x¹⁴/14!, cut at less than 2⁻⁷⁵. Beyond x² all is small enough for plain doubles, with an error
/// below 2⁻⁶⁴.
#[inline(always)]
fn cos_candidate(x: f64) -> f64 {
    let square = x * x;
    let square_low = x.mul_add(x, -square);
    let mut series = -inverse_factorial(14);
    for n in [12, 10, 8, 6, 4] {
        let sign = if n % 4 == 0 { 1.0 } else { -1.0 };
        series = series.mul_add(square, sign * inverse_factorial(n));
    }
    let (high, low) = fast_two_sum(1.0, -0.5 * square);
    let (high, low) = fast_two_sum(high, low + (square * (square * series) - 0.5 * square_low));
    unambiguous(high, low, 1.0 / (1_u64 << 61) as f64)
}
