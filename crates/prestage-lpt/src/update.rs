//! The meta-pipeline: brings a whole fleet to new templates, wave by wave.
//!
//! ```text
//! detect -> resolve dependants -> plan -> check -> record conflicts
//!     -> canary: apply -> verify -> wave: apply -> verify -> ... -> done
//!                           |                      |
//!                           +-> roll the wave back +-> rolled back; its candidates are held
//! ```
//!
//! Every arrow is a commit; a run that is killed anywhere goes on where its journal stands and ends
//! as it would have ended. A second run over a finished one changes nothing: that is the fixpoint.
//! A service that cannot follow (a conflict, a refused definition, a hold) keeps what it has, and
//! the fleet goes on. The run depends on no template that it updates, so that it can mend any.

mod journal;
mod verify;

use std::collections::BTreeMap;

use serde_json::json;

use crate::canonical::Revision;
use crate::error::Result;
use crate::fleet::{Check, FleetPlanner};
use crate::message::Message;
use crate::plan::{FleetPlan, PlanAction};
use crate::repository::{Applied, PipelineRepository};
use crate::resolver::Resolver;
use crate::template::TemplateSet;

pub use journal::{JOURNAL_FORMAT, Journal, JournalEntry, UpdateStep};
pub use verify::{StoredFiles, Verifier};

use journal::JOURNAL_PATH;

const RUN_DOMAIN: &str = "prestage/update/1";

/// How a run proceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateOptions {
    /// Services in the canary, at least 1.
    pub canary: usize,
    /// Services in each further wave, at least 1.
    pub wave: usize,
    /// Time of the commits, unix seconds.
    pub at: i64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateOutcome {
    /// Every service that can follow has what the templates give; nothing was committed.
    NothingToDo(FleetPlan),
    /// The run ended as its journal says.
    Ended(Journal),
}

/// The journal of the newest run.
pub fn journal(repository: &PipelineRepository) -> Result<Option<Journal>> {
    repository
        .record(JOURNAL_PATH)?
        .map(|bytes| Journal::parse(&bytes))
        .transpose()
}

/// Brings the fleet to `templates`, or goes on with a run that was interrupted.
pub fn update(
    repository: &mut PipelineRepository,
    templates: &TemplateSet,
    options: UpdateOptions,
    check: Check<'_>,
    verifier: &mut dyn Verifier,
) -> Result<UpdateOutcome> {
    assert!(
        options.canary > 0 && options.wave > 0,
        "a wave of nobody never ends"
    );
    let mut run = Run {
        repository,
        templates,
        resolver: Resolver::new(templates),
        options,
    };
    let journal = match run.unfinished()? {
        Some(journal) => journal,
        None => match run.begin(check)? {
            Begun::Journal(journal) => journal,
            Begun::Nothing(plan) => return Ok(UpdateOutcome::NothingToDo(plan)),
        },
    };
    run.drive(journal, verifier).map(UpdateOutcome::Ended)
}

struct Run<'a> {
    repository: &'a mut PipelineRepository,
    templates: &'a TemplateSet,
    resolver: Resolver<'a>,
    options: UpdateOptions,
}

enum Begun {
    Journal(Journal),
    Nothing(FleetPlan),
}

