//! One walk of a need model through a stream of events, beside the two baselines.
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};

use crate::events::{Gaps, Rate};
use crate::model::{Entry, NeedModelInput};

/// Prior of the baselines: one need a week.
const PRIOR_PER_HOUR: f64 = 1.0 / 168.0;
/// Time between two origins: a day and an hour, so that all hours of the day take their turn.
const ORIGIN_EVERY: Span = Span::from_hours(25);

/// What a service's telemetry said, and when needs arose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventStream {
    /// Samples in order of time.
    pub samples: Vec<(Timestamp, Metric, f64)>,
    /// Needs in order of time; the samples tell of them too.
    pub needs: Vec<Timestamp>,
    /// Longest time a shard of the test suite may take, seconds; any number for other needs.
    pub suite_budget_s: f64,
}

/// What was said at an origin, and what came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// The origin.
    pub at: Timestamp,
    /// Probability of a need within the horizon, by the model.
    pub model: f64,
    /// By the hybrid histogram of times between needs.
    pub histogram: f64,
    /// By the mean rate.
    pub poisson: f64,
    /// Whether one arose.
    pub happened: bool,
}

/// What services may learn from each other: when the others had needs.
const SHARED: [Metric; 5] = [
    Metric::ReleasesTotal,
    Metric::DependencyUpdatesTotal,
    Metric::AdvisoriesTotal,
    Metric::UpstreamReleasesTotal,
    Metric::TestShards,
];

/// Walks a new model through `stream` and asks it at origins in `[from, to)` for the probability of a
/// need within `horizon`; it is retrained at every origin.
pub fn walk_events(
    entry: &Entry,
    stream: &EventStream,
    window: (Timestamp, Timestamp),
    horizon: Span,
) -> Vec<Said> {
    walk_in_fleet(entry, stream, &[], window, horizon)
}

/// [`walk_events`] of one service among others, of whose needs the telemetry tells, too.
pub fn walk_in_fleet(
    entry: &Entry,
    stream: &EventStream,
    others: &[&EventStream],
    (from, to): (Timestamp, Timestamp),
    horizon: Span,
) -> Vec<Said> {
    let service = ServiceId(0);
    let mut model = (entry.build)(NeedModelInput {
        service,
        rated_load_per_replica: 1.0,
        suite_budget_s: stream.suite_budget_s,
    });
    let mut tail = Tail::new(1 + others.len(), Span::MAX);
    let mut told = vec![0; others.len()];
    let mut rate = Rate::new(PRIOR_PER_HOUR);
    let mut gaps = Gaps::new(PRIOR_PER_HOUR);
    let (mut next_sample, mut next_need) = (0, 0);
    let mut said = Vec::new();
    let Some(&(start, ..)) = stream.samples.first() else {
        return said;
    };
    rate.start(start);
    gaps.start(start);
    let mut at = start;
    while at + horizon < to {
        while let Some(&(time, metric, value)) = stream.samples.get(next_sample)
            && time <= at
        {
            tail.push(SeriesId::new(service, metric), time, value);
            next_sample += 1;
        }
        for (i, (other, told)) in others.iter().zip(&mut told).enumerate() {
            while let Some(&(time, metric, value)) = other.samples.get(*told)
                && time <= at
            {
                if SHARED.contains(&metric) {
                    let theirs = ServiceId(1 + i as u32);
                    tail.push(SeriesId::new(theirs, metric), time, value);
                }
                *told += 1;
            }
        }
        while let Some(&need) = stream.needs.get(next_need)
            && need <= at
        {
            rate.record();
            gaps.record(need);
            next_need += 1;
        }
        model.observe(&tail, at);
        model.retrain(at);
        if at >= from {
            let until = at + horizon;
            said.push(Said {
                at,
                model: model.probability(at, horizon),
                histogram: gaps.probability(at, horizon.as_hours()),
                poisson: rate.probability(at, horizon.as_hours()),
                happened: stream
                    .needs
                    .get(next_need)
                    .is_some_and(|&need| need <= until),
            });
        }
        at += ORIGIN_EVERY;
    }
    said
}

/// Logarithmic score of a probability in nats, smaller is better; probabilities are kept a
/// ten-thousandth from 0 and 1, so that one certainty gone wrong does not decide everything.
pub fn log_score(probability: f64, happened: bool) -> f64 {
    let p = probability.clamp(1e-4, 1.0 - 1e-4);
    -(if happened { p } else { 1.0 - p }).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NEED_MODELS;

    fn weekly() -> EventStream {
        let start = Timestamp::from_seconds(1_704_067_200);
        let needs: Vec<Timestamp> = (0..60)
            .map(|week| start + Span::from_hours(week * 168 + 58))
            .collect();
        let samples = needs.iter().flat_map(|&at| {
            let metrics = [Metric::ReleasesTotal, Metric::DependencyUpdatesTotal];
            metrics.map(|metric| (at, metric, 1.0))
        });
        EventStream {
            samples: samples.collect(),
            needs: needs.clone(),
            suite_budget_s: 600.0,
        }
    }

    #[test]
    fn log_scores_of_known_probabilities() {
        assert!((log_score(0.25, true) - 4.0_f64.ln()).abs() < 1e-12);
        assert!((log_score(0.25, false) - (4.0_f64 / 3.0).ln()).abs() < 1e-12);
        assert!(log_score(0.0, true).is_finite());
    }

    #[test]
    fn needs_after_the_last_horizon_change_nothing() {
        let stream = weekly();
        let start = stream.needs[0];
        let window = (start + Span::from_days(100), start + Span::from_days(200));
        let horizon = Span::from_hours(24);
        let mut altered = stream.clone();
        altered.needs.retain(|&need| need < window.1);
        altered.samples.retain(|&(at, ..)| at < window.1);
        for entry in NEED_MODELS {
            let known = walk_events(entry, &altered, window, horizon);
            assert_eq!(
                known,
                walk_events(entry, &stream, window, horizon),
                "{}",
                entry.name
            );
            assert!(known.len() > 80, "{} origins", known.len());
        }
    }

    #[test]
    fn a_weekly_train_is_worth_more_than_its_rate() {
        let stream = weekly();
        let window = (stream.needs[20], stream.needs[59]);
        let mut entries = NEED_MODELS.iter();
        let entry = entries
            .find(|entry| entry.name == "release-mixture")
            .unwrap();
        let said = walk_events(entry, &stream, window, Span::from_hours(24));
        let mean = |p: fn(&Said) -> f64| {
            let scores = said.iter().map(|said| log_score(p(said), said.happened));
            scores.sum::<f64>() / said.len() as f64
        };
        assert!(mean(|said| said.model) < 0.7 * mean(|said| said.poisson));
    }
}
