//! CUSUM: the smallest lasting shift of the mean, found as soon as theory allows.
//!
//! Page, "Continuous Inspection Schemes", Biometrika 1954, as a tabular chart:
//! `C+ = max(0, C+ + z - k)`, `C- = max(0, C- - z - k)`, alarm from `h`, then from 0 again.
//! `k` is half of the shift that matters. Assumes independent samples of one level, as
//! [`super::Ewma`] does.
use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use super::registry::Entry;
use super::{Detector, Setting, encode, squash};
use crate::Timestamp;

/// `k`, deviations: shifts of one deviation matter.
const SLACK: f64 = 0.5;
/// `h`, deviations. Five is the textbook's; telemetry is autocorrelated and needs far more.
const DECISION: f64 = 60.0;

pub(super) const ENTRY: Entry = Entry {
    name: "cusum",
    about: "two-sided cumulative sum of deviations from the mean (Page 1954)",
    build: |setting| Box::new(Cusum::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<Cusum>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    baseline: Baseline,
    above: f64,
    below: f64,
}

impl Cusum {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            baseline: Baseline::new(setting.warm_up()),
            above: 0.0,
            below: 0.0,
        }
    }

    /// The larger of both sums after the next standardized sample.
    fn next(&mut self, deviations: f64) -> f64 {
        self.above = (self.above + deviations - SLACK).max(0.0);
        self.below = (self.below - deviations - SLACK).max(0.0);
        let sum = self.above.max(self.below);
        if sum >= DECISION {
            (self.above, self.below) = (0.0, 0.0);
        }
        sum
    }
}

impl Detector for Cusum {
    fn score(&mut self, _at: Timestamp, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        match self.baseline.standardize(value) {
            Some(deviations) => squash(self.next(deviations), DECISION),
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
    fn sums_are_those_computed_by_hand() {
        let mut chart = Cusum::new(Setting::new(Span::from_minutes(1), 16).unwrap());
        let sums: Vec<f64> = [1.0, 2.0, -0.5, -3.0, -1.0]
            .iter()
            .map(|&deviations| chart.next(deviations))
            .collect();
        // C+: 0.5, 2, 1, 0, 0. C-: 0, 0, 0, 2.5, 3.
        assert_eq!(sums, [0.5, 2.0, 1.0, 2.5, 3.0]);
    }

    #[test]
    fn an_alarm_starts_both_sums_again() {
        let mut chart = Cusum::new(Setting::new(Span::from_minutes(1), 16).unwrap());
        assert_eq!(chart.next(DECISION + 0.5), DECISION);
        assert_eq!(chart.next(1.0), 0.5);
    }
}
