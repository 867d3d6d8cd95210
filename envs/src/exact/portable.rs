//! glibc's sine and cosine of small angles where there is no glibc to ask: in WebAssembly.
//!
//! Rust brings sines of its own there. They are as good, but one of two hundred differs in its last bit, and of
//! that bit a pole can make another episode. So this is the arithmetic of glibc 2.28 and later on
//! a processor with fused multiply-add, operation by operation; the tests hold it to the C library's.

use super::small::LARGEST;

/// Smaller angles have a polynomial of their own, rad.
const NO_TABLE: f64 = 0.126;
/// Smaller angles are their own sine, and −0 is −0.
const OWN_SINE: f64 = 1.0 / (1_u64 << 26) as f64;
/// The steps of the table in a radian.
const STEPS: f64 = 128.0;
/// Sine and cosine of every step, as sums of two doubles: sine, what it lacks, cosine, what it lacks.
static TABLE: [[f64; 4]; 33] = table();

const fn table() -> [[f64; 4]; 33] {
    let (mut rows, mut k) = ([[0.0; 4]; 33], 0);
    while k < rows.len() {
        let ((sin, sin_low), (cos, cos_low)) = (series(k as i128, 1), series(k as i128, 0));
        rows[k] = [sin, sin_low, cos, cos_low];
        k += 1;
    }
    rows
}

/// The sine (first = 1) or cosine (first = 0) of k/128: xⁿ/n! with alternating signs for every second n, in integers
/// of 2⁻¹¹⁰.
const fn series(k: i128, first: i128) -> (f64, f64) {
    const UNIT: f64 = 1.0 / (1_u128 << 110) as f64;
    let mut term = if first == 1 { k << 103 } else { 1 << 110 };
    let (mut sum, mut n) = (0, first);
    while term != 0 {
        sum += term;
        term = -((term * k * k) >> 14) / ((n + 1) * (n + 2));
        n += 2;
    }
    let high = sum as f64;
    (high * UNIT, (sum - high as i128) as f64 * UNIT)
}

/// The sine of |x| ≤ 1/4; Rust's own of larger angles.
pub(super) fn sin(x: f64) -> f64 {
    if x.abs() < OWN_SINE {
        x
    } else if x.abs() < NO_TABLE {
        // x + x³ (−1/3! + …): Taylor's series with its last coefficients bent to the range.
        let square = x * x;
        let series = [2.755729806860771e-6, -1.9841269834414642e-4, 8.333333333332329e-3, -1.0 / 6.0];
        let series = series.into_iter().fold(-2.5022014848318398e-8, |sum: f64, c| sum.mul_add(square, c));
        x + series * x * square
    } else if x.abs() <= LARGEST {
        let (sin, cos_less, [high, high_low, cos, cos_low]) = beside(x);
        let low = cos.mul_add(sin, (-high).mul_add(cos_less, sin.mul_add(cos_low, high_low)));
        (high + low).copysign(x)
    } else {
        x.sin()
    }
}

/// The cosine of |x| ≤ 1/4; Rust's own of larger angles.
pub(super) fn cos(x: f64) -> f64 {
    if x.abs() <= LARGEST {
        let (sin, cos_less, [high, high_low, cos, cos_low]) = beside(x);
        cos + (-high).mul_add(sin, (-cos).mul_add(cos_less, (-sin).mul_add(high_low, cos_low)))
    } else {
        x.cos()
    }
}

/// The sine and 1 − cosine of the difference of |x| from the nearest step of the table, and the row of that step.
fn beside(x: f64) -> (f64, f64, [f64; 4]) {
    let step = (x.abs() * STEPS).round_ties_even();
    let x = x.abs() - step / STEPS;
    let square = x * x;
    let sin = x + x * square * square.mul_add(0.008333332142857223, -0.16666666666666488);
    let cos_less = square * square.mul_add(square.mul_add(0.001388888740079376, -0.04166666666666644), 0.5);
    (sin, cos_less, TABLE[step as usize])
}
