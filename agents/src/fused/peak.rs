//! What the arithmetic of one core could do at best, to measure the engine against.

use super::simd::Level;
use std::hint::black_box;
use std::time::Instant;

/// The most floating-point operations a second that one core does in the fused engine's instruction set: the best of
/// many short loops of multiplications and additions that never leave the registers. Takes a tenth of a second or two.
pub fn peak_flops() -> f64 {
    const ROUNDS: usize = 20_000;
    let level = Level::detect();
    let once = || {
        let (started, mut operations) = (Instant::now(), 0);
        level.multiply_add(black_box(ROUNDS), &mut operations);
        operations as f64 / started.elapsed().as_secs_f64()
    };
    (0..500).map(|_| once()).fold(0.0, f64::max)
}

/// Multiplies and adds on twelve registers of LANES numbers, which is what hides the latency of an instruction.
#[inline(always)]
pub(crate) fn multiply_add<const LANES: usize, const FUSED: bool>(rounds: usize, operations: &mut usize) {
    // Twelve variables: an array of them would be kept in memory, at least with registers of sixteen numbers.
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h, mut i, mut j, mut k, mut l] =
        [black_box([1.0_f32; LANES]); 12];
    let (factor, summand) = (black_box(0.5_f32), black_box(0.5_f32));
    macro_rules! multiply_add {
        ($($register:ident)*) => {
            $($register.iter_mut().for_each(|x| *x = super::elementary::mul_add::<FUSED>(*x, factor, summand));)*
        };
    }
    for _ in 0..rounds {
        multiply_add!(a b c d e f g h i j k l);
    }
    for register in [a, b, c, d, e, f, g, h, i, j, k, l] {
        black_box(register);
    }
    *operations += rounds * 12 * LANES * 2;
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_core_does_some_operations_a_nanosecond() {
        let peak = super::peak_flops();
        // In vector registers: one number at a time would make about six.
        assert!((1e10..1e12).contains(&peak), "{peak:e}");
    }
}
