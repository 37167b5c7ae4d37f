//! The state of one service at the head, and the commit that leads to its next state.
//!
//! Pure: planning a commit reads and writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::assembly::{Activation, Assembly, Staged};
use crate::canonical::{Revision, pretty};
use crate::definition::ApplicationDefinition;
use crate::driver::{OutputFile, driver};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::provenance::Provenance;
use crate::stage::{STAGE_FORMAT, StageDefinition, StageKey};
use crate::store::{Content, Files, Record};

use super::state::InstanceState;

const DEFINITION_FILE: &str = "definition.json";
const BASE_FILE: &str = "base.json";
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

impl StagedStage {
    /// The stage of that name among the files of a service; none when there is none.
    pub(super) fn find(service: &str, name: &str, files: &Files) -> Result<Option<Self>> {
        let file = stage_file(name);
        let path = format!("services/{service}/{file}");
        files
            .get(&file)
            .map(|bytes| Self::parse(path, &file, bytes))
            .transpose()
    }

    fn parse(path: String, file: &str, bytes: &[u8]) -> Result<Self> {
        let staged: Self = match serde_json::from_slice(bytes) {
            Ok(staged) => staged,
            Err(error) => return Err(corrupt(path, &error)),
        };
        match staged.format == STAGE_FORMAT && stage_file(&staged.stage.name) == file {
            true => Ok(staged),
            false => Err(corrupt(path, &"format or file name do not fit the content")),
        }
    }
}

/// What the head commit holds for one service.
#[derive(Clone, Debug)]
pub(super) struct LiveService {
    /// What is live, overrides included.
    pub(super) definition: Arc<ApplicationDefinition>,
    pub(super) revision: Revision,
    /// What the template alone gives: the base of the next three-way merge.
    pub(super) base: Arc<ApplicationDefinition>,
    pub(super) base_revision: Revision,
    pub(super) stages: BTreeMap<String, Arc<StagedStage>>,
    pub(super) state: Arc<InstanceState>,
    /// The folder as it was read from the store; none when this process wrote it, and the files are
    /// what the definition emits.
    pub(super) stored: Option<Arc<Files>>,
}

/// One commit that an operation wants.
pub(super) struct Planned<'a> {
    /// The folder's change; none when only the record changes.
    pub(super) content: Option<Content<'a>>,
    pub(super) records: Vec<Record>,
    pub(super) message: Message,
    /// The service after the commit; none when it has to be read back.
    pub(super) next: Option<LiveService>,
}

impl LiveService {
    /// A service whose definition is just what its template gives.
    pub(super) fn new(definition: Arc<ApplicationDefinition>, revision: Revision) -> Self {
        Self {
            base: definition.clone(),
            base_revision: revision.clone(),
            definition,
            revision,
            stages: BTreeMap::new(),
            state: Arc::default(),
            stored: None,
        }
    }

    /// Reads a service's folder and its record.
    pub(super) fn read(service: &str, files: &Files, state: InstanceState) -> Result<Self> {
        let path = |file: &str| format!("services/{service}/{file}");
        let definition_in = |file: &str, bytes: &Arc<[u8]>| {
            String::from_utf8(bytes.to_vec())
                .map_err(|error| corrupt(path(file), &error))
                .and_then(|json| ApplicationDefinition::parse(file, &json))
                .map_err(|error| corrupt(path(file), &error))
        };
        let bytes = files
            .get(DEFINITION_FILE)
            .ok_or_else(|| corrupt(path(DEFINITION_FILE), &"the file is missing"))?;
        let definition = Arc::new(definition_in(DEFINITION_FILE, bytes)?);
        let revision = definition.revision();
        // Repositories from before there were overrides have no base: nothing was overridden.
        let base = match files.get(BASE_FILE) {
            Some(base) if base != bytes => Arc::new(definition_in(BASE_FILE, base)?),
            _ => definition.clone(),
        };
        let base_revision = match Arc::ptr_eq(&base, &definition) {
            true => revision.clone(),
            false => base.revision(),
        };
        let mut stages = BTreeMap::new();
        for (file, bytes) in files
            .iter()
            .filter(|(file, _)| file.starts_with(STAGES_FOLDER))
        {
            let staged = StagedStage::parse(path(file), file, bytes)?;
            stages.insert(staged.stage.name.clone(), Arc::new(staged));
        }
        Ok(Self {
            definition,
            revision,
            base,
            base_revision,
            stages,
            state: Arc::new(state),
            stored: Some(Arc::new(files.clone())),
        })
    }

