//! How well the forecasts of one cell have done, and what its stages came to.
//!
//! These statistics carry most of the value of adapting: a policy cannot see
//! what regime the world is in, but it can see that forecasts have been too low
//! for a day.
use std::collections::VecDeque;

use prestage_forecast::LogScoreDrift;
use prestage_telemetry::{Span, Timestamp};

use crate::ports::{Retraining, StageEnd};

const DAY_H: f64 = 24.0;
const WEEK_H: f64 = 168.0;
/// Forecasts awaiting their outcome; horizons reach hours, records come hourly.
const PENDING_MAX: usize = 64;

/// Exponentially forgotten statistics of one cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// When the first pending forecast comes due: until then there is nothing to do.
    next_due: Option<Timestamp>,
    pending: VecDeque<(Timestamp, Timestamp, f64)>,
    needs: VecDeque<Timestamp>,
    /// The weekly counts are as of here.
    counted_at: Timestamp,
    /// Mean of forecast minus outcome over about a day; positive is too high.
    pub calibration_day: f64,
    /// The same over about a week.
    pub calibration_week: f64,
    /// Two-sided cumulative sum of forecast minus outcome.
    pub cusum: f64,
    /// Forgotten counts over about a week.
    pub hits_week: f64,
    pub misses_week: f64,
    pub waste_week: f64,
    pub rollbacks_week: f64,
    /// Mean idle hours of used stages.
    pub idle_at_hit_h: f64,
    /// Retrainings before they were due.
    pub early_retrainings: u64,
    /// None where nobody asks: each forecast costs it some logarithms.
    drift: Option<LogScoreDrift>,
    /// Forecasts made before the last one that was judged came due overlap with it.
    judged_until: Timestamp,
    lead_log: f64,
    lead_log_variance: f64,
    lead_recent_log: f64,
    /// Median and ninth decile of the lead time, minutes; kept because they are
    /// read every five minutes and change with every stage.
    lead_median: f64,
    lead_p90: f64,
}

impl Health {
    pub(crate) fn new(lead_prior: Span) -> Self {
        let lead_log = log_minutes(lead_prior);
        Self {
            lead_log,
            lead_recent_log: lead_log,
            lead_log_variance: 0.09,
            ..Self::default()
        }
        .with_lead()
    }

    fn with_lead(mut self) -> Self {
        self.lead_median = self.lead_log.exp();
        self.lead_p90 = (self.lead_log + 1.2816 * self.lead_log_variance.sqrt()).exp();
        self
    }

    /// Resolves forecasts that came due.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if self.next_due.is_none_or(|due| due > now) {
            return;
        }
        while let Some(&(made, due, probability)) = self.pending.front() {
            if due > now {
                break;
            }
            self.pending.pop_front();
            self.resolve(made, due, probability);
        }
        self.next_due = self.pending.front().map(|&(_, due, _)| due);
        self.drop_needs(now);
    }

    /// Lets the weekly counts fade up to `now`. Readers of the counts come first here.
    pub(crate) fn fade(&mut self, now: Timestamp) {
        let hours = (now.0 - self.counted_at.0) as f64 / 3.6e9;
        if hours > 0.0 {
            self.counted_at = now;
            let kept = (-hours / WEEK_H).exp();
            self.hits_week *= kept;
            self.misses_week *= kept;
            self.waste_week *= kept;
            self.rollbacks_week *= kept;
        }
    }

    /// Needs before the oldest pending forecast decide nothing any more.
    fn drop_needs(&mut self, now: Timestamp) {
        let oldest = self.pending.front().map_or(now, |&(made, ..)| made);
        while self.needs.front().is_some_and(|&at| at <= oldest) {
            self.needs.pop_front();
        }
    }

    /// Remembers an hourly forecast until its horizon has passed.
    pub(crate) fn forecast(&mut self, made: Timestamp, horizon: Span, probability: f64) {
        if self.pending.len() == PENDING_MAX {
            self.pending.pop_front();
        }
        // Horizons change with the knobs: kept in order of their due times.
        let due = made + horizon;
        let place = self
            .pending
            .iter()
            .rposition(|&(_, other, _)| other <= due)
            .map_or(0, |i| i + 1);
        self.pending.insert(place, (made, due, probability));
        self.next_due = self.pending.front().map(|&(_, due, _)| due);
    }

    pub(crate) fn need(&mut self, at: Timestamp, hit: bool) {
        self.fade(at);
        if self.pending.is_empty() {
            self.needs.clear();
        }
        self.needs.push_back(at);
        *(if hit {
            &mut self.hits_week
        } else {
            &mut self.misses_week
        }) += 1.0;
    }

    pub(crate) fn ready(&mut self, lead: Span) {
        let log = log_minutes(lead);
        let error = log - self.lead_log;
        self.lead_log += 0.05 * error;
        self.lead_log_variance += 0.05 * (error * error - self.lead_log_variance);
        self.lead_recent_log += 0.4 * (log - self.lead_recent_log);
        *self = std::mem::take(self).with_lead();
    }

    pub(crate) fn ended(&mut self, at: Timestamp, end: StageEnd, idle: Span) {
        self.fade(at);
        match end {
            StageEnd::Used => {
                self.idle_at_hit_h += 0.2 * (idle.0 as f64 / 3.6e9 - self.idle_at_hit_h)
            }
            StageEnd::Expired | StageEnd::Withdrawn => self.waste_week += 1.0,
            StageEnd::RolledBack => self.rollbacks_week += 1.0,
        }
    }

    /// From now on it is judged whether probabilities get worse.
    pub(crate) fn watch_drift(&mut self) {
        self.drift = Some(LogScoreDrift::default());
    }

    /// Have the probabilities got worse since the last retraining? Never where that is not watched.
    pub(crate) fn has_drifted(&self) -> bool {
        self.drift.as_ref().is_some_and(LogScoreDrift::is_raised)
    }

    pub(crate) fn retrained(&mut self, because: Retraining) {
        if let Some(drift) = &mut self.drift {
            drift.reset();
        }
        self.early_retrainings += u64::from(because == Retraining::Drift);
    }

    /// Ninth decile of the lead time, lognormal.
    pub(crate) fn lead_p90(&self) -> Span {
        Span((self.lead_p90 * 6e7) as i64)
    }

    /// Median lead time, minutes.
    pub(crate) fn lead_minutes(&self) -> f64 {
        self.lead_median
    }

    /// Log of the recent lead time over its baseline.
    pub(crate) fn lead_drift(&self) -> f64 {
        self.lead_recent_log - self.lead_log
    }

    fn resolve(&mut self, made: Timestamp, due: Timestamp, probability: f64) {
        let happened = self.needs.iter().any(|&at| at > made && at <= due);
        if let Some(drift) = &mut self.drift
            && made >= self.judged_until
        {
            drift.learn(probability, happened);
            self.judged_until = due;
        }
        let error = probability - f64::from(u8::from(happened));
        self.calibration_day += (error - self.calibration_day) / DAY_H;
        self.calibration_week += (error - self.calibration_week) / WEEK_H;
        self.cusum = (0.99 * self.cusum + error).clamp(-10.0, 10.0);
    }
}

