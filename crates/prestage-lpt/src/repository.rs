//! The pipelines repository: what is staged for each service, and how it got there.
//!
//! Every operation is one commit, or none when it would change nothing. The live state of all
//! services is kept beside the store, so that an operation reads nothing back; when another writer
//! moved the branch, the state is read again and the operation is planned anew.
//!
//! Folder of a service: `definition.json` (what is live), `base.json` (what the template alone
//! gives), `stages/<stage>.json`, and the files of each target. Beside the folders each service has
//! a record, [`InstanceState`].

mod hand_edit;
mod integrate;
mod live;
mod state;
mod templates;
mod updates;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::assembly::Activation;
use crate::definition::ApplicationDefinition;
use crate::error::{Error, Result, nearest};
use crate::message::{Action, LogEntry, Message, parse};
use crate::name::check_label;
use crate::provenance::Provenance;
use crate::stage::{STAGE_FORMAT, StageDefinition, StageKey};
use crate::store::{Change, CommitId, Content, Files, FolderChange, Store};

pub use integrate::{Integration, IntegrationState, Pin, Transition};
pub use live::StagedStage;
pub use state::{AppliedUpdate, InstanceState, PendingUpdate, STATE_FORMAT};
pub use templates::TEMPLATES_FORMAT;
pub use updates::Candidate;

pub(crate) use updates::{Applied, Preview};

use live::{LiveService, Planned};

/// Seconds during which a stage that a rollback removed may not come back.
pub const COOL_DOWN_S: i64 = 3_600;

/// Attempts against other writers before giving up.
const ATTEMPTS_MAX: u32 = 8;

/// Why a stage leaves the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetireReason {
    /// The need came and was served.
    UsedUp,
    /// The need did not come in time.
    Expired,
    /// The forecast no longer expects the need.
    Withdrawn,
    /// A person or a check refused the stage.
    Rejected,
}

impl RetireReason {
    const ALL: [Self; 4] = [Self::UsedUp, Self::Expired, Self::Withdrawn, Self::Rejected];

    /// The name used in messages and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UsedUp => "used_up",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Rejected => "rejected",
        }
    }

    /// The reason of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// Which earlier state a rollback restores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollbackTo {
    /// The state after that commit; an unambiguous abbreviation of at least 7 digits will do.
    Commit(CommitId),
    /// The state before the service's last change; after a rollback, one step further back.
    OneStepBack,
}

/// Whether an operation changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A commit was made.
    Committed,
    /// The repository already was as asked; no commit was made.
    Unchanged,
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The commit made, or the head when nothing changed.
    pub id: CommitId,
    /// Whether a commit was made.
    pub outcome: Outcome,
}

/// The pipelines of all services over a store.
pub struct PipelineRepository {
    store: Box<dyn Store>,
    head: Option<CommitId>,
    services: BTreeMap<String, LiveService>,
    /// Services whose folder cannot be read; nothing touches them, and the others go on.
    unreadable: BTreeMap<String, Error>,
}

impl std::fmt::Debug for PipelineRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PipelineRepository")
            .field("head", &self.head)
            .field("services", &self.services.keys())
            .finish()
    }
}

impl PipelineRepository {
    /// Reads the live state of all services from the head of `store`.
    pub fn open(store: Box<dyn Store>) -> Result<Self> {
        let mut repository = Self {
            store,
            head: None,
            services: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        };
        repository.reload()?;
        Ok(repository)
    }

