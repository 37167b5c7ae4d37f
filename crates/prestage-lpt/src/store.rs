//! Where the pipelines of all services are kept, with their history.
//!
//! A store knows commits and bytes, nothing of stages. Each change is exactly one commit, made
//! against the head that the caller knows: a store that moved meanwhile answers
//! [`Error::RefMoved`] and has changed nothing. A service's folder and the records beside it change
//! in the same commit, so that what is live and what is known of it can never disagree.

pub mod git;
pub mod memory;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;

pub use git::GitStore;
pub use memory::MemoryStore;

#[cfg(doc)]
use crate::error::Error;

/// The files of one service: path relative to the service's folder, and content.
pub type Files = BTreeMap<String, Arc<[u8]>>;

/// Identity of a commit: 40 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitId(String);

impl CommitId {
    /// Takes an id as text, complete or abbreviated; whether it exists shows when it is used.
    pub fn from_hex(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A commit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRecord {
    /// Its id.
    pub id: CommitId,
    /// Unix seconds.
    pub at: i64,
    /// Its message.
    pub message: String,
}

/// What one commit does: to the folder of at most one service, and to records beside the folders.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The folder that changes; none for a commit that only writes records.
    pub folder: Option<FolderChange<'a>>,
    /// Records written or removed in the same commit.
    pub records: Vec<Record>,
    /// The commit's message.
    pub message: String,
    /// Unix seconds, not negative.
    pub at: i64,
}

/// New content for one service.
#[derive(Clone, Debug)]
pub struct FolderChange<'a> {
    /// The service, already checked to be a DNS label.
    pub service: &'a str,
    /// The new content.
    pub content: Content<'a>,
}

/// A file beside the services' folders, which a rollback of a folder does not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Relative path with `/`, made of our own words and DNS labels.
    pub path: String,
    /// The new content; none removes it.
    pub bytes: Option<Vec<u8>>,
}

/// New content of a service's folder.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// Writes some files and removes others; the rest stays.
    Edit {
        /// Relative path and content.
        write: Vec<(String, Vec<u8>)>,
        /// Relative paths.
        remove: Vec<String>,
    },
    /// The folder exactly as it was in that commit.
    RestoredFrom(&'a CommitId),
}

/// A history of service folders.
pub trait Store: Send {
    /// The newest commit; none in a new store.
    fn head(&self) -> Result<Option<CommitId>>;

    /// Makes one commit on top of `expected`, or fails with [`Error::RefMoved`] and changes nothing.
    fn commit(&mut self, expected: Option<&CommitId>, change: &Change<'_>) -> Result<CommitId>;

    /// The services that have files in `commit`, sorted.
    fn services(&self, commit: &CommitId) -> Result<Vec<String>>;

    /// The files of a service in `commit`; empty when it has none.
    fn files(&self, commit: &CommitId, service: &str) -> Result<Files>;

    /// A content hash of the service's folder in `commit`: equal exactly when all bytes are.
    fn folder_hash(&self, commit: &CommitId, service: &str) -> Result<Option<String>>;

    /// The content of a record in `commit`.
    fn record(&self, commit: &CommitId, path: &str) -> Result<Option<Arc<[u8]>>>;

    /// The commit before `commit`.
    fn parent(&self, commit: &CommitId) -> Result<Option<CommitId>>;

    /// Shows all commits to `visit`, newest first, until it breaks.
    fn walk(&self, visit: &mut dyn FnMut(CommitRecord) -> Result<ControlFlow<()>>) -> Result<()>;
}
