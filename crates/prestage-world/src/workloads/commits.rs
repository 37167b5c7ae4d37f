//! Commits: over-dispersed by day, mostly in working hours; their builds fail in
//! clusters.
//!
//! Counts an hour are Poisson with a rate that a gamma variable multiplies day by
//! day (negative binomial by day, as commit histories show), in pushes of one or
//! several commits, split between working
//! hours and the rest by a fixed share, which dial D7 blends with a flat rate.
//! Builds fail as a two-state Markov chain: with p = P(fail) and c the clustering,
//! P(fail | fail) = c p and P(fail | pass) = p (1 - c p) / (1 - p), so that p is
//! the stationary share. Flaky failures are independent of both.
use prestage_des::{SimTime, Stream, Streams};

use super::regimes::Tempo;
use super::{Workload, after, timestamp};
use crate::exogenous::{BuildResult, Commit, Exogenous};
use crate::scenario::ScenarioSpec;

pub(super) const ENTRY: Workload = Workload {
    name: "commits",
    about: "commits a service, over-dispersed by day, mostly in working hours; each starts a build",
    generate,
};

/// Working hours of a week, as the calendar has them: 5 days of 10 hours.
const WORKING_HOURS: f64 = 50.0;
const WEEK_HOURS: f64 = 168.0;
/// Mean time between the commits of a push, seconds.
const PUSH_GAP_S: f64 = 90.0;

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let commits = &spec.commits;
    let calendar = record.calendar();
    let tempo = Tempo::new(spec, record);
    let flat = WORKING_HOURS / WEEK_HOURS;
    let share = flat + spec.dials.moving_hazard * (commits.working_share - flat);
    let working_rate = commits.per_week * share / WORKING_HOURS;
    let other_rate = commits.per_week * (1.0 - share) / (WEEK_HOURS - WORKING_HOURS);
    let hours = (record.end.as_micros() - record.history_start.as_micros())
        / SimTime::from_hours(1).as_micros();
    let hour = |index: i64| record.history_start + SimTime::from_hours(index);
    let rates: Vec<f64> = (0..hours)
        .map(|index| {
            let is_working = calendar.is_working(timestamp(hour(index)));
            let rate = if is_working { working_rate } else { other_rate };
            rate * tempo.rate(hour(index))
        })
        .collect();
    for service in 0..spec.services.with_repository() {
        let mut stream = streams.open("commits", u64::from(service));
        let mut day_factor = 1.0;
        let mut times = Vec::new();
        for (index, rate) in rates.iter().enumerate() {
            if index % 24 == 0 {
                day_factor = stream.gamma(commits.dispersion, 1.0);
            }
            let start = hour(index as i64);
            for _ in 0..stream.poisson(rate * day_factor / commits.per_push) {
                let push = start + SimTime::from_secs_f64(stream.uniform(0.0, 3600.0));
                push_commits(&mut times, push, commits.per_push, &mut stream);
            }
        }
        times.retain(|&at| at < record.end);
        times.sort_unstable();
        let mut results = streams.open("build-results", u64::from(service));
        let mut failures = Failures::new(
            commits.build_failure_probability,
            commits.build_failure_clustering,
        );
        record.commits.extend(times.into_iter().map(|at| Commit {
            at,
            service,
            build: build_result(&mut failures, &mut results, commits.flaky_probability),
        }));
    }
    record.commits.sort_unstable();
}

/// The commits of one push: a geometric number of them, minutes apart.
fn push_commits(times: &mut Vec<SimTime>, push: SimTime, mean: f64, stream: &mut Stream) {
    let mut at = push;
    times.push(at);
    while mean > 1.0 && stream.unit() < 1.0 - 1.0 / mean {
        at = after(at, stream.exponential(PUSH_GAP_S));
        times.push(at);
    }
}

fn build_result(failures: &mut Failures, stream: &mut Stream, flaky: f64) -> BuildResult {
    let failed = failures.next(stream);
    let is_flaky = stream.bernoulli(flaky);
    match (failed, is_flaky) {
        (true, _) => BuildResult::Failed,
        (false, true) => BuildResult::Flaky,
        (false, false) => BuildResult::Passed,
    }
}

/// Failures that come in clusters; see the module.
pub(super) struct Failures {
    after_pass: f64,
    after_failure: f64,
    failed: bool,
}

impl Failures {
    pub fn new(probability: f64, clustering: f64) -> Self {
        let after_failure = probability * clustering;
        Self {
            after_pass: probability * (1.0 - after_failure) / (1.0 - probability),
            after_failure,
            failed: false,
        }
    }

    pub fn next(&mut self, stream: &mut Stream) -> bool {
        let probability = if self.failed {
            self.after_failure
        } else {
            self.after_pass
        };
        self.failed = stream.bernoulli(probability.clamp(0.0, 1.0));
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_stated_share_and_clustering() {
        let mut stream = Streams::new(3).open("test", 0);
        let mut failures = Failures::new(0.08, 3.0);
        let runs: Vec<bool> = (0..200_000).map(|_| failures.next(&mut stream)).collect();
        let share = runs.iter().filter(|&&failed| failed).count() as f64 / runs.len() as f64;
        let after: Vec<bool> = runs
            .windows(2)
            .filter(|pair| pair[0])
            .map(|pair| pair[1])
            .collect();
        let clustered = after.iter().filter(|&&failed| failed).count() as f64 / after.len() as f64;
        assert!((share - 0.08).abs() < 0.003, "share {share}");
        assert!(
            (clustered / 0.24 - 1.0).abs() < 0.06,
            "after a failure {clustered}"
        );
    }
}
