//! Layers on blocks of observations: one observation in each lane of the vector registers.
//!
//! The loops are compiled once for each kind of processor; which of them run is chosen at run time. Where the processor
//! can, a multiplication and an addition are one operation, and four tanh share a division, so that the last bits are not
//! those of [`Runner`](crate::Runner).

use crate::kernel::math::{TANH_LIMIT, TANH_P, TANH_Q};
#[cfg(target_arch = "x86_64")]
use crate::vector::{__m256, __m512};
use crate::vector::{Eight, Vector};
use crate::{Activation, Layer};

/// The instruction sets that the layers are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// What every processor of the target has.
    Portable,
    /// x86-64 with AVX2 and fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The largest of blocks.
pub(super) const MOST_LANES: usize = 64;

/// How many outputs have their sums in registers at once.
const TILE: usize = 4;

impl Level {
    /// The best one that this processor has.
    pub(super) fn detect() -> Self {
        *Self::available().last().expect("the portable one is always there")
    }

    /// Those that this processor has, the best last. Levels come from here only: that is what makes the calls below
    /// sound.
    pub(super) fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "there are no others"))]
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") {
                levels.push(Self::Avx2);
            }
            if has!("avx512f") {
                levels.push(Self::Avx512);
            }
        }
        levels
    }

    /// The observations in a block: as many registers of them as leave, with the sums of a tile in registers, some for the
    /// rest.
    pub(super) fn block(self) -> usize {
        match self {
            Self::Portable => size_of::<[Eight; 2]>() / size_of::<f32>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => size_of::<[__m256; 2]>() / size_of::<f32>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => size_of::<[__m512; 4]>() / size_of::<f32>(),
        }
    }

    /// Computes the layers on a block of features, `x` `[inputs × block]`, and returns the outputs, `[outputs × block]`,
    /// with what follows them. Both tables are overwritten; each has room for the widest layer and begins where a line of
    /// the cache does.
    pub(super) fn forward<'r>(self, layers: &[Packed], x: &'r mut [f32], y: &'r mut [f32]) -> &'r [f32] {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2(layers: &[Packed], x: &mut [f32], y: &mut [f32]) {
            forward::<__m256, 2>(layers, x, y);
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f")]
        fn avx512(layers: &[Packed], x: &mut [f32], y: &mut [f32]) {
            forward::<__m512, 4>(layers, x, y);
        }

        match self {
            Self::Portable => forward::<Eight, 2>(layers, x, y),
            // SAFETY: `available` gives this level only on a processor with these features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2(layers, x, y) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512(layers, x, y) },
        }
        if layers.len().is_multiple_of(2) { x } else { y }
    }
}

/// A layer whose weights lie in the order in which they are read.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// For [`TILE`] outputs at a time, then for two, then for one: their weights of the first input, of the second and so
    /// on.
    weight: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

impl Packed {
    pub(super) fn new(layer: &Layer) -> Self {
        let outputs = layer.outputs();
        let mut weight = Vec::with_capacity(layer.weight.len());
        let mut first = 0;
        while first < outputs {
            let tile = tile_size(outputs - first);
            layer.weight.chunks_exact(outputs).for_each(|row| weight.extend(&row[first..first + tile]));
            first += tile;
        }
        Self { weight, bias: layer.bias.clone(), activation: layer.activation }
    }

    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }

    fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len()
    }
}

/// How many of the outputs that are left are computed next.
fn tile_size(left: usize) -> usize {
    match left {
        TILE.. => TILE,
        2.. => 2,
        _ => 1,
    }
}

/// A table of numbers as rows of N registers.
#[inline(always)]
fn rows<V: Vector, const N: usize>(table: &mut [f32]) -> &mut [[V; N]] {
    // SAFETY: registers hold numbers, and every pattern of bits is one.
    let (before, rows, _) = unsafe { table.align_to_mut() };
    assert!(before.is_empty(), "a table begins where a line of the cache does");
    rows
}

#[inline(always)]
fn forward<V: Vector, const N: usize>(layers: &[Packed], x: &mut [f32], y: &mut [f32]) {
    let (mut x, mut y) = (rows::<V, N>(x), rows::<V, N>(y));
    for layer in layers {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let (x_rows, y_rows) = (&x[..inputs], &mut y[..outputs]);
        let (mut weight, mut first) = (&layer.weight[..], 0);
        while first < outputs {
            let tile = tile_size(outputs - first);
            let (of_tile, rest) = weight.split_at(inputs * tile);
            let (bias, to) = (&layer.bias[first..], &mut y_rows[first..]);
            match tile {
                1 => sums::<V, N, 1>(x_rows, of_tile, bias, to),
                2 => sums::<V, N, 2>(x_rows, of_tile, bias, to),
                _ => sums::<V, N, TILE>(x_rows, of_tile, bias, to),
            }
            (weight, first) = (rest, first + tile);
        }
        activate(layer.activation, y_rows);
        std::mem::swap(&mut x, &mut y);
    }
}

