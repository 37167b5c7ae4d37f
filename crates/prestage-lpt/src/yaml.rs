//! YAML in and out, with every option that makes the reader strict.
//!
//! `no` stays a string, `0755` stays a string, a key stands once, and tags, merge keys, aliases,
//! null and a second document are refused. JSON is YAML, so JSON templates come the same way.
//! What the reader cannot see (`1.10` is the number 1.1) the parameter types refuse later.

use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error as YamlError, Options};

use crate::error::{Error, Result};
use crate::place::Place;

/// The largest document that is read at all.
pub const BYTES_MAX: usize = 1 << 19;
/// The deepest nesting that is read.
pub const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 10_000;
/// Pipelines of people are longer than templates.
const FOREIGN_NODES_MAX: usize = 20_000;
const FOREIGN_ALIASES_MAX: usize = 200;

/// The text of a file: UTF-8, with or without its byte order mark.
pub(crate) fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| Error::YamlFeature {
        file: file.to_owned(),
        message: format!("it is not UTF-8: {error}"),
    })
}

/// Reads one strict document into an untyped value; `file` names it in errors.
pub(crate) fn read_value(file: &str, text: &str) -> Result<Value> {
    check_size(file, text)?;
    let value: Value = serde_saphyr::from_str_with_options(text, strict_options())
        .map_err(|error| refused(file, &error))?;
    refuse_null(file, &Place::root(""), &value)?;
    Ok(value)
}

/// Reads one strict document into a type.
pub(crate) fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    typed(file, read_value(file, text)?)
}

/// Reads one document that was not written for prestage: aliases, merge keys and null are allowed,
/// within a budget that still ends every bomb.
pub(crate) fn read_foreign<T: DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    check_size(file, text)?;
    serde_saphyr::from_str_with_options(text, foreign_options())
        .map_err(|error| refused(file, &error))
}

/// The keys of a map in the order of the file, which [`Value`] does not keep.
#[derive(Debug, Default)]
pub(crate) struct KeyOrder(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for KeyOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = KeyOrder;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<KeyOrder, M::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(KeyOrder(keys))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl KeyOrder {
    /// The entries of `map` in this order.
    pub(crate) fn entries(&self, mut map: Map<String, Value>) -> Vec<(String, Value)> {
        self.0
            .iter()
            .filter_map(|key| map.remove_entry(key))
            .collect()
    }
}

/// Turns an untyped value into a type; unknown keys are refused by the types themselves.
pub(crate) fn typed<T: DeserializeOwned>(file: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::Shape {
        file: file.to_owned(),
        message: error.to_string(),
    })
}

/// Writes a target's file. Strings that any YAML 1.1 reader would take for something else are quoted.
pub(crate) fn write<T: Serialize>(document: &T) -> String {
    serde_saphyr::to_string(document)
        .expect("target models hold strings, numbers, lists and maps only")
}

fn strict_options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            max_depth: DEPTH_MAX,
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 1,
            max_total_scalar_bytes: BYTES_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    }
}

fn foreign_options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: FOREIGN_NODES_MAX,
            max_depth: DEPTH_MAX,
            max_aliases: FOREIGN_ALIASES_MAX,
            max_anchors: FOREIGN_ALIASES_MAX,
            max_documents: 1,
            max_total_scalar_bytes: BYTES_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    }
}

fn check_size(file: &str, text: &str) -> Result<()> {
    if text.len() <= BYTES_MAX {
        return Ok(());
    }
    Err(Error::Size {
        file: file.to_owned(),
        bytes: text.len(),
        limit: BYTES_MAX,
    })
}

