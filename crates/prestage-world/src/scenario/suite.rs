//! `[suite]`: test suites.
use serde::{Deserialize, Serialize};

use super::commits::check_failures;
use super::ranges::Ranges;

/// Test suites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuiteSpec {
    /// Runs a day and service.
    pub runs_per_day: f64,
    /// Duration on one shard at the start, minutes.
    pub minutes: f64,
    /// Standard deviation of its log from run to run.
    pub sigma: f64,
    /// Growth a week.
    pub growth_per_week: f64,
    /// Steps (a new group of tests) a month.
    pub steps_per_month: f64,
    /// Median size of a step.
    pub step_factor: f64,
    /// Longest time one shard may take, minutes.
    pub budget_minutes: f64,
    /// Probability that a run fails.
    pub failure_probability: f64,
    /// P(a run fails | the one before failed) / P(a run fails).
    pub failure_clustering: f64,
}

impl Default for SuiteSpec {
    fn default() -> Self {
        Self {
            runs_per_day: 8.0,
            minutes: 40.0,
            sigma: 0.12,
            growth_per_week: 0.03,
            steps_per_month: 2.0,
            step_factor: 1.12,
            budget_minutes: 15.0,
            failure_probability: 0.1,
            failure_clustering: 2.0,
        }
    }
}

impl SuiteSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("runs_per_day", self.runs_per_day, 0.0, 1000.0);
        ranges.number("minutes", self.minutes, 0.01, 10_000.0);
        ranges.number("sigma", self.sigma, 0.0, 2.0);
        ranges.number("growth_per_week", self.growth_per_week, -0.5, 0.5);
        ranges.number("steps_per_month", self.steps_per_month, 0.0, 100.0);
        ranges.number("step_factor", self.step_factor, 1.0, 10.0);
        ranges.number("budget_minutes", self.budget_minutes, 0.01, 10_000.0);
        check_failures(
            ranges,
            self.failure_probability,
            self.failure_clustering,
            "failure",
        );
    }
}
