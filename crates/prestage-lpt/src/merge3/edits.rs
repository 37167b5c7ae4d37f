//! The difference of two documents as edits on stable paths: what a preview shows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::path::child_path;

use super::{find, item_path, keys_of, list_kind};

/// One path whose value differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Where, as in `/stages/[name=build]/env/IMAGE`.
    pub path: String,
    /// The value before; absent when it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after; absent when it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The edits that lead from `before` to `after`, in the order of their paths.
pub fn edits(before: &Value, after: &Value) -> Vec<Edit> {
    let mut found = Vec::new();
    collect("", Some(before), Some(after), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Edit>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            collect_maps(path, before, after, found);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            collect_lists(path, before, after, found);
        }
        _ => found.push(edit(path, before, after)),
    }
}

fn collect_maps(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<Edit>,
) {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    for key in after.keys().chain(gone) {
        collect(
            &child_path(path, key),
            before.get(key),
            after.get(key),
            found,
        );
    }
}

fn collect_lists(path: &str, before: &[Value], after: &[Value], found: &mut Vec<Edit>) {
    let Some(kind) = list_kind(path, [before, after, after]) else {
        found.push(edit(path, Some(&before.into()), Some(&after.into())));
        return;
    };
    let (old, new) = (keys_of(before), keys_of(after));
    let gone = old.iter().filter(|key| !new.contains(key));
    for key in new.iter().chain(gone) {
        let path = item_path(path, kind, key);
        collect(&path, find(before, key), find(after, key), found);
    }
    let common = |keys: &[&str], other: &[&str]| -> Vec<String> {
        let kept = keys.iter().filter(|key| other.contains(key));
        kept.map(|key| (*key).to_owned()).collect()
    };
    if common(&old, &new) != common(&new, &old) {
        let [old, new] = [old, new].map(Value::from);
        found.push(edit(&child_path(path, "$order"), Some(&old), Some(&new)));
    }
}

fn edit(path: &str, before: Option<&Value>, after: Option<&Value>) -> Edit {
    Edit {
        path: path.to_owned(),
        before: before.cloned(),
        after: after.cloned(),
    }
}
