//! From a `.gitlab-ci.yml` back to stages.
//!
//! Follows `extends`, `default`, root-level keywords and implied needs (a job without `needs` waits
//! for all jobs of earlier stages). `include` is not followed: nothing is ever fetched.

mod extends;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use extends::Extends;

use super::{ACTIVATE_VARIABLE, NAME, ONE_OF, RESERVED};
use crate::definition::{GitlabTarget, Stage, When};
use crate::driver::{OutputFile, only_file};
use crate::drivers::fields::{Fields, note, scalar_text};
use crate::error::{Error, Result};
use crate::expansion::lines;
use crate::live::{FoundJob, LivePipeline, TargetFacts, Unmodelled};
use crate::mark;
use crate::yaml::{self, KeyOrder};

/// Jobs of one file; a job that says no needs waits for all of the stages before it.
const JOBS_MAX: usize = 1_000;
/// GitLab's own default.
const TIMEOUT_MINUTES_DEFAULT: u32 = 60;
const STAGES_DEFAULT: [&str; 3] = ["build", "test", "deploy"];
/// Keywords that jobs take from the root or from `default`.
const INHERITED: [&str; 8] = [
    "image",
    "before_script",
    "after_script",
    "services",
    "cache",
    "tags",
    "timeout",
    "retry",
];

pub(super) fn analyze(files: &[OutputFile]) -> Result<LivePipeline> {
    let (path, text) = only_file(NAME, files)?;
    let wrong = |message: String| Error::LiveParse {
        driver: NAME,
        file: path.to_owned(),
        message,
    };
    let document = yaml::read_foreign(path, text).map_err(|error| wrong(error.to_string()))?;
    let order: KeyOrder =
        yaml::read_foreign(path, text).map_err(|error| wrong(error.to_string()))?;
    let Value::Object(mut root) = document else {
        return Err(wrong("the document is not a map".to_owned()));
    };
    let mut notes = Vec::new();
    let (service, branch) = workflow(root.remove("workflow"), &mut notes);
    let lanes = stage_list(root.remove("stages"));
    let defaults = defaults(&mut root, &mut notes);
    let inherited = Inherited {
        defaults,
        variables: match root.remove("variables") {
            Some(Value::Object(variables)) => Some(variables),
            _ => None,
        },
    };
    let jobs = jobs(&mut root, &order, &inherited).map_err(&wrong)?;
    for (key, value) in &root {
        note(&mut notes, &format!("/{key}"), value);
    }
    if jobs.is_empty() {
        return Err(wrong("it holds no job with a `script`".to_owned()));
    }
    let mut found: Vec<Found> = Vec::new();
    for (name, job) in jobs {
        add(&mut found, job_of(name, job, &mut notes));
    }
    let implied = implied_needs(&found, &lanes);
    let target = GitlabTarget {
        tags: found
            .first()
            .map(|job| job.tags.clone())
            .unwrap_or_default(),
    };
    for job in found.iter().filter(|job| job.tags != target.tags) {
        let tags = Value::from(job.tags.clone());
        note(
            &mut notes,
            &format!("/{}/tags", job.found.stage.name),
            &tags,
        );
    }
    let branch = branch.or_else(|| found.iter().find_map(|job| job.branch.clone()));
    let jobs = found.into_iter().zip(implied).map(|(mut job, implied)| {
        if !job.has_needs {
            job.found.stage.needs = implied;
        }
        job.found
    });
    LivePipeline::found(
        service,
        branch.unwrap_or_default(),
        TargetFacts::Gitlab(target),
        jobs.collect(),
        notes,
    )
}

/// Name and branch, as far as they have the form that prestage writes.
fn workflow(value: Option<Value>, notes: &mut Vec<Unmodelled>) -> (String, Option<String>) {
    let mut fields = Fields::of("/workflow".to_owned(), value.unwrap_or_default(), notes);
    let name = fields.text("name").unwrap_or_default();
    let rules = fields.take("rules");
    let branch = rules
        .as_ref()
        .and_then(|rules| match rules.as_array()?.as_slice() {
            [rule] if rule.as_object()?.len() == 1 => branch_of(rule.get("if")?.as_str()?),
            _ => None,
        });
    if let (Some(rules), None) = (&rules, &branch) {
        fields.note("rules", rules);
    }
    fields.finish();
    (name, branch)
}

