//! `prestage lpt`: templates to pipeline files, and the repository of pipelines.
//!
//! One file a subcommand. Exit codes: 0 done, 1 a gate failed (a rule, a conflict, drift that was
//! checked for), 2 the input is wrong, 3 the outside world is.
mod adopt;
mod analyze;
mod checks;
mod diff;
mod drift;
mod drivers;
mod edit;
mod files;
mod integrate;
mod lint;
mod log;
mod plan_table;
mod promote;
mod put;
mod release;
mod render;
mod repository;
mod resolve;
mod rollback;
mod schema;
mod templates;
mod update;

use anyhow::Result;
use clap::Subcommand;

/// Subcommands of `lpt`.
#[derive(Debug, Subcommand)]
pub enum LptCommand {
    /// Render an instance, with a stage staged if asked, to the files of its targets.
    Render(render::RenderArgs),
    /// Judge pipelines by the rules; exits with 1 when one fails.
    Lint(lint::LintArgs),
    /// Read a target's files back into stages.
    Analyze(analyze::AnalyzeArgs),
    /// Bring a pipeline that nobody manages under a template.
    Adopt(adopt::AdoptArgs),
    /// Register templates in a pipelines repository and write the pipelines of instances.
    Put(put::PutArgs),
    /// Show what templates would do to every service, before anything is touched.
    Diff(diff::DiffArgs),
    /// Bring every service to the templates, canary first, wave by wave; goes on where a killed
    /// update stopped.
    Update(update::UpdateArgs),
    /// List or decide the conflicts between a service's edits and its template.
    Resolve(resolve::ResolveArgs),
    /// Change a service's definition; every later update keeps the change.
    Edit(edit::EditArgs),
    /// Show how far services are from what their templates give.
    Drift(drift::DriftArgs),
    /// Turn a service's edit into an edit of its template, and show whom that would reach.
    Promote(promote::PromoteArgs),
    /// Move a service's proposals into its pipeline.
    Integrate(integrate::IntegrateArgs),
    /// Show why each stage of a pipelines repository exists.
    Log(log::LogArgs),
    /// Restore an earlier state of a service's pipeline, byte for byte, by a new commit.
    Rollback(rollback::RollbackArgs),
    /// Let updates reach a service again that was rolled back from one.
    Release(release::ReleaseArgs),
    /// Print a JSON Schema: of our own documents, or of what a driver writes.
    Schema(schema::SchemaArgs),
    /// List the targets.
    Drivers(drivers::DriversArgs),
}

pub(super) fn run(command: &LptCommand) -> Result<()> {
    match command {
        LptCommand::Render(args) => render::run(args),
        LptCommand::Lint(args) => lint::run(args),
        LptCommand::Analyze(args) => analyze::run(args),
        LptCommand::Adopt(args) => adopt::run(args),
        LptCommand::Put(args) => put::run(args),
        LptCommand::Diff(args) => diff::run(args),
        LptCommand::Update(args) => update::run(args),
        LptCommand::Resolve(args) => resolve::run(args),
        LptCommand::Edit(args) => edit::run(args),
        LptCommand::Drift(args) => drift::run(args),
        LptCommand::Promote(args) => promote::run(args),
        LptCommand::Integrate(args) => integrate::run(args),
        LptCommand::Log(args) => log::run(args),
        LptCommand::Rollback(args) => rollback::run(args),
        LptCommand::Release(args) => release::run(args),
        LptCommand::Schema(args) => schema::run(args),
        LptCommand::Drivers(args) => drivers::run(args),
    }
}
