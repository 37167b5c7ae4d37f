//! Canonical JSON and the content hash over it.
//!
//! Canonical: keys in byte order, no insignificant white space, shortest round-trip floats (with
//! `-0.0` written as `0.0`), no null. The writer sorts by itself: whether `serde_json` keeps
//! insertion order is a build-wide feature that any dependency may switch on.

mod writer;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use writer::{Layout, Writer};

/// A content hash: 64 lower-case hexadecimal digits of BLAKE3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Revision(String);

impl Revision {
    /// Hashes `document` in `domain`, so that documents of different kinds never share a revision.
    pub(crate) fn of<T: Serialize + ?Sized>(domain: &str, document: &T) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(domain.as_bytes());
        hasher.update(&[0]);
        hasher.update(compact(document).as_bytes());
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
pub(crate) fn compact<T: Serialize + ?Sized>(document: &T) -> String {
    Writer::new(Layout::Compact).written(document)
}

/// The canonical form with two-space indentation and a final newline: what is committed, because
/// people review it.
pub(crate) fn pretty<T: Serialize + ?Sized>(document: &T) -> String {
    let mut text = Writer::new(Layout::Indented).written(document);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::fixture;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            proptest::num::f64::NORMAL.prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_text_is_what_a_sorted_value_prints(value in values()) {
            // `serde_json` keeps its maps sorted in this crate's own tests.
            prop_assert_eq!(compact(&value), value.to_string());
            let indented: Value = serde_json::from_str(&pretty(&value)).unwrap();
            prop_assert_eq!(indented, value);
        }
    }

    #[test]
    fn a_document_and_its_value_have_one_text() {
        let definition = fixture::definition();
        assert_eq!(compact(&definition), compact(&to_value(&definition)));
        assert_eq!(pretty(&definition), pretty(&to_value(&definition)));
        let stage = fixture::stage(crate::stage::NeedType::Scaling);
        let provenance = fixture::provenance(&stage);
        assert_eq!(pretty(&provenance), pretty(&to_value(&provenance)));
    }

    #[test]
    #[should_panic(expected = "no null")]
    fn null_has_no_canonical_text() {
        compact(&json!({"a": null}));
    }

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
