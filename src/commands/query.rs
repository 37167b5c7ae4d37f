//! `prestage query`: time-series questions to a store, and questions in SQL.
#[cfg_attr(not(feature = "sql"), path = "query/no_sql.rs")]
mod sql;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use prestage_store::{Aggregation, Damaged, Query, Rollup, Snapshot};
use prestage_telemetry::{Span, Timestamp};

use super::{OutputArgs, print_table};
use crate::moment;
use crate::output::{Cell, Table};

/// Arguments of `query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// Directory of the store.
    store: PathBuf,
    /// The metric; what there is when not given.
    #[arg(long)]
    metric: Option<String>,
    /// Only this service; may be repeated. `""` is what belongs to no service.
    #[arg(long)]
    service: Vec<String>,
    /// Keep services apart, one row for each.
    #[arg(long)]
    by_service: bool,
    /// Length of a bucket, such as 5m, 1h or 1d; one bucket for all when not given.
    #[arg(long, value_parser = moment::parse_span)]
    every: Option<Span>,
    /// What to compute, separated by commas: count, sum, mean, min, max, rate, p0 to p100.
    #[arg(long, value_delimiter = ',', default_value = "mean")]
    agg: Vec<Aggregation>,
    /// First moment: RFC 3339 or a date, UTC, or unix seconds.
    #[arg(long, value_parser = moment::parse_timestamp)]
    from: Option<Timestamp>,
    /// Moment after the last.
    #[arg(long, value_parser = moment::parse_timestamp)]
    to: Option<Timestamp>,
    /// Take percentiles of whole days from sketches (within 1 %) where that saves reading samples.
    #[arg(long)]
    approximate: bool,
    /// Ask in SQL instead, over the tables `samples` and `rollups` (needs the feature `sql`).
    #[arg(
        long,
        value_name = "SELECT",
        conflicts_with_all = ["metric", "service", "by_service", "every", "agg", "from", "to", "approximate"]
    )]
    sql: Option<String>,
    /// Write the answer to this Parquet file instead of printing it.
    #[arg(long, value_name = "FILE")]
    parquet: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &QueryArgs) -> Result<()> {
    let snapshot = Snapshot::open(&args.store)?;
    if let Some(text) = &args.sql {
        return sql::run(snapshot, text, args);
    }
    let Some(metric) = &args.metric else {
        return print_table(&metrics(&snapshot), args.output);
    };
    if !snapshot.metrics().contains_key(metric.as_str()) {
        let known: Vec<&str> = snapshot.metrics().into_keys().collect();
        bail!(
            "the store has no metric `{metric}` (known: {})",
            known.join(", ")
        );
    }
    let query = query(args, metric);
    let rollup = snapshot.query(&query)?;
    warn_of_damage(&rollup.damaged);
    if rollup.is_approximate {
        eprintln!("note: percentiles are from sketches, within 1 %");
    }
    match &args.parquet {
        Some(file) => {
            rollup.write_parquet(&query, file)?;
            eprintln!("answer: {} ({} rows)", file.display(), rollup.len());
            Ok(())
        }
        None => print_table(&table(&query, &rollup), args.output),
    }
}

fn warn_of_damage(damaged: &[Damaged]) {
    for part in damaged {
        eprintln!(
            "warning: `{}` is damaged and left out: {} (`prestage store check` puts it in quarantine)",
            part.file, part.problem
        );
    }
}

fn query(args: &QueryArgs, metric: &str) -> Query {
    let all = Query::new(metric);
    Query {
        services: args.service.clone(),
        from: args.from.unwrap_or(all.from),
        to: args.to.unwrap_or(all.to),
        every: args.every,
        aggregations: args.agg.clone(),
        by_service: args.by_service,
        approximate: args.approximate,
        ..all
    }
}

fn metrics(snapshot: &Snapshot) -> Table {
    let mut table = Table::new(&["metric", "rows"]);
    for (metric, rows) in snapshot.metrics() {
        table.push(vec![Cell::text(metric), Cell::Count(rows)]);
    }
    table
}

fn table(query: &Query, rollup: &Rollup) -> Table {
    let mut columns = vec!["time".to_owned()];
    if query.by_service {
        columns.push("service".to_owned());
    }
    columns.extend(query.aggregations.iter().map(ToString::to_string));
    let mut table = Table::named(columns);
    for row in rollup.rows() {
        let mut cells = vec![Cell::text(row.time.to_string())];
        cells.extend(row.service.map(Cell::text));
        cells.extend(
            row.values.iter().zip(&query.aggregations).map(
                |(&value, aggregation)| match aggregation {
                    Aggregation::Count => Cell::Count(value as u64),
                    _ if value.is_finite() => Cell::Number(value, 4),
                    _ => Cell::Empty,
                },
            ),
        );
        table.push(cells);
    }
    table
}
