//! The contract of a need model, and the registry of those that exist.
//!
//! Adding one is a file and a line in [`NEED_MODELS`].
use prestage_telemetry::{ServiceId, Span, Tail, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::staffing::Staffing;

/// What a model has to know about its cell before the first sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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

    /// By which rule a load requires replicas; nothing to models of other needs.
    fn set_staffing(&mut self, _staffing: Staffing) {}

    /// Whether the errors that the model measures itself have grown since the last retraining
    /// beyond what chance explains; `None` from a model that measures none, whose probabilities are
    /// all there is to judge ([`crate::LogScoreDrift`]).
    fn has_drifted(&self) -> Option<bool> {
        None
    }

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

    /// The whole state, for [`Entry::restore`] of the same entry. What has been read of a tail is
    /// part of it: go on with the same tail, or with one that counts its samples as that one did.
    fn save(&self) -> Vec<u8>;
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
    pub(crate) restore: Restore,
}

/// Makes the model whose state these bytes are.
type Restore = fn(&[u8]) -> Result<Box<dyn NeedModel>, postcard::Error>;

/// The bytes are not the saved state of this need model.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a saved state of the need model `{model}`: {cause} (state is read by the entry that wrote it)"
)]
pub struct RestoreError {
    /// Name of the entry.
    pub model: &'static str,
    /// What the decoder says.
    pub cause: postcard::Error,
}

impl Entry {
    /// A model that goes on where the one that was saved stopped, bit for bit.
    ///
    /// # Errors
    /// When `bytes` are not a state that [`NeedModel::save`] of this entry wrote.
    pub fn restore(&self, bytes: &[u8]) -> Result<Box<dyn NeedModel>, RestoreError> {
        (self.restore)(bytes).map_err(|cause| RestoreError {
            model: self.name,
            cause,
        })
    }
}

/// The bytes of a model's state.
pub(crate) fn saved<M: Serialize>(model: &M) -> Vec<u8> {
    postcard::to_allocvec(model).expect("a model's state is numbers and vectors of numbers")
}

/// The model whose state `bytes` are, all of them.
pub(crate) fn restored<M: NeedModel + DeserializeOwned + 'static>(
    bytes: &[u8],
) -> Result<Box<dyn NeedModel>, postcard::Error> {
    let (model, rest) = postcard::take_from_bytes::<M>(bytes)?;
    if !rest.is_empty() {
        return Err(postcard::Error::DeserializeBadEncoding);
    }
    Ok(Box::new(model))
}

/// All need models; the first of a need type is its default.
pub static NEED_MODELS: &[Entry] = &[
    crate::scaling::ENTRY,
    crate::events::RELEASE,
    crate::events::DEPENDENCY,
    crate::suite::ENTRY,
    crate::release::ENTRY,
    crate::dependency::ENTRY,
    crate::events::SUITE,
    crate::events::UPSTREAM,
    crate::events::SCHEDULE,
    crate::events::EXPOSURE,
    crate::events::DEPENDENCY_POOLED,
    crate::events::POOLED_GAPS,
    crate::events::RELEASE_ISOTONIC,
    crate::events::DEPENDENCY_ISOTONIC,
    crate::suite::GROWTH,
];

/// The default model of a need type.
pub fn entry(need: &str) -> Option<&'static Entry> {
    NEED_MODELS.iter().find(|entry| entry.need == need)
}

/// Time from `now` until a need has arisen with `probability`: a quantile of the waiting time, to the
/// minute; `None` when it is longer than `limit`.
///
/// # Panics
/// When `probability` is not inside (0, 1).
pub fn time_to_need(
    model: &dyn NeedModel,
    now: Timestamp,
    probability: f64,
    limit: Span,
) -> Option<Span> {
    assert!(
        probability > 0.0 && probability < 1.0,
        "a quantile of {probability}"
    );
    let reaches = |span: Span| model.probability(now, span) >= probability;
    if !reaches(limit) {
        return None;
    }
    // The probability never falls with the horizon, so halving finds where it passes.
    let (mut before, mut by) = (Span::ZERO, limit);
    while by - before > Span::from_minutes(1) {
        let middle = Span(before.0 + (by - before).0 / 2);
        if reaches(middle) {
            by = middle;
        } else {
            before = middle;
        }
    }
    Some(by)
}

/// Why a load needs the replicas it needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequiredReplicas {
    /// Rated load of one replica.
    pub rated_load_per_replica: f64,
    /// Fewest replicas ever run.
    pub min_replicas: u32,
    /// How a load becomes replicas.
    pub staffing: Staffing,
}

/// Replicas that a load requires, at least `min_replicas`.
///
/// By the default rule `ceil(load / rated_load_per_replica)`: Kubernetes' Horizontal Pod
/// Autoscaler rule `ceil(current * metric / target)` without its tolerance, with the metric being
/// load per replica and the target its rated load. See [`Staffing`] for the others. An unknown load
/// (NaN) requires the minimum.
pub fn required_replicas(load: f64, rule: RequiredReplicas) -> u32 {
    let replicas = rule.staffing.replicas(load, rule.rated_load_per_replica);
    replicas.max(rule.min_replicas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_follow_the_hpa_formula() {
        let rule = RequiredReplicas {
            rated_load_per_replica: 50.0,
            min_replicas: 2,
            staffing: Staffing::Utilization,
        };
        for (load, expected) in [(0.0, 2), (100.0, 2), (100.1, 3), (150.0, 3), (f64::NAN, 2)] {
            assert_eq!(required_replicas(load, rule), expected, "load {load}");
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
