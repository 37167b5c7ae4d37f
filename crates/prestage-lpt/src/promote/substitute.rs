//! Turns a value of a definition back into what a template would say: reverse substitution.
//!
//! Where the template named a parameter and the parameter's value is still part of the text, the
//! name goes back in. Whether any other equal text means the parameter or only looks like it
//! nobody can tell from the value, so both are offered.

use serde_json::{Map, Value};

use crate::definition::ApplicationDefinition;
use crate::error::{Error, Result};
use crate::expression::has_expression;

/// Shorter texts are part of others by chance.
const TEXT_LENGTH_MIN: usize = 3;
/// Names beyond these are not offered: each one doubles the number of ways.
const OPTIONAL_MAX: usize = 4;

/// The names that expressions of an instance may use, with their values.
#[derive(Clone, Debug)]
pub(super) struct Names(Vec<(String, Value)>);

impl Names {
    pub(super) fn of(base: &ApplicationDefinition, region: Option<&str>) -> Self {
        let mut names: Vec<(String, Value)> = base
            .parameters
            .iter()
            .map(|(name, bound)| (format!("params.{name}"), bound.value.clone()))
            .collect();
        names.push(("service".to_owned(), base.service.as_str().into()));
        if let Some(region) = region {
            names.push(("region".to_owned(), region.into()));
        }
        Self(names)
    }

    /// The parameter that alone decides a place.
    pub(super) fn deciding<'a>(&self, before: Option<&'a Value>) -> Option<&'a str> {
        let inner = before?.as_str()?.strip_prefix("{{")?.strip_suffix("}}")?;
        let name = inner.trim().strip_prefix("params.")?;
        self.value(&format!("params.{name}")).map(|_| name)
    }

    /// Every value that a template could have where it had `before`, so that this instance gets
    /// `value`; never empty. Members of lists and maps must have one way each.
    pub(super) fn leaves(
        &self,
        path: &str,
        before: Option<&Value>,
        value: &Value,
    ) -> Result<Vec<Value>> {
        match value {
            Value::String(text) => Ok(self.texts(before, text)),
            // Scripts and names are taken literally by templates.
            Value::Array(items) if items.iter().all(Value::is_string) => Ok(vec![value.clone()]),
            Value::Array(items) => {
                let inner = |item| self.only(path, item);
                let items: Result<Vec<Value>> = items.iter().map(inner).collect();
                Ok(vec![Value::Array(items?)])
            }
            Value::Object(map) => {
                let inner = |(key, item): (&String, &Value)| match key.as_str() {
                    "name" => Ok((key.clone(), item.clone())),
                    _ => Ok((key.clone(), self.only(&format!("{path}/{key}"), item)?)),
                };
                let map: Result<Map<String, Value>> = map.iter().map(inner).collect();
                Ok(vec![Value::Object(map?)])
            }
            scalar => Ok(self.scalars(before, scalar)),
        }
    }

    /// The only way to say a member of something new.
    fn only(&self, path: &str, value: &Value) -> Result<Value> {
        let mut leaves = self.leaves(path, Some(&Value::Null), value)?;
        match leaves.len() {
            1 => Ok(leaves.remove(0)),
            _ => Err(Error::PromoteAmbiguous {
                path: path.to_owned(),
                candidates: leaves.iter().map(Value::to_string).collect(),
            }),
        }
    }

    fn scalars(&self, before: Option<&Value>, value: &Value) -> Vec<Value> {
        let mut ways = Vec::new();
        if !is_literal(before) {
            let equal = self.0.iter().filter(|(_, known)| known == value);
            ways.extend(equal.map(|(name, _)| reference(name)));
        }
        ways.push(value.clone());
        ways
    }

    fn texts(&self, before: Option<&Value>, text: &str) -> Vec<Value> {
        let was = before.and_then(Value::as_str).unwrap_or_default();
        let (named, others): (Vec<_>, Vec<_>) = self
            .0
            .iter()
            .filter(|(_, value)| occurs(value, text))
            .partition(|(name, _)| mentions(was, name));
        // A place that never named anything was not made from a parameter; but what says whose or
        // where it is cannot stand in a template for everybody.
        let may_be_meant =
            |(name, _): &&&(String, Value)| !is_literal(before) || !name.starts_with("params.");
        let others: Vec<&(String, Value)> = others
            .iter()
            .filter(may_be_meant)
            .copied()
            .take(OPTIONAL_MAX)
            .collect();
        let mut ways: Vec<Value> = Vec::new();
        for chosen in 0..1_u32 << others.len() {
            let optional = others.iter().enumerate();
            let optional = optional.filter(|(index, _)| (chosen >> index) & 1 == 1);
            let names: Vec<&(String, Value)> = named
                .iter()
                .copied()
                .chain(optional.map(|(_, name)| *name))
                .collect();
            let way = Value::String(substituted(text, &names));
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let mut names = self.0.iter();
        names
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

/// Whether the template said something there without naming anything.
fn is_literal(before: Option<&Value>) -> bool {
    match before {
        None => false,
        Some(Value::Null) => true,
        Some(Value::String(text)) => !has_expression(text),
        Some(_) => true,
    }
}

fn mentions(template: &str, name: &str) -> bool {
    template.split("{{").skip(1).any(|part| {
        let inner = part.split("}}").next().unwrap_or_default();
        inner
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
            .any(|word| word == name)
    })
}

fn occurs(value: &Value, text: &str) -> bool {
    let whole = |known: &str| known == text;
    value.as_str().is_some_and(|known| {
        whole(known) || (known.len() >= TEXT_LENGTH_MIN && text.contains(known))
    })
}

fn reference(name: &str) -> Value {
    Value::String(format!("{{{{ {name} }}}}"))
}

/// The text with every occurrence of a value replaced by its name, the longest value first where
/// several begin.
fn substituted(text: &str, names: &[&(String, Value)]) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let fits = names.iter().filter_map(|(name, value)| {
            let value = value.as_str().filter(|value| !value.is_empty())?;
            rest.starts_with(value).then_some((value.len(), name))
        });
        match fits.max_by_key(|(length, _)| *length) {
            Some((length, name)) => {
                result.push_str(&format!("{{{{ {name} }}}}"));
                rest = &rest[length..];
            }
            None => {
                result.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    result
}
