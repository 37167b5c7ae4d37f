//! Brings a pipeline that nobody manages under a template.
//!
//! [`rank`] compares what the stages of a live pipeline are for with what each service template
//! brings. [`adopt`] then writes the instance: parameters where the template has them, overrides for
//! everything else, so that the instance resolves to the live stages, renamed where the template has
//! a name for them. It refuses when that equality does not hold. Knows no target's syntax.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::canonical::to_value;
use crate::definition::{Stage, resolve, scope_of};
use crate::error::{Error, Result};
use crate::expression::{Scope, render};
use crate::instance::{Given, Instance, Overrides, bind};
use crate::live::{LivePipeline, TargetFacts, Unmodelled};
use crate::name::is_label;
use crate::parameter::Origin;
use crate::role::{Role, role_of};
use crate::template::{ResolvedTemplate, TemplateSet};

/// The region of a pipeline that names none.
const REGION: &str = "default";

/// How well a template fits a live pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The template.
    pub template: String,
    /// Shared roles over all roles, 0 to 1.
    pub score: f64,
}

/// An instance for a live pipeline and what came of its names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// Resolves to the live stages.
    pub instance: Instance,
    /// New name by old, for stages that changed it.
    pub renamed: BTreeMap<String, String>,
    /// What the stage model cannot say and a person must carry over.
    pub unmodelled: Vec<Unmodelled>,
}

/// All service templates, best first; equal scores in the order of their names.
pub fn rank(templates: &TemplateSet, live: &LivePipeline) -> Result<Vec<Match>> {
    let wanted = roles(&live.own_stages());
    let mut matches = Vec::new();
    for name in templates.names() {
        let template = templates.resolve(name)?;
        if template.body.pipeline.is_none() {
            continue;
        }
        let offered: BTreeSet<Role> = template.body.stages.iter().map(role_of_document).collect();
        matches.push(Match {
            template: name.to_owned(),
            score: similarity(&wanted, &offered),
        });
    }
    matches.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.template.cmp(&b.template))
    });
    Ok(matches)
}

/// The roles that tell templates apart; any pipeline may also audit or do something of its own.
fn roles(stages: &[Stage]) -> BTreeSet<Role> {
    let told = |role: &Role| !matches!(role, Role::Audit | Role::Other);
    stages.iter().map(role_of).filter(told).collect()
}

fn similarity(a: &BTreeSet<Role>, b: &BTreeSet<Role>) -> f64 {
    let shared = a.intersection(b).count();
    let all = a.union(b).count();
    match all {
        0 => 0.0,
        _ => shared as f64 / all as f64,
    }
}

/// A template's stage: its name is what its author calls it for.
fn role_of_document(stage: &Value) -> Role {
    let text = |key: &str| stage.get(key).and_then(Value::as_str).unwrap_or_default();
    let named = Stage {
        name: text("name").to_owned(),
        group: text("name").to_owned(),
        ..empty_stage()
    };
    role_of(&named)
}

fn empty_stage() -> Stage {
    crate::yaml::typed(
        "",
        json!({"name": "", "group": "", "script": [], "timeout_minutes": 1}),
    )
    .expect("the fields without a default are there")
}

/// The instance of `template` that resolves to the live pipeline.
pub fn adopt(
    templates: &TemplateSet,
    template: &str,
    service: &str,
    live: &LivePipeline,
) -> Result<Adoption> {
    let resolved = templates.resolve(template)?;
    let stages = live.own_stages();
    let renamed = names(&resolved, &stages);
    let wanted: Vec<Stage> = stages.iter().map(|stage| rename(stage, &renamed)).collect();
    let mut instance = Instance {
        service: service.to_owned(),
        template: template.to_owned(),
        params: parameters(&resolved, live, &wanted),
        regions: vec![REGION.to_owned()],
        overrides: Overrides::default(),
    };
    let given = [Given {
        origin: Origin::Instance,
        values: &instance.params,
    }];
    let bound = bind(service, template, resolved.declarations(), &given)?;
    let scope = scope_of(service, &bound);
    instance.overrides.stages = overrides(&resolved, &scope, &wanted);
    check_equal(templates, &instance, &wanted)?;
    Ok(Adoption {
        renamed: renamed
            .into_iter()
            .filter(|(old, new)| old != new)
            .collect(),
        instance,
        unmodelled: live.unmodelled.clone(),
    })
}