fn refused(file: &str, error: &YamlError) -> Error {
    let file = file.to_owned();
    let message = error.to_string();
    match error {
        YamlError::DuplicateMappingKey { .. } => Error::YamlDuplicateKey { file, message },
        YamlError::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => Error::YamlDepth {
            file,
            limit: DEPTH_MAX,
        },
        YamlError::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        }
        | YamlError::MultipleDocuments { .. }
        | YamlError::MergeKeyNotAllowed { .. }
        | YamlError::UnsupportedTag { .. }
        | YamlError::NonFiniteFloat { .. } => Error::YamlFeature { file, message },
        YamlError::Budget { .. } => Error::YamlBudget { file, message },
        // The scanner's own limit on flow collections, which comes before any budget is asked.
        _ if message.contains("recursion limit exceeded") => Error::YamlDepth {
            file,
            limit: DEPTH_MAX,
        },
        _ => Error::YamlSyntax { file, message },
    }
}

/// How many values a document holds, itself included: what a budget of values counts.
pub(crate) fn values_in(document: &Value) -> usize {
    1 + match document {
        Value::Array(items) => items.iter().map(values_in).sum::<usize>(),
        Value::Object(map) => map.values().map(values_in).sum(),
        _ => 0,
    }
}

fn refuse_null(file: &str, place: &Place<'_>, value: &Value) -> Result<()> {
    match value {
        Value::Null => Err(Error::YamlFeature {
            file: file.to_owned(),
            message: format!("`{place}` is null; leave the key out or use `$remove`"),
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| refuse_null(file, &place.item(index, item), item)),
        Value::Object(map) => map
            .iter()
            .try_for_each(|(key, item)| refuse_null(file, &place.key(key), item)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_refused(text: &str, code: &str) {
        let error = read_value("t.yaml", text).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }

    #[test]
    fn yaml_1_1_spellings_stay_strings() {
        let value = read_value(
            "t.yaml",
            "a: no\nb: yes\nc: 0755\nd: 12:30\ne: 2026-01-02\nf: on\ng: 1_000\nh: true\ni: 7\n",
        )
        .unwrap();
        assert_eq!(
            value,
            json!({"a": "no", "b": "yes", "c": "0755", "d": "12:30", "e": "2026-01-02", "f": "on",
                   "g": "1_000", "h": true, "i": 7})
        );
    }

    #[test]
    fn traps_are_refused_with_their_codes() {
        check_refused("a: 1\na: 2\n", "E-YAML-DUPKEY");
        check_refused("a: &x {b: 1}\nc:\n  <<: *x\n", "E-YAML-BUDGET");
        check_refused("c:\n  <<: {b: 1}\n", "E-YAML-FEATURE");
        check_refused("a: !!python/object x\n", "E-YAML-FEATURE");
        check_refused("a: !custom x\n", "E-YAML-FEATURE");
        check_refused("a: 1\n---\na: 2\n", "E-YAML-FEATURE");
        check_refused("a: .nan\n", "E-YAML-FEATURE");
        check_refused("a: ~\n", "E-YAML-FEATURE");
        check_refused("a: [1\n", "E-YAML-SYNTAX");
        check_refused(&format!("a: {}", "x".repeat(BYTES_MAX)), "E-SIZE");
    }

    #[test]
    fn bombs_are_refused_before_they_expand() {
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, inner) in ["b", "c", "d", "e", "f", "g"].iter().zip("abcdef".chars()) {
            let items = vec![format!("*{inner}"); 9].join(",");
            bomb.push_str(&format!("{name}: &{name} [{items}]\n"));
        }
        check_refused(&bomb, "E-YAML-BUDGET");
        let deep = format!("a: {}{}", "[".repeat(80), "]".repeat(80));
        check_refused(&deep, "E-YAML-DEPTH");
        let wide = format!("a: [{}]", "1,".repeat(20_000));
        check_refused(&wide, "E-YAML-BUDGET");
    }

    #[test]
    fn what_is_written_is_read_back_identically() {
        let value =
            json!({"a": ["no", "1.10", "0755", "12:30", "", " x", "*y", "a: b", "#c", "x\ny\n"]});
        assert_eq!(read_value("t.yaml", &write(&value)).unwrap(), value);
    }

    #[test]
    fn json_is_accepted() {
        assert_eq!(
            read_value("t.json", r#"{"a": [1, "b"]}"#).unwrap(),
            json!({"a": [1, "b"]})
        );
    }
}
