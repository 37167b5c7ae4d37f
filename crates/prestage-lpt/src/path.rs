//! Stable paths into documents: `/stages/[name=build]/env/IMAGE`.
//!
//! A path names map keys, items of lists of named objects (`[name=build]`) and items of lists of
//! unique words (`[build]`), never an index: what it names stays the same when something is added
//! before it. `~` and `/` in a key are written `~0` and `~1`, as in a JSON pointer.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of a map.
    Key(String),
    /// The item of a list that has this `name`.
    Named(String),
    /// This word of a list.
    Word(String),
}

impl Step {
    fn parse(text: &str) -> Self {
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match inner.map(|inner| (inner, inner.strip_prefix("name="))) {
            Some((_, Some(name))) => Self::Named(unescaped(name)),
            Some((word, None)) => Self::Word(unescaped(word)),
            None => Self::Key(unescaped(text)),
        }
    }

    fn position(&self, items: &[Value]) -> Option<usize> {
        items.iter().position(|item| match self {
            Self::Named(name) => item.get("name").and_then(Value::as_str) == Some(name),
            Self::Word(word) => item.as_str() == Some(word),
            Self::Key(_) => false,
        })
    }

    fn child<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match (self, value) {
            (Self::Key(key), Value::Object(map)) => map.get(key),
            (_, Value::Array(items)) => items.get(self.position(items)?),
            _ => None,
        }
    }

    /// The child, made if it is not there; none where the value is of another kind.
    fn child_or_new<'a>(&self, value: &'a mut Value, next: &Step) -> Option<&'a mut Value> {
        let empty = match next {
            Self::Key(_) => Value::Object(Map::new()),
            Self::Named(_) | Self::Word(_) => Value::Array(Vec::new()),
        };
        match (self, value) {
            (Self::Key(key), Value::Object(map)) => Some(map.entry(key.clone()).or_insert(empty)),
            (Self::Named(name), Value::Array(items)) => {
                let index = self.position(items).unwrap_or_else(|| {
                    items.push(json!({"name": name}));
                    items.len() - 1
                });
                items.get_mut(index)
            }
            _ => None,
        }
    }
}

/// The steps of a path, none for the whole document, which is `/` or nothing. Any other path
/// starts with `/`.
pub(crate) fn steps(path: &str) -> Option<Vec<Step>> {
    match path {
        "" | "/" => Some(Vec::new()),
        _ => Some(
            path.strip_prefix('/')?
                .split('/')
                .map(Step::parse)
                .collect(),
        ),
    }
}

/// The value at a path; none when it is absent.
pub(crate) fn get<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    let mut steps = steps(path)?.into_iter();
    steps.try_fold(document, |value, step| step.child(value))
}

/// Puts a value at a path, with the maps and lists on the way that are not there yet. Fails where
/// the document has something of another kind.
pub(crate) fn set(document: &mut Value, path: &str, new: Value) -> Result<()> {
    let wrong = || unplaced(path);
    let steps = steps(path).ok_or_else(wrong)?;
    let last = steps.last().ok_or_else(wrong)?;
    let mut place = document;
    for pair in steps.windows(2) {
        place = pair[0].child_or_new(place, &pair[1]).ok_or_else(wrong)?;
    }
    match (last, place) {
        (Step::Key(key), Value::Object(map)) => {
            map.insert(key.clone(), new);
        }
        (Step::Named(_) | Step::Word(_), Value::Array(items)) => match last.position(items) {
            Some(index) => items[index] = new,
            None => items.push(new),
        },
        _ => return Err(wrong()),
    }
    Ok(())
}

/// Takes away what is at a path. Fails when nothing is.
pub(crate) fn remove(document: &mut Value, path: &str) -> Result<()> {
    let wrong = || unplaced(path);
    let mut steps = steps(path).ok_or_else(wrong)?;
    let last = steps.pop().ok_or_else(wrong)?;
    let parent = steps
        .iter()
        .try_fold(document, |value, step| match (step, value) {
            (Step::Key(key), Value::Object(map)) => map.get_mut(key),
            (step, Value::Array(items)) => {
                let index = step.position(items)?;
                items.get_mut(index)
            }
            _ => None,
        });
    let removed = match (&last, parent) {
        (Step::Key(key), Some(Value::Object(map))) => map.remove(key).is_some(),
        (step, Some(Value::Array(items))) => match step.position(items) {
            Some(index) => {
                items.remove(index);
                true
            }
            None => false,
        },
        _ => false,
    };
    removed.then_some(()).ok_or_else(wrong)
}

/// The path of a member.
pub(crate) fn child_path(path: &str, key: &str) -> String {
    let key = key.replace('~', "~0").replace('/', "~1");
    format!("{path}/{key}")
}

/// Whether `path` is `root` or lies below it.
pub(crate) fn is_at_or_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn unescaped(text: &str) -> String {
    text.replace("~1", "/").replace("~0", "~")
}

fn unplaced(path: &str) -> Error {
    Error::PathUnknown {
        path: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({"stages": [{"name": "build", "env": {"A": "1"}, "needs": ["x", "y"]}], "a/b": 1})
    }

    #[test]
    fn names_words_and_escaped_keys_are_found() {
        let found = |path| get(&document(), path).cloned();
        assert_eq!(found("/stages/[name=build]/env/A"), Some(json!("1")));
        assert_eq!(found("/stages/[name=build]/needs/[y]"), Some(json!("y")));
        assert_eq!(found("/a~1b"), Some(json!(1)));
        assert_eq!(found("/"), Some(document()));
        for absent in [
            "stages",
            "/stages/[name=test]",
            "/stages/0",
            "/stages/build",
        ] {
            assert_eq!(found(absent), None, "{absent}");
        }
    }

    #[test]
    fn what_is_set_is_found_and_what_is_removed_is_not() {
        for path in [
            "/stages/[name=build]/env/A",
            "/stages/[name=build]/env/NEW",
            "/stages/[name=other]/env/[name=DEEP]/value",
            "/fresh/map/key",
        ] {
            let mut edited = document();
            set(&mut edited, path, json!("v")).unwrap();
            assert_eq!(get(&edited, path), Some(&json!("v")), "{path}");
            remove(&mut edited, path).unwrap();
            assert_eq!(get(&edited, path), None, "{path}");
            let error = remove(&mut edited, path).unwrap_err();
            assert_eq!(error.code(), "E-PATH-UNKNOWN");
        }
    }

    #[test]
    fn a_path_through_a_value_of_another_kind_is_refused() {
        for path in [
            "",
            "/",
            "/a~1b/x",
            "/stages/key",
            "/stages/[name=build]/name/x",
        ] {
            let error = set(&mut document(), path, json!(1)).unwrap_err();
            assert_eq!(error.code(), "E-PATH-UNKNOWN", "{path}");
        }
    }
}
