//! Random templates: children of the shipped ones, one or two levels deep.
//!
//! A child amends what it inherits and adds stages of every kind that the language has. What single
//! targets cannot express (manual stages, artifacts, retries) is in few of them, so that most
//! pipelines have files for every target.

use prestage_lpt::{Error, Template, TemplateSet};
use serde_json::{Value, json};

use super::choices::Choices;

/// The shipped templates of services.
pub const SHIPPED: [&str; 5] = [
    "base-service",
    "service-gated",
    "library",
    "progressive",
    "service",
];
/// Values that YAML 1.1 would read as something else, or a shell, GitLab, GitHub, Argo or Tekton
/// would expand.
const TRAPS: [&str; 12] = [
    "no",
    "0755",
    "1.10",
    "12:30",
    "2026-01-02",
    "~",
    "a: b",
    "# not a comment",
    "$HOME and ${HOME}",
    "$(date)",
    "it's \"quoted\"",
    " spaces around ",
];

/// Adds a random child, or a child of a child, of a shipped template and returns its name.
pub fn add_random(
    templates: &mut TemplateSet,
    choices: &mut Choices,
    index: usize,
) -> Result<String, Error> {
    let mut parent = (*choices.of(&SHIPPED)).to_owned();
    for level in 0..choices.below(3) {
        let name = format!("generated-{index}-{level}");
        let stages = stages(templates, choices, &parent, level)?;
        let document = json!({"name": name, "extends": parent, "stages": stages});
        templates.insert(Template::parse("generated", &document.to_string())?)?;
        parent = name;
    }
    Ok(parent)
}

fn stages(
    templates: &TemplateSet,
    choices: &mut Choices,
    parent: &str,
    level: usize,
) -> Result<Vec<Value>, Error> {
    let inherited = inherited(templates, parent)?;
    let mut stages = vec![amended(choices, &inherited)];
    let mut known: Vec<String> = inherited;
    for number in 0..choices.below(4) {
        let name = format!("extra-{level}-{number}");
        stages.push(added(choices, &name, &known));
        // Nothing may wait for a stage that no target starts by itself.
        if stages.last().and_then(|stage| stage.get("when")).is_none() {
            known.push(name);
        }
    }
    Ok(stages)
}

/// The stages of the chain that run when all goes well.
fn inherited(templates: &TemplateSet, name: &str) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    let mut decided: Vec<String> = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        let template = templates.get(&name)?;
        for stage in template.stages() {
            let name = stage["name"].as_str().unwrap_or_default().to_owned();
            if decided.contains(&name) {
                continue;
            }
            decided.push(name.clone());
            if stage.get("$remove").is_none() && stage.get("when").is_none() {
                names.push(name);
            }
        }
        next = template.extends().map(str::to_owned);
    }
    Ok(names)
}

/// An inherited stage with more in its environment.
fn amended(choices: &mut Choices, inherited: &[String]) -> Value {
    let mut stage = json!({
        "name": choices.of(inherited),
        "env": [{"name": "NOTE", "value": choices.of(&TRAPS)}],
    });
    if choices.once_in(3) {
        stage["timeout_minutes"] = json!(1 + choices.below(300));
    }
    stage
}

fn added(choices: &mut Choices, name: &str, known: &[String]) -> Value {
    let mut needs: Vec<&String> = Vec::new();
    for _ in 0..1 + choices.below(2) {
        let need = choices.of(known);
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    let mut stage = json!({
        "name": name,
        "needs": needs,
        "image": "{{ params.image }}",
        "env": [
            {"name": "EXTRA_COMMAND", "value": "./ci/extra.sh"},
            {"name": "SERVICE", "value": "{{ service }}"},
            {"name": "NOTE", "value": choices.of(&TRAPS)},
        ],
        "script": ["\"$EXTRA_COMMAND\""],
    });
    match choices.below(12) {
        0 => stage["shards"] = json!(2 + choices.below(3)),
        1 => stage["each_region"] = json!(true),
        2 => stage["exclusive"] = json!("lock-{{ service }}"),
        3 => stage["environment"] = json!("staging"),
        4 => stage["retry"] = json!(1),
        5 => stage["when"] = json!("manual"),
        6 => {
            stage["when"] = json!("on_failure");
            needs.truncate(1);
            stage["needs"] = json!(needs);
        }
        _ => {}
    }
    stage
}
