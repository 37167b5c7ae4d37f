//! The event streams of a recorded history: what a need model is told, and when needs arose.
use std::collections::{BTreeMap, BTreeSet};

use prestage_forecast::backtest::EventStream;
use prestage_telemetry::history::{CiRun, DependencyChange, ReleaseKind};
use prestage_telemetry::{History, Metric, Timestamp};

/// Needs a stream must have to be scored.
pub(super) const NEEDS_MIN: usize = 10;
/// Runs whose median decides whether a suite is over its budget.
const SUITE_WINDOW: usize = 3;
/// A suite's budget over its usual time before the scoring.
const SUITE_BUDGET_FACTOR: f64 = 1.2;

/// A stream of one need type in one history.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvents {
    /// `world` or `world/suite`.
    pub name: String,
    /// The need type, in snake case.
    pub need: &'static str,
    /// What a model sees, and the needs.
    pub stream: EventStream,
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
        RecordedEvents {
            name: name.clone(),
            need: "advisory_exposure",
            stream: exposures(history),
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
    streams.extend(super::upstream::of_history(history));
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

/// Advisories on packages that the repository ever had; needs are those that hit the version in use. Days
/// on which a database took in many at once say nothing about when advisories come.
fn exposures(history: &History) -> EventStream {
    let rows = history.advisories.iter().filter(|row| !row.bulk_day);
    // Several advisories of one moment are one: they hit when any of them does.
    let mut moments: BTreeMap<i64, bool> = BTreeMap::new();
    for row in rows {
        *moments.entry(row.publish_epoch).or_default() |= row.exposed_at_publish;
    }
    let samples = moments.iter().map(|(&epoch, &hits)| {
        let at = Timestamp::from_seconds(epoch);
        (at, Metric::AdvisoriesTotal, f64::from(u8::from(hits)))
    });
    let hits = moments.iter().filter(|(_, hits)| **hits);
    EventStream {
        samples: samples.collect(),
        needs: hits
            .map(|(&epoch, _)| Timestamp::from_seconds(epoch))
            .collect(),
        suite_budget_s: 1.0,
    }
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
pub(super) fn stream(
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

#[cfg(test)]
mod tests {
    use super::*;

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