impl Run<'_> {
    /// The journal of an interrupted run over the same templates. One over other templates is
    /// closed: what it applied stays, each service whole, and the new run plans from there.
    fn unfinished(&mut self) -> Result<Option<Journal>> {
        let Some(mut journal) = journal(self.repository)? else {
            return Ok(None);
        };
        if journal.step().is_ended() {
            return Ok(None);
        }
        // A wave that is being rolled back is finished first, whatever the templates are now.
        if journal.templates == self.templates.digest() || journal.step() == UpdateStep::RollingBack
        {
            return Ok(Some(journal));
        }
        self.enter(&mut journal, UpdateStep::Superseded, String::new())?;
        Ok(None)
    }

    /// Plans, and writes the plan down before anything else is written.
    fn begin(&mut self, check: Check<'_>) -> Result<Begun> {
        let plan = FleetPlanner::new().plan(self.templates, self.repository, check)?;
        let updates: Vec<&str> = plan
            .with_action(PlanAction::Update)
            .map(|instance| instance.service.as_str())
            .collect();
        if updates.is_empty() && !self.has_new_conflicts(&plan)? {
            return Ok(Begun::Nothing(plan));
        }
        let mut journal = Journal {
            format: JOURNAL_FORMAT,
            run: self.identity(&plan),
            templates: plan.templates.clone(),
            candidates: candidates(&plan),
            waves: waves(&updates, self.options),
            wave: 0,
            entries: Vec::new(),
        };
        let count = |action| plan.with_action(action).count();
        let at = self.options.at;
        let reached = plan.instances.len();
        journal.enter(
            UpdateStep::Detected,
            at,
            format!("{reached} services reached, {} not", plan.untouched),
        );
        journal.enter(
            UpdateStep::Resolved,
            at,
            format!("{} candidates", journal.candidates.len()),
        );
        let note = format!(
            "{} to update, {} in conflict, {} held",
            updates.len(),
            count(PlanAction::Conflict),
            count(PlanAction::Held)
        );
        journal.enter(UpdateStep::Planned, at, note);
        let refused: Vec<&str> = plan
            .with_action(PlanAction::Refused)
            .map(|instance| instance.service.as_str())
            .collect();
        self.enter(
            &mut journal,
            UpdateStep::Checked,
            format!("refused: [{}]", refused.join(", ")),
        )?;
        Ok(Begun::Journal(journal))
    }

    /// Whether a conflict of the plan is not recorded with its service yet.
    fn has_new_conflicts(&self, plan: &FleetPlan) -> Result<bool> {
        for instance in plan.with_action(PlanAction::Conflict) {
            let pending = &self.repository.state(&instance.service)?.pending;
            let is_known = pending.as_ref().is_some_and(|pending| {
                Some(&pending.candidate) == instance.candidate.as_ref()
                    && pending.conflicts == instance.conflicts
            });
            if !is_known {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Two runs over the same templates differ by what they began from.
    fn identity(&self, plan: &FleetPlan) -> Revision {
        let from: Vec<_> = plan
            .instances
            .iter()
            .map(|instance| json!([instance.service, instance.from]))
            .collect();
        Revision::of(
            RUN_DOMAIN,
            &json!({"templates": plan.templates, "from": from}),
        )
    }

    fn drive(&mut self, mut journal: Journal, verifier: &mut dyn Verifier) -> Result<Journal> {
        loop {
            match journal.step() {
                UpdateStep::Detected
                | UpdateStep::Resolved
                | UpdateStep::Planned
                | UpdateStep::Checked => {
                    self.record_conflicts(&mut journal)?;
                }
                UpdateStep::ConflictsRecorded | UpdateStep::Verified => {
                    self.next_wave(&mut journal)?;
                }
                UpdateStep::Applying => self.apply_wave(&mut journal, verifier)?,
                UpdateStep::RollingBack => self.roll_wave_back(&mut journal)?,
                UpdateStep::Done | UpdateStep::RolledBack | UpdateStep::Superseded => {
                    return Ok(journal);
                }
            }
        }
    }

    fn record_conflicts(&mut self, journal: &mut Journal) -> Result<()> {
        let updated: Vec<&String> = journal.waves.iter().flatten().collect();
        let conflicted: Vec<String> = journal
            .candidates
            .keys()
            .filter(|service| !updated.contains(service))
            .cloned()
            .collect();
        let mut note = format!("[{}]", conflicted.join(", "));
        for service in &conflicted {
            note.extend(self.apply(journal, service)?);
        }
        self.enter(journal, UpdateStep::ConflictsRecorded, note)
    }

    fn next_wave(&mut self, journal: &mut Journal) -> Result<()> {
        match journal.waves.get(journal.wave) {
            Some(services) => {
                let note = format!("[{}]", services.join(", "));
                self.enter(journal, UpdateStep::Applying, note)
            }
            None => self.enter(journal, UpdateStep::Done, String::new()),
        }
    }

    fn apply_wave(&mut self, journal: &mut Journal, verifier: &mut dyn Verifier) -> Result<()> {
        let services = journal.waves[journal.wave].clone();
        let mut note = format!("[{}]", services.join(", "));
        for service in &services {
            note.extend(self.apply(journal, service)?);
        }
        for service in &services {
            if let Err(problem) = self.verify(journal, service, verifier)? {
                let note = format!("{service}: {problem}");
                return self.enter(journal, UpdateStep::RollingBack, note);
            }
        }
        self.settle_wave(journal, &services, note)
    }

    /// Applies the candidate to a service, once; what stands in the way, for the journal. An edit
    /// that came between plan and apply is met by the three-way merge itself.
    fn apply(&mut self, journal: &Journal, service: &str) -> Result<Option<String>> {
        let applied = Applied {
            run: journal.run.clone(),
            wave: journal.wave,
        };
        let candidate = self.resolver.candidate(self.repository.base(service)?)?;
        let result = self
            .repository
            .apply_as(&candidate, Some(&applied), self.options.at);
        match result {
            Ok(_) => Ok(None),
            Err(error) if error.is_environment() => Err(error),
            // It changed since it was planned and cannot follow any more; the others go on.
            Err(error) => Ok(Some(format!("; {service} stays: {error}"))),
        }
    }

    /// The problem that a verifier finds with a service that this wave updated.
    fn verify(
        &self,
        journal: &Journal,
        service: &str,
        verifier: &mut dyn Verifier,
    ) -> Result<std::result::Result<(), String>> {
        let applied = &self.repository.state(service)?.applied;
        match applied {
            Some(applied) if applied.run == journal.run => {
                verifier.verify(self.repository, service)
            }
            _ => Ok(Ok(())),
        }
    }

    /// One commit: the wave is verified, and its definitions are the stable ones.
    fn settle_wave(
        &mut self,
        journal: &mut Journal,
        services: &[String],
        note: String,
    ) -> Result<()> {
        let run = journal.run.clone();
        journal.enter(UpdateStep::Verified, self.options.at, note);
        journal.wave += 1;
        let message = Message::journal(UpdateStep::Verified.as_str(), &run);
        self.repository.commit_record(
            &journal.record(),
            &message,
            self.options.at,
            |service, state, revision| {
                let is_ours = state
                    .applied
                    .as_ref()
                    .is_some_and(|applied| applied.run == run);
                if !is_ours || !services.iter().any(|known| known == service) {
                    return false;
                }
                state.applied = None;
                state.stable = Some(revision.clone());
                true
            },
        )?;
        Ok(())
    }

    fn roll_wave_back(&mut self, journal: &mut Journal) -> Result<()> {
        let services = journal.waves[journal.wave].clone();
        for service in services.iter().rev() {
            self.repository
                .roll_back_update(service, &journal.run, self.options.at)?;
        }
        let note = format!("[{}]", services.join(", "));
        self.enter(journal, UpdateStep::RolledBack, note)
    }

    fn enter(&mut self, journal: &mut Journal, step: UpdateStep, note: String) -> Result<()> {
        journal.enter(step, self.options.at, note);
        let message = Message::journal(step.as_str(), &journal.run);
        self.repository.commit_record(
            &journal.record(),
            &message,
            self.options.at,
            |_, _, _| false,
        )?;
        Ok(())
    }
}

/// The candidates of services that are to be updated or wait for decisions.
fn candidates(plan: &FleetPlan) -> BTreeMap<String, Revision> {
    let follows = |action| matches!(action, PlanAction::Update | PlanAction::Conflict);
    plan.instances
        .iter()
        .filter(|instance| follows(instance.action))
        .filter_map(|instance| Some((instance.service.clone(), instance.candidate.clone()?)))
        .collect()
}

fn waves(services: &[&str], options: UpdateOptions) -> Vec<Vec<String>> {
    let (canary, rest) = services.split_at(options.canary.min(services.len()));
    let owned = |wave: &[&str]| wave.iter().map(|service| (*service).to_owned()).collect();
    std::iter::once(canary)
        .filter(|canary| !canary.is_empty())
        .chain(rest.chunks(options.wave))
        .map(owned)
        .collect()
}

#[cfg(test)]
mod kills;
#[cfg(test)]
mod tests;
