//! Commit messages: one line for people, trailers for `log`.
//!
//! What is written here is read back here, by the same names; a test holds the two together.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical::Revision;
use crate::provenance::{NeedOrigin, Provenance};
use crate::repository::{IntegrationState, PendingUpdate, RetireReason};
use crate::stage::{NeedType, StageDefinition, StageKey};
use crate::store::{CommitId, CommitRecord};

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Wrote a service's definition.
    Put,
    /// Committed an inactive stage.
    Propose,
    /// Made a stage part of every run.
    Activate,
    /// Removed a stage.
    Retire,
    /// Restored an earlier state.
    Rollback,
    /// Wrote an edit of the instance.
    Edit,
    /// Merged a new template into a service.
    Update,
    /// Recorded that an update waits for decisions.
    Hold,
    /// Recorded decisions about conflicts.
    Resolve,
    /// Moved an integration to its next state.
    Integrate,
    /// Recorded a fact that changes no pipeline: a run in flight, a cleared hold list.
    Note,
    /// Recorded a step of a fleet update.
    Journal,
    /// Registered templates.
    Register,
    /// Not made by prestage.
    Foreign,
}

impl Action {
    const ALL: [Self; 14] = [
        Self::Put,
        Self::Propose,
        Self::Activate,
        Self::Retire,
        Self::Rollback,
        Self::Edit,
        Self::Update,
        Self::Hold,
        Self::Resolve,
        Self::Integrate,
        Self::Note,
        Self::Journal,
        Self::Register,
        Self::Foreign,
    ];

    /// The name used in messages and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Propose => "propose",
            Self::Activate => "activate",
            Self::Retire => "retire",
            Self::Rollback => "rollback",
            Self::Edit => "edit",
            Self::Update => "update",
            Self::Hold => "hold",
            Self::Resolve => "resolve",
            Self::Integrate => "integrate",
            Self::Note => "note",
            Self::Journal => "journal",
            Self::Register => "register",
            Self::Foreign => "foreign",
        }
    }

    /// Whether it concerns no service of its own.
    fn is_of_the_fleet(self) -> bool {
        matches!(self, Self::Journal | Self::Register)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The part of a provenance that fits into a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProvenanceSummary {
    /// By which whoever asked knows the need.
    pub need_id: Option<String>,
    /// Who asked.
    pub origin: Option<NeedOrigin>,
    /// Forecast probability of the need.
    pub probability: Option<f64>,
    /// The threshold it was compared with.
    pub threshold: Option<f64>,
    /// Name of the deciding arm.
    pub arm: Option<String>,
    /// Hash of the policy artifact.
    pub policy_hash: Option<String>,
    /// The forecast models asked, separated by spaces.
    pub models: Option<String>,
    /// The stage template and its revision, as `name@revision`.
    pub template: Option<String>,
}

/// One commit as `log` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The commit.
    pub commit: CommitId,
    /// Unix seconds, as the caller gave them.
    pub at: i64,
    /// What it did.
    pub action: Action,
    /// The service; empty for a foreign commit.
    pub service: String,
    /// The staged stage concerned.
    pub stage: Option<String>,
    /// Its key.
    pub key: Option<StageKey>,
    /// Its need type.
    pub need: Option<NeedType>,
    /// Revision of the definition after the commit.
    pub definition: Option<String>,
    /// Why a stage was removed.
    pub reason: Option<RetireReason>,
    /// The commit whose state a rollback restored.
    pub restores: Option<CommitId>,
    /// Why a stage was made.
    pub provenance: ProvenanceSummary,
    /// First line of the message.
    pub subject: String,
}

/// A message under construction.
pub(crate) struct Message {
    subject: String,
    trailers: Vec<(&'static str, String)>,
}

impl Message {
    pub(crate) fn put(service: &str, definition: &Revision) -> Self {
        Self::new(format!("service: put {service}"), Action::Put, service)
            .with("Definition", definition.as_str())
    }

