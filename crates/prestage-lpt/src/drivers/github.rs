//! GitHub Actions: one workflow per service.
//!
//! The only action used is the checkout that the definition pins to a commit. A staged stage that
//! is not active is skipped unless the workflow is dispatched with its key as input
//! `prestage_activate`. `${{` inside a value is written as an expression that yields `${{`, else
//! GitHub would evaluate it.
//!
//! Cannot express: artifacts and retries without further actions, and manual jobs.
//! Reference: <https://docs.github.com/actions/reference/workflow-syntax-for-github-actions>.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::assembly::{Activation, AssembledStage, Assembly};
use crate::definition::{GithubTarget, When};
use crate::driver::{Driver, OutputFile, header};
use crate::error::{Error, Result};
use crate::yaml;

const NAME: &str = "github";
const ACTIVATE_INPUT: &str = "prestage_activate";
/// GitHub's limit on the length of a job id.
const JOB_ID_LENGTH_MAX: usize = 100;

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Github;

impl Driver for Github {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "GitHub Actions: one workflow per service, least permissions, pinned checkout"
    }

    fn version(&self) -> u32 {
        1
    }

    fn emit(&self, assembly: &Assembly<'_>) -> Result<Vec<OutputFile>> {
        let stages = assembly.stages()?;
        let target = &assembly.definition.pipeline.github;
        check_pinned(&target.checkout)?;
        check_literal("branch", &assembly.definition.pipeline.branch)?;
        check_literal("runner", &target.runs_on)?;
        Error::collected(
            stages
                .iter()
                .filter_map(|stage| check(stage).err())
                .collect(),
        )?;
        let service = &assembly.definition.service;
        let workflow = Workflow {
            name: service.clone(),
            on: triggers(&assembly.definition.pipeline.branch),
            permissions: BTreeMap::from([("contents".to_owned(), "read".to_owned())]),
            concurrency: one_at_a_time(&format!("prestage-{service}")),
            jobs: Jobs(
                stages
                    .iter()
                    .map(|stage| (stage.stage.name.clone(), job(target, stage)))
                    .collect(),
            ),
        };
        let text = format!("{}{}", header(assembly, &self.id()), yaml::write(&workflow));
        Ok(vec![OutputFile {
            path: format!(".github/workflows/{service}.yml"),
            bytes: text.into_bytes(),
        }])
    }
}

fn check_pinned(action: &str) -> Result<()> {
    let is_name = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        text.contains('/') && text.chars().all(plain)
    };
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match action.split_once('@') {
        Some((name, commit)) if is_name(name) && is_commit(commit) => Ok(()),
        _ => Err(Error::NameTarget {
            driver: NAME,
            what: "action",
            found: action.to_owned(),
            expected: "an action is pinned as `owner/name@<40 hexadecimal digits>`".to_owned(),
        }),
    }
}

/// Refuses a value that GitHub would evaluate at a place where it cannot be quoted.
fn check_literal(what: &'static str, value: &str) -> Result<()> {
    if !value.contains("${{") {
        return Ok(());
    }
    Err(Error::NameTarget {
        driver: NAME,
        what,
        found: value.to_owned(),
        expected: "it would be evaluated as an expression".to_owned(),
    })
}

fn check(assembled: &AssembledStage<'_>) -> Result<()> {
    let stage = assembled.stage;
    let unsupported = |field: &str, feature: &str| {
        Err(Error::TargetUnsupported {
            driver: NAME,
            path: format!("/stages/[name={}]/{field}", stage.name),
            feature: feature.to_owned(),
        })
    };
    if stage.name.len() > JOB_ID_LENGTH_MAX {
        return Err(Error::NameTarget {
            driver: NAME,
            what: "job id",
            found: stage.name.clone(),
            expected: format!("at most {JOB_ID_LENGTH_MAX} characters"),
        });
    }
    for (what, value) in [
        ("image", &stage.image),
        ("environment", &stage.environment),
        ("concurrency group", &stage.exclusive),
    ] {
        check_literal(what, value.as_deref().unwrap_or_default())?;
    }
    match stage.when {
        When::Manual => return unsupported("when", "a job that a person starts"),
        When::OnFailure if assembled.needs.is_empty() => {
            return unsupported("when", "a job on failure that needs nothing");
        }
        _ => {}
    }
    if !stage.artifacts.is_empty() {
        return unsupported("artifacts", "artifacts without a further action");
    }
    if stage.retry > 0 {
        return unsupported("retry", "automatic retries");
    }
    Ok(())
}

