//! The remainder of a division, which is exact in every C library and needs no bounds.

use super::map;

/// `f64::rem_euclid(x, divisor)` of every x, for a positive divisor; Python's `x % divisor`.
#[inline(always)]
pub(crate) fn rem_euclid<const FMA: bool>(x: &[f64], divisor: f64, y: &mut [f64]) {
    map::<FMA>(x, y, |x| candidate(x, divisor), |x| x.rem_euclid(divisor));
}

/// The remainder of |x| fits a double, and the fused multiplication gives it exactly if the quotient is right. Else
/// it is not between 0 and the divisor. For a negative x the divisor is added, with one rounding.
#[inline(always)]
pub(super) fn candidate(x: f64, divisor: f64) -> f64 {
    /// 2³⁰: quotients up to here are exact.
    const LARGEST: f64 = 1_073_741_824.0;
    let quotient = (x.abs() * (1.0 / divisor)).floor();
    let remainder = (-quotient).mul_add(divisor, x.abs());
    let value = if x < 0.0 { divisor - remainder } else { remainder };
    if quotient <= LARGEST && 0.0 < remainder && remainder < divisor { value } else { f64::NAN }
}
