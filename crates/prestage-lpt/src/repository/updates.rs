//! How a service's definition changes while it is live: edits, updates, decisions, holds.
//!
//! Planning an update is pure and shared by preview and commit, so that what a preview shows is
//! what an update does.

use std::sync::Arc;

use crate::canonical::{Revision, to_value};
use crate::definition::ApplicationDefinition;
use crate::drift::{Drift, file_drift, overrides};
use crate::driver::OutputFile;
use crate::error::{Error, Result, nearest};
use crate::merge3::{
    Conflict, Decisions, DefinitionMerge, DefinitionSides, Resolution, Rules, merge_definitions,
};
use crate::message::Message;
use crate::plan::PlanProblem;
use crate::policy::{PathPolicy, Policies};
use crate::store::{Change, CommitId, Record};

use super::live::{LiveService, Planned};
use super::state::{AppliedUpdate, InstanceState, PendingUpdate};
use super::{
    ATTEMPTS_MAX, COOL_DOWN_S, Commit, Outcome, PipelineRepository, RollbackTo, check_time,
    unknown_service,
};

/// What the templates give an instance now.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The definition without overrides.
    pub theirs: Arc<ApplicationDefinition>,
    /// Its revision.
    pub revision: Revision,
    /// What of it the instance may change; every path that none covers is open.
    pub policies: Vec<PathPolicy>,
}

/// Which step of which run applies an update.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) run: Revision,
    pub(crate) wave: usize,
}

/// What an update would make of a service.
pub(crate) enum Preview {
    /// The candidate is what the service already has as its base.
    Unchanged,
    /// The candidate was rolled back before.
    Held,
    /// What must be decided first.
    Conflicted(Vec<Conflict>),
    /// The definition and the files of all targets, before and after.
    Changed {
        definition: Arc<ApplicationDefinition>,
        revision: Revision,
        before: Vec<OutputFile>,
        after: Vec<OutputFile>,
    },
}

impl PipelineRepository {
    /// Writes an edit of the instance: it differs from what the template gives, and every later
    /// update keeps the difference.
    pub fn edit(&mut self, definition: &ApplicationDefinition, at: i64) -> Result<Commit> {
        let service = definition.service.clone();
        let known = self.live(&service)?.definition.clone();
        let definition = ApplicationDefinition::checked(&service, to_value(definition))?;
        self.commit(&service, at, |live, _| {
            let live = live.ok_or_else(|| unknown_service(&service, []))?;
            let next = live.edited(live.joined(&known, &definition)?);
            if live.revision == next.revision {
                return Ok(None);
            }
            let message = Message::edit(&service, &next.revision);
            next.planned_with_definition(Some(live), message)
        })
    }

    /// Merges a candidate into a service, or records the conflicts and leaves the folder alone.
    pub fn apply(&mut self, candidate: &Candidate, at: i64) -> Result<Commit> {
        self.apply_as(candidate, None, at)
    }

    pub(crate) fn apply_as(
        &mut self,
        candidate: &Candidate,
        applied: Option<&Applied>,
        at: i64,
    ) -> Result<Commit> {
        let service = candidate.theirs.service.clone();
        self.live(&service)?;
        self.commit(&service, at, |live, head| {
            let live = live.ok_or_else(|| unknown_service(&service, []))?;
            if live.base_revision == candidate.revision
                || live.state.holds.contains(&candidate.revision)
            {
                return Ok(None);
            }
            match live.with_hand_edit()?.merged(candidate) {
                DefinitionMerge::Conflicted(conflicts) => Ok(live.pending(candidate, conflicts)),
                DefinitionMerge::Clean(definition) => {
                    let mut next = live.updated(*definition, candidate);
                    if let (Some(applied), Some(before)) = (applied, head) {
                        next.state_mut().applied = Some(AppliedUpdate {
                            run: applied.run.clone(),
                            wave: applied.wave,
                            before: before.clone(),
                        });
                    }
                    let message = Message::update(&service, &next.revision, &candidate.revision);
                    next.planned_with_definition(Some(live), message)
                }
            }
        })
    }

    /// What [`Self::apply`] would do.
    pub(crate) fn preview(&self, candidate: &Candidate) -> Result<Preview> {
        let live = self.live(&candidate.theirs.service)?;
        if live.base_revision == candidate.revision {
            return Ok(Preview::Unchanged);
        }
        if live.state.holds.contains(&candidate.revision) {
            return Ok(Preview::Held);
        }
        let live = live.with_hand_edit()?;
        match live.merged(candidate) {
            DefinitionMerge::Conflicted(conflicts) => Ok(Preview::Conflicted(conflicts)),
            DefinitionMerge::Clean(definition) => {
                let next = live.updated(*definition, candidate);
                let before = live.emit()?;
                Ok(Preview::Changed {
                    before,
                    after: next.emit()?,
                    definition: next.definition,
                    revision: next.revision,
                })
            }
        }
    }