    pub(super) fn state_mut(&mut self) -> &mut InstanceState {
        Arc::make_mut(&mut self.state)
    }

    /// Refuses a stage that a rollback removed a short while ago.
    pub(super) fn check_cool_down(&self, key: &StageKey, at: i64) -> Result<()> {
        match self.state.cool_down.get(key) {
            Some(until) if at < *until => Err(Error::CoolDown {
                key: key.to_string(),
                until: *until,
            }),
            _ => Ok(()),
        }
    }

    /// Whether no run in flight still has to pass a stage that `stage` would gate.
    pub(super) fn is_safe_point(&self, stage: &StageDefinition) -> bool {
        let gates = || stage.stages.iter().flat_map(|stage| &stage.gates);
        self.state
            .pins
            .values()
            .all(|pin| gates().all(|gate| !pin.remaining.contains(gate)))
    }

    /// This state with a stage in it, after `before`.
    pub(super) fn with_stage<'a>(
        mut self,
        before: &Self,
        staged: StagedStage,
        message: Message,
    ) -> Result<Option<Planned<'a>>> {
        let file = stage_file(&staged.stage.name);
        let json = pretty(&staged).into_bytes();
        self.stages
            .insert(staged.stage.name.clone(), Arc::new(staged));
        self.planned(Some(before), vec![(file, json)], message)
    }

    /// This state without that stage, after `before`.
    pub(super) fn without_stage<'a>(
        mut self,
        before: &Self,
        name: &str,
        message: Message,
    ) -> Result<Option<Planned<'a>>> {
        self.stages.remove(name);
        let mut planned = self.planned(Some(before), Vec::new(), message)?;
        if let Some(Planned {
            content: Some(Content::Edit { remove, .. }),
            ..
        }) = &mut planned
        {
            remove.push(stage_file(name));
        }
        Ok(planned)
    }

    /// The commit that changes nothing but the record.
    pub(super) fn recorded<'a>(self, before: &Self, message: Message) -> Planned<'a> {
        assert_eq!(self.revision, before.revision, "the folder changed as well");
        Planned {
            content: None,
            records: vec![self.state.record(&self.definition.service)],
            message,
            next: Some(self),
        }
    }

    /// The commit that leads from `before` to this state, its own definition files included.
    pub(super) fn planned_with_definition<'a>(
        self,
        before: Option<&Self>,
        message: Message,
    ) -> Result<Option<Planned<'a>>> {
        let write = vec![
            (DEFINITION_FILE.to_owned(), self.definition.to_json().into()),
            (BASE_FILE.to_owned(), self.base.to_json().into()),
        ];
        self.planned(before, write, message)
    }

    fn planned<'a>(
        mut self,
        before: Option<&Self>,
        mut write: Vec<(String, Vec<u8>)>,
        message: Message,
    ) -> Result<Option<Planned<'a>>> {
        self.stored = None;
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
        let is_recorded = before.map_or(InstanceState::default(), |before| (*before.state).clone())
            == *self.state;
        let records = match is_recorded {
            true => Vec::new(),
            false => vec![self.state.record(&self.definition.service)],
        };
        Ok(Some(Planned {
            content: Some(Content::Edit { write, remove }),
            records,
            message,
            next: Some(self),
        }))
    }

    /// Whether every target can express the pipeline with `stage` active in it.
    pub(super) fn emit_with(&self, stage: &StageDefinition) -> Result<()> {
        self.emit_staged(Some(Staged {
            stage,
            activation: Activation::Active,
        }))
        .map(drop)
    }

    /// The files of all targets.
    pub(super) fn emit(&self) -> Result<Vec<OutputFile>> {
        self.emit_staged(None)
    }

    /// This state as drivers see it, with one more stage in it.
    pub(super) fn assembly<'a>(&'a self, candidate: Option<Staged<'a>>) -> Assembly<'a> {
        let staged = self.stages.values().map(|staged| Staged {
            stage: &staged.stage,
            activation: staged.activation,
        });
        Assembly {
            definition: &self.definition,
            revision: &self.revision,
            staged: staged.chain(candidate).collect(),
        }
    }

    fn emit_staged(&self, candidate: Option<Staged<'_>>) -> Result<Vec<OutputFile>> {
        let assembly = self.assembly(candidate);
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
