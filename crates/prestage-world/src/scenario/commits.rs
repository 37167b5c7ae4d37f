//! `[commits]`: commits and the builds that they start.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Commits and the builds they start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommitsSpec {
    /// Commits a week and service.
    pub per_week: f64,
    /// Share that falls into working hours; where the dial of the moving hazard
    /// stands below 1, part of them is spread over the week instead.
    pub working_share: f64,
    /// Gamma shape of the day-to-day multiplier; small is over-dispersed.
    pub dispersion: f64,
    /// Mean number of commits that arrive together; counts are geometric.
    pub per_push: f64,
    /// Median build, minutes on one runner.
    pub build_minutes: f64,
    /// Standard deviation of its log.
    pub build_sigma: f64,
    /// Share of builds that take [`CommitsSpec::slow_factor`] times as long: the
    /// second component of a lognormal mixture.
    pub slow_share: f64,
    /// How much longer those take.
    pub slow_factor: f64,
    /// Probability that a build fails because of its commit.
    pub build_failure_probability: f64,
    /// P(a build fails | the one before failed) / P(a build fails).
    pub build_failure_clustering: f64,
    /// Probability that a build fails for no reason and passes when repeated.
    pub flaky_probability: f64,
}

impl Default for CommitsSpec {
    fn default() -> Self {
        Self {
            per_week: 60.0,
            working_share: 0.8,
            dispersion: 2.0,
            per_push: 1.0,
            build_minutes: 14.0,
            build_sigma: 0.7,
            slow_share: 0.0,
            slow_factor: 4.0,
            build_failure_probability: 0.08,
            build_failure_clustering: 2.0,
            flaky_probability: 0.02,
        }
    }
}

impl CommitsSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("per_week", self.per_week, 0.0, 10_000.0);
        ranges.share("working_share", self.working_share);
        ranges.number("dispersion", self.dispersion, 0.05, 1000.0);
        ranges.number("per_push", self.per_push, 1.0, 1000.0);
        ranges.number("build_minutes", self.build_minutes, 0.1, 1440.0);
        ranges.number("build_sigma", self.build_sigma, 0.0, 2.0);
        ranges.share("slow_share", self.slow_share);
        ranges.number("slow_factor", self.slow_factor, 1.0, 100.0);
        check_failures(
            ranges,
            self.build_failure_probability,
            self.build_failure_clustering,
            "build_failure",
        );
        ranges.number("flaky_probability", self.flaky_probability, 0.0, 0.9);
    }
}

/// A two-state chain with this mean and this persistence must exist.
pub(super) fn check_failures(ranges: &mut Ranges, probability: f64, clustering: f64, prefix: &str) {
    ranges.number(&format!("{prefix}_probability"), probability, 0.0, 0.9);
    ranges.number(&format!("{prefix}_clustering"), clustering, 1.0, 20.0);
    ranges.number(
        &format!("{prefix}_probability x {prefix}_clustering"),
        probability * clustering,
        0.0,
        0.95,
    );
}
