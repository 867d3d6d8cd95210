//! Every function against the C library's, bit for bit.

use super::*;
use crate::Generator;
use crate::simd::{Baseline, Isa, Kernel, dispatch};
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// Arguments of three kinds, with random bits down to the last: half of them evenly spread up to the largest, a quarter
/// of any magnitude, and a quarter close to multiples of a quarter turn.
fn argument(rng: &mut Generator, largest: f64) -> f64 {
    let (choice, digits) = (rng.bits64(), rng.bits64());
    let power_of_two = |exponent: u64| f64::from_bits((1023 + exponent) << 52);
    let mantissa = f64::from_bits(1023 << 52 | digits >> 12);
    let x = match choice & 3 {
        0 | 1 => (mantissa - 1.0) * largest,
        2 => mantissa * power_of_two(choice >> 8 & 63) * 2_f64.powi(-40),
        _ => {
            let turns = (largest.min(1000.0) / FRAC_PI_2) as u64 + 1;
            FRAC_PI_2 * ((choice >> 8) % turns) as f64 + (mantissa - 1.5) / power_of_two(choice >> 48 & 31)
        }
    };
    // The low bits of a product or a sum are not random.
    let x = f64::from_bits(x.to_bits() ^ (choice >> 4 & 15));
    if choice & 4 == 0 { x } else { -x }
}

struct Candidates<'a, F> {
    candidate: F,
    x: &'a [f64],
    y: &'a mut [f64],
}

impl<F: Fn(f64) -> f64> Kernel for Candidates<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        self.x.iter().zip(self.y).for_each(|(x, y)| *y = (self.candidate)(*x));
    }
}

/// Fails if a candidate is neither NaN, which says that it is in doubt, nor the C library's bits.
fn check(name: &str, largest: f64, candidate: impl Fn(f64) -> f64 + Copy, libm: impl Fn(f64) -> f64, count: u64) {
    let mut rng = Generator::new(count);
    let (mut x, mut y) = ([0.0; 256], [0.0; 256]);
    let mut decided = 0;
    for _ in 0..count.div_ceil(256) {
        x.fill_with(|| argument(&mut rng, largest));
        dispatch(Candidates { candidate, x: &x, y: &mut y });
        for (&x, &y) in x.iter().zip(&y).filter(|(_, y)| !y.is_nan()) {
            let expected = libm(x);
            assert_eq!(y.to_bits(), expected.to_bits(), "{name} of {x:e}: {y:e} instead of {expected:e}");
            decided += 1;
        }
    }
    let (mut even, mut doubtful) = (0, 0);
    while even < 1 << 20 {
        x.fill_with(|| rng.uniform(-largest, largest));
        dispatch(Candidates { candidate, x: &x, y: &mut y });
        even += x.len();
        doubtful += y.iter().filter(|y| y.is_nan()).count();
    }
    let share = doubtful as f64 / even as f64;
    println!("{name} up to {largest}: {decided} of {count} equal, {:.4} % in doubt if evenly spread", 100.0 * share);
    assert!(decided > count / 4 && share < 0.08, "{name} up to {largest}: hardly anything was decided");
}

fn check_all(largest: &[f64], count: u64) {
    for &largest in largest {
        check("sin", largest, Sin::candidate, f64::sin, count);
        check("cos", largest, Cos::candidate, f64::cos, count);
        let candidate = |x| f64::from(single::candidates(x).0);
        check("sin as f32", largest, candidate, |x| f64::from(x.sin() as f32), count);
        let candidate = |x| f64::from(single::candidates(x).1);
        check("cos as f32", largest, candidate, |x| f64::from(x.cos() as f32), count);
        check("remainder", largest, RemTurn::candidate, |x| x.rem_euclid(TAU), count);
        check("square", largest, Square::candidate, square, count);
        let candidate = |x| f64::from(SquareF32::candidate(x as f32));
        check("square in f32", largest, candidate, |x| f64::from(square_f32(x as f32)), count);
    }
    check("sin of the small", 0.25, SinSmall::candidate, f64::sin, count);
    check("cos of the small", 0.25, CosSmall::candidate, f64::cos, count);
}

#[test]
#[cfg(target_env = "gnu")]
fn candidates_equal_the_c_library() {
    check_all(&[4.0, 250.0, 1e6], 500_000);
}

