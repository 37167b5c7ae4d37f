//! The arms of the ladder: every rule that a learnt policy is compared with.
//!
//! Baselines decide with fixed numbers. Adaptive rules turn the threshold knob around the
//! static policy's centres from what an exported policy would see, so they may neither
//! look ahead nor act by other means; levels are whole log-odds and move by two an hour at
//! most. The privileged arm alone is told the hidden regime. Each arm names its tunable
//! numbers, and [`crate::tune`] searches all of them in one way. A new one is a file and a
//! line in [`ARMS`].
mod bandit;
mod fixed_share;
mod forecast_control;
mod gain_schedule;
mod linear;
mod privileged;
mod recalibration;
mod sensors;
#[cfg(test)]
mod stand;
mod static_retuned;
mod static_tuned;
mod steered;

pub use static_tuned::{KNOB_SPACE, centers_at, values_of};

use std::sync::Arc;

use anyhow::{Result, bail};
use prestage_controller::{
    Arm, Baseline, KnobCenters, NeedType, Parameter, Values, baseline, defaults, problem,
};
use prestage_envs::PrivilegedPolicy;
use prestage_policy::Policy;

use crate::compare::{Contestant, KnobTurner};

/// Name of the static policy that an experiment finds for all of its families together.
pub const ALL_FAMILIES: &str = "static-all-families";

/// What kind of rule an arm is: its step on the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No forecast, or none that is listened to.
    Reference,
    /// As another product does it.
    Vendor,
    /// The critical fractile, untuned.
    Newsvendor,
    /// Constant knobs.
    Static,
    /// Adapts to what it sees.
    Adaptive,
    /// Sees what no deployed rule can see.
    Privileged,
}

impl Class {
    /// In tables.
    pub fn name(self) -> &'static str {
        match self {
            Class::Reference => "reference",
            Class::Vendor => "vendor",
            Class::Newsvendor => "newsvendor",
            Class::Static => "static",
            Class::Adaptive => "adaptive",
            Class::Privileged => "privileged",
        }
    }
}

/// What an arm is made from.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The static policy's centres.
    pub centers: &'a KnobCenters,
    /// Numbers for the arm's parameters.
    pub values: &'a Values,
}

impl Given<'_> {
    /// The numbers of a need type.
    fn numbers<const N: usize>(&self, need: usize) -> [f64; N] {
        self.values[need]
            .as_slice()
            .try_into()
            .expect("values were checked against the parameters")
    }

    /// How far forecasts look in lead times, by need type.
    fn horizon_leads(&self) -> [f64; 4] {
        NeedType::ALL.map(|need| self.centers.of(need).horizon_leads)
    }
}

/// Where the levels of an arm are centred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Nowhere but where it puts them.
    Own,
    /// The first static policy found.
    StaticTuned,
    /// The best static policy found before any rule that adapts.
    BestStatic,
}

/// How an arm is made.
enum Build {
    /// The baseline of its name.
    Baseline,
    /// Constant knobs at its numbers.
    Knobs,
    /// Constant knobs at its offsets from those of a static policy.
    Offsets(Stand),
    /// An adaptive rule over the static policy.
    Adaptive {
        parameters: fn() -> &'static [Parameter],
        make: fn(&Given) -> Box<dyn Policy>,
    },
    /// The same with the latent circumstances beside the observation.
    Privileged {
        parameters: fn() -> &'static [Parameter],
        make: fn(&Given) -> Box<dyn PrivilegedPolicy>,
    },
}

/// An entry in the registry.
pub struct ArmEntry {
    /// Name on the command line and in tables.
    pub name: &'static str,
    /// Its step on the ladder.
    pub class: Class,
    /// One sentence; that of a baseline is the baseline's.
    about: &'static str,
    build: Build,
}

const fn of_baseline(name: &'static str, class: Class) -> ArmEntry {
    ArmEntry {
        name,
        class,
        about: "",
        build: Build::Baseline,
    }
}

/// All arms, in report order.
pub static ARMS: &[ArmEntry] = &[
    of_baseline("never", Class::Reference),
    of_baseline("reactive", Class::Reference),
    of_baseline("always", Class::Reference),
    of_baseline("hpa-like", Class::Vendor),
    of_baseline("aws-like", Class::Vendor),
    of_baseline("crane-like", Class::Vendor),
    of_baseline("hybrid-histogram", Class::Vendor),
    of_baseline("static-pool", Class::Vendor),
    of_baseline("speculation-threshold", Class::Vendor),
    of_baseline("newsvendor", Class::Newsvendor),
    ArmEntry {
        name: crate::compare::STATIC_TUNED,
        class: Class::Static,
        about: "the best constant knobs that a search found on tuning seeds",
        build: Build::Knobs,
    },
    ArmEntry {
        name: ALL_FAMILIES,
        class: Class::Static,
        about: "the best constant knobs for all families of an experiment together",
        build: Build::Knobs,
    },
    ArmEntry {
        name: "static-retuned",
        class: Class::Static,
        about: "constant knobs searched on from static-tuned, for as long again",
        build: Build::Offsets(Stand::StaticTuned),
    },
    ArmEntry {
        name: "static-refined",
        class: Class::Static,
        about: "constant knobs searched on from the better of both, as long as an adaptive arm",
        build: Build::Offsets(Stand::BestStatic),
    },
    ArmEntry {
        name: "recalibration",
        class: Class::Adaptive,
        about: "moves the threshold by how wrong the forecasts have been",
        build: Build::Adaptive {
            parameters: || recalibration::PARAMETERS,
            make: recalibration::build,
        },
    },
    ArmEntry {
        name: "fixed-share",
        class: Class::Adaptive,
        about: "seven threshold levels, weighted by what each would have cost",
        build: Build::Adaptive {
            parameters: || fixed_share::PARAMETERS,
            make: fixed_share::build,
        },
    },
    ArmEntry {
        name: "bandit",
        class: Class::Adaptive,
        about: "LinUCB on the hour: learns from its own costs which level suits it",
        build: Build::Adaptive {
            parameters: || bandit::PARAMETERS,
            make: bandit::build,
        },
    },
    ArmEntry {
        name: "gain-schedule",
        class: Class::Adaptive,
        about: "a level for each pattern class in and out of working hours",
        build: Build::Adaptive {
            parameters: || gain_schedule::PARAMETERS,
            make: gain_schedule::build,
        },
    },
    ArmEntry {
        name: "linear",
        class: Class::Adaptive,
        about: "a weighted sum of eight fields of the observation moves the threshold",
        build: Build::Adaptive {
            parameters: linear::parameters,
            make: linear::build,
        },
    },
    ArmEntry {
        name: "forecast-control",
        class: Class::Adaptive,
        about: "plans a dozen lead times ahead with the forecast and its prices",
        build: Build::Adaptive {
            parameters: || forecast_control::PARAMETERS,
            make: forecast_control::build,
        },
    },
    ArmEntry {
        name: "privileged",
        class: Class::Privileged,
        about: "constants for each circumstance, hidden ones too, and the linear rule on top",
        build: Build::Privileged {
            parameters: privileged::parameters,
            make: privileged::build,
        },
    },
];