/// The branch of `$CI_COMMIT_BRANCH == "main"`.
fn branch_of(condition: &str) -> Option<String> {
    let (left, right) = condition.split_once("==")?;
    let quoted = right.trim();
    let name = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .or_else(|| quoted.strip_prefix('\'')?.strip_suffix('\''));
    match (left.trim(), name, quoted) {
        ("$CI_COMMIT_BRANCH" | "$CI_COMMIT_REF_NAME", Some(name), _) if !name.contains('"') => {
            Some(name.to_owned())
        }
        ("$CI_COMMIT_BRANCH", None, "$CI_DEFAULT_BRANCH") => Some("main".to_owned()),
        _ => None,
    }
}

fn stage_list(value: Option<Value>) -> Vec<String> {
    let listed = value.as_ref().and_then(Value::as_array);
    let names: Vec<String> = match listed {
        Some(names) => names.iter().filter_map(scalar_text).collect(),
        None => STAGES_DEFAULT.map(str::to_owned).to_vec(),
    };
    let around = |name: &str| vec![name.to_owned()];
    [around(".pre"), names, around(".post")].concat()
}

/// What every job inherits: `default`, and the root-level keywords that it replaced.
fn defaults(root: &mut Map<String, Value>, notes: &mut Vec<Unmodelled>) -> Map<String, Value> {
    let mut defaults = match root.remove("default") {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    for key in INHERITED {
        if let Some(value) = root.remove(key) {
            defaults.entry(key).or_insert(value);
        }
    }
    if let Some(include) = root.remove("include") {
        note(notes, "/include", &include);
    }
    defaults
}

/// Jobs by name, in file order.
type Jobs = Vec<(String, Map<String, Value>)>;

/// The jobs with their `extends` and defaults applied; hidden ones are only there to be extended.
fn jobs(
    root: &mut Map<String, Value>,
    order: &KeyOrder,
    inherited: &Inherited,
) -> std::result::Result<Jobs, String> {
    let all = std::mem::take(root);
    let mut extends = Extends::new(&all);
    let mut jobs = Vec::new();
    for (name, value) in &order.entries(all.clone()) {
        match value {
            Value::Object(_) if !RESERVED.contains(&name.as_str()) => {
                if !name.starts_with('.') {
                    let job = inherited.with(extends.of(name)?);
                    extends.charge(&job)?;
                    jobs.push((name.clone(), job));
                }
            }
            other => {
                // A hidden key of another form only carries anchors.
                if !name.starts_with('.') {
                    root.insert(name.clone(), other.clone());
                }
            }
        }
        if jobs.len() > JOBS_MAX {
            return Err(format!("more than {JOBS_MAX} jobs"));
        }
    }
    Ok(jobs)
}

/// What every job takes from the root of the file.
struct Inherited {
    defaults: Map<String, Value>,
    /// Only these merge with those of a job.
    variables: Option<Map<String, Value>>,
}

impl Inherited {
    fn with(&self, job: Map<String, Value>) -> Map<String, Value> {
        let mut whole = self.defaults.clone();
        if let Some(shared) = &self.variables {
            let mut variables = shared.clone();
            if let Some(Value::Object(own)) = job.get("variables") {
                variables.extend(own.clone());
            }
            whole.insert("variables".to_owned(), Value::Object(variables));
        }
        for (key, value) in job {
            if key != "variables" || self.variables.is_none() {
                whole.insert(key, value);
            }
        }
        whole
    }
}

/// A job and what is needed only to place it.
struct Found {
    found: FoundJob,
    lane: String,
    tags: Vec<String>,
    branch: Option<String>,
    has_needs: bool,
    /// The stage of which the job is one part.
    one_of: Option<String>,
}

/// Puts a job behind the others, or into the stage that it is a part of.
fn add(found: &mut Vec<Found>, mut job: Found) {
    let Some(name) = job.one_of.take() else {
        found.push(job);
        return;
    };
    match found
        .iter_mut()
        .find(|known| known.found.stage.name == name)
    {
        Some(whole) => whole.found.stage.needs.append(&mut job.found.stage.needs),
        None => {
            job.found.stage.name = name;
            found.push(job);
        }
    }
}

fn job_of(name: String, job: Map<String, Value>, notes: &mut Vec<Unmodelled>) -> Found {
    let mut fields = Fields::of(format!("/{name}"), Value::Object(job), notes);
    let mut env = variables(&mut fields);
    let one_of = env.remove(ONE_OF);
    let marks = mark::take(&mut env);
    let rule = rule(&mut fields);
    let needs = needs(&mut fields);
    let script = [
        fields.texts("before_script").unwrap_or_default(),
        fields.texts("script").unwrap_or_default(),
    ];
    let stage = Stage {
        group: name.clone(),
        name,
        region: None,
        needs: needs.clone().unwrap_or_default(),
        gates: Vec::new(),
        when: rule.when,
        image: fields.text_or_field("image", "name"),
        script: lines(&script.concat()),
        env,
        shards: parallel(&mut fields),
        timeout_minutes: timeout(&mut fields),
        environment: fields.text_or_field("environment", "name"),
        exclusive: fields.text("resource_group"),
        artifacts: artifacts(&mut fields),
        retry: retry(&mut fields),
    };
    let lane = fields.text("stage").unwrap_or_else(|| "test".to_owned());
    let tags = fields.texts("tags").unwrap_or_default();
    fields.finish();
    Found {
        found: FoundJob {
            stage,
            marks,
            is_inactive: rule.is_inactive,
        },
        lane,
        tags,
        branch: rule.branch,
        has_needs: needs.is_some(),
        one_of,
    }
}

fn variables(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let Some(value) = fields.take("variables") else {
        return variables;
    };
    let Value::Object(map) = value else {
        fields.note("variables", &value);
        return variables;
    };
    for (name, value) in map {
        let text = match &value {
            Value::Object(long) => long.get("value").and_then(scalar_text),
            other => scalar_text(other),
        };
        match text {
            Some(text) => {
                variables.insert(name, text);
            }
            None => fields.note(&format!("variables/{name}"), &value),
        }
    }
    variables
}

/// When a job runs, as far as one rule says it.
#[derive(Default)]
struct Condition {
    when: When,
    branch: Option<String>,
    is_inactive: bool,
}

fn rule(fields: &mut Fields<'_>) -> Condition {
    let mut condition = Condition::default();
    if let Some(word) = fields.text("when") {
        match when_of(&word) {
            Some(when) => condition.when = when,
            None => fields.note("when", &Value::String(word)),
        }
    }
    if let Some(only) = fields.take("only") {
        match only.as_array().map(Vec::as_slice).unwrap_or_default() {
            [Value::String(branch)] => condition.branch = Some(branch.clone()),
            _ => fields.note("only", &only),
        }
    }
    let Some(rules) = fields.take("rules") else {
        return condition;
    };
    let single = match rules.as_array().map(Vec::as_slice) {
        Some([Value::Object(rule)]) => rule
            .keys()
            .all(|key| key == "if" || key == "when")
            .then_some(rule),
        _ => None,
    };
    let word = |rule: &Map<String, Value>| rule.get("when").and_then(scalar_text);
    let known = single.and_then(|rule| {
        let when = match word(rule) {
            Some(word) => when_of(&word)?,
            None => When::OnSuccess,
        };
        let text = rule.get("if").and_then(scalar_text);
        let is_inactive = text
            .as_ref()
            .is_some_and(|text| text.contains(ACTIVATE_VARIABLE));
        let branch = text.as_deref().and_then(branch_of);
        let is_understood = text.is_none() || is_inactive || branch.is_some();
        is_understood.then_some(Condition {
            when,
            branch,
            is_inactive,
        })
    });
    match known {
        Some(known) => known,
        None => {
            fields.note("rules", &rules);
            condition
        }
    }
}

fn when_of(word: &str) -> Option<When> {
    match word {
        "on_success" => Some(When::OnSuccess),
        "on_failure" => Some(When::OnFailure),
        "manual" => Some(When::Manual),
        _ => None,
    }
}

fn needs(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let value = fields.take("needs")?;
    let mut needs = Vec::new();
    for need in value.as_array().into_iter().flatten() {
        let name = match need {
            Value::Object(long) if long.keys().all(|key| key == "job" || key == "artifacts") => {
                long.get("job").and_then(scalar_text)
            }
            other => scalar_text(other),
        };
        match name {
            Some(name) => needs.push(name),
            None => fields.note("needs", need),
        }
    }
    Some(needs)
}

fn parallel(fields: &mut Fields<'_>) -> Option<u32> {
    match fields.take("parallel")? {
        Value::Number(count) => count.as_u64().and_then(|count| u32::try_from(count).ok()),
        other => {
            fields.note("parallel", &other);
            None
        }
    }
}

fn timeout(fields: &mut Fields<'_>) -> u32 {
    let Some(text) = fields.text("timeout") else {
        return TIMEOUT_MINUTES_DEFAULT;
    };
    minutes(&text).unwrap_or_else(|| {
        fields.note("timeout", &Value::String(text));
        TIMEOUT_MINUTES_DEFAULT
    })
}

/// Whole minutes of `30 minutes`, `1h 30m`, `3600` (seconds).
fn minutes(text: &str) -> Option<u32> {
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        let after = rest[digits..].trim_start();
        let letters = after.len()
            - after
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let factor = match &after[..letters] {
            "" | "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600,
            "d" | "day" | "days" => 86_400,
            _ => return None,
        };
        seconds = number.checked_mul(factor)?.checked_add(seconds)?;
        rest = after[letters..].trim_start();
    }
    u32::try_from(seconds.div_ceil(60))
        .ok()
        .filter(|minutes| *minutes > 0)
}