/// Without fused multiplications glibc rounds otherwise, on Arm its compiler may fuse others.
#[test]
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn what_stands_in_for_the_c_library_equals_it() {
    if !is_x86_feature_detected!("fma") {
        eprintln!("skipped: a processor without fused multiplications");
        return;
    }
    check("portable sin", 0.25, portable::sin, f64::sin, 5_000_000);
    check("portable cos", 0.25, portable::cos, f64::cos, 5_000_000);
    for x in [0.0, -0.0, f64::MIN_POSITIVE, -1e-8, 1.5e-8, 0.126, -0.25] {
        assert_eq!(portable::sin(x).to_bits(), x.sin().to_bits(), "sine of {x:e}");
        assert_eq!(portable::cos(x).to_bits(), x.cos().to_bits(), "cosine of {x:e}");
    }
}

/// `cargo test --release -p apprentice-envs -- --ignored --nocapture billion`
#[test]
#[ignore = "takes ten minutes or more; for a new C library or a new bound"]
#[cfg(target_env = "gnu")]
fn a_billion_candidates_equal_the_c_library() {
    check_all(&[250.0], 1 << 30);
}

/// Every function over a block, as f64.
struct All<'a>(&'a [f64; 16]);

impl Kernel for All<'_> {
    type Output = [[f64; 16]; 9];

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Self::Output {
        let x = self.0;
        let (sin, cos) = sin_cos_f32(isa, x);
        let squares = SquareF32::of(isa, &x.map(|x| x as f32));
        let widen = |y: [f32; 16]| y.map(f64::from);
        [
            Sin::of(isa, x),
            Cos::of(isa, x),
            Square::of(isa, x),
            RemTurn::of(isa, x),
            SinSmall::of(isa, x),
            CosSmall::of(isa, x),
            widen(sin),
            widen(cos),
            widen(squares),
        ]
    }
}

/// Blocks with the places where a candidate is NaN among them, and numbers that no bound was derived for. NaN is equal
/// to NaN here, whatever its bits.
#[test]
fn blocks_hold_what_the_c_library_says() {
    let special = [0.0, -0.0, f64::MIN_POSITIVE, -5e-324, 1e-300, 1e300, f64::MAX, f64::INFINITY, -f64::INFINITY];
    let bounds =
        [f64::NAN, 0.25, -0.25, 0.125, 0.126, 1.0, PI, -PI, FRAC_PI_2, TAU, -TAU, 3.0 * TAU, 1_048_576.0, 0.21];
    let mut rng = Generator::new(5);
    let mut x: Vec<f64> = special.into_iter().chain(bounds).collect();
    x.extend((0..10_000).map(|i| argument(&mut rng, [0.25, 4.0, 100.0][i % 3])));
    let expected: [fn(f64) -> f64; 9] = [
        f64::sin,
        f64::cos,
        square,
        |x| x.rem_euclid(TAU),
        f64::sin,
        f64::cos,
        |x| f64::from(x.sin() as f32),
        |x| f64::from(x.cos() as f32),
        |x| f64::from(square_f32(x as f32)),
    ];
    for x in x.as_chunks().0 {
        for got in [dispatch(All(x)), Baseline.run(All(x))] {
            for ((number, y), expected) in got.iter().enumerate().zip(expected) {
                for (&x, &y) in x.iter().zip(y) {
                    let libm = expected(x);
                    let equal = y.to_bits() == libm.to_bits() || y.is_nan() && libm.is_nan();
                    assert!(equal, "function {number} of {x:e}: {y:e} instead of {libm:e}");
                }
            }
        }
    }
}

/// The rule that everything rests on: in doubt about the rounding, ask.
#[test]
fn only_certain_roundings_are_candidates() {
    let half = f64::EPSILON / 2.0;
    assert_eq!(unambiguous(1.5, 0.4 * f64::EPSILON, 0.05 * f64::EPSILON), 1.5);
    assert!(unambiguous(1.5, 0.4 * f64::EPSILON, 0.11 * f64::EPSILON).is_nan());
    assert!(unambiguous(1.5, -0.4 * f64::EPSILON, 0.11 * f64::EPSILON).is_nan());
    // Below a power of two the doubles are twice as dense.
    assert_eq!(unambiguous(1.0, 0.4 * f64::EPSILON, 0.05 * f64::EPSILON), 1.0);
    assert!(unambiguous(1.0, -0.2 * f64::EPSILON, 0.06 * f64::EPSILON).is_nan());
    assert_eq!(unambiguous(1.0, -half, 0.2 * half), 1.0 - half);
    assert!(unambiguous(f64::NAN, 0.0, 0.0).is_nan());
}
