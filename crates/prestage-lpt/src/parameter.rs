//! Typed and constrained template parameters.
//!
//! No value is coerced: `no` is not a bool and `1.10` is not a string, because a template author
//! who forgot quotes must hear of it. Durations are written as `15m` and bound as whole seconds,
//! so that two spellings of one duration give one stage key.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::normalize_number;
use crate::error::{Error, Result};
use crate::name::is_identifier;

/// Where the value of a parameter came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The default of the named template.
    Template(String),
    /// The instance set it.
    Instance,
    /// A stage template took the service's parameter of the same name.
    Service,
    /// The need set it, as a parameter or as its magnitude.
    Need,
}

/// A checked value and its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundParameter {
    /// The checked, normalised value.
    pub value: Value,
    /// Who set it.
    pub origin: Origin,
}

/// The values of all parameters of one template, by name.
pub type Bindings = BTreeMap<String, BoundParameter>;

/// A parameter as a template file declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterSpec {
    /// Identifier by which expressions and instances name it.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether the instance (or need) must set it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether neither child templates nor instances may change it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sealed: bool,
    /// The value when nobody sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Smallest value: int and number as such, duration as `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// Largest value, written like `min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// Longest string in characters (also of each list item).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Characters and ranges that a string may hold, as in `a-z0-9._/-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_chars: Option<String>,
    /// Most items of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_items: Option<usize>,
    /// The values of an enum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// The parameters of one template chain, and which template of the chain decided what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Declarations {
    /// In order of inheritance.
    pub parameters: Vec<ParameterSpec>,
    /// The template that set a parameter's default last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub default_origins: BTreeMap<String, String>,
    /// The template that sealed a parameter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sealed_in: BTreeMap<String, String>,
}

impl Declarations {
    /// The declaration of that name.
    pub fn get(&self, name: &str) -> Option<&ParameterSpec> {
        self.parameters.iter().find(|spec| spec.name == name)
    }

    /// The declared names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|spec| spec.name.as_str())
    }
}

/// The types a parameter can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// Text of one line.
    String,
    /// Whole number.
    Int,
    /// Finite number.
    Number,
    /// `true` or `false`.
    Bool,
    /// One of `values`.
    Enum,
    /// Whole seconds, written `90s`, `15m`, `2h` or `1d`.
    Duration,
    /// List of strings.
    List,
    /// Map of strings.
    Map,
    /// Name of a variable that the target keeps secret; never the value.
    SecretRef,
}

/// The longest string of a parameter that sets no limit of its own.
const LENGTH_MAX_DEFAULT: usize = 1_000;
const ITEMS_MAX_DEFAULT: usize = 100;
/// What a declaration may ask for at most: each value is checked and copied for every service.
const LENGTH_LIMIT: usize = 10_000;
const ITEMS_LIMIT: usize = 1_000;
/// Bytes of `allowed_chars`, which every character of a value is compared with.
const SET_LIMIT: usize = 200;

fn is_false(flag: &bool) -> bool {
    !flag
}

impl ParameterSpec {
    /// Checks the declaration against itself; `template` names it in errors.
    pub(crate) fn validate(&self, template: &str) -> Result<()> {
        let wrong = |message: String| Error::ParamSpec {
            template: template.to_owned(),
            parameter: self.name.clone(),
            message,
        };
        if !is_identifier(&self.name) {
            return Err(wrong("the name must match `[a-z][a-z0-9_]*`".to_owned()));
        }
        if self.required && self.default.is_some() {
            return Err(wrong(
                "`required` and `default` exclude each other".to_owned(),
            ));
        }
        if !self.required && self.default.is_none() {
            return Err(wrong(
                "either `required: true` or a `default` is needed".to_owned(),
            ));
        }
        self.validate_constraints().map_err(wrong)?;
        match &self.default {
            Some(default) => self.check(default).map(drop).map_err(|found| {
                wrong(format!(
                    "`default` is {found}, expected {}",
                    self.expected()
                ))
            }),
            None => Ok(()),
        }
    }

