//! `newsvendor`: the critical fractile of the prices, with nothing tuned.
//!
//! Reference: Arrow, Harris and Marschak, Optimal Inventory Policy (1951).
use super::Baseline;
use crate::arm::OnDemand;
use crate::knobs::KnobCenters;

pub(super) const ENTRY: Baseline = Baseline {
    name: "newsvendor",
    about: "stages when the forecast passes the critical fractile of its prices",
    centers: |_| KnobCenters::default(),
    on_demand: OnDemand::Template,
    rule: None,
};
