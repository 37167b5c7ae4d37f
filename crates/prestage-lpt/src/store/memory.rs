//! The store of the simulator and of tests: no disk, the same contract.
//!
//! Each commit keeps only the folder that it changed, so that a million commits of a hundred
//! services do not cost a hundred million entries.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{Change, CommitId, CommitRecord, Content, Files, FolderChange, Store};

/// The commit that wrote a record, and its content; none when it removed it.
type RecordState = (usize, Option<Arc<[u8]>>);

/// A history in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    commits: Vec<CommitRecord>,
    positions: BTreeMap<CommitId, usize>,
    /// Per service: positions of the commits that changed it and what it was after each.
    folders: BTreeMap<String, Vec<(usize, Arc<Files>)>>,
    /// Per record the same.
    records: BTreeMap<String, Vec<RecordState>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn position(&self, commit: &CommitId) -> Result<usize> {
        self.positions
            .get(commit)
            .copied()
            .ok_or_else(|| Error::CommitUnknown {
                commit: commit.to_string(),
            })
    }

    fn folder(&self, commit: &CommitId, service: &str) -> Result<Option<Arc<Files>>> {
        let position = self.position(commit)?;
        let Some(states) = self.folders.get(service) else {
            return Ok(None);
        };
        let after = states.partition_point(|(at, _)| *at <= position);
        Ok(after.checked_sub(1).map(|index| states[index].1.clone()))
    }

    fn changed(&self, change: &FolderChange<'_>) -> Result<Arc<Files>> {
        match &change.content {
            Content::RestoredFrom(commit) => {
                self.folder(commit, change.service)?
                    .ok_or_else(|| Error::RollbackNothing {
                        service: change.service.to_owned(),
                        at_commit: commit.to_string(),
                    })
            }
            Content::Edit { write, remove } => {
                let newest = self
                    .folders
                    .get(change.service)
                    .and_then(|states| states.last());
                let mut files: Files =
                    newest.map_or_else(Files::new, |(_, files)| (**files).clone());
                for path in remove {
                    files.remove(path);
                }
                for (path, bytes) in write {
                    files.insert(path.clone(), Arc::from(bytes.as_slice()));
                }
                Ok(Arc::new(files))
            }
        }
    }
}

impl Store for MemoryStore {
    fn head(&self) -> Result<Option<CommitId>> {
        Ok(self.commits.last().map(|commit| commit.id.clone()))
    }

    fn commit(&mut self, expected: Option<&CommitId>, change: &Change<'_>) -> Result<CommitId> {
        let head = self.head()?;
        if head.as_ref() != expected {
            return Err(Error::RefMoved {
                expected: expected.map_or_else(String::new, CommitId::to_string),
            });
        }
        let changed = match &change.folder {
            Some(folder) => Some((folder.service, self.changed(folder)?)),
            None => None,
        };
        let id = commit_id(head.as_ref(), change, changed.as_ref());
        let position = self.commits.len();
        self.commits.push(CommitRecord {
            id: id.clone(),
            at: change.at,
            message: change.message.clone(),
        });
        self.positions.insert(id.clone(), position);
        if let Some((service, files)) = changed {
            let states = self.folders.entry(service.to_owned()).or_default();
            states.push((position, files));
        }
        for record in &change.records {
            let states = self.records.entry(record.path.clone()).or_default();
            states.push((position, record.bytes.as_deref().map(Arc::from)));
        }
        Ok(id)
    }

    fn services(&self, commit: &CommitId) -> Result<Vec<String>> {
        let position = self.position(commit)?;
        Ok(self
            .folders
            .iter()
            .filter(|(_, states)| states.first().is_some_and(|(at, _)| *at <= position))
            .map(|(service, _)| service.clone())
            .collect())
    }

    fn files(&self, commit: &CommitId, service: &str) -> Result<Files> {
        let folder = self.folder(commit, service)?;
        Ok(folder.map_or_else(Files::new, |files| (*files).clone()))
    }

    fn folder_hash(&self, commit: &CommitId, service: &str) -> Result<Option<String>> {
        let folder = self.folder(commit, service)?;
        Ok(folder.map(|files| folder_hash(&files).to_hex().to_string()))
    }

    fn record(&self, commit: &CommitId, path: &str) -> Result<Option<Arc<[u8]>>> {
        let position = self.position(commit)?;
        let states = self.records.get(path).map_or(&[][..], Vec::as_slice);
        let after = states.partition_point(|(at, _)| *at <= position);
        Ok(after
            .checked_sub(1)
            .and_then(|index| states[index].1.clone()))
    }

    fn parent(&self, commit: &CommitId) -> Result<Option<CommitId>> {
        let before = self.position(commit)?.checked_sub(1);
        Ok(before.map(|position| self.commits[position].id.clone()))
    }

    fn walk(&self, visit: &mut dyn FnMut(CommitRecord) -> Result<ControlFlow<()>>) -> Result<()> {
        for commit in self.commits.iter().rev() {
            if visit(commit.clone())?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn folder_hash(files: &Files) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (path, bytes) in files {
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hasher.finalize()
}

/// Chained like git's ids, so that one sequence of changes always gives the same ids.
fn commit_id(
    parent: Option<&CommitId>,
    change: &Change<'_>,
    folder: Option<&(&str, Arc<Files>)>,
) -> CommitId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(parent.map_or("", CommitId::as_str).as_bytes());
    if let Some((service, files)) = folder {
        hasher.update(service.as_bytes());
        hasher.update(&[0]);
        hasher.update(folder_hash(files).as_bytes());
    }
    for record in &change.records {
        hasher.update(record.path.as_bytes());
        hasher.update(&[0]);
        hasher.update(blake3::hash(record.bytes.as_deref().unwrap_or_default()).as_bytes());
    }
    hasher.update(&change.at.to_le_bytes());
    hasher.update(change.message.as_bytes());
    CommitId::from_hex(&hasher.finalize().to_hex()[..40])
}
