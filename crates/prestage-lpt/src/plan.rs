//! The plan of a fleet update: what would change for whom, before anything is touched.
//!
//! A plan is a document. It says for every service that the change reaches what would happen to
//! its definition and to each file of each target, and what stands in the way.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::{Revision, pretty};
use crate::error::Error;
use crate::merge3::{Conflict, Edit};

/// Version of the stored form.
pub const PLAN_FORMAT: u32 = 1;

/// What an update does to one service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PlanAction {
    /// The merge is clean and every target can express it.
    Update,
    /// The templates give what the service already has.
    Unchanged,
    /// Something must be decided first; the service keeps what it has.
    Conflict,
    /// The service was rolled back from just this.
    Held,
    /// The templates, a target or a check refuse it; the service keeps what it has.
    Refused,
}

impl PlanAction {
    /// The name used in documents and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Conflict => "conflict",
            Self::Held => "held",
            Self::Refused => "refused",
        }
    }
}

/// What an update does to one file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FileAction {
    /// The file is new.
    Create,
    /// Its bytes change.
    Modify,
    /// It goes away.
    Delete,
    /// Its bytes stay.
    None,
}

/// One file of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilePlan {
    /// Path in the service's folder.
    pub path: String,
    /// What happens to it.
    pub action: FileAction,
}

/// Why a service is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanProblem {
    /// The stable code of the error.
    pub code: String,
    /// The error.
    pub message: String,
}

impl PlanProblem {
    /// The problem that an error is.
    pub(crate) fn of(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
        }
    }
}

/// What an update does to one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstancePlan {
    /// The service.
    pub service: String,
    /// Its template.
    pub template: String,
    /// What happens.
    pub action: PlanAction,
    /// Revision of the definition before.
    pub from: Revision,
    /// Revision of what the templates give now; none when they give nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Revision>,
    /// Revision of the definition after; none when it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Revision>,
    /// What changes in the definition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// What must be decided first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// What happens to the files of the targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FilePlan>,
    /// Why it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<PlanProblem>,
}

/// How often each thing happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanCounts {
    /// Services by action.
    pub services: BTreeMap<PlanAction, usize>,
    /// Files by action, over all services that the change reaches.
    pub files: BTreeMap<FileAction, usize>,
}

/// What an update does to the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetPlan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// Hash over all templates.
    pub templates: Revision,
    /// Services that the change does not reach.
    pub untouched: usize,
    /// Services that it reaches, in the order of their names.
    pub instances: Vec<InstancePlan>,
    /// How often each thing happens.
    pub counts: PlanCounts,
}

impl FleetPlan {
    pub(crate) fn new(templates: Revision, untouched: usize, instances: Vec<InstancePlan>) -> Self {
        let mut counts = PlanCounts::default();
        for instance in &instances {
            *counts.services.entry(instance.action).or_default() += 1;
            for file in &instance.files {
                *counts.files.entry(file.action).or_default() += 1;
            }
        }
        Self {
            format: PLAN_FORMAT,
            templates,
            untouched,
            instances,
            counts,
        }
    }

    /// The services with that action, in the order of their names.
    pub fn with_action(&self, action: PlanAction) -> impl Iterator<Item = &InstancePlan> {
        self.instances
            .iter()
            .filter(move |instance| instance.action == action)
    }

    /// The stored form: canonical JSON, indented, one final newline.
    pub fn to_json(&self) -> String {
        pretty(self)
    }
}
