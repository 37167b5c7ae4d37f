//! `reactive`: the generator without any forecast.
use super::Baseline;
use crate::arm::OnDemand;
use crate::knobs::KnobCenters;

pub(super) const ENTRY: Baseline = Baseline {
    name: "reactive",
    about: "synthesises each stage from its template the moment it is asked for, never before",
    centers: |_| KnobCenters::default().with_threshold(f64::INFINITY),
    on_demand: OnDemand::Template,
    rule: None,
};
