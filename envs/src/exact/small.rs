//! Sine and cosine of small angles, without a reduction and with fewer terms: for CartPole, whose pole has fallen
//! beyond 0.21 rad.

use super::{Function, fast_two_sum, inverse_factorial, portable, unambiguous};

/// Larger angles are left to the C library, rad.
pub(super) const LARGEST: f64 = 0.25;
/// Smaller angles are left to the C library, rad: 2⁻²⁰.
const SMALLEST: f64 = 1.0 / 1_048_576.0;

/// Sine: x − x³/3! + … + x¹³/13!, cut at less than 2⁻⁶⁸ x.
///
/// Beyond x all is small enough for plain doubles, with an error below 3 · 2⁻⁵³ of it.
pub(crate) struct SinSmall;

impl Function for SinSmall {
    type Number = f64;

    #[inline(always)]
    fn candidate(x: f64) -> f64 {
        let square = x * x;
        let mut series = inverse_factorial(13);
        for n in [11, 9, 7, 5, 3] {
            let sign = if n % 4 == 1 { 1.0 } else { -1.0 };
            series = series.mul_add(square, sign * inverse_factorial(n));
        }
        let correction = x * (square * series);
        let table = if x.abs() <= 0.125 { 0.0 } else { 1.0 / (1_u64 << 60) as f64 };
        let value = unambiguous(x, correction, table + correction.abs() * (1.0 / (1_u64 << 50) as f64));
        if in_range(x) { value } else { f64::NAN }
    }

    #[inline(always)]
    fn libm(x: f64) -> f64 {
        if cfg!(target_family = "wasm") { portable::sin(x) } else { x.sin() }
    }
}

/// Cosine: 1 − x²/2! + … − x¹⁴/14!, cut at less than 2⁻⁷⁵.
///
/// Beyond x² all is small enough for plain doubles, with an error below 2⁻⁶⁴.
pub(crate) struct CosSmall;

impl Function for CosSmall {
    type Number = f64;

    #[inline(always)]
    fn candidate(x: f64) -> f64 {
        let square = x * x;
        let square_low = x.mul_add(x, -square);
        let mut series = -inverse_factorial(14);
        for n in [12, 10, 8, 6, 4] {
            let sign = if n % 4 == 0 { 1.0 } else { -1.0 };
            series = series.mul_add(square, sign * inverse_factorial(n));
        }
        let (high, lost) = fast_two_sum(1.0, -0.5 * square);
        let low = lost + (square * (square * series) - 0.5 * square_low);
        let value = unambiguous(high, low, 1.0 / (1_u64 << 61) as f64);
        if in_range(x) { value } else { f64::NAN }
    }

    #[inline(always)]
    fn libm(x: f64) -> f64 {
        if cfg!(target_family = "wasm") { portable::cos(x) } else { x.cos() }
    }
}

#[inline(always)]
fn in_range(x: f64) -> bool {
    (x.abs() >= SMALLEST) & (x.abs() <= LARGEST)
}
