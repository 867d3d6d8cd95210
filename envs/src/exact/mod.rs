//! The C library's sines, cosines and squares, many at a time.
//!
//! Gymnasium's bits are those of glibc: numpy and Python ask it for `sin`, `cos` and `pow`, and so do the
//! environments here. A call takes 10 to 30 ns and handles one number. This module gives the same bits for blocks of
//! numbers in a fraction of the time.
//!
//! # Why the bits are the same
//! None of these functions of glibc is correctly rounded, but each ends in one rounding: what it returns is the nearest
//! number to v + δ, where v is the true value and δ a small error that can be bounded. This module
//! computes v as a sum of two doubles, with an error ε that is smaller still. If no number within |δ| + |ε| of that
//! sum rounds differently from the sum itself, then glibc must return what the sum rounds to. If one does, which is
//! the case for a few of a hundred arguments, glibc is asked. So it is for arguments outside the range in which
//! the bounds were derived: NaN, infinities, and the very large and very small.
//!
//! Nothing here depends on how glibc was built (with fused multiplications or without) or on its tables, as long as
//! its errors stay within these bounds:
//!
//! | function | bound on \|δ\| used here | derived, or from glibc's comments | most of it seen in use |
//! |---|---|---|---|
//! | `sin`, `cos` | 2⁻⁵⁹ where \|v\| ≥ 1/8, else 2⁻⁵⁹ \|v\| | 0.9 · 2⁻⁶⁰, 2⁻⁶⁰ \|v\| | 0.6, with ε |
//! | `sin`, \|x\| ≤ 1/4 | 2⁻⁵⁰ \|sin x − x\|, and 2⁻⁶⁰ more where \|x\| > 1/8 | 2⁻⁵¹ \|sin x − x\|, 0.8 · 2⁻⁶⁰ more | 0.51 |
//! | `cos`, \|x\| ≤ 1/4 | 2⁻⁶¹ | 2⁻⁶² | 0.31 |
//! | `pow(x, 2)` | 1/64 of a unit in the last place | 0.011 + 0.002 | 0.63 |
//! | `powf(x, 2)` | 1/256 of a unit in the last place | 0.32, for any power | 0.42, of all floats |
//!
//! The last column is from glibc 2.36 with and without its fused multiplications, 10⁷ arguments or more each: how far
//! from the middle between two doubles the true value was where glibc took the wrong one.
//!
//! The derivation for `sin` and `cos` follows `s_sin.c` (2.28 and later; earlier ones are correctly rounded). Beyond
//! |x| = 0.126 it reads the sine and cosine of a multiple u of 1/128 from a table and adds a correction below 2⁻⁸. The
//! distance s of x and u, its products, and the sum of the correction are each rounded, by at most 2⁻⁶² (half a
//! unit below 2⁻⁸): three such errors in the sine, three and a half in the cosine, whatever the quadrant. Below
//! 0.126 it evaluates x + t, where |t| ≤ |x|³/6 is off by at most three halves of a unit, 3 · 2⁻⁵³ |t|. The errors of
//! polynomials and tables are below 2⁻⁶⁶.
//!
//! The fused multiplication tracks errors here and nothing else: the environments' own arithmetic has none.
//!
//! WebAssembly has no C library; `portable.rs` stands in for what CartPole asks of it.

mod portable;
mod remainder;
mod sine;
mod single;
mod small;
mod square;
#[cfg(test)]
mod tests;

use crate::simd::{Isa, Kernel};

pub(crate) use remainder::RemTurn;
pub(crate) use sine::{Cos, Sin};
pub(crate) use single::sin_cos_f32;
pub(crate) use small::{CosSmall, SinSmall};
pub(crate) use square::{Square, SquareF32, square, square_f32};

/// What every number within `error` of high + low rounds to, or NaN if that is not the same for all.
#[inline(always)]
fn unambiguous(high: f64, low: f64, error: f64) -> f64 {
    let (below, above) = (high + (low - error), high + (low + error));
    if below == above { above } else { f64::NAN }
}

/// The error-free sum of two numbers, |a| ≥ |b| or a = 0: its rounding, and what that leaves.
#[inline(always)]
fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// A function of the C library.
pub(crate) trait Function: Sized {
    /// f64 or f32.
    type Number: Copy + From<f32> + Into<f64>;

    /// What the C library must return, or NaN if that is not certain. Only called where `mul_add` is one instruction.
    fn candidate(x: Self::Number) -> Self::Number;

    /// What the C library returns.
    fn libm(x: Self::Number) -> Self::Number;

    /// What the C library returns for every x.
    #[inline(always)]
    fn of<I: Isa, const N: usize>(isa: I, x: &[Self::Number; N]) -> [Self::Number; N] {
        isa.run(Map::<Self, N>(x))
    }
}

struct Map<'a, F: Function, const N: usize>(&'a [F::Number; N]);

impl<F: Function, const N: usize> Kernel for Map<'_, F, N> {
    type Output = [F::Number; N];

    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> Self::Output {
        let x = self.0;
        let mut y = [f32::NAN.into(); N];
        if I::FMA {
            for i in 0..N {
                y[i] = F::candidate(x[i]);
            }
        }
        settle(x, &mut y, F::libm);
        y
    }
}

/// Asks the C library where y is NaN. Which lanes that are is hard to foresee for a processor: a branch a lane would
/// cost more than a bit a lane.
#[inline(always)]
fn settle<X: Copy, Y: Copy + Into<f64>, const N: usize>(x: &[X; N], y: &mut [Y; N], libm: impl Fn(X) -> Y) {
    const { assert!(N <= 64, "a bit each") };
    let mut doubtful = 0_u64;
    for (i, &y) in y.iter().enumerate() {
        doubtful |= u64::from(y.into().is_nan()) << i;
    }
    while doubtful != 0 {
        let i = doubtful.trailing_zeros() as usize;
        y[i] = libm(x[i]);
        doubtful &= doubtful - 1;
    }
}

/// 1/n!, which is correctly rounded for n ≤ 22: up to there n! is a double.
const fn inverse_factorial(n: u32) -> f64 {
    let (mut factorial, mut i) = (1.0, 2);
    while i <= n {
        factorial *= i as f64;
        i += 1;
    }
    1.0 / factorial
}