fn triggers(branch: &str) -> Triggers {
    let input = Input {
        description: "key of a staged stage to run although it is not active".to_owned(),
        kind: "string".to_owned(),
        required: false,
        default: String::new(),
    };
    Triggers {
        push: Push {
            branches: vec![branch.to_owned()],
        },
        workflow_dispatch: Dispatch {
            inputs: BTreeMap::from([(ACTIVATE_INPUT.to_owned(), input)]),
        },
    }
}

fn one_at_a_time(group: &str) -> Concurrency {
    Concurrency {
        group: group.to_owned(),
        cancel_in_progress: false,
    }
}

fn job(target: &GithubTarget, assembled: &AssembledStage<'_>) -> Job {
    let stage = assembled.stage;
    Job {
        name: stage.name.clone(),
        needs: assembled.needs.clone(),
        condition: condition(assembled),
        runs_on: target.runs_on.clone(),
        container: stage.image.clone(),
        timeout_minutes: stage.timeout_minutes,
        environment: stage.environment.clone(),
        concurrency: stage.exclusive.as_deref().map(one_at_a_time),
        strategy: stage.shards.map(strategy),
        env: env(assembled),
        steps: steps(target, assembled),
    }
}

/// GitHub adds `success()` to a condition that names no status function.
fn condition(assembled: &AssembledStage<'_>) -> Option<String> {
    // `failure()` alone would also hold when something before the first need failed.
    let on_failure = (assembled.stage.when == When::OnFailure)
        .then(|| "failure() && contains(needs.*.result, 'failure')".to_owned());
    let activated = assembled
        .staged
        .filter(|staged| staged.activation == Activation::Inactive)
        .map(|staged| format!("inputs.{ACTIVATE_INPUT} == '{}'", staged.stage.key.short()));
    let terms: Vec<String> = on_failure.into_iter().chain(activated).collect();
    (!terms.is_empty()).then(|| format!("${{{{ {} }}}}", terms.join(" && ")))
}

fn strategy(shards: u32) -> Strategy {
    Strategy {
        fail_fast: false,
        matrix: BTreeMap::from([("shard".to_owned(), (1..=shards).collect())]),
    }
}

fn env(assembled: &AssembledStage<'_>) -> BTreeMap<String, String> {
    let quoted = |value: &String| value.replace("${{", "${{ '${{' }}");
    let mut env: BTreeMap<String, String> = assembled
        .stage
        .env
        .iter()
        .map(|(name, value)| (name.clone(), quoted(value)))
        .collect();
    if let Some(count) = assembled.stage.shards {
        env.insert("SHARD_INDEX".to_owned(), "${{ matrix.shard }}".to_owned());
        env.insert("SHARD_COUNT".to_owned(), count.to_string());
    }
    env
}

fn steps(target: &GithubTarget, assembled: &AssembledStage<'_>) -> Vec<Step> {
    let checkout = Step {
        name: "checkout".to_owned(),
        uses: Some(target.checkout.clone()),
        with: BTreeMap::from([("persist-credentials".to_owned(), false)]),
        shell: None,
        run: None,
    };
    let run = Step {
        name: assembled.stage.group.clone(),
        uses: None,
        with: BTreeMap::new(),
        shell: Some("sh".to_owned()),
        run: Some(assembled.stage.script.join("\n")),
    };
    vec![checkout, run]
}

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    pub name: String,
    pub on: Triggers,
    pub permissions: BTreeMap<String, String>,
    pub concurrency: Concurrency,
    pub jobs: Jobs,
}

/// Jobs in their own order.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "BTreeMap<String, Job>")]
pub struct Jobs(pub Vec<(String, Job)>);

impl From<BTreeMap<String, Job>> for Jobs {
    fn from(jobs: BTreeMap<String, Job>) -> Self {
        Self(jobs.into_iter().collect())
    }
}

impl Serialize for Jobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, job) in &self.0 {
            map.serialize_entry(name, job)?;
        }
        map.end()
    }
}

/// `on`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    pub push: Push,
    pub workflow_dispatch: Dispatch,
}

/// `on.push`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    pub branches: Vec<String>,
}

/// `on.workflow_dispatch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    pub inputs: BTreeMap<String, Input>,
}

/// One input of a dispatch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub description: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub required: bool,
    pub default: String,
}

/// `concurrency`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Concurrency {
    pub group: String,
    pub cancel_in_progress: bool,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Job {
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    pub runs_on: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    pub timeout_minutes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    pub steps: Vec<Step>,
}

/// `strategy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Strategy {
    pub fail_fast: bool,
    pub matrix: BTreeMap<String, Vec<u32>>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}
