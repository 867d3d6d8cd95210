//! The inner loops, compiled once for each kind of processor and chosen at run time.
//!
//! The code is plain Rust over arrays of constant length, which the compiler turns into vector instructions of
//! whatever width the enclosing function may assume; it needs help with transposes only. All `unsafe` of the crate is
//! here, most of it the calls into functions that assume a processor feature, each right behind the question whether it
//! is there.

use super::elementary::{self, dot, mul_add};
use super::loss::{self, LossBlock};
use super::peak;

/// The instruction sets that the loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// What every processor of the target has: SSE2 on x86-64, NEON on 64-bit ARM.
    Portable,
    /// x86-64 with AVX2 and fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Whether every processor of the target multiplies and adds in one instruction; of the two kinds that we know, ARM's do.
const FUSED: bool = cfg!(target_arch = "aarch64");

impl Level {
    /// The best one that this processor has.
    pub(crate) fn detect() -> Self {
        *Self::available().last().expect("the portable one is always there")
    }

    /// Those that this processor has, the best last. Levels come from here only: that is what makes the calls below
    /// sound.
    fn available() -> Vec<Self> {
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") {
                levels.push(Self::Avx2);
            }
            if has!("avx512f") && has!("avx512vl") && has!("avx512dq") && has!("fma") {
                levels.push(Self::Avx512);
            }
        }
        levels
    }
}

/// Makes functions of [`Level`] whose bodies are compiled once for each level.
macro_rules! at_every_level {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) { $portable:expr, $avx2:expr, $avx512:expr })*) => {
        impl Level {
            $($(#[$doc])*
            pub(crate) fn $name(self, $($arg: $type),*) {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) {
                    $avx2
                }

                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,fma")]
                fn avx512($($arg: $type),*) {
                    $avx512
                }

                match self {
                    Self::Portable => $portable,
                    // SAFETY: `available` gives this level only on a processor with these features.
                    #[cfg(target_arch = "x86_64")]
                    Self::Avx2 => unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Self::Avx512 => unsafe { avx512($($arg),*) },
                }
            })*
        }
    };
}

at_every_level! {
    /// C = A B + `start`.
    fn gemm(a: Strided<'_>, b: &[f32], c: &mut [f32], start: Start<'_>, shape: Shape) {
        gemm::<4, 16, 16, FUSED>(a, b, c, start, shape),
        gemm::<6, 16, 16, true>(a, b, c, start, shape),
        gemm::<8, 32, 64, true>(a, b, c, start, shape)
    }

    /// y = tanh(y), element by element.
    fn tanh(y: &mut [f32]) {
        tanh::<FUSED>(y), tanh::<true>(y), tanh::<true>(y)
    }

    /// g ·= 1 − y², the derivative of tanh where it returned y.
    fn tanh_backward(g: &mut [f32], y: &[f32]) {
        tanh_backward(g, y), tanh_backward(g, y), tanh_backward(g, y)
    }

    /// y = gelu(y), element by element.
    fn gelu(y: &mut [f32]) {
        gelu::<FUSED>(y), gelu::<true>(y), gelu::<true>(y)
    }

    /// g ·= gelu'(x).
    fn gelu_backward(g: &mut [f32], x: &[f32]) {
        gelu_backward::<FUSED>(g, x), gelu_backward::<true>(g, x), gelu_backward::<true>(g, x)
    }

    /// C `[m × n]` = A `[m × k]` · Bᵀ `[k × n]` + a row `[n]` in every row, for a few columns n; `b` is `[n × k]`.
    fn gemm_narrow(a: &[f32], b: &[f32], row: &[f32], c: &mut [f32]) {
        gemm_narrow::<FUSED>(a, b, row, c), gemm_narrow::<true>(a, b, row, c), gemm_narrow::<true>(a, b, row, c)
    }

    /// Writes Σ x².
    fn sum_of_squares(x: &[f32], sum: &mut f32) {
        *sum = elementary::sum_of_squares::<FUSED>(x),
        *sum = elementary::sum_of_squares::<true>(x),
        *sum = elementary::sum_of_squares::<true>(x)
    }

    /// Writes the transpose of a matrix with rows of `columns` numbers.
    fn transpose(from: &[f32], columns: usize, to: &mut [f32]) {
        transpose(from, columns, to, transpose_block),
        transpose(from, columns, to, |block| shuffle_block(block)),
        transpose(from, columns, to, |block| shuffle_block(block))
    }

    /// The PPO loss of a block of samples and its gradient.
    fn loss_gradients(block: LossBlock<'_>) {
        loss::gradients::<FUSED>(block), loss::gradients::<true>(block), loss::gradients::<true>(block)
    }

    /// Arithmetic in registers and nothing else; see [`peak_flops`](super::peak_flops).
    fn multiply_add(rounds: usize, operations: &mut usize) {
        peak::multiply_add::<4, FUSED>(rounds, operations),
        peak::multiply_add::<8, true>(rounds, operations),
        peak::multiply_add::<16, true>(rounds, operations)
    }

    /// One step of AdamW (Loshchilov and Hutter 2019; without decay it is Adam) on parameters and their moments.
    fn adam(state: AdamState<'_>, rates: AdamRates) {
        adam(state, rates), adam(state, rates), adam(state, rates)
    }
}

