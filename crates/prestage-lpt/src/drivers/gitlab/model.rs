//! The part of the GitLab CI format that prestage writes, as types.
//!
//! Reference: <https://docs.gitlab.com/ci/yaml/>.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// The file.
#[derive(Clone, Debug, PartialEq)]
pub struct GitlabFile {
    /// Headings in order.
    pub stages: Vec<String>,
    /// When there is a pipeline at all.
    pub workflow: Workflow,
    /// Jobs in order.
    pub jobs: Vec<(String, Job)>,
}

/// Jobs stand beside the keywords, in their own order.
impl Serialize for GitlabFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.jobs.len() + 2))?;
        map.serialize_entry("stages", &self.stages)?;
        map.serialize_entry("workflow", &self.workflow)?;
        for (name, job) in &self.jobs {
            map.serialize_entry(name, job)?;
        }
        map.end()
    }
}

/// A map whose two keywords are known and whose every other key is a job.
impl JsonSchema for GitlabFile {
    fn schema_name() -> Cow<'static, str> {
        "GitlabFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let stages = generator.subschema_for::<Vec<String>>();
        let workflow = generator.subschema_for::<Workflow>();
        let job = generator.subschema_for::<Job>();
        json_schema!({
            "type": "object",
            "required": ["stages", "workflow"],
            "properties": {"stages": stages, "workflow": workflow},
            "additionalProperties": job,
        })
    }
}

/// `workflow`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// The pipeline's name: the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The first rule that holds decides.
    pub rules: Vec<Rule>,
}

/// One entry of `rules`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Condition.
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    pub stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    pub needs: Vec<String>,
    pub rules: Vec<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    pub timeout: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Variable>,
    pub script: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Artifacts>,
}

/// `environment`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Its name.
    pub name: String,
}

/// `artifacts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artifacts {
    /// Paths kept.
    pub paths: Vec<String>,
}

/// A variable: GitLab has a short and a long form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Variable {
    /// `NAME: value`, in which `$OTHER` is expanded.
    Plain(String),
    /// The long form, which can say that nothing is expanded.
    Raw {
        /// The value.
        value: String,
        /// Whether `$OTHER` is expanded.
        expand: bool,
    },
}

impl Variable {
    /// A value that reaches the script unchanged.
    pub(super) fn literal(value: &str) -> Self {
        if value.contains('$') {
            return Self::Raw {
                value: value.to_owned(),
                expand: false,
            };
        }
        Self::Plain(value.to_owned())
    }
}
