//! Asynchronous integration: how a proposal becomes part of a pipeline that is running.
//!
//! ```text
//! proposed -> validated -> committed (inactive) -> integrated (active) -> retired
//!     |           |               |                     |
//!     +-----------+--> rejected   +--> expired          +--> rolled_back
//!                                 +--> withdrawn
//! ```
//!
//! Every arrow is one commit. A stage that is committed touches no run until it is confirmed, and
//! is made active only at a safe point: when no run in flight still has to pass a stage that it
//! gates. A run in flight reads the revision that it began with, whatever happens meanwhile.
//! Withdrawing and expiring remove an inactive stage by the same path.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::assembly::Activation;
use crate::canonical::Revision;
use crate::error::{Error, Result};
use crate::message::Message;
use crate::provenance::Provenance;
use crate::stage::{StageDefinition, StageKey};
use crate::store::{CommitId, Files};

use super::live::{LiveService, Planned};
use super::{Commit, PipelineRepository, RetireReason, staged_stage, unknown_service};

/// Ended integrations that a service remembers.
const ENDED_MAX: usize = 32;

/// Where an integration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationState {
    /// Handed in.
    Proposed,
    /// The pipeline with it is valid for every target.
    Validated,
    /// In the pipeline, inactive.
    Committed,
    /// Part of every run.
    Integrated,
    /// The need was served.
    Retired,
    /// The pipeline with it is not valid, or a person refused it.
    Rejected,
    /// The deadline came first.
    Expired,
    /// The forecast no longer expects the need.
    Withdrawn,
    /// A rollback removed it.
    RolledBack,
}

impl IntegrationState {
    /// The name used in records, messages and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Validated => "validated",
            Self::Committed => "committed",
            Self::Integrated => "integrated",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::RolledBack => "rolled_back",
        }
    }

    /// Whether nothing follows.
    pub fn is_ended(self) -> bool {
        self > Self::Integrated
    }
}

/// One state and when it was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The state.
    pub state: IntegrationState,
    /// Unix seconds.
    pub at: i64,
}

/// A proposal on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Integration {
    /// What runs; dropped once the integration ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageDefinition>,
    /// Why it exists; dropped once the integration ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The stage's name.
    pub name: String,
    /// It must be integrated before this unix second.
    pub deadline: i64,
    /// Whether the need was confirmed.
    pub confirmed: bool,
    /// All states so far, the newest last; never empty.
    pub history: Vec<Transition>,
    /// Why it was rejected; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
}

impl Integration {
    /// The newest state.
    pub fn state(&self) -> IntegrationState {
        self.history
            .last()
            .map_or(IntegrationState::Proposed, |transition| transition.state)
    }

    fn enter(&mut self, state: IntegrationState, at: i64) {
        assert!(!self.state().is_ended(), "an ended integration moved on");
        self.history.push(Transition { state, at });
        if state.is_ended() {
            self.stage = None;
            self.provenance = None;
        }
    }
}

/// A run in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The definition that it began with.
    pub definition: Revision,
    /// The commit whose files it reads.
    pub commit: CommitId,
    /// Stages of the service that it has not finished.
    pub remaining: BTreeSet<String>,
}

impl PipelineRepository {
    /// Hands in a proposal. One that is under way under the same key stays as it is.
    pub fn submit(
        &mut self,
        stage: &StageDefinition,
        provenance: &Provenance,
        deadline: i64,
        at: i64,
    ) -> Result<Commit> {
        provenance.validate()?;
        let service = stage.service.clone();
        self.live(&service)?;
        self.commit(&service, at, |live, _| {
            let live = live.ok_or_else(|| unknown_service(&service, []))?;
            let is_under_way = |queued: &Integration| !queued.state().is_ended();
            if live.state.queue.get(&stage.key).is_some_and(is_under_way) {
                return Ok(None);
            }
            live.check_cool_down(&stage.key, at)?;
            let mut next = live.clone();
            let integration = Integration {
                stage: Some(stage.clone()),
                provenance: Some(provenance.completed(stage, &live.definition)?),
                name: stage.name.clone(),
                deadline,
                confirmed: false,
                history: vec![Transition {
                    state: IntegrationState::Proposed,
                    at,
                }],
                problem: String::new(),
            };
            next.state_mut()
                .queue
                .insert(stage.key.clone(), integration);
            forget_oldest(&mut next);
            let message = Message::integrate(stage, &live.revision, IntegrationState::Proposed);
            Ok(Some(next.recorded(live, message)))
        })
    }

