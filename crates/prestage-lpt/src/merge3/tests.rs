//! Known answers: each row of the table of the three-way merge.

use serde_json::json;

use crate::canonical::to_value;
use crate::fixture;

use super::*;

fn merge_with(sides: [&Value; 3], policies: &[PathPolicy], decisions: &Decisions) -> Merge {
    let [base, ours, theirs] = sides;
    let rules = Rules {
        policies,
        decisions,
    };
    merge3(Sides { base, ours, theirs }, rules)
}

fn policies(rules: &[(&str, Rule)]) -> Vec<PathPolicy> {
    let policy = |(path, rule): &(&str, Rule)| PathPolicy {
        path: (*path).to_owned(),
        rule: *rule,
    };
    rules.iter().map(policy).collect()
}

/// The result, and the paths that are conflicts of kind policy; there may be no other kind.
#[track_caller]
fn check_policy(
    rules: &[(&str, Rule)],
    [base, ours, theirs]: [Value; 3],
    conflicts: &[&str],
    expected: Value,
) {
    let merge = merge_with([&base, &ours, &theirs], &policies(rules), &Decisions::new());
    let paths: Vec<&str> = merge
        .conflicts
        .iter()
        .map(|conflict| conflict.path.as_str())
        .collect();
    assert_eq!(paths, conflicts);
    for conflict in &merge.conflicts {
        assert_eq!(conflict.kind, ConflictKind::Policy);
        assert_eq!(conflict.suggested, Side::Theirs);
    }
    assert_eq!(merge.value, expected);
}

#[track_caller]
fn check_clean(base: Value, ours: Value, theirs: Value, expected: Value) {
    let merge = merge_with([&base, &ours, &theirs], &[], &Decisions::new());
    assert_eq!(merge.conflicts, []);
    assert_eq!(merge.value, expected);
}

#[track_caller]
fn check_conflict(base: Value, ours: Value, theirs: Value, path: &str, kind: ConflictKind) {
    let merge = merge_with([&base, &ours, &theirs], &[], &Decisions::new());
    let found: Vec<(&str, ConflictKind)> = merge
        .conflicts
        .iter()
        .map(|conflict| (conflict.path.as_str(), conflict.kind))
        .collect();
    assert_eq!(found, [(path, kind)]);
}

#[test]
fn one_sided_changes_are_taken() {
    check_clean(
        json!({"a": 1, "b": 1}),
        json!({"a": 2, "b": 1}),
        json!({"a": 1, "b": 3}),
        json!({"a": 2, "b": 3}),
    );
    check_clean(
        json!({"a": 1}),
        json!({"a": 2}),
        json!({"a": 2}),
        json!({"a": 2}),
    );
    check_clean(
        json!({"a": 1, "b": 1}),
        json!({"b": 1}),
        json!({"a": 1, "b": 2}),
        json!({"b": 2}),
    );
    check_clean(
        json!({}),
        json!({"x": 1}),
        json!({"y": 1}),
        json!({"x": 1, "y": 1}),
    );
}

#[test]
fn each_row_of_the_table_that_is_a_conflict() {
    use ConflictKind::*;
    check_conflict(
        json!({"a": 1}),
        json!({"a": 2}),
        json!({"a": 3}),
        "/a",
        BothChanged,
    );
    check_conflict(
        json!({"a": 1}),
        json!({}),
        json!({"a": 3}),
        "/a",
        OursDeleted,
    );
    check_conflict(
        json!({"a": 1}),
        json!({"a": 2}),
        json!({}),
        "/a",
        TheirsDeleted,
    );
    check_conflict(json!({}), json!({"a": 2}), json!({"a": 3}), "/a", BothAdded);
    check_conflict(
        json!({"a": [1]}),
        json!({"a": [2]}),
        json!({"a": [3]}),
        "/a",
        BothChanged,
    );
    check_conflict(
        json!([{"name": "x", "v": 1}]),
        json!([{"name": "x", "v": 2}]),
        json!([{"name": "x", "v": 3}]),
        "/[name=x]/v",
        BothChanged,
    );
}

