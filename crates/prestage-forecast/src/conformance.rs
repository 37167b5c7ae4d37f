//! What every need model of the registry promises, whatever its cell lives through.
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};
use proptest::prelude::*;

use crate::model::{Entry, NEED_MODELS, NeedModel, NeedModelInput};

const START: i64 = 1_708_905_600; // Monday, 2024-02-26, three days before a leap day.
/// What a need model reads.
const METRICS: [Metric; 8] = [
    Metric::RequestsPerSecond,
    Metric::Replicas,
    Metric::CommitsTotal,
    Metric::ReleasesTotal,
    Metric::DependencyUpdatesTotal,
    Metric::AdvisoriesTotal,
    Metric::UpstreamReleasesTotal,
    Metric::TestSuiteSeconds,
];
/// Horizons in ascending order, minutes: none, a turn of the loop, lead times, days, a year.
const HORIZONS: [i64; 12] = [
    0, 5, 10, 37, 60, 150, 720, 1_440, 2_000, 10_080, 60_480, 525_600,
];

type Sample = (Timestamp, Metric, f64);

fn hour(hours: i64) -> Timestamp {
    Timestamp::from_seconds(START) + Span::from_hours(hours)
}

fn new(entry: &Entry) -> Box<dyn NeedModel> {
    (entry.build)(NeedModelInput {
        service: ServiceId(0),
        rated_load_per_replica: 10.0,
        suite_budget_s: 600.0,
    })
}

/// Telemetry that has not been told yet.
struct Feed<'a> {
    samples: &'a [Sample],
    tail: Tail,
}

impl<'a> Feed<'a> {
    fn of(samples: &'a [Sample]) -> Self {
        let tail = Tail::new(1, Span::MAX);
        Self { samples, tail }
    }

    fn tell(&mut self, until: Timestamp) -> &Tail {
        let told = self.samples.partition_point(|&(at, ..)| at <= until);
        for &(at, metric, value) in &self.samples[..told] {
            self.tail
                .push(SeriesId::new(ServiceId(0), metric), at, value);
        }
        self.samples = &self.samples[told..];
        &self.tail
    }
}

/// All that a model says at a moment, after a check that it makes sense.
#[track_caller]
fn answers(name: &str, model: &dyn NeedModel, now: Timestamp) -> Vec<f64> {
    let probabilities = HORIZONS.map(|minutes| model.probability(now, Span::from_minutes(minutes)));
    for p in probabilities {
        assert!(
            (0.0..=1.0).contains(&p),
            "{name} at {now}: {probabilities:?}"
        );
    }
    // Sums of the same terms in another order differ in their last bits.
    let ascends = probabilities
        .windows(2)
        .all(|pair| pair[0] <= pair[1] + 1e-9);
    assert!(
        ascends,
        "{name} at {now} falls with the horizon: {probabilities:?}"
    );
    let mut answers = probabilities.to_vec();
    answers.extend([
        model.demand_ratio(),
        model.headroom(),
        model.skill(),
        model.open_signals(),
    ]);
    for horizon in [Span::from_minutes(20), Span::from_hours(30)] {
        answers.push(model.spread(horizon));
        let sizes = [0.5, 0.9, 0.995].map(|quantile| model.magnitude(now, horizon, quantile));
        assert!(sizes.is_sorted(), "{name} at {now}: sizes {sizes:?}");
        answers.extend(sizes.map(f64::from));
    }
    assert!(
        answers.iter().all(|x| x.is_finite()),
        "{name} at {now}: {answers:?}"
    );
    answers
}

/// Lets a model live through the samples; returns what it said at each of `moments`, at every
/// seventh of which it is retrained.
#[track_caller]
fn lived(entry: &Entry, samples: &[Sample], moments: &[Timestamp]) -> Vec<Vec<f64>> {
    let mut model = new(entry);
    let mut feed = Feed::of(samples);
    let mut said = Vec::new();
    for (i, &now) in moments.iter().enumerate() {
        model.observe(feed.tell(now), now);
        if i % 7 == 6 {
            model.retrain(now);
        }
        said.push(answers(entry.name, model.as_ref(), now));
    }
    said
}

