//! Record: a value beyond everything seen so far, by a share of the range.
//!
//! The "spatial anomaly" of Numenta's detector (Ahmad et al., "Unsupervised real-time anomaly
//! detection for streaming data", Neurocomputing 2017), with a smaller margin and graded
//! instead of yes or no. Records of a stationary series become rare like 1/t, so that it
//! stays quiet without any parameter of the distribution. Blind to everything within the range.
use serde::{Deserialize, Serialize};

use super::registry::Entry;
use super::{Detector, Setting, encode, squash};
use crate::Timestamp;

/// Share of the range seen so far by which a value must leave it to raise an alarm.
const MARGIN: f64 = 0.01;

pub(super) const ENTRY: Entry = Entry {
    name: "record",
    about: "a value beyond everything seen so far, by a share of the range",
    build: |setting| Box::new(Record::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<Record>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    warm_up: usize,
    seen: usize,
    low: f64,
    high: f64,
}

impl Record {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            warm_up: setting.warm_up(),
            seen: 0,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }

    /// How far outside the range, as a share of it; infinite outside a range of one value.
    fn excess(&self, value: f64) -> f64 {
        let outside = (value - self.high).max(self.low - value);
        if outside <= 0.0 {
            return 0.0;
        }
        let share = outside / (self.high - self.low);
        if share.is_nan() { f64::INFINITY } else { share }
    }
}

impl Detector for Record {
    fn score(&mut self, _at: Timestamp, value: f64) -> f64 {
        if self.seen < self.warm_up {
            self.seen += 1;
        }
        if !value.is_finite() {
            return 0.0;
        }
        let warmed_up = self.seen == self.warm_up && self.low <= self.high;
        let excess = if warmed_up { self.excess(value) } else { 0.0 };
        self.low = self.low.min(value);
        self.high = self.high.max(value);
        squash(excess, MARGIN)
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
    fn the_excess_is_a_share_of_the_range_seen_so_far() {
        let mut detector = Record::new(Setting::new(Span::from_minutes(1), 16).unwrap());
        for i in 0..16 {
            assert_eq!(detector.score(Timestamp::EPOCH, f64::from(i % 11)), 0.0);
        }
        // The range is 0 to 10; a hundredth beyond it is the alarm level.
        let mut score = |value: f64| detector.score(Timestamp::EPOCH, value);
        assert!((score(10.1) - super::super::ALARM_LEVEL).abs() < 1e-9);
        // Then it is 0 to 10.1, and what was a record is none.
        assert_eq!(score(10.1), 0.0);
        assert!((score(-1.01) - 0.1 / (0.1 + MARGIN)).abs() < 1e-9);
    }
}