    /// Says that the need has come: the stage becomes active at the next safe point.
    pub fn confirm(&mut self, key: &StageKey, at: i64) -> Result<Commit> {
        let service = self.service_of_queued(key)?;
        self.commit(&service, at, |live, _| {
            let (live, queued) = queued_in(live, key)?;
            if queued.confirmed || queued.state().is_ended() {
                return Ok(None);
            }
            let mut next = live.clone();
            if let Some(queued) = next.state_mut().queue.get_mut(key) {
                queued.confirmed = true;
            }
            let message = Message::confirm(&service, &queued.name, key);
            Ok(Some(next.recorded(live, message)))
        })
    }

    /// Ends an integration: withdrawn or rejected before it is active, retired or rolled back after.
    pub fn end(&mut self, key: &StageKey, reason: RetireReason, at: i64) -> Result<Commit> {
        let service = self.service_of_queued(key)?;
        let state = match reason {
            RetireReason::UsedUp => IntegrationState::Retired,
            RetireReason::Expired => IntegrationState::Expired,
            RetireReason::Withdrawn => IntegrationState::Withdrawn,
            RetireReason::Rejected => IntegrationState::Rejected,
        };
        self.commit(&service, at, |live, _| {
            let (live, queued) = queued_in(live, key)?;
            match queued.state().is_ended() {
                true => Ok(None),
                false => moved(live, key, state, String::new(), at),
            }
        })
    }

    /// Moves every integration of a service as far as it can go now; the states entered, in order.
    pub fn integrate(
        &mut self,
        service: &str,
        at: i64,
    ) -> Result<Vec<(StageKey, IntegrationState)>> {
        let mut entered = Vec::new();
        while let Some((key, state, problem)) = self.next_step(service, at)? {
            self.commit(service, at, |live, _| {
                let (live, queued) = queued_in(live, &key)?;
                // Another writer may have moved it between the look and the commit.
                match queued.state() < state {
                    true => moved(live, &key, state, problem.clone(), at),
                    false => Ok(None),
                }
            })?;
            entered.push((key, state));
        }
        Ok(entered)
    }

    /// Pins a run to what is live now, until [`Self::unpin`].
    pub fn pin(&mut self, service: &str, run: &str, at: i64) -> Result<Commit> {
        self.live(service)?;
        self.commit(service, at, |live, head| {
            let live = live.ok_or_else(|| unknown_service(service, []))?;
            let (Some(head), None) = (head, live.state.pins.get(run)) else {
                return Ok(None);
            };
            let mut next = live.clone();
            let pin = Pin {
                definition: live.revision.clone(),
                commit: head.clone(),
                remaining: live
                    .definition
                    .stages
                    .iter()
                    .map(|stage| stage.name.clone())
                    .collect(),
            };
            next.state_mut().pins.insert(run.to_owned(), pin);
            Ok(Some(next.recorded(live, Message::pin(service, run))))
        })
    }

    /// Says that a run has finished a stage.
    pub fn passed(&mut self, service: &str, run: &str, stage: &str, at: i64) -> Result<Commit> {
        self.live(service)?;
        self.commit(service, at, |live, _| {
            let live = live.ok_or_else(|| unknown_service(service, []))?;
            let mut next = live.clone();
            let removed = next
                .state_mut()
                .pins
                .get_mut(run)
                .is_some_and(|pin| pin.remaining.remove(stage));
            Ok(removed.then(|| next.recorded(live, Message::pin(service, run))))
        })
    }

    /// Releases a run that ended.
    pub fn unpin(&mut self, service: &str, run: &str, at: i64) -> Result<Commit> {
        self.live(service)?;
        self.commit(service, at, |live, _| {
            let live = live.ok_or_else(|| unknown_service(service, []))?;
            let mut next = live.clone();
            let removed = next.state_mut().pins.remove(run).is_some();
            Ok(removed.then(|| next.recorded(live, Message::unpin(service, run))))
        })
    }

    /// The files that a run in flight reads: those of the commit that it began with.
    pub fn pinned_files(&self, service: &str, run: &str) -> Result<Files> {
        let pin = self
            .live(service)?
            .state
            .pins
            .get(run)
            .ok_or_else(|| Error::RunUnknown {
                service: service.to_owned(),
                run: run.to_owned(),
            })?;
        self.store.files(&pin.commit, service)
    }