    /// Records decisions about the pending conflicts of a service; once none is left, the merged
    /// definition goes live in the same commit.
    pub fn resolve(&mut self, service: &str, decisions: &Decisions, at: i64) -> Result<Commit> {
        self.live(service)?;
        self.commit(service, at, |live, _| {
            let live = live.ok_or_else(|| unknown_service(service, []))?;
            let Some(pending) = &live.state.pending else {
                return Err(Error::ConflictNone {
                    service: service.to_owned(),
                });
            };
            check_paths(service, pending, decisions)?;
            check_policies(service, pending, decisions)?;
            let candidate = Candidate {
                theirs: Arc::new(pending.theirs.clone()),
                revision: pending.candidate.clone(),
                policies: pending.policies.clone(),
            };
            let mut decided = live.clone();
            if let Some(pending) = &mut decided.state_mut().pending {
                pending.decisions.extend(decisions.clone());
            }
            match decided.merged(&candidate) {
                DefinitionMerge::Conflicted(conflicts) => {
                    if let Some(pending) = &mut decided.state_mut().pending {
                        pending.conflicts = conflicts;
                    }
                    if decided.state == live.state {
                        return Ok(None);
                    }
                    let message = Message::resolve(service, &live.revision);
                    Ok(Some(decided.recorded(live, message)))
                }
                DefinitionMerge::Clean(definition) => {
                    let next = decided.updated(*definition, &candidate);
                    let message = Message::resolve(service, &next.revision);
                    next.planned_with_definition(Some(live), message)
                }
            }
        })
    }

    /// Clears the hold list of a service, so that updates reach it again.
    pub fn release(&mut self, service: &str, at: i64) -> Result<Commit> {
        self.live(service)?;
        self.commit(service, at, |live, _| {
            let live = live.ok_or_else(|| unknown_service(service, []))?;
            if live.state.holds.is_empty() {
                return Ok(None);
            }
            let mut next = live.clone();
            next.state_mut().holds.clear();
            Ok(Some(next.recorded(live, Message::release(service))))
        })
    }

    /// Restores what a service was before a run updated it; nothing when it did not.
    pub(crate) fn roll_back_update(
        &mut self,
        service: &str,
        run: &Revision,
        at: i64,
    ) -> Result<Option<Commit>> {
        let applied = self.live(service)?.state.applied.clone();
        match applied.filter(|applied| applied.run == *run) {
            Some(applied) => self
                .rollback(service, &RollbackTo::Commit(applied.before), at)
                .map(Some),
            None => Ok(None),
        }
    }

    /// The revisions of the live definition and of its base.
    pub fn revisions(&self, service: &str) -> Result<(&Revision, &Revision)> {
        self.live(service)
            .map(|live| (&live.revision, &live.base_revision))
    }

    /// A hash of the folder of a service that was read and may have been edited by hand; none when
    /// this process wrote it.
    pub(crate) fn read_folder(&self, service: &str) -> Result<Option<String>> {
        match (&self.live(service)?.stored, &self.head) {
            (Some(_), Some(head)) => self.store.folder_hash(head, service),
            _ => Ok(None),
        }
    }

    /// How far a service is from what its template gives.
    pub fn drift(&self, service: &str) -> Result<Drift> {
        let live = self.live(service)?;
        let (hand_edits, problem) = match live.hand_edit() {
            Ok(None) => (Vec::new(), None),
            Ok(Some(edit)) => (overrides(live.definition.as_ref(), &edit.definition), None),
            Err(error) => (Vec::new(), Some(PlanProblem::of(&error))),
        };
        Ok(Drift {
            overrides: overrides(live.base.as_ref(), live.definition.as_ref()),
            files: file_drift(&live.emit()?, &self.show(service)?),
            hand_edits,
            problem,
        })
    }

    /// The content of a record.
    pub(crate) fn record(&self, path: &str) -> Result<Option<Arc<[u8]>>> {
        match &self.head {
            Some(head) => self.store.record(head, path),
            None => Ok(None),
        }
    }

    /// Makes one commit of a record and of the records of the services that `settle` changes.
    pub(crate) fn commit_record(
        &mut self,
        record: &Record,
        message: &Message,
        at: i64,
        settle: impl Fn(&str, &mut InstanceState, &Revision) -> bool,
    ) -> Result<Commit> {
        check_time("fleet", at)?;
        for _ in 0..ATTEMPTS_MAX {
            let mut states = Vec::new();
            let mut records = vec![record.clone()];
            for (service, live) in &self.services {
                let mut state = (*live.state).clone();
                if settle(service, &mut state, &live.revision) {
                    records.push(state.record(service));
                    states.push((service.clone(), Arc::new(state)));
                }
            }
            let change = Change {
                folder: None,
                records,
                message: message.to_string(),
                at,
            };
            match self.store.commit(self.head.as_ref(), &change) {
                Ok(id) => return Ok(self.settled(id, states)),
                Err(Error::RefMoved { .. }) => self.reload()?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Stale {
            attempts: ATTEMPTS_MAX,
        })
    }

    pub(super) fn settled(
        &mut self,
        id: CommitId,
        states: Vec<(String, Arc<InstanceState>)>,
    ) -> Commit {
        for (service, state) in states {
            if let Some(live) = self.services.get_mut(&service) {
                live.state = state;
            }
        }
        self.head = Some(id.clone());
        Commit {
            id,
            outcome: Outcome::Committed,
        }
    }
}

impl LiveService {
    /// An edit made against the definition `known`, together with what was changed since then.
    fn joined(
        &self,
        known: &ApplicationDefinition,
        edited: &ApplicationDefinition,
    ) -> Result<ApplicationDefinition> {
        let sides = DefinitionSides {
            base: known,
            ours: &self.definition,
            theirs: edited,
        };
        let rules = Rules {
            policies: &[],
            decisions: &Decisions::new(),
        };
        match merge_definitions(sides, rules) {
            DefinitionMerge::Clean(definition) => Ok(*definition),
            DefinitionMerge::Conflicted(conflicts) => Err(Error::EditConflict {
                service: self.definition.service.clone(),
                path: conflicts
                    .into_iter()
                    .next()
                    .map_or_else(String::new, |conflict| conflict.path),
            }),
        }
    }

