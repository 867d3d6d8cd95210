//! Numbers of about 106 bits, as the sum of two doubles, with the exponential and the logarithm.
//!
//! Tables whose last bit matters are made with these: the result is the same on every platform, whatever its
//! mathematical library, and rounds to the right double. Speed does not matter here.
//!
//! Source of the sum and the product: T. J. Dekker, *A Floating-Point Technique for Extending the Available Precision*,
//! 1971.

use std::ops::{Add, Div, Mul, Neg};

/// `high + low`, where `high` is the double nearest to the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DoubleDouble {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl DoubleDouble {
    /// The exact sum of two doubles.
    fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let b_in_sum = high - a;
        Self { high, low: (a - (high - b_in_sum)) + (b - b_in_sum) }
    }

    /// The exact product of two doubles.
    fn product(a: f64, b: f64) -> Self {
        let high = a * b;
        Self { high, low: a.mul_add(b, -high) }
    }

    /// eˣ for x of moderate size: the Taylor series of e^(x/512), squared nine times.
    pub(super) fn exp(self) -> Self {
        let small = Self { high: self.high / 512.0, low: self.low / 512.0 };
        let series = (1..=20).rev().fold(Self::from(1.0), |sum, n| sum * small / Self::from(f64::from(n)) + 1.0.into());
        (0..9).fold(series, |power, _| power * power)
    }

    /// The natural logarithm of a positive number: a step of Newton's method from the double that is near it.
    pub(super) fn ln(self) -> Self {
        let near = Self::from(self.high.ln());
        near + self * (-near).exp() + (-1.0).into()
    }
}

impl From<f64> for DoubleDouble {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl Add for DoubleDouble {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (high, low) = (Self::sum(self.high, other.high), Self::sum(self.low, other.low));
        let partial = Self::sum(high.high, high.low + low.high);
        Self::sum(partial.high, partial.low + low.low)
    }
}

impl Neg for DoubleDouble {
    type Output = Self;

    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Mul for DoubleDouble {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let product = Self::product(self.high, other.high);
        Self::sum(product.high, product.low + (self.high * other.low + self.low * other.high))
    }
}

impl Div for DoubleDouble {
    type Output = Self;

    /// Long division with three digits, each a double.
    fn div(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self + -(other * first.into());
        let second = rest.high / other.high;
        let rest = rest + -(other * second.into());
        Self::sum(first, second) + (rest.high / other.high).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(got: DoubleDouble, high: f64, low: f64) {
        assert_eq!(got.high, high);
        assert!((got.low - low).abs() <= high.abs() * 1e-29, "{got:?} and {low}");
    }

    #[test]
    fn known_constants_come_out_to_thirty_digits() {
        // The low parts are the differences of the constants from the doubles next to them.
        assert_near(DoubleDouble::from(1.0).exp(), std::f64::consts::E, 1.4456468917292502e-16);
        assert_near(DoubleDouble::from(2.0).ln(), std::f64::consts::LN_2, 2.3190468138462996e-17);
        assert_near(DoubleDouble::from(1.0) / DoubleDouble::from(3.0), 1.0 / 3.0, 1.850371707708594e-17);
        let two_thirds = DoubleDouble::from(2.0) / DoubleDouble::from(3.0);
        assert_near(two_thirds * two_thirds + (-1.0).into(), -5.0 / 9.0, 2.4671622769447922e-17);
    }

    #[test]
    fn the_logarithm_undoes_the_exponential() {
        for x in [-7.7, -3.2, -1e-3, 0.4, 6.0] {
            let back = DoubleDouble::from(x).exp().ln() + DoubleDouble::from(-x);
            assert!(back.high.abs() < 1e-29, "{x}: {back:?}");
        }
    }
}
