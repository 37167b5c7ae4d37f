//! Canonical JSON and the content hash over it.
//!
//! Canonical: keys in byte order, no insignificant white space, shortest round-trip floats (with
//! `-0.0` written as `0.0`), no null. The writer sorts by itself: whether `serde_json` keeps
//! insertion order is a build-wide feature that any dependency may switch on.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A content hash: 64 lower-case hexadecimal digits of BLAKE3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Revision(String);

impl Revision {
    /// Hashes `value` in `domain`, so that documents of different kinds never share a revision.
    pub(crate) fn of(domain: &str, value: &Value) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(domain.as_bytes());
        hasher.update(&[0]);
        hasher.update(compact(value).as_bytes());
        Self(hasher.finalize().to_hex().to_string())
    }

    /// Stands for content that could not be read.
    pub(crate) fn none() -> Self {
        Self("0".repeat(64))
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The canonical form on one line: what is hashed.
pub(crate) fn compact(value: &Value) -> String {
    let mut text = String::with_capacity(1024);
    write_compact(value, &mut text);
    text
}

/// The canonical form with two-space indentation and a final newline: what is committed, because
/// people review it.
pub(crate) fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write_pretty(value, 0, &mut text);
    text.push('\n');
    text
}

/// Turns one of our own types into its JSON value.
pub(crate) fn to_value<T: Serialize>(document: &T) -> Value {
    serde_json::to_value(document)
        .expect("our types have string keys and no custom serializer that fails")
}

/// Removes the spellings that differ although they mean the same number.
pub(crate) fn normalize_number(number: f64) -> f64 {
    // `-0.0 + 0.0` is `0.0`; every other number stays what it is.
    number + 0.0
}

fn write_compact(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_compact(item, out);
            }
            out.push(']');
        }
        Value::Object(_) => {
            out.push('{');
            for (index, (key, item)) in sorted(value).into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_compact(item, out);
            }
            out.push('}');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_pretty(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                new_line(index, depth + 1, out);
                write_pretty(item, depth + 1, out);
            }
            new_line(0, depth, out);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (index, (key, item)) in sorted(value).into_iter().enumerate() {
                new_line(index, depth + 1, out);
                write_string(key, out);
                out.push_str(": ");
                write_pretty(item, depth + 1, out);
            }
            new_line(0, depth, out);
            out.push('}');
        }
        other => write_compact(other, out),
    }
}

fn new_line(index: usize, depth: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn sorted(value: &Value) -> Vec<(&str, &Value)> {
    let mut entries: Vec<(&str, &Value)> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, item)| (key.as_str(), item))
        .collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

fn write_scalar(value: &Value, out: &mut String) {
    assert!(!value.is_null(), "canonical JSON has no null");
    match value {
        Value::String(text) => write_string(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn write_string(text: &str, out: &mut String) {
    let plain = text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::String(text.to_owned()).to_string());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_and_both_forms_parse_back() {
        let value = json!({"b": [1, 2.5, "x\n\"y\""], "a": {"d": true, "c": {}}, "e": []});
        assert_eq!(
            compact(&value),
            r#"{"a":{"c":{},"d":true},"b":[1,2.5,"x\n\"y\""],"e":[]}"#
        );
        let again: Value = serde_json::from_str(&pretty(&value)).unwrap();
        assert_eq!(again, value);
    }

    #[test]
    fn the_domain_is_part_of_the_hash() {
        let value = json!({"a": 1});
        assert_ne!(Revision::of("x/1", &value), Revision::of("y/1", &value));
        assert_eq!(Revision::of("x/1", &value).as_str().len(), 64);
    }

    #[test]
    fn minus_zero_is_zero() {
        assert_eq!(json!(normalize_number(-0.0)).to_string(), "0.0");
    }
}
