//! An edit of an instance becomes an edit of a template that gives just that.

use serde_json::json;

use crate::definition::resolve;
use crate::fixture;
use crate::fleet::{FleetPlanner, no_check};
use crate::plan::PlanAction;
use crate::store::MemoryStore;
use crate::template::Template;
use crate::update::{StoredFiles, UpdateOptions, update};

use super::*;

/// A child of the shipped `service` that names and does not name what it is about.
const TEAM: &str = "\
name: team
extends: service
parameters:
- {name: tool, type: string, default: ./ci/tool.sh, max_length: 60, allowed_chars: 'a-z./-'}
stages:
- name: build
  timeout_minutes: 20
  env: [{name: LABEL, value: 'build-{{ service }}'}]
- {name: deploy, each_region: true, environment: 'prod-{{ region }}'}
";

fn templates() -> TemplateSet {
    let mut templates = TemplateSet::builtin();
    templates.replace(Template::parse("team.yaml", TEAM).unwrap());
    templates
}

fn base() -> ApplicationDefinition {
    let instance = crate::instance::Instance {
        template: "team".to_owned(),
        ..fixture::instance()
    };
    resolve(&templates(), &instance).unwrap()
}

fn promoted(path: &str, value: Value, options: PromoteOptions<'_>) -> Result<Promotion> {
    let live = base().with(path, value).unwrap();
    promote(&templates(), &base(), &live, path, options)
}

/// The only way to promote the edit is to say `after` at `place`, and it has the effect.
#[track_caller]
fn check(path: &str, value: Value, place: &str, after: Value) {
    let promotion = promoted(path, value.clone(), PromoteOptions::default()).unwrap();
    assert_eq!(promotion.path, place);
    assert_eq!(promotion.after, Some(after));
    check_effect(&promotion, path, Some(&value));
}

#[track_caller]
fn check_effect(promotion: &Promotion, path: &str, value: Option<&Value>) {
    let mut edited = templates();
    edited.replace(promotion.template.clone());
    let candidate = Resolver::new(&edited).candidate(&base()).unwrap();
    let theirs = to_value(candidate.theirs.as_ref());
    assert_eq!(path::get(&theirs, path), value);
}

