//! `[runners]`: the shared pool on which builds and stages run.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// The shared runner pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunnersSpec {
    /// Jobs that run at once.
    pub count: u32,
    /// Speculative jobs give way to builds at once and start anew later.
    pub preempt_speculative: bool,
    /// Outages a month.
    pub outages_per_month: f64,
    /// Median length of an outage, hours.
    pub outage_hours: f64,
    /// Share of the pool that an outage takes.
    pub outage_share: f64,
}

impl Default for RunnersSpec {
    fn default() -> Self {
        Self {
            count: 4,
            preempt_speculative: false,
            outages_per_month: 0.0,
            outage_hours: 4.0,
            outage_share: 0.5,
        }
    }
}

impl RunnersSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.count("count", self.count, 1, 100_000);
        ranges.number("outages_per_month", self.outages_per_month, 0.0, 300.0);
        ranges.number("outage_hours", self.outage_hours, 0.01, 720.0);
        ranges.number("outage_share", self.outage_share, 0.0, 0.99);
    }
}
