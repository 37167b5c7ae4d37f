//! Reads the fields of a map one by one and notes what nobody asked for.
//!
//! Analysis must not drop anything silently: whatever is left in a [`Fields`] when it is finished,
//! or has a form that the stage model cannot say, becomes an [`Unmodelled`] note. Knows no target.

use serde_json::{Map, Value};

use crate::live::Unmodelled;

/// The fields of one map that are not read yet.
pub(crate) struct Fields<'a> {
    path: String,
    left: Map<String, Value>,
    notes: &'a mut Vec<Unmodelled>,
}

impl<'a> Fields<'a> {
    /// The fields of `value`; none, and a note, when it is no map.
    pub(crate) fn of(path: String, value: Value, notes: &'a mut Vec<Unmodelled>) -> Self {
        let left = match value {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            other => {
                note(notes, &path, &other);
                Map::new()
            }
        };
        Self { path, left, notes }
    }

    /// The field as it stands.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.left.remove(key).filter(|value| !value.is_null())
    }

    /// A single value as text.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.take(key)?;
        let text = scalar_text(&value);
        if text.is_none() {
            self.note(key, &value);
        }
        text
    }

    /// A single value, or the single value that a map has under `inner`; both forms are common.
    pub(crate) fn text_or_field(&mut self, key: &str, inner: &str) -> Option<String> {
        match self.take(key)? {
            Value::Object(map) => {
                let path = format!("{}/{key}", self.path);
                let mut fields = Fields::of(path, Value::Object(map), self.notes);
                let text = fields.text(inner);
                fields.finish();
                text
            }
            other => {
                self.left.insert(key.to_owned(), other);
                self.text(key)
            }
        }
    }

    /// A single value or a list of them, lists within lists flattened.
    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let mut texts = Vec::new();
        if !flatten(&value, &mut texts) {
            self.note(key, &value);
        }
        Some(texts)
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&mut self, key: &str) -> Option<u32> {
        let value = self.take(key)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.note(key, &value);
        }
        number
    }

    /// A map of single values, in the order of the keys; other values are noted.
    pub(crate) fn pairs(&mut self, key: &str) -> Vec<(String, String)> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let Value::Object(map) = value else {
            self.note(key, &value);
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, value) in map {
            match scalar_text(&value) {
                Some(text) => pairs.push((name, text)),
                None => self.note(&format!("{key}/{name}"), &value),
            }
        }
        pairs
    }

    /// Notes a field that was read but says more than the model can.
    pub(crate) fn note(&mut self, key: &str, value: &Value) {
        note(self.notes, &format!("{}/{key}", self.path), value);
    }

    /// Notes every field that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, value) in &self.left {
            note(self.notes, &format!("{}/{key}", self.path), value);
        }
    }
}

pub(crate) fn note(notes: &mut Vec<Unmodelled>, path: &str, value: &Value) {
    let shown: String = value.to_string().chars().take(80).collect();
    notes.push(Unmodelled {
        path: path.to_owned(),
        what: shown,
    });
}

/// A single value as text; none for lists, maps and null.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn flatten(value: &Value, texts: &mut Vec<String>) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| flatten(item, texts)),
        other => match scalar_text(other) {
            Some(text) => {
                texts.push(text);
                true
            }
            None => false,
        },
    }
}
