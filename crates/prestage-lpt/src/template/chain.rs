//! What a chain of documents amounts to: merged body, policies, revision, parameters.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::canonical::Revision;
use crate::error::{Error, Result};
use crate::merge::{merge, refuse_instructions};
use crate::policy::{self, Owned, PathPolicy};
use crate::yaml;

use super::{Body, PARAMETERS_MAX, POLICIES_MAX, REVISION_DOMAIN, Template};

pub(super) fn merge_chain(root_first: &[&Template]) -> Result<(Value, Vec<Owned>)> {
    let mut merged = json!({});
    let mut policies: Vec<Owned> = Vec::new();
    for (index, template) in root_first.iter().enumerate() {
        let mut document = template.document.clone();
        let own = document
            .as_object_mut()
            .and_then(|map| map.remove("policy"));
        if index == 0 {
            refuse_instructions(&template.name, "", &document)?;
            merged = document;
        } else {
            let child = merge(&template.name, "", &merged, &document)?;
            policy::check(&policies, &template.name, &merged, &child)?;
            merged = child;
        }
        let own: Vec<PathPolicy> = match own {
            Some(own) => yaml::typed(&template.name, own)?,
            None => Vec::new(),
        };
        for policy in own {
            policies.push(Owned::new(policy, &template.name)?);
        }
        at_most(&template.name, "policies", policies.len(), POLICIES_MAX)?;
    }
    Ok((merged, policies))
}

pub(super) fn at_most(
    template: &str,
    what: &'static str,
    found: usize,
    limit: usize,
) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::TooMany {
        owner: template.to_owned(),
        what,
        found,
        limit,
    })
}

pub(super) fn chain_revision(root_first: &[&Template]) -> Revision {
    let mut parents: Vec<String> = Vec::new();
    let mut revision = None;
    for template in root_first {
        let own = Revision::of(
            REVISION_DOMAIN,
            &json!({"document": template.document, "extends": parents}),
        );
        parents = vec![own.to_string()];
        revision = Some(own);
    }
    revision.expect("a chain holds at least the template itself")
}

pub(super) fn default_origins(root_first: &[&Template]) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    for (template, declared) in declarations(root_first) {
        if let (Some(name), true) = (name_of(declared), declared.get("default").is_some()) {
            origins.insert(name.to_owned(), template.name.clone());
        }
    }
    origins
}

pub(super) fn sealed_parameters(root_first: &[&Template]) -> Result<BTreeMap<String, String>> {
    let mut sealed: BTreeMap<String, String> = BTreeMap::new();
    let mut problems = Vec::new();
    for (template, declared) in declarations(root_first) {
        let Some(name) = name_of(declared) else {
            continue;
        };
        match sealed.get(name) {
            Some(sealed_in) => problems.push(Error::Sealed {
                parameter: name.to_owned(),
                sealed_in: sealed_in.clone(),
                by: template.name.clone(),
            }),
            None if declared.get("sealed") == Some(&Value::Bool(true)) => {
                sealed.insert(name.to_owned(), template.name.clone());
            }
            None => {}
        }
    }
    Error::collected(problems).map(|()| sealed)
}

fn declarations<'a>(
    root_first: &'a [&'a Template],
) -> impl Iterator<Item = (&'a Template, &'a Value)> {
    root_first.iter().flat_map(|template| {
        let declared = template
            .document
            .get("parameters")
            .and_then(Value::as_array);
        declared
            .into_iter()
            .flatten()
            .map(move |parameter| (*template, parameter))
    })
}

fn name_of(declared: &Value) -> Option<&str> {
    declared.get("name").and_then(Value::as_str)
}

pub(super) fn check_parameters(body: &Body) -> Result<()> {
    at_most(
        &body.name,
        "parameters",
        body.parameters.len(),
        PARAMETERS_MAX,
    )?;
    let mut problems: Vec<Error> = body
        .parameters
        .iter()
        .filter_map(|parameter| parameter.validate(&body.name).err())
        .collect();
    let is_declared = |name: &String| body.parameters.iter().any(|known| known.name == *name);
    if let Some(magnitude) = body.magnitude.as_ref().filter(|name| !is_declared(name)) {
        problems.push(Error::ParamSpec {
            template: body.name.clone(),
            parameter: magnitude.clone(),
            message: "named by `magnitude` but not declared".to_owned(),
        });
    }
    Error::collected(problems)
}