    fn service_of_queued(&self, key: &StageKey) -> Result<String> {
        self.services
            .iter()
            .find(|(_, live)| live.state.queue.contains_key(key))
            .map(|(service, _)| service.clone())
            .ok_or_else(|| Error::StageUnknown {
                key: key.to_string(),
            })
    }

    /// The first integration that can move, the state it enters, and the problem if rejected.
    fn next_step(
        &self,
        service: &str,
        at: i64,
    ) -> Result<Option<(StageKey, IntegrationState, String)>> {
        let live = self.live(service)?;
        let moves = live.state.queue.iter().find_map(|(key, queued)| {
            let (state, problem) = next_state(live, queued, at)?;
            Some((key.clone(), state, problem))
        });
        Ok(moves)
    }
}

fn next_state(
    live: &LiveService,
    queued: &Integration,
    at: i64,
) -> Option<(IntegrationState, String)> {
    let stage = queued.stage.as_ref()?;
    let is_staged = live.stages.contains_key(&stage.name);
    let plain = |state| Some((state, String::new()));
    match queued.state() {
        IntegrationState::Proposed | IntegrationState::Validated | IntegrationState::Committed
            if queued.deadline <= at =>
        {
            plain(IntegrationState::Expired)
        }
        IntegrationState::Proposed => match live.emit_with(stage) {
            Ok(()) => plain(IntegrationState::Validated),
            Err(problem) => Some((IntegrationState::Rejected, problem.to_string())),
        },
        IntegrationState::Validated => plain(IntegrationState::Committed),
        IntegrationState::Committed | IntegrationState::Integrated if !is_staged => {
            plain(IntegrationState::RolledBack)
        }
        IntegrationState::Committed if queued.confirmed && live.is_safe_point(stage) => {
            plain(IntegrationState::Integrated)
        }
        _ => None,
    }
}

/// The commit by which an integration enters `state`.
fn moved<'a>(
    live: &LiveService,
    key: &StageKey,
    state: IntegrationState,
    problem: String,
    at: i64,
) -> Result<Option<Planned<'a>>> {
    let mut next = live.clone();
    let Some(queued) = next.state_mut().queue.get_mut(key) else {
        return Ok(None);
    };
    let (Some(stage), Some(provenance)) = (queued.stage.clone(), queued.provenance.clone()) else {
        return Ok(None);
    };
    queued.enter(state, at);
    queued.problem = problem;
    let message = Message::integrate(&stage, &live.revision, state);
    let is_staged = live.stages.contains_key(&stage.name);
    match state {
        IntegrationState::Committed => {
            let staged = staged_stage(&stage, &provenance, at);
            next.with_stage(live, staged, message)
        }
        IntegrationState::Integrated => {
            let mut staged = staged_stage(&stage, &provenance, at);
            if let Some(known) = live.stages.get(&stage.name) {
                staged.proposed_at = known.proposed_at;
            }
            staged.activation = Activation::Active;
            staged.activated_at = Some(at);
            next.with_stage(live, staged, message)
        }
        _ if state.is_ended() && is_staged => next.without_stage(live, &stage.name, message),
        _ => Ok(Some(next.recorded(live, message))),
    }
}

fn queued_in<'a>(
    live: Option<&'a LiveService>,
    key: &StageKey,
) -> Result<(&'a LiveService, &'a Integration)> {
    live.and_then(|live| Some((live, live.state.queue.get(key)?)))
        .ok_or_else(|| Error::StageUnknown {
            key: key.to_string(),
        })
}

/// Keeps the record bounded: of the ended integrations only the newest stay.
fn forget_oldest(live: &mut LiveService) {
    let queue = &mut live.state_mut().queue;
    let mut ended: Vec<(i64, StageKey)> = queue
        .iter()
        .filter(|(_, queued)| queued.state().is_ended())
        .filter_map(|(key, queued)| Some((queued.history.last()?.at, key.clone())))
        .collect();
    ended.sort();
    let excess = ended.len().saturating_sub(ENDED_MAX);
    for (_, key) in &ended[..excess] {
        queue.remove(key);
    }
}

#[cfg(test)]
mod tests;
