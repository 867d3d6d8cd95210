//! Squares as Python takes them.
//!
//! `x**2` of a Python float, or of a numpy scalar, is the C library's `pow(x, 2)`. It is not correctly rounded, and
//! differs from `x * x` by one unit in the last place in about one of a thousand cases, in single as in double
//! precision. Where Gymnasium writes `x**2` of what is not a constant, so must the environments here.
//!
//! rustc knows what `powf(2.0)` means and compiles it to `x * x` when it optimises; hiding the exponent from it
//! keeps the call.

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
