//! Writes a corpus of generated pipelines for the conformance step.
//!
//! `cargo run -p prestage-lpt --example corpus -- DIR COUNT SEED` writes COUNT services over random
//! templates, parameters, regions and staged stages to `DIR/NNNN/`, one folder of files each, and
//! beside them `expected.json`: what the graph says of a run in which one stage fails.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use prestage_lpt::{
    Activation, Assembly, DRIVERS, Instance, NeedType, PredictedNeed, StageOutcome, Staged,
    TemplateSet, check_files, execute, generate_stage_definition, resolve,
};
use serde_json::{Value, json};

const TEMPLATES: [&str; 4] = ["base-service", "library", "progressive", "service"];
const REGIONS: [&str; 4] = ["eu-west-1", "us-east-1", "ap-south-1", "sa-east-1"];

/// SplitMix64 (Steele, Lea, Flood 2014): enough for choices, and the same on every machine.
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, seed] = arguments.as_slice() else {
        return Err("usage: corpus DIR COUNT SEED".into());
    };
    let templates = TemplateSet::builtin();
    let mut choices = Choices(seed.parse()?);
    let count: usize = count.parse()?;
    for index in 0..count {
        let folder = Path::new(folder).join(format!("{index:04}"));
        write_pipeline(&templates, &mut choices, index, &folder)?;
    }
    println!("{count} pipelines");
    Ok(())
}

fn instance(choices: &mut Choices, index: usize) -> Instance {
    let mut params: BTreeMap<String, Value> = BTreeMap::from([
        ("tekton_serialized".to_owned(), json!(true)),
        ("test_shards".to_owned(), json!(1 + choices.below(5))),
        ("timeout_minutes".to_owned(), json!(5 + choices.below(90))),
        (
            "branch".to_owned(),
            json!(choices.of(&["main", "release/2", "trunk"])),
        ),
    ]);
    if choices.below(3) == 0 {
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
        template: (*choices.of(&TEMPLATES)).to_owned(),
        params,
        regions: REGIONS[..regions]
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
        overrides: Default::default(),
    }
}

fn write_pipeline(
    templates: &TemplateSet,
    choices: &mut Choices,
    index: usize,
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    let definition = resolve(templates, &instance(choices, index))?;
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
    for driver in DRIVERS {
        let files = driver.emit(&assembly)?;
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
    Ok(())
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
