//! The laws of the merge over random edit pairs, and its agreement with the oracle.

use serde_json::Value;

use super::random::{Random, Truth, leaves, triple, truth};
use super::*;

const PAIRS: usize = 10_000;

fn merge_plain(base: &Value, ours: &Value, theirs: &Value) -> Merge {
    let rules = Rules {
        policies: &[],
        decisions: &Decisions::new(),
    };
    merge3(Sides { base, ours, theirs }, rules)
}

/// Runs a law over the same 10,000 pairs and says how many of them it was about.
fn for_each_pair(mut law: impl FnMut(&[Value; 3]) -> bool) -> usize {
    let mut random = Random(4);
    (0..PAIRS).filter(|_| law(&triple(&mut random))).count()
}

fn without_order(conflicts: &[Conflict]) -> Vec<&Conflict> {
    conflicts
        .iter()
        .filter(|conflict| conflict.kind != ConflictKind::Order)
        .collect()
}

#[test]
fn l21_an_unchanged_side_gives_way() {
    for_each_pair(|[base, ours, theirs]| {
        for (o, t, expected) in [
            (base, theirs, theirs),
            (ours, base, ours),
            (ours, ours, ours),
        ] {
            let merge = merge_plain(base, o, t);
            assert_eq!(merge.conflicts, []);
            assert_eq!(&merge.value, expected);
        }
        true
    });
}

#[test]
fn l21_swapping_the_sides_mirrors_the_conflicts_and_keeps_the_rest() {
    let clean = for_each_pair(|[base, ours, theirs]| {
        let one = merge_plain(base, ours, theirs);
        let other = merge_plain(base, theirs, ours);
        let mirrored: Vec<_> = other
            .conflicts
            .iter()
            .map(|c| (&c.path, c.kind.mirrored(), &c.base, &c.theirs, &c.ours))
            .collect();
        let straight: Vec<_> = one
            .conflicts
            .iter()
            .map(|c| (&c.path, c.kind, &c.base, &c.ours, &c.theirs))
            .collect();
        assert_eq!(straight, mirrored);
        if one.conflicts.is_empty() {
            assert_eq!(one.value, other.value);
        }
        one.conflicts.is_empty()
    });
    assert!((PAIRS / 10..PAIRS).contains(&clean), "{clean} clean pairs");
}

#[test]
fn l21_independent_edits_are_all_there_and_only_disputes_are_conflicts() {
    let disputed = for_each_pair(|triple| {
        let [base, ours, theirs] = triple;
        let merge = merge_plain(base, ours, theirs);
        match truth(triple) {
            Truth::Agreed(expected) => {
                assert_eq!(without_order(&merge.conflicts), Vec::<&Conflict>::new());
                assert_eq!(leaves(&merge.value), expected);
                false
            }
            Truth::Disputed => {
                assert_ne!(without_order(&merge.conflicts), Vec::<&Conflict>::new());
                true
            }
        }
    });
    assert!(
        (PAIRS / 20..PAIRS).contains(&disputed),
        "{disputed} disputed pairs"
    );
}

#[test]
fn l21_no_edit_is_lost() {
    for_each_pair(|[base, ours, theirs]| {
        let merge = merge_plain(base, ours, theirs);
        let merged = leaves(&merge.value);
        let base = leaves(base);
        for side in [leaves(ours), leaves(theirs)] {
            for path in base.keys().chain(side.keys()) {
                let is_edit = base.get(path) != side.get(path);
                let in_conflict = || {
                    merge
                        .conflicts
                        .iter()
                        .any(|conflict| is_at_or_below(path, &conflict.path))
                };
                assert!(
                    !is_edit || merged.get(path) == side.get(path) || in_conflict(),
                    "lost the edit of {path}"
                );
            }
        }
        true
    });
}

#[test]
fn l21_merging_again_changes_nothing() {
    for_each_pair(|[base, ours, theirs]| {
        let merge = merge_plain(base, ours, theirs);
        if merge.conflicts.is_empty() {
            let again = merge_plain(theirs, &merge.value, theirs);
            assert_eq!((again.value, again.conflicts), (merge.value, vec![]));
        }
        true
    });
}

#[test]
fn l21_resolving_every_conflict_leaves_none() {
    let resolved = for_each_pair(|[base, ours, theirs]| {
        let merge = merge_plain(base, ours, theirs);
        for take in [Resolution::Ours, Resolution::Theirs] {
            let decisions: Decisions = merge
                .conflicts
                .iter()
                .map(|conflict| (conflict.path.clone(), take.clone()))
                .collect();
            let rules = Rules {
                policies: &[],
                decisions: &decisions,
            };
            let sides = Sides { base, ours, theirs };
            let decided = merge3(sides, rules);
            assert_eq!(decided.conflicts, []);
            if merge.conflicts.is_empty() {
                assert_eq!(decided.value, merge.value);
            }
        }
        !merge.conflicts.is_empty()
    });
    assert!(resolved > 0, "no pair had a conflict");
}
