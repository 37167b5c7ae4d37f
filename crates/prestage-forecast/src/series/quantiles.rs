//! A distribution as its quantiles on a fixed grid of levels.
//!
//! The grid has the ends of the 80, 90 and 95 % intervals and the nine deciles, over which
//! published benchmarks take the weighted quantile loss.
use serde::{Deserialize, Serialize};

/// The levels, ascending.
pub const LEVELS: [f64; 13] = [
    0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975,
];
const MEDIAN: usize = 6;

/// Values at [`LEVELS`]: finite and not decreasing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles([f64; LEVELS.len()]);

impl Quantiles {
    /// All the probability at one value, which must be finite.
    pub fn certain(value: f64) -> Self {
        assert!(value.is_finite(), "a certain value of {value}");
        Self([value; LEVELS.len()])
    }

    /// From values that may cross, as independently fitted quantiles do: they are sorted, which
    /// never makes them worse (Chernozhukov, Fernandez-Val & Galichon 2010). `None` when one is
    /// not finite.
    pub fn rearranged(mut values: [f64; LEVELS.len()]) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        values
            .iter()
            .all(|value| value.is_finite())
            .then_some(Self(values))
    }

    /// With nothing below `floor`.
    #[must_use]
    pub fn at_least(mut self, floor: f64) -> Self {
        self.0
            .iter_mut()
            .for_each(|value| *value = value.max(floor));
        self
    }

    /// The values at [`LEVELS`].
    pub const fn values(&self) -> &[f64; LEVELS.len()] {
        &self.0
    }

    /// The value that is exceeded half of the time.
    pub const fn median(&self) -> f64 {
        self.0[MEDIAN]
    }

    /// The value at `level`, linear between the grid's and constant beyond its ends.
    pub fn at(&self, level: f64) -> f64 {
        let above = LEVELS.partition_point(|&grid| grid < level);
        if above == 0 {
            return self.0[0];
        }
        if above == LEVELS.len() {
            return self.0[above - 1];
        }
        let share = (level - LEVELS[above - 1]) / (LEVELS[above] - LEVELS[above - 1]);
        self.0[above - 1] + share * (self.0[above] - self.0[above - 1])
    }

    /// The probability of a value up to `value`, inside the grid's ends.
    ///
    /// Of an atom, where several quantiles are equal, the middle: so that a certain forecast
    /// that is right has 0.5, not 0 or 1.
    pub fn probability_up_to(&self, value: f64) -> f64 {
        let below = self.0.partition_point(|&quantile| quantile < value);
        let up_to = self.0.partition_point(|&quantile| quantile <= value);
        if up_to > below {
            return 0.5 * (LEVELS[below] + LEVELS[up_to - 1]);
        }
        if below == 0 {
            return 0.5 * LEVELS[0];
        }
        if below == LEVELS.len() {
            return 0.5 * (1.0 + LEVELS[below - 1]);
        }
        let share = (value - self.0[below - 1]) / (self.0[below] - self.0[below - 1]);
        LEVELS[below - 1] + share * (LEVELS[below] - LEVELS[below - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossing_values_are_sorted_and_what_is_not_finite_refused() {
        let mut values = LEVELS;
        values.swap(2, 9);
        assert_eq!(Quantiles::rearranged(values), Some(Quantiles(LEVELS)));
        values[4] = f64::NAN;
        assert_eq!(Quantiles::rearranged(values), None);
    }

    #[test]
    fn levels_and_probabilities_are_each_others_inverse() {
        // The uniform distribution: the quantile at p is p.
        let uniform = Quantiles(LEVELS);
        for i in 3..98 {
            let level = f64::from(i) / 100.0;
            assert!((uniform.at(level) - level).abs() < 1e-12);
            assert!((uniform.probability_up_to(level) - level).abs() < 1e-12);
        }
        assert_eq!(uniform.median(), 0.5);
        assert_eq!(Quantiles::certain(3.0).probability_up_to(3.0), 0.5);
    }
}
