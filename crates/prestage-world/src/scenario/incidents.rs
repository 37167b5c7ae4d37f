//! `[incidents]`: failures that nobody deployed.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Incidents of a service that come by themselves; those that a deployment
/// causes are in `[operation]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentsSpec {
    /// Incidents a month and service.
    pub per_month: f64,
    /// Median time to recovery, minutes.
    pub recovery_minutes: f64,
    /// Standard deviation of its log.
    pub recovery_sigma: f64,
    /// Load during an incident over the usual (clients that repeat).
    pub load_factor: f64,
    /// Share of the replicas that an incident takes out of service.
    pub capacity_loss: f64,
    /// Share of incidents that strike every service at once.
    pub shared_share: f64,
}

impl Default for IncidentsSpec {
    fn default() -> Self {
        Self {
            per_month: 0.5,
            recovery_minutes: 50.0,
            recovery_sigma: 0.8,
            load_factor: 1.0,
            capacity_loss: 0.0,
            shared_share: 0.0,
        }
    }
}

impl IncidentsSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("per_month", self.per_month, 0.0, 300.0);
        ranges.number("recovery_minutes", self.recovery_minutes, 0.1, 43_200.0);
        ranges.number("recovery_sigma", self.recovery_sigma, 0.0, 3.0);
        ranges.number("load_factor", self.load_factor, 0.1, 20.0);
        ranges.number("capacity_loss", self.capacity_loss, 0.0, 0.99);
        ranges.share("shared_share", self.shared_share);
    }
}
