//! The part of Tekton's `Pipeline` and `Task` that prestage writes, as types.
//!
//! Reference: <https://tekton.dev/docs/pipelines/pipeline-api/>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drivers::kubernetes::{Metadata, NameValue};

/// A file: the pipeline, or the task of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub enum File {
    /// `kind: Pipeline`.
    Pipeline(Pipeline),
    /// `kind: Task`.
    Task(Task),
}

/// The graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pipeline {
    /// `tekton.dev/v1`.
    pub api_version: String,
    /// Name and annotations.
    pub metadata: Metadata,
    /// What runs.
    pub spec: PipelineSpec,
}

/// `spec` of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSpec {
    /// Parameters of a run.
    pub params: Vec<Param>,
    /// Volumes of a run.
    pub workspaces: Vec<Workspace>,
    /// The nodes.
    pub tasks: Vec<PipelineTask>,
    /// The nodes that run when all others ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<PipelineTask>,
}

/// A declared parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// `string`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The value when nobody gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl Param {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: "string".to_owned(),
            default: None,
        }
    }

    pub(super) fn with_default(name: &str, default: &str) -> Self {
        Self {
            default: Some(default.to_owned()),
            ..Self::new(name)
        }
    }
}

/// A declared volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Its name.
    pub name: String,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PipelineTask {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub task_ref: TaskRef,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub run_after: Vec<String>,
    /// A duration such as `30m0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Automatic retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Conditions, all of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<WhenExpression>,
    /// Parallel copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Matrix>,
    /// What the task is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<NameValue>,
    /// Volumes.
    pub workspaces: Vec<WorkspaceBinding>,
}

/// `taskRef`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskRef {
    /// The task.
    pub name: String,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhenExpression {
    /// What is compared.
    pub input: String,
    /// `in`.
    pub operator: String,
    /// With what.
    pub values: Vec<String>,
}

/// `matrix`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// The axes.
    pub params: Vec<MatrixParam>,
}

/// One axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixParam {
    /// The parameter.
    pub name: String,
    /// One copy for each.
    pub value: Vec<String>,
}

/// A volume of the pipeline as a task sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceBinding {
    /// The task's name for it.
    pub name: String,
    /// The pipeline's.
    pub workspace: String,
}

/// The task of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Task {
    /// `tekton.dev/v1`.
    pub api_version: String,
    /// Name and annotations.
    pub metadata: Metadata,
    /// What runs.
    pub spec: TaskSpec,
}

/// `spec` of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// Declared parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Param>,
    /// Volumes.
    pub workspaces: Vec<Workspace>,
    /// One step.
    pub steps: Vec<Step>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Container image.
    pub image: String,
    /// Where it runs.
    pub working_dir: String,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<NameValue>,
    /// The script.
    pub script: String,
}
