//! The rules a learnt policy has to beat, on the same `reconcile`.
//!
//! Every baseline is a setting of the knob centres with the neutral action, so a
//! baseline and a policy differ in numbers, never in code. A new one is a line in
//! [`BASELINES`].
use serde::{Deserialize, Serialize};

use crate::knobs::KnobCenters;

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
}

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
}

/// All baselines, in report order.
pub static BASELINES: &[Baseline] = &[
    Baseline {
        name: "never",
        about: "no generator: each stage is written by hand when it is asked for",
        centers: |_| KnobCenters::default().with_threshold(f64::INFINITY),
        on_demand: OnDemand::ByHand,
    },
    Baseline {
        name: "reactive",
        about: "synthesises each stage from its template the moment it is asked for, never before",
        centers: |_| KnobCenters::default().with_threshold(f64::INFINITY),
        on_demand: OnDemand::Template,
    },
    Baseline {
        name: "always",
        about: "keeps a stage of every kind staged at all times",
        centers: |_| KnobCenters::default().with_threshold(f64::NEG_INFINITY),
        on_demand: OnDemand::Template,
    },
    Baseline {
        name: "newsvendor",
        about: "stages when the forecast passes the critical fractile of its prices",
        centers: |_| KnobCenters::default(),
        on_demand: OnDemand::Template,
    },
    Baseline {
        name: "static-tuned",
        about: "the best constant knobs found by random search on tuning seeds",
        centers: Clone::clone,
        on_demand: OnDemand::Template,
    },
];

/// A baseline by its name.
pub fn baseline(name: &str) -> Option<&'static Baseline> {
    BASELINES.iter().find(|baseline| baseline.name == name)
}

impl Baseline {
    /// The arm, given the tuned centres.
    pub fn arm(&self, tuned: &KnobCenters) -> Arm {
        Arm {
            name: self.name.to_owned(),
            centers: (self.centers)(tuned),
            on_demand: self.on_demand,
        }
    }
}
