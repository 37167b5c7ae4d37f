//! What forecasts were worth: absolute error, pinball loss, coverage, probability integral transform.
use crate::series::{LEVELS, Quantiles};

/// Bins of the histogram of the probability integral transform.
pub const PIT_BINS: usize = 10;
/// The deciles, over which published benchmarks take the weighted quantile loss.
const DECILES: std::ops::Range<usize> = 2..11;
/// Lower and upper level of the intervals that are checked: 80, 90, 95 %.
const INTERVALS: [(usize, usize); 3] = [(2, 10), (1, 11), (0, 12)];

/// Sums over the forecasts of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Forecasts whose value was measured.
    pub forecasts: u64,
    absolute_error: f64,
    pinball: f64,
    covered: [u64; 3],
    pit: [u64; PIT_BINS],
}

impl Scores {
    /// Counts one forecast.
    pub fn count(&mut self, forecast: &Quantiles, value: f64) {
        self.forecasts += 1;
        self.absolute_error += (value - forecast.median()).abs();
        let values = forecast.values();
        let deciles = DECILES.map(|i| pinball_loss(LEVELS[i], values[i], value));
        self.pinball += deciles.sum::<f64>() / DECILES.len() as f64;
        for (covered, (low, high)) in self.covered.iter_mut().zip(INTERVALS) {
            // Rounding must not turn an exact forecast into a miss.
            let slack = 1e-9 * value.abs();
            let is_inside = values[low] - slack <= value && value <= values[high] + slack;
            *covered += u64::from(is_inside);
        }
        let bin = (forecast.probability_up_to(value) * PIT_BINS as f64) as usize;
        self.pit[bin.min(PIT_BINS - 1)] += 1;
    }

    /// Mean absolute error of the medians, in the unit of the series; zero without forecasts.
    pub fn mean_absolute_error(&self) -> f64 {
        self.absolute_error / self.forecasts.max(1) as f64
    }

    /// Twice the mean pinball loss over the deciles: the continuous ranked probability score up to
    /// the grid, in the unit of the series.
    pub fn crps(&self) -> f64 {
        2.0 * self.pinball / self.forecasts.max(1) as f64
    }

    /// Shares of values inside the intervals of 80, 90 and 95 %.
    pub fn coverage(&self) -> [f64; 3] {
        self.covered
            .map(|covered| covered as f64 / self.forecasts.max(1) as f64)
    }

    /// Shares of values by the probability that was given to values up to theirs; a tenth each when
    /// forecasts are calibrated and values continuous.
    pub fn pit(&self) -> [f64; PIT_BINS] {
        self.pit
            .map(|count| count as f64 / self.forecasts.max(1) as f64)
    }
}

/// Loss of saying that `value` is below `quantile` with probability `level`.
pub fn pinball_loss(level: f64, quantile: f64, value: f64) -> f64 {
    if value < quantile {
        (1.0 - level) * (quantile - value)
    } else {
        level * (value - quantile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_losses() {
        assert_eq!(pinball_loss(0.9, 10.0, 12.0), 1.8);
        assert!((pinball_loss(0.9, 10.0, 8.0) - 0.2).abs() < 1e-12);
        let mut scores = Scores::default();
        scores.count(&Quantiles::certain(10.0), 13.0);
        scores.count(&Quantiles::certain(10.0), 10.0);
        assert_eq!(scores.mean_absolute_error(), 1.5);
        // For a certain forecast the score is the absolute error.
        assert!((scores.crps() - 1.5).abs() < 1e-12);
        assert_eq!(scores.coverage(), [0.5; 3]);
        assert_eq!(scores.pit()[9], 0.5);
    }

    #[test]
    fn a_calibrated_forecast_covers_and_is_flat() {
        // The uniform distribution on its own quantiles.
        let forecast = Quantiles::rearranged(LEVELS).unwrap();
        let mut scores = Scores::default();
        for i in 0..10_000 {
            scores.count(&forecast, (f64::from(i) + 0.5) / 10_000.0);
        }
        for (found, expected) in scores.coverage().into_iter().zip([0.8, 0.9, 0.95]) {
            assert!((found - expected).abs() < 1e-3);
        }
        assert!(scores.pit().iter().all(|share| (share - 0.1).abs() < 1e-2));
        // CRPS of the uniform distribution against uniform values: 1/6, over all levels.
        assert!((scores.crps() - 0.18).abs() < 0.01, "{}", scores.crps());
    }
}
