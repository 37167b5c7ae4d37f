//! `[telemetry]`: what the controller does not get to see.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Gaps in the telemetry: the world goes on, its samples are lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySpec {
    /// Gaps a month and service.
    pub gaps_per_month: f64,
    /// Median length of a gap, hours.
    pub gap_hours: f64,
}

impl Default for TelemetrySpec {
    fn default() -> Self {
        Self {
            gaps_per_month: 0.0,
            gap_hours: 6.0,
        }
    }
}

impl TelemetrySpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("gaps_per_month", self.gaps_per_month, 0.0, 300.0);
        ranges.number("gap_hours", self.gap_hours, 0.01, 720.0);
    }
}
