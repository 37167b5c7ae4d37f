//! Kendall's rank correlation, from the pairs it is made of.
//!
//! Pairs of several worlds or need types may be added before the coefficient is
//! taken: only arms that were compared with each other then count.
use std::iter::Sum;

/// How the pairs of two rankings of the same things compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Ordered the same way by both.
    pub concordant: u64,
    /// Ordered in opposite ways.
    pub discordant: u64,
    /// Tied in the first ranking only.
    pub tied_first: u64,
    /// Tied in the second ranking only.
    pub tied_second: u64,
    /// Tied in both.
    pub tied_both: u64,
}

impl Pairs {
    /// Compares two rankings of the same things, all n (n - 1) / 2 pairs.
    ///
    /// # Panics
    /// When the lengths differ or a value is NaN.
    pub fn of(first: &[f64], second: &[f64]) -> Self {
        assert_eq!(first.len(), second.len(), "rankings of different things");
        assert!(
            first.iter().chain(second).all(|value| !value.is_nan()),
            "NaN has no rank"
        );
        let mut pairs = Self::default();
        for i in 0..first.len() {
            for j in 0..i {
                pairs.count(first[i] - first[j], second[i] - second[j]);
            }
        }
        pairs
    }

    fn count(&mut self, first: f64, second: f64) {
        let slot = match (first == 0.0, second == 0.0) {
            (true, true) => &mut self.tied_both,
            (true, false) => &mut self.tied_first,
            (false, true) => &mut self.tied_second,
            (false, false) if (first > 0.0) == (second > 0.0) => &mut self.concordant,
            (false, false) => &mut self.discordant,
        };
        *slot += 1;
    }

    /// Kendall's tau-b, -1 to 1; `None` when one side ties everything.
    ///
    /// tau-b = (C - D) / sqrt((C + D + T1) (C + D + T2)), where T1 and T2 are the pairs
    /// tied in one ranking only (Kendall 1945, "The treatment of ties in ranking
    /// problems").
    pub fn tau_b(&self) -> Option<f64> {
        let ordered = self.concordant + self.discordant;
        let product = (ordered + self.tied_first) as f64 * (ordered + self.tied_second) as f64;
        (product > 0.0).then(|| (self.concordant as f64 - self.discordant as f64) / product.sqrt())
    }

    /// All pairs, tied or not.
    pub fn total(&self) -> u64 {
        self.concordant + self.discordant + self.tied()
    }

    /// Pairs tied in one ranking or both.
    pub fn tied(&self) -> u64 {
        self.tied_first + self.tied_second + self.tied_both
    }
}

impl Sum for Pairs {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |sum, pairs| Self {
            concordant: sum.concordant + pairs.concordant,
            discordant: sum.discordant + pairs.discordant,
            tied_first: sum.tied_first + pairs.tied_first,
            tied_second: sum.tied_second + pairs.tied_second,
            tied_both: sum.tied_both + pairs.tied_both,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(first: &[f64], second: &[f64], expected: f64) {
        let found = Pairs::of(first, second).tau_b().unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
    }

    #[test]
    fn the_same_order_is_one_and_the_opposite_minus_one() {
        check(&[1.0, 2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 40.0], 1.0);
        check(&[1.0, 2.0, 3.0, 4.0], &[4.0, 3.0, 2.0, 1.0], -1.0);
    }

    /// By hand: of six pairs one is turned round, so (5 - 1) / 6.
    #[test]
    fn one_swap_of_neighbours_among_four() {
        check(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0], 2.0 / 3.0);
    }

    /// The example in the documentation of `scipy.stats.kendalltau`, whose answer is
    /// -0.47140452079103173: of ten pairs C = 2, D = 6, one tied in the first, one in both.
    #[test]
    fn ties_are_treated_as_scipy_does() {
        let (first, second) = ([12.0, 2.0, 1.0, 12.0, 2.0], [1.0, 4.0, 7.0, 1.0, 0.0]);
        check(&first, &second, -0.471_404_520_791_031_73);
        let pairs = Pairs::of(&first, &second);
        assert_eq!(pairs.total(), 10);
        assert_eq!((pairs.tied_first, pairs.tied_both), (1, 1));
    }

    #[test]
    fn a_side_without_order_has_no_coefficient() {
        assert_eq!(Pairs::of(&[1.0, 1.0], &[1.0, 2.0]).tau_b(), None);
        assert_eq!(Pairs::of(&[], &[]).tau_b(), None);
    }

    #[test]
    fn pairs_of_two_worlds_add_up() {
        let same = Pairs::of(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]);
        let turned = Pairs::of(&[1.0, 2.0], &[2.0, 1.0]);
        let pooled: Pairs = [same, turned].into_iter().sum();
        assert_eq!(pooled.tau_b(), Some(0.5), "3 agree, 1 does not");
    }

    proptest! {
        /// Symmetric, bounded, blind to any increasing change of scale, and turned round
        /// with one of its sides.
        #[test]
        fn laws(values in prop::collection::vec((0_i32..6, 0_i32..6), 2..12)) {
            let first: Vec<f64> = values.iter().map(|&(x, _)| f64::from(x)).collect();
            let second: Vec<f64> = values.iter().map(|&(_, y)| f64::from(y)).collect();
            let pairs = Pairs::of(&first, &second);
            prop_assert_eq!(pairs.total() as usize, values.len() * (values.len() - 1) / 2);
            let tau = pairs.tau_b();
            prop_assert_eq!(tau, Pairs::of(&second, &first).tau_b());
            let scaled: Vec<f64> = first.iter().map(|x| x.exp()).collect();
            prop_assert_eq!(tau, Pairs::of(&scaled, &second).tau_b());
            let turned: Vec<f64> = first.iter().map(|x| -x).collect();
            prop_assert_eq!(tau.map(|tau| -tau), Pairs::of(&turned, &second).tau_b());
            prop_assert!(tau.is_none_or(|tau| (-1.0..=1.0).contains(&tau)));
        }
    }
}
