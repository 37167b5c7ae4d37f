//! Structural three-way merge of canonical JSON.
//!
//! Base is what the old template gave, ours what is live, theirs what the new template gives.
//! Documents are compared by stable paths, never by lines: maps by key, lists of named objects by
//! `name`, the list fields of [`SET_FIELDS`] as sets, any other list as one value. Where both sides
//! changed one path differently the result is a [`Conflict`], a value that can be stored and
//! resolved; an emitted file never carries a marker.
//!
//! Laws, held by property tests: `merge(b, b, t) = t`, `merge(b, o, b) = o`, `merge(b, o, o) = o`,
//! swapping the sides mirrors the conflicts and changes nothing else, and every edit of either side
//! is in the result or in a conflict.
//!
//! Knows JSON only; what a definition must satisfy beyond that is checked in [`definition`].

mod conflict;
mod definition;
mod edits;
mod order;

use serde_json::{Map, Value};

pub use conflict::{Conflict, ConflictKind, Decisions, Resolution, Side};
pub use definition::{DefinitionMerge, DefinitionSides, merge_definitions};
pub use edits::{Edit, edits};

use crate::path::{child_path, is_at_or_below};
use crate::policy::{PathPolicy, Policies, Rule};

use order::{Order, merge_order};

/// Lists of unique strings whose items are merged one by one: edges of the graph above all.
pub const SET_FIELDS: &[&str] = &["needs", "gates", "artifacts", "targets", "tags"];

/// The three documents of a merge.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// What both sides started from.
    pub base: &'a Value,
    /// What is live.
    pub ours: &'a Value,
    /// What the new template gives.
    pub theirs: &'a Value,
}

/// What decides where the sides alone do not.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What the new template lets an instance change; every path that none covers is open.
    pub policies: &'a [PathPolicy],
    /// What a person decided, by path; applied wherever the path exists.
    pub decisions: &'a Decisions,
}

impl Rules<'_> {
    fn allows(&self, path: &str, node: Node<'_>) -> bool {
        Policies(self.policies).allows(path, node.theirs, node.ours)
    }

    /// Whether a change of ours at `path` must be judged part by part.
    fn divides(&self, path: &str) -> bool {
        let policies = Policies(self.policies);
        policies.divides(path) || policies.rule_at(path) == Rule::ExtendOnly
    }

    fn decides_below(&self, path: &str) -> bool {
        self.decisions
            .keys()
            .any(|decided| decided != path && is_at_or_below(decided, path))
    }
}

/// A merged document.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// The result; at a conflict it holds what the conflict suggests.
    pub value: Value,
    /// What neither the sides nor a decision settled, in the order of their paths.
    pub conflicts: Vec<Conflict>,
}

/// Merges two descendants of one document.
pub fn merge3(sides: Sides<'_>, rules: Rules<'_>) -> Merge {
    let mut merger = Merger {
        rules,
        conflicts: Vec::new(),
    };
    let node = Node {
        base: Some(sides.base),
        ours: Some(sides.ours),
        theirs: Some(sides.theirs),
    };
    let value = merger
        .node("", node)
        .unwrap_or_else(|| Value::Object(Map::new()));
    merger.conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    Merge {
        value,
        conflicts: merger.conflicts,
    }
}

/// One path in the three documents; none where it is absent.
#[derive(Clone, Copy)]
struct Node<'a> {
    base: Option<&'a Value>,
    ours: Option<&'a Value>,
    theirs: Option<&'a Value>,
}

struct Merger<'a> {
    rules: Rules<'a>,
    conflicts: Vec<Conflict>,
}

