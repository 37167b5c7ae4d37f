//! Keyed merge of a child document over its parent.
//!
//! Maps merge by key. Lists whose items all carry a `name` merge by that name, keeping the
//! parent's order and appending what is new; `$remove: true` in an item deletes the inherited one.
//! Other lists are replaced, unless the child writes a map of `$prepend`, `$append` and `$remove`
//! lists. Knows nothing of parameters and stages, and never merges text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::place::Place;

const REMOVE: &str = "$remove";
const APPEND: &str = "$append";
const PREPEND: &str = "$prepend";

/// The child of `template` over `parent`; `path` names the node in errors.
pub(crate) fn merge(template: &str, path: &str, parent: &Value, child: &Value) -> Result<Value> {
    Merger { template }.node(&Place::root(path), parent, child)
}

/// A document that has no parent may not contain merge instructions.
pub(crate) fn refuse_instructions(template: &str, path: &str, value: &Value) -> Result<()> {
    Merger { template }.refuse_instructions(&Place::root(path), value)
}

struct Merger<'a> {
    /// Names the child in errors.
    template: &'a str,
}

impl Merger<'_> {
    fn node(&self, place: &Place<'_>, parent: &Value, child: &Value) -> Result<Value> {
        match (parent, child) {
            (Value::Object(parent), Value::Object(child)) => self.maps(place, parent, child),
            (Value::Array(parent), Value::Array(child)) if is_keyed(parent) && is_keyed(child) => {
                self.keyed(place, parent, child)
            }
            (Value::Array(parent), Value::Object(edit)) => self.edited(place, parent, edit),
            (Value::Array(_), Value::Array(_)) => Ok(child.clone()),
            (parent, child) if is_scalar(parent) && is_scalar(child) => Ok(child.clone()),
            (parent, child) => Err(self.conflict(
                place,
                format!(
                    "the parent has a {}, the child a {}",
                    kind(parent),
                    kind(child)
                ),
            )),
        }
    }

    fn refuse_instructions(&self, place: &Place<'_>, value: &Value) -> Result<()> {
        match value {
            Value::Object(map) => map.iter().try_for_each(|(key, item)| {
                if key.starts_with('$') {
                    return Err(self.conflict(place, format!("`{key}` finds nothing to act on")));
                }
                self.refuse_instructions(&place.key(key), item)
            }),
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.refuse_instructions(place, item)),
            _ => Ok(()),
        }
    }

    fn maps(
        &self,
        place: &Place<'_>,
        parent: &Map<String, Value>,
        child: &Map<String, Value>,
    ) -> Result<Value> {
        let mut merged = Map::new();
        for (key, inherited) in parent {
            match child.get(key) {
                None => drop(merged.insert(key.clone(), inherited.clone())),
                Some(item) if is_removal(item) => {}
                Some(item) => {
                    let item = self.node(&place.key(key), inherited, item)?;
                    merged.insert(key.clone(), item);
                }
            }
        }
        for (key, item) in child.iter().filter(|(key, _)| !parent.contains_key(*key)) {
            let place = place.key(key);
            self.refuse_instructions(&place, item)?;
            if key.starts_with('$') {
                return Err(self.conflict(&place, "unknown merge instruction".to_owned()));
            }
            merged.insert(key.clone(), item.clone());
        }
        Ok(Value::Object(merged))
    }

    fn keyed(&self, place: &Place<'_>, parent: &[Value], child: &[Value]) -> Result<Value> {
        let mut merged: Vec<Option<Value>> = parent.iter().cloned().map(Some).collect();
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        for (position, name) in parent.iter().filter_map(key_of).enumerate() {
            // Of two items of one name the first is meant; that there are two is found later.
            index.entry(name).or_insert(position);
        }
        for item in child {
            let name = key_of(item).expect("keyed: checked by the caller");
            let place = place.item(0, item);
            match index.get(name).copied() {
                Some(position) if is_removal(item) => {
                    merged[position] = None;
                    index.remove(name);
                }
                Some(position) => {
                    let known = merged[position].as_ref();
                    let known = known.expect("what is removed leaves the index");
                    merged[position] = Some(self.node(&place, known, item)?);
                }
                None => {
                    self.refuse_instructions(&place, item)?;
                    index.insert(name, merged.len());
                    merged.push(Some(item.clone()));
                }
            }
        }
        Ok(merged.into_iter().flatten().collect())
    }

    fn edited(
        &self,
        place: &Place<'_>,
        parent: &[Value],
        edit: &Map<String, Value>,
    ) -> Result<Value> {
        for (key, items) in edit {
            if ![REMOVE, APPEND, PREPEND].contains(&key.as_str()) {
                return Err(self.conflict(
                    place,
                    format!(
                        "the parent has a list; `{key}` is not one of `$append`, `$prepend`, `$remove`"
                    ),
                ));
            }
            if !items.is_array() {
                return Err(self.conflict(place, format!("`{key}` must be a list")));
            }
        }
        let listed = |key: &str| {
            edit.get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        // By their text, because values have no order and the lists may be long.
        let removed: BTreeSet<String> = listed(REMOVE).map(Value::to_string).collect();
        let kept = parent
            .iter()
            .filter(|item| removed.is_empty() || !removed.contains(&item.to_string()));
        let whole = listed(PREPEND).chain(kept).chain(listed(APPEND));
        Ok(whole.cloned().collect())
    }

    fn conflict(&self, place: &Place<'_>, message: String) -> Error {
        Error::Merge {
            template: self.template.to_owned(),
            path: place.to_string(),
            message,
        }
    }
}