    fn validate_constraints(&self) -> std::result::Result<(), String> {
        use ParameterType as T;
        let textual = matches!(self.kind, T::String | T::List | T::Map);
        let ranged = matches!(self.kind, T::Int | T::Number | T::Duration);
        if !ranged && (self.min.is_some() || self.max.is_some()) {
            return Err("`min` and `max` need type int, number or duration".to_owned());
        }
        if !textual && (self.max_length.is_some() || self.allowed_chars.is_some()) {
            return Err(
                "`max_length` and `allowed_chars` need type string, list or map".to_owned(),
            );
        }
        if !matches!(self.kind, T::List | T::Map) && self.max_items.is_some() {
            return Err("`max_items` needs type list or map".to_owned());
        }
        for (field, found, limit) in [
            ("max_length", self.max_length, LENGTH_LIMIT),
            ("max_items", self.max_items, ITEMS_LIMIT),
            (
                "allowed_chars",
                self.allowed_chars.as_ref().map(String::len),
                SET_LIMIT,
            ),
        ] {
            if let Some(found) = found.filter(|found| *found > limit) {
                return Err(format!("`{field}` is {found}, at most {limit} is allowed"));
            }
        }
        if (self.kind == T::Enum) == self.values.is_empty() {
            return Err("`values` belongs to type enum, and an enum needs it".to_owned());
        }
        if let Some(bad) = [&self.min, &self.max]
            .into_iter()
            .flatten()
            .find(|bound| self.scalar(bound).is_none())
        {
            return Err(format!(
                "bound {} is not a {}",
                shown(bad),
                self.kind.name()
            ));
        }
        match (self.bound(&self.min), self.bound(&self.max)) {
            (Some(min), Some(max)) if min > max => Err("`min` is greater than `max`".to_owned()),
            _ => Ok(()),
        }
    }

    /// Checks a value that `owner` gives this parameter and returns it normalised.
    pub(crate) fn bind(&self, owner: &str, value: &Value) -> Result<Value> {
        if let Some(looks_like) = secret_shape(value) {
            return Err(Error::Secret {
                owner: owner.to_owned(),
                parameter: self.name.clone(),
                looks_like: looks_like.to_owned(),
            });
        }
        self.check(value).map_err(|found| Error::ParamType {
            owner: owner.to_owned(),
            parameter: self.name.clone(),
            expected: self.expected(),
            found,
        })
    }

    /// The normalised value, or what was found instead.
    fn check(&self, value: &Value) -> std::result::Result<Value, String> {
        let typed = match (self.kind, value) {
            (ParameterType::List, Value::Array(items)) => {
                return self.check_list(items).map(|()| value.clone());
            }
            (ParameterType::Map, Value::Object(entries)) => {
                let items: Vec<Value> = entries.values().cloned().collect();
                return self.check_list(&items).map(|()| value.clone());
            }
            (ParameterType::SecretRef, Value::String(name)) if crate::name::is_env_name(name) => {
                return Ok(value.clone());
            }
            _ => self.scalar(value).ok_or_else(|| shown(value))?,
        };
        match (&typed, self.kind) {
            (Value::String(text), ParameterType::String) => self.check_text(text)?,
            (Value::String(text), ParameterType::Enum) if !self.values.contains(text) => {
                return Err(shown(value));
            }
            (Value::Number(_), _) => self.check_range(&typed)?,
            _ => {}
        }
        Ok(typed)
    }

    /// The value in its normal form when it has the right type, constraints aside.
    fn scalar(&self, value: &Value) -> Option<Value> {
        match (self.kind, value) {
            (ParameterType::String | ParameterType::Enum, Value::String(_))
            | (ParameterType::Bool, Value::Bool(_)) => Some(value.clone()),
            (ParameterType::Int, Value::Number(number)) => number.as_i64().map(Value::from),
            (ParameterType::Number, Value::Number(number)) => number
                .as_f64()
                .filter(|float| float.is_finite())
                .map(|float| Value::from(normalize_number(float))),
            (ParameterType::Duration, Value::String(text)) => parse_duration(text).map(Value::from),
            // A duration that is already bound: whole seconds.
            (ParameterType::Duration, Value::Number(number)) => number
                .as_i64()
                .filter(|seconds| *seconds >= 0)
                .map(Value::from),
            _ => None,
        }
    }

    fn check_list(&self, items: &[Value]) -> std::result::Result<(), String> {
        let limit = self.max_items.unwrap_or(ITEMS_MAX_DEFAULT);
        if items.len() > limit {
            return Err(format!("a list of {} items", items.len()));
        }
        items.iter().try_for_each(|item| match item {
            Value::String(text) => self.check_text(text),
            other => Err(format!("a list with {}", shown(other))),
        })
    }

