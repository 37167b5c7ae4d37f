//! The rules a learnt policy has to beat, on the same `reconcile`.
//!
//! Most are a setting of the knob centres with the neutral action. Where a product
//! decides in a way that no knob expresses, the baseline brings a
//! [`StagingRule`](crate::StagingRule). They are like-for-like re-implementations on our
//! cells: a product that only scales leaves the other need types to demand. A new one is
//! a file and a line in [`BASELINES`].
mod always;
mod aws_like;
mod crane_like;
mod five_minutes;
mod hpa_like;
mod hybrid_histogram;
mod never;
mod newsvendor;
mod reactive;
mod speculation_threshold;
#[cfg(test)]
mod stand;
mod static_pool;
mod static_tuned;

use crate::arm::{Arm, OnDemand};
use crate::knobs::KnobCenters;
use crate::parameter::Values;
use crate::rule::{Rule, RuleEntry};

/// An entry in the registry.
pub struct Baseline {
    /// Name on the command line and in tables.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Its centres, given those of the tuned static policy.
    pub centers: fn(tuned: &KnobCenters) -> KnobCenters,
    /// What a missed need waits for.
    pub on_demand: OnDemand,
    /// What decides instead of forecast and threshold.
    pub rule: Option<&'static RuleEntry>,
}

/// All baselines, in report order.
pub static BASELINES: &[&Baseline] = &[
    &never::ENTRY,
    &reactive::ENTRY,
    &always::ENTRY,
    &hpa_like::ENTRY,
    &aws_like::ENTRY,
    &crane_like::ENTRY,
    &hybrid_histogram::ENTRY,
    &static_pool::ENTRY,
    &speculation_threshold::ENTRY,
    &newsvendor::ENTRY,
    &static_tuned::ENTRY,
];

/// A baseline by its name.
pub fn baseline(name: &str) -> Option<&'static Baseline> {
    BASELINES
        .iter()
        .copied()
        .find(|baseline| baseline.name == name)
}

impl Baseline {
    /// The arm, given the tuned centres, with the numbers its product ships.
    pub fn arm(&self, tuned: &KnobCenters) -> Arm {
        Arm {
            name: self.name.to_owned(),
            centers: (self.centers)(tuned),
            on_demand: self.on_demand,
            rule: self.rule.map(Rule::untuned),
        }
    }

    /// The arm with other numbers for its rule.
    ///
    /// # Panics
    /// When it has no rule, or the numbers are not the rule's (see [`Rule::with`]).
    pub fn arm_with(&self, tuned: &KnobCenters, values: &Values) -> Arm {
        let rule = self.rule.expect("only a baseline with a rule has numbers");
        Arm {
            rule: Some(Rule::with(rule, values)),
            ..self.arm(tuned)
        }
    }
}