/// Every entry makes sense of these samples, asked every `every` until `until`.
#[track_caller]
fn check(samples: &[Sample], every: Span, until: Timestamp) {
    let moments = moments(every, until);
    for entry in NEED_MODELS {
        lived(entry, samples, &moments);
    }
}

fn moments(every: Span, until: Timestamp) -> Vec<Timestamp> {
    let count = (until - hour(0)).0 / every.0;
    (0..=count).map(|i| hour(0) + every * i).collect()
}

/// An ordinary life of `days`: a load every ten minutes, commits and suites in working hours,
/// releases and updates every few days.
fn ordinary(days: i64) -> Vec<Sample> {
    let mut samples: Vec<Sample> = vec![(hour(0), Metric::Replicas, 4.0)];
    for step in 0..days * 144 {
        let at = hour(0) + Span::from_minutes(step * 10);
        let phase = (step % 144) as f64 / 144.0 * std::f64::consts::TAU;
        let noise = (step * step * 7_919 % 1_009) as f64 / 1_009.0;
        let load = 25.0 + 12.0 * phase.sin() + 4.0 * noise;
        samples.push((at, Metric::RequestsPerSecond, load));
        let works = at.day_of_week() < 5 && (8..18).contains(&at.hour_of_day());
        if works && step * 31 % 17 < 4 {
            samples.push((at, Metric::CommitsTotal, 1.0));
            let seconds = 500.0 + 0.8 * step as f64 / 144.0 + 90.0 * noise;
            samples.push((at, Metric::TestSuiteSeconds, seconds));
        }
        for (metric, period, place) in [
            (Metric::ReleasesTotal, 433, 200),
            (Metric::UpstreamReleasesTotal, 301, 120),
            (Metric::DependencyUpdatesTotal, 301, 180),
            (Metric::AdvisoriesTotal, 1_717, 1_000),
        ] {
            if step % period == place {
                samples.push((at, metric, 1.0));
            }
        }
        if step % 2_000 == 1_500 {
            samples.push((at, Metric::TestShards, (step / 2_000 + 2) as f64));
        }
    }
    samples
}

/// `METRICS`, each with this value at this moment.
fn all_at(at: Timestamp, value: f64) -> impl Iterator<Item = Sample> {
    METRICS.into_iter().map(move |metric| (at, metric, value))
}

#[test]
fn nothing_ever_happens() {
    check(&[], Span::from_hours(1), hour(24 * 20));
}

#[test]
fn everything_happens_once() {
    let once: Vec<Sample> = all_at(hour(30), 1.0).collect();
    check(&once, Span::from_hours(1), hour(24 * 20));
}

#[test]
fn an_ordinary_life() {
    check(&ordinary(60), Span::from_minutes(35), hour(24 * 60));
}

#[test]
fn everything_happens_at_the_same_moment_many_times() {
    let mut samples = Vec::new();
    for day in 0..30 {
        (0..20).for_each(|_| samples.extend(all_at(hour(day * 24 + 9), 3.0)));
    }
    check(&samples, Span::from_hours(5), hour(24 * 32));
}

#[test]
fn twenty_thousand_events_in_a_minute() {
    let mut samples = ordinary(30);
    let burst = hour(24 * 30);
    for i in 0..20_000 {
        samples.extend(all_at(burst + Span(i * 3_000), 50.0));
    }
    check(&samples, Span::from_hours(6), hour(24 * 40));
}

#[test]
fn months_without_telemetry_and_a_leap_of_years() {
    let mut samples = ordinary(30);
    samples.extend(all_at(hour(24 * 120), 5.0));
    samples.extend(all_at(hour(24 * 365), 5.0));
    samples.extend(all_at(hour(24 * 365 * 13), 5.0));
    samples.extend(all_at(hour(24 * 365 * 40_000), 5.0));
    let days = [30, 119, 121, 364, 366, 367, 4_744, 4_746, 14_600_001];
    let mut moments = moments(Span::from_hours(7), hour(24 * 29));
    moments.extend(days.map(|day| hour(24 * day)));
    for entry in NEED_MODELS {
        lived(entry, &samples, &moments);
    }
}

