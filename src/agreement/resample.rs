//! Costs of several arms that met the same days, and what they might have been.
//!
//! Arms are resampled together: all meet the same days of a resample, so that what
//! the days have in common does not blur their order.
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Longest block of neighbouring days: a week's days resemble each other.
const BLOCK_MAX: usize = 7;
/// A part of the data is cut into at least so many blocks.
const BLOCKS_MIN: usize = 4;

/// Units (days of one cell, or simulated worlds) that every arm met.
#[derive(Clone, Debug, PartialEq)]
pub struct Stratum {
    /// Cumulative sums over the units, twice round: `sums[arm][i]` is that of the first
    /// `i` units.
    sums: Vec<Vec<f64>>,
    units: usize,
    block: usize,
}

/// The cost of each arm is the sum over strata of its mean over units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    strata: Vec<Stratum>,
}

impl Stratum {
    /// Days in order, resampled in circular blocks of up to a week (Politis and Romano
    /// 1992); `values[arm][day]`.
    pub fn days(values: &[Vec<f64>]) -> Self {
        let days = values.first().map_or(0, Vec::len);
        Self::new(values, (days / BLOCKS_MIN).clamp(1, BLOCK_MAX))
    }

    /// Worlds that know nothing of each other; `values[arm][world]`.
    pub fn worlds(values: &[Vec<f64>]) -> Self {
        Self::new(values, 1)
    }

    /// # Panics
    /// Without arms or units, or when arms met different numbers of units.
    fn new(values: &[Vec<f64>], block: usize) -> Self {
        let units = values.first().map_or(0, Vec::len);
        assert!(units > 0, "a stratum has arms and units");
        assert!(
            values.iter().all(|arm| arm.len() == units),
            "every arm meets every unit"
        );
        let sums = values.iter().map(|arm| twice_round(arm)).collect();
        Self { sums, units, block }
    }

    fn add_means(&self, means: &mut [f64]) {
        for (mean, sums) in means.iter_mut().zip(&self.sums) {
            *mean += sums[self.units] / self.units as f64;
        }
    }

    fn add_resampled_means(&self, rng: &mut ChaCha8Rng, means: &mut [f64]) {
        let mut left = self.units;
        while left > 0 {
            let length = self.block.min(left);
            let first = rng.random_range(0..self.units as u64) as usize;
            for (mean, sums) in means.iter_mut().zip(&self.sums) {
                *mean += (sums[first + length] - sums[first]) / self.units as f64;
            }
            left -= length;
        }
    }
}

fn twice_round(units: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let running = units.iter().chain(units).map(|unit| {
        sum += unit;
        sum
    });
    std::iter::once(0.0).chain(running).collect()
}

impl Side {
    /// # Panics
    /// When the strata do not have the same arms.
    pub fn new(strata: Vec<Stratum>) -> Self {
        let arms = |stratum: &Stratum| stratum.sums.len();
        assert!(
            strata
                .windows(2)
                .all(|pair| arms(&pair[0]) == arms(&pair[1])),
            "all strata have the same arms"
        );
        Self { strata }
    }

    fn arms(&self) -> usize {
        self.strata.first().map_or(0, |stratum| stratum.sums.len())
    }

    /// The cost of each arm.
    pub fn means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.arms()];
        for stratum in &self.strata {
            stratum.add_means(&mut means);
        }
        means
    }

    /// `count` times the cost of each arm, strata resampled apart from each other. A
    /// seed gives the same costs on every machine.
    pub fn resampled(&self, count: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let resample = |_| {
            let mut means = vec![0.0; self.arms()];
            for stratum in &self.strata {
                stratum.add_resampled_means(&mut rng, &mut means);
            }
            means
        };
        (0..count).map(resample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::mean;

    fn noise(n: usize) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        (0..n).map(|_| rng.random_range(0.0..1.0)).collect()
    }

    #[test]
    fn costs_are_sums_of_means() {
        let side = Side::new(vec![
            Stratum::days(&[vec![1.0, 3.0], vec![0.0, 1.0]]),
            Stratum::days(&[vec![10.0], vec![20.0]]),
        ]);
        assert_eq!(side.means(), [12.0, 20.5]);
    }

    /// What all arms share leaves their differences alone, however it is resampled.
    #[test]
    fn arms_meet_the_same_days() {
        let day: Vec<f64> = noise(40);
        let dearer: Vec<f64> = day.iter().map(|cost| cost + 2.0).collect();
        let side = Side::new(vec![Stratum::days(&[day, dearer])]);
        for costs in side.resampled(200, 1) {
            assert!((costs[1] - costs[0] - 2.0).abs() < 1e-9);
        }
    }

    #[test]
    fn equal_arms_stay_exactly_equal() {
        let side = Side::new(vec![Stratum::days(&[noise(33), noise(33)])]);
        assert!(
            side.resampled(100, 2)
                .iter()
                .all(|costs| costs[0] == costs[1])
        );
    }

    /// The variance of the mean of independent units: a twelfth over their number for
    /// a uniform draw.
    #[test]
    fn worlds_spread_as_independent_draws_do() {
        let values = noise(400);
        let side = Side::new(vec![Stratum::worlds(&[values])]);
        let draws: Vec<f64> = side
            .resampled(4000, 3)
            .iter()
            .map(|costs| costs[0])
            .collect();
        let center = mean(&draws);
        let squares: Vec<f64> = draws.iter().map(|x| (x - center).powi(2)).collect();
        let ratio = mean(&squares) / (1.0 / 12.0 / 400.0);
        assert!((0.8..1.2).contains(&ratio), "ratio {ratio}");
        assert!((center - side.means()[0]).abs() < 0.002);
    }

    #[test]
    fn a_seed_decides_the_resamples() {
        let side = Side::new(vec![Stratum::days(&[noise(30)])]);
        assert_eq!(side.resampled(5, 7), side.resampled(5, 7));
        assert_ne!(side.resampled(5, 7), side.resampled(5, 8));
    }
}
