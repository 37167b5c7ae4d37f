//! The fixed policies whose order is compared: baselines and single turned knobs.
use prestage_controller::{Arm, KnobCenter, KnobCenters, NeedType, baseline};

/// A policy that never moves its knobs.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedPolicy {
    /// The arm.
    pub arm: Arm,
    /// Need types in which it can differ from the newsvendor rule; elsewhere it would be
    /// that rule again and is not ranked.
    pub needs: &'static [NeedType],
}

/// Baselines that need no tuning.
const BASELINE_NAMES: [&str; 4] = ["never", "reactive", "always", "newsvendor"];
/// Needs whose stages have a size.
const SIZED: &[NeedType] = &[NeedType::Scaling, NeedType::TestSuite];

/// The newsvendor rule with one knob elsewhere.
struct Turned {
    name: &'static str,
    turn: fn(&mut KnobCenter),
    needs: &'static [NeedType],
}

/// Levels as a learnt policy could set them: 1 log-odds, one rung, a factor of 1.41.
static TURNED: [Turned; 8] = [
    Turned {
        name: "threshold-2",
        turn: |center| center.threshold_log_odds -= 2.0,
        needs: &NeedType::ALL,
    },
    Turned {
        name: "threshold-1",
        turn: |center| center.threshold_log_odds -= 1.0,
        needs: &NeedType::ALL,
    },
    Turned {
        name: "threshold+1",
        turn: |center| center.threshold_log_odds += 1.0,
        needs: &NeedType::ALL,
    },
    Turned {
        name: "threshold+2",
        turn: |center| center.threshold_log_odds += 2.0,
        needs: &NeedType::ALL,
    },
    Turned {
        name: "quantile-2",
        turn: |center| center.quantile_rung -= 2,
        needs: SIZED,
    },
    Turned {
        name: "quantile+2",
        turn: |center| center.quantile_rung += 2,
        needs: SIZED,
    },
    Turned {
        name: "horizon-2",
        turn: |center| center.horizon_leads /= 2.0,
        needs: &NeedType::ALL,
    },
    Turned {
        name: "horizon+2",
        turn: |center| center.horizon_leads *= 2.0,
        needs: &NeedType::ALL,
    },
];

/// All fixed policies, in report order.
pub fn fixed_policies() -> Vec<FixedPolicy> {
    let untuned = KnobCenters::default();
    let baselines = BASELINE_NAMES.iter().map(|name| FixedPolicy {
        arm: baseline(name)
            .expect("the names are those of baselines")
            .arm(&untuned),
        needs: &NeedType::ALL,
    });
    baselines.chain(TURNED.iter().map(Turned::policy)).collect()
}

impl Turned {
    fn policy(&self) -> FixedPolicy {
        let mut centers = KnobCenters::default();
        for need in NeedType::ALL {
            (self.turn)(centers.of_mut(need));
        }
        FixedPolicy {
            arm: Arm::at(self.name, centers),
            needs: self.needs,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prestage_controller::QUANTILES;

    use super::*;

    #[test]
    fn twelve_different_policies_with_knobs_in_range() {
        let policies = fixed_policies();
        let names: BTreeSet<&str> = policies.iter().map(|p| p.arm.name.as_str()).collect();
        assert_eq!(names.len(), 12);
        for need in NeedType::ALL {
            for policy in &policies {
                let center = policy.arm.centers.of(need);
                assert!(usize::from(center.quantile_rung) < QUANTILES.len());
                assert!((0.5..=4.0).contains(&center.horizon_leads));
            }
            let ranked = policies.iter().filter(|p| p.needs.contains(&need));
            assert!(ranked.count() >= 8, "{need} ranks at least eight policies");
        }
    }
}
