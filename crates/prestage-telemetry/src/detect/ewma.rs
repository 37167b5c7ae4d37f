//! EWMA control chart: small, lasting shifts of the mean.
//!
//! Roberts, "Control Chart Tests Based on Geometric Moving Averages", Technometrics 1959:
//! `z_t = lambda x_t + (1 - lambda) z_(t-1)` against limits of
//! `L sigma sqrt(lambda / (2 - lambda) (1 - (1 - lambda)^2t))`. The statistic is the distance
//! from the mean in units of that deviation. Assumes independent samples of one level: a
//! daily rhythm is a false alarm a day.
use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use super::registry::Entry;
use super::{Detector, Setting, encode, squash};
use crate::Timestamp;

/// Weight of the newest sample; 0.05 to 0.25 is usual (Montgomery).
const LAMBDA: f64 = 0.2;
/// `L`. Three is the textbook's; telemetry is autocorrelated and needs far more.
const LIMIT_DEVIATIONS: f64 = 7.0;

pub(super) const ENTRY: Entry = Entry {
    name: "ewma",
    about: "exponentially weighted mean against its control limits (Roberts 1959)",
    build: |setting| Box::new(Ewma::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<Ewma>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    baseline: Baseline,
    average: f64,
    /// `(1 - lambda)^2t`.
    start_up: f64,
}

impl Ewma {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            baseline: Baseline::new(setting.warm_up()),
            average: 0.0,
            start_up: 1.0,
        }
    }

    /// Takes the next standardized sample; the average in units of its own deviation.
    fn next(&mut self, deviations: f64) -> f64 {
        self.average += LAMBDA * (deviations - self.average);
        self.start_up *= (1.0 - LAMBDA) * (1.0 - LAMBDA);
        self.average / (LAMBDA / (2.0 - LAMBDA) * (1.0 - self.start_up)).sqrt()
    }
}

impl Detector for Ewma {
    fn score(&mut self, _at: Timestamp, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        match self.baseline.standardize(value) {
            Some(deviations) => squash(self.next(deviations).abs(), LIMIT_DEVIATIONS),
            None => 0.0,
        }
    }

    fn save(&self) -> Vec<u8> {
        encode(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    #[test]
    fn first_and_limiting_deviation_are_those_of_the_paper() {
        let mut chart = Ewma::new(Setting::new(Span::from_minutes(1), 16).unwrap());
        // At t = 1 the average is lambda x and its deviation lambda.
        assert!((chart.next(2.5) - 2.5).abs() < 1e-12);
        for _ in 0..500 {
            chart.next(1.0);
        }
        // In the limit the average is x and its deviation sqrt(0.2 / 1.8) = 1 / 3.
        assert!((chart.next(1.0) - 3.0).abs() < 1e-9);
    }
}