/// A name for each live stage: the template's for the one stage that plays its part, else the old
/// name made a label.
fn names(template: &ResolvedTemplate, stages: &[Stage]) -> BTreeMap<String, String> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for document in &template.body.stages {
        let name = document
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let role = role_of_document(document);
        let same_name = stages.iter().find(|stage| stage.name == name);
        // Of several deployments the last is the one that the others lead to.
        let same_role = || {
            stages
                .iter()
                .rev()
                .find(|stage| role_of(stage) == role && role != Role::Other)
        };
        if let Some(stage) = same_name.or_else(same_role) {
            names
                .entry(stage.name.clone())
                .or_insert_with(|| name.to_owned());
        }
    }
    for stage in stages {
        if !names.contains_key(&stage.name) {
            let taken: BTreeSet<&str> = names.values().map(String::as_str).collect();
            let name = free_label(&stage.name, &taken);
            names.insert(stage.name.clone(), name);
        }
    }
    names
}

fn free_label(name: &str, taken: &BTreeSet<&str>) -> String {
    let mut label = String::new();
    for c in name.to_ascii_lowercase().chars() {
        match c.is_ascii_alphanumeric() {
            true => label.push(c),
            false if !label.ends_with('-') => label.push('-'),
            false => {}
        }
    }
    let mut label: String = label.trim_matches('-').chars().take(50).collect();
    if !is_label(&label) {
        label = format!("stage-{label}").trim_end_matches('-').to_owned();
    }
    let mut free = label.clone();
    let mut number = 2;
    while taken.contains(free.as_str()) {
        free = format!("{label}-{number}");
        number += 1;
    }
    free
}

fn rename(stage: &Stage, names: &BTreeMap<String, String>) -> Stage {
    let new = |name: &String| names.get(name).unwrap_or(name).clone();
    let name = new(&stage.name);
    Stage {
        group: name.clone(),
        name,
        region: None,
        needs: stage.needs.iter().map(new).collect(),
        ..stage.clone()
    }
}

