//! Which instructions a batch is computed with, chosen when the program runs.
//!
//! A [`Kernel`] is ordinary code over blocks of numbers. It is compiled once for every processor that any program
//! runs on, and once more for each set of wide instructions below; the loops are left to the compiler's vectoriser.
//! No operation is reordered or fused by this, so the bits are the same wherever it runs.

/// A computation over blocks of numbers.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;

    /// Computes. Mark it and everything it calls `#[inline(always)]`, closures being beyond that mark: code that is
    /// not inlined is compiled without the wide instructions. [`Isa::run`] starts over with them.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

/// A set of instructions that this processor has, as the proof that it has them.
pub(crate) trait Isa: Copy {
    /// Whether `f64::mul_add` is one instruction, and [`crate::exact`] may use it.
    const FMA: bool;

    /// Calls `kernel` as a function of its own, compiled for these instructions.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;
}

/// What any processor of the architecture has. Every 64-bit Arm has vectors and fused multiplications.
#[derive(Clone, Copy)]
pub(crate) struct Baseline;

impl Isa for Baseline {
    const FMA: bool = cfg!(all(target_arch = "aarch64", target_env = "gnu"));

    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}

/// Runs `kernel` with the widest instructions that this processor has.
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    {
        if let Some(isa) = x86::Avx512::detect() {
            return isa.run(kernel);
        }
        if let Some(isa) = x86::Avx2::detect() {
            return isa.run(kernel);
        }
    }
    Baseline.run(kernel)
}

/// With glibc only: the bounds on errors that [`crate::exact`] relies on are those of its functions.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
mod x86 {
    use super::{Isa, Kernel};

    /// Vectors of four doubles.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(());

    /// Vectors of eight doubles.
    #[derive(Clone, Copy)]
    pub(super) struct Avx512(());

    impl Avx2 {
        pub(super) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
        }
    }

    impl Avx512 {
        pub(super) fn detect() -> Option<Self> {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            Avx2::detect().filter(|_| avx512).map(|_| Self(()))
        }
    }

    impl Isa for Avx2 {
        const FMA: bool = true;

        fn run<K: Kernel>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "avx2,fma")]
            fn compiled<K: Kernel>(isa: Avx2, kernel: K) -> K::Output {
                kernel.run(isa)
            }
            // SAFETY: `detect` has found these features, as there is a value of this type.
            unsafe { compiled(self, kernel) }
        }
    }

    impl Isa for Avx512 {
        const FMA: bool = true;

        fn run<K: Kernel>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
            fn compiled<K: Kernel>(isa: Avx512, kernel: K) -> K::Output {
                kernel.run(isa)
            }
            // SAFETY: `detect` has found these features, as there is a value of this type.
            unsafe { compiled(self, kernel) }
        }
    }
}
