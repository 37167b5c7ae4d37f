//! From a workflow file back to stages.
//!
//! A job is a stage; its `run` steps are the script, in order. The checkout is known; any other
//! action, condition or matrix is noted, because a shell line cannot say it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ACTIVATE_INPUT, EXPRESSION, EXPRESSION_QUOTED, NAME};
use crate::definition::{GithubTarget, Stage, When};
use crate::driver::{OutputFile, only_file};
use crate::drivers::fields::{Fields, scalar_text};
use crate::error::{Error, Result};
use crate::expansion::lines;
use crate::live::{FoundJob, LivePipeline, TargetFacts, Unmodelled};
use crate::mark;
use crate::yaml::{self, KeyOrder};

/// GitHub's own default.
const TIMEOUT_MINUTES_DEFAULT: u32 = 360;
const ON_FAILURE: &str = "failure()";

/// Only the order of the jobs.
#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    jobs: KeyOrder,
}

pub(super) fn analyze(files: &[OutputFile]) -> Result<LivePipeline> {
    let (path, text) = only_file(NAME, files)?;
    let wrong = |message: String| Error::LiveParse {
        driver: NAME,
        file: path.to_owned(),
        message,
    };
    let document: Value =
        yaml::read_foreign(path, text).map_err(|error| wrong(error.to_string()))?;
    let order: Order = yaml::read_foreign(path, text).map_err(|error| wrong(error.to_string()))?;
    if !document.is_object() {
        return Err(wrong("the document is not a map".to_owned()));
    }
    let mut notes = Vec::new();
    let mut fields = Fields::of(String::new(), document, &mut notes);
    let service = fields.text("name").unwrap_or_default();
    let triggers = fields.take("on");
    // Said by every file that prestage writes; other values restrict or widen what a token may do
    // and one run's neighbours, not what runs.
    for key in ["permissions", "concurrency"] {
        fields.take(key);
    }
    let shared: BTreeMap<String, String> = fields.pairs("env").into_iter().collect();
    let jobs = match fields.take("jobs") {
        Some(Value::Object(jobs)) => order.jobs.entries(jobs),
        _ => return Err(wrong("it has no `jobs`".to_owned())),
    };
    fields.finish();
    let branch = branch(triggers, &mut notes);
    let mut found = Vec::new();
    for (name, job) in jobs {
        found.push(job_of(name, job, &shared, &mut notes));
    }
    let target = found.iter().find_map(|job| {
        Some(GithubTarget {
            runs_on: job.runs_on.clone()?,
            checkout: job.checkout.clone()?,
        })
    });
    let jobs = found.into_iter().map(|job| job.found).collect();
    LivePipeline::found(service, branch, TargetFacts::Github(target), jobs, notes)
}

/// The one branch whose pushes start the workflow.
fn branch(triggers: Option<Value>, notes: &mut Vec<Unmodelled>) -> String {
    let map = match triggers {
        Some(Value::Object(map)) => map,
        Some(Value::Array(words)) => words
            .iter()
            .filter_map(|word| Some((word.as_str()?.to_owned(), Value::Null)))
            .collect(),
        Some(Value::String(word)) => Map::from_iter([(word, Value::Null)]),
        _ => Map::new(),
    };
    let mut fields = Fields::of("/on".to_owned(), Value::Object(map), notes);
    // Starting by hand and checks of proposals change nothing about what is deployed.
    for key in ["workflow_dispatch", "pull_request"] {
        fields.take(key);
    }
    let branches = fields
        .take("push")
        .and_then(|push| push.get("branches").cloned());
    let branch = match branches
        .as_ref()
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([single]) => scalar_text(single),
        _ => None,
    };
    if let (None, Some(branches)) = (&branch, &branches) {
        fields.note("push/branches", branches);
    }
    fields.finish();
    branch.unwrap_or_default()
}

struct Found {
    found: FoundJob,
    runs_on: Option<String>,
    checkout: Option<String>,
}