    /// The three-way merge of a candidate into this state, with what was decided about it.
    fn merged(&self, candidate: &Candidate) -> DefinitionMerge {
        let none = Decisions::new();
        let decisions = match &self.state.pending {
            Some(pending) if pending.candidate == candidate.revision => &pending.decisions,
            _ => &none,
        };
        let sides = DefinitionSides {
            base: &self.base,
            ours: &self.definition,
            theirs: &candidate.theirs,
        };
        let rules = Rules {
            policies: &candidate.policies,
            decisions,
        };
        merge_definitions(sides, rules)
    }

    fn updated(&self, definition: ApplicationDefinition, candidate: &Candidate) -> Self {
        let mut next = self.clone();
        next.revision = match definition == *candidate.theirs {
            true => candidate.revision.clone(),
            false => definition.revision(),
        };
        next.definition = Arc::new(definition);
        next.base = candidate.theirs.clone();
        next.base_revision = candidate.revision.clone();
        next.state_mut().pending = None;
        next.state_mut().applied = None;
        next
    }

    /// The commit that records conflicts; none when they are recorded already.
    fn pending<'a>(&self, candidate: &Candidate, conflicts: Vec<Conflict>) -> Option<Planned<'a>> {
        let decisions = match &self.state.pending {
            Some(known) if known.candidate == candidate.revision => known.decisions.clone(),
            _ => Decisions::new(),
        };
        let pending = PendingUpdate {
            candidate: candidate.revision.clone(),
            theirs: (*candidate.theirs).clone(),
            policies: candidate.policies.clone(),
            conflicts,
            decisions,
        };
        if self.state.pending.as_ref() == Some(&pending) {
            return None;
        }
        let message = Message::hold(&self.definition.service, &self.revision, &pending);
        let mut next = self.clone();
        next.state_mut().pending = Some(pending);
        Some(next.recorded(self, message))
    }

    /// The record after this state was replaced by an earlier one.
    pub(super) fn after_rollback(&self, restored: &Self, at: i64) -> InstanceState {
        let mut state = (*self.state).clone();
        if restored.base_revision != self.base_revision {
            state.holds.insert(self.base_revision.clone());
        }
        state.holds.remove(&restored.base_revision);
        state.cool_down.retain(|_, until| at < *until);
        for (name, staged) in &self.stages {
            if !restored.stages.contains_key(name) {
                let until = at.saturating_add(COOL_DOWN_S);
                state.cool_down.insert(staged.stage.key.clone(), until);
            }
        }
        state.stable = Some(restored.revision.clone());
        state.pending = None;
        state.applied = None;
        state
    }
}

/// A decision must be about a conflict, or a mistyped path would silently decide nothing.
fn check_paths(service: &str, pending: &PendingUpdate, decisions: &Decisions) -> Result<()> {
    let known = || {
        pending
            .conflicts
            .iter()
            .map(|conflict| conflict.path.as_str())
    };
    let unknown = decisions.keys().find(|path| {
        !known().any(|known| known == *path) && !pending.decisions.contains_key(*path)
    });
    match unknown {
        Some(path) => Err(Error::ConflictUnknown {
            service: service.to_owned(),
            path: path.clone(),
            nearest: nearest(path, known()),
        }),
        None => Ok(()),
    }
}

/// Nobody decides against a policy: there the template's side is taken, or what it allows.
fn check_policies(service: &str, pending: &PendingUpdate, decisions: &Decisions) -> Result<()> {
    let policies = Policies(&pending.policies);
    let forbidden = pending.conflicts.iter().filter(|conflict| {
        let taken = match decisions.get(&conflict.path) {
            None | Some(Resolution::Theirs) => return false,
            Some(Resolution::Ours) => conflict.ours.as_ref(),
            Some(Resolution::Value(value)) => Some(value),
        };
        !policies.allows(&conflict.path, conflict.theirs.as_ref(), taken)
    });
    let problems = forbidden.map(|conflict| Error::SealedPath {
        path: conflict.path.clone(),
        rule: policies.rule_at(&conflict.path).as_str(),
        sealed_in: pending.theirs.template.clone(),
        by: service.to_owned(),
    });
    Error::collected(problems.collect())
}