/// The sums of the first T outputs.
#[inline(always)]
fn sums<V: Vector, const N: usize, const T: usize>(x: &[[V; N]], weight: &[f32], bias: &[f32], y: &mut [[V; N]]) {
    let mut sums = [[V::splat(0.0); N]; T];
    for t in 0..T {
        sums[t] = [V::splat(bias[t]); N];
    }
    for (x, weight) in x.iter().zip(weight.as_chunks::<T>().0) {
        for t in 0..T {
            let w = V::splat(weight[t]);
            for n in 0..N {
                sums[t][n] = x[n].mul_add(w, sums[t][n]);
            }
        }
    }
    y[..T].copy_from_slice(&sums);
}

#[inline(always)]
fn activate<V: Vector, const N: usize>(activation: Activation, y: &mut [[V; N]]) {
    let numbers = y.as_flattened_mut();
    match activation {
        Activation::Identity => {}
        Activation::Relu => numbers.iter_mut().for_each(|y| *y = y.at_least(V::splat(0.0))),
        Activation::Tanh => {
            let (fours, rest) = numbers.as_chunks_mut::<4>();
            for four in fours {
                *four = tanh(*four);
            }
            for y in rest {
                *y = tanh([*y; 4])[0];
            }
        }
        Activation::Gelu => {
            for y in numbers {
                *y = gelu(*y);
            }
        }
    }
}

/// [`gelu`](crate::gelu()).
#[inline(always)]
fn gelu<V: Vector>(x: V) -> V {
    let cubic = x.mul(V::splat(0.044_715)).mul_add(x, V::splat(1.0));
    let t = tanh([x.mul(V::splat(0.797_884_6)).mul(cubic); 4])[0];
    x.mul(V::splat(0.5)).mul(t.add(V::splat(1.0)))
}

/// [`tanh`](crate::tanh()) of four registers with one division, by the product of the denominators: each is between 1 and
/// 175.
#[inline(always)]
fn tanh<V: Vector>(x: [V; 4]) -> [V; 4] {
    let (mut p, mut q) = (x, x);
    for i in 0..4 {
        let x = x[i].at_least(V::splat(-TANH_LIMIT)).at_most(V::splat(TANH_LIMIT));
        let u = x.mul(x);
        p[i] = x.mul(polynomial(TANH_P, u));
        q[i] = polynomial(TANH_Q, u);
    }
    let (q01, q23) = (q[0].mul(q[1]), q[2].mul(q[3]));
    let inverse = V::splat(1.0).div(q01.mul(q23));
    let (of_01, of_23) = (inverse.mul(q23), inverse.mul(q01));
    [p[0].mul(q[1].mul(of_01)), p[1].mul(q[0].mul(of_01)), p[2].mul(q[3].mul(of_23)), p[3].mul(q[2].mul(of_23))]
}

/// The polynomial with these coefficients, the highest power's first.
#[inline(always)]
fn polynomial<V: Vector, const N: usize>(coefficients: [f32; N], x: V) -> V {
    let mut y = V::splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        y = y.mul_add(x, V::splat(*coefficient));
    }
    y
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::hint::black_box;
    use std::time::Instant;

    /// The most floating-point operations a second that one core does at a level: the best of many short loops of
    /// multiplications and additions that never leave the registers.
    pub(in crate::batch) fn peak_flops(level: Level) -> f64 {
        const ROUNDS: usize = 20_000;
        /// As many registers as hide how long an instruction takes.
        const SUMS: usize = 12;
        #[inline(always)]
        fn multiply_add<V: Vector>() -> usize {
            let mut sums = [V::splat(1.0); SUMS];
            let (factor, summand) = (V::splat(black_box(0.5)), V::splat(black_box(0.5)));
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = sum.mul_add(factor, summand);
                }
            }
            black_box(sums);
            ROUNDS * SUMS * 2 * size_of::<V>() / size_of::<f32>()
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2() -> usize {
            multiply_add::<__m256>()
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f")]
        fn avx512() -> usize {
            multiply_add::<__m512>()
        }

        let once = || {
            let started = Instant::now();
            let operations = match level {
                Level::Portable => multiply_add::<Eight>(),
                // SAFETY: `available` gives this level only on a processor with these features.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { avx2() },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { avx512() },
            };
            operations as f64 / started.elapsed().as_secs_f64()
        };
        (0..500).map(|_| once()).fold(0.0, f64::max)
    }

    #[test]
    fn four_tanh_are_within_6e_7_whatever_stands_beside() {
        let mut worst: f64 = 0.0;
        for i in -2_000_000..=2_000_000 {
            let x = [i as f32 * 1e-5, 20.0 - i as f32 * 1e-5, 1e9, -0.5];
            for (x, Eight(y)) in x.into_iter().zip(tanh(x.map(Eight::splat))) {
                worst = worst.max((f64::from(y[0]) - f64::from(x).tanh()).abs());
            }
        }
        assert!(worst < 6e-7, "{worst:e}");
        assert!(tanh([f32::NAN, 0.0, 0.0, 0.0].map(Eight::splat))[0].0[0].is_nan());
    }
}
