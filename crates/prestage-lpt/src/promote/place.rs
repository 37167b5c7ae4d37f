//! Where in a template's document a place of a definition comes from.

use serde_json::{Value, json};

use crate::definition::{ApplicationDefinition, Stage};
use crate::error::{Error, Result};
use crate::path::{Step, steps};

/// A place of a template's document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// Where the value stands.
    pub(super) path: String,
    /// What goes away when there is no value any more: a variable goes with its name.
    pub(super) removed_path: String,
    /// The region of the edited stage.
    pub(super) region: Option<String>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A value that stands in both documents alike.
    Leaf,
    /// A list of names of stages, which a template writes without regions.
    Names(Vec<String>),
    /// A list in which an item changed.
    Items(Vec<String>),
    /// A whole stage, with what it waits for as a template writes it.
    Stage(Vec<String>),
}

impl Place {
    /// The place of `path`, a path of `live` or of `base`.
    pub(super) fn of(
        path: &str,
        base: &ApplicationDefinition,
        live: &ApplicationDefinition,
    ) -> Result<Self> {
        let refused = || Error::PromotePlace {
            path: path.to_owned(),
        };
        let steps = steps(path).ok_or_else(refused)?;
        match steps.as_slice() {
            [Step::Key(root), Step::Named(name), field @ ..] if root == "stages" => {
                let find = |definition: &'_ ApplicationDefinition| {
                    let stages = definition.stages.iter();
                    stages.clone().find(|stage| stage.name == *name).cloned()
                };
                let stage = find(live).or_else(|| find(base)).ok_or_else(refused)?;
                Self::of_stage(&stage, field, live).ok_or_else(refused)
            }
            [Step::Key(root), _, ..] if root == "pipeline" => Ok(Self {
                path: path.to_owned(),
                removed_path: path.to_owned(),
                region: None,
                kind: Kind::Leaf,
            }),
            _ => Err(refused()),
        }
    }

    fn of_stage(stage: &Stage, field: &[Step], live: &ApplicationDefinition) -> Option<Self> {
        let at = |rest: &str| format!("/stages/[name={}]{rest}", stage.group);
        let place = |rest: &str, removed: &str, kind| Self {
            path: at(rest),
            removed_path: at(removed),
            region: stage.region.clone(),
            kind,
        };
        match field {
            // Of a regional stage one copy says nothing about the others.
            [] if stage.region.is_none() => {
                let needs = groups(&stage.needs, live);
                Some(place("", "", Kind::Stage(needs)))
            }
            [Step::Key(env), Step::Key(variable)] if env == "env" => {
                let item = format!("/env/[name={variable}]");
                Some(place(&format!("{item}/value"), &item, Kind::Leaf))
            }
            [Step::Key(key), ..] if key == "needs" => {
                let names = groups(&stage.needs, live);
                Some(place("/needs", "/needs", Kind::Names(names)))
            }
            [Step::Key(key), ..] if key == "artifacts" => {
                let items = Kind::Items(stage.artifacts.clone());
                Some(place("/artifacts", "/artifacts", items))
            }
            [Step::Key(key)] if !["env", "group", "region", "name"].contains(&key.as_str()) => {
                let rest = format!("/{key}");
                Some(place(&rest, &rest, Kind::Leaf))
            }
            _ => None,
        }
    }

    /// What the template has to give; none when it has to give nothing.
    pub(super) fn value(&self, live: Option<&Value>) -> Result<Option<Value>> {
        Ok(match (&self.kind, live) {
            (Kind::Leaf, live) => live.cloned(),
            (Kind::Names(items) | Kind::Items(items), _) if items.is_empty() => None,
            (Kind::Names(items) | Kind::Items(items), _) => Some(json!(items)),
            (Kind::Stage(_), None) => None,
            (Kind::Stage(needs), Some(stage)) => Some(as_template(stage, needs)),
        })
    }
}

/// Names of stages with those of one group written once, by the group.
fn groups(names: &[String], definition: &ApplicationDefinition) -> Vec<String> {
    let group = |name: &String| {
        let mut stages = definition.stages.iter();
        let stage = stages.find(|stage| stage.name == *name);
        stage.map_or_else(|| name.clone(), |stage| stage.group.clone())
    };
    let mut groups: Vec<String> = Vec::new();
    for name in names.iter().map(group) {
        if !groups.contains(&name) {
            groups.push(name);
        }
    }
    groups
}

/// A stage as a template writes it.
fn as_template(stage: &Value, needs: &[String]) -> Value {
    let mut stage = stage.clone();
    if let Some(map) = stage.as_object_mut() {
        map.remove("group");
        if !needs.is_empty() {
            map.insert("needs".to_owned(), json!(needs));
        }
        if let Some(Value::Object(env)) = map.get("env") {
            let item = |(name, value): (&String, &Value)| json!({"name": name, "value": value});
            let env: Vec<Value> = env.iter().map(item).collect();
            map.insert("env".to_owned(), json!(env));
        }
    }
    stage
}
