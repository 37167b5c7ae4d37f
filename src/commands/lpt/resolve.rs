//! `prestage lpt resolve`: lists and decides the conflicts of a service.
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use prestage_lpt::{Conflict, Decisions, Resolution, Side};

use super::super::{OutputArgs, print_table};
use super::repository::{At, open};
use crate::fault::GateFailed;
use crate::output::{Cell, Table};

/// A side of a conflict on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Take {
    /// What is live.
    Ours,
    /// What the new template gives.
    Theirs,
}

/// Arguments of `lpt resolve`.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// The service.
    service: String,
    /// The conflict to decide, by its path; without it the pending conflicts are listed.
    #[arg(long, value_name = "PATH", requires = "decision")]
    path: Option<String>,
    /// Take a side.
    #[arg(long, group = "decision", requires = "path")]
    take: Option<Take>,
    /// Take this JSON value.
    #[arg(long, group = "decision", requires = "path", value_name = "JSON")]
    value: Option<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &ResolveArgs) -> Result<()> {
    let mut repository = open(&args.repository)?;
    if let (Some(path), Some(resolution)) = (&args.path, resolution(args)?) {
        let decisions = Decisions::from([(path.clone(), resolution)]);
        repository.resolve(&args.service, &decisions, args.at.seconds())?;
    }
    let pending = &repository.state(&args.service)?.pending;
    let conflicts = pending
        .as_ref()
        .map_or(&[][..], |pending| &pending.conflicts);
    print_table(&listed(conflicts), args.output)?;
    ensure!(
        args.path.is_none() || conflicts.is_empty(),
        GateFailed(format!(
            "`{}` keeps what it has: {} left to decide",
            args.service,
            conflicts.len()
        ))
    );
    Ok(())
}

fn resolution(args: &ResolveArgs) -> Result<Option<Resolution>> {
    if let Some(text) = &args.value {
        return Ok(Some(Resolution::Value(json_value(text)?)));
    }
    Ok(args.take.map(|take| match take {
        Take::Ours => Resolution::Ours,
        Take::Theirs => Resolution::Theirs,
    }))
}

/// Reads the value of a flag `--value`.
pub(super) fn json_value(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).with_context(|| {
        format!("`--value {text}` is not JSON\n\nhint: text needs quotes of its own: '\"x\"'")
    })
}

fn listed(conflicts: &[Conflict]) -> Table {
    let shown = |value: &Option<serde_json::Value>| {
        Cell::text(value.as_ref().map_or_else(String::new, ToString::to_string))
    };
    let mut table = Table::new(&[
        "path",
        "kind",
        "base",
        "ours",
        "theirs",
        "suggested",
        "message",
    ]);
    for conflict in conflicts {
        table.push(vec![
            Cell::text(&conflict.path),
            Cell::text(conflict.kind.as_str()),
            shown(&conflict.base),
            shown(&conflict.ours),
            shown(&conflict.theirs),
            Cell::text(match conflict.suggested {
                Side::Ours => "ours",
                Side::Theirs => "theirs",
            }),
            Cell::text(&conflict.message),
        ]);
    }
    table
}
