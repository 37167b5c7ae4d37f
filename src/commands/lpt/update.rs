//! `prestage lpt update`: the fleet to its templates, wave by wave.
use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use prestage_lpt::{
    FleetPlan, FleetPlanner, Journal, PipelineRepository, PlanAction, StoredFiles, UpdateOptions,
    UpdateOutcome, UpdateStep, update,
};
use prestage_telemetry::Timestamp;

use super::super::{OutputArgs, print_table};
use super::checks::CheckArgs;
use super::plan_table::print_plan;
use super::repository::{At, open};
use super::templates::TemplateArgs;
use crate::fault::GateFailed;
use crate::output::{Cell, Table};

/// Arguments of `lpt update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The pipelines repository.
    repository: PathBuf,
    #[command(flatten)]
    templates: TemplateArgs,
    #[command(flatten)]
    checks: CheckArgs,
    /// Services in the first wave.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    canary: u32,
    /// Services in each further wave.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    wave: u32,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &UpdateArgs) -> Result<()> {
    let mut repository = open(&args.repository)?;
    let at = args.at.seconds();
    let given = args.templates.given()?;
    if !given.is_empty() {
        repository.register(&given, at)?;
    }
    let templates = repository.templates()?;
    let checks = args.checks.compile()?;
    let options = UpdateOptions {
        canary: args.canary as usize,
        wave: args.wave as usize,
        at,
    };
    let check = |definition: &_| checks.definition(definition);
    let outcome = update(
        &mut repository,
        &templates,
        options,
        &check,
        &mut StoredFiles,
    )?;
    match &outcome {
        UpdateOutcome::NothingToDo(plan) => print_plan(plan, args.output)?,
        UpdateOutcome::Ended(journal) => print_journal(journal, args.output)?,
    }
    let left = FleetPlanner::new().plan(&templates, &repository, &check)?;
    check_nobody_left_behind(&repository, &outcome, &left)
}

fn check_nobody_left_behind(
    repository: &PipelineRepository,
    outcome: &UpdateOutcome,
    left: &FleetPlan,
) -> Result<()> {
    if let UpdateOutcome::Ended(journal) = outcome
        && journal.step() == UpdateStep::RolledBack
    {
        let mut newest_first = journal.entries.iter().rev();
        let why = newest_first
            .find(|entry| entry.step == UpdateStep::RollingBack)
            .map_or("", |entry| entry.note.as_str());
        return Err(GateFailed(format!("the wave was rolled back: {why}")).into());
    }
    let mut behind: BTreeSet<&str> = BTreeSet::new();
    for service in repository.services() {
        if repository.state(service)?.pending.is_some() {
            behind.insert(service);
        }
    }
    for action in [PlanAction::Conflict, PlanAction::Refused] {
        behind.extend(left.with_action(action).map(|plan| plan.service.as_str()));
    }
    let behind: Vec<&str> = behind.into_iter().collect();
    ensure!(
        behind.is_empty(),
        GateFailed(format!(
            "these keep what they have: {}\n\nhint: `prestage lpt diff` says why, `prestage lpt resolve` decides conflicts",
            behind.join(", ")
        ))
    );
    Ok(())
}

fn print_journal(journal: &Journal, output: OutputArgs) -> Result<()> {
    let mut table = Table::new(&["at", "step", "wave", "note"]);
    for entry in &journal.entries {
        table.push(vec![
            Cell::text(Timestamp::from_seconds(entry.at).to_string()),
            Cell::text(entry.step.as_str()),
            entry
                .wave
                .map_or(Cell::Empty, |wave| Cell::Count(wave as u64)),
            Cell::text(&entry.note),
        ]);
    }
    print_table(&table, output)
}
