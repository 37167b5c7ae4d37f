//! One service with two regions and one need of each type, for the tests of all modules.

use std::collections::BTreeMap;

use serde_json::json;

use crate::definition::{ApplicationDefinition, resolve};
use crate::instance::{Instance, Overrides};
use crate::provenance::{NeedOrigin, Provenance, Quantile};
use crate::stage::{NeedType, PredictedNeed, StageDefinition, generate_stage_definition};
use crate::template::TemplateSet;

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
