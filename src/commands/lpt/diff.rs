//! `prestage lpt diff`: the preview of an update over the whole fleet.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use prestage_lpt::{FleetPlan, FleetPlanner, PlanAction};

use super::super::{OutputArgs, print_table};
use super::checks::CheckArgs;
use super::plan_table::print_plan;
use super::repository::open;
use super::templates::TemplateArgs;
use crate::fault::GateFailed;
use crate::output::{Cell, Table};

/// Arguments of `lpt diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The pipelines repository.
    repository: PathBuf,
    #[command(flatten)]
    templates: TemplateArgs,
    #[command(flatten)]
    checks: CheckArgs,
    /// Show each edit of this service's definition instead of one line a service.
    #[arg(long)]
    service: Option<String>,
    /// Exit with 1 when somebody could not follow: a conflict, or refused.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &DiffArgs) -> Result<()> {
    let repository = open(&args.repository)?;
    let templates = args.templates.over(repository.templates()?)?;
    let checks = args.checks.compile()?;
    let check = |definition: &_| checks.definition(definition);
    let plan = FleetPlanner::new().plan(&templates, &repository, &check)?;
    match &args.service {
        Some(service) => {
            repository.definition(service)?;
            print_table(&edits(&plan, service), args.output)?;
        }
        None => print_plan(&plan, args.output)?,
    }
    let left = |action| plan.with_action(action).count();
    let (conflicts, refused) = (left(PlanAction::Conflict), left(PlanAction::Refused));
    ensure!(
        !args.check || conflicts + refused == 0,
        GateFailed(format!("{conflicts} in conflict, {refused} refused"))
    );
    Ok(())
}

fn edits(plan: &FleetPlan, service: &str) -> Table {
    let mut table = Table::new(&["path", "before", "after"]);
    let shown = |value: &Option<serde_json::Value>| {
        let text = value.as_ref().map(ToString::to_string);
        text.map_or(Cell::Empty, Cell::text)
    };
    let of_service = plan
        .instances
        .iter()
        .filter(|known| known.service == service);
    for edit in of_service.flat_map(|instance| &instance.edits) {
        table.push(vec![
            Cell::text(&edit.path),
            shown(&edit.before),
            shown(&edit.after),
        ]);
    }
    table
}
