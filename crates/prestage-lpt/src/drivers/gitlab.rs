//! GitLab CI: one `.gitlab-ci.yml`.
//!
//! Jobs are ordered by `needs`; the `stages` list only groups them on the page. A staged stage
//! that is not active carries a rule that is true only when the pipeline is started with
//! `PRESTAGE_ACTIVATE=<key>`, so a person can run it early without another commit. Values with `$`
//! are marked `expand: false`, else the runner would expand them.
//!
//! Reference: <https://docs.gitlab.com/ci/yaml/>.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::assembly::{Activation, AssembledStage, Assembly};
use crate::definition::When;
use crate::driver::{Driver, OutputFile, header};
use crate::error::{Error, Result};
use crate::yaml;

/// The variable that starts an inactive stage by its key.
pub const ACTIVATE_VARIABLE: &str = "PRESTAGE_ACTIVATE";

const NAME: &str = "gitlab";
/// GitLab's limit of `needs` per job.
const NEEDS_MAX: usize = 50;
/// Top-level keys of the format and words that it reads as something else.
const RESERVED: &[&str] = &[
    "after_script",
    "before_script",
    "cache",
    "default",
    "false",
    "image",
    "include",
    "nil",
    "null",
    "pages",
    "services",
    "spec",
    "stages",
    "true",
    "types",
    "variables",
    "workflow",
];

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Gitlab;

impl Driver for Gitlab {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "GitLab CI: one .gitlab-ci.yml with a needs graph"
    }

    fn version(&self) -> u32 {
        1
    }

    fn emit(&self, assembly: &Assembly<'_>) -> Result<Vec<OutputFile>> {
        let stages = assembly.stages()?;
        Error::collected(
            stages
                .iter()
                .filter_map(|stage| check(stage).err())
                .collect(),
        )?;
        let file = GitlabFile {
            stages: lanes(&stages),
            workflow: Workflow {
                rules: vec![Rule {
                    condition: Some(format!(
                        "$CI_COMMIT_BRANCH == \"{}\"",
                        branch(&assembly.definition.pipeline.branch)?
                    )),
                    when: None,
                }],
            },
            jobs: stages
                .iter()
                .map(|stage| (stage.stage.name.clone(), job(assembly, stage)))
                .collect(),
        };
        let text = format!("{}{}", header(assembly, &self.id()), yaml::write(&file));
        Ok(vec![OutputFile {
            path: ".gitlab-ci.yml".to_owned(),
            bytes: text.into_bytes(),
        }])
    }
}

fn check(assembled: &AssembledStage<'_>) -> Result<()> {
    let name = &assembled.stage.name;
    if RESERVED.contains(&name.as_str()) {
        return Err(Error::NameTarget {
            driver: NAME,
            what: "job name",
            found: name.clone(),
            expected: "it is a keyword of the format".to_owned(),
        });
    }
    if assembled.needs.len() > NEEDS_MAX {
        return Err(Error::TargetUnsupported {
            driver: NAME,
            path: format!("/stages/[name={name}]/needs"),
            feature: format!(
                "{} needs of one job, at most {NEEDS_MAX}",
                assembled.needs.len()
            ),
        });
    }
    Ok(())
}

/// The branch stands inside a condition, so it may not end the string.
fn branch(name: &str) -> Result<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(name);
    }
    Err(Error::NameTarget {
        driver: NAME,
        what: "branch",
        found: name.to_owned(),
        expected: "letters, digits, `.`, `_`, `/` and `-`".to_owned(),
    })
}

fn lanes(stages: &[AssembledStage<'_>]) -> Vec<String> {
    let mut lanes: Vec<String> = Vec::new();
    for stage in stages {
        if !lanes.iter().any(|lane| lane == stage.lane()) {
            lanes.push(stage.lane().to_owned());
        }
    }
    lanes
}

fn job(assembly: &Assembly<'_>, assembled: &AssembledStage<'_>) -> Job {
    let stage = assembled.stage;
    let shards = stage.shards.filter(|shards| *shards > 1);
    Job {
        stage: assembled.lane().to_owned(),
        image: stage.image.clone(),
        tags: assembly.definition.pipeline.gitlab.tags.clone(),
        needs: assembled.needs.clone(),
        rules: vec![rule(assembled)],
        parallel: shards,
        timeout: format!("{} minutes", stage.timeout_minutes),
        retry: (stage.retry > 0).then_some(stage.retry),
        resource_group: stage.exclusive.clone(),
        environment: stage.environment.clone().map(|name| Environment { name }),
        variables: variables(assembled, shards),
        script: stage.script.clone(),
        artifacts: (!stage.artifacts.is_empty()).then(|| Artifacts {
            paths: stage.artifacts.clone(),
        }),
    }
}

fn rule(assembled: &AssembledStage<'_>) -> Rule {
    let condition = assembled
        .staged
        .filter(|staged| staged.activation == Activation::Inactive)
        .map(|staged| format!("${ACTIVATE_VARIABLE} == \"{}\"", staged.stage.key.short()));
    let when = match assembled.stage.when {
        When::OnSuccess => "on_success",
        When::OnFailure => "on_failure",
        When::Manual => "manual",
    };
    Rule {
        condition,
        when: Some(when.to_owned()),
    }
}

fn variables(assembled: &AssembledStage<'_>, shards: Option<u32>) -> BTreeMap<String, Variable> {
    let mut variables: BTreeMap<String, Variable> = assembled
        .stage
        .env
        .iter()
        .map(|(name, value)| (name.clone(), Variable::literal(value)))
        .collect();
    if let Some(count) = assembled.stage.shards {
        // GitLab sets its own index only for jobs that run in parallel.
        let index = if shards.is_some() {
            "$CI_NODE_INDEX"
        } else {
            "1"
        };
        variables.insert("SHARD_INDEX".to_owned(), Variable::Plain(index.to_owned()));
        variables.insert("SHARD_COUNT".to_owned(), Variable::Plain(count.to_string()));
    }
    variables
}

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

/// `workflow`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// The first rule that holds decides.
    pub rules: Vec<Rule>,
}

/// One entry of `rules`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Its name.
    pub name: String,
}

/// `artifacts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifacts {
    /// Paths kept.
    pub paths: Vec<String>,
}

/// A variable: GitLab has a short and a long form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    fn literal(value: &str) -> Self {
        if value.contains('$') {
            return Self::Raw {
                value: value.to_owned(),
                expand: false,
            };
        }
        Self::Plain(value.to_owned())
    }
}
