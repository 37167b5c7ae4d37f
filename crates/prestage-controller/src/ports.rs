//! The three ports between the controller and whatever it controls.
//!
//! A simulated world, a replayed history and a live installation differ only in
//! what stands behind these traits.
use prestage_lpt::NeedType;
use prestage_telemetry::{Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cell::CellId;
use crate::knobs::Knobs;

/// What time it is.
pub trait Clock {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// Where telemetry comes from.
pub trait TelemetrySource {
    /// Everything known up to now; readers keep their own cursors into it.
    fn tail(&self) -> &Tail;
}

/// Where stages go to.
///
/// A host keeps at most one stage a cell. A need that finds no ready
/// stage is served by the host itself, on demand, whatever the controller does.
pub trait PipelineHost {
    /// The stage of a cell that is under way or ready, predicted or on demand.
    fn stage(&self, cell: CellId) -> Option<StageStatus>;

    /// Asks for a stage ahead of its need. The cell must have none.
    fn propose(&mut self, request: &StageRequest) -> Result<(), HostError>;

    /// Revalidates the ready stage of a cell against the main line and gives it
    /// a new size.
    fn refresh(&mut self, request: &StageRequest) -> Result<(), HostError>;

    /// Takes the stage of a cell back.
    fn withdraw(&mut self, cell: CellId, at: Timestamp) -> Result<(), HostError>;

    /// Pays for retraining a cell's model, whatever it is done for, and records why.
    fn retrain(&mut self, cell: CellId, because: Retraining);

    /// Moves what happened since the last call to the end of `outcomes`, oldest first.
    fn drain_outcomes(&mut self, outcomes: &mut Vec<Outcome>);
}

/// All three ports in one value.
pub trait Ports: Clock + TelemetrySource + PipelineHost {}

impl<T: Clock + TelemetrySource + PipelineHost> Ports for T {}

/// A stage as its host sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageStatus {
    /// Where it is in its life.
    pub state: StageState,
    /// When it was proposed.
    pub requested_at: Timestamp,
    /// When its time to live ends; only once ready.
    pub expires_at: Option<Timestamp>,
    /// Replicas or shards it would bring; 0 where a need has no size.
    pub magnitude: u32,
    /// Commits on the main line since it was last validated.
    pub drift_commits: u32,
    /// A refresh is under way.
    pub refreshing: bool,
}

/// Life of a stage until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageState {
    /// Being rendered, validated, reviewed, integrated.
    Preparing,
    /// Integrated, inactive, usable at once.
    Ready,
}

/// A stage asked for ahead of its need, with everything its provenance records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRequest {
    /// The cell.
    pub cell: CellId,
    /// Its need type.
    pub need: NeedType,
    /// When it was decided.
    pub requested_at: Timestamp,
    /// How long a ready stage waits for its need.
    pub ttl: Span,
    /// Replicas or shards; 0 where a need has no size.
    pub magnitude: u32,
    /// Forecast probability of a need within `horizon`.
    pub probability: f64,
    /// The threshold it passed; where a rule decided, the one that it replaced.
    pub threshold: f64,
    /// How far the forecast looked.
    pub horizon: Span,
    /// Standard deviation of the log forecast, 0 for event models.
    pub spread: f64,
    /// The knobs in force.
    pub knobs: Knobs,
}

/// Why a model is retrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Retraining {
    /// The time between retrainings is over.
    Due,
    /// Its forecasts have got worse before that.
    Drift,
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StageEnd {
    /// It served a need.
    Used,
    /// Its time to live ran out.
    Expired,
    /// The controller took it back, or the run ended.
    Withdrawn,
    /// It had gone stale and broke when it was activated.
    RolledBack,
}

/// Something that happened in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// A need arose and found a ready stage (`hit`) or did not.
    Need {
        /// The cell.
        cell: CellId,
        /// When.
        at: Timestamp,
        /// Was a stage ready?
        hit: bool,
    },
    /// A stage became ready.
    Ready {
        /// The cell.
        cell: CellId,
        /// When.
        at: Timestamp,
        /// Time since it was asked for.
        lead: Span,
        /// Asked for ahead of the need?
        predicted: bool,
    },
    /// A predicted stage ended.
    Ended {
        /// The cell.
        cell: CellId,
        /// When.
        at: Timestamp,
        /// How.
        end: StageEnd,
        /// Time it stood ready.
        idle: Span,
    },
}

/// The outside refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Breaks the port's contract; a bug in the caller.
    #[error("cell {cell} {problem}")]
    Contract {
        /// The cell.
        cell: u32,
        /// What is wrong with the call.
        problem: &'static str,
    },
    /// The pipelines repository refused or failed.
    #[error("the pipeline of `{service}` could not be changed")]
    Pipeline {
        /// The service.
        service: String,
        /// Why.
        source: Box<prestage_lpt::Error>,
    },
}
