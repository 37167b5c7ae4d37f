//! Need models on the events of recorded histories, beside the histogram of gaps and the mean rate.
use std::collections::{BTreeMap, BTreeSet};

use prestage_forecast::backtest::{EventStream, Said, log_score, walk_events};
use prestage_forecast::{Entry, NEED_MODELS};
use prestage_telemetry::history::{CiRun, DependencyChange, ReleaseKind};
use prestage_telemetry::{History, Metric, Span, Timestamp};
use rayon::prelude::*;

use super::Part;
use crate::statistics::{Bootstrap, Grid, Interval, mean};

/// Needs a stream must have to be scored.
const NEEDS_MIN: usize = 10;
/// Origins followed by a need that a stream must have to be called predictable.
const OUTCOMES_MIN: usize = 3;
/// Runs whose median decides whether a suite is over its budget.
const SUITE_WINDOW: usize = 3;
/// A suite's budget over its usual time before the scoring.
const SUITE_BUDGET_FACTOR: f64 = 1.2;
/// Outcomes of neighbouring origins depend on each other: intervals are over blocks of this length.
const BLOCK: Span = Span::from_days(28);
/// Bins of equal size in which probabilities and outcomes are compared.
const BINS: usize = 10;
/// Seed of the bootstrap over blocks.
const SEED: u64 = 1;

/// The streams of one need type in one history.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvents {
    /// `world` or `world/suite`.
    pub name: String,
    /// The need type, in snake case.
    pub need: &'static str,
    /// What a model sees, and the needs.
    pub stream: EventStream,
}

/// A model on all streams of its need type.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSummary {
    /// The need type.
    pub need: &'static str,
    /// Name of the model.
    pub model: &'static str,
    /// Streams that were scored.
    pub streams: usize,
    /// Origins at which the model was asked.
    pub origins: usize,
    /// Share of origins after which a need arose within the horizon.
    pub frequency: f64,
    /// Mean logarithmic score, nats; smaller is better.
    pub log_score: f64,
    /// By how much the score of the histogram is worse; paired, by blocks of four weeks.
    pub vs_histogram: Option<Interval>,
    /// By how much the score of the mean rate is worse.
    pub vs_poisson: Option<Interval>,
    /// Mean Brier score.
    pub brier: f64,
    /// Expected calibration error over bins of equal size.
    pub ece: f64,
    /// Mean probability and frequency in each bin.
    pub reliability: Vec<(f64, f64)>,
    /// Streams on which the gain over the rate is clear of zero; the others could not be
    /// predicted better than by their rate.
    pub predictable: Vec<String>,
}

/// All event streams of a history that have needs enough.
pub fn of_history(history: &History) -> Vec<RecordedEvents> {
    let name = &history.world.world;
    let mut streams = vec![
        RecordedEvents {
            name: name.clone(),
            need: "feature_release",
            stream: releases(history),
        },
        RecordedEvents {
            name: name.clone(),
            need: "dependency_update",
            stream: dependencies(history),
        },
    ];
    let mut suites: BTreeMap<&str, Vec<&CiRun>> = BTreeMap::new();
    for run in &history.ci_runs {
        suites.entry(&run.suite).or_default().push(run);
    }
    streams.extend(suites.into_iter().map(|(suite, runs)| RecordedEvents {
        name: format!("{name}/{suite}"),
        need: "test_suite",
        stream: suite_stream(&runs),
    }));
    streams.retain(|events| {
        let least = if events.need == "test_suite" {
            1
        } else {
            NEEDS_MIN
        };
        events.stream.needs.len() >= least
    });
    streams
}

/// Commits and releases; tags of one commit are one release, tags that are no version are none.
fn releases(history: &History) -> EventStream {
    let mut seen = BTreeSet::new();
    let mut needs: Vec<Timestamp> = history
        .releases
        .iter()
        .filter(|row| row.kind != ReleaseKind::Other && seen.insert(&row.commit))
        .map(|row| Timestamp::from_seconds(row.tag_epoch))
        .collect();
    needs.sort_unstable();
    let commits = history.commits.iter().map(|row| {
        let at = Timestamp::from_seconds(row.commit_epoch);
        (at, Metric::CommitsTotal, 1.0)
    });
    stream(needs, Metric::ReleasesTotal, commits)
}

