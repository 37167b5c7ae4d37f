//! The definition itself as a target: canonical JSON for tools that read no CI format.
//!
//! Nothing is lost, so analysis is parsing. Reference: `docs/formats.md`.

use serde::{Deserialize, Serialize};

use crate::assembly::{Activation, Assembly};
use crate::canonical::pretty;
use crate::definition::ApplicationDefinition;
use crate::driver::{Driver, OutputFile, only_file};
use crate::error::{Error, Result};
use crate::live::{LivePipeline, TargetFacts};
use crate::stage::StageDefinition;

const NAME: &str = "json";
/// Version of the file.
const FORMAT: u32 = 1;

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Json;

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonFile {
    /// 1.
    pub format: u32,
    /// The definition.
    pub definition: ApplicationDefinition,
    /// Staged stages in the order of their names.
    pub staged: Vec<StagedEntry>,
}

/// A staged stage and whether it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StagedEntry {
    /// Whether it runs.
    pub activation: Activation,
    /// The stage.
    pub stage: StageDefinition,
}

impl Driver for Json {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "canonical JSON: the definition and its staged stages, for other tools"
    }

    fn version(&self) -> u32 {
        1
    }

    fn emit(&self, assembly: &Assembly<'_>) -> Result<Vec<OutputFile>> {
        assembly.stages()?;
        let staged = assembly.staged.iter().map(|staged| StagedEntry {
            activation: staged.activation,
            stage: staged.stage.clone(),
        });
        let file = JsonFile {
            format: FORMAT,
            definition: assembly.definition.clone(),
            staged: staged.collect(),
        };
        Ok(vec![OutputFile {
            path: format!("prestage/{}.json", assembly.definition.service),
            bytes: pretty(&file).into_bytes(),
        }])
    }

    fn analyze(&self, files: &[OutputFile]) -> Result<LivePipeline> {
        let (path, text) = only_file(NAME, files)?;
        let file: JsonFile = serde_json::from_str(text).map_err(|error| Error::LiveParse {
            driver: NAME,
            file: path.to_owned(),
            message: error.to_string(),
        })?;
        let revision = file.definition.revision();
        let assembly = Assembly {
            definition: &file.definition,
            revision: &revision,
            staged: file
                .staged
                .iter()
                .map(|entry| crate::assembly::Staged {
                    stage: &entry.stage,
                    activation: entry.activation,
                })
                .collect(),
        };
        assembly.stages()?;
        Ok(LivePipeline::of(&assembly, self.facts(&assembly)))
    }

    fn facts(&self, assembly: &Assembly<'_>) -> TargetFacts {
        TargetFacts::Json(Box::new(assembly.definition.clone()))
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(JsonFile)
    }
}
