//! Which instructions a batch is computed with, chosen when the program runs.
//!
//! A [`Kernel`] is ordinary code over slices. It is compiled once for every processor that any program runs on, and
//! once more for each set of wide instructions below; the loops are left to the compiler's vectoriser. No operation
//! is reordered or fused by this, so the bits are the same wherever it runs.

/// A computation over a batch.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;

    /// Computes. `FMA` says that `f64::mul_add` is one instruction, and that [`crate::exact`] may use it.
    ///
    /// Mark it, and everything it calls that shall be vectorised, `#[inline(always)]`: code that is not inlined is
    /// compiled without the wide instructions.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs `kernel` with the widest instructions that this processor has.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    // The bounds on errors that `exact` relies on are those of glibc.
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
        fn avx512<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<true>()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<true>()
        }
        let avx2_fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2_fma
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has the instructions that the function is compiled for.
            return unsafe { avx512(kernel) };
        }
        if avx2_fma {
            // SAFETY: as above.
            return unsafe { avx2(kernel) };
        }
    }
    // Every 64-bit Arm has vectors and fused multiplications.
    kernel.run::<{ cfg!(all(target_arch = "aarch64", target_env = "gnu")) }>()
}
