//! Decides which stages to synthesise now.
//!
//! [`reconcile`] is the one function that training, replay and production share:
//! telemetry -> forecasts -> policy -> thresholds -> stage requests. It meets the
//! outside only through three ports ([`Clock`], [`TelemetrySource`],
//! [`PipelineHost`]) and cannot tell a simulated world from a live one.
//!
//! Must never know: simulation, burn, the wall clock, files.
mod anomaly;
mod arm;
mod baselines;
mod cell;
mod controller;
mod health;
mod knobs;
mod observation;
mod parameter;
mod ports;
mod prices;
mod reconcile;
mod rule;

pub use arm::{Arm, OnDemand};
pub use baselines::{BASELINES, Baseline, baseline};
pub use cell::{Calendar, CellId, CellSpec, Circumstances, Tier, need_index};
pub use controller::{CellView, Controller, Options};
pub use knobs::{
    KNOBS, Knob, KnobCenter, KnobCenters, Knobs, LEVELS, NEUTRAL, QUANTILES, action_space,
};
pub use observation::layout;
pub use parameter::{Parameter, Scale, Values, defaults, problem};
pub use ports::{
    Clock, HostError, Outcome, PipelineHost, Ports, Retraining, StageEnd, StageRequest, StageState,
    StageStatus, TelemetrySource,
};
pub use prestage_forecast::{
    RATED_UTILIZATION, RequiredReplicas, Staffing, WaitTarget, required_replicas,
};
pub use prestage_lpt::NeedType;
pub use prices::{CostTerms, PRICE_BOOKS, PriceBook, PriceBookEntry, PriceError, Usage};
pub use reconcile::{RECONCILE_EVERY, REFRESH_DRIFT_COMMITS, reconcile};
pub use rule::{Rule, RuleEntry, Sight, StagingRule, Verdict};