#[track_caller]
fn check_ambiguous(path: &str, value: Value, expected: &[&str]) {
    let error = promoted(path, value, PromoteOptions::default()).unwrap_err();
    let Error::PromoteAmbiguous { candidates, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(candidates, expected);
}

#[test]
fn l22_a_literal_stays_one() {
    let place = "/stages/[name=build]/timeout_minutes";
    check(place, json!(30), place, json!(30));
    let script = "/stages/[name=test]/script";
    check(script, json!(["make test"]), script, json!(["make test"]));
}

#[test]
fn l22_what_came_from_a_name_goes_back_to_it() {
    check(
        "/stages/[name=build]/env/LABEL",
        json!("new-checkout-build"),
        "/stages/[name=build]/env/[name=LABEL]/value",
        json!("new-{{ service }}-build"),
    );
    check(
        "/stages/[name=deploy-eu-west-1]/environment",
        json!("eu-west-1-live"),
        "/stages/[name=deploy]/environment",
        json!("{{ region }}-live"),
    );
    check(
        "/stages/[name=deploy-eu-west-1]/exclusive",
        json!("checkout/eu-west-1"),
        "/stages/[name=deploy]/exclusive",
        json!("{{ service }}/{{ region }}"),
    );
}

#[test]
fn l22_an_ambiguous_value_is_refused_with_every_candidate() {
    // A new variable may mean the parameter or only look like it.
    check_ambiguous(
        "/stages/[name=build]/env/TOOL",
        json!("./ci/tool.sh"),
        &[
            "\"./ci/tool.sh\" at `/stages/[name=build]/env/[name=TOOL]/value`",
            "\"{{ params.tool }}\" at `/stages/[name=build]/env/[name=TOOL]/value`",
        ],
    );
    // One parameter decides the place: is it the parameter that was wrong, or the place?
    check_ambiguous(
        "/stages/[name=test]/timeout_minutes",
        json!(45),
        &[
            "45 at `/parameters/[name=timeout_minutes]/default`",
            "45 at `/stages/[name=test]/timeout_minutes`",
        ],
    );
    // What says where it is may mean the place itself.
    check_ambiguous(
        "/stages/[name=deploy-eu-west-1]/env/DEPLOY_ENVIRONMENT",
        json!("eu-west-1"),
        &[
            "\"eu-west-1\" at `/parameters/[name=deploy_environment]/default`",
            "\"eu-west-1\" at `/stages/[name=deploy]/env/[name=DEPLOY_ENVIRONMENT]/value`",
            "\"{{ region }}\" at `/stages/[name=deploy]/env/[name=DEPLOY_ENVIRONMENT]/value`",
        ],
    );
}

#[test]
fn l22_a_person_decides_between_candidates() {
    let path = "/stages/[name=test]/timeout_minutes";
    let as_default = PromoteOptions {
        as_default: true,
        ..PromoteOptions::default()
    };
    let promotion = promoted(path, json!(45), as_default).unwrap();
    assert_eq!(promotion.path, "/parameters/[name=timeout_minutes]/default");
    check_effect(&promotion, path, Some(&json!(45)));
    let leaf = json!(45);
    let as_leaf = PromoteOptions {
        leaf: Some(&leaf),
        ..PromoteOptions::default()
    };
    let promotion = promoted(path, json!(45), as_leaf).unwrap();
    assert_eq!(promotion.path, path);
    let wrong = json!(46);
    let without_effect = PromoteOptions {
        leaf: Some(&wrong),
        ..PromoteOptions::default()
    };
    let error = promoted(path, json!(45), without_effect).unwrap_err();
    assert_eq!(error.code(), "E-PROMOTE-NO-EFFECT");
}

#[test]
fn l22_any_template_of_the_chain_can_take_it_unless_another_decides() {
    let into = |into| PromoteOptions {
        into: Some(into),
        ..PromoteOptions::default()
    };
    let script = "/stages/[name=test]/script";
    let promotion = promoted(script, json!(["make"]), into("base-service")).unwrap();
    assert_eq!(promotion.template.name(), "base-service");
    check_effect(&promotion, script, Some(&json!(["make"])));
    // `team` itself sets the timeout, so no ancestor can.
    let timeout = "/stages/[name=build]/timeout_minutes";
    let error = promoted(timeout, json!(25), into("service")).unwrap_err();
    assert_eq!(error.code(), "E-PROMOTE-NO-EFFECT");
    let error = promoted(timeout, json!(25), into("library")).unwrap_err();
    assert_eq!(error.code(), "E-PROMOTE-CHAIN");
}

#[test]
fn l22_edges_artifacts_and_whole_stages_are_promoted() {
    let live = base()
        .with("/stages/[name=build]/artifacts", json!(["out/app"]))
        .unwrap();
    let path = "/stages/[name=build]/artifacts";
    let promotion = promote(
        &templates(),
        &base(),
        &live,
        path,
        PromoteOptions::default(),
    )
    .unwrap();
    check_effect(&promotion, path, Some(&json!(["out/app"])));
    let audit = json!({
        "name": "audit", "group": "audit", "needs": ["build"], "when": "on_success",
        "script": ["./ci/audit.sh"], "timeout_minutes": 10, "env": {"LEVEL": "high"},
    });
    check(
        "/stages/[name=audit]",
        audit,
        "/stages/[name=audit]",
        json!({
            "name": "audit", "needs": ["build"], "when": "on_success",
            "script": ["./ci/audit.sh"], "timeout_minutes": 10,
            "env": [{"name": "LEVEL", "value": "high"}],
        }),
    );
}

#[test]
fn l22_what_was_taken_away_is_taken_away_from_the_template_or_its_parent() {
    for path in [
        "/stages/[name=build]/env/LABEL",
        "/stages/[name=build]/env/SERVICE",
        "/stages/[name=deploy-eu-west-1]/exclusive",
    ] {
        let live = base().without(path).unwrap();
        let options = PromoteOptions::default();
        let promotion = promote(&templates(), &base(), &live, path, options).unwrap();
        assert_eq!(promotion.after, None);
        check_effect(&promotion, path, None);
    }
}

#[test]
fn l22_what_a_template_has_no_place_for_or_seals_is_refused() {
    let options = PromoteOptions::default();
    let refused = |path: &str, code: &str| {
        let live = base().with(path, json!("x")).unwrap_or_else(|_| base());
        let error = promote(&templates(), &base(), &live, path, options).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    };
    refused("/template", "E-PROMOTE-PLACE");
    refused("/stages/[name=build]/group", "E-PROMOTE-PLACE");
    refused("/stages/[name=build]/image/x", "E-PROMOTE-NOTHING");
    let sealing = "name: service\nextends: base-service\npolicy:\n- {path: '/stages/[name=test]', rule: sealed}\n";
    let mut templates = templates();
    templates.replace(Template::parse("t.yaml", sealing).unwrap());
    let path = "/stages/[name=test]/script";
    let live = base().with(path, json!(["make"])).unwrap();
    let error = promote(&templates, &base(), &live, path, options).unwrap_err();
    assert_eq!(error.code(), "E-SEALED");
}

#[test]
fn l22_a_promoted_edit_reaches_the_dependants_and_stops_being_an_override() {
    let mut repository = fixture::fleet(Box::new(MemoryStore::new()));
    let at = fixture::FLEET_AT;
    let path = "/stages/[name=test]/script";
    let edited = repository
        .definition("a0")
        .unwrap()
        .with(path, json!(["make test"]))
        .unwrap();
    repository.edit(&edited, at).unwrap();
    let mut templates = fixture::fleet_templates("");
    let promotion = promote(
        &templates,
        repository.base("a0").unwrap(),
        repository.definition("a0").unwrap(),
        path,
        PromoteOptions::default(),
    )
    .unwrap();
    assert_eq!(promotion.template.name(), "leaf-a");
    templates.replace(promotion.template);
    let plan = FleetPlanner::new()
        .plan(&templates, &repository, &no_check)
        .unwrap();
    let reached: Vec<&str> = plan
        .with_action(PlanAction::Update)
        .map(|instance| instance.service.as_str())
        .collect();
    assert_eq!(reached, ["a0", "a1", "a2"]);
    let options = UpdateOptions {
        canary: 1,
        wave: 2,
        at,
    };
    update(
        &mut repository,
        &templates,
        options,
        &no_check,
        &mut StoredFiles,
    )
    .unwrap();
    for service in reached {
        let definition = to_value(repository.definition(service).unwrap());
        assert_eq!(path::get(&definition, path), Some(&json!(["make test"])));
        assert_eq!(repository.drift(service).unwrap().overrides, []);
    }
}
