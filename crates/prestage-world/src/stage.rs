//! A stage in the world, from the request to its end.
use prestage_controller::{CellId, StageEnd, StageRequest};
use prestage_des::SimTime;
use serde::{Deserialize, Serialize};

/// Index of a stage in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StageId(pub u32);

/// Who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOrigin {
    /// The controller, ahead of the need.
    Predicted,
    /// A need that found no stage.
    Requested,
}

/// Something a pipelines repository has to follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageEvent {
    /// When.
    pub at: SimTime,
    /// The stage.
    pub stage: StageId,
    /// Its cell.
    pub cell: CellId,
    /// What happened.
    pub kind: StageEventKind,
}

/// What a pipelines repository has to follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StageEventKind {
    /// The controller asked for it.
    Proposed(Box<StageRequest>),
    /// A need asked for it; replicas or shards wanted.
    Requested {
        /// Replicas or shards; 0 where a need has no size.
        magnitude: u32,
    },
    /// The controller wants it larger.
    Resized(Box<StageRequest>),
    /// It serves a need.
    Activated,
    /// It broke when it was activated and was taken back.
    RolledBack,
    /// It ended without serving.
    Retired(StageEnd),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub cell: CellId,
    pub origin: StageOrigin,
    pub requested_at: SimTime,
    pub ready_at: Option<SimTime>,
    /// Minutes swept before it was ready.
    pub ready_at_sweep: u64,
    pub ttl: SimTime,
    pub expires_at: Option<SimTime>,
    pub magnitude: u32,
    pub validate: SimTime,
    pub review: SimTime,
    pub provision: SimTime,
    pub in_review: bool,
    /// Commits on the service's main line when it was last validated.
    pub validated_at_commit: u32,
    pub refreshing: Option<Refresh>,
    pub ended: bool,
}

/// A revalidation under way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub at_commit: u32,
    pub magnitude: u32,
}
