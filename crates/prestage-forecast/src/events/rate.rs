//! Needs at a constant rate: the Poisson baseline.
use prestage_telemetry::Timestamp;
use serde::{Deserialize, Serialize};

/// Weight of the prior, in needs: that of Jeffreys, small enough for streams with hardly any.
const PRIOR_EVENTS: f64 = 0.5;

/// The mean rate since the first observation, with a weak prior.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Rate {
    prior_per_hour: f64,
    events: f64,
    since: Option<Timestamp>,
}

impl Rate {
    /// `prior_per_hour` weighs as much as half a need and must be positive.
    pub fn new(prior_per_hour: f64) -> Self {
        assert!(prior_per_hour > 0.0, "prior rate is {prior_per_hour}");
        Self {
            prior_per_hour,
            events: 0.0,
            since: None,
        }
    }

    /// Time passes from `at` on; only the first call matters.
    pub fn start(&mut self, at: Timestamp) {
        self.since.get_or_insert(at);
    }

    /// A need arose.
    pub fn record(&mut self) {
        self.events += 1.0;
    }

    /// Needs an hour.
    pub fn per_hour(&self, now: Timestamp) -> f64 {
        let seen = self.since.map_or(0.0, |since| (now - since).as_hours());
        (self.events + PRIOR_EVENTS) / (seen.max(0.0) + PRIOR_EVENTS / self.prior_per_hour)
    }

    /// Probability of at least one need in `(now, now + hours]`.
    pub fn probability(&self, now: Timestamp, hours: f64) -> f64 {
        -(-self.per_hour(now) * hours).exp_m1()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_events_over_time_with_a_prior() {
        let mut rate = Rate::new(0.01);
        let start = Timestamp::from_seconds(0);
        rate.start(start);
        (0..9).for_each(|_| rate.record());
        let now = Timestamp::from_seconds(900 * 3_600);
        assert!((rate.per_hour(now) - 0.01).abs() < 1e-12);
        assert!((rate.probability(now, 24.0) - (1.0 - (-0.24_f64).exp())).abs() < 1e-12);
    }
}