/// `{$remove: true}`, possibly beside the `name` that says what to remove.
fn is_removal(item: &Value) -> bool {
    item.get(REMOVE) == Some(&Value::Bool(true))
}

fn is_keyed(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| key_of(item).is_some())
}

fn key_of(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "list",
        Value::Object(_) => "map",
        _ => "single value",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(parent: Value, child: Value, expected: Value) {
        assert_eq!(merge("t", "", &parent, &child).unwrap(), expected);
    }

    #[test]
    fn maps_and_keyed_lists_merge_by_key() {
        check(
            json!({"a": 1, "b": {"c": 2, "d": 3}}),
            json!({"b": {"c": 9}, "e": 5}),
            json!({"a": 1, "b": {"c": 9, "d": 3}, "e": 5}),
        );
        check(
            json!([{"name": "x", "v": 1, "w": 2}, {"name": "y"}]),
            json!([{"name": "z"}, {"name": "x", "v": 5}]),
            json!([{"name": "x", "v": 5, "w": 2}, {"name": "y"}, {"name": "z"}]),
        );
    }

    #[test]
    fn plain_lists_are_replaced_unless_the_child_edits_them() {
        check(json!(["a", "b"]), json!(["c"]), json!(["c"]));
        check(
            json!(["a", "b"]),
            json!({"$append": ["c"], "$prepend": ["z"], "$remove": ["a"]}),
            json!(["z", "b", "c"]),
        );
        check(json!([{"name": "x"}]), json!([]), json!([]));
    }

    #[test]
    fn removal_is_explicit() {
        check(
            json!({"a": 1, "b": 2}),
            json!({"a": {"$remove": true}}),
            json!({"b": 2}),
        );
        check(
            json!([{"name": "x"}, {"name": "y"}]),
            json!([{"name": "x", "$remove": true}]),
            json!([{"name": "y"}]),
        );
    }

    #[test]
    fn disagreements_and_orphan_instructions_are_errors() {
        for (parent, child) in [
            (json!({"a": 1}), json!({"a": [1]})),
            (json!({"a": [1]}), json!({"a": {"x": [1]}})),
            (json!({"a": [1]}), json!({"a": {"$append": 1}})),
            (json!({}), json!({"a": {"$append": [1]}})),
            (
                json!([{"name": "x"}]),
                json!([{"name": "y", "$remove": true}]),
            ),
        ] {
            assert_eq!(
                merge("t", "", &parent, &child).unwrap_err().code(),
                "E-MERGE"
            );
        }
    }

    #[test]
    fn merging_an_empty_child_changes_nothing() {
        let parent = json!({"a": [{"name": "x", "v": [1]}], "b": "c"});
        check(parent.clone(), json!({}), parent);
    }
}
