//! `prestage lpt put`: templates and instances into a pipelines repository.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use prestage_lpt::{Commit, Instance, Outcome, PipelineRepository, Resolver, SourceDocument};

use super::super::{OutputArgs, print_table};
use super::files::read_bytes;
use super::repository::{At, open_or_make};
use crate::fault::GateFailed;
use crate::output::{Cell, Table};

/// Arguments of `lpt put`.
#[derive(Debug, Args)]
pub struct PutArgs {
    /// The pipelines repository; made when nothing is there.
    repository: PathBuf,
    /// Templates (with a `name`) and instances (with a `service`), in YAML or JSON.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &PutArgs) -> Result<()> {
    let mut templates = Vec::new();
    let mut instances = Vec::new();
    for path in &args.files {
        let file = path.display().to_string();
        match SourceDocument::parse_bytes(&file, &read_bytes(path)?)? {
            SourceDocument::Template(template) => templates.push(template),
            SourceDocument::Instance(instance) => instances.push(*instance),
        }
    }
    let mut repository = open_or_make(&args.repository)?;
    let at = args.at.seconds();
    let mut table = Table::new(&["kind", "name", "outcome", "commit"]);
    if !templates.is_empty() {
        let commit = repository.register(&templates, at)?;
        for template in &templates {
            table.push(row(
                "template",
                template.name(),
                outcome_of(&commit),
                &commit,
            ));
        }
    }
    let mut waiting = Vec::new();
    for instance in &instances {
        let (outcome, commit) = put(&mut repository, instance, at)?;
        if matches!(outcome, "conflict" | "held") {
            waiting.push(format!("`{}` ({outcome})", instance.service));
        }
        table.push(row("instance", &instance.service, outcome, &commit));
    }
    print_table(&table, args.output)?;
    ensure!(
        waiting.is_empty(),
        GateFailed(format!(
            "these keep what they have: {}\n\nhint: `prestage lpt resolve` decides conflicts, `prestage lpt release` ends holds",
            waiting.join(", ")
        ))
    );
    Ok(())
}

/// A service that is there already keeps its own edits: its new instance is merged into it.
fn put(
    repository: &mut PipelineRepository,
    instance: &Instance,
    at: i64,
) -> Result<(&'static str, Commit)> {
    let templates = repository.templates()?;
    let candidate = Resolver::new(&templates).candidate_for(instance)?;
    let service = instance.service.as_str();
    if !repository.services().any(|known| known == service) {
        let commit = repository.put_service(&candidate.theirs, at)?;
        return Ok((outcome_of(&commit), commit));
    }
    let commit = repository.apply(&candidate, at)?;
    let state = repository.state(service)?;
    let is_pending = state
        .pending
        .as_ref()
        .is_some_and(|pending| pending.candidate == candidate.revision);
    let outcome = match (is_pending, state.holds.contains(&candidate.revision)) {
        (true, _) => "conflict",
        (_, true) => "held",
        _ => outcome_of(&commit),
    };
    Ok((outcome, commit))
}

fn outcome_of(commit: &Commit) -> &'static str {
    match commit.outcome {
        Outcome::Committed => "committed",
        Outcome::Unchanged => "unchanged",
    }
}

fn row(kind: &str, name: &str, outcome: &str, commit: &Commit) -> Vec<Cell> {
    vec![
        Cell::text(kind),
        Cell::text(name),
        Cell::text(outcome),
        Cell::text(commit.id.short()),
    ]
}
