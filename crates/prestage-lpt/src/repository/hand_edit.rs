//! Edits that somebody made by hand in an emitted file, taken into the definition.
//!
//! A file that is not what its definition emits is read back by its driver. What it says is then
//! ours, as if the definition had been edited: it becomes an override in a commit of its own, before
//! anything else is written. What a definition cannot hold (a file that is gone, that does not
//! parse, that says something the stage model has no word for) holds the service instead; the file
//! stays as it is. Comments and layout are no part of what a file says.

use std::sync::Arc;

use crate::assembly::Assembly;
use crate::canonical::to_value;
use crate::definition::ApplicationDefinition;
use crate::drift::{FileDrift, FileDriftKind, file_drift};
use crate::driver::{Driver, OutputFile, driver};
use crate::error::{Error, Result};
use crate::live::{LivePipeline, LiveStage, TargetFacts};
use crate::merge3::{Decisions, DefinitionMerge, DefinitionSides, Rules, merge_definitions};
use crate::message::Message;
use crate::store::Files;

use super::live::LiveService;
use super::{Change, FolderChange, PipelineRepository};

/// What the files of a service say beyond its definition.
#[derive(Clone, Debug)]
pub(super) struct HandEdit {
    /// The definition as the files have it; the live one when only comments or layout differ.
    pub(super) definition: ApplicationDefinition,
    /// The edited files.
    pub(super) paths: Vec<String>,
}