    /// Reads the live state again, for example after another process wrote.
    pub fn reload(&mut self) -> Result<()> {
        let head = self.store.head()?;
        let mut services = BTreeMap::new();
        let mut unreadable = BTreeMap::new();
        if let Some(commit) = &head {
            for service in self.store.services(commit)? {
                match self.read(commit, &service) {
                    Ok(live) => drop(services.insert(service, live)),
                    Err(problem @ Error::StoreCorrupt { .. }) => {
                        unreadable.insert(service, problem);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.head = head;
        self.services = services;
        self.unreadable = unreadable;
        Ok(())
    }

    fn read(&self, commit: &CommitId, service: &str) -> Result<LiveService> {
        let files = self.store.files(commit, service)?;
        let state = match self.store.record(commit, &InstanceState::path(service))? {
            Some(bytes) => InstanceState::parse(service, &bytes)?,
            None => InstanceState::default(),
        };
        LiveService::read(service, &files, state)
    }

    /// Services whose folder cannot be read, and why.
    pub fn unreadable(&self) -> &BTreeMap<String, Error> {
        &self.unreadable
    }

    /// The record of a service.
    pub fn state(&self, service: &str) -> Result<&InstanceState> {
        self.live(service).map(|live| live.state.as_ref())
    }

    /// What the template alone gives a service, without the overrides of the instance.
    pub fn base(&self, service: &str) -> Result<&ApplicationDefinition> {
        self.live(service).map(|live| live.base.as_ref())
    }

    /// The newest commit.
    pub fn head(&self) -> Option<&CommitId> {
        self.head.as_ref()
    }

    /// The services, sorted.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// The live definition of a service.
    pub fn definition(&self, service: &str) -> Result<&ApplicationDefinition> {
        self.live(service).map(|live| live.definition.as_ref())
    }

    /// The staged stages of a service, in the order of their names.
    pub fn stages(&self, service: &str) -> Result<impl Iterator<Item = &StagedStage>> {
        self.live(service)
            .map(|live| live.stages.values().map(Arc::as_ref))
    }

    /// The staged stage with that key, in full or as its first 32 digits.
    pub fn stage(&self, key: &str) -> Result<&StagedStage> {
        self.services
            .values()
            .flat_map(|live| live.stages.values())
            .find(|staged| staged.stage.key.matches(key))
            .map(Arc::as_ref)
            .ok_or_else(|| Error::StageUnknown {
                key: key.to_owned(),
            })
    }

    /// The files of a service at the head.
    pub fn show(&self, service: &str) -> Result<Files> {
        self.live(service)?;
        let head = self
            .head
            .as_ref()
            .expect("a live service was read from a head");
        self.store.files(head, service)
    }

    /// A content hash of the service's folder after `commit`.
    pub fn folder_hash(&self, commit: &CommitId, service: &str) -> Result<Option<String>> {
        self.store.folder_hash(commit, service)
    }

    /// Writes a service's definition as its template gives it, and drops overrides; staged stages
    /// stay.
    pub fn put_service(&mut self, definition: &ApplicationDefinition, at: i64) -> Result<Commit> {
        let service = definition.service.clone();
        check_label("service", &service)?;
        let revision = definition.revision();
        let definition = Arc::new(definition.clone());
        self.commit(&service, at, |live, _| {
            let is_same =
                |live: &LiveService| live.revision == revision && live.base_revision == revision;
            if live.is_some_and(is_same) {
                return Ok(None);
            }
            let mut next = LiveService::new(definition.clone(), revision.clone());
            if let Some(live) = live {
                next.stages = live.stages.clone();
                next.state = live.state.clone();
            }
            let message = Message::put(&service, &revision);
            next.planned_with_definition(live, message)
        })
    }

    /// Commits a stage that is not active. A stage of that key that is already there stays as it
    /// is, with its state and provenance.
    pub fn propose(
        &mut self,
        service: &str,
        stage: &StageDefinition,
        provenance: &Provenance,
        at: i64,
    ) -> Result<Commit> {
        provenance.validate()?;
        if stage.service != service || provenance.service != service {
            return Err(Error::NeedInvalid {
                service: service.to_owned(),
                field: "service",
                found: format!(
                    "`{}` in the stage, `{}` in the provenance",
                    stage.service, provenance.service
                ),
                expected: "one service".to_owned(),
            });
        }
        self.live(service)?;
        self.commit(service, at, |live, _| {
            let live = live.ok_or_else(|| unknown_service(service, []))?;
            live.check_cool_down(&stage.key, at)?;
            match live.stages.get(&stage.name) {
                Some(known) if known.stage.key == stage.key => return Ok(None),
                Some(known) => {
                    return Err(Error::StageDup {
                        owner: service.to_owned(),
                        first: known.stage.key.to_string(),
                        second: stage.key.to_string(),
                        slug: stage.name.clone(),
                    });
                }
                None => {}
            }
            let message = Message::propose(stage, &live.revision, provenance);
            let provenance = provenance.completed(stage, &live.definition)?;
            let staged = staged_stage(stage, &provenance, at);
            live.clone().with_stage(live, staged, message)
        })
    }

    /// Makes a stage part of every run; one that already is stays as it is.
    pub fn activate(&mut self, key: &StageKey, at: i64) -> Result<Commit> {
        let (service, name) = self.locate(key)?;
        self.commit(&service, at, |live, _| {
            let (live, staged) = staged_in(live, &name, key)?;
            if staged.activation == Activation::Active {
                return Ok(None);
            }
            let message = Message::activate(&staged.stage, &live.revision);
            let mut staged = StagedStage::clone(staged);
            staged.activation = Activation::Active;
            staged.activated_at = Some(at);
            live.clone().with_stage(live, staged, message)
        })
    }

    /// Removes a stage from the pipeline, active or not.
    pub fn retire(&mut self, key: &StageKey, reason: RetireReason, at: i64) -> Result<Commit> {
        let (service, name) = self.locate(key)?;
        self.commit(&service, at, |live, _| {
            let (live, staged) = staged_in(live, &name, key)?;
            let message = Message::retire(&staged.stage, &live.revision, reason);
            live.clone().without_stage(live, &name, message)
        })
    }

    /// Restores an earlier state of a service's folder, byte for byte, by a new commit.
    ///
    /// In the same commit the definition that is left goes on the service's hold list, so that no
    /// update brings it back, and stages that vanish with it may not return for [`COOL_DOWN_S`].
    pub fn rollback(&mut self, service: &str, to: &RollbackTo, at: i64) -> Result<Commit> {
        self.live(service)?;
        let target = match to {
            RollbackTo::Commit(commit) => self.in_history(commit)?,
            RollbackTo::OneStepBack => self.one_step_back(service)?,
        };
        let head = self
            .head
            .as_ref()
            .expect("a live service was read from a head");
        let restored = self.store.folder_hash(&target, service)?;
        if restored.is_none() {
            return Err(Error::RollbackNothing {
                service: service.to_owned(),
                at_commit: target.to_string(),
            });
        }
        if restored == self.store.folder_hash(head, service)? {
            return Ok(self.unchanged());
        }
        let files = self.store.files(&target, service)?;
        let restored = LiveService::read(service, &files, InstanceState::default())?;
        self.commit(service, at, |live, _| {
            let live = live.ok_or_else(|| unknown_service(service, []))?;
            let state = live.after_rollback(&restored, at);
            Ok(Some(Planned {
                content: Some(Content::RestoredFrom(&target)),
                records: vec![state.record(service)],
                message: Message::rollback(service, &target, &restored.revision),
                next: None,
            }))
        })
    }

    /// All commits, newest first.
    pub fn log(&self) -> Result<Vec<LogEntry>> {
        self.log_where(|_| true)
    }

    /// The commits that prestage made for one service, newest first.
    pub fn log_of(&self, service: &str) -> Result<Vec<LogEntry>> {
        self.log_where(|entry| entry.service == service)
    }

    /// The staged stage that a commit wrote, with why it exists; none when the commit of that entry
    /// left no stage of its name behind.
    pub fn staged_at(&self, entry: &LogEntry) -> Result<Option<StagedStage>> {
        let Some(stage) = &entry.stage else {
            return Ok(None);
        };
        let files = self.store.files(&entry.commit, &entry.service)?;
        StagedStage::find(&entry.service, stage, &files)
    }

    fn log_where(&self, is_wanted: impl Fn(&LogEntry) -> bool) -> Result<Vec<LogEntry>> {
        let mut entries = Vec::new();
        self.store.walk(&mut |record| {
            let entry = parse(&record);
            if is_wanted(&entry) {
                entries.push(entry);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(entries)
    }

    fn live(&self, service: &str) -> Result<&LiveService> {
        if let Some(problem) = self.unreadable.get(service) {
            return Err(problem.clone());
        }
        self.services
            .get(service)
            .ok_or_else(|| unknown_service(service, self.services()))
    }

    fn locate(&self, key: &StageKey) -> Result<(String, String)> {
        let staged = self.stage(key.as_str())?;
        Ok((staged.stage.service.clone(), staged.stage.name.clone()))
    }

    /// Plans and commits against the known head, again when another writer was faster.
    fn commit<'a>(
        &mut self,
        service: &str,
        at: i64,
        plan: impl Fn(Option<&LiveService>, Option<&CommitId>) -> Result<Option<Planned<'a>>>,
    ) -> Result<Commit> {
        check_time(service, at)?;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(problem) = self.unreadable.get(service) {
                return Err(problem.clone());
            }
            let Some(planned) = plan(self.services.get(service), self.head.as_ref())? else {
                return Ok(self.unchanged());
            };
            // No edit by hand is overwritten: it is taken over first, then the operation is
            // planned on top of it. A rollback is asked for to undo whatever there is.
            let is_written = matches!(planned.content, Some(Content::Edit { .. }));
            if is_written && self.take_over(service, at)? {
                continue;
            }
            let folder = planned
                .content
                .map(|content| FolderChange { service, content });
            let change = Change {
                folder,
                records: planned.records,
                message: planned.message.to_string(),
                at,
            };
            match self.store.commit(self.head.as_ref(), &change) {
                Ok(id) => return self.committed(service, id, planned.next),
                Err(Error::RefMoved { .. }) => self.reload()?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Stale {
            attempts: ATTEMPTS_MAX,
        })
    }

    fn committed(
        &mut self,
        service: &str,
        id: CommitId,
        next: Option<LiveService>,
    ) -> Result<Commit> {
        let next = match next {
            Some(next) => next,
            None => self.read(&id, service)?,
        };
        self.services.insert(service.to_owned(), next);
        self.head = Some(id.clone());
        Ok(Commit {
            id,
            outcome: Outcome::Committed,
        })
    }

    fn unchanged(&self) -> Commit {
        let id = self
            .head
            .clone()
            .expect("only an existing state can stay unchanged");
        Commit {
            id,
            outcome: Outcome::Unchanged,
        }
    }

    /// The full id of a commit of the branch.
    fn in_history(&self, commit: &CommitId) -> Result<CommitId> {
        let mut found: Vec<CommitId> = Vec::new();
        let is_long_enough = commit.as_str().len() >= 7;
        self.store.walk(&mut |record| {
            if is_long_enough && record.id.as_str().starts_with(commit.as_str()) {
                found.push(record.id);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        match (found.pop(), found.is_empty()) {
            (Some(id), true) => Ok(id),
            _ => Err(Error::CommitUnknown {
                commit: commit.to_string(),
            }),
        }
    }

    /// The commit before the service's last change. A rollback leads on to the state that it
    /// restored, so that repeated steps go further back instead of back and forth.
    fn one_step_back(&self, service: &str) -> Result<CommitId> {
        let mut skip_until: Option<CommitId> = None;
        let mut before = None;
        self.store.walk(&mut |record| {
            if skip_until.as_ref().is_some_and(|until| *until != record.id) {
                return Ok(ControlFlow::Continue(()));
            }
            skip_until = None;
            let entry = parse(&record);
            let parent = self.store.parent(&record.id)?;
            if !self.touches(service, &entry, parent.as_ref())? {
                return Ok(ControlFlow::Continue(()));
            }
            match (entry.action, entry.restores) {
                (Action::Rollback, Some(restored)) => {
                    skip_until = Some(restored);
                    Ok(ControlFlow::Continue(()))
                }
                _ => {
                    before = parent;
                    Ok(ControlFlow::Break(()))
                }
            }
        })?;
        before.ok_or_else(|| Error::RollbackNothing {
            service: service.to_owned(),
            at_commit: "the beginning".to_owned(),
        })
    }

    fn touches(&self, service: &str, entry: &LogEntry, parent: Option<&CommitId>) -> Result<bool> {
        if entry.action != Action::Foreign && entry.service != service {
            return Ok(false);
        }
        let before = match parent {
            Some(parent) => self.store.folder_hash(parent, service)?,
            None => None,
        };
        Ok(self.store.folder_hash(&entry.commit, service)? != before)
    }
}

/// A stage as it is first committed.
fn staged_stage(stage: &StageDefinition, provenance: &Provenance, at: i64) -> StagedStage {
    StagedStage {
        format: STAGE_FORMAT,
        activation: Activation::Inactive,
        proposed_at: at,
        activated_at: None,
        stage: stage.clone(),
        provenance: provenance.clone(),
    }
}

fn staged_in<'a>(
    live: Option<&'a LiveService>,
    name: &str,
    key: &StageKey,
) -> Result<(&'a LiveService, &'a StagedStage)> {
    live.and_then(|live| {
        let staged = live
            .stages
            .get(name)
            .filter(|staged| staged.stage.key == *key)?;
        Some((live, staged.as_ref()))
    })
    .ok_or_else(|| Error::StageUnknown {
        key: key.to_string(),
    })
}

fn unknown_service<'a>(service: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    Error::ServiceUnknown {
        service: service.to_owned(),
        nearest: nearest(service, known),
    }
}

/// Git has no time before 1970.
fn check_time(service: &str, at: i64) -> Result<()> {
    if at >= 0 {
        return Ok(());
    }
    Err(Error::NeedInvalid {
        service: service.to_owned(),
        field: "at",
        found: format!("`{at}`"),
        expected: "unix seconds, not negative".to_owned(),
    })
}

#[cfg(test)]
mod tests;
