//! `prestage lpt log`: why each stage of a pipelines repository exists.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use prestage_lpt::{LogEntry, NeedOrigin};
use prestage_telemetry::Timestamp;

use super::super::{OutputArgs, print_table};
use super::repository::open;
use crate::output::{Cell, Table};

/// Arguments of `lpt log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// Only this service.
    #[arg(long)]
    service: Option<String>,
    /// At most so many entries, newest first.
    #[arg(long)]
    limit: Option<usize>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &LogArgs) -> Result<()> {
    let repository = open(&args.repository)?;
    let entries = match &args.service {
        Some(service) => {
            repository.definition(service)?;
            repository.log_of(service)?
        }
        None => repository.log()?,
    };
    let mut table = Table::new(&[
        "at",
        "commit",
        "service",
        "action",
        "stage",
        "need",
        "origin",
        "arm",
        "probability",
        "threshold",
        "policy",
    ]);
    for entry in entries.iter().take(args.limit.unwrap_or(usize::MAX)) {
        table.push(row(entry));
    }
    print_table(&table, args.output)
}

fn row(entry: &LogEntry) -> Vec<Cell> {
    let number = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(value, 4));
    let text = |value: Option<String>| Cell::text(value.unwrap_or_default());
    let why = &entry.provenance;
    let reason = entry
        .reason
        .map(|reason| format!(" ({})", reason.as_str()))
        .unwrap_or_default();
    vec![
        Cell::text(Timestamp::from_seconds(entry.at).to_string()),
        Cell::text(entry.commit.short()),
        Cell::text(&entry.service),
        Cell::text(format!("{}{reason}", entry.action.as_str())),
        text(entry.stage.clone()),
        text(entry.need.map(|need| need.to_string())),
        text(why.origin.map(|origin| match origin {
            NeedOrigin::Predicted => "predicted".to_owned(),
            NeedOrigin::Requested => "requested".to_owned(),
        })),
        text(why.arm.clone()),
        number(why.probability),
        number(why.threshold),
        text(
            why.policy_hash
                .as_ref()
                .map(|hash| hash.chars().take(12).collect()),
        ),
    ]
}
