//! Writes a corpus of generated pipelines for the conformance step.
//!
//! `cargo run -p prestage-lpt --example corpus -- DIR COUNT SEED` writes COUNT services over random
//! templates, parameters, regions and staged stages to `DIR/NNNN/`, one folder of files each, and
//! beside them `expected.json`: what the graph says of a run in which one stage fails. What a target
//! cannot express has no file for that target.

mod choices;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use prestage_lpt::{
    Activation, Assembly, DRIVERS, Instance, NeedType, PredictedNeed, StageOutcome, Staged,
    TemplateSet, check_files, execute, generate_stage_definition, resolve,
};
use serde_json::{Value, json};

use choices::Choices;

const REGIONS: [&str; 4] = ["eu-west-1", "us-east-1", "ap-south-1", "sa-east-1"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, seed] = arguments.as_slice() else {
        return Err("usage: corpus DIR COUNT SEED".into());
    };
    let mut choices = Choices::new(seed.parse()?);
    let count: usize = count.parse()?;
    let mut unsupported = 0;
    for index in 0..count {
        let folder = Path::new(folder).join(format!("{index:04}"));
        unsupported += write_pipeline(&mut choices, index, &folder)?;
    }
    println!("{count} pipelines; {unsupported} times a target could not express one");
    Ok(())
}

fn instance(choices: &mut Choices, index: usize, template: String) -> Instance {
    let mut params: BTreeMap<String, Value> = BTreeMap::from([
        ("tekton_serialized".to_owned(), json!(true)),
        ("test_shards".to_owned(), json!(1 + choices.below(5))),
        ("timeout_minutes".to_owned(), json!(5 + choices.below(90))),
        (
            "branch".to_owned(),
            json!(choices.of(&["main", "release/2", "trunk"])),
        ),
    ]);
    if choices.once_in(3) {
        params.insert(
            "image".to_owned(),
            json!(format!(
                "docker.io/library/debian@sha256:{}",
                "5".repeat(64)
            )),
        );
    }
    let regions = 1 + choices.below(REGIONS.len());
    Instance {
        service: format!("svc-{index}"),
        template,
        params,
        regions: REGIONS[..regions]
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        overrides: Default::default(),
    }
}

/// Writes the files of every target; how many targets could not express the pipeline.
fn write_pipeline(
    choices: &mut Choices,
    index: usize,
    folder: &Path,
) -> Result<usize, Box<dyn Error>> {
    let mut templates = TemplateSet::builtin();
    let template = templates::add_random(&mut templates, choices, index)?;
    let definition = resolve(&templates, &instance(choices, index, template))?;
    let revision = definition.revision();
    let kinds: Vec<NeedType> = definition.stage_templates.keys().copied().collect();
    let need = PredictedNeed {
        service: definition.service.clone(),
        need: *choices.of(&kinds),
        regions: Vec::new(),
        window_start: 1_700_000_000 + 300 * index as i64,
        window_s: 300,
        magnitude: 0,
        params: BTreeMap::new(),
    };
    let magnitude = match need.need {
        NeedType::Scaling | NeedType::TestSuite => 1 + choices.below(6) as i64,
        _ => 0,
    };
    let stage = generate_stage_definition(&definition, &PredictedNeed { magnitude, ..need })?;
    let activation = *choices.of(&[Activation::Active, Activation::Inactive]);
    let staged = match choices.below(4) {
        0 => Vec::new(),
        _ => vec![Staged {
            stage: &stage,
            activation,
        }],
    };
    let assembly = Assembly {
        definition: &definition,
        revision: &revision,
        staged,
    };
    let mut unsupported = 0;
    for driver in DRIVERS {
        let files = match driver.emit(&assembly) {
            Ok(files) => files,
            Err(error) if error.code() == "E-TARGET-UNSUPPORTED" => {
                unsupported += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        check_files(*driver, &files)?;
        for file in files {
            let path = folder.join(&file.path);
            let parent = path.parent().ok_or("every file has a folder")?;
            std::fs::create_dir_all(parent)?;
            std::fs::write(&path, &file.bytes)?;
        }
    }
    let expected = expected(&assembly, choices)?;
    std::fs::write(folder.join("expected.json"), expected.to_string())?;
    Ok(unsupported)
}

/// One run in three has no failure; in the others one stage fails.
fn expected(assembly: &Assembly<'_>, choices: &mut Choices) -> Result<Value, Box<dyn Error>> {
    let stages = assembly.stages()?;
    let failing: BTreeSet<String> = match choices.below(3) {
        0 => BTreeSet::new(),
        _ => BTreeSet::from([choices.of(&stages).stage.name.clone()]),
    };
    let outcomes = execute(&stages, &failing);
    let named = |wanted: StageOutcome| -> Vec<&String> {
        outcomes
            .iter()
            .filter(|(_, outcome)| **outcome == wanted)
            .map(|(name, _)| name)
            .collect()
    };
    let needs: BTreeMap<&String, &Vec<String>> = stages
        .iter()
        .map(|stage| (&stage.stage.name, &stage.needs))
        .collect();
    Ok(json!({
        "branch": assembly.definition.pipeline.branch,
        "failing": failing,
        "succeeded": named(StageOutcome::Succeeded),
        "failed": named(StageOutcome::Failed),
        "skipped": named(StageOutcome::Skipped),
        "needs": needs,
    }))
}
