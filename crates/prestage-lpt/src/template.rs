//! Templates, their `extends` chains and their revisions.
//!
//! A template is one document. What a chain of templates amounts to is a [`ResolvedTemplate`]:
//! merged body, checked parameters, and a revision that covers the template's own text and its
//! parents' revisions, so that one edit of a base changes the revision of exactly its dependants.
//! Knows nothing of instances and targets.

mod chain;
mod document;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::canonical::Revision;
use crate::definition::ApplicationDefinition;
use crate::error::{Error, Result, nearest};
use crate::expression::refuse_splice;
use crate::merge::merge;
use crate::name::check_label;
use crate::parameter::{Declarations, ParameterSpec};
use crate::policy::{self, Owned, PathPolicy};
use crate::stage::NeedType;
use crate::yaml;

use chain::{
    at_most, chain_revision, check_parameters, default_origins, merge_chain, sealed_parameters,
};

pub use document::TemplateDocument;

/// The longest chain of ancestors.
pub const ANCESTORS_MAX: usize = 16;
/// Values of all documents of a chain together, twice what one document may have.
pub const CHAIN_VALUES_MAX: usize = 20_000;
/// Parameters of a chain.
pub const PARAMETERS_MAX: usize = 256;
/// Policies of a chain: each compares what its path held before and holds now.
pub const POLICIES_MAX: usize = 64;

const REVISION_DOMAIN: &str = "prestage/template/1";
const SET_DOMAIN: &str = "prestage/templates/1";

/// The templates that the crate ships, by file name.
pub const BUILTIN: &[(&str, &str)] = &[
    (
        "base-service.yaml",
        include_str!("../templates/base-service.yaml"),
    ),
    ("service.yaml", include_str!("../templates/service.yaml")),
    ("library.yaml", include_str!("../templates/library.yaml")),
    (
        "progressive.yaml",
        include_str!("../templates/progressive.yaml"),
    ),
    (
        "service-gated.yaml",
        include_str!("../templates/service-gated.yaml"),
    ),
    ("scaling.yaml", include_str!("../templates/scaling.yaml")),
    (
        "feature_release.yaml",
        include_str!("../templates/feature_release.yaml"),
    ),
    (
        "dependency_update.yaml",
        include_str!("../templates/dependency_update.yaml"),
    ),
    (
        "test_suite.yaml",
        include_str!("../templates/test_suite.yaml"),
    ),
];

/// One template document as read, before inheritance.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    name: String,
    extends: Option<String>,
    document: Value,
    /// How many values the document holds.
    values: usize,
}

impl Template {
    /// Reads one YAML or JSON document; `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let mut document = yaml::read_value(file, text)?;
        let shape = |message: &str| Error::Shape {
            file: file.to_owned(),
            message: message.to_owned(),
        };
        let map = document
            .as_object_mut()
            .ok_or_else(|| shape("a template is a map"))?;
        let name = match map.get("name") {
            Some(Value::String(name)) => name.clone(),
            _ => return Err(shape("`name` must be a string")),
        };
        check_label("template name", &name.replace('_', "-"))?;
        let extends = match map.remove("extends") {
            None => None,
            Some(Value::String(parent)) => Some(checked_reference(file, parent)?),
            Some(_) => return Err(shape("`extends` must be the name of one template")),
        };
        if let Some(stages) = map.get("stages") {
            refuse_spliced_scripts(&format!("{name}:/stages"), stages)?;
        }
        Ok(Self {
            name,
            extends,
            values: yaml::values_in(&document),
            document,
        })
    }

    /// Reads the bytes of a file; they must be UTF-8.
    pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Self> {
        Self::parse(file, yaml::decode(file, bytes)?)
    }

    /// The name by which instances and children refer to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parent's name.
    pub fn extends(&self) -> Option<&str> {
        self.extends.as_deref()
    }

    /// The stages that this document adds or amends, as they stand in it; inherited ones left out.
    pub fn stages(&self) -> &[Value] {
        let stages = self.document.get("stages").and_then(Value::as_array);
        stages.map_or(&[], Vec::as_slice)
    }

    /// The whole document, as it could be read again.
    pub fn document(&self) -> Value {
        let mut document = self.document.clone();
        if let (Some(parent), Some(map)) = (&self.extends, document.as_object_mut()) {
            map.insert("extends".to_owned(), json!(parent));
        }
        document
    }
}