fn artifacts(fields: &mut Fields<'_>) -> Vec<String> {
    let Some(value) = fields.take("artifacts") else {
        return Vec::new();
    };
    let paths = value.get("paths").and_then(Value::as_array);
    let paths: Vec<String> = paths
        .into_iter()
        .flatten()
        .filter_map(scalar_text)
        .collect();
    let says_more = value
        .as_object()
        .is_none_or(|map| map.keys().any(|key| key != "paths"));
    if says_more {
        fields.note("artifacts", &value);
    }
    paths
}

fn retry(fields: &mut Fields<'_>) -> u32 {
    let Some(value) = fields.take("retry") else {
        return 0;
    };
    let count = value.as_u64().or_else(|| value.get("max")?.as_u64());
    let says_more = value.as_object().is_some_and(|map| map.len() > 1);
    if says_more || count.is_none() {
        fields.note("retry", &value);
    }
    count
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(0)
}

/// For each job the jobs of the nearest earlier stage that has any: what a job without `needs`
/// waits for, reduced to the edges that do not follow from others.
fn implied_needs(jobs: &[Found], lanes: &[String]) -> Vec<Vec<String>> {
    let place = |lane: &str| lanes.iter().position(|known| known == lane);
    jobs.iter()
        .map(|job| {
            let own = place(&job.lane);
            let nearest = jobs
                .iter()
                .filter_map(|other| place(&other.lane))
                .filter(|place| Some(*place) < own)
                .max();
            jobs.iter()
                .filter(|other| nearest.is_some() && place(&other.lane) == nearest)
                .filter(|other| other.found.stage.when != When::OnFailure)
                .map(|other| other.found.stage.name.clone())
                .collect()
        })
        .collect()
}