/// Updates of dependencies that are direct or may be, and advisories that hit the version in use,
/// which are a signal too.
fn dependencies(history: &History) -> EventStream {
    let mut seen = BTreeSet::new();
    let updates = history.deps.iter().filter(|row| {
        row.change == DependencyChange::Update
            && row.direct != Some(false)
            && seen.insert(&row.commit)
    });
    let exposures: BTreeSet<i64> = history
        .advisories
        .iter()
        .filter(|row| row.exposed_at_publish)
        .map(|row| row.publish_epoch)
        .collect();
    let mut needs: Vec<Timestamp> = updates
        .map(|row| row.epoch)
        .chain(exposures.iter().copied())
        .map(Timestamp::from_seconds)
        .collect();
    needs.sort_unstable();
    let signals = exposures.iter().map(|&epoch| {
        let at = Timestamp::from_seconds(epoch);
        (at, Metric::AdvisoriesTotal, 1.0)
    });
    stream(needs, Metric::DependencyUpdatesTotal, signals)
}

/// The runs of a suite. It needs a shard when the median of three runs is over the budget of its
/// shards, and is given one.
fn suite_stream(runs: &[&CiRun]) -> EventStream {
    let quarter = &runs[..(runs.len() / 4).max(1)];
    let usual: Vec<f64> = quarter.iter().map(|run| run.duration_s).collect();
    let budget_s = SUITE_BUDGET_FACTOR * crate::statistics::median(&usual);
    let mut shards = 1.0;
    let mut found = EventStream {
        suite_budget_s: budget_s.max(1e-3),
        ..EventStream::default()
    };
    let mut recent: Vec<f64> = Vec::new();
    for run in runs {
        let at = Timestamp::from_seconds(run.epoch);
        if found.samples.is_empty() {
            found.samples.push((at, Metric::TestShards, shards));
        }
        found
            .samples
            .push((at, Metric::TestSuiteSeconds, run.duration_s));
        recent.push(run.duration_s);
        let window = &recent[recent.len().saturating_sub(SUITE_WINDOW)..];
        let seconds = crate::statistics::median(window);
        if window.len() == SUITE_WINDOW && seconds > found.suite_budget_s * shards {
            shards = (seconds * 1.1 / found.suite_budget_s).ceil();
            found.needs.push(at);
            found.samples.push((at, Metric::TestShards, shards));
        } else if shards > 1.0 && seconds < 0.6 * found.suite_budget_s * (shards - 1.0) {
            shards -= 1.0;
            found.samples.push((at, Metric::TestShards, shards));
        }
    }
    found
}

/// Needs as samples of `metric`, merged with other samples; the other samples of a moment come first.
/// Nothing is known before the first need.
fn stream(
    needs: Vec<Timestamp>,
    metric: Metric,
    others: impl Iterator<Item = (Timestamp, Metric, f64)>,
) -> EventStream {
    let first = needs.first().copied().unwrap_or(Timestamp::MAX);
    let mut samples: Vec<(Timestamp, Metric, f64)> =
        others.filter(|(at, ..)| *at >= first).collect();
    samples.extend(needs.iter().map(|&at| (at, metric, 1.0)));
    samples.sort_by_key(|&(at, ..)| at);
    EventStream {
        samples,
        needs,
        suite_budget_s: 1.0,
    }
}

/// Every need model on every stream of its need type.
pub fn compare_events(streams: &[RecordedEvents], part: Part, horizon: Span) -> Vec<EventSummary> {
    NEED_MODELS
        .par_iter()
        .filter_map(|entry| summarize_events(entry, streams, part, horizon))
        .collect()
}

fn summarize_events(
    entry: &'static Entry,
    streams: &[RecordedEvents],
    part: Part,
    horizon: Span,
) -> Option<EventSummary> {
    let walked: Vec<(&str, Vec<Said>)> = streams
        .iter()
        .filter(|events| events.need == entry.need)
        .map(|events| {
            let said = walk_events(entry, &events.stream, window(&events.stream, part), horizon);
            (events.name.as_str(), said)
        })
        .filter(|(_, said)| !said.is_empty())
        .collect();
    let all: Vec<Said> = walked.iter().flat_map(|(_, said)| said.clone()).collect();
    if all.is_empty() {
        return None;
    }
    let share = |f: &dyn Fn(&Said) -> f64| mean(&all.iter().map(f).collect::<Vec<f64>>());
    let reliability = reliability(&all);
    let of_all = |rival: fn(&Said) -> f64| gain(walked.iter().map(|(_, said)| said), rival);
    Some(EventSummary {
        need: entry.need,
        model: entry.name,
        streams: walked.len(),
        origins: all.len(),
        frequency: share(&|said| happened(said)),
        log_score: share(&|said| log_score(said.model, said.happened)),
        vs_histogram: of_all(|said| said.histogram),
        vs_poisson: of_all(|said| said.poisson),
        brier: share(&|said| (said.model - happened(said)).powi(2)),
        ece: mean(
            &reliability
                .iter()
                .map(|(said, found)| (said - found).abs())
                .collect::<Vec<f64>>(),
        ),
        reliability,
        predictable: walked
            .iter()
            .filter(|(_, said)| is_predictable(said))
            .map(|(name, _)| (*name).to_owned())
            .collect(),
    })
}

