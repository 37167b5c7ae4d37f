//! Probabilistic forecasts of deployment needs.
//!
//! One [`NeedModel`] per need type, each fed from the telemetry tail, updated
//! in O(1) per sample and asked for the probability of a need within a horizon.
//! A model keeps two kinds of state: what it tracks all the time (levels,
//! base rates) and what it learnt at its last [`NeedModel::retrain`] (profiles,
//! hazard factors). Staleness of the second is therefore real, and so is the
//! price of refreshing it.
//!
//! Must never know: stores, templates, RL, whether the telemetry is simulated.
pub mod backtest;
mod drift;
mod model;
mod normal;
mod release;
mod scaling;
pub mod series;
mod staffing;
mod suite;

mod dependency;
mod hazard;

pub mod events;

#[cfg(test)]
mod conformance;

pub use dependency::DependencyModel;
pub use drift::{ErrorDrift, LogScoreDrift};
pub use hazard::Hazard;
pub use model::{
    Entry, NEED_MODELS, NeedModel, NeedModelInput, RequiredReplicas, RestoreError, entry,
    required_replicas, time_to_need,
};
pub use normal::{normal_cdf, normal_quantile};
pub use release::ReleaseModel;
pub use scaling::ScalingModel;
pub use staffing::{
    HPA_TOLERANCE, RATED_UTILIZATION, Staffing, WaitTarget, erlang_c, erlang_c_replicas,
    halfin_whitt_beta, hpa_replicas, square_root_replicas,
};
pub use suite::{SuiteGrowth, SuiteModel};
