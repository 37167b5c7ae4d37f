//! What happened, in order: the evidence that two runs are the same run.
//!
//! The digest is always kept; the records only on request. FNV-1a is enough:
//! equality of honest runs is at stake, not an adversary.
use prestage_des::SimTime;
use serde::{Deserialize, Serialize};

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// A need found a ready stage.
    Hit,
    /// A need found none.
    Miss,
    /// A predicted stage was proposed.
    Proposed,
    /// A stage was asked for by a need.
    Requested,
    /// A stage became ready.
    Ready,
    /// A stage served a need.
    Used,
    /// A stage's time to live ran out.
    Expired,
    /// A stage was taken back.
    Withdrawn,
    /// A stage broke when it was activated.
    RolledBack,
    /// A stage was validated again.
    Refreshed,
    /// The capacity or the number of shards changed.
    Resized,
    /// A commit started a build.
    Build,
    /// A model was retrained; the value is 1 before it was due.
    Retrained,
    /// A release or a dependency update reached production.
    Deployed,
    /// A deployment broke its service.
    ChangeFailed,
    /// An incident of a service began.
    IncidentOpened,
    /// A service was restored; the value is 1 after a failed deployment.
    Restored,
    /// The runner pool changed its size; the cell is 0.
    PoolResized,
    /// A speculative job gave way to a build.
    Preempted,
    /// A build failed; the value is the index of its commit.
    BuildFailed,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When.
    pub at: SimTime,
    /// What.
    pub kind: LogKind,
    /// In which cell; for builds and resizes, of which service.
    pub cell: u32,
    /// Size, index or id, depending on the kind.
    pub value: u64,
}

/// The log of one world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventLog {
    digest: u64,
    length: u64,
    records: Option<Vec<LogRecord>>,
}

impl EventLog {
    /// A log that keeps its digest only.
    pub(crate) fn digest_only() -> Self {
        Self {
            digest: 0xcbf2_9ce4_8422_2325,
            length: 0,
            records: None,
        }
    }

    /// A log that keeps all records.
    pub(crate) fn with_records() -> Self {
        Self {
            records: Some(Vec::new()),
            ..Self::digest_only()
        }
    }

    pub(crate) fn push(&mut self, record: LogRecord) {
        for word in [
            record.at.as_micros() as u64,
            record.kind as u64,
            u64::from(record.cell),
            record.value,
        ] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3);
        }
        self.length += 1;
        if let Some(records) = &mut self.records {
            records.push(record);
        }
    }

    /// Depends on every record and its place.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Number of records pushed.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The records, if they are kept.
    pub fn records(&self) -> &[LogRecord] {
        self.records.as_deref().unwrap_or(&[])
    }
}
