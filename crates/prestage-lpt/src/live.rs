//! A pipeline as a target's files say it: what analysis reads back.
//!
//! The inverse of a driver gives a [`LivePipeline`]. For files that prestage wrote it equals what
//! [`LivePipeline::of`] says of the assembly; for files written by hand it holds what the stage
//! model can say, and names everything else under [`LivePipeline::unmodelled`]. Knows no target's
//! syntax.

use serde::{Deserialize, Serialize};

use crate::assembly::{Activation, Assembly};
use crate::dag;
use crate::definition::{
    ApplicationDefinition, ArgoTarget, GithubTarget, GitlabTarget, Stage, TektonTarget,
};
use crate::error::Result;
use crate::mark::Marks;

/// What a file says about its target beyond the stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetFacts {
    /// GitLab CI.
    Gitlab(GitlabTarget),
    /// GitHub Actions; none when the file checks nothing out.
    Github(Option<GithubTarget>),
    /// Argo Workflows.
    Argo(ArgoTarget),
    /// Tekton Pipelines.
    Tekton(TektonTarget),
    /// The whole definition, which says it for all targets.
    Json(Box<ApplicationDefinition>),
}

/// Something in a file that the stage model cannot say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unmodelled {
    /// Where it stands.
    pub path: String,
    /// What it is.
    pub what: String,
}

/// The staged stage that a live stage belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveStaged {
    /// Its name.
    pub name: String,
    /// The first 32 digits of its key.
    pub key: String,
    /// Whether it runs.
    pub activation: Activation,
}

/// One stage of a live pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveStage {
    /// What runs, with its own needs: edges that come from gates are taken out again.
    pub stage: Stage,
    /// None for the service's own stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<LiveStaged>,
}

/// A pipeline as a target's files say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LivePipeline {
    /// The pipeline's name: the service for files that prestage wrote.
    pub service: String,
    /// The branch whose commits are deployed; empty when the files do not say.
    pub branch: String,
    /// The target.
    pub target: TargetFacts,
    /// The stages in the files' order.
    pub stages: Vec<LiveStage>,
    /// What the stage model cannot say; empty for files that prestage wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmodelled: Vec<Unmodelled>,
}

impl LivePipeline {
    /// What the files of an assembly must read back as.
    pub(crate) fn of(assembly: &Assembly<'_>, target: TargetFacts) -> Self {
        let own = assembly.definition.stages.iter().map(|stage| LiveStage {
            stage: stage.clone(),
            staged: None,
        });
        let staged = assembly.staged.iter().flat_map(|staged| {
            staged.stage.stages.iter().map(|stage| LiveStage {
                stage: stage.clone(),
                staged: Some(LiveStaged {
                    name: staged.stage.name.clone(),
                    key: staged.stage.key.short().to_owned(),
                    activation: staged.activation,
                }),
            })
        });
        Self {
            service: assembly.definition.service.clone(),
            branch: assembly.definition.pipeline.branch.clone(),
            target,
            stages: own.chain(staged).collect(),
            unmodelled: Vec::new(),
        }
    }

    /// The service's own stages, staged ones left out.
    pub fn own_stages(&self) -> Vec<Stage> {
        self.stages
            .iter()
            .filter(|live| live.staged.is_none())
            .map(|live| live.stage.clone())
            .collect()
    }

    /// The same pipeline with other stages of its own; staged ones stay, after them.
    pub fn with_own_stages(&self, stages: Vec<Stage>) -> Self {
        let own = stages.into_iter().map(|stage| LiveStage {
            stage,
            staged: None,
        });
        let staged = self.stages.iter().filter(|live| live.staged.is_some());
        Self {
            stages: own.chain(staged.cloned()).collect(),
            ..self.clone()
        }
    }

    /// `base` as it would be if it said what is live. Parameters and stage templates are not in
    /// a target's files and stay as they are; files that nobody edited give `base` itself back.
    pub fn definition_over(&self, base: &ApplicationDefinition) -> ApplicationDefinition {
        let mut definition = base.clone();
        definition.stages = self.own_stages();
        if !self.branch.is_empty() {
            definition.pipeline.branch.clone_from(&self.branch);
        }
        match &self.target {
            TargetFacts::Gitlab(target) => definition.pipeline.gitlab = target.clone(),
            TargetFacts::Github(Some(target)) => definition.pipeline.github = target.clone(),
            TargetFacts::Github(None) => {}
            TargetFacts::Argo(target) => definition.pipeline.argo = Some(target.clone()),
            TargetFacts::Tekton(target) => definition.pipeline.tekton = Some(target.clone()),
            TargetFacts::Json(whole) => definition = (**whole).clone(),
        }
        definition
    }

    /// The pipeline of the stages that an analysis found. Fails when their edges make no graph.
    pub(crate) fn found(
        service: String,
        branch: String,
        target: TargetFacts,
        jobs: Vec<FoundJob>,
        unmodelled: Vec<Unmodelled>,
    ) -> Result<Self> {
        let nodes: Vec<dag::Node<'_>> = jobs.iter().map(FoundJob::node).collect();
        dag::check(&service, &nodes)?;
        let mut stages: Vec<LiveStage> = jobs.into_iter().map(FoundJob::into_stage).collect();
        take_gate_edges(&mut stages);
        Ok(Self {
            service,
            branch,
            target,
            stages,
            unmodelled,
        })
    }
}

/// One job of a file on its way to a stage.
pub(crate) struct FoundJob {
    /// The job, group and region not yet known.
    pub(crate) stage: Stage,
    pub(crate) marks: Marks,
    /// Whether the job runs only when its key is named.
    pub(crate) is_inactive: bool,
}

impl FoundJob {
    fn node(&self) -> dag::Node<'_> {
        dag::Node {
            name: &self.stage.name,
            needs: &self.stage.needs,
        }
    }

    fn into_stage(self) -> LiveStage {
        let Self {
            mut stage,
            marks,
            is_inactive,
        } = self;
        stage.group = marks.group.unwrap_or_else(|| stage.name.clone());
        stage.region = marks.region;
        stage.gates = marks.gates;
        stage.shards = marks.shards.or(stage.shards);
        let activation = match is_inactive {
            true => Activation::Inactive,
            false => Activation::Active,
        };
        LiveStage {
            stage,
            staged: marks.staged.map(|(name, key)| LiveStaged {
                name,
                key,
                activation,
            }),
        }
    }
}

/// An active stage's gates became needs of the stages that they name; here they leave again.
fn take_gate_edges(stages: &mut [LiveStage]) {
    let gating: Vec<(String, Vec<String>)> = stages
        .iter()
        .filter(|live| {
            let staged = live.staged.as_ref();
            staged.is_some_and(|staged| staged.activation == Activation::Active)
        })
        .map(|live| (live.stage.name.clone(), live.stage.gates.clone()))
        .collect();
    for live in stages {
        let gates_this = |needed: &String| {
            gating
                .iter()
                .any(|(name, gates)| name == needed && gates.contains(&live.stage.name))
        };
        live.stage.needs.retain(|needed| !gates_this(needed));
    }
}
