//! A stage behind a red gate is not entered, on any target.

use std::collections::BTreeSet;

use serde_json::json;

use crate::assembly::Assembly;
use crate::definition::{ApplicationDefinition, resolve};
use crate::driver::DRIVERS;
use crate::execution::{StageOutcome, execute};
use crate::fixture;
use crate::instance::Instance;
use crate::live::LivePipeline;
use crate::stage::{NeedType, generate_stage_definition};
use crate::template::{Template, TemplateSet};

use super::*;

fn instance() -> Instance {
    Instance {
        template: "service-gated".to_owned(),
        params: BTreeMap::from([("tekton_serialized".to_owned(), json!(true))]),
        ..fixture::instance()
    }
}

fn definition() -> ApplicationDefinition {
    resolve(&TemplateSet::builtin(), &instance()).unwrap()
}

fn stage<'a>(definition: &'a ApplicationDefinition, name: &str) -> &'a Stage {
    let found = definition.stages.iter().find(|stage| stage.name == name);
    found.unwrap_or_else(|| panic!("no stage {name}"))
}

fn outcomes(definition: &ApplicationDefinition, failing: &str) -> BTreeMap<String, StageOutcome> {
    let revision = definition.revision();
    let assembly = Assembly {
        definition,
        revision: &revision,
        staged: Vec::new(),
    };
    let failing = BTreeSet::from([failing.to_owned()]);
    execute(&assembly.stages().unwrap(), &failing)
}

#[test]
fn l16_a_stage_is_not_entered_while_the_gate_before_it_is_red() {
    let definition = definition();
    let red = outcomes(&definition, "deploy-gate-eu-west-1");
    assert_eq!(red["deploy-eu-west-1"], StageOutcome::Succeeded);
    assert_eq!(red["deploy-gate-eu-west-1"], StageOutcome::Failed);
    for behind in [
        "verify-eu-west-1",
        "deploy-infra-us-east-1",
        "deploy-us-east-1",
        "deploy-gate-us-east-1",
        "verify-us-east-1",
    ] {
        assert_eq!(red[behind], StageOutcome::Skipped, "{behind}");
    }
    let green = outcomes(&definition, "");
    assert!(
        green
            .values()
            .all(|outcome| *outcome == StageOutcome::Succeeded)
    );
}

#[test]
fn l16_infrastructure_comes_first_and_says_its_revision() {
    let definition = definition();
    let infra = stage(&definition, "deploy-infra-us-east-1");
    assert_eq!(infra.needs, ["test", "deploy-gate-eu-west-1"]);
    assert_eq!(
        stage(&definition, "deploy-us-east-1").needs,
        std::slice::from_ref(&infra.name)
    );
    assert_eq!(
        infra.env["INFRASTRUCTURE_TEMPLATE"],
        r#"{"instance_type":"standard-2","instances_max":10,"region":"us-east-1","service":"checkout"}"#
    );
    let mut larger = instance();
    larger.params.insert("instances_max".to_owned(), json!(20));
    let larger = resolve(&TemplateSet::builtin(), &larger).unwrap();
    let revision = |definition: &ApplicationDefinition| {
        stage(definition, "deploy-infra-us-east-1").env["INFRASTRUCTURE_REVISION"].clone()
    };
    assert_ne!(revision(&larger), revision(&definition));
    let changed = crate::merge3::edits(
        &crate::canonical::to_value(&definition.stages),
        &crate::canonical::to_value(&larger.stages),
    );
    assert!(
        changed.iter().all(|edit| edit.path.contains("-infra-")),
        "{changed:?}"
    );
}

#[test]
fn l16_every_target_carries_gate_and_infrastructure_and_reads_them_back() {
    let definition = definition();
    let revision = definition.revision();
    let assembly = Assembly {
        definition: &definition,
        revision: &revision,
        staged: Vec::new(),
    };
    for driver in DRIVERS {
        let files = driver.emit(&assembly).unwrap();
        let live = driver.analyze(&files).unwrap();
        let expected = LivePipeline::of(&assembly, driver.facts(&assembly));
        assert_eq!(live, expected, "{}", driver.name());
        let gate = live
            .own_stages()
            .into_iter()
            .find(|stage| stage.name == "deploy-gate-us-east-1")
            .unwrap();
        assert_eq!(
            gate.env["GATE_METRICS"],
            r#"[{"at_most":0.01,"name":"error_ratio"},{"at_most":0.5,"name":"latency_seconds_p95"}]"#
        );
        assert_eq!(gate.env["GATE_WINDOW_SECONDS"], "600");
    }
}

#[test]
fn a_staged_stage_waits_for_the_gate_of_the_stage_that_it_names() {
    let definition = definition();
    let stage = generate_stage_definition(&definition, &fixture::need(NeedType::FeatureRelease));
    let mut needs: Vec<String> = stage
        .unwrap()
        .stages
        .into_iter()
        .flat_map(|stage| stage.needs)
        .filter(|need| need.starts_with("deploy"))
        .collect();
    needs.retain(|need| !need.starts_with("deploy-gate-"));
    assert_eq!(needs, Vec::<String>::new());
}

#[test]
fn gates_without_meaning_are_refused() {
    let refused = |fields: &str| {
        let text = format!(
            "name: x\nextends: service\nstages:\n- {{name: extra, script: [x], {fields}}}\n"
        );
        let mut templates = TemplateSet::builtin();
        templates
            .insert(Template::parse("t.yaml", &text).unwrap())
            .unwrap();
        let instance = Instance {
            template: "x".to_owned(),
            params: BTreeMap::new(),
            ..fixture::instance()
        };
        resolve(&templates, &instance).unwrap_err().code()
    };
    let gate =
        |metrics: &str| format!("gate: {{command: x, window_seconds: 60, metrics: [{metrics}]}}");
    assert_eq!(refused(&gate("")), "E-STAGE-FIELD");
    assert_eq!(refused(&gate("{name: a}")), "E-STAGE-FIELD");
    assert_eq!(
        refused(&gate("{name: a, at_most: 1, at_least: 0}")),
        "E-STAGE-FIELD"
    );
    assert_eq!(refused(&gate("{name: a, at_most: '1'}")), "E-SHAPE");
    let manual = format!("when: manual, {}", gate("{name: a, at_most: 1}"));
    assert_eq!(refused(&manual), "E-STAGE-FIELD");
    assert_eq!(
        refused("infrastructure: {command: x, template: {}}"),
        "E-STAGE-FIELD"
    );
}
