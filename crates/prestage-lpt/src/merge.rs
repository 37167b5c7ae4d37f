//! Keyed merge of a child document over its parent.
//!
//! Maps merge by key. Lists whose items all carry a `name` merge by that name, keeping the
//! parent's order and appending what is new; `$remove: true` in an item deletes the inherited one.
//! Other lists are replaced, unless the child writes a map of `$prepend`, `$append` and `$remove`
//! lists. Knows nothing of parameters and stages, and never merges text.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

const REMOVE: &str = "$remove";
const APPEND: &str = "$append";
const PREPEND: &str = "$prepend";

/// The child of `template` over `parent`; `path` names the node in errors.
pub(crate) fn merge(template: &str, path: &str, parent: &Value, child: &Value) -> Result<Value> {
    match (parent, child) {
        (Value::Object(parent), Value::Object(child)) => merge_maps(template, path, parent, child),
        (Value::Array(parent), Value::Array(child)) if is_keyed(parent) && is_keyed(child) => {
            merge_keyed(template, path, parent, child)
        }
        (Value::Array(parent), Value::Object(edit)) => edit_list(template, path, parent, edit),
        (Value::Array(_), Value::Array(_)) => Ok(child.clone()),
        (parent, child) if is_scalar(parent) && is_scalar(child) => Ok(child.clone()),
        (parent, child) => Err(conflict(
            template,
            path,
            format!(
                "the parent has a {}, the child a {}",
                kind(parent),
                kind(child)
            ),
        )),
    }
}

/// A document that has no parent may not contain merge instructions.
pub(crate) fn refuse_instructions(template: &str, path: &str, value: &Value) -> Result<()> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, item)| {
            if key.starts_with('$') {
                return Err(conflict(
                    template,
                    path,
                    format!("`{key}` finds nothing to act on"),
                ));
            }
            refuse_instructions(template, &format!("{path}/{key}"), item)
        }),
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| refuse_instructions(template, path, item)),
        _ => Ok(()),
    }
}

fn merge_maps(
    template: &str,
    path: &str,
    parent: &Map<String, Value>,
    child: &Map<String, Value>,
) -> Result<Value> {
    let mut merged = parent.clone();
    for (key, item) in child {
        let path = format!("{path}/{key}");
        match parent.get(key) {
            Some(_) if is_removal(item) => {
                merged.remove(key);
            }
            Some(inherited) => {
                merged.insert(key.clone(), merge(template, &path, inherited, item)?);
            }
            None => {
                refuse_instructions(template, &path, item)?;
                if key.starts_with('$') {
                    return Err(conflict(
                        template,
                        &path,
                        "unknown merge instruction".to_owned(),
                    ));
                }
                merged.insert(key.clone(), item.clone());
            }
        }
    }
    Ok(Value::Object(merged))
}

fn merge_keyed(template: &str, path: &str, parent: &[Value], child: &[Value]) -> Result<Value> {
    let mut merged: Vec<Value> = parent.to_vec();
    for item in child {
        let name = key_of(item).expect("keyed: checked by the caller");
        let path = format!("{path}/[name={name}]");
        let position = merged.iter().position(|known| key_of(known) == Some(name));
        match (position, is_removal(item)) {
            (Some(index), true) => {
                merged.remove(index);
            }
            (Some(index), false) => merged[index] = merge(template, &path, &merged[index], item)?,
            (None, _) => {
                refuse_instructions(template, &path, item)?;
                merged.push(item.clone());
            }
        }
    }
    Ok(Value::Array(merged))
}

fn edit_list(
    template: &str,
    path: &str,
    parent: &[Value],
    edit: &Map<String, Value>,
) -> Result<Value> {
    let mut merged: Vec<Value> = parent.to_vec();
    for (key, items) in edit {
        let Some(items) = items.as_array() else {
            return Err(conflict(template, path, format!("`{key}` must be a list")));
        };
        match key.as_str() {
            REMOVE => merged.retain(|item| !items.contains(item)),
            APPEND | PREPEND => {}
            _ => {
                return Err(conflict(
                    template,
                    path,
                    format!(
                        "the parent has a list; `{key}` is not one of `$append`, `$prepend`, `$remove`"
                    ),
                ));
            }
        }
    }
    let listed = |key: &str| -> Vec<Value> {
        edit.get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let whole = [listed(PREPEND), merged, listed(APPEND)].concat();
    Ok(Value::Array(whole))
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

fn conflict(template: &str, path: &str, message: String) -> Error {
    Error::Merge {
        template: template.to_owned(),
        path: path.to_owned(),
        message,
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
