//! Layers in the vector registers of x86-64: the operations of [`kernel`](crate::kernel) in their order, several at once,
//! and therefore with their bits. Nothing is fused.
//!
//! No closures around registers: one would be a function of its own, which may not assume the processor's features.

use crate::kernel::dense::{LANES, add_up};
use crate::kernel::math::{TANH_LIMIT, TANH_P, TANH_Q};
use crate::vector::{__m256, __m512, Vector};
use crate::{Activation, mlp};
use std::arch::x86_64::{_mm256_loadu_si256, _mm256_permutevar8x32_ps};

/// So many outputs are computed at once in registers of AVX-512; narrower layers gain nothing by them.
const BLOCK: usize = 4 * size_of::<__m512>() / size_of::<f32>();

/// Computes a layer; false, and nothing, on a processor without AVX2.
#[inline]
pub(crate) fn layer(x: &[f32], weight: &[f32], bias: &[f32], activation: Activation, y: &mut [f32]) -> bool {
    use std::arch::is_x86_feature_detected as has;
    if y.len() >= BLOCK && has!("avx512f") && has!("avx512vl") {
        // SAFETY: the processor has these features, as asked in the line above; AVX-512 includes AVX2.
        unsafe { avx512(x, weight, bias, activation, y) };
        return true;
    }
    if has!("avx2") {
        // SAFETY: as above.
        unsafe { avx2(x, weight, bias, activation, y) };
        return true;
    }
    false
}

#[target_feature(enable = "avx2")]
fn avx2(x: &[f32], weight: &[f32], bias: &[f32], activation: Activation, y: &mut [f32]) {
    // Half of the sixteen registers for sums.
    let done = blocks::<__m256, 8>(x, weight, bias, activation, y, 0);
    finish(x, weight, bias, activation, y, done);
}

#[target_feature(enable = "avx2,avx512f,avx512vl")]
fn avx512(x: &[f32], weight: &[f32], bias: &[f32], activation: Activation, y: &mut [f32]) {
    let done = blocks::<__m512, 4>(x, weight, bias, activation, y, 0);
    finish(x, weight, bias, activation, y, done);
}

/// The outputs that are left.
#[inline(always)]
fn finish(x: &[f32], weight: &[f32], bias: &[f32], activation: Activation, y: &mut [f32], done: usize) {
    match y.len() {
        1 => narrow::<1>(x, weight, bias, y),
        2 => narrow::<2>(x, weight, bias, y),
        3 => narrow::<3>(x, weight, bias, y),
        4 => narrow::<4>(x, weight, bias, y),
        5 => narrow::<5>(x, weight, bias, y),
        6 => narrow::<6>(x, weight, bias, y),
        7 => narrow::<7>(x, weight, bias, y),
        _ => {
            let done = blocks::<__m256, 2>(x, weight, bias, activation, y, done);
            let done = blocks::<__m256, 1>(x, weight, bias, activation, y, done);
            if done < y.len() {
                mlp::blocks::<1>(x, weight, bias, y, done);
                activation.apply(&mut y[done..]);
            }
            return;
        }
    }
    activation.apply(y);
}

/// As many blocks of N registers as there are from `first` on; returns where it stopped.
#[inline(always)]
fn blocks<V: Vector, const N: usize>(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    activation: Activation,
    y: &mut [f32],
    mut first: usize,
) -> usize {
    let outputs = y.len();
    while first + N * V::LANES <= outputs {
        let mut sums = [V::splat(0.0); N];
        let from = &bias[first..][..N * V::LANES];
        for n in 0..N {
            sums[n] = V::load(&from[n * V::LANES..]);
        }
        for (x, row) in x.iter().zip(weight.chunks_exact(outputs)) {
            let (x, row) = (V::splat(*x), &row[first..][..N * V::LANES]);
            for n in 0..N {
                sums[n] = sums[n].add(x.mul(V::load(&row[n * V::LANES..])));
            }
        }
        match activation {
            Activation::Identity => {}
            Activation::Relu => {
                for sum in &mut sums {
                    *sum = sum.at_least(V::splat(0.0));
                }
            }
            Activation::Tanh => {
                for sum in &mut sums {
                    *sum = tanh(*sum);
                }
            }
            Activation::Gelu => {
                for sum in &mut sums {
                    *sum = gelu(*sum);
                }
            }
        }
        let to = &mut y[first..][..N * V::LANES];
        for n in 0..N {
            sums[n].store(&mut to[n * V::LANES..]);
        }
        first += N * V::LANES;
    }
    first
}