impl Merger<'_> {
    /// The merged value at `path`; none when it is not part of the result.
    fn node(&mut self, path: &str, node: Node<'_>) -> Option<Value> {
        if let Some(decision) = self.rules.decisions.get(path) {
            return match decision {
                Resolution::Ours => node.ours.cloned(),
                Resolution::Theirs => node.theirs.cloned(),
                Resolution::Value(value) => Some(value.clone()),
            };
        }
        let must_look_below =
            self.rules.decides_below(path) || (node.ours != node.base && self.rules.divides(path));
        if !must_look_below {
            if node.ours == node.theirs {
                return node.ours.cloned();
            }
            if node.ours != node.base && !self.rules.allows(path, node) {
                return self.conflict(path, ConflictKind::Policy, node);
            }
            if node.ours == node.base {
                return node.theirs.cloned();
            }
            if node.theirs == node.base {
                return node.ours.cloned();
            }
        }
        self.below(path, node)
            .unwrap_or_else(|| self.leaf(path, node))
    }

    /// Merges member by member; none when the three are not containers of one kind.
    fn below(&mut self, path: &str, node: Node<'_>) -> Option<Option<Value>> {
        match (node.base?, node.ours?, node.theirs?) {
            (Value::Object(base), Value::Object(ours), Value::Object(theirs)) => {
                Some(Some(self.maps(path, [base, ours, theirs])))
            }
            (Value::Array(base), Value::Array(ours), Value::Array(theirs)) => {
                let lists = [base.as_slice(), ours, theirs];
                Some(Some(self.lists(path, lists, list_kind(path, lists)?)))
            }
            _ => None,
        }
    }

    /// A place that cannot be taken apart.
    fn leaf(&mut self, path: &str, node: Node<'_>) -> Option<Value> {
        if node.ours == node.theirs {
            return node.ours.cloned();
        }
        if node.ours != node.base && !self.rules.allows(path, node) {
            return self.conflict(path, ConflictKind::Policy, node);
        }
        if node.ours == node.base {
            return node.theirs.cloned();
        }
        if node.theirs == node.base {
            return node.ours.cloned();
        }
        let kind = match (node.base, node.ours, node.theirs) {
            (_, None, _) => ConflictKind::OursDeleted,
            (_, _, None) => ConflictKind::TheirsDeleted,
            (None, _, _) => ConflictKind::BothAdded,
            _ => ConflictKind::BothChanged,
        };
        self.conflict(path, kind, node)
    }

    fn conflict(&mut self, path: &str, kind: ConflictKind, node: Node<'_>) -> Option<Value> {
        let conflict = Conflict {
            path: path.to_owned(),
            kind,
            base: node.base.cloned(),
            ours: node.ours.cloned(),
            theirs: node.theirs.cloned(),
            suggested: kind.suggested(),
            message: String::new(),
        };
        let value = match conflict.suggested {
            Side::Ours => node.ours.cloned(),
            Side::Theirs => node.theirs.cloned(),
        };
        self.conflicts.push(conflict);
        value
    }

    fn maps(&mut self, path: &str, [base, ours, theirs]: [&Map<String, Value>; 3]) -> Value {
        let mut keys: Vec<&String> = base
            .keys()
            .chain(ours.keys())
            .chain(theirs.keys())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let mut merged = Map::new();
        for key in keys {
            let node = Node {
                base: base.get(key),
                ours: ours.get(key),
                theirs: theirs.get(key),
            };
            if let Some(value) = self.node(&child_path(path, key), node) {
                merged.insert(key.clone(), value);
            }
        }
        Value::Object(merged)
    }

    fn lists(&mut self, path: &str, lists: [&[Value]; 3], kind: ListKind) -> Value {
        let [base, ours, theirs] = lists.map(keys_of);
        let mut all: Vec<&str> = [base.as_slice(), &ours, &theirs].concat();
        all.sort_unstable();
        all.dedup();
        let mut merged: Vec<(&str, Value)> = Vec::new();
        for key in all {
            let [base, ours, theirs] = lists.map(|list| find(list, key));
            let node = Node { base, ours, theirs };
            if let Some(value) = self.node(&item_path(path, kind, key), node) {
                merged.push((key, value));
            }
        }
        let kept: Vec<&str> = merged.iter().map(|(key, _)| *key).collect();
        let order = match merge_order([&base, &ours, &theirs], &kept) {
            Order::Agreed(order) => order,
            Order::Disputed { ours, theirs } if kind == ListKind::Set => ours.min(theirs),
            Order::Disputed { ours, theirs } => self.disputed_order(path, lists, ours, theirs),
        };
        let place = |key: &str| order.iter().position(|ordered| *ordered == key);
        merged.sort_by_key(|(key, _)| place(key));
        Value::Array(merged.into_iter().map(|(_, value)| value).collect())
    }

    fn disputed_order<'k>(
        &mut self,
        path: &str,
        lists: [&[Value]; 3],
        ours: Vec<&'k str>,
        theirs: Vec<&'k str>,
    ) -> Vec<&'k str> {
        let path = child_path(path, "$order");
        let take = match self.rules.decisions.get(&path) {
            Some(Resolution::Theirs) => Side::Theirs,
            Some(_) => Side::Ours,
            None => {
                let [base, ours, theirs] = lists.map(|list| Value::from(keys_of(list)));
                let node = Node {
                    base: Some(&base),
                    ours: Some(&ours),
                    theirs: Some(&theirs),
                };
                self.conflict(&path, ConflictKind::Order, node);
                ConflictKind::Order.suggested()
            }
        };
        match take {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ListKind {
    /// Objects, told apart by their `name`.
    Keyed,
    /// Unique strings.
    Set,
}

/// How the items of these lists are told apart; none when a list is one value.
fn list_kind(path: &str, lists: [&[Value]; 3]) -> Option<ListKind> {
    let field = path.rsplit('/').next().unwrap_or_default();
    let is_set = SET_FIELDS.contains(&field);
    let kind = match is_set {
        true => ListKind::Set,
        false => ListKind::Keyed,
    };
    let fits = |item: &Value| match kind {
        ListKind::Set => item.is_string(),
        ListKind::Keyed => item.is_object() && key_of(item).is_some(),
    };
    let is_unique = |list: &[Value]| {
        let mut keys = keys_of(list);
        keys.sort_unstable();
        keys.windows(2).all(|pair| pair[0] != pair[1])
    };
    lists
        .iter()
        .all(|list| list.iter().all(fits) && is_unique(list))
        .then_some(kind)
}

fn key_of(item: &Value) -> Option<&str> {
    match item {
        Value::String(text) => Some(text),
        other => other.get("name").and_then(Value::as_str),
    }
}

fn keys_of(list: &[Value]) -> Vec<&str> {
    list.iter().filter_map(key_of).collect()
}

fn find<'a>(list: &'a [Value], key: &str) -> Option<&'a Value> {
    list.iter().find(|item| key_of(item) == Some(key))
}

fn item_path(path: &str, kind: ListKind, key: &str) -> String {
    match kind {
        ListKind::Keyed => child_path(path, &format!("[name={key}]")),
        ListKind::Set => child_path(path, &format!("[{key}]")),
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
