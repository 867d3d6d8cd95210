//! numpy's `standard_normal` and `standard_exponential`, bit for bit.
//!
//! The ziggurat of Marsaglia and Tsang covers a falling density by 255 horizontal layers of equal area and a base strip
//! with the tail. A draw picks a layer and a place in it; only near the edge does it evaluate the density.
//!
//! Source: G. Marsaglia and W. W. Tsang, *The Ziggurat Method for Generating Random Variables*, Journal of Statistical
//! Software 5(8), 2000; the use of the random bits from numpy 2.4 (`distributions.c`). numpy ships its tables as
//! numbers. They are made here in the way that gives the same bits.

use super::Generator;
use super::double_double::DoubleDouble;
use std::array::from_fn;
use std::sync::LazyLock;

const LAYERS: usize = 256;
/// Places in a layer: integers of this many bits.
const NORMAL_BITS: i32 = 52;
const EXPONENTIAL_BITS: i32 = 53;

/// Where the normal density's tail begins.
const NORMAL_TAIL: f64 = 3.654152885361009;
/// The area of a layer under exp(−x²/2).
const NORMAL_AREA: f64 = 0.004928673233974652;
/// Where the exponential density's tail begins: the number for which the topmost layer ends at height 1.
const EXPONENTIAL_TAIL: DoubleDouble = DoubleDouble { high: 7.69711747013105, low: -3.6248703662405964e-16 };

/// Layer i lies between the heights f(xᵢ₋₁) and f(xᵢ) and reaches from 0 to xᵢ; layer 0 is the base strip.
struct Ziggurat {
    /// A place below this lies under the density at every height of the layer.
    inside: [u64; LAYERS],
    /// The width of a place.
    width: [f64; LAYERS],
    /// The density at xᵢ.
    density: [f64; LAYERS],
}

static NORMAL: LazyLock<Ziggurat> = LazyLock::new(Ziggurat::normal);
static EXPONENTIAL: LazyLock<Ziggurat> = LazyLock::new(Ziggurat::exponential);

impl Ziggurat {
    /// numpy's table was computed in doubles from the tail to the top, so the rounding errors of one layer go on into
    /// the next and are reproduced.
    fn normal() -> Self {
        let density_at = |x: f64| DoubleDouble::from(-0.5 * x * x).exp().high;
        let (mut x, mut density) = ([NORMAL_TAIL; LAYERS], [density_at(NORMAL_TAIL); LAYERS]);
        for i in (1..LAYERS - 1).rev() {
            let height = NORMAL_AREA / x[i + 1] + density[i + 1];
            x[i] = (-2.0 * DoubleDouble::from(height).ln().high).sqrt();
            density[i] = density_at(x[i]);
            if i == 38 {
                // All but exactly between two doubles (0.502 of their distance), and numpy's is the other one.
                density[i] = density[i].next_up();
            }
        }
        density[0] = 1.0;
        let places = f64::from(NORMAL_BITS).exp2();
        let base = NORMAL_AREA / density[LAYERS - 1];
        Self {
            inside: from_fn(|i| match i {
                0 => (NORMAL_TAIL / base * places) as u64,
                1 => 0,
                i => (x[i - 1] / x[i] * places).round_ties_even() as u64,
            }),
            width: from_fn(|i| if i == 0 { base } else { x[i] } / places),
            density,
        }
    }

    /// numpy's table is that of exact arithmetic, rounded once; of `inside`, the lowest of the 53 bits is 0.
    fn exponential() -> Self {
        let one = DoubleDouble::from(1.0);
        let base = EXPONENTIAL_TAIL + one;
        let area = base * (-EXPONENTIAL_TAIL).exp();
        let mut x = [EXPONENTIAL_TAIL; LAYERS];
        for i in (1..LAYERS - 1).rev() {
            x[i] = -(area / x[i + 1] + (-x[i + 1]).exp()).ln();
        }
        let places = f64::from(EXPONENTIAL_BITS).exp2();
        let share = |part: DoubleDouble, whole| {
            let places = part / whole * (places / 2.0).into();
            2 * (places.high.floor() as u64 - u64::from(places.high.fract() == 0.0 && places.low < 0.0))
        };
        Self {
            inside: from_fn(|i| match i {
                0 => share(EXPONENTIAL_TAIL, base),
                1 => 0,
                i => share(x[i - 1], x[i]),
            }),
            width: from_fn(|i| if i == 0 { base.high } else { x[i].high } / places),
            density: from_fn(|i| if i == 0 { 1.0 } else { (-x[i]).exp().high }),
        }
    }

