//! `never`: the world without prestage. Each stage is written by a person.
use super::Baseline;
use crate::arm::OnDemand;
use crate::knobs::KnobCenters;

pub(super) const ENTRY: Baseline = Baseline {
    name: "never",
    about: "no generator: each stage is written by hand when it is asked for",
    centers: |_| KnobCenters::default().with_threshold(f64::INFINITY),
    on_demand: OnDemand::ByHand,
    rule: None,
};
