//! Test suites: durations that grow by a trend and in steps, with noise from run
//! to run; runs fail in clusters. The need is not drawn: it arises where the median
//! of recent runs passes the budget, which depends on how many shards there are by
//! then.
use prestage_controller::NeedType;
use prestage_des::{SimTime, Stream, Streams};

use super::commits::Failures;
use super::{Workload, poisson_arrivals};
use crate::exogenous::{Exogenous, SuiteRun};
use crate::scenario::{ScenarioSpec, SuiteSpec};

pub(super) const ENTRY: Workload = Workload {
    name: "suite",
    about: "test-suite runs: trend and step growth with lognormal noise, clustered failures",
    generate,
};

/// Steps lift the duration by at most e^9, about 8,000 times, in one scenario.
const STEPS_LOG_MAX: f64 = 9.0;

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let suite = &spec.suite;
    for service in 0..spec.services.with_cell(NeedType::TestSuite) {
        let mut stream = streams.open("suite", u64::from(service));
        let mut steps = steps(suite, &mut stream, record).into_iter().peekable();
        let start_log = (suite.minutes * 60.0).ln() + stream.normal(0.0, 0.2);
        // Shards that fit the suite on the first day with a tenth to spare.
        let shards = (start_log.exp() * 1.1 / (suite.budget_minutes * 60.0)).ceil();
        record.shards[service as usize] = shards.clamp(1.0, 1e4) as u32;
        let mut results = streams.open("suite-results", u64::from(service));
        let mut failures = Failures::new(suite.failure_probability, suite.failure_clustering);
        let mut grown: f64 = 0.0;
        for at in poisson_arrivals(
            &mut stream,
            suite.runs_per_day,
            record.history_start,
            record.end,
        ) {
            while let Some((_, log)) = steps.next_if(|(step, _)| *step <= at) {
                grown = (grown + log).min(STEPS_LOG_MAX);
            }
            let weeks = (at.as_days_f64() - record.history_start.as_days_f64()) / 7.0;
            let log = start_log + weeks * suite.growth_per_week.ln_1p() + grown;
            record.suite_runs.push(SuiteRun {
                at,
                service,
                seconds: stream.lognormal(log.exp(), suite.sigma),
                failed: Some(failures.next(&mut results)),
            });
        }
    }
    record.suite_runs.sort_by_key(|run| (run.at, run.service));
}

/// When groups of tests are added, and the log of their effect.
fn steps(suite: &SuiteSpec, stream: &mut Stream, record: &Exogenous) -> Vec<(SimTime, f64)> {
    let per_day = suite.steps_per_month / 30.0;
    poisson_arrivals(stream, per_day, record.history_start, record.end)
        .into_iter()
        .map(|at| (at, suite.step_factor.ln() * stream.lognormal(1.0, 0.4)))
        .collect()
}
