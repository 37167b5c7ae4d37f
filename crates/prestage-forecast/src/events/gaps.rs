//! The histogram of times between needs: given how long there was none, how likely is one soon?
//!
//! After the hybrid histogram of Shahrad et al. (Serverless in the Wild, ATC 2020), which falls back
//! when its histogram says too little: here the fallback is the rate, with the weight of [`PRIOR`] gaps.
use prestage_telemetry::Timestamp;
use serde::{Deserialize, Serialize};

use super::Rate;

/// Weight of the rate, in gaps.
const PRIOR: f64 = 2.0;
/// Gaps that are remembered.
const GAPS_MAX: usize = 512;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gaps {
    rate: Rate,
    last: Option<Timestamp>,
    /// Hours, a ring once it is full.
    gaps: Vec<f64>,
    next: usize,
}

impl Gaps {
    /// See [`Rate::new`].
    pub fn new(prior_per_hour: f64) -> Self {
        Self {
            rate: Rate::new(prior_per_hour),
            last: None,
            gaps: Vec::new(),
            next: 0,
        }
    }

    /// Time passes from `at` on; only the first call matters.
    pub fn start(&mut self, at: Timestamp) {
        self.rate.start(at);
    }

    /// A need arose at `at`.
    pub fn record(&mut self, at: Timestamp) {
        self.rate.record();
        if let Some(last) = self.last {
            let gap = (at - last).as_hours();
            if self.gaps.len() < GAPS_MAX {
                self.gaps.push(gap);
            } else {
                self.gaps[self.next] = gap;
                self.next = (self.next + 1) % GAPS_MAX;
            }
        }
        self.last = Some(at);
    }

    /// Probability of at least one need in `(now, now + hours]`.
    pub fn probability(&self, now: Timestamp, hours: f64) -> f64 {
        let plain = self.rate.probability(now, hours);
        let Some(last) = self.last else {
            return plain;
        };
        let age = (now - last).as_hours();
        let longer = |than: f64| self.gaps.iter().filter(|&&gap| gap > than).count() as f64;
        let open = longer(age);
        (open - longer(age + hours) + PRIOR * plain) / (open + PRIOR)
    }

    /// Needs expected in `(now, now + hours]`: the log of the probability of none, negated.
    pub(super) fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        -(-self.probability(now, hours).min(1.0 - 1e-9)).ln_1p()
    }

    /// The plain rate beside it.
    pub fn rate(&self) -> &Rate {
        &self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_every_ten_hours_are_due_after_ten_hours() {
        let at = |hour: i64| Timestamp::from_seconds(hour * 3_600);
        let mut gaps = Gaps::new(0.1);
        gaps.start(at(0));
        (1..50).for_each(|i| gaps.record(at(i * 10)));
        let soon = gaps.probability(at(495), 2.0);
        let due = gaps.probability(at(499), 2.0);
        assert!(soon < 0.05 && due > 0.9, "soon {soon}, due {due}");
    }
}
