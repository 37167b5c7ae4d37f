//! The structural merge against a merge of lines, on the same random edit pairs.
//!
//! `cargo run --release -p prestage-lpt --example merge_comparison [PAIRS]` prints the table of
//! docs/live-update.md. The lines are those of the two forms in which such documents are committed;
//! the line merge is the three-way merge of `diffy`. What is right is decided by an oracle that
//! compares documents leaf by leaf and shares no code with either.

#[path = "../src/merge3/random.rs"]
mod random;

use std::collections::BTreeSet;

use prestage_lpt::{Decisions, Rules, Sides, merge3};
use random::{Random, Truth, leaves, triple, truth};
use serde_json::Value;

const PAIRS_DEFAULT: usize = 10_000;
const SEED: u64 = 4;

/// What a merge said about one pair.
enum Answer {
    Merged(Value),
    /// Text that no longer is a document, without a conflict having been reported.
    Broken,
    Conflict,
}

/// How often a merge was right, and in which way it was not.
#[derive(Default)]
struct Tally {
    merged: usize,
    conflicts: usize,
    false_conflicts: usize,
    silently_wrong: usize,
}

impl Tally {
    fn count(&mut self, triple: &[Value; 3], answer: &Answer) {
        let truth = match is_order_disputed(triple) {
            true => Truth::Disputed,
            false => truth(triple),
        };
        let slot = match (answer, truth) {
            (Answer::Conflict, Truth::Disputed) => &mut self.conflicts,
            (Answer::Conflict, Truth::Agreed(_)) => &mut self.false_conflicts,
            (Answer::Merged(merged), Truth::Agreed(expected))
                if names(merged).is_some() && leaves(merged) == expected =>
            {
                &mut self.merged
            }
            (Answer::Merged(_) | Answer::Broken, _) => &mut self.silently_wrong,
        };
        *slot += 1;
    }

    fn row(&self, method: &str) -> String {
        format!(
            "| {method} | {} | {} | {} | {} |",
            self.merged, self.conflicts, self.false_conflicts, self.silently_wrong
        )
    }
}

fn structural([base, ours, theirs]: &[Value; 3]) -> Answer {
    let rules = Rules {
        policies: &[],
        decisions: &Decisions::new(),
    };
    let merge = merge3(Sides { base, ours, theirs }, rules);
    match merge.conflicts.is_empty() {
        true => Answer::Merged(merge.value),
        false => Answer::Conflict,
    }
}

fn lines(
    triple: &[Value; 3],
    write: impl Fn(&Value) -> String,
    read: impl Fn(&str) -> Option<Value>,
) -> Answer {
    let [base, ours, theirs] = [0, 1, 2].map(|side: usize| write(&triple[side]));
    match diffy::merge(&base, &ours, &theirs) {
        Ok(text) => read(&text).map_or(Answer::Broken, Answer::Merged),
        Err(_marked) => Answer::Conflict,
    }
}

fn as_json(triple: &[Value; 3]) -> Answer {
    let write = |value: &Value| format!("{value:#}\n");
    lines(triple, write, |text| serde_json::from_str(text).ok())
}

fn as_yaml(triple: &[Value; 3]) -> Answer {
    let write = |value: &Value| serde_saphyr::to_string(value).expect("values are plain data");
    lines(triple, write, |text| serde_saphyr::from_str(text).ok())
}

/// Names of the stages in order; none when one stands twice, which no target accepts.
fn names(document: &Value) -> Option<Vec<&str>> {
    let stages = document.get("stages")?.as_array()?;
    let names: Vec<&str> = stages
        .iter()
        .map(|stage| stage.get("name").and_then(Value::as_str))
        .collect::<Option<_>>()?;
    let unique: BTreeSet<&&str> = names.iter().collect();
    (unique.len() == names.len()).then_some(names)
}

/// Whether both sides reordered the stages that all three have, and not in the same way.
fn is_order_disputed(triple: &[Value; 3]) -> bool {
    let [base, ours, theirs] =
        [0, 1, 2].map(|side: usize| names(&triple[side]).unwrap_or_default());
    let common = |list: &[&str]| -> Vec<String> {
        list.iter()
            .filter(|name| base.contains(name) && ours.contains(name) && theirs.contains(name))
            .map(|name| (*name).to_owned())
            .collect()
    };
    let [base, ours, theirs] = [common(&base), common(&ours), common(&theirs)];
    ours != base && theirs != base && ours != theirs
}

fn main() {
    let pairs = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(PAIRS_DEFAULT);
    let mut random = Random(SEED);
    let mut tallies = [Tally::default(), Tally::default(), Tally::default()];
    for _ in 0..pairs {
        let triple = triple(&mut random);
        let answers = [structural(&triple), as_yaml(&triple), as_json(&triple)];
        for (tally, answer) in tallies.iter_mut().zip(&answers) {
            tally.count(&triple, answer);
        }
    }
    println!("{pairs} random edit pairs, seed {SEED}\n");
    println!("| merge | merged right | right conflicts | false conflicts | silently wrong |");
    println!("|---|---|---|---|---|");
    let methods = ["structural", "lines of YAML", "lines of JSON"];
    for (tally, method) in tallies.iter().zip(methods) {
        println!("{}", tally.row(method));
    }
}
