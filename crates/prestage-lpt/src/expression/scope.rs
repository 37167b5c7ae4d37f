//! What expressions may name, and how much work all of them together may be.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{Object, Serde};
use serde_json::{Map, Value};

/// Bytes of all leaves of one document after evaluation: as much as a document itself may have.
pub(crate) const TEXT_TOTAL: usize = 1 << 20;
/// Fuel of all expressions of one document that the engine evaluates.
pub(crate) const FUEL_TOTAL: u64 = 100_000;

/// The values that expressions may name (`params.NAME` and a few single words), and what is left of
/// the budget that every evaluation in this scope takes from.
pub(crate) struct Scope {
    params: BTreeMap<String, Value>,
    words: BTreeMap<&'static str, Value>,
    /// The parameters in the engine's own form, made when an expression first needs the engine.
    engine_params: OnceCell<minijinja::Value>,
    text_left: Cell<usize>,
    fuel_left: Cell<u64>,
}

impl Scope {
    pub(crate) fn new<'a>(params: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Self {
        Self {
            params: params
                .into_iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            words: BTreeMap::new(),
            engine_params: OnceCell::new(),
            text_left: Cell::new(TEXT_TOTAL),
            fuel_left: Cell::new(FUEL_TOTAL),
        }
    }

    /// The same scope with `word` bound to `value`.
    pub(crate) fn with(mut self, word: &'static str, value: impl Into<Value>) -> Self {
        self.words.insert(word, value.into());
        self
    }

    pub(crate) fn set(&mut self, word: &'static str, value: impl Into<Value>) {
        self.words.insert(word, value.into());
    }

    pub(crate) fn unset(&mut self, word: &'static str) {
        self.words.remove(word);
    }

    pub(super) fn lookup(&self, reference: &str) -> Option<&Value> {
        match reference.strip_prefix("params.") {
            Some(name) => self.params.get(name),
            None => self.words.get(reference),
        }
    }

    pub(super) fn known(&self) -> Vec<String> {
        let params = self.params.keys().map(|name| format!("params.{name}"));
        params
            .chain(self.words.keys().map(|word| (*word).to_owned()))
            .collect()
    }

    /// What computed expressions see: scalars only, so that no list operator exists for them.
    pub(super) fn context(&self) -> minijinja::Value {
        let params = self
            .engine_params
            .get_or_init(|| minijinja::Value::from(Serde(Value::Object(scalars(&self.params)))));
        let words = self.words.iter().filter(|(_, value)| is_scalar(value));
        let names = words
            .map(|(word, value)| (*word, minijinja::Value::from(Serde(value.clone()))))
            .chain([("params", params.clone())])
            .collect();
        minijinja::Value::from_object(Names(names))
    }

    /// Takes `bytes` from the text budget; how many there would be when that is too many.
    pub(super) fn spend_text(&self, bytes: usize) -> Result<(), usize> {
        let left = self.text_left.get();
        self.text_left.set(left.saturating_sub(bytes));
        match bytes <= left {
            true => Ok(()),
            false => Err(TEXT_TOTAL - left + bytes),
        }
    }

    pub(super) fn spend_fuel(&self, fuel: u64) {
        self.fuel_left
            .set(self.fuel_left.get().saturating_sub(fuel));
    }

    pub(super) fn fuel_left(&self) -> u64 {
        self.fuel_left.get()
    }
}

/// The names of a scope as the engine asks for them.
#[derive(Debug)]
struct Names(BTreeMap<&'static str, minijinja::Value>);

impl Object for Names {
    fn get_value(self: &Arc<Self>, name: &minijinja::Value) -> Option<minijinja::Value> {
        self.0.get(name.as_str()?).cloned()
    }
}

fn scalars(values: &BTreeMap<String, Value>) -> Map<String, Value> {
    values
        .iter()
        .filter(|(_, value)| is_scalar(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}
