//! Random pipeline documents, random edits of them, and an oracle that merges leaf by leaf.
//!
//! Compiled by the laws of the merge and by the comparison with a line merge. The oracle shares no
//! code with the merge: it flattens documents to leaves, so it needs no recursion and no order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

const NAMES: &[&str] = &[
    "audit", "bake", "build", "canary", "deploy", "lint", "pack", "scan", "smoke", "test",
];
const VARIABLES: &[&str] = &["COMMAND", "IMAGE_TAG", "REGION", "REPLICAS", "SERVICE"];

/// SplitMix64: a seed gives the same documents everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A base and two descendants, each a few edits away from it.
pub fn triple(random: &mut Random) -> [Value; 3] {
    let base = document(random);
    let ours = edited(random, &base);
    let theirs = edited(random, &base);
    [base, ours, theirs]
}

/// A pipeline of three to six stages.
pub fn document(random: &mut Random) -> Value {
    let count = 3 + random.below(4);
    let mut names: Vec<&str> = Vec::new();
    while names.len() < count {
        let name = *random.pick(NAMES);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let stages: Vec<Value> = (0..count)
        .map(|index| stage(random, names[index], &names[..index]))
        .collect();
    json!({
        "service": "checkout",
        "parameters": {"bake_s": random.below(4), "replicas": random.below(4), "shards": 2},
        "stages": stages,
    })
}

fn stage(random: &mut Random, name: &str, before: &[&str]) -> Value {
    let needs: Vec<&str> = before
        .iter()
        .copied()
        .filter(|_| random.below(2) == 0)
        .collect();
    let mut env = Map::new();
    for variable in VARIABLES {
        if random.below(2) == 0 {
            env.insert(
                (*variable).to_owned(),
                json!(format!("v{}", random.below(3))),
            );
        }
    }
    let script: Vec<String> = (0..1 + random.below(3))
        .map(|line| format!("./ci/{name}-{line}.sh"))
        .collect();
    json!({"name": name, "needs": needs, "env": env, "script": script, "timeout_minutes": 30})
}

fn edited(random: &mut Random, base: &Value) -> Value {
    let mut document = base.clone();
    for _ in 0..random.below(4) {
        edit(random, &mut document);
    }
    document
}

/// One edit of a kind that people make.
fn edit(random: &mut Random, document: &mut Value) {
    let kind = random.below(10);
    if kind == 0 {
        let parameter = *random.pick(&["bake_s", "replicas", "shards", "window_s"]);
        document["parameters"][parameter] = json!(10 + random.below(3));
        return;
    }
    let stages = document["stages"]
        .as_array_mut()
        .expect("documents have stages");
    let names: Vec<String> = stages.iter().map(|stage| name(stage).to_owned()).collect();
    match kind {
        1 => {
            let new = *random.pick(NAMES);
            if !names.iter().any(|known| known == new) {
                let before: Vec<&str> = names.iter().map(String::as_str).collect();
                let new = stage(random, new, &before);
                let at = random.below(stages.len() + 1);
                stages.insert(at, new);
            }
        }
        2 if stages.len() > 1 => {
            let gone = random.below(stages.len());
            stages.remove(gone);
        }
        3 if stages.len() > 1 => {
            let at = random.below(stages.len() - 1);
            stages.swap(at, at + 1);
        }
        _ => {
            let at = random.below(stages.len());
            let other = random.pick(&names).clone();
            edit_stage(random, &mut stages[at], kind, &other);
        }
    }
}

fn edit_stage(random: &mut Random, stage: &mut Value, kind: usize, other: &str) {
    match kind {
        4 | 5 => stage["env"][*random.pick(VARIABLES)] = json!(format!("w{}", random.below(3))),
        6 => {
            let env = stage["env"].as_object_mut().expect("stages have env");
            env.remove(*random.pick(VARIABLES));
        }
        7 => {
            let needs = stage["needs"].as_array_mut().expect("stages have needs");
            match needs.iter().position(|need| need == other) {
                Some(at) => drop(needs.remove(at)),
                None => needs.push(json!(other)),
            }
        }
        8 => stage["timeout_minutes"] = json!(40 + random.below(3)),
        _ => {
            let script = stage["script"].as_array_mut().expect("stages have scripts");
            let at = random.below(script.len());
            script[at] = json!(format!("./ci/edited-{}.sh", random.below(3)));
        }
    }
}

fn name(stage: &Value) -> &str {
    stage["name"].as_str().expect("stages are named")
}

/// A document as its leaves: path and value. Order is not part of it.
pub fn leaves(document: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    for (parameter, value) in document["parameters"].as_object().into_iter().flatten() {
        leaves.insert(format!("/parameters/{parameter}"), value.clone());
    }
    for stage in document["stages"].as_array().into_iter().flatten() {
        let root = format!("/stages/[name={}]", name(stage));
        leaves.insert(format!("{root}/name"), stage["name"].clone());
        leaves.insert(format!("{root}/script"), stage["script"].clone());
        leaves.insert(
            format!("{root}/timeout_minutes"),
            stage["timeout_minutes"].clone(),
        );
        for (variable, value) in stage["env"].as_object().into_iter().flatten() {
            leaves.insert(format!("{root}/env/{variable}"), value.clone());
        }
        for need in stage["needs"].as_array().into_iter().flatten() {
            let need = need.as_str().expect("needs are names");
            leaves.insert(format!("{root}/needs/[{need}]"), json!(true));
        }
    }
    leaves
}

/// What a merge must give.
pub enum Truth {
    /// The sides agree; these are the leaves of the result.
    Agreed(BTreeMap<String, Value>),
    /// They changed one thing differently: only a conflict is right.
    Disputed,
}

/// The truth about a triple, ignoring the order of lists.
pub fn truth([base, ours, theirs]: &[Value; 3]) -> Truth {
    let [b, o, t] = [base, ours, theirs].map(leaves);
    let stages: BTreeSet<&str> = b
        .keys()
        .chain(o.keys())
        .chain(t.keys())
        .filter_map(|path| stage_of(path))
        .collect();
    for stage in stages {
        let [b, o, t] = [&b, &o, &t].map(|leaves| of_stage(leaves, stage));
        let presence = [b.is_empty(), o.is_empty(), t.is_empty()];
        let is_disputed = match presence {
            [true, false, false] => o != t,
            [false, true, false] => t != b,
            [false, false, true] => o != b,
            _ => false,
        };
        if is_disputed {
            return Truth::Disputed;
        }
    }
    let mut merged = BTreeMap::new();
    let paths: BTreeSet<&String> = b.keys().chain(o.keys()).chain(t.keys()).collect();
    for path in paths {
        let [b, o, t] = [b.get(path), o.get(path), t.get(path)];
        let value = match (o == t, o == b, t == b) {
            (true, _, _) | (_, _, true) => o,
            (_, true, _) => t,
            _ => return Truth::Disputed,
        };
        if let Some(value) = value {
            merged.insert(path.clone(), value.clone());
        }
    }
    Truth::Agreed(merged)
}

fn stage_of(path: &str) -> Option<&str> {
    let end = path.strip_prefix("/stages/")?.find('/')?;
    Some(&path[.."/stages/".len() + end])
}

fn of_stage<'a>(
    leaves: &'a BTreeMap<String, Value>,
    stage: &str,
) -> BTreeMap<&'a String, &'a Value> {
    leaves
        .iter()
        .filter(|(path, _)| stage_of(path) == Some(stage))
        .collect()
}
