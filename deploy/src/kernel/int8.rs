//! Quantised layers: 8-bit weights, 16-bit activations, 32-bit sums, and no floating point between the features and the
//! outputs.
//!
//! A sum of products is an integer in units of its own, which differ between the outputs of a layer; a *multiplier* and a
//! *shift* turn it into the units of what follows: y = (s · m + 2ˢʰⁱᶠᵗ⁻¹) ≫ shift, in 64 bits, rounding halves up.
//! Integers do not round when they are added, so that every order of summation gives the same bits.

/// The greatest activation; 16 bits, of which −32,768 is not used. Tanh is in units of 1/32,767.
pub const ACTIVATION_MAX: i64 = 32_767;

/// The units of the argument of [`tanh_q15`]: 1/4,096.
pub const TANH_UNIT: f64 = 1.0 / 4_096.0;

/// The units of the outputs of a last layer: 1/65,536.
pub const OUTPUT_UNIT: f32 = 1.0 / 65_536.0;

/// tanh(k / 16) · 32,767 for k = 0, …, 128.
pub static TANH: [i16; 129] = [
    0, 2_045, 4_075, 6_073, 8_025, 9_919, 11_742, 13_486, 15_142, 16_706, 18_173, 19_541, 20_812, 21_986, 23_065,
    24_053, 24_955, 25_775, 26_518, 27_190, 27_796, 28_340, 28_829, 29_267, 29_659, 30_009, 30_321, 30_599, 30_846,
    31_066, 31_261, 31_435, 31_588, 31_725, 31_845, 31_952, 32_047, 32_131, 32_205, 32_270, 32_328, 32_380, 32_425,
    32_465, 32_500, 32_531, 32_559, 32_583, 32_605, 32_624, 32_641, 32_656, 32_669, 32_680, 32_690, 32_699, 32_707,
    32_714, 32_720, 32_726, 32_731, 32_735, 32_739, 32_742, 32_745, 32_748, 32_750, 32_752, 32_754, 32_755, 32_757,
    32_758, 32_759, 32_760, 32_761, 32_761, 32_762, 32_763, 32_763, 32_764, 32_764, 32_764, 32_765, 32_765, 32_765,
    32_765, 32_766, 32_766, 32_766, 32_766, 32_766, 32_766, 32_766, 32_766, 32_766, 32_767, 32_767, 32_767, 32_767,
    32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767,
    32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767, 32_767,
    32_767, 32_767,
];

/// x · scale, rounded to the nearest integer, halves away from zero, and limited to ±32,767. `x` is finite.
#[inline(always)]
pub fn quantize(x: f32, scale: f32) -> i16 {
    let scaled = (x * scale).clamp(-32_767.0, 32_767.0);
    (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i16
}

/// The sum of one output: b + x₀ w₀ + x₁ w₁ + …
#[inline(always)]
pub fn sum(x: &[i16], weight: &[i8], bias: i32) -> i32 {
    x.iter().zip(weight).fold(bias, |sum, (x, w)| sum + i32::from(*x) * i32::from(*w))
}

/// A sum in other units.
#[inline(always)]
pub fn requantize(sum: i32, multiplier: i32, shift: u32) -> i64 {
    (i64::from(sum) * i64::from(multiplier) + (1 << (shift - 1))) >> shift
}

/// The hyperbolic tangent of z / 4,096 in units of 1/32,767, within 4e-4: a table of the positive half with straight lines
/// in between.
#[inline(always)]
pub fn tanh_q15(z: i64) -> i16 {
    let magnitude = z.unsigned_abs().min(32_767) as usize;
    let (low, high) = (i32::from(TANH[magnitude >> 8]), i32::from(TANH[(magnitude >> 8) + 1]));
    let y = low + (((high - low) * (magnitude & 255) as i32 + 128) >> 8);
    if z < 0 { -y as i16 } else { y as i16 }
}

/// max(0, y), limited to 16 bits.
#[inline(always)]
pub fn relu_q(y: i64) -> i16 {
    y.clamp(0, ACTIVATION_MAX) as i16
}

/// y, limited to 16 bits.
#[inline(always)]
pub fn identity_q(y: i64) -> i16 {
    y.clamp(-ACTIVATION_MAX, ACTIVATION_MAX) as i16
}

/// An output of the last layer as a real number.
#[inline(always)]
pub fn output(y: i64) -> f32 {
    y.clamp(-(1 << 30), 1 << 30) as f32 * OUTPUT_UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_round_as_documented() {
        assert_eq!([0.5, -0.5, 0.49, 1e9, -1e9].map(|x| quantize(x, 1.0)), [1, -1, 0, 32_767, -32_767]);
        assert_eq!([3, -3, 5, 2].map(|sum| requantize(sum, 1, 1)), [2, -1, 3, 1]);
        assert_eq!(requantize(i32::MAX, i32::MAX, 31), i64::from(i32::MAX) - 1);
        assert_eq!(sum(&[2, -3], &[10, -20], 5), 5 + 20 + 60);
        assert_eq!([relu_q(-5), relu_q(99_999), identity_q(-99_999)], [0, 32_767, -32_767]);
        assert_eq!(output(-65_536), -1.0);
    }

    #[test]
    fn the_table_is_within_4e_4_of_tanh() {
        for z in -40_000..=40_000_i64 {
            let exact = (z as f64 * TANH_UNIT).tanh();
            let got = f64::from(tanh_q15(z)) / 32_767.0;
            assert!((got - exact).abs() < 4e-4, "{z}: {got} and {exact}");
            assert_eq!(tanh_q15(-z), -tanh_q15(z));
        }
    }
}
