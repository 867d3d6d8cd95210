//! Linear layers y = x W + b, whose sums are taken in an order of their own so that the bits are the same everywhere.
//!
//! A layer of eight outputs or more adds, to the bias, the products in the order of the inputs; vector instructions
//! work on several *outputs* at once. A narrower layer would leave them idle and wait for each addition, so there
//! products are added in eight lanes, the i-th in lane i mod 8, and then the lanes and the bias.

/// The number of outputs from which on a layer is not narrow, and of lanes that a narrow one adds in.
pub const LANES: usize = 8;

/// A layer of constant size: `x` `[I]` → `[O]`; `weight` is `[I × O]`, row-major.
///
/// # Panics
/// If the weight has another length.
#[inline(always)]
pub fn dense<const I: usize, const O: usize>(x: &[f32; I], weight: &[f32], bias: &[f32; O]) -> [f32; O] {
    if O < LANES { narrow(x, weight, bias) } else { wide(x, weight, O, bias) }
}

/// N outputs of a layer that is not narrow: b + x₀ w₀ + x₁ w₁ + …, where row i of the weight begins at i · `stride`.
///
/// # Panics
/// If the weight ends early.
#[inline(always)]
pub fn wide<const N: usize>(x: &[f32], weight: &[f32], stride: usize, bias: &[f32; N]) -> [f32; N] {
    let mut y = *bias;
    for (i, x) in x.iter().enumerate() {
        for (y, w) in y.iter_mut().zip(&weight[i * stride..i * stride + N]) {
            *y += x * w;
        }
    }
    y
}

/// The outputs of a narrow layer: b + ((s₀ + s₄) + (s₂ + s₆)) + ((s₁ + s₅) + (s₃ + s₇)), where the sum sₖ of lane k is
/// 0 + xₖ wₖ + xₖ₊₈ wₖ₊₈ + …
#[inline(always)]
pub fn narrow<const N: usize>(x: &[f32], weight: &[f32], bias: &[f32; N]) -> [f32; N] {
    let mut s = [[0.0_f32; N]; LANES];
    let (octets, rest) = x.as_chunks::<LANES>();
    let (weight, weight_of_rest) = weight.split_at(octets.len() * LANES * N);
    // Of constant length, so that it becomes vector instructions.
    for (x, rows) in octets.iter().zip(weight.chunks_exact(LANES * N)) {
        for k in 0..LANES {
            for j in 0..N {
                s[k][j] += x[k] * rows[k * N + j];
            }
        }
    }
    for (k, (x, row)) in rest.iter().zip(weight_of_rest.chunks_exact(N)).enumerate() {
        for j in 0..N {
            s[k][j] += x * row[j];
        }
    }
    add_up(s, bias)
}

/// The outputs of a narrow layer from the sums of its lanes.
#[inline(always)]
pub fn add_up<const N: usize>(mut s: [[f32; N]; LANES], bias: &[f32; N]) -> [f32; N] {
    for half in [LANES / 2, LANES / 4, LANES / 8] {
        let (front, back) = s.as_flattened_mut().split_at_mut(half * N);
        front.iter_mut().zip(back).for_each(|(front, back)| *front += *back);
    }
    core::array::from_fn(|j| bias[j] + s[0][j])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_by_hand() {
        assert_eq!(dense(&[2.0, 4.0], &[1.0, 2.0, 3.0, -1.0, 0.5, 0.0], &[0.5, -10.0, 0.0]), [-1.5, -4.0, 6.0]);
        let weight: [f32; 18] = core::array::from_fn(|i| i as f32);
        let y = dense(&[1.0, -1.0], &weight, &[0.25; 9]);
        assert_eq!(y, [-8.75; 9]);
        assert!(dense(&[f32::NAN], &[0.0; 8], &[0.0; 8]).iter().all(|y| y.is_nan()));
        assert!(dense(&[f32::NAN], &[0.0; 2], &[0.0; 2]).iter().all(|y| y.is_nan()));
    }

    /// In f32, 1e8 + 1 is 1e8: which of these products are added first is seen in the sum.
    #[test]
    fn the_order_of_a_sum_is_the_documented_one() {
        let x = [1.0; 10];
        let weight = [1e8, 1.0, 0.0, 0.0, -1e8, 0.0, 0.0, 0.0, 1.0, 1.0];
        // Lane 0 is 1e8 + 1 = 1e8, lane 4 −1e8, lane 1 is 1 + 1.
        assert_eq!(dense(&x, &weight, &[0.5]), [2.5]);
        let nine: Vec<f32> = weight.iter().flat_map(|w| [*w; 9]).collect();
        // 0.5 + 1e8 + 1 − 1e8 + 1 + 1, from left to right.
        assert_eq!(dense(&x, &nine, &[0.5; 9]), [2.0; 9]);
    }
}