fn log_minutes(span: Span) -> f64 {
    (span.0 as f64 / 6e7).max(0.1).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(h: i64) -> Timestamp {
        Timestamp::from_seconds(1_704_067_200) + Span::from_hours(h)
    }

    #[test]
    fn a_need_inside_the_horizon_counts_once_for_each_open_forecast() {
        let mut health = Health::new(Span::from_minutes(30));
        health.advance(hour(0));
        health.forecast(hour(0), Span::from_hours(2), 0.2);
        health.forecast(hour(1), Span::from_hours(2), 0.2);
        health.need(hour(1) + Span::from_minutes(30), false);
        health.advance(hour(2));
        assert!((health.calibration_day - (0.2 - 1.0) / 24.0).abs() < 1e-12);
        health.advance(hour(3));
        assert!(
            health.calibration_day < -0.05,
            "both forecasts were too low"
        );
        health.forecast(hour(3), Span::from_hours(1), 0.2);
        let before = health.calibration_day;
        health.advance(hour(4));
        assert!(
            health.calibration_day > before,
            "no need followed the third"
        );
    }

    #[test]
    fn lead_times_converge_to_what_is_measured() {
        let mut health = Health::new(Span::from_minutes(10));
        for _ in 0..200 {
            health.ready(Span::from_minutes(60));
        }
        assert!((health.lead_minutes() - 60.0).abs() < 1.0);
        assert!(health.lead_p90() >= Span::from_minutes(59));
        assert!(health.lead_drift().abs() < 0.01);
    }

    #[test]
    fn a_shift_of_the_rate_is_drift_once_and_overlapping_forecasts_count_once() {
        let mut health = Health::new(Span::from_minutes(30));
        health.watch_drift();
        let mut signals = Vec::new();
        // A need every other day is what is said; from the 60th day four come a day.
        let probability = 1.0 - (-2.0 / 48.0_f64).exp();
        for h in 0..24 * 120 {
            health.advance(hour(h));
            health.forecast(hour(h), Span::from_hours(2), probability);
            let every = if h < 24 * 60 { 48 } else { 6 };
            if h % every == 5 {
                health.need(hour(h) + Span::from_minutes(20), false);
            }
            if health.has_drifted() {
                health.retrained(Retraining::Drift);
                signals.push(h / 24);
            }
        }
        // Eight times as often: the bias moves one doubling with the signal and the rest by itself.
        assert!(
            signals.len() <= 2 && (60..70).contains(&signals[0]),
            "{signals:?}"
        );
        assert_eq!(health.early_retrainings, signals.len() as u64);
    }
}