#[test]
fn named_items_and_edges_merge_one_by_one() {
    check_clean(
        json!({"stages": [{"name": "a"}, {"name": "b", "needs": ["a"]}]}),
        json!({"stages": [{"name": "a"}, {"name": "lint"}, {"name": "b", "needs": ["a", "lint"]}]}),
        json!({"stages": [{"name": "a"}, {"name": "scan"}, {"name": "b", "needs": ["a", "scan"]}]}),
        json!({"stages": [
            {"name": "a"},
            {"name": "lint"},
            {"name": "scan"},
            {"name": "b", "needs": ["a", "lint", "scan"]},
        ]}),
    );
}

#[test]
fn two_reorderings_are_a_conflict_and_one_is_not() {
    let list =
        |names: &[&str]| -> Value { names.iter().map(|name| json!({"name": name})).collect() };
    check_clean(
        list(&["a", "b", "c"]),
        list(&["b", "a", "c"]),
        list(&["a", "b", "c", "d"]),
        list(&["b", "a", "c", "d"]),
    );
    check_conflict(
        list(&["a", "b", "c"]),
        list(&["b", "a", "c"]),
        list(&["a", "c", "b"]),
        "/$order",
        ConflictKind::Order,
    );
}

#[test]
fn what_is_sealed_now_may_not_stay_changed() {
    let base = json!({"a": {"x": 1, "y": 1}});
    let ours = json!({"a": {"x": 2, "y": 2}});
    let sealed = policies(&[("/a/x", Rule::Sealed)]);
    let merge = merge_with([&base, &ours, &base], &sealed, &Decisions::new());
    assert_eq!(merge.conflicts.len(), 1);
    assert_eq!(merge.conflicts[0].path, "/a/x");
    assert_eq!(merge.conflicts[0].kind, ConflictKind::Policy);
    assert_eq!(merge.value, json!({"a": {"x": 1, "y": 2}}));
    let deleted = merge_with([&base, &json!({}), &base], &sealed, &Decisions::new());
    assert_eq!(deleted.conflicts[0].kind, ConflictKind::Policy);
    let same = merge_with([&base, &base, &ours], &sealed, &Decisions::new());
    assert_eq!(same.conflicts, []);
}

#[test]
fn any_change_of_ours_below_a_sealed_path_is_a_policy_conflict() {
    let sealed = [("/a", Rule::Sealed)];
    let base = json!({"a": {"x": 1}, "b": 1});
    let theirs = json!({"a": {"x": 1}, "b": 2});
    for ours in [
        json!({"a": {"x": 2}, "b": 1}),
        json!({"a": {}, "b": 1}),
        json!({"a": {"x": 1, "y": 1}, "b": 1}),
        json!({"b": 1}),
    ] {
        let sides = [base.clone(), ours, theirs.clone()];
        check_policy(&sealed, sides, &["/a"], theirs.clone());
    }
    // What ours leaves alone, or changed just as the template did, is none.
    let beside = json!({"a": {"x": 1}, "b": 1, "c": 1});
    check_policy(
        &sealed,
        [base.clone(), beside, theirs.clone()],
        &[],
        json!({"a": {"x": 1}, "b": 2, "c": 1}),
    );
    let same = json!({"a": {"x": 9}, "b": 1});
    check_policy(
        &sealed,
        [base.clone(), same.clone(), same.clone()],
        &[],
        same,
    );
    let changed = json!({"a": {"x": 2}, "b": 1});
    let also = json!({"a": {"x": 3}, "b": 1});
    check_policy(&sealed, [base, changed, also.clone()], &["/a"], also);
}

#[test]
fn an_open_path_is_an_exception_within_a_sealed_one() {
    let rules = [("/a", Rule::Sealed), ("/a/env", Rule::Open)];
    let base = json!({"a": {"x": 1, "env": {"E": "1"}}});
    check_policy(
        &rules,
        [
            base.clone(),
            json!({"a": {"x": 2, "env": {"E": "2"}}}),
            base.clone(),
        ],
        &["/a/x"],
        json!({"a": {"x": 1, "env": {"E": "2"}}}),
    );
    check_policy(
        &rules,
        [base.clone(), json!({}), base.clone()],
        &["/a"],
        base,
    );
}

