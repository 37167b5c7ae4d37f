//! `prestage lpt drift`: how far services are from what their templates give.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use prestage_lpt::Edit;

use super::super::{OutputArgs, print_table};
use super::plan_table::problem_cell;
use super::repository::open;
use crate::fault::GateFailed;
use crate::output::{Cell, Table};

/// Arguments of `lpt drift`.
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// Only this service.
    #[arg(long)]
    service: Option<String>,
    /// Exit with 1 when a file was edited by hand.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &DriftArgs) -> Result<()> {
    let repository = open(&args.repository)?;
    let services: Vec<&str> = match &args.service {
        Some(service) => vec![service],
        None => repository.services().collect(),
    };
    let mut table = Table::new(&["service", "what", "path", "before", "after", "held"]);
    let mut edited = 0;
    for service in services {
        let drift = repository.drift(service)?;
        edited += drift.files.len();
        for edit in &drift.overrides {
            table.push(row(service, "override", edit));
        }
        for edit in &drift.hand_edits {
            table.push(row(service, "edit by hand", edit));
        }
        for file in &drift.files {
            table.push(vec![
                Cell::text(service),
                Cell::text(format!("file {}", file.kind.as_str())),
                Cell::text(&file.path),
                Cell::Empty,
                Cell::Empty,
                problem_cell(drift.problem.as_ref()),
            ]);
        }
    }
    print_table(&table, args.output)?;
    ensure!(
        !args.check || edited == 0,
        GateFailed(format!("files that are not what was emitted: {edited}"))
    );
    Ok(())
}

fn row(service: &str, what: &str, edit: &Edit) -> Vec<Cell> {
    let shown = |value: &Option<serde_json::Value>| {
        let text = value.as_ref().map(ToString::to_string);
        text.map_or(Cell::Empty, Cell::text)
    };
    vec![
        Cell::text(service),
        Cell::text(what),
        Cell::text(&edit.path),
        shown(&edit.before),
        shown(&edit.after),
        Cell::Empty,
    ]
}