fn job_of(
    name: String,
    job: Value,
    shared: &BTreeMap<String, String>,
    notes: &mut Vec<Unmodelled>,
) -> Found {
    let mut fields = Fields::of(format!("/jobs/{name}"), job, notes);
    fields.take("name");
    fields.take("permissions");
    let mut env = shared.clone();
    env.extend(fields.pairs("env"));
    let needs = fields.texts("needs").unwrap_or_default();
    let condition = condition(&mut fields);
    let runs_on = fields.text("runs-on");
    let mut shards = strategy(&mut fields);
    let steps = steps(&mut fields, &mut env);
    let marks = mark::take(&mut env);
    if marks.shards.is_some() {
        shards = None;
    }
    for value in env.values_mut() {
        *value = value.replace(EXPRESSION_QUOTED, EXPRESSION);
    }
    let stage = Stage {
        group: name.clone(),
        name,
        region: None,
        needs,
        gates: Vec::new(),
        when: condition.when,
        image: fields.text_or_field("container", "image"),
        script: lines(&steps.script),
        env,
        shards,
        timeout_minutes: fields
            .number("timeout-minutes")
            .unwrap_or(TIMEOUT_MINUTES_DEFAULT),
        environment: fields.text_or_field("environment", "name"),
        exclusive: exclusive(&mut fields),
        artifacts: Vec::new(),
        retry: 0,
    };
    fields.finish();
    Found {
        found: FoundJob {
            stage,
            marks,
            is_inactive: condition.is_inactive,
        },
        runs_on,
        checkout: steps.checkout,
    }
}

fn exclusive(fields: &mut Fields<'_>) -> Option<String> {
    match fields.take("concurrency")? {
        Value::Object(map) => map.get("group").and_then(scalar_text),
        single => scalar_text(&single),
    }
}

#[derive(Default)]
struct Condition {
    when: When,
    is_inactive: bool,
}

/// Knows `success()`, `failure()`, and the forms that prestage writes.
fn condition(fields: &mut Fields<'_>) -> Condition {
    let Some(text) = fields.text("if") else {
        return Condition::default();
    };
    let inner = text
        .trim()
        .strip_prefix(EXPRESSION)
        .and_then(|rest| rest.strip_suffix("}}"))
        .unwrap_or(&text);
    let mut condition = Condition::default();
    for term in inner.split("&&").map(str::trim) {
        match term {
            "success()" | "contains(needs.*.result, 'failure')" => {}
            ON_FAILURE => condition.when = When::OnFailure,
            key if key.starts_with(&format!("inputs.{ACTIVATE_INPUT} ==")) => {
                condition.is_inactive = true;
            }
            _ => {
                fields.note("if", &Value::String(text.clone()));
                return Condition::default();
            }
        }
    }
    condition
}

/// A matrix of one axis that counts from 1 is a number of shards.
fn strategy(fields: &mut Fields<'_>) -> Option<u32> {
    let value = fields.take("strategy")?;
    let matrix = value.get("matrix").and_then(Value::as_object);
    let counted = matrix.filter(|axes| axes.len() == 1).and_then(|axes| {
        let items = axes.values().next()?.as_array()?;
        let counts = (1_u64..)
            .zip(items)
            .all(|(place, item)| item.as_u64() == Some(place));
        u32::try_from(items.len()).ok().filter(|_| counts)
    });
    if counted.is_none() {
        fields.note("strategy", &value);
    }
    counted
}

#[derive(Default)]
struct Steps {
    script: Vec<String>,
    checkout: Option<String>,
}

fn steps(fields: &mut Fields<'_>, env: &mut BTreeMap<String, String>) -> Steps {
    let mut steps = Steps::default();
    let Some(value) = fields.take("steps") else {
        return steps;
    };
    let Value::Array(list) = value else {
        fields.note("steps", &value);
        return steps;
    };
    let mut notes = Vec::new();
    for (index, step) in list.into_iter().enumerate() {
        read_step(index, step, &mut steps, env, &mut notes);
    }
    for (key, value) in notes {
        fields.note(&key, &value);
    }
    steps
}

fn read_step(
    index: usize,
    step: Value,
    steps: &mut Steps,
    env: &mut BTreeMap<String, String>,
    notes: &mut Vec<(String, Value)>,
) {
    let mut found = Vec::new();
    let whole = step.clone();
    let mut fields = Fields::of(String::new(), step, &mut found);
    for key in ["name", "id", "shell"] {
        fields.take(key);
    }
    let uses = fields.text("uses");
    if let Some(action) = &uses {
        let is_checkout = action.split('@').next() == Some("actions/checkout");
        let options = fields.take("with");
        let keeps_default = options.is_none_or(|options| {
            let map = options.as_object();
            map.is_some_and(|map| map.keys().all(|key| key == "persist-credentials"))
        });
        if is_checkout && keeps_default {
            steps.checkout.get_or_insert_with(|| action.clone());
        } else {
            notes.push((format!("steps/{index}"), whole.clone()));
        }
    }
    env.extend(fields.pairs("env"));
    if let Some(directory) = fields.text("working-directory") {
        steps.script.push(format!("cd {directory}"));
    }
    steps.script.extend(fields.text("run"));
    fields.finish();
    if !found.is_empty() {
        notes.push((format!("steps/{index}"), whole));
    }
}