/// A parent is looked up by name in the set, so a path or an address can only be an attempt.
fn checked_reference(file: &str, parent: String) -> Result<String> {
    let file = file.to_owned();
    if parent.contains("://") || parent.starts_with("git@") {
        return Err(Error::Remote {
            file,
            found: parent,
        });
    }
    let is_path = parent.contains(['/', '\\', '\0', ':']) || parent.starts_with('.');
    match is_path {
        true => Err(Error::Path {
            file,
            found: parent,
        }),
        false => Ok(parent),
    }
}

/// Scripts are checked in each template by itself, so that the error names the template.
fn refuse_spliced_scripts(path: &str, value: &Value) -> Result<()> {
    match value {
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| refuse_spliced_scripts(path, item)),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| match key.as_str() {
            "script" => refuse_splice(&format!("{path}/script"), item),
            _ => refuse_spliced_scripts(path, item),
        }),
        _ => Ok(()),
    }
}

/// What the merged chain must look like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    /// Set by stage templates: the need they serve.
    pub(crate) need: Option<NeedType>,
    /// Set by stage templates: the parameter that takes the need's magnitude.
    pub(crate) magnitude: Option<String>,
    #[serde(default)]
    pub(crate) parameters: Vec<ParameterSpec>,
    /// Unrendered: expressions are evaluated when values are bound.
    #[serde(default)]
    pub(crate) stages: Vec<Value>,
    /// Set by service templates: the stage template per need type.
    #[serde(default)]
    pub(crate) stage_templates: BTreeMap<NeedType, String>,
    /// Set by service templates: branch and what single targets need, unrendered.
    pub(crate) pipeline: Option<Value>,
    /// What children and instances may change; read per template of the chain, not merged.
    #[serde(default, rename = "policy")]
    _policy: Vec<PathPolicy>,
}

/// A template together with its ancestors.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedTemplate {
    pub(crate) body: Body,
    revision: Revision,
    chain: Vec<String>,
    declarations: Declarations,
    policies: Vec<Owned>,
}

impl ResolvedTemplate {
    /// Covers the text of the template and of all its ancestors.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The template and its ancestors, nearest first.
    pub fn chain(&self) -> &[String] {
        &self.chain
    }

    /// The template's own name.
    pub fn name(&self) -> &str {
        &self.body.name
    }

    /// The declared parameters.
    pub fn declarations(&self) -> &Declarations {
        &self.declarations
    }

    /// The template's stages and pipeline with an instance's own changes merged over them, as a
    /// further child would be, within what the chain's policies allow.
    pub(crate) fn overridden(&self, by: &str, overrides: &Value) -> Result<Self> {
        refuse_spliced_scripts(&format!("{by}:/overrides"), overrides)?;
        let before = json!({
            "stages": self.body.stages,
            "pipeline": self.body.pipeline.clone().unwrap_or_else(|| json!({})),
        });
        let mut after = merge(by, "/overrides", &before, overrides)?;
        policy::check(&self.policies, by, &before, &after)?;
        let mut resolved = self.clone();
        resolved.body.stages = yaml::typed(by, after["stages"].take())?;
        resolved.body.pipeline = self
            .body
            .pipeline
            .is_some()
            .then(|| after["pipeline"].take());
        Ok(resolved)
    }

    /// What the chain lets an instance change of the definition that it gave: its policies, and
    /// its sealed parameters.
    pub(crate) fn policies_over(&self, definition: &ApplicationDefinition) -> Vec<PathPolicy> {
        let sealed = self.declarations.sealed_in.keys().map(|name| PathPolicy {
            path: format!("/parameters/{name}"),
            rule: policy::Rule::Sealed,
        });
        let mut policies = policy::of_definition(&self.policies, definition);
        policies.extend(sealed);
        policies
    }

    /// What the template is for.
    pub fn description(&self) -> &str {
        &self.body.description
    }

    /// The need type that a stage template serves; none for a service template.
    pub fn need(&self) -> Option<NeedType> {
        self.body.need
    }
}