impl PipelineRepository {
    /// Takes edits by hand into the definition of a service, by a commit of its own. Whether the
    /// head moved; fails when a file cannot be taken over.
    pub(super) fn take_over(&mut self, service: &str, at: i64) -> Result<bool> {
        let Some(live) = self.services.get(service) else {
            return Ok(false);
        };
        let Some(edit) = live.hand_edit()? else {
            return Ok(false);
        };
        if edit.definition == *live.definition {
            return Ok(false);
        }
        let next = live.edited(edit.definition);
        let message = Message::take_over(service, &next.revision, &edit.paths);
        let Some(planned) = next.planned_with_definition(Some(live), message)? else {
            return Ok(false);
        };
        let folder = planned
            .content
            .map(|content| FolderChange { service, content });
        let change = Change {
            folder,
            records: planned.records,
            message: planned.message.to_string(),
            at,
        };
        match self.store.commit(self.head.as_ref(), &change) {
            Ok(id) => drop(self.committed(service, id, planned.next)?),
            Err(Error::RefMoved { .. }) => self.reload()?,
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

impl LiveService {
    /// The edits by hand in the files that were read with this state; none when the files are what
    /// the definition emits.
    pub(super) fn hand_edit(&self) -> Result<Option<HandEdit>> {
        let Some(stored) = &self.stored else {
            return Ok(None);
        };
        let assembly = self.assembly(None);
        let mut definition = (*self.definition).clone();
        let mut paths = Vec::new();
        for target in &self.definition.pipeline.targets {
            let driver = driver(target)?;
            let emitted = driver.emit(&assembly)?;
            let drift = file_drift(&emitted, stored);
            if drift.is_empty() {
                continue;
            }
            let found = Found {
                live: self,
                driver,
                drift: &drift,
            };
            let said = found.said(&assembly, &emitted, stored)?;
            definition = found.joined(definition, &said)?;
            paths.extend(drift.into_iter().map(|file| file.path));
        }
        match paths.is_empty() {
            true => Ok(None),
            false => Ok(Some(HandEdit { definition, paths })),
        }
    }

    /// This state with what the files say taken over.
    pub(super) fn with_hand_edit(&self) -> Result<Self> {
        match self.hand_edit()? {
            Some(edit) if edit.definition != *self.definition => Ok(self.edited(edit.definition)),
            _ => Ok(self.clone()),
        }
    }

    /// This state with another definition over the same base.
    pub(super) fn edited(&self, definition: ApplicationDefinition) -> Self {
        Self {
            revision: definition.revision(),
            definition: Arc::new(definition),
            ..self.clone()
        }
    }
}

/// The edited files of one target.
struct Found<'a> {
    live: &'a LiveService,
    driver: &'static dyn Driver,
    drift: &'a [FileDrift],
}

impl Found<'_> {
    /// The definition as the files of this target have it.
    fn said(
        &self,
        assembly: &Assembly<'_>,
        emitted: &[OutputFile],
        stored: &Files,
    ) -> Result<ApplicationDefinition> {
        if let Some(file) = self
            .drift
            .iter()
            .find(|file| file.kind == FileDriftKind::Missing)
        {
            return Err(self.held(&file.path, "the file is gone".to_owned()));
        }
        let files: Vec<OutputFile> = emitted
            .iter()
            .filter_map(|file| {
                let bytes = stored.get(&file.path)?.to_vec();
                let path = file.path.clone();
                Some(OutputFile { path, bytes })
            })
            .collect();
        let live = self.driver.analyze(&files)?;
        self.check_origin(&live, &files)?;
        let first = &self.drift[0].path;
        if let Some(foreign) = live.unmodelled.first() {
            let reason = format!("no stage can say `{}`: {}", foreign.path, foreign.what);
            return Err(self.held(first, reason));
        }
        let expected = LivePipeline::of(assembly, self.driver.facts(assembly));
        if staged(&live).ne(staged(&expected)) {
            let reason = "a staged stage was changed; withdraw it instead".to_owned();
            return Err(self.held(first, reason));
        }
        let said = live.definition_over(&self.live.definition);
        ApplicationDefinition::checked(first, to_value(&said))
            .map_err(|problem| self.held(first, problem.to_string()))
    }

    /// Files that were made from another definition say nothing about edits of this one: then it
    /// was `definition.json` that somebody edited, without what follows from it.
    fn check_origin(&self, live: &LivePipeline, files: &[OutputFile]) -> Result<()> {
        let is_of_this = |file: &OutputFile| match &live.target {
            TargetFacts::Json(whole) => **whole == *self.live.definition,
            _ => stated_revision(&file.bytes)
                .is_none_or(|stated| stated == self.live.revision.as_str()),
        };
        match files.iter().find(|file| !is_of_this(file)) {
            Some(file) => {
                let reason = "it is not of the definition beside it; `lpt edit` changes both";
                Err(self.held(&file.path, reason.to_owned()))
            }
            None => Ok(()),
        }
    }

    /// What this target's files say together with what those of other targets said before.
    fn joined(
        &self,
        before: ApplicationDefinition,
        said: &ApplicationDefinition,
    ) -> Result<ApplicationDefinition> {
        let sides = DefinitionSides {
            base: &self.live.definition,
            ours: said,
            theirs: &before,
        };
        let rules = Rules {
            policies: &[],
            decisions: &Decisions::new(),
        };
        match merge_definitions(sides, rules) {
            DefinitionMerge::Clean(definition) => Ok(*definition),
            DefinitionMerge::Conflicted(conflicts) => {
                let at = conflicts.first().map_or("", |conflict| &conflict.path);
                let reason = format!("files of other targets say something else at `{at}`");
                Err(self.held(&self.drift[0].path, reason))
            }
        }
    }

    fn held(&self, path: &str, reason: String) -> Error {
        Error::LiveDrift {
            service: self.live.definition.service.clone(),
            path: path.to_owned(),
            reason,
        }
    }
}

/// The revision of the definition that an emitted file says it was made from; none when somebody
/// took the heading away.
fn stated_revision(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.lines()
        .filter(|line| line.contains("definition"))
        .find_map(|line| {
            let last = line.split_whitespace().next_back()?;
            let last = last.trim_matches(['"', '\'']);
            let is_revision = last.len() == 64 && last.bytes().all(|b| b.is_ascii_hexdigit());
            is_revision.then_some(last)
        })
}

fn staged(live: &LivePipeline) -> impl Iterator<Item = &LiveStage> {
    live.stages.iter().filter(|stage| stage.staged.is_some())
}

#[cfg(test)]
mod tests;
