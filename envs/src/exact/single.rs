//! Sine and cosine rounded to single precision, as observations show them.
//!
//! The double that the C library returns is rounded to the same float as any other number within 2⁻⁴⁸ of it, unless
//! a boundary lies between, which is so for one of some millions. So ordinary double precision will do.

use super::sine::{LARGEST, PI_LOW, SMALLEST, TO_INTEGER};
use super::{inverse_factorial, settle};
use crate::simd::{Isa, Kernel};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// Bound on the relative error of what is computed here and of the C library's double together: 2⁻⁴⁸.
const ERROR: f64 = 1.0 / (1_u64 << 48) as f64;

/// `x.sin() as f32` and `x.cos() as f32` of every x.
#[inline(always)]
pub(crate) fn sin_cos_f32<I: Isa, const N: usize>(isa: I, x: &[f64; N]) -> ([f32; N], [f32; N]) {
    isa.run(SinCos(x))
}

struct SinCos<'a, const N: usize>(&'a [f64; N]);

impl<const N: usize> Kernel for SinCos<'_, N> {
    type Output = ([f32; N], [f32; N]);

    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> Self::Output {
        let x = self.0;
        let (mut sin, mut cos) = ([f32::NAN; N], [f32::NAN; N]);
        if I::FMA {
            for i in 0..N {
                (sin[i], cos[i]) = candidates(x[i]);
            }
        }
        settle(x, &mut sin, |x| x.sin() as f32);
        settle(x, &mut cos, |x| x.cos() as f32);
        (sin, cos)
    }
}

#[inline(always)]
pub(super) fn candidates(x: f64) -> (f32, f32) {
    let (sin, cos) = approximate(x);
    if x.abs() <= LARGEST { (round(sin), round(cos)) } else { (f32::NAN, f32::NAN) }
}

/// Sine and cosine, off by less than 2⁻⁵⁰ of themselves if they are not below 2⁻²⁰: their series at the distance from
/// the nearest multiple n of π/2, exchanged and negated as the quarter turn asks.
#[inline(always)]
fn approximate(x: f64) -> (f64, f64) {
    let shifted = x.mul_add(FRAC_2_PI, TO_INTEGER);
    let (n, quarter) = (shifted - TO_INTEGER, shifted.to_bits());
    let r = (-n).mul_add(0.5 * PI_LOW, (-n).mul_add(FRAC_PI_2, x));
    let square = r * r;
    let (mut sine, mut cosine) = (inverse_factorial(17), inverse_factorial(16));
    for n in [15, 13, 11, 9, 7, 5, 3] {
        let sign = if n % 4 == 1 { 1.0 } else { -1.0 };
        sine = sine.mul_add(square, sign * inverse_factorial(n));
        cosine = cosine.mul_add(square, sign * inverse_factorial(n - 1));
    }
    let sine = (r * square).mul_add(sine, r);
    let cosine = cosine.mul_add(square, 1.0);
    let (sin, cos) = if quarter & 1 == 0 { (sine, cosine) } else { (cosine, sine) };
    let negate = |x: f64, half: u64| f64::from_bits(x.to_bits() ^ (half >> 1) << 63);
    (negate(sin, quarter), negate(cos, quarter.wrapping_add(1)))
}

/// The float that every number within the error of x rounds to, or NaN.
#[inline(always)]
fn round(x: f64) -> f32 {
    let (below, above) = ((x - x * ERROR) as f32, (x + x * ERROR) as f32);
    if below == above && x.abs() >= SMALLEST { below } else { f32::NAN }
}