    fn check_text(&self, text: &str) -> std::result::Result<(), String> {
        let limit = self.max_length.unwrap_or(LENGTH_MAX_DEFAULT);
        let length = text.chars().count();
        if length > limit {
            return Err(format!("a string of {length} characters"));
        }
        match text.chars().find(|c| c.is_control() || !self.allows(*c)) {
            Some(c) => Err(format!("a string with the character {c:?}")),
            None => Ok(()),
        }
    }

    fn allows(&self, c: char) -> bool {
        match &self.allowed_chars {
            Some(set) => ranges(set).any(|(first, last)| (first..=last).contains(&c)),
            None => true,
        }
    }

    fn check_range(&self, value: &Value) -> std::result::Result<(), String> {
        let number = value.as_f64().unwrap_or(f64::NAN);
        let low = self.bound(&self.min).is_none_or(|min| number >= min);
        let high = self.bound(&self.max).is_none_or(|max| number <= max);
        if low && high {
            Ok(())
        } else {
            Err(shown(value))
        }
    }

    fn bound(&self, bound: &Option<Value>) -> Option<f64> {
        self.scalar(bound.as_ref()?)?.as_f64()
    }

    /// The type and its constraints in words.
    pub(crate) fn expected(&self) -> String {
        let mut words = self.kind.name().to_owned();
        if let Some(min) = &self.min {
            words.push_str(&format!(", at least {}", shown(min)));
        }
        if let Some(max) = &self.max {
            words.push_str(&format!(", at most {}", shown(max)));
        }
        if !self.values.is_empty() {
            words.push_str(&format!(" ({})", self.values.join(", ")));
        }
        if let Some(limit) = self.max_length {
            words.push_str(&format!(", at most {limit} characters"));
        }
        if let Some(allowed) = &self.allowed_chars {
            words.push_str(&format!(", of the characters `{allowed}`"));
        }
        if let Some(limit) = self.max_items {
            words.push_str(&format!(", at most {limit} items"));
        }
        words
    }
}

impl ParameterType {
    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Enum => "enum",
            Self::Duration => "duration",
            Self::List => "list of strings",
            Self::Map => "map of strings",
            Self::SecretRef => "secret_ref (the name of a secret variable, as `DEPLOY_TOKEN`)",
        }
    }
}

/// Whole seconds of `90s`, `15m`, `2h`, `1d`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits
        .then(|| digits.parse::<i64>().ok()?.checked_mul(factor))
        .flatten()
}

/// The ranges of a set like `a-z0-9._/-`; a single character is a range of itself.
fn ranges(set: &str) -> impl Iterator<Item = (char, char)> {
    let mut rest = set.chars();
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let mut ahead = rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) => {
                rest = ahead;
                Some((first, last))
            }
            _ => Some((first, first)),
        }
    })
}