/// The templates that instances may name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateSet {
    templates: BTreeMap<String, Template>,
}

impl TemplateSet {
    /// The shipped templates.
    pub fn builtin() -> Self {
        let mut set = Self::default();
        for (file, text) in BUILTIN {
            Template::parse(file, text)
                .and_then(|template| set.insert(template))
                .expect("shipped templates are valid: a test resolves each");
        }
        set
    }

    /// Adds a template; two of one name are refused.
    pub fn insert(&mut self, template: Template) -> Result<()> {
        if self.templates.contains_key(&template.name) {
            return Err(Error::TemplateDuplicate {
                template: template.name,
            });
        }
        self.templates.insert(template.name.clone(), template);
        Ok(())
    }

    /// Adds a template or puts it in the place of the one of that name.
    pub fn replace(&mut self, template: Template) {
        self.templates.insert(template.name.clone(), template);
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.templates.keys().map(String::as_str)
    }

    /// The template of that name, not merged with its ancestors.
    pub fn get(&self, name: &str) -> Result<&Template> {
        self.templates
            .get(name)
            .ok_or_else(|| Error::TemplateUnknown {
                template: name.to_owned(),
                known: self.templates.keys().cloned().collect(),
                nearest: nearest(name, self.names()),
            })
    }

    /// The named template merged over its ancestors and checked.
    pub fn resolve(&self, name: &str) -> Result<ResolvedTemplate> {
        let chain = self.chain(name)?;
        let root_first: Vec<&Template> = chain.iter().rev().copied().collect();
        let values: usize = root_first.iter().map(|template| template.values).sum();
        at_most(
            name,
            "values in the chain of its templates",
            values,
            CHAIN_VALUES_MAX,
        )?;
        let (merged, policies) = merge_chain(&root_first)?;
        let mut body: Body = yaml::typed(name, merged)?;
        let sealed_in = sealed_parameters(&root_first)?;
        check_parameters(&body)?;
        Ok(ResolvedTemplate {
            revision: chain_revision(&root_first),
            chain: chain.iter().map(|template| template.name.clone()).collect(),
            declarations: Declarations {
                parameters: std::mem::take(&mut body.parameters),
                default_origins: default_origins(&root_first),
                sealed_in,
            },
            policies,
            body,
        })
    }

    /// The revision of the named template.
    pub fn revision(&self, name: &str) -> Result<Revision> {
        let chain = self.chain(name)?;
        let root_first: Vec<&Template> = chain.into_iter().rev().collect();
        Ok(chain_revision(&root_first))
    }

    /// A hash over all documents of the set.
    pub fn digest(&self) -> Revision {
        let documents: Vec<Value> = self
            .templates
            .values()
            .map(|template| {
                let extends = template.extends.as_deref().unwrap_or_default();
                json!({"extends": extends, "document": template.document})
            })
            .collect();
        Revision::of(SET_DOMAIN, &Value::Array(documents))
    }

    /// The names of all templates whose chain contains `name`, itself included, sorted.
    pub fn dependants(&self, name: &str) -> Vec<String> {
        self.names()
            .filter(|candidate| {
                self.chain(candidate)
                    .is_ok_and(|chain| chain.iter().any(|template| template.name == name))
            })
            .map(str::to_owned)
            .collect()
    }

