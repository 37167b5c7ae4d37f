//! What Argo and Tekton share because both make pods: environment, shell, metadata.
//!
//! The kubelet expands `$(NAME)` in the value of a variable; a doubled `$` keeps it. Templates of
//! the targets themselves act on marks of their own, which each driver refuses. Reference:
//! <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::assembly::{AssembledStage, Assembly};
use crate::definition::Stage;
use crate::error::{Error, Result};
use crate::mark;
use crate::name::NAME_LENGTH_MAX;

/// First lines of every script: stop at the first command that fails.
const SHELL: &str = "#!/bin/sh\nset -e\n";

/// Prefix of our annotations, which carry what a pod cannot say.
pub(crate) const BRANCH: &str = "prestage/branch";
pub(crate) const DEFINITION: &str = "prestage/definition";
pub(crate) const DEFAULT_IMAGE: &str = "prestage/default-image";
pub(crate) const ENVIRONMENT: &str = "prestage/environment";
pub(crate) const OWN_IMAGE: &str = "prestage/own-image";

/// `metadata`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// A DNS label.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A name with a value: an environment variable or a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameValue {
    /// The name.
    pub name: String,
    /// The value; a parameter without one is given by whoever calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl NameValue {
    pub(crate) fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value.into()),
        }
    }

    pub(crate) fn without_value(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
        }
    }
}

/// Annotations of the whole pipeline.
pub(crate) fn annotations(
    assembly: &Assembly<'_>,
    default_image: &str,
) -> BTreeMap<String, String> {
    BTreeMap::from([
        (
            BRANCH.to_owned(),
            assembly.definition.pipeline.branch.clone(),
        ),
        (DEFINITION.to_owned(), assembly.revision.to_string()),
        (DEFAULT_IMAGE.to_owned(), default_image.to_owned()),
    ])
}

/// Annotations of one stage.
pub(crate) fn stage_annotations(stage: &Stage) -> BTreeMap<String, String> {
    let own_image = stage
        .image
        .is_some()
        .then(|| (OWN_IMAGE.to_owned(), "true".to_owned()));
    let environment = stage.environment.clone();
    environment
        .map(|name| (ENVIRONMENT.to_owned(), name))
        .into_iter()
        .chain(own_image)
        .collect()
}

/// The image that a stage names itself.
pub(crate) fn own_image(image: &str, annotations: &BTreeMap<String, String>) -> Option<String> {
    annotations
        .contains_key(OWN_IMAGE)
        .then(|| image.to_owned())
}

/// The stage's variables and marks as a container takes them.
pub(crate) fn env(assembled: &AssembledStage<'_>, shard_index: &str) -> Vec<NameValue> {
    let own = assembled
        .stage
        .env
        .iter()
        .map(|(name, value)| NameValue::new(name, value.replace('$', "$$")));
    let marks = mark::variables(assembled, shard_index)
        .into_iter()
        .map(|(name, value)| NameValue {
            name,
            value: Some(value),
        });
    own.chain(marks).collect()
}

/// The inverse of [`env`].
pub(crate) fn env_back(env: &[NameValue]) -> BTreeMap<String, String> {
    env.iter()
        .map(|variable| {
            let value = variable.value.clone().unwrap_or_default();
            (variable.name.clone(), value.replace("$$", "$"))
        })
        .collect()
}

/// The script that runs `lines`.
pub(crate) fn script(lines: &[String]) -> String {
    format!("{SHELL}{}\n", lines.join("\n"))
}

/// The inverse of [`script`].
pub(crate) fn script_back(script: &str) -> Vec<String> {
    let body = script.strip_prefix(SHELL).unwrap_or(script);
    let body = body.strip_suffix('\n').unwrap_or(body);
    body.split('\n').map(str::to_owned).collect()
}

/// Refuses a resource name that is no DNS label.
pub(crate) fn check_resource(driver: &'static str, name: &str) -> Result<()> {
    if name.len() <= NAME_LENGTH_MAX {
        return Ok(());
    }
    Err(Error::NameTarget {
        driver,
        what: "resource name",
        found: name.to_owned(),
        expected: format!("at most {NAME_LENGTH_MAX} characters; shorten the service or the stage"),
    })
}

/// Refuses text in which the target would replace something.
pub(crate) fn check_literal(driver: &'static str, marks: &[&str], stage: &Stage) -> Result<()> {
    let variables = stage
        .env
        .iter()
        .map(|(name, value)| (format!("env/{name}"), value));
    let script = stage.script.iter().map(|line| ("script".to_owned(), line));
    let others = [
        ("image", &stage.image),
        ("environment", &stage.environment),
        ("exclusive", &stage.exclusive),
    ];
    let others = others
        .into_iter()
        .filter_map(|(field, value)| Some((field.to_owned(), value.as_ref()?)));
    let paths = stage
        .artifacts
        .iter()
        .map(|path| ("artifacts".to_owned(), path));
    for (field, text) in variables.chain(script).chain(others).chain(paths) {
        if let Some(mark) = marks.iter().find(|mark| text.contains(**mark)) {
            return Err(Error::TargetUnsupported {
                driver,
                path: format!("/stages/[name={}]/{field}", stage.name),
                feature: format!("the text `{mark}`, which it would replace"),
            });
        }
    }
    Ok(())
}
