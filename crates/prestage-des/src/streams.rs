//! Named random streams: every source of chance draws from its own sequence.
//!
//! Two policies compared on one seed must meet the same commits, reviews and incidents
//! whatever they do (common random numbers). That holds when no draw depends on who
//! else drew before, so a stream is addressed, never handed out in turn.
//!
//! The layout is part of every stored result; tests pin it. This is layout 2
//! ([`LAYOUT`]). A stream is xoshiro256++ (Blackman and Vigna 2021), whose 256 bits of
//! state start as the Threefry-4x64-13 block (Salmon et al. 2011) with
//!
//! ```text
//! key word 0      seed of the run
//! key word 1      FNV-1a (64 bit) of the source name
//! key words 2, 3  0
//! counter word 0  entity
//! counter word 1  0 for `open`, the event index for `at`
//! counter word 2  0 for `open`, 1 for `at`
//! counter word 3  0
//! ```
//!
//! Threefry is a bijection for every key: within a source no two addresses start in one
//! state. Sequences of one generator could still overlap further on; for a million
//! streams of 2^40 draws the chance is below 2^-175. An address costs one block and no
//! buffer, so a stream for a single draw is affordable (36 to 40 ns with its first draw
//! on a busy machine, bench `streams`), and a stored stream is four words.
//!
//! Layout 1 was ChaCha8 with the address in key and stream id: equally sound, but it
//! made 256 bytes for every address, of which `at` threw most away (about 100 ns).
//!
//! Must not know what is drawn for.

mod threefry;

use std::convert::Infallible;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng, TryRng};
use rand_distr::{Distribution, Exp1, Gamma, Poisson, StandardNormal};
use serde::{Deserialize, Serialize};

/// The version of the mapping from addresses to draws, for the manifest of a result.
pub const LAYOUT: u32 = 2;

/// All random streams of one run, addressed by source name and entity.
///
/// ```
/// use prestage_des::Streams;
///
/// let streams = Streams::new(42);
/// let gap = streams.open("commits", 3).exponential(600.0);
/// // Another consumer changes nothing, nor does the order of opening.
/// streams.open("incidents", 3).exponential(600.0);
/// assert_eq!(streams.open("commits", 3).exponential(600.0), gap);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    seed: u64,
}

/// What the counter says about the use, so that `open` and `at` never share a sequence.
#[derive(Clone, Copy)]
enum Address {
    Sequence,
    Event(u64),
}

impl Streams {
    /// The streams of the run with this seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed of the run.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The sequence of `source` for `entity`, from its start: keep it and draw on.
    ///
    /// Opening twice gives the same values twice.
    #[inline]
    pub fn open(&self, source: &str, entity: u64) -> Stream {
        self.stream(source, entity, Address::Sequence)
    }

    /// A short stream for one event, such as the review of the commit `index`.
    ///
    /// The draws depend on nothing but the address, so arms that ask in another order,
    /// or skip events, still meet the same values.
    #[inline]
    pub fn at(&self, source: &str, entity: u64, index: u64) -> Stream {
        self.stream(source, entity, Address::Event(index))
    }

    #[inline]
    fn stream(&self, source: &str, entity: u64, address: Address) -> Stream {
        let (index, kind) = match address {
            Address::Sequence => (0, 0),
            Address::Event(index) => (index, 1),
        };
        let key = [self.seed, fnv1a(source), 0, 0];
        let state = threefry::block([entity, index, kind, 0], key);
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(state) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let generator = Xoshiro256PlusPlus::from_seed(bytes);
        Stream { generator }
    }
}

/// Fowler-Noll-Vo 1a, 64 bit (draft-eastlake-fnv): short, stable and specified.
const fn fnv1a(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

/// One random sequence, with the samplers that worlds need.
///
/// Implements the generator traits of `rand`, so everything in `rand_distr` works too.
/// Samplers panic on parameters that have no distribution: a checked spec must not
/// let them through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stream {
    generator: Xoshiro256PlusPlus,
}

impl TryRng for Stream {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.generator.next_u32())
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.generator.next_u64())
    }

    #[inline]
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.generator.fill_bytes(bytes);
        Ok(())
    }
}

impl Stream {
    /// Uniform on `[0, 1)`, in steps of 2^-53.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        self.generator.random()
    }

    /// Uniform on `[low, high)`; `low` when both are equal.
    #[inline]
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        assert!(low <= high, "no uniform distribution on [{low}, {high})");
        assert!((high - low).is_finite(), "[{low}, {high}) is too wide");
        low + (high - low) * self.unit()
    }

    /// Uniform on the integers `0..count`.
    #[inline]
    pub fn index(&mut self, count: usize) -> usize {
        assert!(count > 0, "cannot choose from nothing");
        // As u64, so that the draws are the same on 32-bit machines.
        self.generator.random_range(0..count as u64) as usize
    }

    /// `true` with probability `probability`.
    #[inline]
    pub fn bernoulli(&mut self, probability: f64) -> bool {
        assert!(
            (0.0..=1.0).contains(&probability),
            "{probability} is not a probability"
        );
        self.unit() < probability
    }

    /// Exponential with this mean, which may be zero.
    #[inline]
    pub fn exponential(&mut self, mean: f64) -> f64 {
        assert!(
            mean >= 0.0 && mean.is_finite(),
            "no exponential with mean {mean}"
        );
        let standard: f64 = Exp1.sample(&mut self.generator);
        mean * standard
    }

    /// Normal with this mean and standard deviation.
    #[inline]
    pub fn normal(&mut self, mean: f64, standard_deviation: f64) -> f64 {
        assert!(mean.is_finite(), "no normal with mean {mean}");
        assert!(
            standard_deviation >= 0.0 && standard_deviation.is_finite(),
            "no normal with standard deviation {standard_deviation}"
        );
        let standard: f64 = StandardNormal.sample(&mut self.generator);
        mean + standard_deviation * standard
    }

    /// Lognormal by its median and the standard deviation `sigma` of its logarithm.
    #[inline]
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        assert!(
            median >= 0.0 && median.is_finite(),
            "no lognormal with median {median}"
        );
        median * self.normal(0.0, sigma).exp()
    }

    /// Gamma by its shape and mean (the scale is mean / shape).
    pub fn gamma(&mut self, shape: f64, mean: f64) -> f64 {
        assert!(mean >= 0.0 && mean.is_finite(), "no gamma with mean {mean}");
        if mean == 0.0 {
            return 0.0;
        }
        Gamma::new(shape, mean / shape)
            .unwrap_or_else(|error| panic!("no gamma with shape {shape}, mean {mean}: {error}"))
            .sample(&mut self.generator)
    }

    /// Poisson count with this mean, which may be zero.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean == 0.0 {
            return 0;
        }
        let count: f64 = Poisson::new(mean)
            .unwrap_or_else(|error| panic!("no Poisson with mean {mean}: {error}"))
            .sample(&mut self.generator);
        count as u64
    }

    /// Negative binomial count by its mean and dispersion, drawn as a Poisson whose
    /// mean is gamma: variance = mean + mean^2 / dispersion.
    pub fn negative_binomial(&mut self, mean: f64, dispersion: f64) -> u64 {
        let intensity = self.gamma(dispersion, mean);
        self.poisson(intensity)
    }
}
