//! What a search may spend, and what it has spent.
//!
//! The unit is a run: one candidate on one tuning seed, in every world of its task. A purse
//! is made from the specification alone and cannot be overdrawn, so arms that are tuned by
//! one specification are given the same number of simulated days, however they spend them.
use super::TuneSpec;

/// Runs that a search may still make.
#[derive(Debug)]
pub(super) struct Purse {
    left: usize,
    spent: usize,
}

impl Purse {
    /// For the search: every candidate on every seed, if it went about it in that way.
    pub(super) fn for_search(spec: &TuneSpec) -> Self {
        Self::of(spec.candidates.max(1) * spec.seeds.max(1))
    }

    /// For the finalists and the untuned arm.
    pub(super) fn for_finalists(spec: &TuneSpec) -> Self {
        Self::of((spec.finalists.max(1) + 1) * spec.fresh_seeds.max(1))
    }

    pub(super) fn of(runs: usize) -> Self {
        Self {
            left: runs,
            spent: 0,
        }
    }

    /// Runs that are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Runs that were made.
    pub(super) fn spent(&self) -> usize {
        self.spent
    }

    /// Pays for runs that are about to be made.
    ///
    /// # Panics
    /// When there are fewer left: a search that overdraws would make the comparison unfair.
    pub(super) fn pay(&mut self, runs: usize) {
        assert!(
            runs <= self.left,
            "a search wants {runs} runs and has {} left",
            self.left
        );
        self.left -= runs;
        self.spent += runs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purse_is_that_of_its_specification() {
        let spec = TuneSpec {
            candidates: 40,
            seeds: 3,
            finalists: 5,
            fresh_seeds: 10,
            ..TuneSpec::default()
        };
        let mut purse = Purse::for_search(&spec);
        purse.pay(100);
        assert_eq!((purse.left(), purse.spent()), (20, 100));
        assert_eq!(Purse::for_finalists(&spec).left(), 60);
    }

    #[test]
    #[should_panic(expected = "wants 2 runs and has 1 left")]
    fn it_cannot_be_overdrawn() {
        Purse::of(1).pay(2);
    }
}
