//! `extends` of a GitLab file, each job merged once.
//!
//! A chain of lists of parents can name more jobs than there are atoms, and a long job can be
//! extended by every other: so what is merged is kept by name, and all that comes out of one file
//! counts against a budget of values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::drivers::fields::scalar_text;
use crate::yaml::values_in;

/// `extends` chains are at most so long in GitLab.
const DEPTH_MAX: usize = 11;
/// Values of all merged jobs of a file, twice what a file itself may have.
const VALUES_MAX: usize = 40_000;

/// The jobs of one file by name, merged with what they extend when they are asked for.
pub(super) struct Extends<'a> {
    all: &'a Map<String, Value>,
    /// What a job amounts to, and how long the longest chain below it is.
    merged: BTreeMap<&'a str, (Map<String, Value>, usize)>,
    values_left: usize,
}

impl<'a> Extends<'a> {
    pub(super) fn new(all: &'a Map<String, Value>) -> Self {
        Self {
            all,
            merged: BTreeMap::new(),
            values_left: VALUES_MAX,
        }
    }

    /// The job of that name with everything that it extends.
    pub(super) fn of(&mut self, name: &str) -> Result<Map<String, Value>, String> {
        self.merge(name, 0)?;
        let (whole, _) = &self.merged[name];
        Ok(whole.clone())
    }

    /// Takes the values of a job that is kept from the budget of its file.
    pub(super) fn charge(&mut self, job: &Map<String, Value>) -> Result<(), String> {
        self.spend(job.values().map(values_in).sum())
    }

    fn spend(&mut self, values: usize) -> Result<(), String> {
        match self.values_left.checked_sub(values) {
            Some(left) => {
                self.values_left = left;
                Ok(())
            }
            None => Err(format!(
                "its jobs hold more than {VALUES_MAX} values after `extends` and defaults"
            )),
        }
    }

    /// How long the longest chain from `name` is; `depth` is how far the asker has come.
    fn merge(&mut self, name: &str, depth: usize) -> Result<usize, String> {
        let too_deep = || format!("`extends` of `{name}` is deeper than {DEPTH_MAX}");
        if let Some((_, height)) = self.merged.get(name) {
            return match depth + height > DEPTH_MAX {
                true => Err(too_deep()),
                false => Ok(*height),
            };
        }
        // A circle of `extends` ends here as well.
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let all = self.all;
        let Some((name, Value::Object(job))) = all.get_key_value(name) else {
            return Err(format!("a job extends unknown `{name}`"));
        };
        let mut whole = Map::new();
        let mut height = 0;
        for parent in parents(job) {
            height = height.max(1 + self.merge(&parent, depth + 1)?);
            let values = {
                let (parent, _) = &self.merged[parent.as_str()];
                parent.values().map(values_in).sum()
            };
            self.spend(values)?;
            let (parent, _) = &self.merged[parent.as_str()];
            deep_merge(&mut whole, parent);
        }
        deep_merge(&mut whole, job);
        whole.remove("extends");
        self.merged.insert(name.as_str(), (whole, height));
        Ok(height)
    }
}

fn parents(job: &Map<String, Value>) -> Vec<String> {
    match job.get("extends") {
        None => Vec::new(),
        Some(Value::Array(names)) => names.iter().filter_map(scalar_text).collect(),
        Some(single) => scalar_text(single).into_iter().collect(),
    }
}

/// GitLab's own merge: maps by key, everything else replaced.
fn deep_merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => deep_merge(old, new),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(jobs: Value) -> Map<String, Value> {
        match jobs {
            Value::Object(jobs) => jobs,
            other => panic!("{other} is no file"),
        }
    }

    #[test]
    fn later_parents_and_the_job_itself_win() {
        let all = file(json!({
            ".a": {"script": ["a"], "variables": {"X": "1", "Y": "1"}},
            ".b": {"extends": ".a", "variables": {"Y": "2"}},
            "job": {"extends": [".a", ".b"], "image": "x"},
        }));
        let job = Extends::new(&all).of("job").unwrap();
        let expected = json!({"script": ["a"], "variables": {"X": "1", "Y": "2"}, "image": "x"});
        assert_eq!(Value::Object(job), expected);
    }

    #[test]
    fn a_circle_and_a_long_chain_are_refused() {
        let circle = file(json!({"a": {"extends": "b"}, "b": {"extends": "a"}}));
        assert!(
            Extends::new(&circle)
                .of("a")
                .unwrap_err()
                .contains("deeper")
        );
        let chain: Map<String, Value> = (0..20)
            .map(|i| (format!("j{i}"), json!({"extends": format!("j{}", i + 1)})))
            .chain([("j20".to_owned(), json!({"script": ["x"]}))])
            .collect();
        let mut extends = Extends::new(&chain);
        assert!(
            extends.of("j9").is_ok(),
            "eleven levels are GitLab's own limit"
        );
        assert!(extends.of("j8").unwrap_err().contains("deeper"));
    }

    #[test]
    fn lists_of_parents_that_multiply_are_merged_once_each() {
        let twice = |i: usize| json!({"extends": vec![format!("j{}", i + 1); 10], "image": "x"});
        let mut all: Map<String, Value> = (0..10).map(|i| (format!("j{i}"), twice(i))).collect();
        all.insert("j10".to_owned(), json!({"script": ["x"]}));
        let mut extends = Extends::new(&all);
        extends.of("j0").unwrap();
        assert!(extends.values_left > VALUES_MAX - 1_000);
    }

    #[test]
    fn a_long_job_that_all_extend_exhausts_the_budget() {
        let mut all: Map<String, Value> = (0..100)
            .map(|i| (format!("j{i}"), json!({"extends": ".long"})))
            .collect();
        all.insert(".long".to_owned(), json!({"script": vec!["x"; 9_000]}));
        let mut extends = Extends::new(&all);
        let refused = (0..100).position(|i| extends.of(&format!("j{i}")).is_err());
        assert!(refused.is_some_and(|count| count <= VALUES_MAX / 9_000));
    }
}
