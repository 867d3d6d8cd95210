//! The remainder of a division, which is exact in every C library and needs no bounds.

use super::Function;
use std::f64::consts::TAU;

/// `x.rem_euclid(2π)`, which is Python's `x % (2 * pi)`.
///
/// The remainder of |x| fits a double, and the fused multiplication gives it exactly if the quotient is right; else it
/// is not between 0 and 2π. For a negative x, 2π is added, with one rounding.
pub(crate) struct RemTurn;

impl Function for RemTurn {
    type Number = f64;

    #[inline(always)]
    fn candidate(x: f64) -> f64 {
        /// 2³⁰: quotients up to here are exact.
        const LARGEST: f64 = 1_073_741_824.0;
        let quotient = (x.abs() * (1.0 / TAU)).floor();
        let remainder = (-quotient).mul_add(TAU, x.abs());
        let value = if x < 0.0 { TAU - remainder } else { remainder };
        let certain = (quotient <= LARGEST) & (remainder > 0.0) & (remainder < TAU);
        if certain { value } else { f64::NAN }
    }

    #[inline(always)]
    fn libm(x: f64) -> f64 {
        x.rem_euclid(TAU)
    }
}
