//! `[control]`: settings of the control loop that no policy turns.
use prestage_controller::{Staffing, WaitTarget};
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Settings of the control loop that no policy turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlSpec {
    /// By which rule a load requires replicas; the world counts violations by the same.
    pub staffing: StaffingName,
    /// A wait of more mean service times than this counts (`erlang-c`).
    pub wait_service_times: f64,
    /// Largest probability of such a wait (`erlang-c`), or of any (`square-root`).
    pub wait_probability: f64,
    /// A model whose forecasts have got worse is retrained before it is due.
    pub retrain_on_drift: bool,
}

/// [`Staffing`] without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaffingName {
    /// Every replica takes its rated load.
    Utilization,
    /// Erlang's C formula.
    ErlangC,
    /// The square-root rule.
    SquareRoot,
}

impl Default for ControlSpec {
    fn default() -> Self {
        Self {
            staffing: StaffingName::Utilization,
            wait_service_times: 0.0,
            wait_probability: 0.2,
            retrain_on_drift: false,
        }
    }
}

impl ControlSpec {
    /// Whether every setting has its default.
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The rule with its numbers.
    pub fn staffing(&self) -> Staffing {
        let target = WaitTarget {
            service_times: self.wait_service_times,
            probability: self.wait_probability,
        };
        match self.staffing {
            StaffingName::Utilization => Staffing::Utilization,
            StaffingName::ErlangC => Staffing::ErlangC(target),
            StaffingName::SquareRoot => Staffing::SquareRoot(target),
        }
    }

    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("wait_service_times", self.wait_service_times, 0.0, 1_000.0);
        ranges.number("wait_probability", self.wait_probability, 0.001, 0.999);
    }
}
