//! `always`: the upper end of speculation, whatever it costs.
use super::Baseline;
use crate::arm::OnDemand;
use crate::knobs::KnobCenters;

pub(super) const ENTRY: Baseline = Baseline {
    name: "always",
    about: "keeps a stage of every kind staged at all times",
    centers: |_| KnobCenters::default().with_threshold(f64::NEG_INFINITY),
    on_demand: OnDemand::Template,
    rule: None,
};