/// The parameters of a network, their gradients scaled by `grad_scale`, and the moments of these; all of one length.
pub(crate) struct AdamState<'a> {
    pub(crate) parameters: &'a mut [f32],
    pub(crate) grads: &'a [f32],
    pub(crate) moment_1: &'a mut [f32],
    pub(crate) moment_2: &'a mut [f32],
}

impl<'a> AdamState<'a> {
    /// Cuts off the first `n`.
    pub(crate) fn take(&mut self, n: usize) -> AdamState<'a> {
        fn take<'a>(from: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
            from.split_off_mut(..n).expect("there are so many")
        }
        AdamState {
            parameters: take(&mut self.parameters, n),
            grads: self.grads.split_off(..n).expect("there are so many"),
            moment_1: take(&mut self.moment_1, n),
            moment_2: take(&mut self.moment_2, n),
        }
    }

    /// The same for a shorter time.
    pub(crate) fn reborrow(&mut self) -> AdamState<'_> {
        let Self { parameters, grads, moment_1, moment_2 } = self;
        AdamState { parameters, grads, moment_1, moment_2 }
    }
}

/// What Adam's step needs beside its state; `rate` and `epsilon` hold the bias corrections already.
#[derive(Clone, Copy)]
pub(crate) struct AdamRates {
    pub(crate) grad_scale: f32,
    pub(crate) rate: f32,
    pub(crate) epsilon: f32,
    /// What is left of a parameter before the step.
    pub(crate) keep: f32,
}

/// Adam's decay of the first moment.
pub(crate) const BETA_1: f32 = 0.9;
/// Adam's decay of the second moment.
pub(crate) const BETA_2: f32 = 0.999;

/// A matrix whose element (i, p) is at i · `row` + p · `column`, so that a transpose costs nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// The same row `[n]` in every row.
    Row(&'a [f32]),
    /// What C holds.
    Kept,
}

/// A `[m × k]` · B `[k × n]` = C `[m × n]`; B and C are row-major and dense.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
}

impl Shape {
    fn fits(self, a: &Strided<'_>, b: &[f32], c: &[f32], start: &Start<'_>) -> bool {
        let Self { m, n, k } = self;
        let last = (m.max(1) - 1) * a.row + (k.max(1) - 1) * a.column;
        let start = !matches!(start, Start::Row(row) if row.len() != n);
        start && b.len() == k * n && c.len() == m * n && (m * k == 0 || last < a.data.len())
    }
}

#[inline(always)]
fn tanh<const FUSED: bool>(y: &mut [f32]) {
    y.iter_mut().for_each(|y| *y = elementary::tanh::<FUSED>(*y));
}

#[inline(always)]
fn tanh_backward(g: &mut [f32], y: &[f32]) {
    g.iter_mut().zip(y).for_each(|(g, y)| *g *= 1.0 - y * y);
}

#[inline(always)]
fn gelu<const FUSED: bool>(y: &mut [f32]) {
    y.iter_mut().for_each(|y| *y = elementary::gelu::<FUSED>(*y));
}

#[inline(always)]
fn gelu_backward<const FUSED: bool>(g: &mut [f32], x: &[f32]) {
    g.iter_mut().zip(x).for_each(|(g, x)| *g *= elementary::gelu_slope::<FUSED>(*x));
}

#[inline(always)]
fn gemm_narrow<const FUSED: bool>(a: &[f32], b: &[f32], row: &[f32], c: &mut [f32]) {
    let (n, k) = (row.len(), b.len() / row.len());
    for (a, c) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
        for ((b, start), c) in b.chunks_exact(k).zip(row).zip(c) {
            *c = start + dot::<FUSED>(a, b);
        }
    }
}

