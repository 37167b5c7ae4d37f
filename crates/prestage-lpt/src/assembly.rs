//! The pipeline as drivers see it: the service's stages and the staged ones in one graph.
//!
//! Here an active staged stage gates the service's stages; an inactive one touches nothing, so
//! that withdrawing it changes nothing either. Knows no target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::Revision;
use crate::dag;
use crate::definition::{ApplicationDefinition, Stage};
use crate::error::Result;
use crate::stage::StageDefinition;

/// Whether a staged stage takes part in every run or waits to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Committed, but runs only when a person names its key.
    Inactive,
    /// Part of every run.
    Active,
}

/// A staged stage beside the pipeline that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Staged<'a> {
    /// The stage.
    pub stage: &'a StageDefinition,
    /// Whether it runs.
    pub activation: Activation,
}

/// Everything that a driver turns into files.
#[derive(Clone, Debug)]
pub struct Assembly<'a> {
    /// The service's definition.
    pub definition: &'a ApplicationDefinition,
    /// Its revision, which costs a hash over the whole document.
    pub revision: &'a Revision,
    /// Staged stages, in the order of their names.
    pub staged: Vec<Staged<'a>>,
}

/// One stage with its final edges.
#[derive(Clone, Debug)]
pub struct AssembledStage<'a> {
    /// What runs.
    pub stage: &'a Stage,
    /// What it waits for, gates of active stages included.
    pub needs: Vec<String>,
    /// The staged stage that it belongs to; none for the service's own.
    pub staged: Option<Staged<'a>>,
}

impl AssembledStage<'_> {
    pub(crate) fn node(&self) -> dag::Node<'_> {
        dag::Node {
            name: &self.stage.name,
            needs: &self.needs,
        }
    }

    /// The heading under which a target may list it: its group, or the staged stage.
    pub fn lane(&self) -> &str {
        match self.staged {
            Some(staged) => &staged.stage.name,
            None => &self.stage.group,
        }
    }
}

impl<'a> Assembly<'a> {
    /// All stages in an order that respects their needs. Fails when staged stages wait for each
    /// other or for something that the service no longer has.
    pub fn stages(&self) -> Result<Vec<AssembledStage<'a>>> {
        let listed = self.assembled();
        let order = self.order(&listed)?;
        Ok(order
            .into_iter()
            .map(|index| listed[index].clone())
            .collect())
    }

    /// All stages in the order of the definition, then of the staged stages. Files list them so,
    /// because an edge that comes from a gate may not reorder a service's own stages. Fails as
    /// [`Assembly::stages`] does.
    pub fn listed(&self) -> Result<Vec<AssembledStage<'a>>> {
        let listed = self.assembled();
        self.order(&listed).map(|_| listed)
    }

    fn order(&self, assembled: &[AssembledStage<'_>]) -> Result<Vec<usize>> {
        let nodes: Vec<dag::Node<'_>> = assembled.iter().map(AssembledStage::node).collect();
        dag::check(&self.definition.service, &nodes)
    }

    fn assembled(&self) -> Vec<AssembledStage<'a>> {
        let parts: Vec<(&'a [Stage], Activation)> = self
            .staged
            .iter()
            .map(|staged| (staged.stage.stages.as_slice(), staged.activation))
            .collect();
        let mut assembled = assemble(self.definition, &parts);
        let owners = self
            .staged
            .iter()
            .flat_map(|staged| staged.stage.stages.iter().map(move |_| *staged));
        for (stage, owner) in assembled[self.definition.stages.len()..]
            .iter_mut()
            .zip(owners)
        {
            stage.staged = Some(owner);
        }
        assembled
    }
}

/// The service's stages, then the parts' stages, with the gates of active parts as edges.
pub(crate) fn assemble<'a>(
    definition: &'a ApplicationDefinition,
    parts: &[(&'a [Stage], Activation)],
) -> Vec<AssembledStage<'a>> {
    let all = definition
        .stages
        .iter()
        .chain(parts.iter().flat_map(|(stages, _)| *stages));
    let mut assembled: Vec<AssembledStage<'a>> = all
        .map(|stage| AssembledStage {
            stage,
            needs: stage.needs.clone(),
            staged: None,
        })
        .collect();
    let active = parts
        .iter()
        .filter(|(_, activation)| *activation == Activation::Active)
        .flat_map(|(stages, _)| *stages);
    for gating in active {
        for gated in assembled
            .iter_mut()
            .filter(|assembled| gating.gates.contains(&assembled.stage.name))
        {
            gated.needs.push(gating.name.clone());
        }
    }
    assembled
}
