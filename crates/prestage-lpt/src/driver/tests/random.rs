//! Random pipelines of every feature that the stage model has.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::definition::{ApplicationDefinition, Stage, When};
use crate::fixture;

/// The fixture with further stages behind its own, so that stages for every need find what they
/// wait for.
pub(super) fn definition() -> impl Strategy<Value = ApplicationDefinition> {
    let extra = vec((stage(), vec(any::<prop::sample::Index>(), 0..4)), 0..6);
    (extra, any::<bool>(), any::<bool>()).prop_map(|(extra, has_tags, is_serialized)| {
        let mut definition = fixture::serialized();
        for (index, (mut stage, needs)) in extra.into_iter().enumerate() {
            stage.name = match &stage.region {
                Some(region) => format!("extra-{index}-{region}"),
                None => format!("extra-{index}"),
            };
            stage.group = format!("extra-{index}");
            let known: Vec<&String> = definition.stages.iter().map(|known| &known.name).collect();
            let mut needs: Vec<String> = needs
                .iter()
                .map(|need| known[need.index(known.len())].clone())
                .collect();
            needs.sort();
            needs.dedup();
            stage.needs = needs;
            definition.stages.push(stage);
        }
        if has_tags {
            definition.pipeline.gitlab.tags = vec!["large".to_owned()];
        }
        if let Some(tekton) = &mut definition.pipeline.tekton {
            tekton.serialized = is_serialized;
        }
        definition
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    let line = "[a-z\"$' |&;(){}#:*!-]{1,30}[a-z]";
    let fields = (
        option::of(Just("eu-west-1".to_owned())),
        prop::sample::select(vec![
            When::OnSuccess,
            When::OnSuccess,
            When::OnFailure,
            When::Manual,
        ]),
        option::of("[a-z]{1,8}/[a-z]{1,8}:[0-9]"),
        vec(line, 1..4),
        btree_map("[A-Z]{3,8}X", "[^\\p{C}]{0,20}", 0..4),
        option::of(1_u32..9),
    );
    let more = (
        1_u32..1_440,
        option::of("[a-z]{1,9}-[a-z]{1,9}"),
        option::of("[a-z]{1,9}"),
        vec("[a-z]{1,8}/[a-z]{1,8}", 0..3),
        0_u32..3,
    );
    (fields, more).prop_map(
        |(
            (region, when, image, script, env, shards),
            (minutes, environment, exclusive, artifacts, retry),
        )| Stage {
            name: String::new(),
            group: String::new(),
            region,
            needs: Vec::new(),
            gates: Vec::new(),
            when,
            image,
            script,
            env: env.into_iter().collect::<BTreeMap<String, String>>(),
            shards,
            timeout_minutes: minutes,
            environment,
            exclusive,
            artifacts,
            retry,
        },
    )
}
