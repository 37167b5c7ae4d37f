//! What a template lets others change below it: `open`, `extend-only` or `sealed`, per path.
//!
//! A path names a node of the template document (`/stages/[name=build]/script`); the longest rule
//! that covers a node decides. Checked after each merge by comparing what the path held before and
//! holds now, so that no spelling of an edit gets around it. Knows nothing of what the nodes mean.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// What may happen to a path in child templates and instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Everything; makes an exception within a path that is not open.
    Open,
    /// New keys and items; what is there stays as it is.
    ExtendOnly,
    /// Nothing.
    Sealed,
}

/// A rule for one path and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathPolicy {
    /// `/key/[name=item]/key`.
    pub path: String,
    /// What may happen.
    pub rule: Rule,
}

/// A policy and the template that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) policy: PathPolicy,
    pub(crate) set_in: String,
}

/// Refuses every change from `before` to `after`, made by `by`, that a policy forbids.
pub(crate) fn check(policies: &[Owned], by: &str, before: &Value, after: &Value) -> Result<()> {
    let problems = policies.iter().filter_map(|owned| {
        let path = &owned.policy.path;
        let exceptions: Vec<&str> = policies
            .iter()
            .filter(|other| other.policy.rule == Rule::Open && lies_below(&other.policy.path, path))
            .map(|other| &other.policy.path[path.len()..])
            .collect();
        let seen = |document: &Value| {
            node(document, path).map(|found| {
                let mut found = found.clone();
                for exception in &exceptions {
                    remove(&mut found, exception);
                }
                found
            })
        };
        let (was, is) = (seen(before), seen(after));
        let is_allowed = match owned.policy.rule {
            Rule::Open => true,
            Rule::Sealed => was == is,
            Rule::ExtendOnly => match (&was, &is) {
                (None, _) => true,
                (Some(was), Some(is)) => extends(was, is),
                (Some(_), None) => false,
            },
        };
        (!is_allowed).then(|| Error::SealedPath {
            path: path.clone(),
            rule: match owned.policy.rule {
                Rule::ExtendOnly => "extend-only",
                _ => "sealed",
            },
            sealed_in: owned.set_in.clone(),
            by: by.to_owned(),
        })
    });
    Error::collected(problems.collect())
}

fn lies_below(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// The segments of a path; `/` inside brackets does not occur, names are labels.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn node<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    segments(path).try_fold(document, |node, segment| match key_of(segment) {
        Some(name) => node.as_array()?.iter().find(|item| is_named(item, name)),
        None => node.get(segment),
    })
}

fn remove(document: &mut Value, path: &str) {
    let mut segments: Vec<&str> = segments(path).collect();
    let Some(last) = segments.pop() else { return };
    let parent = segments
        .into_iter()
        .try_fold(document, |node, segment| match key_of(segment) {
            Some(name) => node
                .as_array_mut()?
                .iter_mut()
                .find(|item| is_named(item, name)),
            None => node.get_mut(segment),
        });
    match (parent, key_of(last)) {
        (Some(Value::Array(items)), Some(name)) => items.retain(|item| !is_named(item, name)),
        (Some(Value::Object(map)), None) => {
            map.remove(last);
        }
        _ => {}
    }
}

/// The name in `[name=x]`.
fn key_of(segment: &str) -> Option<&str> {
    segment.strip_prefix("[name=")?.strip_suffix(']')
}

fn is_named(item: &Value, name: &str) -> bool {
    item.get("name").and_then(Value::as_str) == Some(name)
}

/// Whether `new` holds all of `old`, unchanged and in the old order.
fn extends(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old
            .iter()
            .all(|(key, item)| new.get(key).is_some_and(|now| extends(item, now))),
        (Value::Array(old), Value::Array(new)) => {
            let mut rest = new.iter();
            old.iter().all(|item| rest.any(|now| extends(item, now)))
        }
        (old, new) => old == new,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn allowed(policies: &[(&str, Rule)], before: Value, after: Value) -> bool {
        let owned: Vec<Owned> = policies
            .iter()
            .map(|(path, rule)| Owned {
                policy: PathPolicy {
                    path: (*path).to_owned(),
                    rule: *rule,
                },
                set_in: "base".to_owned(),
            })
            .collect();
        check(&owned, "child", &before, &after).is_ok()
    }

    #[test]
    fn sealed_allows_no_change_below_and_every_change_beside() {
        let sealed = [("/stages/[name=a]", Rule::Sealed)];
        let before = json!({"stages": [{"name": "a", "x": 1}, {"name": "b", "x": 1}]});
        let beside = json!({"stages": [{"name": "a", "x": 1}, {"name": "b", "x": 2}]});
        let below = json!({"stages": [{"name": "a", "x": 2}, {"name": "b", "x": 1}]});
        assert!(allowed(&sealed, before.clone(), beside));
        assert!(!allowed(&sealed, before.clone(), below));
        assert!(!allowed(&sealed, before, json!({"stages": []})));
    }

    #[test]
    fn an_open_path_is_an_exception_within_a_sealed_one() {
        let policies = [("/a", Rule::Sealed), ("/a/b", Rule::Open)];
        let before = json!({"a": {"b": 1, "c": 1}});
        assert!(allowed(
            &policies,
            before.clone(),
            json!({"a": {"b": 2, "c": 1}})
        ));
        assert!(!allowed(&policies, before, json!({"a": {"b": 2, "c": 2}})));
    }

    #[test]
    fn extend_only_keeps_what_is_there() {
        let policies = [("/a", Rule::ExtendOnly)];
        let before = json!({"a": ["x", "y"]});
        assert!(allowed(
            &policies,
            before.clone(),
            json!({"a": ["x", "z", "y"]})
        ));
        assert!(!allowed(
            &policies,
            before.clone(),
            json!({"a": ["y", "x"]})
        ));
        assert!(!allowed(&policies, before, json!({})));
    }
}
