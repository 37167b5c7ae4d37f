//! `aws-like`: scheduled capacity for the hour, started a fixed buffer ahead of it.
//!
//! Predictive scaling forecasts a capacity for every hour and brings it a scheduling
//! buffer before the hour begins, 300 seconds unless told otherwise and whatever the lead
//! time of the fleet is. The forecast is the cell's own, at its median, renewed every
//! six hours. It only scales.
//!
//! Reference: Amazon EC2 Auto Scaling API, `PredictiveScalingConfiguration`
//! (`SchedulingBufferTime`).
use prestage_lpt::NeedType;
use prestage_telemetry::{Span, Tail, Timestamp};

use super::Baseline;
use super::five_minutes::replicas;
use crate::arm::OnDemand;
use crate::cell::{CellSpec, need_index};
use crate::knobs::KnobCenters;
use crate::parameter::{Parameter, Scale};
use crate::rule::{RuleEntry, Sight, StagingRule, Verdict};

pub(super) const ENTRY: Baseline = Baseline {
    name: "aws-like",
    about: "capacity forecast by the hour, started a fixed buffer of five minutes ahead",
    centers: |_| centers(),
    on_demand: OnDemand::Template,
    rule: Some(&RULE),
};

static RULE: RuleEntry = RuleEntry {
    name: "aws-like",
    parameters: &[Parameter {
        name: "scheduling_buffer_minutes",
        about: "how long before the hour its capacity is started",
        default: 5.0,
        low: 0.0,
        high: 60.0,
        scale: Scale::Linear,
    }],
    build: |cells, values| {
        Box::new(AwsLike {
            buffer: Span::from_seconds_f64(values[need_index(NeedType::Scaling)][0] * 60.0),
            replicas: vec![0.0; cells.len()],
        })
    },
};

const HOUR: i64 = 3_600_000_000;

fn centers() -> KnobCenters {
    let mut centers = KnobCenters::default();
    for need in NeedType::ALL {
        centers.of_mut(need).quantile_rung = 0;
        centers.of_mut(need).retrain_h = 6.0;
    }
    centers
}

struct AwsLike {
    buffer: Span,
    /// By cell.
    replicas: Vec<f64>,
}

impl AwsLike {
    /// To the end of the hour whose capacity must have been started by now.
    fn covered(&self, now: Timestamp) -> Span {
        let hour = (now.0 + self.buffer.0).div_euclid(HOUR);
        Span((hour + 1) * HOUR - now.0)
    }
}

impl StagingRule for AwsLike {
    fn observe(&mut self, cell: &CellSpec, tail: &Tail, _now: Timestamp) {
        self.replicas[cell.id.index()] = replicas(cell.service, tail);
    }

    fn verdict(&mut self, cell: &CellSpec, sight: &Sight) -> Verdict {
        let wanted = match cell.need {
            NeedType::Scaling => self.magnitude(cell, sight),
            _ => 0,
        };
        if f64::from(wanted) > self.replicas[cell.id.index()] {
            Verdict::Stage
        } else {
            Verdict::Withdraw
        }
    }

    fn magnitude(&self, _cell: &CellSpec, sight: &Sight) -> u32 {
        sight.magnitude_over(self.covered(sight.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::stand::Stand;

    #[test]
    fn the_next_hours_capacity_is_started_five_minutes_before_it() {
        // Two replicas by night, six from eight to twenty, every day; three run.
        let mut stand = Stand::new(&ENTRY, NeedType::Scaling);
        stand.replicas(3.0);
        stand.days(14, |hour| {
            if (8.0..20.0).contains(&hour) {
                60.0
            } else {
                20.0
            }
        });
        stand.forward_to(6, 50);
        assert_eq!(
            stand.verdict(),
            Verdict::Withdraw,
            "the hour from 6 needs two"
        );
        // The forecaster's profile rises from half past seven on.
        stand.forward_to(6, 55);
        assert_eq!(stand.verdict(), Verdict::Stage);
        assert!(stand.magnitude() > 3);
    }
}