/// [`tanh`](crate::tanh()).
#[inline(always)]
fn tanh<V: Vector>(x: V) -> V {
    let x = x.at_least(V::splat(-TANH_LIMIT)).at_most(V::splat(TANH_LIMIT));
    let u = x.mul(x);
    let p = polynomial(TANH_P, u);
    let q = polynomial(TANH_Q, u);
    x.mul(p).div(q)
}

/// [`gelu`](crate::gelu()).
#[inline(always)]
fn gelu<V: Vector>(x: V) -> V {
    let cubic = V::splat(1.0).add(V::splat(0.044_715).mul(x).mul(x));
    let t = tanh(V::splat(0.797_884_6).mul(x).mul(cubic));
    V::splat(0.5).mul(x).mul(V::splat(1.0).add(t))
}

#[inline(always)]
fn polynomial<V: Vector, const N: usize>(coefficients: [f32; N], x: V) -> V {
    let mut y = V::splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        y = y.mul(x).add(V::splat(*coefficient));
    }
    y
}

/// [`narrow`](crate::kernel::dense::narrow), the eight lanes of N sums in N registers.
#[inline(always)]
fn narrow<const N: usize>(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    let mut registers = [__m256::splat(0.0); N];
    let (octets, rest) = x.as_chunks::<LANES>();
    let (weight, weight_of_rest) = weight.split_at(octets.len() * LANES * N);
    for (x, rows) in octets.iter().zip(weight.chunks_exact(LANES * N)) {
        let x = __m256::load(x);
        for r in 0..N {
            // Number l of all registers belongs to lane l / N and output l % N: it wants the input of that lane.
            let inputs: [i32; LANES] = std::array::from_fn(|l| ((r * LANES + l) / N) as i32);
            // SAFETY: there are eight integers to read, and whoever has a register has AVX2.
            let x = unsafe { _mm256_permutevar8x32_ps(x, _mm256_loadu_si256(inputs.as_ptr().cast())) };
            registers[r] = registers[r].add(x.mul(__m256::load(&rows[r * LANES..])));
        }
    }
    let mut s = [[0.0; N]; LANES];
    for (register, to) in registers.iter().zip(s.as_flattened_mut().chunks_exact_mut(LANES)) {
        register.store(to);
    }
    for (s, (x, row)) in s.iter_mut().zip(rest.iter().zip(weight_of_rest.chunks_exact(N))) {
        for j in 0..N {
            s[j] += x * row[j];
        }
    }
    y.copy_from_slice(&add_up(s, bias.first_chunk().expect("a bias for each output")));
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    type LayerFunction = fn(&[f32], &[f32], &[f32], Activation, &mut [f32]);

    /// A function for each instruction set that this processor has.
    pub(crate) fn available() -> Vec<LayerFunction> {
        use std::arch::is_x86_feature_detected as has;
        let mut functions: Vec<LayerFunction> = Vec::new();
        if has!("avx2") {
            // SAFETY: the processor has AVX2, as asked in the line above.
            functions.push(|x, weight, bias, activation, y| unsafe { avx2(x, weight, bias, activation, y) });
        }
        if has!("avx512f") && has!("avx512vl") {
            // SAFETY: the processor has these features, as asked in the line above.
            functions.push(|x, weight, bias, activation, y| unsafe { avx512(x, weight, bias, activation, y) });
        }
        functions
    }
}
