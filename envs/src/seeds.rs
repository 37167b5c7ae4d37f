//! Seeds that cannot meet: tuning, training, validation and test worlds come from
//! four disjoint quarters of the seed space.

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
