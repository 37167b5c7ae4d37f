//! The state of one service at the head, and the commit that leads to its next state.
//!
//! Pure: planning a commit reads and writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::assembly::{Activation, Assembly, Staged};
use crate::canonical::{Revision, pretty, to_value};
use crate::definition::ApplicationDefinition;
use crate::driver::{OutputFile, driver};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::provenance::Provenance;
use crate::stage::{STAGE_FORMAT, StageDefinition};
use crate::store::{Content, Files};

pub(super) const DEFINITION_FILE: &str = "definition.json";
const STAGES_FOLDER: &str = "stages/";

/// A staged stage as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagedStage {
    /// [`STAGE_FORMAT`].
    pub format: u32,
    /// Whether it takes part in every run.
    pub activation: Activation,
    /// Unix seconds.
    pub proposed_at: i64,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<i64>,
    /// What runs.
    pub stage: StageDefinition,
    /// Why it exists.
    pub provenance: Provenance,
}

/// What the head commit holds for one service.
#[derive(Clone, Debug)]
pub(super) struct LiveService {
    pub(super) definition: Arc<ApplicationDefinition>,
    pub(super) revision: Revision,
    pub(super) stages: BTreeMap<String, Arc<StagedStage>>,
}

/// One commit that an operation wants.
pub(super) struct Planned<'a> {
    pub(super) content: Content<'a>,
    pub(super) message: Message,
    /// The service after the commit; none when it has to be read back.
    pub(super) next: Option<LiveService>,
}

impl LiveService {
    /// Reads a service's folder.
    pub(super) fn read(service: &str, files: &Files) -> Result<Self> {
        let path = |file: &str| format!("services/{service}/{file}");
        let text = |file: &str, bytes: &Arc<[u8]>| {
            String::from_utf8(bytes.to_vec()).map_err(|error| corrupt(path(file), &error))
        };
        let bytes = files
            .get(DEFINITION_FILE)
            .ok_or_else(|| corrupt(path(DEFINITION_FILE), &"the file is missing"))?;
        let definition = text(DEFINITION_FILE, bytes)
            .and_then(|json| ApplicationDefinition::parse(DEFINITION_FILE, &json))
            .map_err(|error| corrupt(path(DEFINITION_FILE), &error))?;
        let mut stages = BTreeMap::new();
        for (file, bytes) in files
            .iter()
            .filter(|(file, _)| file.starts_with(STAGES_FOLDER))
        {
            let staged: StagedStage =
                serde_json::from_slice(bytes).map_err(|error| corrupt(path(file), &error))?;
            if staged.format != STAGE_FORMAT || stage_file(&staged.stage.name) != *file {
                return Err(corrupt(
                    path(file),
                    &"format or file name do not fit the content",
                ));
            }
            stages.insert(staged.stage.name.clone(), Arc::new(staged));
        }
        Ok(Self {
            revision: definition.revision(),
            definition: Arc::new(definition),
            stages,
        })
    }

    pub(super) fn with_stage<'a>(
        &self,
        staged: Arc<StagedStage>,
        message: Message,
    ) -> Result<Option<Planned<'a>>> {
        let file = stage_file(&staged.stage.name);
        let json = pretty(&to_value(staged.as_ref())).into_bytes();
        let mut next = self.clone();
        next.stages.insert(staged.stage.name.clone(), staged);
        next.planned(Some(self), vec![(file, json)], message)
    }

    pub(super) fn without_stage<'a>(
        &self,
        name: &str,
        message: Message,
    ) -> Result<Option<Planned<'a>>> {
        let mut next = self.clone();
        next.stages.remove(name);
        let mut planned = next.planned(Some(self), Vec::new(), message)?;
        if let Some(Planned {
            content: Content::Edit { remove, .. },
            ..
        }) = &mut planned
        {
            remove.push(stage_file(name));
        }
        Ok(planned)
    }

    /// The commit that leads from `before` to this state.
    pub(super) fn planned<'a>(
        self,
        before: Option<&Self>,
        mut write: Vec<(String, Vec<u8>)>,
        message: Message,
    ) -> Result<Option<Planned<'a>>> {
        let outputs = self.emit()?;
        // Only a change of the targets can leave a file behind.
        let remove = match before {
            Some(before)
                if before.definition.pipeline.targets != self.definition.pipeline.targets =>
            {
                before
                    .emit()?
                    .into_iter()
                    .map(|file| file.path)
                    .filter(|path| outputs.iter().all(|output| output.path != *path))
                    .collect()
            }
            _ => Vec::new(),
        };
        write.extend(outputs.into_iter().map(|file| (file.path, file.bytes)));
        Ok(Some(Planned {
            content: Content::Edit { write, remove },
            message,
            next: Some(self),
        }))
    }

    /// The files of all targets.
    fn emit(&self) -> Result<Vec<OutputFile>> {
        let assembly = Assembly {
            definition: &self.definition,
            revision: &self.revision,
            staged: self
                .stages
                .values()
                .map(|staged| Staged {
                    stage: &staged.stage,
                    activation: staged.activation,
                })
                .collect(),
        };
        let mut files = Vec::new();
        for target in &self.definition.pipeline.targets {
            files.extend(driver(target)?.emit(&assembly)?);
        }
        Ok(files)
    }
}

fn stage_file(name: &str) -> String {
    format!("{STAGES_FOLDER}{name}.json")
}

fn corrupt(path: String, message: &dyn std::fmt::Display) -> Error {
    Error::StoreCorrupt {
        path,
        message: message.to_string(),
    }
}
