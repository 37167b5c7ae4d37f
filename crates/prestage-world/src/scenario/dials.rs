//! `[dials]`: the channels through which adapting can pay.
//!
//! With a calibrated forecast and constant hazard, prices, lead time and capacity
//! the best threshold is a constant, and no rule that adapts can beat it. Each
//! dial opens one channel; all at zero is the negative control on which the
//! harness must report that adapting gains nothing.
use serde::{Deserialize, Serialize};

use super::operation::OperationSpec;
use super::ranges::Ranges;
use super::runners::RunnersSpec;

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

/// A pool in which nothing waits.
const RUNNERS_UNLIMITED: u32 = 1_000_000;

impl DialsSpec {
    /// How the organisation works with D2 and D4 where they stand: factors are
    /// taken to the power of the dial, so that 0 makes each of them 1.
    pub fn operation(&self, operation: &OperationSpec) -> OperationSpec {
        let mut dialed = operation.clone();
        for factor in [
            &mut dialed.off_hours_people_factor,
            &mut dialed.incident_people_factor,
        ] {
            *factor = factor.powf(self.price_changes);
        }
        dialed.off_hours_review_factor = dialed
            .off_hours_review_factor
            .powf(self.load_dependent_lead);
        dialed.review_backlog_factor *= self.load_dependent_lead;
        dialed
    }

    /// Jobs that run at once with D3 where it stands.
    pub fn runners(&self, runners: &RunnersSpec) -> u32 {
        if self.shared_runners == 0.0 {
            return RUNNERS_UNLIMITED;
        }
        let count = (f64::from(runners.count) / self.shared_runners).ceil();
        (count as u32).clamp(1, RUNNERS_UNLIMITED)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_makes_prices_leads_and_capacity_constant() {
        let off = DialsSpec {
            price_changes: 0.0,
            shared_runners: 0.0,
            load_dependent_lead: 0.0,
            ..DialsSpec::default()
        };
        let operation = off.operation(&OperationSpec::default());
        assert_eq!(operation.off_hours_people_factor, 1.0);
        assert_eq!(operation.incident_people_factor, 1.0);
        assert_eq!(operation.off_hours_review_factor, 1.0);
        assert_eq!(operation.review_backlog_factor, 0.0);
        assert_eq!(off.runners(&RunnersSpec::default()), RUNNERS_UNLIMITED);
    }

    #[test]
    fn one_leaves_what_the_sections_say() {
        let on = DialsSpec::default();
        let operation = OperationSpec::default();
        assert_eq!(on.operation(&operation), operation);
        assert_eq!(
            on.runners(&RunnersSpec::default()),
            RunnersSpec::default().count
        );
        let scarce = DialsSpec {
            shared_runners: 3.0,
            ..on
        };
        assert_eq!(
            scarce.runners(&RunnersSpec::default()),
            2,
            "4 / 3, rounded up"
        );
    }
}