#[test]
fn numbers_that_are_none() {
    let mut samples = ordinary(20);
    let awkward = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -7.0,
        0.0,
        1e300,
        5e-324,
    ];
    for (i, value) in awkward.into_iter().enumerate() {
        samples.extend(all_at(hour(24 * 20 + i as i64), value));
        let at = hour(24 * 20 + i as i64);
        samples.push((at, Metric::TestShards, value));
    }
    let after = ordinary(10).into_iter();
    samples.extend(after.map(|(at, metric, value)| (at + Span::from_days(21), metric, value)));
    check(&samples, Span::from_hours(1), hour(24 * 31));
}

#[test]
fn clocks_change_and_a_leap_day_is_a_day() {
    // Daylight saving as UTC sees it: from the fifth week on everything comes an hour earlier.
    let changed: Vec<Sample> = ordinary(60)
        .into_iter()
        .filter(|&(at, ..)| !(hour(24 * 34)..hour(24 * 34 + 1)).contains(&at))
        .map(|(at, metric, value)| {
            let shift = if at < hour(24 * 34) { 0 } else { 1 };
            (at - Span::from_hours(shift), metric, value)
        })
        .collect();
    check(&changed, Span::from_hours(3), hour(24 * 60));
}

#[test]
fn what_is_said_does_not_know_the_future() {
    let samples = ordinary(40);
    let known = samples.partition_point(|&(at, ..)| at <= hour(24 * 25));
    let mut altered = samples[..known].to_vec();
    altered.extend(all_at(hour(24 * 25 + 1), 999.0));
    let moments = moments(Span::from_hours(2), hour(24 * 25));
    for entry in NEED_MODELS {
        let said = lived(entry, &samples, &moments);
        assert_eq!(said, lived(entry, &altered, &moments), "{}", entry.name);
    }
}

#[test]
fn a_saved_model_goes_on_bit_for_bit() {
    let samples = ordinary(50);
    for entry in NEED_MODELS {
        let mut whole = new(entry);
        let mut feed = Feed::of(&samples);
        for (i, now) in moments(Span::from_minutes(95), hour(24 * 50))
            .into_iter()
            .enumerate()
        {
            let tail = feed.tell(now);
            let mut restored = entry.restore(&whole.save()).unwrap();
            for model in [&mut whole, &mut restored] {
                model.observe(tail, now);
                match i % 11 {
                    3 => model.retrain(now),
                    5 => model.set_half_life(Span::from_hours(1 + i as i64 % 30)),
                    _ => {}
                }
            }
            let said = answers(entry.name, whole.as_ref(), now);
            assert_eq!(
                said,
                answers(entry.name, restored.as_ref(), now),
                "{}",
                entry.name
            );
            assert_eq!(whole.save(), restored.save(), "{}", entry.name);
            whole = restored;
        }
    }
}

#[test]
fn foreign_bytes_are_refused() {
    for entry in NEED_MODELS {
        let mut longer = new(entry).save();
        longer.push(0);
        for bytes in [&[1, 2, 3][..], &longer] {
            let refused = entry.restore(bytes).err().map(|e| e.to_string());
            let message = refused.unwrap_or_default();
            assert!(message.contains(entry.name), "{}: {message}", entry.name);
        }
    }
}

#[test]
fn names_are_unique_and_explained() {
    for (i, entry) in NEED_MODELS.iter().enumerate() {
        assert!(entry.about.len() > 20, "{} is not explained", entry.name);
        let earlier = NEED_MODELS[..i]
            .iter()
            .any(|other| other.name == entry.name);
        assert!(!earlier, "two need models are called {}", entry.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn anything_may_happen(
        happenings in proptest::collection::vec((0_i64..2_000, 0..METRICS.len(), any::<f64>()), 0..150),
    ) {
        let mut at = hour(0);
        let mut samples = Vec::new();
        for (minutes, metric, value) in happenings {
            at += Span::from_minutes(minutes);
            samples.push((at, METRICS[metric], value));
        }
        check(&samples, Span::from_hours(29), at);
    }
}
