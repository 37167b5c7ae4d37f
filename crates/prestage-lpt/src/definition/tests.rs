//! Resolving: what comes out, what is refused, and that it is all reported.

use serde_json::json;

use crate::fixture;
use crate::template::Template;

use super::*;

fn names(definition: &ApplicationDefinition) -> Vec<&str> {
    definition
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect()
}

/// Resolves the fixture against the shipped templates and one more.
fn resolve_with(template: &str) -> Result<ApplicationDefinition> {
    let mut templates = TemplateSet::builtin();
    let extra = Template::parse("extra.yaml", template)?;
    let instance = Instance {
        template: extra.name().to_owned(),
        ..fixture::instance()
    };
    templates.insert(extra)?;
    resolve(&templates, &instance)
}

#[track_caller]
fn check_refused(template: &str, code: &str) {
    let error = resolve_with(template).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn regions_are_expanded_and_wait_for_their_own() {
    let definition = fixture::definition();
    assert_eq!(
        names(&definition),
        [
            "build",
            "test",
            "deploy-eu-west-1",
            "deploy-us-east-1",
            "verify-eu-west-1",
            "verify-us-east-1"
        ]
    );
    let verify = &definition.stages[5];
    assert_eq!(verify.needs, ["deploy-us-east-1"]);
    assert_eq!(verify.env["DEPLOY_REGION"], "us-east-1");
    assert_eq!(verify.env["BAKE_SECONDS"], "300");
    assert_eq!(definition.stages[1].shards, Some(3));
}

#[test]
fn each_parameter_knows_who_set_it() {
    let parameters = fixture::definition().parameters;
    assert_eq!(parameters["test_shards"].origin, Origin::Instance);
    assert_eq!(
        parameters["bake"].origin,
        Origin::Template("service".to_owned())
    );
    assert_eq!(
        parameters["branch"].origin,
        Origin::Template("base-service".to_owned())
    );
}

#[test]
fn the_stored_form_reads_back_with_the_same_hash() {
    let definition = fixture::definition();
    let again = ApplicationDefinition::parse("d.json", &definition.to_json()).unwrap();
    assert_eq!(again, definition);
    assert_eq!(again.revision(), definition.revision());
    assert_eq!(again.to_json(), definition.to_json());
    let newer = definition
        .to_json()
        .replace("\"format\": 1", "\"format\": 2");
    assert_eq!(
        ApplicationDefinition::parse("d.json", &newer)
            .unwrap_err()
            .code(),
        "E-SHAPE"
    );
}

#[test]
fn a_definition_holds_no_expression_outside_the_unbound_stage_templates() {
    let bound = ApplicationDefinition {
        stage_templates: BTreeMap::new(),
        ..fixture::definition()
    };
    assert!(!bound.to_json().contains("{{"));
}

#[test]
fn all_bad_parameters_are_reported_at_once() {
    let mut instance = fixture::instance();
    instance
        .params
        .insert("test_shards".to_owned(), json!("no"));
    instance.params.insert("bake".to_owned(), json!("9h"));
    instance.params.insert("imagee".to_owned(), json!("x"));
    let error = resolve(&TemplateSet::builtin(), &instance).unwrap_err();
    let codes: Vec<&str> = error.problems().iter().map(|e| e.code()).collect();
    assert_eq!(codes, ["E-PARAM-UNKNOWN", "E-PARAM-TYPE", "E-PARAM-TYPE"]);
    assert!(
        error.to_string().contains("did you mean `image`"),
        "{error}"
    );
}

#[test]
fn missing_and_sealed_parameters_are_refused() {
    let needs_two = "name: x\nextends: service\nparameters:\n- {name: p, type: int, required: true}\n\
        - {name: q, type: int, required: true}\n";
    let error = resolve_with(needs_two).unwrap_err();
    assert_eq!(error.problems().len(), 2);
    assert_eq!(error.code(), "E-PARAM-MISSING");
    let sealed = "name: x\nextends: service\nparameters:\n- {name: test_shards, sealed: true}\n";
    check_refused(sealed, "E-SEALED");
}

#[test]
fn bad_names_and_regions_are_refused() {
    for (service, regions) in [
        ("../etc", vec!["eu"]),
        ("a\nb", vec!["eu"]),
        ("ok", vec![]),
        ("ok", vec!["eu/1"]),
        ("ok", vec!["eu", "eu"]),
    ] {
        let instance = Instance {
            service: service.to_owned(),
            regions: regions.into_iter().map(str::to_owned).collect(),
            ..fixture::instance()
        };
        let error = resolve(&TemplateSet::builtin(), &instance).unwrap_err();
        assert_eq!(error.code(), "E-NAME");
    }
}

#[test]
fn bad_stages_are_refused() {
    let stage =
        |fields: &str| format!("name: x\nextends: service\nstages:\n- {{name: extra, {fields}}}\n");
    check_refused(&stage("needs: [biuld], script: [x]"), "E-DAG-UNKNOWN");
    check_refused(&stage("needs: [extra], script: [x]"), "E-DAG-CYCLE");
    check_refused(&stage("script: []"), "E-STAGE-FIELD");
    check_refused(&stage("script: [x], timeout_minutes: 0"), "E-STAGE-FIELD");
    check_refused(&stage("script: [x], shards: 201"), "E-STAGE-FIELD");
    check_refused(&stage("script: [x], gates: [deploy]"), "E-STAGE-FIELD");
    check_refused(&stage("script: [x], artifacts: [../x]"), "E-STAGE-FIELD");
    check_refused(
        &stage("script: [x], env: [{name: ci_x, value: 1}]"),
        "E-STAGE-FIELD",
    );
    check_refused(
        &stage("script: [x], image: '{{ params.nope }}'"),
        "E-EXPR-UNDEFINED",
    );
    check_refused(
        &stage("script: [x], image: '{{ region }}'"),
        "E-EXPR-UNDEFINED",
    );
    check_refused(
        &stage("script: ['echo {{ params.image }}']"),
        "E-SCRIPT-SPLICE",
    );
    check_refused(
        &stage("script: ['echo ${{ github.ref }}']"),
        "E-SCRIPT-SPLICE",
    );
    check_refused(&stage("script: [x], imagee: y"), "E-SHAPE");
    check_refused(
        "name: x\nextends: service\nstages:\n- {name: Extra, script: [x]}\n",
        "E-NAME",
    );
    let folded = "name: x\nextends: service\nstages:\n- {name: deploy-eu-west-1, script: [x]}\n";
    check_refused(folded, "E-STAGE-DUP");
}

#[test]
fn too_many_stages_are_refused_before_they_are_made() {
    let mut instance = fixture::instance();
    instance.regions = (0..200).map(|i| format!("r{i}")).collect();
    let error = resolve(&TemplateSet::builtin(), &instance).unwrap_err();
    assert_eq!(error.code(), "E-FANOUT");
}

#[test]
fn a_service_value_that_a_stage_template_refuses_is_heard_of_at_once() {
    let template = "name: x\nextends: service\nparameters:\n\
        - {name: settle, type: duration, default: 5s}\n";
    check_refused(template, "E-PARAM-TYPE");
}

#[test]
fn a_stage_template_cannot_be_instantiated() {
    let instance = Instance {
        template: "feature_release".to_owned(),
        params: BTreeMap::new(),
        ..fixture::instance()
    };
    let error = resolve(&TemplateSet::builtin(), &instance).unwrap_err();
    assert_eq!(error.code(), "E-SHAPE");
}
