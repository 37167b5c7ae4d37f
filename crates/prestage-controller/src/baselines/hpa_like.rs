//! `hpa-like`: Kubernetes' Horizontal Pod Autoscaler with its stabilisation window.
//!
//! desired = ceil(replicas x utilization / target), no change within the tolerance of
//! 10 %; going down takes the largest recommendation of the last 300 seconds. The target
//! is that of the documentation's walkthrough, 50 %. A stage is the order for replicas,
//! which arrives after its lead time: the product itself has no such delay before its
//! order. It only scales.
//!
//! Reference: Kubernetes documentation, Horizontal Pod Autoscaling, "Algorithm details"
//! and "Stabilization window".
use prestage_forecast::{HPA_TOLERANCE, RATED_UTILIZATION, hpa_replicas};
use prestage_lpt::NeedType;
use prestage_telemetry::{Tail, Timestamp};

use super::Baseline;
use super::five_minutes::{BIN, LoadReader, replicas};
use crate::arm::OnDemand;
use crate::cell::{CellSpec, need_index};
use crate::knobs::KnobCenters;
use crate::parameter::{Parameter, Scale};
use crate::rule::{RuleEntry, Sight, StagingRule, Verdict};

pub(super) const ENTRY: Baseline = Baseline {
    name: "hpa-like",
    about: "Kubernetes' autoscaler: replicas for a target utilization, with a stabilisation window",
    centers: |_| KnobCenters::default(),
    on_demand: OnDemand::Template,
    rule: Some(&RULE),
};

static RULE: RuleEntry = RuleEntry {
    name: "hpa-like",
    parameters: &[Parameter {
        name: "target_utilization",
        about: "share of a replica's capacity that is to be in use",
        default: 0.5,
        low: 0.2,
        high: 0.8,
        scale: Scale::Linear,
    }],
    build: |cells, values| {
        Box::new(HpaLike {
            target_utilization: values[need_index(NeedType::Scaling)][0],
            services: vec![Recommendations::default(); cells.len()],
        })
    },
};

/// `--horizontal-pod-autoscaler-downscale-stabilization`, in bins of the metric.
const STABILIZATION_BINS: i64 = 300_000_000 / BIN;

struct HpaLike {
    target_utilization: f64,
    /// By cell.
    services: Vec<Recommendations>,
}

#[derive(Clone, Debug, Default)]
struct Recommendations {
    load: LoadReader,
    replicas: f64,
    desired: u32,
    /// Bin and value of those inside the window.
    recent: Vec<(i64, u32)>,
}

impl HpaLike {
    fn desired(&self, load: f64, replicas: f64, rated_load: f64) -> u32 {
        let utilization = load * RATED_UTILIZATION / (replicas.max(1.0) * rated_load);
        hpa_replicas(
            replicas,
            utilization / self.target_utilization,
            HPA_TOLERANCE,
        )
    }
}

impl StagingRule for HpaLike {
    fn observe(&mut self, cell: &CellSpec, tail: &Tail, now: Timestamp) {
        if cell.need != NeedType::Scaling {
            return;
        }
        let running = replicas(cell.service, tail);
        let mut latest = None;
        let state = &mut self.services[cell.id.index()];
        state.replicas = running;
        state.load.read(cell.service, tail, now, |bin, mean| {
            latest = Some((bin, mean))
        });
        if let Some((bin, load)) = latest {
            let desired = self.desired(load, running, cell.rated_load_per_replica);
            let state = &mut self.services[cell.id.index()];
            state.desired = desired;
            state.recent.push((bin, desired));
            state
                .recent
                .retain(|&(at, _)| at >= bin - STABILIZATION_BINS);
        }
    }

    fn verdict(&mut self, cell: &CellSpec, _sight: &Sight) -> Verdict {
        let state = &self.services[cell.id.index()];
        if f64::from(state.desired) > state.replicas {
            return Verdict::Stage;
        }
        let highest = state.recent.iter().map(|&(_, desired)| desired).max();
        if highest.is_some_and(|desired| f64::from(desired) > state.replicas) {
            Verdict::Keep
        } else {
            Verdict::Withdraw
        }
    }

    fn magnitude(&self, cell: &CellSpec, _sight: &Sight) -> u32 {
        self.services[cell.id.index()].desired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::stand::Stand;

    #[test]
    fn replicas_follow_the_formula_the_tolerance_and_the_window() {
        // Ten units a replica at 80 %; 4 replicas at a target of 50 % carry 25.
        let mut stand = Stand::new(&ENTRY, NeedType::Scaling);
        stand.replicas(4.0);
        stand.load(27.0);
        assert_eq!(stand.verdict(), Verdict::Withdraw, "8 % above the target");
        stand.load(30.0);
        // 4 x (30 x 0.8 / 40) / 0.5 = 4.8.
        assert_eq!((stand.verdict(), stand.magnitude()), (Verdict::Stage, 5));
        stand.load(20.0);
        assert_eq!(stand.verdict(), Verdict::Keep, "300 seconds are not over");
        stand.load(20.0);
        assert_eq!(stand.verdict(), Verdict::Withdraw);
    }

    #[test]
    fn it_only_scales() {
        let mut stand = Stand::new(&ENTRY, NeedType::FeatureRelease);
        stand.load(1e6);
        assert_eq!(stand.verdict(), Verdict::Withdraw);
    }
}
