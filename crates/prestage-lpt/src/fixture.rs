//! One service with two regions and one need of each type, for the tests of all modules.

use std::collections::BTreeMap;

use serde_json::json;

use crate::definition::{ApplicationDefinition, resolve};
use crate::instance::{Instance, Overrides};
use crate::provenance::{NeedOrigin, Provenance, Quantile};
use crate::repository::PipelineRepository;
use crate::stage::{NeedType, PredictedNeed, StageDefinition, generate_stage_definition};
use crate::store::Store;
use crate::template::{Template, TemplateSet};

pub(crate) fn instance() -> Instance {
    Instance {
        service: "checkout".to_owned(),
        template: "service".to_owned(),
        params: BTreeMap::from([("test_shards".to_owned(), json!(3))]),
        regions: vec!["eu-west-1".to_owned(), "us-east-1".to_owned()],
        overrides: Overrides::default(),
    }
}

pub(crate) fn definition() -> ApplicationDefinition {
    resolve(&TemplateSet::builtin(), &instance()).unwrap()
}

/// The definition for which every driver can emit.
pub(crate) fn serialized() -> ApplicationDefinition {
    let mut instance = instance();
    instance
        .params
        .insert("tekton_serialized".to_owned(), json!(true));
    resolve(&TemplateSet::builtin(), &instance).unwrap()
}

pub(crate) fn need(need: NeedType) -> PredictedNeed {
    let magnitude = match need {
        NeedType::Scaling => 8,
        NeedType::TestSuite => 6,
        _ => 0,
    };
    PredictedNeed {
        service: "checkout".to_owned(),
        need,
        regions: Vec::new(),
        window_start: 1_700_000_000,
        window_s: 3_600,
        magnitude,
        params: BTreeMap::new(),
    }
}

pub(crate) fn stage(kind: NeedType) -> StageDefinition {
    generate_stage_definition(&definition(), &need(kind)).unwrap()
}

pub(crate) fn provenance(stage: &StageDefinition) -> Provenance {
    Provenance {
        need_id: "checkout/scaling/1699999000".to_owned(),
        probability: Some(0.83),
        threshold: Some(0.4),
        quantiles: vec![Quantile {
            level: 0.9,
            value: 7.5,
        }],
        knobs: BTreeMap::from([("threshold".to_owned(), -0.5)]),
        arm: "static-tuned".to_owned(),
        policy_hash: "abc".to_owned(),
        models: vec!["holt-winters".to_owned()],
        telemetry_window: Some((1, 2)),
        ..Provenance::of(stage, NeedOrigin::Predicted, 1_699_999_000)
    }
}

/// Time of the fleet's first commits.
pub(crate) const FLEET_AT: i64 = 1_700_000_000;

/// Templates three deep (`base-service`, `middle`, then `leaf-a` and `leaf-b`) beside the shipped
/// ones; the one named `edited` differs from its usual self.
pub(crate) fn fleet_templates(edited: &str) -> TemplateSet {
    let mut templates = TemplateSet::builtin();
    let edit = |name: &str, value: &str| match edited == name {
        true => format!("{value}-2"),
        false => value.to_owned(),
    };
    let child = |name: &str, parent: &str| {
        let command = edit(name, &format!("./ci/{name}"));
        format!(
            "{{name: {name}, extends: {parent}, stages: [{{name: build, env: \
             [{{name: BUILD_COMMAND, value: {command}}}]}}]}}"
        )
    };
    for (name, parent) in [
        ("middle", "base-service"),
        ("leaf-a", "middle"),
        ("leaf-b", "middle"),
    ] {
        let template = Template::parse(name, &child(name, parent)).unwrap();
        templates.insert(template).unwrap();
    }
    for (file, text) in crate::template::BUILTIN {
        if *file == format!("{edited}.yaml") {
            let text = text.replacen("description:", "description: edited;", 1);
            templates.replace(Template::parse(file, &text).unwrap());
        }
    }
    templates
}

/// Six services: three of `leaf-a`, two of `leaf-b`, one of `service`.
pub(crate) fn fleet(store: Box<dyn Store>) -> PipelineRepository {
    let templates = fleet_templates("");
    let mut repository = PipelineRepository::open(store).unwrap();
    for (service, template) in [
        ("a0", "leaf-a"),
        ("a1", "leaf-a"),
        ("a2", "leaf-a"),
        ("b0", "leaf-b"),
        ("b1", "leaf-b"),
        ("c0", "service"),
    ] {
        let instance = Instance {
            service: service.to_owned(),
            template: template.to_owned(),
            ..instance()
        };
        let definition = resolve(&templates, &instance).unwrap();
        repository.put_service(&definition, FLEET_AT).unwrap();
    }
    repository
}

/// Edits the value that the fleet's templates set as well.
pub(crate) fn set_build_command(definition: &mut ApplicationDefinition, command: &str) {
    let build = definition
        .stages
        .iter_mut()
        .find(|stage| stage.name == "build")
        .unwrap();
    build
        .env
        .insert("BUILD_COMMAND".to_owned(), command.to_owned());
}
