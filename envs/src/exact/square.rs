//! Squares as Python takes them.
//!
//! `x**2` of a Python float, or of a numpy scalar, is the C library's `pow(x, 2)`. It is not correctly rounded, and
//! differs from `x * x` by one unit in the last place in about one of a thousand cases, in single as in double
//! precision. Where Gymnasium writes `x**2` of what is not a constant, so must the environments here.
//!
//! rustc knows what `powf(2.0)` means and compiles it to `x * x` when it optimises; hiding the exponent from it
//! keeps the call.

use super::{Function, unambiguous};
use std::hint::black_box;

/// Python's `x**2` in double precision.
#[inline]
pub(crate) fn square(x: f64) -> f64 {
    x.powf(black_box(2.0))
}

/// numpy's `x**2` of a single-precision scalar.
#[inline]
pub(crate) fn square_f32(x: f32) -> f32 {
    x.powf(black_box(2.0))
}

/// [`square`]. The product and what it leaves are exact, so that all of the error is glibc's.
pub(crate) struct Square;

impl Function for Square {
    type Number = f64;

    #[inline(always)]
    fn candidate(x: f64) -> f64 {
        /// 2⁻³² and 2³²: the error of the logarithm in `pow` grows with its size.
        const RANGE: [f64; 2] = [1.0 / 4_294_967_296.0, 4_294_967_296.0];
        const EXPONENT: u64 = 0x7ff << 52;
        let product = x * x;
        // 1/64 of a unit in the last place, which is 2⁻⁵² of the power of two below the product.
        let error = f64::from_bits(product.to_bits() & EXPONENT) * (1.0 / (1_u64 << 58) as f64);
        let value = unambiguous(product, x.mul_add(x, -product), error);
        let in_range = (x.abs() >= RANGE[0]) & (x.abs() <= RANGE[1]);
        if in_range { value } else { f64::NAN }
    }

    #[inline(always)]
    fn libm(x: f64) -> f64 {
        square(x)
    }
}

/// [`square_f32`]. The product of two floats is exact in double precision.
pub(crate) struct SquareF32;

impl Function for SquareF32 {
    type Number = f32;

    #[inline(always)]
    fn candidate(x: f32) -> f32 {
        /// 2⁻⁶⁰ and 2⁶⁰.
        const RANGE: [f32; 2] = [1.0 / (1_u64 << 60) as f32, (1_u64 << 60) as f32];
        let product = f64::from(x) * f64::from(x);
        // 1/256 of the largest unit in the last place that the product can have: 2⁻²³ of it.
        let error = product * (1.0 / (1_u64 << 31) as f64);
        let (below, above) = ((product - error) as f32, (product + error) as f32);
        let in_range = (x.abs() >= RANGE[0]) & (x.abs() <= RANGE[1]);
        if in_range & (below == above) { below } else { f32::NAN }
    }

    #[inline(always)]
    fn libm(x: f32) -> f32 {
        square_f32(x)
    }
}

#[cfg(test)]
mod tests {
    /// Two numbers whose squares by glibc are not the nearest ones. The traces notice a folded `pow` as well, but
    /// only somewhere in an episode.
    #[test]
    #[cfg(target_env = "gnu")]
    fn squares_are_not_compiled_to_products() {
        assert_ne!(super::square(2.759), 2.759 * 2.759);
        assert_ne!(super::square_f32(1.439), 1.439 * 1.439);
    }
}