    /// The template and its ancestors, nearest first.
    fn chain(&self, name: &str) -> Result<Vec<&Template>> {
        let mut chain: Vec<&Template> = vec![self.get(name)?];
        while let Some(parent) = chain
            .last()
            .and_then(|template| template.extends.as_deref())
        {
            if let Some(start) = chain.iter().position(|known| known.name == parent) {
                let mut circle: Vec<String> = chain[start..]
                    .iter()
                    .map(|known| known.name.clone())
                    .collect();
                circle.push(parent.to_owned());
                return Err(Error::CycleInherit { chain: circle });
            }
            if chain.len() > ANCESTORS_MAX {
                return Err(Error::Depth {
                    template: name.to_owned(),
                    limit: ANCESTORS_MAX,
                });
            }
            let child = chain[chain.len() - 1];
            chain.push(
                self.templates
                    .get(parent)
                    .ok_or_else(|| Error::ParentUnknown {
                        template: child.name.clone(),
                        parent: parent.to_owned(),
                        nearest: nearest(parent, self.names()),
                    })?,
            );
        }
        Ok(chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(documents: &[&str]) -> TemplateSet {
        let mut set = TemplateSet::default();
        for text in documents {
            set.insert(Template::parse("t.yaml", text).unwrap())
                .unwrap();
        }
        set
    }

    const BASE: &str = "name: base\nparameters:\n- {name: a, type: int, default: 1, max: 9}\n\
        - {name: s, type: int, default: 1, sealed: true}\nstages:\n- {name: build, script: [make]}\n";
    const MIDDLE: &str = "name: middle\nextends: base\nparameters:\n- {name: a, default: 2}\n\
        stages:\n- {name: test, needs: [build], script: [make test]}\n";
    const LEAF: &str =
        "name: leaf\nextends: middle\nstages:\n- {name: build, script: [make all]}\n";

    #[track_caller]
    fn check_refused(documents: &[&str], name: &str, code: &str) {
        let error = set(documents).resolve(name).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }

    #[test]
    fn a_chain_of_three_merges_root_first() {
        let resolved = set(&[LEAF, BASE, MIDDLE]).resolve("leaf").unwrap();
        assert_eq!(resolved.chain(), ["leaf", "middle", "base"]);
        assert_eq!(
            resolved.declarations().parameters[0].default,
            Some(json!(2))
        );
        assert_eq!(resolved.declarations().default_origins["a"], "middle");
        assert_eq!(resolved.body.stages[0]["script"], json!(["make all"]));
        assert_eq!(resolved.body.stages.len(), 2);
    }

    #[test]
    fn cycles_depth_and_unknown_parents_are_refused() {
        check_refused(
            &["name: a\nextends: b", "name: b\nextends: a"],
            "a",
            "E-CYCLE-INHERIT",
        );
        check_refused(&["name: a\nextends: a"], "a", "E-CYCLE-INHERIT");
        check_refused(&["name: a\nextends: bb"], "a", "E-PARENT-UNKNOWN");
        check_refused(&[], "a", "E-TEMPLATE-UNKNOWN");
        let deep: Vec<String> = (0..18)
            .map(|i| format!("name: t{i}\nextends: t{}", i + 1))
            .chain(["name: t18".to_owned()])
            .collect();
        let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
        check_refused(&deep, "t0", "E-DEPTH");
        assert!(set(&deep).resolve("t2").is_ok());
    }

    #[test]
    fn a_sealed_parameter_stays_as_it_is() {
        let child = "name: c\nextends: base\nparameters:\n- {name: s, default: 2}\n";
        check_refused(&[BASE, child], "c", "E-SEALED");
    }

    #[test]
    fn unknown_keys_and_expressions_in_scripts_are_refused() {
        check_refused(&["name: a\nstagez: []"], "a", "E-SHAPE");
        let spliced = "name: a\nstages:\n- {name: b, script: ['echo {{ params.x }}']}\n";
        let error = Template::parse("t.yaml", spliced).unwrap_err();
        assert_eq!(error.code(), "E-SCRIPT-SPLICE");
    }

    #[test]
    fn an_edit_of_the_base_changes_exactly_its_dependants() {
        let other = "name: other\nstages: []\n";
        let before = set(&[BASE, MIDDLE, LEAF, other]);
        let mut after = before.clone();
        after.replace(Template::parse("t.yaml", &BASE.replace("make]", "gmake]")).unwrap());
        let changed: Vec<&str> = before
            .names()
            .filter(|name| before.revision(name).unwrap() != after.revision(name).unwrap())
            .collect();
        assert_eq!(changed, ["base", "leaf", "middle"]);
        assert_eq!(before.dependants("base"), changed);
        assert_eq!(before.dependants("middle"), ["leaf", "middle"]);
    }

    #[test]
    fn every_shipped_template_resolves() {
        let set = TemplateSet::builtin();
        for name in set.names() {
            let resolved = set.resolve(name).unwrap();
            assert!(
                !resolved.description().is_empty(),
                "{name} has no description"
            );
        }
    }
}
