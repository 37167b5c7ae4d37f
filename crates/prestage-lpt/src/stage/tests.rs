//! Stages for needs: idempotence, what the key covers, what is refused.

use std::sync::Arc;

use crate::fixture;

use super::*;

fn generate(need: &PredictedNeed) -> Result<StageDefinition> {
    generate_stage_definition(&fixture::definition(), need)
}

#[test]
fn every_need_type_has_a_stage() {
    for kind in NeedType::ALL {
        let stage = fixture::stage(kind);
        assert!(stage.name.starts_with(kind.kind()), "{}", stage.name);
        assert!(stage.name.ends_with(&stage.key.as_str()[..8]));
        assert!(!stage.stages.is_empty());
        assert_eq!(NeedType::parse(kind.as_str()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.to_string()));
    }
}

#[test]
fn one_need_is_one_stage() {
    let need = fixture::need(NeedType::Scaling);
    let stage = generate(&need).unwrap();
    let later = PredictedNeed {
        window_start: need.window_start + 60,
        regions: vec!["us-east-1".to_owned(), "eu-west-1".to_owned()],
        ..need.clone()
    };
    assert_eq!(generate(&later).unwrap(), stage);
}

#[test]
fn the_key_covers_window_regions_parameters_and_template() {
    let need = fixture::need(NeedType::Scaling);
    let key = generate(&need).unwrap().key;
    let others = [
        PredictedNeed {
            window_start: need.window_start + 3_600,
            ..need.clone()
        },
        PredictedNeed {
            regions: vec!["us-east-1".to_owned()],
            ..need.clone()
        },
        PredictedNeed {
            magnitude: 9,
            ..need.clone()
        },
        PredictedNeed {
            params: BTreeMap::from([("settle".to_owned(), json!("1m"))]),
            ..need.clone()
        },
    ];
    for other in others {
        assert_ne!(generate(&other).unwrap().key, key);
    }
    let mut definition = fixture::definition();
    let template = definition
        .stage_templates
        .get_mut(&NeedType::Scaling)
        .unwrap();
    Arc::make_mut(template).revision = Revision::of("x", &json!(1));
    assert_ne!(
        generate_stage_definition(&definition, &need).unwrap().key,
        key
    );
}

#[test]
fn two_spellings_of_a_duration_are_one_stage() {
    let mut need = fixture::need(NeedType::Scaling);
    need.params.insert("settle".to_owned(), json!("5m"));
    let minutes = generate(&need).unwrap().key;
    need.params.insert("settle".to_owned(), json!("300s"));
    assert_eq!(generate(&need).unwrap().key, minutes);
}

#[test]
fn values_come_from_need_service_and_template() {
    let stage = fixture::stage(NeedType::Scaling);
    assert_eq!(stage.parameters["replicas"].origin, Origin::Need);
    assert_eq!(stage.parameters["image"].origin, Origin::Service);
    let default = Origin::Template("scaling".to_owned());
    assert_eq!(stage.parameters["settle"].origin, default);
    let scale = &stage.stages[0];
    assert_eq!(scale.env["REPLICAS"], "8");
    assert_eq!(scale.name, format!("{}-scale-eu-west-1", stage.name));
}

#[test]
fn a_canary_waits_for_the_tests_and_gates_the_deployment() {
    let stage = fixture::stage(NeedType::FeatureRelease);
    let first = &stage.stages[0];
    assert_eq!(first.needs, ["test"]);
    let promote = stage
        .stages
        .iter()
        .find(|stage| stage.group == "promote")
        .unwrap();
    assert_eq!(promote.gates, ["deploy-eu-west-1"]);
}

#[test]
fn bad_needs_are_refused() {
    let good = fixture::need(NeedType::Scaling);
    let canary = fixture::need(NeedType::FeatureRelease);
    let bad = [
        (
            PredictedNeed {
                window_s: 0,
                ..good.clone()
            },
            "E-NEED-INVALID",
        ),
        (
            PredictedNeed {
                window_start: -1,
                ..good.clone()
            },
            "E-NEED-INVALID",
        ),
        (
            PredictedNeed {
                service: "other".to_owned(),
                ..good.clone()
            },
            "E-NEED-INVALID",
        ),
        (
            PredictedNeed {
                regions: vec!["mars".to_owned()],
                ..good.clone()
            },
            "E-NEED-INVALID",
        ),
        (
            PredictedNeed {
                magnitude: 5,
                ..canary.clone()
            },
            "E-NEED-INVALID",
        ),
        (
            PredictedNeed {
                magnitude: 0,
                ..good.clone()
            },
            "E-PARAM-TYPE",
        ),
        (
            PredictedNeed {
                params: BTreeMap::from([("replicas".to_owned(), json!(3))]),
                ..good.clone()
            },
            "E-NEED-INVALID",
        ),
        (
            PredictedNeed {
                params: BTreeMap::from([("replcas".to_owned(), json!(3))]),
                ..good.clone()
            },
            "E-PARAM-UNKNOWN",
        ),
        (
            PredictedNeed {
                params: BTreeMap::from([("canary_percent".to_owned(), json!(51))]),
                ..canary
            },
            "E-PARAM-TYPE",
        ),
    ];
    for (need, code) in bad {
        let error = generate(&need).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    let mut definition = fixture::definition();
    definition.stage_templates.clear();
    let error = generate_stage_definition(&definition, &good).unwrap_err();
    assert_eq!(error.code(), "E-NEED-UNSERVED");
}

#[test]
fn the_longest_service_name_still_gives_legal_names() {
    let mut instance = fixture::instance();
    instance.service = format!("a{}", "-long".repeat(12));
    let definition =
        crate::definition::resolve(&crate::template::TemplateSet::builtin(), &instance).unwrap();
    for kind in NeedType::ALL {
        let need = PredictedNeed {
            service: instance.service.clone(),
            ..fixture::need(kind)
        };
        generate_stage_definition(&definition, &need).unwrap();
    }
}

#[test]
fn the_stored_form_reads_back() {
    for kind in NeedType::ALL {
        let stage = fixture::stage(kind);
        let text = crate::canonical::pretty(&stage);
        let again: StageDefinition = serde_json::from_str(&text).unwrap();
        assert_eq!(again, stage);
        assert_eq!(again.revision(), stage.revision());
    }
}