/// Eight rows of eight numbers.
type Block = [[f32; 8]; 8];

#[inline(always)]
fn transpose(from: &[f32], columns: usize, to: &mut [f32], transpose_block: impl Fn(Block) -> Block) {
    let rows = from.len() / columns;
    let (whole_rows, whole_columns) = (rows - rows % 8, columns - columns % 8);
    for r in (0..whole_rows).step_by(8) {
        for c in (0..whole_columns).step_by(8) {
            let block = std::array::from_fn(|i| {
                *from[(r + i) * columns + c..].first_chunk().expect("a block lies within the matrix")
            });
            for (i, row) in transpose_block(block).iter().enumerate() {
                to[(c + i) * rows + r..][..8].copy_from_slice(row);
            }
        }
    }
    for (r, row) in from.chunks_exact(columns).enumerate() {
        let first = if r < whole_rows { whole_columns } else { 0 };
        row.iter().enumerate().skip(first).for_each(|(c, x)| to[c * rows + r] = *x);
    }
}

fn transpose_block(block: Block) -> Block {
    std::array::from_fn(|i| std::array::from_fn(|j| block[j][i]))
}

/// The same by shuffles, which the compiler does not find.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn shuffle_block(block: Block) -> Block {
    use std::arch::x86_64::{_mm256_permute2f128_ps, _mm256_shuffle_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps};
    // SAFETY: a vector is as large as its numbers, and each has the bits of any of the others.
    let [a, b, c, d, e, f, g, h] = unsafe { std::mem::transmute::<Block, [std::arch::x86_64::__m256; 8]>(block) };
    // Pairs, then fours of a column lie side by side, in both halves of a register; then the halves are exchanged.
    let pairs = |a, b| (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let fours = |a, b| (_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xee>(a, b));
    let halves = |a, b| (_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
    let ((a, b), (c, d), (e, f), (g, h)) = (pairs(a, b), pairs(c, d), pairs(e, f), pairs(g, h));
    let ((a, c), (b, d), (e, g), (f, h)) = (fours(a, c), fours(b, d), fours(e, g), fours(f, h));
    let ((a, e), (c, g), (b, f), (d, h)) = (halves(a, e), halves(c, g), halves(b, f), halves(d, h));
    // SAFETY: as above.
    unsafe { std::mem::transmute::<[std::arch::x86_64::__m256; 8], Block>([a, c, b, d, e, g, f, h]) }
}

#[inline(always)]
fn adam(state: AdamState<'_>, AdamRates { grad_scale, rate, epsilon, keep }: AdamRates) {
    let AdamState { parameters, grads, moment_1, moment_2 } = state;
    for (((parameter, grad), m), v) in parameters.iter_mut().zip(grads).zip(moment_1).zip(moment_2) {
        let grad = grad * grad_scale;
        *m = BETA_1 * *m + (1.0 - BETA_1) * grad;
        *v = BETA_2 * *v + (1.0 - BETA_2) * grad * grad;
        *parameter = *parameter * keep - rate * *m / (v.sqrt() + epsilon);
    }
}

/// Walks over C in tiles of ROWS × COLUMNS, whose sums stay in registers, or of 4 × WIDE where there are fewer rows; what is
/// left over at the edges goes through smaller tiles.
#[inline(always)]
fn gemm<const ROWS: usize, const COLUMNS: usize, const WIDE: usize, const FUSED: bool>(
    a: Strided<'_>,
    b: &[f32],
    c: &mut [f32],
    start: Start<'_>,
    shape: Shape,
) {
    assert!(shape.fits(&a, b, c, &start), "matrices of other shapes than {shape:?}");
    let mut i = 0;
    while i < shape.m {
        // With two rows more than a tile has, tiles of four come out even: 8 = 4 + 4 and not 6 + 1 + 1.
        i += match shape.m - i {
            left if left >= ROWS && left != ROWS + 2 => row_of_tiles::<ROWS, COLUMNS, FUSED>(a, b, c, start, shape, i),
            4.. if shape.n % WIDE < COLUMNS => row_of_tiles::<4, WIDE, FUSED>(a, b, c, start, shape, i),
            4.. => row_of_tiles::<4, COLUMNS, FUSED>(a, b, c, start, shape, i),
            // Wide, so that enough sums are under way at once.
            _ => row_of_tiles::<1, 64, FUSED>(a, b, c, start, shape, i),
        };
    }
}

/// Returns the number of rows.
#[inline(always)]
fn row_of_tiles<const ROWS: usize, const COLUMNS: usize, const FUSED: bool>(
    a: Strided<'_>,
    b: &[f32],
    c: &mut [f32],
    start: Start<'_>,
    shape: Shape,
    i: usize,
) -> usize {
    let mut j = 0;
    while j + COLUMNS <= shape.n {
        tile::<ROWS, COLUMNS, FUSED>(a, b, c, start, shape, i, j);
        j += COLUMNS;
    }
    while j + 16 <= shape.n {
        tile::<ROWS, 16, FUSED>(a, b, c, start, shape, i, j);
        j += 16;
    }
    while j + 8 <= shape.n {
        tile::<ROWS, 8, FUSED>(a, b, c, start, shape, i, j);
        j += 8;
    }
    while j < shape.n {
        tile::<ROWS, 1, FUSED>(a, b, c, start, shape, i, j);
        j += 1;
    }
    ROWS
}

#[inline(always)]
fn tile<const ROWS: usize, const COLUMNS: usize, const FUSED: bool>(
    a: Strided<'_>,
    b: &[f32],
    c: &mut [f32],
    start: Start<'_>,
    Shape { n, k, .. }: Shape,
    i: usize,
    j: usize,
) {
    let mut sums = [[0.0_f32; COLUMNS]; ROWS];
    for p in 0..k {
        // SAFETY: `gemm` has checked that the matrices have these rows and columns.
        let b: &[f32; COLUMNS] = unsafe { &*b.as_ptr().add(p * n + j).cast() };
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let a = unsafe { *a.data.get_unchecked((i + r) * a.row + p * a.column) };
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = mul_add::<FUSED>(a, *b, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let c = &mut c[(i + r) * n + j..][..COLUMNS];
        let mut total = *sums;
        match start {
            Start::Zero => {}
            Start::Row(row) => total.iter_mut().zip(&row[j..][..COLUMNS]).for_each(|(total, x)| *total += x),
            Start::Kept => total.iter_mut().zip(&*c).for_each(|(total, x)| *total += x),
        }
        c.copy_from_slice(&total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apprentice_envs::Generator;

    #[test]
    fn products_are_right_in_every_shape_and_layout() {
        let mut rng = Generator::new(0);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.uniform(-1.0, 1.0) as f32).collect() };
        for level in Level::available() {
            for (m, n, k) in
                [(1, 1, 1), (6, 32, 4), (13, 64, 64), (7, 41, 5), (64, 2, 16), (2, 64, 100), (3, 9, 0), (15, 130, 8)]
            {
                let (a, b, c, row) = (draw(m * k), draw(k * n), draw(m * n), draw(n));
                let check = |got: &[f32], start: &dyn Fn(usize, usize) -> f32, (row, column)| {
                    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                        let product = (0..k).map(|p| f64::from(a[i * row + p * column]) * f64::from(b[p * n + j]));
                        let expected = f64::from(start(i, j)) + product.sum::<f64>();
                        let got = f64::from(got[i * n + j]);
                        assert!((got - expected).abs() < 1e-5, "{level:?} {m}×{n}×{k}: {got} and {expected}");
                    }
                };
                for strides in [(k, 1), (1, m)] {
                    let product = |start| {
                        let mut got = c.clone();
                        let a = Strided { data: &a, row: strides.0, column: strides.1 };
                        level.gemm(a, &b, &mut got, start, Shape { m, n, k });
                        got
                    };
                    check(&product(Start::Zero), &|_, _| 0.0, strides);
                    check(&product(Start::Row(&row)), &|_, j| row[j], strides);
                    check(&product(Start::Kept), &|i, j| c[i * n + j], strides);
                }
                if k > 0 {
                    let (mut transposed, mut got) = (vec![0.0; n * k], c.clone());
                    level.transpose(&b, n, &mut transposed);
                    level.gemm_narrow(&a, &transposed, &row, &mut got);
                    check(&got, &|_, j| row[j], (k, 1));
                }
            }
            let mut y = draw(37);
            let expected: Vec<f32> = y.iter().map(|y| y.tanh()).collect();
            level.tanh(&mut y);
            assert!(y.iter().zip(&expected).all(|(y, e)| (y - e).abs() < 5e-7));
        }
    }
}
