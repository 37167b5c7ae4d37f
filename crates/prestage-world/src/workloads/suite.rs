//! Test suites: durations that grow by a trend and in steps, with noise from run
//! to run. The need is not drawn: it arises where the median of recent runs
//! passes the budget, which depends on how many shards there are by then.
use prestage_des::{SimTime, Streams};

use super::{Workload, poisson_arrivals};
use crate::exogenous::{Exogenous, SuiteRun};
use crate::scenario::ScenarioSpec;

pub(super) const ENTRY: Workload = Workload {
    name: "suite",
    about: "test-suite runs: trend and step growth with lognormal noise",
    generate,
};

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let suite = &spec.suite;
    for service in 0..spec.services.count {
        let mut stream = streams.open("suite", u64::from(service));
        let steps = poisson_arrivals(
            &mut stream,
            suite.steps_per_month / 30.0,
            record.history_start,
            record.end,
        );
        let steps: Vec<(SimTime, f64)> = steps
            .into_iter()
            .map(|at| (at, suite.step_factor.ln() * stream.lognormal(1.0, 0.4)))
            .collect();
        let start_log = (suite.minutes * 60.0).ln() + stream.normal(0.0, 0.2);
        // Shards that fit the suite on the first day with a tenth to spare.
        let shards = (start_log.exp() * 1.1 / (suite.budget_minutes * 60.0)).ceil();
        record.shards[service as usize] = shards.clamp(1.0, 1e4) as u32;
        for at in poisson_arrivals(
            &mut stream,
            suite.runs_per_day,
            record.history_start,
            record.end,
        ) {
            let weeks = (at.as_days_f64() - record.history_start.as_days_f64()) / 7.0;
            let grown: f64 = steps
                .iter()
                .filter(|(step, _)| *step <= at)
                .map(|(_, log)| log)
                .sum();
            let log = start_log + weeks * suite.growth_per_week.ln_1p() + grown;
            let seconds = stream.lognormal(log.exp(), suite.sigma);
            record.suite_runs.push(SuiteRun {
                at,
                service,
                seconds,
                failed: None,
            });
        }
    }
    record.suite_runs.sort_by_key(|run| (run.at, run.service));
}
