//! `[dependencies]`: what upstream does and how soon it must be followed.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Dependencies: what upstream does and how soon it must be followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DependenciesSpec {
    /// Upstream releases that will be adopted, a week and service.
    pub upstream_per_week: f64,
    /// Does the telemetry show upstream releases? Recorded histories often do not.
    pub upstream_visible: bool,
    /// Mean number of them that are adopted together; counts are geometric.
    pub per_batch: f64,
    /// Days between the upstream trains on which those arrive; 0 for none.
    pub upstream_train_days: f64,
    /// Median time to their adoption, hours.
    pub adoption_hours: f64,
    /// Standard deviation of its log.
    pub adoption_sigma: f64,
    /// Advisories that hit a service, a month.
    pub advisories_per_month: f64,
    /// Share of advisories against a library that every service uses.
    pub shared_library_share: f64,
    /// Days a year on which a database publishes many advisories at once.
    pub bulk_days_per_year: f64,
    /// Mean number that hit a service on such a day.
    pub bulk_size: f64,
    /// Median time from publication until the fix is wanted, hours.
    pub triage_hours: f64,
    /// Probability that an open advisory is exploited within 30 days.
    pub exploit_probability_30d: f64,
}

impl Default for DependenciesSpec {
    fn default() -> Self {
        Self {
            upstream_per_week: 1.0,
            upstream_visible: true,
            per_batch: 1.0,
            upstream_train_days: 0.0,
            adoption_hours: 20.0,
            adoption_sigma: 0.8,
            advisories_per_month: 1.0,
            shared_library_share: 0.0,
            bulk_days_per_year: 0.0,
            bulk_size: 5.0,
            triage_hours: 3.0,
            exploit_probability_30d: 0.02,
        }
    }
}

impl DependenciesSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("upstream_per_week", self.upstream_per_week, 0.0, 1000.0);
        ranges.number("per_batch", self.per_batch, 1.0, 1000.0);
        if self.upstream_train_days != 0.0 {
            ranges.number(
                "upstream_train_days",
                self.upstream_train_days,
                0.25,
                3660.0,
            );
        }
        ranges.number("adoption_hours", self.adoption_hours, 0.01, 10_000.0);
        ranges.number("adoption_sigma", self.adoption_sigma, 0.0, 3.0);
        ranges.number(
            "advisories_per_month",
            self.advisories_per_month,
            0.0,
            1000.0,
        );
        ranges.share("shared_library_share", self.shared_library_share);
        ranges.number("bulk_days_per_year", self.bulk_days_per_year, 0.0, 365.0);
        ranges.number("bulk_size", self.bulk_size, 0.0, 1000.0);
        ranges.number("triage_hours", self.triage_hours, 0.01, 10_000.0);
        ranges.number(
            "exploit_probability_30d",
            self.exploit_probability_30d,
            0.0,
            0.999,
        );
    }
}
