//! What is normal: a mean and a deviation, exact over the warm-up, forgetting after it.
//!
//! Shared by the control charts. A value is judged before it is learnt, and a value beyond
//! three deviations is learnt as three, so that an outlier does not become normal at once.
use serde::{Deserialize, Serialize};

/// Deviations a single value may move the mean by.
const CLIP: f64 = 3.0;

/// Running mean and variance of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    warm_up: usize,
    count: usize,
    mean: f64,
    variance: f64,
}

impl Baseline {
    /// Learns from `warm_up` values before it judges one, then forgets at that pace.
    pub fn new(warm_up: usize) -> Self {
        Self {
            warm_up,
            count: 0,
            mean: 0.0,
            variance: 0.0,
        }
    }

    /// Deviations `value` lies above the mean, once warmed up; then learns it.
    pub fn standardize(&mut self, value: f64) -> Option<f64> {
        if self.count < self.warm_up {
            self.count += 1;
            self.learn(value - self.mean, 1.0 / self.count as f64);
            return None;
        }
        let deviation = self.deviation();
        let difference = value - self.mean;
        self.learn(
            difference.clamp(-CLIP * deviation, CLIP * deviation),
            1.0 / self.warm_up as f64,
        );
        Some(difference / deviation)
    }

    /// Standard deviation, bounded below by what rounding leaves of a constant series.
    fn deviation(&self) -> f64 {
        let rounding = 1e-9 * self.mean.abs() + f64::MIN_POSITIVE.sqrt();
        self.variance.sqrt().max(rounding)
    }

    fn learn(&mut self, difference: f64, share: f64) {
        self.mean += share * difference;
        self.variance = (1.0 - share) * (self.variance + share * difference * difference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_is_the_population_mean_and_variance() {
        let mut baseline = Baseline::new(4);
        for value in [1.0, 3.0, 5.0, 7.0] {
            assert_eq!(baseline.standardize(value), None);
        }
        assert_eq!(baseline.mean, 4.0);
        assert_eq!(baseline.variance, 5.0);
        let z = baseline.standardize(4.0 + 2.0 * 5.0_f64.sqrt());
        assert!((z.unwrap() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_constant_has_no_deviations_and_a_jump_has_finite_ones() {
        let mut baseline = Baseline::new(16);
        for _ in 0..100 {
            assert!(baseline.standardize(0.1).unwrap_or(0.0).abs() < 1.0);
        }
        assert!(baseline.standardize(5.0).unwrap().is_finite());
    }
}
