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
    let mut sums = [[1.0_f32; LANES]; 12];
    let (factor, summand) = (black_box([0.5_f32; LANES]), black_box([0.5_f32; LANES]));
    for _ in 0..rounds {
        for sums in &mut sums {
            for l in 0..LANES {
                sums[l] = super::elementary::mul_add::<FUSED>(sums[l], factor[l], summand[l]);
            }
        }
    }
    black_box(sums);
    *operations += rounds * 12 * LANES * 2;
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_core_does_more_than_one_operation_a_nanosecond() {
        let peak = super::peak_flops();
        assert!((1e9..1e12).contains(&peak), "{peak:e}");
    }
}
