//! `speculation-threshold`: one probability for all, whatever a miss costs.
//!
//! A build queue speculates on a change when the probability that its result is wanted
//! passes a fixed threshold. Here: stage when the probability of a need within the
//! horizon does, and withdraw two log-odds below it, as every arm with a forecast does.
//! The published threshold is a company's own; one half is ours.
//!
//! Reference: Uber, CI at Scale: Lean, Green, and Fast (arXiv 2501.03440).
use super::Baseline;
use crate::arm::OnDemand;
use crate::cell::{CellSpec, need_index};
use crate::controller::odds;
use crate::knobs::KnobCenters;
use crate::parameter::{Parameter, Scale};
use crate::rule::{RuleEntry, Sight, StagingRule, Verdict};

pub(super) const ENTRY: Baseline = Baseline {
    name: "speculation-threshold",
    about: "stages when a need is more likely than a fixed probability, whatever the prices",
    centers: |_| KnobCenters::default(),
    on_demand: OnDemand::Template,
    rule: Some(&RULE),
};

static RULE: RuleEntry = RuleEntry {
    name: "speculation-threshold",
    parameters: &[Parameter {
        name: "threshold_probability",
        about: "least probability of a need that is staged for",
        default: 0.5,
        low: 0.01,
        high: 0.99,
        scale: Scale::Linear,
    }],
    build: |_, values| {
        Box::new(SpeculationThreshold {
            odds: std::array::from_fn(|need| odds(values[need][0])),
        })
    },
};

struct SpeculationThreshold {
    /// By need type.
    odds: [f64; 4],
}

impl StagingRule for SpeculationThreshold {
    fn verdict(&mut self, cell: &CellSpec, sight: &Sight) -> Verdict {
        Verdict::of_odds(odds(sight.probability), self.odds[need_index(cell.need)])
    }
}

#[cfg(test)]
mod tests {
    use prestage_lpt::NeedType;

    use super::*;
    use crate::baselines::stand::Stand;

    #[test]
    fn one_half_stages_and_an_eighth_withdraws() {
        for need in [NeedType::Scaling, NeedType::FeatureRelease] {
            let mut stand = Stand::new(&ENTRY, need);
            for (probability, expected) in [
                (0.51, Verdict::Stage),
                (0.49, Verdict::Keep),
                (0.12, Verdict::Keep),
                (0.11, Verdict::Withdraw),
            ] {
                stand.probability = probability;
                assert_eq!(stand.verdict(), expected, "{probability}");
            }
        }
    }
}
