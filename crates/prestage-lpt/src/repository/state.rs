//! What is known of a service beside its folder: holds, pending conflicts, the integration queue.
//!
//! Kept in a record of its own, because a rollback restores the folder byte for byte and must not
//! forget that it happened. Folder and record change in one commit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::canonical::{Revision, pretty};
use crate::definition::ApplicationDefinition;
use crate::error::{Error, Result};
use crate::merge3::{Conflict, Decisions};
use crate::policy::PathPolicy;
use crate::repository::integrate::{Integration, Pin};
use crate::stage::StageKey;
use crate::store::{CommitId, Record};

/// Version of the stored form.
pub const STATE_FORMAT: u32 = 1;

/// An update that waits for decisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingUpdate {
    /// Revision of `theirs`.
    pub candidate: Revision,
    /// What the new template gives.
    pub theirs: ApplicationDefinition,
    /// What the new template lets the service change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PathPolicy>,
    /// What must be decided.
    pub conflicts: Vec<Conflict>,
    /// What was decided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub decisions: Decisions,
}

/// The newest update of a service, until its wave is verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedUpdate {
    /// The run that made it.
    pub run: Revision,
    /// The wave, from 0.
    pub wave: usize,
    /// The commit whose state a rollback of the wave restores.
    pub before: CommitId,
}

/// The record of one service. The default stands for a service that has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceState {
    /// [`STATE_FORMAT`].
    pub format: u32,
    /// Revisions of synthesised definitions that were rolled back: no update applies them again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub holds: BTreeSet<Revision>,
    /// Stages that a rollback removed, and the unix second until which they may not come back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cool_down: BTreeMap<StageKey, i64>,
    /// Revision of the last definition that an update verified or a rollback restored; the latest
    /// is the live one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Revision>,
    /// The update that waits for decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingUpdate>,
    /// The update that is not verified yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedUpdate>,
    /// Proposals on their way into the pipeline, and how the last ones ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queue: BTreeMap<StageKey, Integration>,
    /// Runs in flight, by the name that their host gave them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, Pin>,
}

impl Default for InstanceState {
    fn default() -> Self {
        Self {
            format: STATE_FORMAT,
            holds: BTreeSet::new(),
            cool_down: BTreeMap::new(),
            stable: None,
            pending: None,
            applied: None,
            queue: BTreeMap::new(),
            pins: BTreeMap::new(),
        }
    }
}

impl InstanceState {
    /// Where the record of a service is kept.
    pub(super) fn path(service: &str) -> String {
        format!("instances/{service}.json")
    }

    pub(super) fn parse(service: &str, bytes: &[u8]) -> Result<Self> {
        let corrupt = |message: String| Error::StoreCorrupt {
            path: format!("state/{}", Self::path(service)),
            message,
        };
        let state: Self =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        match state.format {
            STATE_FORMAT => Ok(state),
            other => Err(corrupt(format!(
                "`format` is {other}, this version reads {STATE_FORMAT}"
            ))),
        }
    }

    pub(super) fn record(&self, service: &str) -> Record {
        let bytes = (*self != Self::default()).then(|| pretty(self).into_bytes());
        Record {
            path: Self::path(service),
            bytes,
        }
    }
}
