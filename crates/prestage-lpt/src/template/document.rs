//! A template file as its published schema describes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::parameter::ParameterType;
use crate::policy::PathPolicy;
use crate::stage::NeedType;

/// A template file as its published schema describes it. Leaves may be expressions, and any list
/// may be an edit of the inherited one, so the types are wider than those of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateDocument {
    /// By which instances and children refer to it.
    pub name: String,
    /// The parent's name.
    pub extends: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Of a stage template: the need it serves.
    pub need: Option<NeedType>,
    /// Of a stage template: the parameter that takes the need's magnitude.
    pub magnitude: Option<String>,
    /// Declared or amended, by name.
    #[serde(default)]
    pub parameters: Vec<ParameterDocument>,
    /// Added or amended, by name.
    #[serde(default)]
    pub stages: Vec<StageDocument>,
    /// Of a service template: the stage template per need type.
    #[serde(default)]
    pub stage_templates: BTreeMap<NeedType, Value>,
    /// Of a service template: branch and what single targets need.
    pub pipeline: Option<Value>,
    /// What children and instances may change.
    #[serde(default)]
    pub policy: Vec<PathPolicy>,
}

/// A parameter that a template declares, or amends when it says less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterDocument {
    /// Identifier.
    pub name: String,
    /// The type; only where it is declared first.
    #[serde(rename = "type")]
    pub kind: Option<ParameterType>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it must be set.
    pub required: Option<bool>,
    /// Whether nobody below may change it.
    pub sealed: Option<bool>,
    /// The value when nobody sets it.
    pub default: Option<Value>,
    /// Smallest value.
    pub min: Option<Value>,
    /// Largest value.
    pub max: Option<Value>,
    /// Longest string in characters.
    pub max_length: Option<usize>,
    /// Characters and ranges that a string may hold.
    pub allowed_chars: Option<String>,
    /// Most items.
    pub max_items: Option<usize>,
    /// The values of an enum.
    pub values: Option<Vec<String>>,
    /// Takes the inherited parameter away.
    #[serde(rename = "$remove")]
    pub remove: Option<bool>,
}

/// A stage that a template adds, or amends when it says less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageDocument {
    /// Its key.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether each region gets one.
    pub each_region: Option<bool>,
    /// Of a regional stage: the stage of the region before that it also waits for.
    pub after_region: Option<Value>,
    /// What it waits for.
    pub needs: Option<Value>,
    /// Of a stage template: which of the service's stages wait for it.
    pub gates: Option<Value>,
    /// `on_success`, `on_failure`, `manual`, or an expression.
    pub when: Option<Value>,
    /// Container image.
    pub image: Option<Value>,
    /// Shell lines without expressions.
    pub script: Option<Value>,
    /// Environment variables by name.
    pub env: Option<Value>,
    /// A map parameter whose entries become environment variables.
    pub env_from: Option<Value>,
    /// Parallel copies.
    pub shards: Option<Value>,
    /// Minutes after which it is stopped.
    pub timeout_minutes: Option<Value>,
    /// Deployment environment.
    pub environment: Option<Value>,
    /// Only one stage with this word runs at a time.
    pub exclusive: Option<Value>,
    /// Paths kept.
    pub artifacts: Option<Value>,
    /// Automatic retries.
    pub retry: Option<Value>,
    /// `command` and `template`: what is brought up before it runs.
    pub infrastructure: Option<Value>,
    /// `command`, `metrics` and `window_seconds`: what must hold before anything behind it runs.
    pub gate: Option<Value>,
    /// Takes the inherited stage away.
    #[serde(rename = "$remove")]
    pub remove: Option<bool>,
}