    /// Whether a random height in layer i, which is not the base strip, lies under the density at x.
    fn is_under(&self, i: usize, density_at_x: f64, rng: &mut Generator) -> bool {
        (self.density[i - 1] - self.density[i]) * rng.random() + self.density[i] < density_at_x
    }
}

impl Generator {
    /// A draw from the normal distribution with mean 0 and variance 1: numpy's `standard_normal()`.
    pub fn standard_normal(&mut self) -> f64 {
        let ziggurat = &*NORMAL;
        loop {
            let bits = self.bits64();
            let (i, negative) = ((bits & 0xff) as usize, bits & 0x100 != 0);
            let place = bits >> 9 & ((1 << NORMAL_BITS) - 1);
            let distance = place as f64 * ziggurat.width[i];
            let x = if negative { -distance } else { distance };
            if place < ziggurat.inside[i] {
                return x;
            }
            if i == 0 {
                let x = NORMAL_TAIL + self.beyond_the_normal_tail();
                return if place & 0x100 != 0 { -x } else { x };
            }
            if ziggurat.is_under(i, (-0.5 * x * x).exp(), self) {
                return x;
            }
        }
    }

    /// How far beyond its beginning a draw from the normal density's tail lies (Marsaglia 1964).
    fn beyond_the_normal_tail(&mut self) -> f64 {
        loop {
            let x = -(1.0 / NORMAL_TAIL) * (-self.random()).ln_1p();
            let y = -(-self.random()).ln_1p();
            if y + y > x * x {
                return x;
            }
        }
    }

    /// A draw from the exponential distribution with mean 1: numpy's `standard_exponential()`.
    pub fn standard_exponential(&mut self) -> f64 {
        let ziggurat = &*EXPONENTIAL;
        loop {
            let bits = self.bits64() >> 3;
            let (i, place) = ((bits & 0xff) as usize, bits >> 8);
            let x = place as f64 * ziggurat.width[i];
            if place < ziggurat.inside[i] {
                return x;
            }
            if i == 0 {
                return EXPONENTIAL_TAIL.high - (-self.random()).ln_1p();
            }
            if ziggurat.is_under(i, (-x).exp(), self) {
                return x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums over the tables in numpy's `ziggurat_constants.h`: entry i's 64 bits times i + 1, modulo 2⁶⁴.
    #[test]
    fn tables_are_those_of_numpy() {
        let sum = |bits: &mut dyn Iterator<Item = u64>| {
            bits.zip(1..).fold(0_u64, |sum, (bits, i)| sum.wrapping_add(bits.wrapping_mul(i)))
        };
        let sums = |ziggurat: &Ziggurat| {
            [
                sum(&mut ziggurat.inside.into_iter()),
                sum(&mut ziggurat.width.into_iter().map(f64::to_bits)),
                sum(&mut ziggurat.density.into_iter().map(f64::to_bits)),
            ]
        };
        assert_eq!(sums(&NORMAL), [0xf8c12ba5c4fd67ba, 0x1beecc189c80a17a, 0x1f4febb8a6a07e84]);
        assert_eq!(sums(&EXPONENTIAL), [0xdb604ae3b8d8df72, 0xbe4bf9225330a59a, 0x10ca21c6749706ac]);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let (mut rng, n) = (Generator::new(5), 200_000);
        let mut mean = |draw: fn(&mut Generator) -> f64| (0..n).map(|_| draw(&mut rng)).sum::<f64>() / f64::from(n);
        assert!(mean(Generator::standard_normal).abs() < 0.01);
        assert!((mean(|rng| rng.standard_normal().powi(4)) - 3.0).abs() < 0.1);
        assert!((mean(Generator::standard_exponential) - 1.0).abs() < 0.01);
        assert!((mean(|rng| rng.standard_exponential().powi(2)) - 2.0).abs() < 0.05);
    }
}
