//! numpy's sine and cosine in single precision, for small angles.
//!
//! numpy does not ask the C library for them: it takes multiples of π/2 off the angle and evaluates polynomials of
//! its own. Up to π/4 there is nothing to take off, and the polynomials are all that is left. They are off by at
//! most one unit in the last place, which in about one of a thousand cases is not what rounding a double gives.
//!
//! Equal to numpy 2.4.6 in every bit for each of the 88,919,246 floats from 2⁻¹⁴ to 0.1. numpy fuses each
//! multiplication with its addition (on every processor that can), so this is the one place that does too.
//!
//! Source: numpy, `loops_trigonometric.dispatch.cpp`.

/// sin x for |x| ≤ π/4: x + x³ (S₃ + S₅ x² + S₇ x⁴ + S₉ x⁶).
pub(super) fn sin(x: f32) -> f32 {
    const S3: f32 = -0.166_666_67;
    const S5: f32 = 0.008_333_397;
    const S7: f32 = -0.000_198_564_91;
    const S9: f32 = 2.840_409_7e-6;
    let square = x * x;
    let series = S9.mul_add(square, S7).mul_add(square, S5).mul_add(square, S3);
    // The added zero turns a product of −0 into 0, without which sin(−0) would not be −0.
    series.mul_add(square, 0.0).mul_add(x, x)
}

/// cos x for |x| ≤ π/4: 1 − x²/2 + x⁴ (C₄ + C₆ x² + C₈ x⁴).
pub(super) fn cos(x: f32) -> f32 {
    const C4: f32 = 0.041_666_62;
    const C6: f32 = -0.001_388_652;
    const C8: f32 = 2.437_226_6e-5;
    let square = x * x;
    C8.mul_add(square, C6).mul_add(square, C4).mul_add(square, -0.5).mul_add(square, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numpy_where_rounded_doubles_do_not() {
        let sines = [(0.087961726, 0.087848336), (0.099421084, 0.09925737), (-0.06352572, -0.06348301)];
        for (x, numpy) in sines {
            assert_eq!(sin(x), numpy);
            assert_ne!(f64::from(x).sin() as f32, numpy);
        }
        let cosines = [(0.088147745, 0.9961175), (-0.09291826, 0.9956862), (-0.021105498, 0.9997773)];
        for (x, numpy) in cosines {
            assert_eq!(cos(x), numpy);
            assert_ne!(f64::from(x).cos() as f32, numpy);
        }
    }

    #[test]
    fn zeros_keep_their_sign() {
        assert!(sin(-0.0).is_sign_negative() && sin(0.0).is_sign_positive());
        assert_eq!(cos(-0.0), 1.0);
    }
}
