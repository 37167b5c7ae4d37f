//! The journal of a fleet update: what was planned, and how far it got.
//!
//! It is a record of the repository and moves by commits, so a killed run finds exactly what the
//! last commit said. What a step did to a service stands in that service's own record, in the
//! commit that did it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canonical::{Revision, pretty};
use crate::error::{Error, Result};
use crate::store::Record;

/// Version of the stored form.
pub const JOURNAL_FORMAT: u32 = 1;

pub(super) const JOURNAL_PATH: &str = "update.json";

/// Where a run is, and what it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStep {
    /// The templates differ from what services were made from.
    Detected,
    /// All services that they reach are resolved.
    Resolved,
    /// The plan stands.
    Planned,
    /// Every planned definition passed the checks of targets and caller.
    Checked,
    /// Conflicts are recorded with their services.
    ConflictsRecorded,
    /// A wave is being applied; wave 0 is the canary.
    Applying,
    /// The wave was read back and verified.
    Verified,
    /// The wave is being rolled back.
    RollingBack,
    /// All waves are verified.
    Done,
    /// The wave was rolled back and its candidates are held.
    RolledBack,
    /// Newer templates made the rest of the run pointless.
    Superseded,
}

impl UpdateStep {
    /// The name used in records, messages and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Resolved => "resolved",
            Self::Planned => "planned",
            Self::Checked => "checked",
            Self::ConflictsRecorded => "conflicts recorded",
            Self::Applying => "applying",
            Self::Verified => "verified",
            Self::RollingBack => "rolling back",
            Self::Done => "done",
            Self::RolledBack => "rolled back",
            Self::Superseded => "superseded",
        }
    }

    /// Whether the run is over.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack | Self::Superseded)
    }
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalEntry {
    /// What was reached.
    pub step: UpdateStep,
    /// The wave, if the step belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<usize>,
    /// Unix seconds.
    pub at: i64,
    /// Counts and names, for people.
    pub note: String,
}

/// The journal of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// [`JOURNAL_FORMAT`].
    pub format: u32,
    /// Identity of the run.
    pub run: Revision,
    /// Hash over all templates.
    pub templates: Revision,
    /// The candidate of every service that is to be updated, recorded before any driver writes.
    pub candidates: BTreeMap<String, Revision>,
    /// The services of each wave; the first is the canary.
    pub waves: Vec<Vec<String>>,
    /// The wave that is next or under way.
    pub wave: usize,
    /// All steps, the newest last; never empty.
    pub entries: Vec<JournalEntry>,
}

impl Journal {
    /// The newest step.
    pub fn step(&self) -> UpdateStep {
        self.entries
            .last()
            .map_or(UpdateStep::Detected, |entry| entry.step)
    }

    pub(super) fn enter(&mut self, step: UpdateStep, at: i64, note: String) {
        let is_of_wave = matches!(
            step,
            UpdateStep::Applying
                | UpdateStep::Verified
                | UpdateStep::RollingBack
                | UpdateStep::RolledBack
        );
        self.entries.push(JournalEntry {
            step,
            wave: is_of_wave.then_some(self.wave),
            at,
            note,
        });
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let corrupt = |message: String| Error::StoreCorrupt {
            path: format!("state/{JOURNAL_PATH}"),
            message,
        };
        let journal: Self =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        match journal.format {
            JOURNAL_FORMAT => Ok(journal),
            other => Err(corrupt(format!(
                "`format` is {other}, this version reads {JOURNAL_FORMAT}"
            ))),
        }
    }

    pub(super) fn record(&self) -> Record {
        Record {
            path: JOURNAL_PATH.to_owned(),
            bytes: Some(pretty(self).into_bytes()),
        }
    }
}
