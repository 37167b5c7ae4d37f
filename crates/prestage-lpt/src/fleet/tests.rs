//! Whom a change of templates reaches, and what its plan says.

use serde_json::json;

use crate::fixture::{self, FLEET_AT};
use crate::merge3::ConflictKind;
use crate::store::MemoryStore;

use super::*;

fn plan(templates: &TemplateSet, repository: &PipelineRepository) -> FleetPlan {
    FleetPlanner::new()
        .plan(templates, repository, &no_check)
        .unwrap()
}

fn services(plan: &FleetPlan) -> Vec<&str> {
    plan.instances
        .iter()
        .map(|instance| instance.service.as_str())
        .collect()
}

#[test]
fn l07_a_change_reaches_exactly_what_depends_on_it() {
    let repository = fixture::fleet(Box::new(MemoryStore::new()));
    let unchanged = fixture::fleet_templates("");
    assert_eq!(
        reached_by(&unchanged, &repository).unwrap(),
        Vec::<String>::new()
    );
    let cases: [(&str, &[&str]); 4] = [
        ("leaf-a", &["a0", "a1", "a2"]),
        ("leaf-b", &["b0", "b1"]),
        ("middle", &["a0", "a1", "a2", "b0", "b1"]),
        ("base-service", &["a0", "a1", "a2", "b0", "b1", "c0"]),
    ];
    for (edited, expected) in cases {
        let templates = fixture::fleet_templates(edited);
        assert_eq!(
            reached_by(&templates, &repository).unwrap(),
            expected,
            "{edited}"
        );
        let plan = plan(&templates, &repository);
        assert_eq!(services(&plan), expected, "{edited}");
        assert_eq!(plan.untouched, 6 - expected.len());
    }
}

#[test]
fn l07_a_stage_template_reaches_those_who_name_it() {
    let repository = fixture::fleet(Box::new(MemoryStore::new()));
    let templates = fixture::fleet_templates("scaling");
    assert_eq!(reached_by(&templates, &repository).unwrap().len(), 6);
}

#[test]
fn l08_the_plan_counts_files_and_leaves_equal_ones_alone() {
    let mut repository = fixture::fleet(Box::new(MemoryStore::new()));
    let leaf = plan(&fixture::fleet_templates("leaf-a"), &repository);
    assert_eq!(leaf.counts.services[&PlanAction::Update], 3);
    assert_eq!(leaf.counts.files[&FileAction::Modify], 6);
    let head = repository.head().cloned();
    // A service that drops a target loses its file and creates none.
    let mut definition = repository.definition("a0").unwrap().clone();
    definition.pipeline.targets = vec!["gitlab".to_owned()];
    repository.edit(&definition, FLEET_AT).unwrap();
    assert_ne!(repository.head().cloned(), head);
    let fewer = plan(&fixture::fleet_templates("leaf-a"), &repository);
    assert_eq!(fewer.counts.files[&FileAction::Modify], 5);
    let parsed: FleetPlan = serde_json::from_str(&fewer.to_json()).unwrap();
    assert_eq!(parsed, fewer);
}

#[test]
fn a_plan_shows_edits_and_conflicts_and_touches_nothing() {
    let mut repository = fixture::fleet(Box::new(MemoryStore::new()));
    let mut definition = repository.definition("a1").unwrap().clone();
    fixture::set_build_command(&mut definition, "./ci/ours.sh");
    repository.edit(&definition, FLEET_AT).unwrap();
    let head = repository.head().cloned();
    let plan = plan(&fixture::fleet_templates("leaf-a"), &repository);
    assert_eq!(repository.head().cloned(), head);
    let conflicted: Vec<&InstancePlan> = plan.with_action(PlanAction::Conflict).collect();
    assert_eq!(conflicted.len(), 1);
    assert_eq!(conflicted[0].service, "a1");
    let conflict = &conflicted[0].conflicts[0];
    assert_eq!(conflict.path, "/stages/[name=build]/env/BUILD_COMMAND");
    assert_eq!(conflict.kind, ConflictKind::BothChanged);
    assert_eq!(conflict.ours, Some(json!("./ci/ours.sh")));
    let updated = plan.with_action(PlanAction::Update).next().unwrap();
    let edited: Vec<&str> = updated
        .edits
        .iter()
        .map(|edit| edit.path.as_str())
        .collect();
    assert!(
        edited.contains(&"/stages/[name=build]/env/BUILD_COMMAND"),
        "{edited:?}"
    );
}

#[test]
fn a_planner_gives_the_same_plan_with_and_without_memory() {
    let mut repository = fixture::fleet(Box::new(MemoryStore::new()));
    let mut planner = FleetPlanner::new();
    for edited in ["base-service", "leaf-a", "leaf-b", "base-service", ""] {
        let templates = fixture::fleet_templates(edited);
        let remembered = planner.plan(&templates, &repository, &no_check).unwrap();
        assert_eq!(remembered, plan(&templates, &repository));
        let mut definition = repository.definition("b1").unwrap().clone();
        definition.stages[0].timeout_minutes += 1;
        repository.edit(&definition, FLEET_AT).unwrap();
    }
}

#[test]
fn a_failing_check_refuses_only_its_service() {
    let repository = fixture::fleet(Box::new(MemoryStore::new()));
    let check = |definition: &ApplicationDefinition| match definition.service.as_str() {
        "a2" => Err("no owner".to_owned()),
        _ => Ok(()),
    };
    let templates = fixture::fleet_templates("leaf-a");
    let plan = FleetPlanner::new()
        .plan(&templates, &repository, &check)
        .unwrap();
    let refused: Vec<&InstancePlan> = plan.with_action(PlanAction::Refused).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].service, "a2");
    assert_eq!(refused[0].problem.as_ref().unwrap().code, "E-CHECK");
    assert_eq!(plan.with_action(PlanAction::Update).count(), 2);
}
