//! The contract of a need model, and the registry of those that exist.
//!
//! Adding one is a file and a line in [`NEED_MODELS`].
use prestage_telemetry::{ServiceId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{DependencyModel, ReleaseModel, ScalingModel, SuiteModel};

/// What a model has to know about its cell before the first sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeedModelInput {
    /// Whose series to read.
    pub service: ServiceId,
    /// Load that one replica is rated for, in the unit of the traffic series.
    pub rated_load_per_replica: f64,
    /// Longest time one shard of the test suite may take, seconds.
    pub suite_budget_s: f64,
}

/// Forecasts one need type of one service.
///
/// Every method is total: with no data at all a model answers with its prior.
/// Probabilities are in `[0, 1]`, never NaN.
pub trait NeedModel: Send {
    /// Consumes what the tail has gained since the last call.
    fn observe(&mut self, tail: &Tail, now: Timestamp);

    /// Takes over what has been learnt since the last retraining.
    fn retrain(&mut self, now: Timestamp);

    /// Memory of the tracked state: a sample's weight halves in this time.
    fn set_half_life(&mut self, half_life: Span);

    /// Probability that at least one need arises in `(now, now + horizon]`.
    fn probability(&self, now: Timestamp, horizon: Span) -> f64;

    /// Size of the stage that would cover the need with probability `quantile`:
    /// replicas or shards; 0 where a need has no size.
    fn magnitude(&self, _now: Timestamp, _horizon: Span, _quantile: f64) -> u32 {
        0
    }

    /// Standard deviation of the log forecast error over `horizon`; 0 where the
    /// model forecasts events.
    fn spread(&self, _horizon: Span) -> f64 {
        0.0
    }

    /// Log of the present demand over what is usual at this hour.
    fn demand_ratio(&self) -> f64;

    /// Log of what is available over what is required now; 0 for events.
    fn headroom(&self) -> f64 {
        0.0
    }

    /// Log of the mean squared error over that of persistence; negative is better
    /// than persistence, 0 is unknown.
    fn skill(&self) -> f64 {
        0.0
    }

    /// Number of signals that announce a need and have not been answered yet.
    fn open_signals(&self) -> f64 {
        0.0
    }
}

/// An entry in the registry.
pub struct Entry {
    /// Name on the command line and in provenance.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// The need type it serves, in snake case.
    pub need: &'static str,
    /// Makes one.
    pub build: fn(NeedModelInput) -> Box<dyn NeedModel>,
}

/// All need models; the first of a need type is its default.
pub static NEED_MODELS: &[Entry] = &[
    crate::scaling::ENTRY,
    crate::release::ENTRY,
    crate::dependency::ENTRY,
    crate::suite::ENTRY,
    crate::events::RELEASE,
    crate::events::DEPENDENCY,
    crate::events::SUITE,
];

/// The default model of a need type.
pub fn entry(need: &str) -> Option<&'static Entry> {
    NEED_MODELS.iter().find(|entry| entry.need == need)
}

/// Why a load needs the replicas it needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequiredReplicas {
    /// Rated load of one replica.
    pub rated_load_per_replica: f64,
    /// Fewest replicas ever run.
    pub min_replicas: u32,
}

/// `ceil(load / rated_load_per_replica)`, at least `min_replicas`.
///
/// Kubernetes' Horizontal Pod Autoscaler rule `ceil(current * metric / target)`
/// with the metric being load per replica and the target its rated load. An
/// unknown load (NaN) requires the minimum.
pub fn required_replicas(load: f64, rule: RequiredReplicas) -> u32 {
    // Tolerates rounding in the last bits: 3.0000000001 replicas are 3.
    let exact = load / rule.rated_load_per_replica - 1e-9;
    let replicas = if exact.is_finite() {
        exact.ceil().clamp(0.0, 1e6) as u32
    } else {
        0
    };
    replicas.max(rule.min_replicas)
}

impl ScalingModel {
    /// The entry's constructor.
    pub(crate) fn boxed(input: NeedModelInput) -> Box<dyn NeedModel> {
        Box::new(Self::new(input))
    }
}

impl ReleaseModel {
    /// The entry's constructor.
    pub(crate) fn boxed(input: NeedModelInput) -> Box<dyn NeedModel> {
        Box::new(Self::new(input))
    }
}

impl DependencyModel {
    /// The entry's constructor.
    pub(crate) fn boxed(input: NeedModelInput) -> Box<dyn NeedModel> {
        Box::new(Self::new(input))
    }
}

impl SuiteModel {
    /// The entry's constructor.
    pub(crate) fn boxed(input: NeedModelInput) -> Box<dyn NeedModel> {
        Box::new(Self::new(input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_follow_the_hpa_formula() {
        let rule = RequiredReplicas {
            rated_load_per_replica: 50.0,
            min_replicas: 2,
        };
        for (load, expected) in [(0.0, 2), (100.0, 2), (100.1, 3), (150.0, 3), (f64::NAN, 2)] {
            assert_eq!(required_replicas(load, rule), expected, "load {load}");
        }
    }

    #[test]
    fn every_model_is_total_without_data_and_its_name_is_its_own() {
        let input = NeedModelInput {
            service: ServiceId(0),
            rated_load_per_replica: 10.0,
            suite_budget_s: 600.0,
        };
        let tail = Tail::new(1, Span::MAX);
        for (i, entry) in NEED_MODELS.iter().enumerate() {
            let mut model = (entry.build)(input);
            for day in 0..40 {
                let now = Timestamp::from_seconds(1_704_067_200) + Span::from_days(day);
                model.observe(&tail, now);
                model.retrain(now);
                for hours in [0, 1, 24, 24 * 30] {
                    let p = model.probability(now, Span::from_hours(hours));
                    assert!((0.0..=1.0).contains(&p), "{}: {p}", entry.name);
                }
            }
            let figures = [model.demand_ratio(), model.headroom(), model.skill()];
            assert!(figures.iter().all(|x| x.is_finite()), "{}", entry.name);
            let earlier = NEED_MODELS[..i].iter();
            assert_eq!(earlier.filter(|other| other.name == entry.name).count(), 0);
        }
    }

    #[test]
    fn every_need_type_has_a_default_model() {
        for need in [
            "scaling",
            "feature_release",
            "dependency_update",
            "test_suite",
        ] {
            assert!(entry(need).is_some(), "no model for {need}");
        }
    }
}
