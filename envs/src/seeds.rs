//! Seeds that cannot meet: tuning, training, validation and test worlds come from
//! four disjoint quarters of the seed space.
//!
//! A [`Seed`] carries its purpose in its type, so that what tunes cannot be handed what
//! is reported:
//!
//! ```
//! use prestage_envs::{Seed, Tuning};
//! fn tune(_: &[Seed<Tuning>]) {}
//! tune(&Seed::several(1, 0, 4));
//! ```
//! ```compile_fail,E0308
//! use prestage_envs::{Seed, Test, Tuning};
//! fn tune(_: &[Seed<Tuning>]) {}
//! let reported: Vec<Seed<Test>> = Seed::several(1, 0, 4);
//! tune(&reported);
//! ```
use std::marker::PhantomData;

/// What a seed may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedSet {
    /// Choosing static knobs and constants.
    Tuning,
    /// Training a policy.
    Training,
    /// Choosing between trained policies.
    Validation,
    /// What is reported.
    Test,
}

impl SeedSet {
    /// The `index`-th seed of this set under a base seed. The two top bits name the set.
    pub fn seed(self, base: u64, index: u64) -> u64 {
        let mixed = split_mix(split_mix(base) ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (mixed >> 2) | ((self as u64) << 62)
    }
}

/// What a seed is for, as a type.
pub trait Purpose: Copy + Send + Sync {
    /// The set that its seeds come from.
    const SET: SeedSet;
}

macro_rules! purpose {
    ($name:ident, $about:literal) => {
        #[doc = $about]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;

        impl Purpose for $name {
            const SET: SeedSet = SeedSet::$name;
        }
    };
}

purpose!(Tuning, "Chooses static knobs and constants.");
purpose!(Training, "Trains a policy.");
purpose!(Validation, "Chooses between trained policies.");
purpose!(Test, "Is reported.");

/// A seed that can be used for one purpose only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed<P> {
    value: u64,
    purpose: PhantomData<P>,
}

impl<P: Purpose> Seed<P> {
    /// The `index`-th seed for this purpose under a base seed.
    pub fn of(base: u64, index: u64) -> Self {
        Self {
            value: P::SET.seed(base, index),
            purpose: PhantomData,
        }
    }

    /// So many, the `first`-th and those after it.
    pub fn several(base: u64, first: u64, count: usize) -> Vec<Self> {
        (first..first + count as u64)
            .map(|index| Self::of(base, index))
            .collect()
    }

    /// As a world takes it, and as results name it.
    pub fn value(self) -> u64 {
        self.value
    }
}

/// SplitMix64's output function (Steele, Lea and Flood 2014).
fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_typed_seed_is_that_of_its_set() {
        assert_eq!(Seed::<Test>::of(3, 5).value(), SeedSet::Test.seed(3, 5));
        let several: Vec<Seed<Tuning>> = Seed::several(3, 5, 2);
        assert_eq!(several[1].value(), SeedSet::Tuning.seed(3, 6));
        assert_eq!(several[0].value() >> 62, SeedSet::Tuning as u64);
    }

    #[test]
    fn sets_are_disjoint_and_seeds_distinct() {
        let sets = [
            SeedSet::Tuning,
            SeedSet::Training,
            SeedSet::Validation,
            SeedSet::Test,
        ];
        let mut seen = BTreeSet::new();
        for base in [0, 1, 42] {
            for set in sets {
                for index in 0..1000 {
                    assert!(seen.insert(set.seed(base, index)), "{set:?} {base} {index}");
                }
            }
        }
    }
}