/// A value as messages show it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("the bool `{flag}`"),
        Value::Number(number) if number.is_f64() => {
            format!("the number `{number}` (quote it if a string is meant)")
        }
        Value::Number(number) => format!("the int `{number}`"),
        Value::String(text) => format!("the string `{}`", abridged(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

fn abridged(text: &str) -> String {
    text.chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect()
}

/// Shapes of credentials that must never stand in a file.
const SECRET_SHAPES: [(&str, &str); 7] = [
    ("ghp_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("AKIA", "an AWS access key"),
    ("xoxb-", "a Slack token"),
    ("-----BEGIN", "a private key"),
    ("eyJhbGciOi", "a JSON web token"),
];

/// Whether text has the shape of a credential.
pub(crate) fn looks_like_secret(text: &str) -> bool {
    shape_of(text).is_some()
}

fn shape_of(text: &str) -> Option<&'static str> {
    SECRET_SHAPES
        .iter()
        .find(|(prefix, _)| text.len() >= 10 && text.starts_with(prefix))
        .map(|(_, looks_like)| *looks_like)
}

fn secret_shape(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => shape_of(text),
        Value::Array(items) => items.iter().find_map(secret_shape),
        Value::Object(map) => map.values().find_map(secret_shape),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(declaration: Value) -> ParameterSpec {
        let spec: ParameterSpec = serde_json::from_value(declaration).unwrap();
        spec.validate("t").unwrap();
        spec
    }

    #[track_caller]
    fn check_accepts(declaration: Value, value: Value, bound: Value) {
        assert_eq!(spec(declaration).bind("i", &value).unwrap(), bound);
    }

    #[track_caller]
    fn check_refuses(declaration: Value, value: Value, part: &str) {
        let error = spec(declaration).bind("i", &value).unwrap_err();
        assert_eq!(error.code(), "E-PARAM-TYPE");
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn values_are_bound_in_normal_form() {
        let duration = json!({"name": "d", "type": "duration", "default": "1m", "max": "1h"});
        check_accepts(duration.clone(), json!("15m"), json!(900));
        check_accepts(duration.clone(), json!("900s"), json!(900));
        check_accepts(duration, json!(900), json!(900));
        check_accepts(
            json!({"name": "n", "type": "number", "default": 1.5}),
            json!(3),
            json!(3.0),
        );
        check_accepts(
            json!({"name": "b", "type": "bool", "default": true}),
            json!(false),
            json!(false),
        );
        let list = json!({"name": "l", "type": "list", "default": []});
        check_accepts(list, json!(["a", "b"]), json!(["a", "b"]));
    }

    #[test]
    fn every_bad_value_is_refused_with_what_was_found() {
        let string = json!({"name": "s", "type": "string", "default": "a", "max_length": 3,
                            "allowed_chars": "a-z."});
        check_refuses(string.clone(), json!(1.1), "number `1.1` (quote it");
        check_refuses(string.clone(), json!("abcd"), "4 characters");
        check_refuses(string.clone(), json!("a;"), "';'");
        check_refuses(string, json!("a\n"), "'\\n'");
        let int = json!({"name": "i", "type": "int", "default": 2, "min": 1, "max": 9});
        check_refuses(int.clone(), json!(10), "`10`");
        check_refuses(int.clone(), json!(0), "at least the int `1`");
        check_refuses(int.clone(), json!("2"), "string `2`");
        check_refuses(int.clone(), json!(2.5), "`2.5`");
        check_refuses(int, json!(u64::MAX), "int");
        let flag = json!({"name": "b", "type": "bool", "default": true});
        check_refuses(flag.clone(), json!("no"), "string `no`");
        check_refuses(flag, Value::Null, "null");
        let one_of = json!({"name": "e", "type": "enum", "default": "x", "values": ["x", "y"]});
        check_refuses(one_of, json!("z"), "(x, y)");
        let duration = json!({"name": "d", "type": "duration", "default": "1m", "max": "1h"});
        check_refuses(duration.clone(), json!("2h"), "7200");
        check_refuses(duration.clone(), json!("1.5h"), "1.5h");
        check_refuses(duration, json!(-1), "-1");
        let list = json!({"name": "l", "type": "list", "default": [], "max_items": 1});
        check_refuses(list.clone(), json!(["a", "b"]), "2 items");
        check_refuses(list.clone(), json!([1]), "a list with");
        check_refuses(list, json!("a"), "string `a`");
    }

    #[test]
    fn declarations_that_contradict_themselves_are_refused() {
        for declaration in [
            json!({"name": "A", "type": "int", "default": 1}),
            json!({"name": "a", "type": "int"}),
            json!({"name": "a", "type": "int", "default": 1, "required": true}),
            json!({"name": "a", "type": "int", "default": 1, "min": 5, "max": 2}),
            json!({"name": "a", "type": "int", "default": 1, "min": 5}),
            json!({"name": "a", "type": "int", "default": "no"}),
            json!({"name": "a", "type": "bool", "default": "no"}),
            json!({"name": "a", "type": "enum", "default": "x"}),
            json!({"name": "a", "type": "string", "default": "x", "min": 1}),
            json!({"name": "a", "type": "int", "default": 1, "max_length": 1}),
        ] {
            let spec: ParameterSpec = serde_json::from_value(declaration).unwrap();
            assert_eq!(spec.validate("t").unwrap_err().code(), "E-PARAM-SPEC");
        }
    }

    #[test]
    fn a_secret_is_refused_and_not_shown() {
        let string = spec(json!({"name": "s", "type": "string", "default": "a"}));
        let error = string
            .bind("i", &json!("ghp_0123456789abcdef"))
            .unwrap_err();
        assert_eq!(error.code(), "E-SECRET");
        assert!(!error.to_string().contains("0123456789"));
    }
}
