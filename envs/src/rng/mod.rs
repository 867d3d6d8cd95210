//! numpy's random generator, bit for bit.
//!
//! Gymnasium seeds every environment with `numpy.random.default_rng(seed)`. To give the same episodes for
//! the same seeds, this module reproduces the three parts of it that environments draw from: `SeedSequence`
//! (which turns a seed into a state), the PCG64 generator (XSL-RR 128/64), and the distributions
//! `random`, `uniform`, `integers`, `standard_normal` and `standard_exponential` (the last two in `ziggurat.rs`).
//!
//! Source of the algorithms: numpy 2.4 (`bit_generator.pyx`, `pcg64.h`, `distributions.c`), and
//! M. O'Neill, *PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
//! Number Generation*, 2014.

mod double_double;
mod ziggurat;

use rand_core::TryRng;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

const MULTIPLIER: u128 = (2549297995355413924 << 64) + 4865540595714422341;

/// numpy's `Generator(PCG64(SeedSequence(seed)))`.
///
/// Two generators with the same seed give the same draws, and `Generator::new(s)` gives those of
/// `numpy.random.default_rng(s)`. Everything in Apprentice that draws takes one of these, so nothing
/// depends on a global state.
///
/// ```
/// let mut rng = apprentice_envs::Generator::new(42);
/// assert_eq!(rng.random(), 0.7739560485559633);
/// assert_eq!(rng.random(), 0.4388784397520523);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SavedGenerator", into = "SavedGenerator")]
pub struct Generator {
    state: u128,
    increment: u128,
    /// The high half of the last 64 bits drawn for a 32-bit number. numpy hands it out with the next
    /// 32-bit draw, however many doubles are drawn in between.
    buffered: Option<u32>,
}

impl Generator {
    /// The generator of `numpy.random.default_rng(seed)`.
    pub fn new(seed: u64) -> Self {
        Self::from_seed_sequence(seed, &[])
    }

    /// An independent stream of the same seed: `default_rng(SeedSequence(seed, spawn_key=(stream,)))`.
    ///
    /// Initial weights, action sampling, permutations and environments each take a stream of their own, so
    /// that one of them drawing more does not change what the others see.
    pub fn stream(seed: u64, stream: u32) -> Self {
        Self::from_seed_sequence(seed, &[stream])
    }

    fn from_seed_sequence(seed: u64, spawn_key: &[u32]) -> Self {
        let [v0, v1, v2, v3] = seed_sequence(seed, spawn_key);
        let increment = (join(v2, v3) << 1) | 1;
        let mut rng = Self { state: 0, increment, buffered: None };
        rng.advance();
        rng.state = rng.state.wrapping_add(join(v0, v1));
        rng.advance();
        rng
    }

    #[inline]
    fn advance(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits64(&mut self) -> u64 {
        self.advance();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// The next 32 random bits: the low half of a fresh draw first, then its buffered high half.
    #[inline]
    pub fn bits32(&mut self) -> u32 {
        if let Some(high) = self.buffered.take() {
            return high;
        }
        let bits = self.bits64();
        self.buffered = Some((bits >> 32) as u32);
        bits as u32
    }

    /// A double in [0, 1) with 53 random bits: numpy's `random()`.
    #[inline]
    pub fn random(&mut self) -> f64 {
        (self.bits64() >> 11) as f64 * (1.0 / 9007199254740992.0)
    }

    /// A double in [low, high): numpy's `uniform(low, high)`.
    #[inline]
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random()
    }

    /// An integer in [0, n), n ≥ 1: numpy's `integers(n)`, which is Lemire's method on 32 bits.
    ///
    /// With n = 1 nothing is drawn, as in numpy; `n = 0` gives 0 and draws nothing.
    #[inline]
    pub fn integers(&mut self, n: u32) -> u32 {
        if n <= 1 {
            return 0;
        }
        let mut product = u64::from(self.bits32()) * u64::from(n);
        if (product as u32) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u32) < threshold {
                product = u64::from(self.bits32()) * u64::from(n);
            }
        }
        (product >> 32) as u32
    }

    /// Shuffles in place by Fisher and Yates, from the last element down.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.integers(last as u32 + 1) as usize);
        }
    }
}

