//! Promotes an edit of one instance into a template, so that all its dependants get it.
//!
//! The edit stands in a definition, where nothing is left open: `deploy-checkout-eu` was
//! `deploy-{{ service }}-{{ region }}`. Promotion finds the place in the template document that the
//! edited place came from, and turns the value back into what a template would say
//! ([`substitute`]). Every way to say it is tried: a way counts when the edited template gives the
//! instance exactly the value that it has. One way is taken, several are refused by name, because
//! they mean different things for everybody else. Writes nothing.

mod place;
mod substitute;

use serde_json::{Value, json};

use crate::canonical::{compact, to_value};
use crate::definition::ApplicationDefinition;
use crate::error::{Error, Result};
use crate::path;
use crate::resolver::Resolver;
use crate::template::{ResolvedTemplate, Template, TemplateSet};

use place::Place;
use substitute::Names;

/// What to promote, and where a person decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromoteOptions<'a> {
    /// The template of the instance's chain to edit; its own when not given.
    pub into: Option<&'a str>,
    /// What the template shall say there; found by substitution when not given.
    pub leaf: Option<&'a Value>,
    /// Change the default of the parameter that decides the place instead of the place.
    pub as_default: bool,
}

/// An edit of a template that gives an instance what it has now.
#[derive(Clone, Debug, PartialEq)]
pub struct Promotion {
    /// The edited template.
    pub template: Template,
    /// The place in its document.
    pub path: String,
    /// What the template's chain says there now; none when nothing.
    pub before: Option<Value>,
    /// What it is to say; none when the place is taken away.
    pub after: Option<Value>,
}

/// Turns the difference between `base` and `live` at `path` into an edit of a template. Fails when
/// there is no difference, when the template has no such place, when nothing that the template
/// could say has the effect, and with `E-PROMOTE-AMBIGUOUS` when several things do.
pub fn promote(
    templates: &TemplateSet,
    base: &ApplicationDefinition,
    live: &ApplicationDefinition,
    path: &str,
    options: PromoteOptions<'_>,
) -> Result<Promotion> {
    let edit = Edit::find(base, live, path)?;
    let resolved = templates.resolve(&base.template)?;
    let into = options.into.unwrap_or(resolved.name());
    if !resolved.chain().iter().any(|name| name == into) {
        return Err(Error::PromoteChain {
            template: into.to_owned(),
            service: base.service.clone(),
            chain: resolved.chain().to_vec(),
        });
    }
    let place = Place::of(path, base, live)?;
    let document = body_document(&resolved);
    let names = Names::of(base, place.region.as_deref());
    let mut found: Vec<Promotion> = Vec::new();
    for written in ways(&edit, &place, &names, &document, options)? {
        let Some(promotion) = written.promotion(templates.get(into)?, &document)? else {
            continue;
        };
        let has_effect = edit.follows_from(templates, &promotion.template)?;
        if has_effect
            && found
                .iter()
                .all(|known| known.template != promotion.template)
        {
            found.push(promotion);
        }
    }
    match found.len() {
        0 => Err(Error::PromoteNoEffect {
            path: path.to_owned(),
            template: into.to_owned(),
        }),
        1 => Ok(found.remove(0)),
        _ => Err(Error::PromoteAmbiguous {
            path: path.to_owned(),
            candidates: found.iter().map(Promotion::named).collect(),
        }),
    }
}

impl Promotion {
    /// The edit in one line.
    fn named(&self) -> String {
        let after = self.after.as_ref().map_or("nothing".to_owned(), compact);
        format!("{} at `{}`", after, self.path)
    }
}

/// The difference that is to be promoted.
struct Edit<'a> {
    base: &'a ApplicationDefinition,
    path: &'a str,
    /// What is live; none when it was taken away.
    value: Option<Value>,
}

impl<'a> Edit<'a> {
    fn find(
        base: &'a ApplicationDefinition,
        live: &ApplicationDefinition,
        path: &'a str,
    ) -> Result<Self> {
        let value = path::get(&to_value(live), path).cloned();
        if path::get(&to_value(base), path) == value.as_ref() {
            return Err(Error::PromoteNothing {
                service: base.service.clone(),
                path: path.to_owned(),
            });
        }
        Ok(Self { base, path, value })
    }

    /// Whether the instance has the value once `edited` takes the place of the template of its name.
    fn follows_from(&self, templates: &TemplateSet, edited: &Template) -> Result<bool> {
        let mut templates = templates.clone();
        templates.replace(edited.clone());
        let resolved = Resolver::new(&templates).candidate(self.base);
        match resolved {
            Ok(candidate) => {
                let theirs = to_value(candidate.theirs.as_ref());
                Ok(path::get(&theirs, self.path) == self.value.as_ref())
            }
            // A policy says why nothing will do; any other way to say it may still be possible.
            Err(error) if error.code() == "E-SEALED" => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// One way to write the edit into a template's document.
struct Written {
    path: String,
    after: Option<Value>,
    /// Say `$remove` of what an ancestor has, instead of taking away what the template has.
    removes_inherited: bool,
}

impl Written {
    fn promotion(self, template: &Template, merged: &Value) -> Result<Option<Promotion>> {
        let mut document = template.document();
        match (&self.after, self.removes_inherited) {
            (Some(after), _) => path::set(&mut document, &self.path, after.clone())?,
            (None, false) => {
                if path::remove(&mut document, &self.path).is_err() {
                    return Ok(None);
                }
            }
            (None, true) => path::set(&mut document, &self.path, removal(&self.path))?,
        }
        let before = path::get(merged, &self.path).cloned();
        Ok(Some(Promotion {
            template: Template::parse(template.name(), &compact(&document))?,
            before,
            path: self.path,
            after: self.after,
        }))
    }
}

/// `$remove`, with the name that says what.
fn removal(path: &str) -> Value {
    match path::steps(path).unwrap_or_default().pop() {
        Some(path::Step::Named(name)) => json!({"name": name, "$remove": true}),
        _ => json!({"$remove": true}),
    }
}

/// Every way in which the template could say it.
fn ways(
    edit: &Edit<'_>,
    place: &Place,
    names: &Names,
    document: &Value,
    options: PromoteOptions<'_>,
) -> Result<Vec<Written>> {
    let write = |path: &str, after: Value| Written {
        path: path.to_owned(),
        after: Some(after),
        removes_inherited: false,
    };
    if let Some(leaf) = options.leaf {
        return Ok(vec![write(&place.path, leaf.clone())]);
    }
    let Some(value) = place.value(edit.value.as_ref())? else {
        let taken_away = |removes_inherited| Written {
            path: place.removed_path.clone(),
            after: None,
            removes_inherited,
        };
        return Ok(vec![taken_away(false), taken_away(true)]);
    };
    let before = path::get(document, &place.path);
    let default = names.deciding(before).map(|parameter| {
        write(
            &format!("/parameters/[name={parameter}]/default"),
            value.clone(),
        )
    });
    if options.as_default {
        return Ok(default.into_iter().collect());
    }
    let leaves = names.leaves(&place.path, before, &value)?;
    let leaves = leaves.into_iter().map(|leaf| write(&place.path, leaf));
    Ok(default.into_iter().chain(leaves).collect())
}

/// The merged chain as a document that place paths lead into.
fn body_document(template: &ResolvedTemplate) -> Value {
    let pipeline = template.body.pipeline.clone();
    json!({
        "parameters": template.declarations().parameters,
        "stages": template.body.stages,
        "pipeline": pipeline.unwrap_or_else(|| json!({})),
    })
}

#[cfg(test)]
mod tests;
