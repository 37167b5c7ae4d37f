//! One arm of a comparison, apart from the policy that turns its knobs.
use serde::{Deserialize, Serialize};

use crate::knobs::KnobCenters;
use crate::rule::Rule;

/// Who writes the stage when a need finds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDemand {
    /// The stage is synthesised from its template when it is asked for.
    Template,
    /// A person writes it, as without prestage.
    ByHand,
}

/// One arm of a comparison, apart from the policy that turns its knobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Name in tables.
    pub name: String,
    /// Where the levels are centred.
    pub centers: KnobCenters,
    /// What a missed need waits for.
    pub on_demand: OnDemand,
    /// What decides instead of forecast and threshold; `None` for all but the rules of
    /// other products.
    pub rule: Option<Rule>,
}

impl Arm {
    /// An arm that stages by forecast and threshold around these centres.
    pub fn at(name: &str, centers: KnobCenters) -> Self {
        Self {
            name: name.to_owned(),
            centers,
            on_demand: OnDemand::Template,
            rule: None,
        }
    }
}
