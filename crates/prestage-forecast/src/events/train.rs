//! A train: needs that come at the same place in a period of some weeks.
//!
//! The rate in each day of the period, a gamma-Poisson posterior around the overall rate, so that a
//! project without a train is forecast at its rate. Six weeks is the cycle of several projects, one week
//! shows the working days.
use prestage_telemetry::Timestamp;
use serde::{Deserialize, Serialize};

/// Weight of the overall rate in each day of the period, in expected events.
const PRIOR_EVENTS: f64 = 2.0;
/// Days after which a need counts half: trains change their schedule.
const MEMORY_DAYS: f64 = 730.0;
/// A century without a call: nothing of before counts any more.
const FORGOTTEN_DAYS: i64 = 36_525;
const DAY: i64 = 86_400_000_000;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Train {
    events: Vec<f64>,
    days: Vec<f64>,
    clock: Option<i64>,
}

impl Train {
    pub(super) fn of_weeks(weeks: usize) -> Self {
        Self {
            events: vec![0.0; weeks * 7],
            days: vec![0.0; weeks * 7],
            clock: None,
        }
    }

    /// Lets whole days pass up to the one `to` is in.
    pub(super) fn advance(&mut self, to: Timestamp) {
        let today = to.micros().div_euclid(DAY);
        let from = self.clock.unwrap_or(today);
        if today - from > FORGOTTEN_DAYS {
            self.days.fill(0.0);
            self.events.fill(0.0);
            self.clock = Some(today);
            return;
        }
        let kept = (-std::f64::consts::LN_2 / MEMORY_DAYS).exp();
        for day in from..today {
            let place = self.place(day);
            self.days[place] += 1.0;
            for sums in [&mut self.days, &mut self.events] {
                sums.iter_mut().for_each(|sum| *sum *= kept);
            }
        }
        self.clock = Some(today.max(from));
    }

    /// A need arose at `at`, advanced to.
    pub(super) fn record(&mut self, at: Timestamp) {
        let place = self.place(at.micros().div_euclid(DAY));
        self.events[place] += 1.0;
    }

    fn place(&self, day: i64) -> usize {
        day.rem_euclid(self.days.len() as i64) as usize
    }

    /// Needs expected in `(now, now + hours]`, the overall rate being `per_hour`.
    pub(super) fn expected(&self, now: Timestamp, hours: f64, per_hour: f64) -> f64 {
        let end = now.micros() + (hours * 3.6e9) as i64;
        let mut at = now.micros();
        let mut expected = 0.0;
        while at < end {
            let day = at.div_euclid(DAY);
            let until = end.min((day + 1) * DAY);
            let place = self.place(day);
            let usual = per_hour * 24.0 * self.days[place];
            let factor = (self.events[place] + PRIOR_EVENTS) / (usual + PRIOR_EVENTS);
            expected += per_hour * factor * (until - at) as f64 / 3.6e9;
            at = until;
        }
        expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_six_week_train_is_expected_on_its_day() {
        let day = |day: i64| Timestamp::from_seconds(1_704_067_200 + day * 86_400);
        let mut train = Train::of_weeks(6);
        train.advance(day(0));
        for i in 0..12 {
            train.advance(day(i * 42 + 3));
            train.record(day(i * 42 + 3));
        }
        train.advance(day(12 * 42));
        let per_hour = 1.0 / (42.0 * 24.0);
        let on_its_day = train.expected(day(12 * 42 + 3), 24.0, per_hour);
        let before = train.expected(day(12 * 42 + 1), 24.0, per_hour);
        assert!(on_its_day > 5.0 * before, "{on_its_day}, {before}");
    }
}