fn is_predictable(said: &Vec<Said>) -> bool {
    let needs = said.iter().filter(|said| said.happened).count();
    let gain = gain(std::iter::once(said), |said| said.poisson);
    needs >= OUTCOMES_MIN && gain.is_some_and(|interval| interval.lower > 0.0)
}

fn happened(said: &Said) -> f64 {
    f64::from(u8::from(said.happened))
}

/// The second half of a stream, or the second quarter.
fn window(stream: &EventStream, part: Part) -> (Timestamp, Timestamp) {
    let (Some(&(first, ..)), Some(&(last, ..))) = (stream.samples.first(), stream.samples.last())
    else {
        return (Timestamp::MAX, Timestamp::MAX);
    };
    let at = |quarters: i64| Timestamp(first.0 + (last.0 - first.0) / 4 * quarters);
    match part {
        Part::Tuning => (at(1), at(2)),
        Part::Evaluation => (at(2), last),
    }
}

/// Mean gain in log score over a rival, nats, with an interval over blocks.
fn gain<'a>(
    streams: impl Iterator<Item = &'a Vec<Said>>,
    rival: impl Fn(&Said) -> f64,
) -> Option<Interval> {
    let mut blocks: Vec<f64> = Vec::new();
    for said in streams {
        let mut sums: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        for one in said {
            let gained = log_score(rival(one), one.happened) - log_score(one.model, one.happened);
            let sum = sums.entry(one.at.0.div_euclid(BLOCK.0)).or_default();
            sum.0 += gained;
            sum.1 += 1.0;
        }
        blocks.extend(sums.values().map(|(sum, count)| sum / count));
    }
    if blocks.is_empty() {
        return None;
    }
    Bootstrap::new(SEED).mean(&Grid::new(blocks.len(), blocks))
}

/// Mean probability and frequency in bins of equally many origins, by probability.
fn reliability(said: &[Said]) -> Vec<(f64, f64)> {
    let mut sorted = said.to_vec();
    sorted.sort_by(|a, b| a.model.total_cmp(&b.model));
    sorted
        .chunks(sorted.len().div_ceil(BINS))
        .map(|bin| {
            let of = |f: &dyn Fn(&Said) -> f64| mean(&bin.iter().map(f).collect::<Vec<f64>>());
            (of(&|said| said.model), of(&|said| happened(said)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(model: f64, happened: bool, day: i64) -> Said {
        Said {
            at: Timestamp(0) + Span::from_days(day),
            model,
            histogram: 0.5,
            poisson: 0.5,
            happened,
        }
    }

    #[test]
    fn gains_are_in_nats_and_clear_of_zero_when_they_are_constant() {
        let all: Vec<Said> = (0..200).map(|day| said(1.0 - 1e-4, true, day)).collect();
        let interval = gain(std::iter::once(&all), |said| said.poisson).unwrap();
        let expected = 2.0_f64.ln() + (1.0_f64 - 1e-4).ln();
        assert!((interval.estimate - expected).abs() < 1e-9);
        assert!(interval.lower > 0.0);
    }

    #[test]
    fn calibrated_probabilities_lie_on_the_diagonal() {
        let all: Vec<Said> = (0..1_000)
            .map(|i| {
                said(
                    if i < 500 { 0.2 } else { 0.8 },
                    i % 5 == 0 || (i >= 500 && i % 5 != 1),
                    i,
                )
            })
            .collect();
        for (probability, frequency) in reliability(&all) {
            assert!((probability - frequency).abs() < 1e-9);
        }
    }

    #[test]
    fn a_suite_over_its_budget_is_given_a_shard_and_asks_once() {
        let runs: Vec<CiRun> = (0..40)
            .map(|i| CiRun {
                epoch: i * 86_400,
                orig_epoch: i * 86_400,
                suite: "all".to_owned(),
                duration_s: if i < 20 { 100.0 } else { 150.0 },
                failed: None,
                tests_run: None,
                tests_failed: None,
                test_p50_s: None,
                test_max_s: None,
            })
            .collect();
        let stream = suite_stream(&runs.iter().collect::<Vec<_>>());
        assert_eq!(stream.suite_budget_s, 120.0);
        // The second of the slow runs makes the median of three slow.
        assert_eq!(stream.needs, [Timestamp::from_seconds(21 * 86_400)]);
    }
}
