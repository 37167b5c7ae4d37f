//! Commits: over-dispersed by day, mostly in working hours.
//!
//! Counts an hour are Poisson with a rate that a gamma variable multiplies day by
//! day (negative binomial by day, as commit histories show), split between
//! working hours and the rest by a fixed share.
use prestage_des::{SimTime, Streams};

use super::{Workload, is_working};
use crate::exogenous::{BuildResult, Commit, Exogenous};
use crate::scenario::ScenarioSpec;

pub(super) const ENTRY: Workload = Workload {
    name: "commits",
    about: "commits a service, over-dispersed by day, mostly in working hours; each starts a build",
    generate,
};

/// Working hours of a week, as the calendar has them: 5 days of 10 hours.
const WORKING_HOURS: f64 = 50.0;

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let commits = &spec.commits;
    let working_rate = commits.per_week * commits.working_share / WORKING_HOURS;
    let other_rate = commits.per_week * (1.0 - commits.working_share) / (168.0 - WORKING_HOURS);
    let hours = (record.end.as_micros() - record.history_start.as_micros())
        / SimTime::from_hours(1).as_micros();
    for service in 0..spec.services.count {
        let mut stream = streams.open("commits", u64::from(service));
        let mut day_factor = 1.0;
        for hour in 0..hours {
            if hour % 24 == 0 {
                day_factor = stream.gamma(commits.dispersion, 1.0);
            }
            let start = record.history_start + SimTime::from_hours(hour);
            let rate = if is_working(start) {
                working_rate
            } else {
                other_rate
            };
            for _ in 0..stream.poisson(rate * day_factor) {
                let at = start + SimTime::from_secs_f64(stream.uniform(0.0, 3600.0));
                record.commits.push(Commit {
                    at,
                    service,
                    build: BuildResult::Passed,
                });
            }
        }
    }
    record.commits.sort_unstable();
}
