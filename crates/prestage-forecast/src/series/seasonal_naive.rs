//! The value one season ago: the bar every other forecaster must clear.
//!
//! Intervals are normal with the root mean square of the errors, wider by the square root of the
//! number of seasons ahead (Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 5.5).
//! That is what published benchmarks scale by; where errors have heavy tails it is too wide.
use serde::{Deserialize, Serialize};

use super::grid::Gridded;
use super::registry::Entry;
use super::{LEVELS, Model, Past, Quantiles, Setting};
use crate::normal_quantile;

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "seasonal-naive",
    about: "the value one season ago with normal intervals; the bar every other must clear",
    build: |setting| Box::new(Gridded::new(setting, SeasonalNaive::new(setting))),
    restore: Gridded::<SeasonalNaive>::restore,
};

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SeasonalNaive {
    season: usize,
    errors_squared: f64,
    errors: f64,
    previous: Option<f64>,
}

impl SeasonalNaive {
    fn new(setting: &Setting) -> Self {
        Self {
            season: setting.season(),
            errors_squared: 0.0,
            errors: 0.0,
            previous: None,
        }
    }
}

impl Model for SeasonalNaive {
    fn learn(&mut self, past: &Past) {
        // What was forecast for this slot, from the slot before it.
        if let (Some(value), Some(forecast)) = (past.observed(), self.previous) {
            self.errors_squared += (value - forecast) * (value - forecast);
            self.errors += 1.0;
        }
        let is_season_known = past.len() >= self.season;
        self.previous = is_season_known.then(|| past.season_ago(1, self.season));
    }

    fn quantiles(&self, past: &Past, steps: usize) -> Quantiles {
        let point = past.season_ago(steps, self.season);
        let seasons = steps.div_ceil(self.season) as f64;
        let sigma = (self.errors_squared / self.errors.max(1.0) * seasons).sqrt();
        Quantiles::rearranged(LEVELS.map(|level| point + sigma * normal_quantile(level)))
            .unwrap_or_else(|| Quantiles::certain(point))
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::{Span, Timestamp};

    use super::*;

    #[test]
    fn repeats_the_last_season_not_the_first() {
        let setting = Setting::new(Span::from_hours(1), 5).unwrap().with_season(2);
        let mut forecaster = (ENTRY.build)(&setting);
        for (i, value) in [1.0, 2.0, 3.0, 4.0].into_iter().enumerate() {
            forecaster.update(Timestamp::from_seconds(i as i64 * 3_600), value);
        }
        let medians = [1, 2, 3, 4].map(|steps| forecaster.predict(steps).median());
        assert_eq!(medians, [3.0, 4.0, 3.0, 4.0]);
        // Errors of 2 each: the 97.5 % quantile is 1.96 x 2 above, times the root of two seasons.
        let upper = forecaster.predict(3).at(0.975);
        assert!((upper - (3.0 + 1.959_964 * 2.0 * 2.0_f64.sqrt())).abs() < 1e-5);
    }
}