#[test]
fn an_extend_only_path_takes_what_is_new_and_nothing_else() {
    let rules = [("/a", Rule::ExtendOnly)];
    let base = json!({"a": {"x": 1, "list": ["p", "q"], "needs": ["n"]}});
    check_policy(
        &rules,
        [
            base.clone(),
            json!({"a": {"x": 1, "y": 1, "list": ["p", "o", "q"], "needs": ["m", "n"]}}),
            base.clone(),
        ],
        &[],
        json!({"a": {"x": 1, "y": 1, "list": ["p", "o", "q"], "needs": ["m", "n"]}}),
    );
    check_policy(
        &rules,
        [
            base.clone(),
            json!({"a": {"x": 2, "list": ["q", "p"], "needs": []}}),
            base.clone(),
        ],
        &["/a/list", "/a/needs/[n]", "/a/x"],
        base.clone(),
    );
    // What the template took away is ours to add again, as with any other path.
    check_policy(
        &rules,
        [
            base.clone(),
            json!({"a": {"x": 1, "list": ["p", "q"]}}),
            base.clone(),
        ],
        &["/a/needs"],
        base,
    );
}

#[test]
fn a_decision_settles_its_path_and_only_that() {
    let (base, ours, theirs) = (
        json!({"a": 1, "b": 1}),
        json!({"a": 2, "b": 2}),
        json!({"a": 3, "b": 3}),
    );
    let decisions = Decisions::from([("/a".to_owned(), Resolution::Value(json!(9)))]);
    let merge = merge_with([&base, &ours, &theirs], &[], &decisions);
    assert_eq!(merge.value["a"], json!(9));
    assert_eq!(merge.conflicts.len(), 1);
    assert_eq!(merge.conflicts[0].path, "/b");
}

#[test]
fn keys_with_slashes_have_paths_of_their_own() {
    check_conflict(
        json!({"a/b": 1}),
        json!({"a/b": 2}),
        json!({"a/b": 3}),
        "/a~1b",
        ConflictKind::BothChanged,
    );
}

#[test]
fn a_clean_merge_that_closes_a_circle_is_a_semantic_conflict() {
    let base = fixture::definition();
    let mut ours = base.clone();
    let mut theirs = base.clone();
    // `build` and `test` both are roots in the base; each side adds the other edge.
    for definition in [&mut ours, &mut theirs] {
        definition.stages[1].needs.clear();
    }
    let base = ours.clone();
    ours.stages[0].needs.push("test".to_owned());
    theirs.stages[1].needs.push("build".to_owned());
    let decisions = Decisions::new();
    let rules = Rules {
        policies: &[],
        decisions: &decisions,
    };
    let sides = DefinitionSides {
        base: &base,
        ours: &ours,
        theirs: &theirs,
    };
    let DefinitionMerge::Conflicted(conflicts) = merge_definitions(sides, rules) else {
        panic!("a circle was accepted");
    };
    assert_eq!(conflicts[0].kind, ConflictKind::Semantic);
    let decisions = Decisions::from([(conflicts[0].path.clone(), Resolution::Value(json!([])))]);
    let rules = Rules {
        policies: &[],
        decisions: &decisions,
    };
    assert!(matches!(
        merge_definitions(sides, rules),
        DefinitionMerge::Clean(_)
    ));
}

#[test]
fn an_orphan_edge_is_a_semantic_conflict() {
    let base = fixture::definition();
    let mut ours = base.clone();
    let mut theirs = base.clone();
    let mut extra = base.stages[0].clone();
    extra.name = "sign".to_owned();
    extra.needs = vec!["test".to_owned()];
    ours.stages.push(extra);
    theirs.stages.retain(|stage| stage.name != "test");
    for stage in &mut theirs.stages {
        stage.needs.retain(|need| need != "test");
    }
    let decisions = Decisions::new();
    let rules = Rules {
        policies: &[],
        decisions: &decisions,
    };
    let sides = DefinitionSides {
        base: &base,
        ours: &ours,
        theirs: &theirs,
    };
    let DefinitionMerge::Conflicted(conflicts) = merge_definitions(sides, rules) else {
        panic!("an edge to nothing was accepted");
    };
    assert_eq!(conflicts[0].path, "/stages/[name=sign]/needs");
    assert_eq!(conflicts[0].kind, ConflictKind::Semantic);
}

#[test]
fn a_definition_merged_with_itself_is_itself() {
    let definition = fixture::definition();
    let value = to_value(&definition);
    check_clean(value.clone(), value.clone(), value.clone(), value);
}