/// Lets `rand_distr` draw from this generator.
impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.bits32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let source = self.bits64().to_le_bytes();
            chunk.copy_from_slice(&source[..chunk.len()]);
        }
        Ok(())
    }
}

/// The serialised form: 128-bit numbers as two 64-bit halves, which every format can hold.
#[derive(Serialize, Deserialize)]
struct SavedGenerator {
    state: [u64; 2],
    increment: [u64; 2],
    buffered: Option<u32>,
}

impl From<Generator> for SavedGenerator {
    fn from(rng: Generator) -> Self {
        let split = |wide: u128| [(wide >> 64) as u64, wide as u64];
        Self { state: split(rng.state), increment: split(rng.increment), buffered: rng.buffered }
    }
}

impl From<SavedGenerator> for Generator {
    fn from(saved: SavedGenerator) -> Self {
        let whole = |[high, low]: [u64; 2]| join(high, low);
        Self { state: whole(saved.state), increment: whole(saved.increment) | 1, buffered: saved.buffered }
    }
}

fn join(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

const POOL_SIZE: usize = 4;

/// `SeedSequence(seed, spawn_key=spawn_key).generate_state(4, uint64)`.
fn seed_sequence(seed: u64, spawn_key: &[u32]) -> [u64; 4] {
    let mut entropy = vec![seed as u32];
    if seed >> 32 != 0 {
        entropy.push((seed >> 32) as u32);
    }
    if !spawn_key.is_empty() {
        // numpy pads here so that a long seed and a short seed with a key can never be confused.
        entropy.resize(entropy.len().max(POOL_SIZE), 0);
        entropy.extend_from_slice(spawn_key);
    }

    let mut hash_const = 0x43b0_d7e5_u32;
    let mut hash = |value: u32| {
        let mut value = value ^ hash_const;
        hash_const = hash_const.wrapping_mul(0x931e_8875);
        value = value.wrapping_mul(hash_const);
        value ^ value >> 16
    };
    let mix = |x: u32, y: u32| {
        let mixed = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
        mixed ^ mixed >> 16
    };
    let mut pool: [u32; POOL_SIZE] = std::array::from_fn(|i| hash(entropy.get(i).copied().unwrap_or(0)));
    for source in 0..POOL_SIZE {
        for target in 0..POOL_SIZE {
            if source != target {
                pool[target] = mix(pool[target], hash(pool[source]));
            }
        }
    }
    for &word in entropy.iter().skip(POOL_SIZE) {
        for target in &mut pool {
            *target = mix(*target, hash(word));
        }
    }

    let mut hash_const = 0x8b51_f9dd_u32;
    let mut word = |i: usize| {
        let mut value = pool[i % POOL_SIZE] ^ hash_const;
        hash_const = hash_const.wrapping_mul(0x58f3_8ded);
        value = value.wrapping_mul(hash_const);
        u64::from(value ^ value >> 16)
    };
    std::array::from_fn(|i| word(2 * i) | word(2 * i + 1) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_sequence_equals_numpy() {
        let state = seed_sequence(42, &[]);
        assert_eq!(state[..2], [0x9f1e2e6dcd540ab7, 0xd57873dc79fb94b6]);
    }

    #[test]
    fn generate_a_buffered_half_that_doubles_leave_alone() {
        let mut rng = Generator::new(7);
        let mut twin = rng.clone();
        let bits = twin.bits64();
        assert_eq!(rng.bits32(), bits as u32);
        let double = rng.random();
        assert_eq!(double, twin.random());
        assert_eq!(rng.bits32(), (bits >> 32) as u32);
    }

    #[test]
    fn state_survives_serialisation() {
        let mut rng = Generator::stream(3, 9);
        rng.bits32();
        let saved = serde_json::to_string(&rng).unwrap();
        let restored: Generator = serde_json::from_str(&saved).unwrap();
        assert_eq!(rng, restored);
    }

    #[test]
    fn shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..100).collect();
        Generator::new(0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