/// The step of an arm; none for one that is not in the registry: a learnt policy, or a bound.
pub fn class_of(name: &str) -> Option<Class> {
    let entry = ARMS.iter().find(|entry| entry.name == name)?;
    Some(entry.class)
}

/// An arm by its name; the error lists those that exist.
pub fn arm(name: &str) -> Result<&'static ArmEntry> {
    match ARMS.iter().find(|entry| entry.name == name) {
        Some(entry) => Ok(entry),
        None => {
            let known: Vec<&str> = ARMS.iter().map(|entry| entry.name).collect();
            bail!(
                "there is no arm `{name}` (known: {})\n\nhint: `prestage list arms` describes each",
                known.join(", ")
            )
        }
    }
}

impl ArmEntry {
    fn baseline(&self) -> &'static Baseline {
        baseline(self.name).expect("the entry is that of a baseline")
    }

    /// One sentence.
    pub fn about(&self) -> &'static str {
        match self.build {
            Build::Baseline => self.baseline().about,
            _ => self.about,
        }
    }

    /// Its tunable numbers; each has a value for every need type.
    pub fn parameters(&self) -> &'static [Parameter] {
        match self.build {
            Build::Baseline => self.baseline().rule.map_or(&[], |rule| rule.parameters),
            Build::Knobs => &KNOB_SPACE,
            Build::Offsets(_) => static_retuned::PARAMETERS,
            Build::Adaptive { parameters, .. } | Build::Privileged { parameters, .. } => {
                parameters()
            }
        }
    }

    /// Its numbers untuned, where a search begins.
    pub fn defaults(&self) -> Values {
        match self.build {
            Build::Knobs => values_of(&KnobCenters::default()),
            _ => defaults(self.parameters()),
        }
    }

    /// Numbers beside the untuned ones that are known to be good somewhere, where a search
    /// begins as well.
    pub fn known_good(&self) -> Vec<Values> {
        match self.build {
            Build::Knobs => static_tuned::known_good(),
            Build::Privileged { .. } => privileged::known_good(),
            _ => Vec::new(),
        }
    }

    /// What must be found first.
    pub fn stand(&self) -> Stand {
        match self.build {
            Build::Baseline | Build::Knobs => Stand::Own,
            Build::Offsets(stand) => stand,
            Build::Adaptive { .. } | Build::Privileged { .. } => Stand::BestStatic,
        }
    }

    /// The arm untuned.
    pub fn untuned(&self, centers: &KnobCenters) -> Contestant {
        self.contestant(centers, &self.defaults())
    }

    /// The arm with these numbers around the static policy's centres.
    ///
    /// # Panics
    /// When the numbers are not those of its parameters, inside their ranges.
    pub fn contestant(&self, centers: &KnobCenters, values: &Values) -> Contestant {
        if let Some(problem) = problem(self.parameters(), values) {
            panic!("arm `{}`: {problem}", self.name);
        }
        let (centers, values) = (centers.clone(), values.clone());
        let turner = |arm_centers: KnobCenters, turner: KnobTurner| Contestant {
            arm: Arm::at(self.name, arm_centers),
            turner,
            train_seed: None,
        };
        match self.build {
            Build::Baseline if self.parameters().is_empty() => {
                Contestant::baseline(self.baseline().arm(&centers))
            }
            Build::Baseline => Contestant::baseline(self.baseline().arm_with(&centers, &values)),
            Build::Knobs => Contestant::baseline(Arm::at(self.name, centers_at(&values))),
            Build::Offsets(_) => {
                let centers = static_retuned::centers(&centers, &values);
                Contestant::baseline(Arm::at(self.name, centers))
            }
            Build::Adaptive { make, .. } => turner(
                centers.clone(),
                KnobTurner::Adaptive(Arc::new(move || {
                    make(&Given {
                        centers: &centers,
                        values: &values,
                    })
                })),
            ),
            Build::Privileged { make, .. } => turner(
                centers.clone(),
                KnobTurner::Privileged(Arc::new(move || {
                    make(&Given {
                        centers: &centers,
                        values: &values,
                    })
                })),
            ),
        }
    }
}
