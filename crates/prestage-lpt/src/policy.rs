//! What a template lets others change below it: `open`, `extend-only` or `sealed`, per path.
//!
//! A path names a node of the template document (`/stages/[name=build]/script`); the longest rule
//! that covers a node decides. Checked after each merge by comparing what the path held before and
//! holds now, so that no spelling of an edit gets around it. Knows nothing of what the nodes mean.

mod definition;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::path::{self, is_at_or_below};

pub(crate) use definition::of_definition;

/// What may happen to a path in child templates and instances; the stricter rule is the greater.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Everything; makes an exception within a path that is not open.
    Open,
    /// New keys and items; what is there stays as it is.
    ExtendOnly,
    /// Nothing.
    Sealed,
}

impl Rule {
    /// The name used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ExtendOnly => "extend-only",
            Self::Sealed => "sealed",
        }
    }
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
    policy: PathPolicy,
    set_in: String,
}

impl Owned {
    /// Refuses a path that could name nothing: it would close nothing either.
    pub(crate) fn new(mut policy: PathPolicy, set_in: &str) -> Result<Self> {
        match path::steps(&policy.path) {
            Some(steps) if steps.is_empty() => policy.path.clear(),
            Some(_) => {}
            None => {
                return Err(Error::PathUnknown { path: policy.path });
            }
        }
        let set_in = set_in.to_owned();
        Ok(Self { policy, set_in })
    }
}

/// The policies of one template over a document, asked place by place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policies<'a>(pub(crate) &'a [PathPolicy]);

impl Policies<'_> {
    /// The rule of the longest path that covers this one.
    pub(crate) fn rule_at(&self, path: &str) -> Rule {
        let covering = self
            .0
            .iter()
            .filter(|policy| is_at_or_below(path, &policy.path));
        covering
            .max_by_key(|policy| (policy.path.len(), policy.rule))
            .map_or(Rule::Open, |policy| policy.rule)
    }

    /// Whether parts of what is at `path` have a rule of their own.
    pub(crate) fn divides(&self, path: &str) -> bool {
        self.0.iter().any(|policy| lies_below(&policy.path, path))
    }

    fn closes_below(&self, path: &str) -> bool {
        let is_closed = |policy: &&PathPolicy| policy.rule != Rule::Open;
        let mut closed = self.0.iter().filter(is_closed);
        closed.any(|policy| lies_below(&policy.path, path))
    }

    /// Whether an instance may have `ours` where the template gives `theirs`.
    pub(crate) fn allows(&self, path: &str, theirs: Option<&Value>, ours: Option<&Value>) -> bool {
        if theirs == ours {
            return true;
        }
        match self.rule_at(path) {
            Rule::Sealed => false,
            Rule::ExtendOnly => match (theirs, ours) {
                (None, _) => true,
                (Some(theirs), Some(ours)) => extends(theirs, ours),
                (Some(_), None) => false,
            },
            Rule::Open => !self.closes_below(path),
        }
    }
}

/// Refuses every change from `before` to `after`, made by `by`, that a policy forbids.
pub(crate) fn check(policies: &[Owned], by: &str, before: &Value, after: &Value) -> Result<()> {
    let problems = policies.iter().enumerate().filter_map(|(index, owned)| {
        let path = &owned.policy.path;
        let exceptions = exceptions(policies, index);
        let seen = |document: &Value| {
            path::get(document, path).map(|found| {
                let mut found = found.clone();
                for exception in &exceptions {
                    // What is not there needs no exception.
                    let _ = path::remove(&mut found, exception);
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
            rule: owned.policy.rule.as_str(),
            sealed_in: owned.set_in.clone(),
            by: by.to_owned(),
        })
    });
    Error::collected(problems.collect())
}

/// The places below a policy that have a rule of their own, relative to it. Nobody further down the
/// chain makes an exception from what an ancestor closed.
fn exceptions(policies: &[Owned], index: usize) -> Vec<&str> {
    let owned = &policies[index];
    let path = &owned.policy.path;
    policies
        .iter()
        .enumerate()
        .filter(|(_, other)| lies_below(&other.policy.path, path))
        .filter(|(place, other)| {
            let is_stricter = owned.policy.rule <= other.policy.rule;
            is_stricter || *place < index || other.set_in == owned.set_in
        })
        .map(|(_, other)| &other.policy.path[path.len()..])
        .collect()
}

/// The policies that count: one that would relax what an ancestor closed does not.
fn in_force(policies: &[Owned]) -> impl Iterator<Item = &PathPolicy> {
    let relaxes = |index: usize, owned: &Owned| {
        policies[..index].iter().any(|earlier| {
            earlier.set_in != owned.set_in
                && owned.policy.rule < earlier.policy.rule
                && is_at_or_below(&owned.policy.path, &earlier.policy.path)
        })
    };
    policies
        .iter()
        .enumerate()
        .filter(move |(index, owned)| !relaxes(*index, owned))
        .map(|(_, owned)| &owned.policy)
}

fn lies_below(path: &str, ancestor: &str) -> bool {
    path != ancestor && is_at_or_below(path, ancestor)
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
            .map(|(path, rule)| {
                let path = (*path).to_owned();
                let rule = *rule;
                Owned::new(PathPolicy { path, rule }, "base").unwrap()
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
    fn the_whole_document_can_be_closed_and_no_path_closes_nothing() {
        for root in ["", "/"] {
            let policies = [(root, Rule::Sealed), ("/a", Rule::Open)];
            let before = json!({"a": 1, "b": 1});
            assert!(allowed(&policies, before.clone(), json!({"a": 2, "b": 1})));
            assert!(!allowed(&policies, before, json!({"a": 1, "b": 2})));
        }
        let path = "stages".to_owned();
        let rule = Rule::Sealed;
        let error = Owned::new(PathPolicy { path, rule }, "base").unwrap_err();
        assert_eq!(error.code(), "E-PATH-UNKNOWN");
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
    fn a_child_makes_no_exception_from_what_its_parent_sealed() {
        let owned = |path: &str, rule, set_in| {
            let path = path.to_owned();
            Owned::new(PathPolicy { path, rule }, set_in).unwrap()
        };
        let policies = [
            owned("/a", Rule::Sealed, "parent"),
            owned("/a/b", Rule::Open, "child"),
            owned("/a/c", Rule::ExtendOnly, "child"),
            owned("/d", Rule::Open, "parent"),
            owned("/d/e", Rule::Sealed, "child"),
        ];
        let before = json!({"a": {"b": 1, "c": {}}, "d": {"e": 1, "f": 1}});
        for (after, is_allowed) in [
            (
                json!({"a": {"b": 2, "c": {}}, "d": {"e": 1, "f": 1}}),
                false,
            ),
            (
                json!({"a": {"b": 1, "c": {"x": 1}}, "d": {"e": 1, "f": 1}}),
                false,
            ),
            (
                json!({"a": {"b": 1, "c": {}}, "d": {"e": 2, "f": 1}}),
                false,
            ),
            (json!({"a": {"b": 1, "c": {}}, "d": {"e": 1, "f": 2}}), true),
        ] {
            assert_eq!(check(&policies, "x", &before, &after).is_ok(), is_allowed);
        }
        let paths: Vec<&str> = in_force(&policies)
            .map(|policy| policy.path.as_str())
            .collect();
        assert_eq!(paths, ["/a", "/d", "/d/e"]);
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
