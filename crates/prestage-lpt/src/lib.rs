//! Live pipeline templates: stages as code.
//!
//! ```text
//! templates (YAML) --extends--> chain --+
//! instance (service, params, regions) --+--> resolve --> ApplicationDefinition (canonical JSON, hash)
//!                                                            |                     |
//! PredictedNeed ------------------> generate_stage_definition +                     v
//!                                            |                     drivers: gitlab, github, argo, tekton, json
//!                                            v                                      |
//!                                   PipelineRepository: put, propose, activate, retire, roll back
//!                                            |
//!                                   Store: memory | bare git repository, one commit each
//! ```
//!
//! Must never know: forecasts, thresholds, simulation, reinforcement learning. Why a stage is made
//! arrives as an opaque [`Provenance`]. Everything up to the store is pure: no clock, no network,
//! no environment variable; times come from the caller as unix seconds.

mod adopt;
mod assembly;
#[cfg(test)]
mod bad_input;
mod canonical;
mod dag;
mod definition;
mod drift;
mod driver;
mod drivers;
mod error;
mod execution;
mod expansion;
mod expression;
#[cfg(test)]
mod fixture;
mod fleet;
#[cfg(test)]
mod hostile;
mod instance;
mod live;
mod mark;
mod merge;
mod merge3;
mod message;
mod name;
mod parameter;
mod path;
mod place;
mod plan;
mod policy;
mod promote;
mod provenance;
mod repository;
mod resolver;
mod role;
mod rules;
mod schema;
mod source;
mod stage;
mod store;
mod template;
mod update;
mod yaml;

pub use adopt::{Adoption, Match, adopt, rank};
pub use assembly::{Activation, AssembledStage, Assembly, Staged};
pub use canonical::Revision;
pub use definition::{
    ApplicationDefinition, ArgoTarget, DEFINITION_FORMAT, GithubTarget, GitlabTarget, Pipeline,
    Stage, StageTemplate, TektonTarget, When, resolve,
};
pub use drift::{Drift, FileDrift, FileDriftKind};
pub use driver::{Argo, DRIVERS, Driver, Github, Gitlab, Json, OutputFile, Tekton, driver};
pub use error::{Error, Result};
pub use execution::{StageOutcome, execute};
pub use fleet::{Check, FleetPlanner, no_check, reached_by};
pub use instance::{Instance, Overrides};
pub use live::{LivePipeline, LiveStage, LiveStaged, TargetFacts, Unmodelled};
pub use merge3::{
    Conflict, ConflictKind, Decisions, DefinitionMerge, DefinitionSides, Edit, Merge, Resolution,
    Rules, SET_FIELDS, Side, Sides, edits, merge_definitions, merge3,
};
pub use message::{Action, LogEntry, ProvenanceSummary};
pub use parameter::{Bindings, BoundParameter, Declarations, Origin, ParameterSpec, ParameterType};
pub use plan::{
    FileAction, FilePlan, FleetPlan, InstancePlan, PLAN_FORMAT, PlanAction, PlanCounts, PlanProblem,
};
pub use policy::{PathPolicy, Rule as PolicyRule};
pub use promote::{PromoteOptions, Promotion, promote};
pub use provenance::{NeedOrigin, Provenance, Quantile, Validation};
pub use repository::{
    AppliedUpdate, COOL_DOWN_S, Candidate, Commit, InstanceState, Integration, IntegrationState,
    Outcome, PendingUpdate, Pin, PipelineRepository, RetireReason, RollbackTo, STATE_FORMAT,
    StagedStage, TEMPLATES_FORMAT, Transition,
};
pub use resolver::{Resolver, instance_of};
pub use rules::{Finding, RULES, Repair, Rule, Verdict, check_rules, repaired};
pub use schema::{FileSchema, SCHEMAS, SchemaKind, check_against, check_files};
pub use source::SourceDocument;
pub use stage::{
    NeedType, PredictedNeed, STAGE_FORMAT, StageDefinition, StageKey, generate_stage_definition,
};
pub use store::{
    Change, CommitId, CommitRecord, Content, Files, FolderChange, GitStore, MemoryStore, Record,
    Store,
};
pub use template::{
    ANCESTORS_MAX, BUILTIN, CHAIN_VALUES_MAX, PARAMETERS_MAX, POLICIES_MAX, ResolvedTemplate,
    Template, TemplateDocument, TemplateSet,
};
pub use update::{
    JOURNAL_FORMAT, Journal, JournalEntry, StoredFiles, UpdateOptions, UpdateOutcome, UpdateStep,
    Verifier, journal, update,
};