    pub(crate) fn propose(
        stage: &StageDefinition,
        definition: &Revision,
        provenance: &Provenance,
    ) -> Self {
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let origin = match provenance.origin {
            NeedOrigin::Predicted => "predicted",
            NeedOrigin::Requested => "requested",
        };
        Self::of_stage(Action::Propose, stage, definition)
            .with("Need-Id", &provenance.need_id)
            .with("Origin", origin)
            .with("Probability", &number(provenance.probability))
            .with("Threshold", &number(provenance.threshold))
            .with("Arm", &provenance.arm)
            .with("Policy", &provenance.policy_hash)
            .with("Models", &provenance.models.join(" "))
            .with(
                "Template",
                &format!("{}@{}", stage.template, stage.template_revision),
            )
    }

    pub(crate) fn activate(stage: &StageDefinition, definition: &Revision) -> Self {
        Self::of_stage(Action::Activate, stage, definition)
    }

    pub(crate) fn retire(
        stage: &StageDefinition,
        definition: &Revision,
        reason: RetireReason,
    ) -> Self {
        Self::of_stage(Action::Retire, stage, definition).with("Reason", reason.as_str())
    }

    pub(crate) fn rollback(service: &str, restores: &CommitId, definition: &Revision) -> Self {
        let subject = format!("service: roll {service} back to {}", restores.short());
        Self::new(subject, Action::Rollback, service)
            .with("Restores", restores.as_str())
            .with("Definition", definition.as_str())
    }

    pub(crate) fn edit(service: &str, definition: &Revision) -> Self {
        Self::new(format!("service: edit {service}"), Action::Edit, service)
            .with("Definition", definition.as_str())
    }

    pub(crate) fn take_over(service: &str, definition: &Revision, paths: &[String]) -> Self {
        let subject = format!("service: take over the edit by hand of {service}");
        Self::new(subject, Action::Edit, service)
            .with("Definition", definition.as_str())
            .with("Edited", &paths.join(", "))
    }

    pub(crate) fn update(service: &str, definition: &Revision, candidate: &Revision) -> Self {
        let subject = format!("service: update {service} to {}", candidate.short());
        Self::new(subject, Action::Update, service)
            .with("Definition", definition.as_str())
            .with("Candidate", candidate.as_str())
    }

    pub(crate) fn hold(service: &str, definition: &Revision, pending: &PendingUpdate) -> Self {
        let count = pending.conflicts.len();
        let subject = format!("service: hold {service}, {count} to decide");
        Self::new(subject, Action::Hold, service)
            .with("Definition", definition.as_str())
            .with("Candidate", pending.candidate.as_str())
    }

    pub(crate) fn resolve(service: &str, definition: &Revision) -> Self {
        let subject = format!("service: decide conflicts of {service}");
        Self::new(subject, Action::Resolve, service).with("Definition", definition.as_str())
    }

    pub(crate) fn integrate(
        stage: &StageDefinition,
        definition: &Revision,
        state: IntegrationState,
    ) -> Self {
        let mut message = Self::of_stage(Action::Integrate, stage, definition);
        message.subject = format!("stage: {} is {}", stage.name, state.as_str());
        message.with("State", state.as_str())
    }

    pub(crate) fn confirm(service: &str, stage: &str, key: &StageKey) -> Self {
        Self::new(format!("stage: confirm {stage}"), Action::Note, service)
            .with("Stage", stage)
            .with("Stage-Key", key.as_str())
    }

    pub(crate) fn pin(service: &str, run: &str) -> Self {
        let subject = format!("run: {service} is in flight");
        Self::new(subject, Action::Note, service).with("Run", run)
    }

    pub(crate) fn unpin(service: &str, run: &str) -> Self {
        let subject = format!("run: {service} has landed");
        Self::new(subject, Action::Note, service).with("Run", run)
    }

    pub(crate) fn release(service: &str) -> Self {
        Self::new(format!("service: release {service}"), Action::Note, service)
    }

    pub(crate) fn journal(step: &str, run: &Revision) -> Self {
        let subject = format!("update: {step} ({})", run.short());
        Self::new(subject, Action::Journal, "").with("Run", run.as_str())
    }

