//! `[dials]`: the channels through which adapting can pay.
//!
//! With a calibrated forecast and constant hazard, prices, lead time and capacity
//! the best threshold is a constant, and no rule that adapts can beat it. Each
//! dial opens one channel; all at zero is the negative control on which the
//! harness must report that adapting gains nothing.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// One dial a channel: 0 is off, 1 the strength that the sections describe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialsSpec {
    /// D1: hidden regimes (quiet, usual, busy) of about two days multiply the rates
    /// of releases, updates and bursts by 4^(-d), 1 and 4^d.
    pub calibration_drift: f64,
    /// D2: how far prices move with the hour and with open incidents.
    pub price_changes: f64,
    /// D3: how scarce the runners are: the pool has `runners.count` / d jobs.
    pub shared_runners: f64,
    /// D4: how far lead times follow the hour and the load on reviewers.
    pub load_dependent_lead: f64,
    /// D5: how far the truth moves between two trainings of a model.
    pub retrain_staleness: f64,
    /// D6: share of needs that one cause brings to every service at once.
    pub correlated_needs: f64,
    /// D7: how far the hazard follows working hours and weekdays.
    pub moving_hazard: f64,
}

impl Default for DialsSpec {
    fn default() -> Self {
        Self {
            calibration_drift: 0.0,
            price_changes: 1.0,
            shared_runners: 1.0,
            load_dependent_lead: 1.0,
            retrain_staleness: 0.0,
            correlated_needs: 0.0,
            moving_hazard: 1.0,
        }
    }
}

impl DialsSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("calibration_drift", self.calibration_drift, 0.0, 2.0);
        ranges.number("price_changes", self.price_changes, 0.0, 2.0);
        ranges.number("shared_runners", self.shared_runners, 0.0, 4.0);
        ranges.number("load_dependent_lead", self.load_dependent_lead, 0.0, 2.0);
        ranges.number("retrain_staleness", self.retrain_staleness, 0.0, 4.0);
        ranges.share("correlated_needs", self.correlated_needs);
        ranges.share("moving_hazard", self.moving_hazard);
    }
}
