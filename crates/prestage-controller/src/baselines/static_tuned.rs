//! `static-tuned`, S in reports: constant knobs, as good as a search finds them.
use super::Baseline;
use crate::arm::OnDemand;

pub(super) const ENTRY: Baseline = Baseline {
    name: "static-tuned",
    about: "the best constant knobs that a search found on tuning seeds",
    centers: Clone::clone,
    on_demand: OnDemand::Template,
    rule: None,
};