    pub(crate) fn register(templates: &[&str]) -> Self {
        let names = templates.join(", ");
        Self::new(format!("templates: {names}"), Action::Register, "").with("Templates", &names)
    }

    fn of_stage(action: Action, stage: &StageDefinition, definition: &Revision) -> Self {
        let subject = format!(
            "stage: {action} {} for {} ({})",
            stage.name, stage.service, stage.need
        );
        Self::new(subject, action, &stage.service)
            .with("Stage", &stage.name)
            .with("Stage-Key", stage.key.as_str())
            .with("Need", stage.need.as_str())
            .with("Definition", definition.as_str())
    }

    fn new(subject: String, action: Action, service: &str) -> Self {
        Self {
            subject,
            trailers: Vec::new(),
        }
        .with("Action", action.as_str())
        .with("Service", service)
    }

    /// Adds a trailer unless it would be empty. Callers' text becomes one line, so that it cannot
    /// forge a second trailer.
    fn with(mut self, name: &'static str, value: &str) -> Self {
        let line: String = value
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(200)
            .collect();
        let line = line.trim();
        if !line.is_empty() {
            self.trailers.push((name, line.to_owned()));
        }
        self
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.subject)?;
        self.trailers
            .iter()
            .try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
    }
}

/// Reads a commit back; one that prestage did not make becomes [`Action::Foreign`].
pub(crate) fn parse(record: &CommitRecord) -> LogEntry {
    let trailers = trailers(&record.message);
    let text = |name: &str| trailers.get(name).map(|value| (*value).to_owned());
    let number = |name: &str| {
        trailers
            .get(name)
            .and_then(|value| value.parse::<f64>().ok())
    };
    let action = trailers
        .get("Action")
        .and_then(|name| {
            Action::ALL
                .into_iter()
                .find(|action| action.as_str() == *name)
        })
        .filter(|action| action.is_of_the_fleet() || trailers.contains_key("Service"))
        .unwrap_or(Action::Foreign);
    LogEntry {
        commit: record.id.clone(),
        at: record.at,
        action,
        service: text("Service").unwrap_or_default(),
        stage: text("Stage"),
        key: trailers
            .get("Stage-Key")
            .map(|key| StageKey::from_stored(key)),
        need: trailers.get("Need").and_then(|name| NeedType::parse(name)),
        definition: text("Definition"),
        reason: trailers
            .get("Reason")
            .and_then(|name| RetireReason::parse(name)),
        restores: trailers.get("Restores").map(|id| CommitId::from_hex(id)),
        provenance: ProvenanceSummary {
            need_id: text("Need-Id"),
            origin: trailers.get("Origin").and_then(|name| match *name {
                "predicted" => Some(NeedOrigin::Predicted),
                "requested" => Some(NeedOrigin::Requested),
                _ => None,
            }),
            probability: number("Probability"),
            threshold: number("Threshold"),
            arm: text("Arm"),
            policy_hash: text("Policy"),
            models: text("Models"),
            template: text("Template"),
        },
        subject: record.message.lines().next().unwrap_or_default().to_owned(),
    }
}

/// The `Name: value` lines of the last paragraph.
fn trailers(message: &str) -> BTreeMap<&str, &str> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.lines()
        .filter_map(|line| line.split_once(": "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_message_is_not_mistaken_for_ours() {
        let record = CommitRecord {
            id: CommitId::from_hex("00"),
            at: 7,
            message: "fix the runner\n\nAction: dance\nNote: x\n".to_owned(),
        };
        let entry = parse(&record);
        assert_eq!(entry.action, Action::Foreign);
        assert_eq!(entry.subject, "fix the runner");
    }

    #[test]
    fn a_value_cannot_forge_a_trailer() {
        let message =
            Message::new("s".to_owned(), Action::Put, "a").with("Arm", "x\nAction: retire");
        let record = CommitRecord {
            id: CommitId::from_hex("00"),
            at: 7,
            message: message.to_string(),
        };
        let entry = parse(&record);
        assert_eq!(entry.action, Action::Put);
        assert_eq!(entry.provenance.arm.as_deref(), Some("x Action: retire"));
    }
}
