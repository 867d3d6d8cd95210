//! Gated recurrent units: what a policy remembers of an episode, and how an observation changes it. (Cho et al. 2014, with
//! the reset gate behind the product, as PyTorch and ONNX's `linear_before_reset` have it.)

use super::math::{sigmoid, tanh};

/// The memory after an observation, from two linear layers of three rows each, in the order r, z, n: `x` of the features
/// and `h` of the memory before.
///
/// r = σ(xᵣ + hᵣ), z = σ(x_z + h_z), n = tanh(xₙ + r hₙ); the memory becomes (1 − z) n + z · memory.
///
/// # Panics
/// If `x` and `h` are not three times as long as `next`, or `memory` is shorter.
#[inline(always)]
pub fn remember(x: &[f32], h: &[f32], memory: &[f32], next: &mut [f32]) {
    let units = next.len();
    let (xr, x) = x.split_at(units);
    let (xz, xn) = x.split_at(units);
    let (hr, h) = h.split_at(units);
    let (hz, hn) = h.split_at(units);
    let (xn, hn, memory) = (&xn[..units], &hn[..units], &memory[..units]);
    for j in 0..units {
        let r = sigmoid(xr[j] + hr[j]);
        let z = sigmoid(xz[j] + hz[j]);
        let n = tanh(xn[j] + r * hn[j]);
        next[j] = (1.0 - z) * n + z * memory[j];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_by_hand() {
        let step = |r: f32, z: f32| {
            let mut next = [9.0];
            remember(&[r, z, 0.25], &[0.0, 0.0, 0.5], &[-0.5], &mut next);
            next[0]
        };
        assert_eq!(step(0.0, 0.0), 0.5 * tanh(0.5) - 0.25, "half of each");
        // Gates that are shut or open.
        for (r, z, expected, what) in [
            (0.0, 100.0, -0.5, "kept"),
            (-100.0, -100.0, 0.25_f32.tanh(), "replaced, without the memory's part"),
            (100.0, -100.0, 0.75_f32.tanh(), "replaced, with it"),
        ] {
            assert!((step(r, z) - expected).abs() < 2e-6, "{what}: {}", step(r, z));
        }
        assert!(step(f32::NAN, 0.0).is_nan() && step(0.0, f32::NAN).is_nan());
    }
}
