//! Where in a document something stands, for messages.
//!
//! A place is a chain of borrowed steps: walking a document that is well formed builds no path, and
//! neither can a document with long keys make its walk slow.

use std::fmt;

use serde_json::Value;

/// A path that becomes text only when something is wrong there.
pub(crate) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
    /// Keyed list items are named by their key, because an index says nothing after a merge.
    Named(&'a str),
}

impl<'a> Place<'a> {
    pub(crate) fn root(path: &'a str) -> Self {
        Self {
            parent: None,
            step: Step::Key(path),
        }
    }

    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        self.below(Step::Key(key))
    }

    pub(crate) fn item(&'a self, index: usize, item: &'a Value) -> Self {
        let name = item.get("name").and_then(Value::as_str);
        self.below(name.map_or(Step::Index(index), Step::Named))
    }

    fn below(&'a self, step: Step<'a>) -> Self {
        Self {
            parent: Some(self),
            step,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}/")?;
        }
        match self.step {
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "{index}"),
            Step::Named(name) => write!(f, "[name={name}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_reads_like_a_path() {
        let [named, plain] = [json!({"name": "build"}), json!(1)];
        let root = Place::root("t:");
        let stages = root.key("stages");
        let stage = stages.item(3, &named);
        let needs = stage.key("needs");
        assert_eq!(
            needs.item(0, &plain).to_string(),
            "t:/stages/[name=build]/needs/0"
        );
    }
}
