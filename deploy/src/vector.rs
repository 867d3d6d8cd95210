//! Vector registers of several widths behind one trait.

/// A vector register. Its methods compile to single instructions inside a function that may assume the processor's
/// features, and only there may a value come to be: functions with
/// `target_feature`, in the modules that use it.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "loads and stores are those of the registers there")
)]
pub(crate) trait Vector: Copy {
    /// How many numbers it holds.
    const LANES: usize;
    /// What a row begins with.
    fn load(from: &[f32]) -> Self;
    /// Writes to what a row begins with.
    fn store(self, to: &mut [f32]);
    /// The same number in each lane.
    fn splat(x: f32) -> Self;
    /// self · a + b, rounded once where the processor can.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// self + a.
    fn add(self, a: Self) -> Self;
    /// self · a.
    fn mul(self, a: Self) -> Self;
    /// self / a.
    fn div(self, a: Self) -> Self;
    /// self, or `low` if that is more; NaN stays NaN.
    fn at_least(self, low: Self) -> Self;
    /// self, or `high` if that is less; NaN stays NaN.
    fn at_most(self, high: Self) -> Self;
}

/// Eight numbers, which become registers of whatever width the processor has.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(crate) struct Eight(pub(crate) [f32; 8]);

impl Eight {
    #[inline(always)]
    fn zip(mut self, a: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        for i in 0..8 {
            self.0[i] = f(self.0[i], a.0[i]);
        }
        self
    }
}

impl Vector for Eight {
    const LANES: usize = 8;

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        Self(*from.first_chunk().expect("a row as long as a register"))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..8].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; 8])
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.mul(a).add(b)
    }

    #[inline(always)]
    fn add(self, a: Self) -> Self {
        self.zip(a, |x, a| x + a)
    }

    #[inline(always)]
    fn mul(self, a: Self) -> Self {
        self.zip(a, |x, a| x * a)
    }

    #[inline(always)]
    fn div(self, a: Self) -> Self {
        self.zip(a, |x, a| x / a)
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        self.zip(low, |x, low| if low > x { low } else { x })
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        self.zip(high, |x, high| if high < x { high } else { x })
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{__m256, __m512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64 as arch;
    pub(crate) use std::arch::x86_64::{__m256, __m512};

    /// A register and the instructions for it. Of two numbers one of which is NaN, `min` and `max` take the second.
    macro_rules! register {
        ($register:ty, $splat:ident, $load:ident, $store:ident, $mul_add:ident, $add:ident, $mul:ident, $div:ident, $max:ident, $min:ident) => {
            impl Vector for $register {
                const LANES: usize = size_of::<Self>() / size_of::<f32>();

                #[inline(always)]
                fn load(from: &[f32]) -> Self {
                    let from = &from[..Self::LANES];
                    // SAFETY: a value comes to be only where the trait's documentation allows it; there are as many
                    // numbers as it takes.
                    unsafe { arch::$load(from.as_ptr()) }
                }

                #[inline(always)]
                fn store(self, to: &mut [f32]) {
                    let to = &mut to[..Self::LANES];
                    // SAFETY: as above.
                    unsafe { arch::$store(to.as_mut_ptr(), self) }
                }

                #[inline(always)]
                fn splat(x: f32) -> Self {
                    // SAFETY: as above.
                    unsafe { arch::$splat(x) }
                }

                #[inline(always)]
                fn mul_add(self, a: Self, b: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { arch::$mul_add(self, a, b) }
                }

                #[inline(always)]
                fn add(self, a: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { arch::$add(self, a) }
                }

                #[inline(always)]
                fn mul(self, a: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { arch::$mul(self, a) }
                }

                #[inline(always)]
                fn div(self, a: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { arch::$div(self, a) }
                }

                #[inline(always)]
                fn at_least(self, low: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { arch::$max(low, self) }
                }

                #[inline(always)]
                fn at_most(self, high: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { arch::$min(high, self) }
                }
            }
        };
    }

    register!(
        __m256,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_max_ps,
        _mm256_min_ps
    );
    register!(
        __m512,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_max_ps,
        _mm512_min_ps
    );
}