/// Values for the parameters that the template has and the pipeline shows.
fn parameters(
    template: &ResolvedTemplate,
    live: &LivePipeline,
    stages: &[Stage],
) -> BTreeMap<String, Value> {
    let mut found: Vec<(&str, Value)> = Vec::new();
    if !live.branch.is_empty() {
        found.push(("branch", json!(live.branch)));
    }
    match &live.target {
        TargetFacts::Gitlab(target) => {
            found.push(("targets", json!(["gitlab"])));
            found.push(("gitlab_tags", json!(target.tags)));
        }
        TargetFacts::Github(target) => {
            found.push(("targets", json!(["github"])));
            if let Some(target) = target {
                found.push(("github_runner", json!(target.runs_on)));
            }
        }
        _ => {}
    }
    if let Some(first) = stages.first().and_then(|stage| stage.image.as_ref())
        && stages
            .iter()
            .all(|stage| stage.image.as_ref() == Some(first))
    {
        found.push(("image", json!(first)));
    }
    let shards = stages
        .iter()
        .find(|stage| stage.name == "test")
        .and_then(|stage| stage.shards);
    found.extend(shards.map(|shards| ("test_shards", json!(shards))));
    let fits = |name: &str, value: &Value| {
        let spec = template.declarations().get(name);
        spec.is_some_and(|spec| spec.bind("", value).is_ok())
    };
    found
        .into_iter()
        .filter(|(name, value)| fits(name, value))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn overrides(template: &ResolvedTemplate, scope: &Scope, wanted: &[Stage]) -> Vec<Value> {
    let name_of = |document: &Value| {
        document
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let removed = template
        .body
        .stages
        .iter()
        .map(name_of)
        .filter(|name| !wanted.iter().any(|stage| stage.name == *name))
        .map(|name| json!({"name": name, "$remove": true}));
    let changed = wanted.iter().filter_map(|stage| {
        let inherited = template
            .body
            .stages
            .iter()
            .find(|known| name_of(known) == stage.name);
        match inherited {
            None => Some(Value::Object(document(stage))),
            Some(inherited) => difference(inherited, stage, scope),
        }
    });
    removed.chain(changed).collect()
}

/// A live stage as a template would write it.
fn document(stage: &Stage) -> Map<String, Value> {
    let Value::Object(mut map) = to_value(stage) else {
        return Map::new();
    };
    map.remove("group");
    if let Some(Value::Object(env)) = map.remove("env") {
        let env: Vec<Value> = env
            .into_iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        map.insert("env".to_owned(), json!(env));
    }
    map
}

/// What must be said of a stage beyond what the template says; none when that is nothing.
fn difference(inherited: &Value, stage: &Stage, scope: &Scope) -> Option<Value> {
    let wanted = document(stage);
    let mut edit = Map::new();
    for key in [
        "needs",
        "when",
        "image",
        "script",
        "shards",
        "timeout_minutes",
        "environment",
        "exclusive",
        "artifacts",
        "retry",
    ] {
        let has = inherited.get(key).filter(|value| **value != json!(""));
        // What names a region cannot be evaluated here, and so differs.
        let has = has.map(|value| render(key, value, scope).unwrap_or(Value::Null));
        match (has, wanted.get(key)) {
            (Some(has), Some(want)) if has == *want => {}
            (None, None) => {}
            (Some(has), None) if has == json!("") || has == json!("on_success") => {}
            (Some(_), None) => {
                edit.insert(key.to_owned(), json!({"$remove": true}));
            }
            (None, Some(want)) if key == "when" && *want == json!("on_success") => {}
            (_, Some(want)) => {
                edit.insert(key.to_owned(), want.clone());
            }
        }
    }
    let env = env_difference(inherited, stage, scope);
    if !env.is_empty() {
        edit.insert("env".to_owned(), Value::Array(env));
    }
    if inherited.get("each_region") == Some(&json!(true)) {
        edit.insert("each_region".to_owned(), json!(false));
        if inherited.get("after_region").is_some() {
            edit.insert("after_region".to_owned(), json!({"$remove": true}));
        }
    }
    if edit.is_empty() {
        return None;
    }
    edit.insert("name".to_owned(), json!(stage.name));
    Some(Value::Object(edit))
}

fn env_difference(inherited: &Value, stage: &Stage, scope: &Scope) -> Vec<Value> {
    let mut has: BTreeMap<String, Option<Value>> = BTreeMap::new();
    for variable in inherited
        .get("env")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = variable
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let value = variable
            .get("value")
            .and_then(|value| render("env", value, scope).ok());
        has.insert(name.to_owned(), value);
    }
    let removed = has
        .keys()
        .filter(|name| !stage.env.contains_key(*name))
        .map(|name| json!({"name": name, "$remove": true}));
    let set = stage
        .env
        .iter()
        .filter(|(name, value)| has.get(*name) != Some(&Some(json!(value))))
        .map(|(name, value)| json!({"name": name, "value": value}));
    removed.chain(set).collect()
}

/// The instance must resolve to the live stages, or it would change what runs.
fn check_equal(templates: &TemplateSet, instance: &Instance, wanted: &[Stage]) -> Result<()> {
    let definition = resolve(templates, instance)?;
    let by_name = |stages: &[Stage]| -> BTreeMap<String, Stage> {
        stages
            .iter()
            .map(|stage| (stage.name.clone(), stage.clone()))
            .collect()
    };
    let (got, wanted) = (by_name(&definition.stages), by_name(wanted));
    let differs = wanted
        .keys()
        .chain(got.keys())
        .find(|name| got.get(*name) != wanted.get(*name));
    match differs {
        None => Ok(()),
        Some(stage) => Err(Error::AdoptDiffers {
            service: instance.service.clone(),
            template: instance.template.clone(),
            stage: stage.clone(),
        }),
    }
}

#[cfg(test)]
mod tests;
