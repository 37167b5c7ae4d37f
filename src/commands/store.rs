//! `prestage ingest` and `prestage store`: fill a store and keep it in order.
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use prestage_store::export::openmetrics;
use prestage_store::export::remote_write::RemoteWriter;
use prestage_store::{
    Counts, DaySamples, Outcome, Patience, Query, Snapshot, Store, StoreOptions, ingest,
};
use prestage_telemetry::Timestamp;

use super::calibrate::read;
use super::{OutputArgs, print_table};
use crate::fault::GateFailed;
use crate::moment;
use crate::output::{Cell, Table};
use crate::run_folder;

/// Arguments of `ingest`.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Directory of the store; made if it is absent or empty.
    store: PathBuf,
    /// History directories, CSV telemetry streams of `prestage simulate --telemetry`, and OpenMetrics text.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Leave the samples in the log instead of sealing them into partitions.
    #[arg(long)]
    no_seal: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Subcommands of `store`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Merge partitions that came in parts, one file for each day and metric.
    Compact(StoreArgs),
    /// Downsample and remove what is older than `store.json` says.
    Retain(RetainArgs),
    /// Compare every file with its checksum; damaged ones go into quarantine (exit code 1).
    Check(StoreArgs),
    /// Make a missing or damaged manifest again from the partitions and the log (exit code 1 when one of
    /// them is damaged too).
    Rebuild(StoreArgs),
    /// Hand the raw samples of a metric to a server or a file.
    Export(ExportArgs),
}

/// Arguments of `store export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Directory of the store.
    store: PathBuf,
    /// The metric.
    #[arg(long)]
    metric: String,
    /// First moment.
    #[arg(long, value_parser = moment::parse_timestamp)]
    from: Option<Timestamp>,
    /// Moment after the last.
    #[arg(long, value_parser = moment::parse_timestamp)]
    to: Option<Timestamp>,
    /// Address of a server that speaks Prometheus remote write.
    #[arg(long, value_name = "URL", required_unless_present = "openmetrics")]
    remote_write: Option<String>,
    /// File for OpenMetrics text.
    #[arg(long, value_name = "FILE")]
    openmetrics: Option<PathBuf>,
}

/// Arguments of `store compact`, `store check` and `store rebuild`.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Directory of the store.
    store: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `store retain`.
#[derive(Debug, Args)]
pub struct RetainArgs {
    /// Directory of the store.
    store: PathBuf,
    /// The moment from which ages count; now when not given.
    #[arg(long, value_parser = moment::parse_timestamp)]
    now: Option<Timestamp>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn ingest(args: &IngestArgs) -> Result<()> {
    let mut store = Store::open_or_create(&args.store, &StoreOptions::default())?;
    report_recovered(&store);
    let mut table = Table::new(&["source", "accepted", "out_of_order", "rejected"]);
    for source in &args.sources {
        let outcome = take(&mut store, source)?;
        for (reason, rejection) in &outcome.rejected {
            eprintln!(
                "warning: {} samples refused, {}; the first: {}",
                rejection.count,
                reason.words(),
                rejection.first
            );
        }
        table.push(vec![
            Cell::text(source.display().to_string()),
            Cell::Count(outcome.accepted),
            Cell::Count(outcome.out_of_order),
            Cell::Count(outcome.rejected_count()),
        ]);
    }
    if !args.no_seal {
        let counts = store.seal()?;
        eprintln!(
            "sealed: {} rows in {} files, {} duplicates dropped",
            counts.rows, counts.written, counts.duplicates
        );
    }
    print_table(&table, args.output)
}

fn take(store: &mut Store, source: &Path) -> Result<Outcome> {
    if source.is_dir() {
        let history = read(source)?;
        let repository = history.world.repo.clone().unwrap_or_default();
        return Ok(ingest::history(store, &history, &repository)?);
    }
    let cannot_read = || format!("cannot read `{}`", source.display());
    let mut file = BufReader::new(File::open(source).with_context(cannot_read)?);
    // A telemetry stream begins with its header, OpenMetrics text with the type of its first metric.
    let is_openmetrics = file.fill_buf().with_context(cannot_read)?.starts_with(b"#");
    let outcome = if is_openmetrics {
        let text = std::io::read_to_string(file).with_context(cannot_read)?;
        ingest::openmetrics(store, &text)
    } else {
        ingest::stream(store, file)
    };
    outcome.with_context(|| format!("`{}`", source.display()))
}

pub(super) fn run(command: &StoreCommand) -> Result<()> {
    match command {
        StoreCommand::Compact(args) => {
            let mut store = open(&args.store)?;
            let mut counts = store.seal()?;
            counts.merge(store.compact()?);
            print_table(&table(&counts), args.output)
        }
        StoreCommand::Retain(args) => {
            let now = args.now.unwrap_or_else(moment::now);
            let counts = open(&args.store)?.retain(now)?;
            print_table(&table(&counts), args.output)
        }
        StoreCommand::Check(args) => check(args),
        StoreCommand::Rebuild(args) => rebuild(args),
        StoreCommand::Export(args) => export(args),
    }
}

fn check(args: &StoreArgs) -> Result<()> {
    let report = open(&args.store)?.check()?;
    eprintln!(
        "{} files with {} rows are sound; {} were in quarantine before",
        report.sound, report.rows, report.quarantined_before
    );
    show_damaged(&report.damaged, args.output)
}

fn rebuild(args: &StoreArgs) -> Result<()> {
    let rebuilt = Store::rebuild(&args.store)?;
    eprintln!(
        "rebuilt: {} partitions with {} rows; {} files that others had replaced are gone",
        rebuilt.parts, rebuilt.rows, rebuilt.superseded
    );
    show_damaged(&rebuilt.damaged, args.output)
}

/// Prints the damaged files with their problems, and fails the gate when there is one.
fn show_damaged(damaged: &[(String, String)], output: OutputArgs) -> Result<()> {
    let mut table = Table::new(&["file", "problem"]);
    for (file, problem) in damaged {
        table.push(vec![Cell::text(file), Cell::text(problem)]);
    }
    print_table(&table, output)?;
    if damaged.is_empty() {
        return Ok(());
    }
    let count = damaged.len();
    Err(GateFailed(format!("{count} files are damaged and in quarantine now")).into())
}

fn export(args: &ExportArgs) -> Result<()> {
    let snapshot = Snapshot::open(&args.store)?;
    let all = Query::new(&args.metric);
    let query = Query {
        from: args.from.unwrap_or(all.from),
        to: args.to.unwrap_or(all.to),
        ..all
    };
    if let Some(url) = &args.remote_write {
        let mut writer = RemoteWriter::new(url, Patience::default())?;
        each_sample(&snapshot, &query, &mut |day| {
            Ok(writer.push(
                &day.series.metric,
                &day.series.service,
                &day.times,
                &day.values,
            )?)
        })?;
        let sent = writer.finish()?;
        eprintln!(
            "remote write: {} samples taken, {} refused",
            sent.accepted, sent.refused
        );
        if let Some(said) = sent.first_refusal {
            return Err(GateFailed(format!("the server refused samples: {said}")).into());
        }
    }
    if let Some(file) = &args.openmetrics {
        let mut text = String::new();
        openmetrics::write_head(&mut text, &args.metric);
        // The samples of a series stand together: service by service, not day by day.
        for service in snapshot.services(&args.metric)? {
            let query = Query {
                services: vec![service],
                ..query.clone()
            };
            each_sample(&snapshot, &query, &mut |day| {
                openmetrics::write_samples(&mut text, &day.series, &day.times, &day.values);
                Ok(())
            })?;
        }
        openmetrics::write_end(&mut text);
        run_folder::write_file(file, text.as_bytes())?;
        eprintln!("openmetrics: {}", file.display());
    }
    Ok(())
}

/// Calls `each` with the samples of each series and day, days in order.
fn each_sample(
    snapshot: &Snapshot,
    query: &Query,
    each: &mut dyn FnMut(DaySamples) -> Result<()>,
) -> Result<()> {
    for day in snapshot.days(query) {
        let (samples, damaged) = snapshot.samples(query, day)?;
        for part in damaged {
            eprintln!(
                "warning: `{}` is damaged and left out: {}",
                part.file, part.problem
            );
        }
        samples.into_iter().try_for_each(&mut *each)?;
    }
    Ok(())
}

fn open(root: &Path) -> Result<Store> {
    let store = Store::open(root)?;
    report_recovered(&store);
    Ok(store)
}

fn report_recovered(store: &Store) {
    let recovered = store.recovered();
    if recovered.rows > 0 {
        eprintln!("{} samples read back from the log", recovered.rows);
    }
    if recovered.torn_bytes > 0 {
        eprintln!(
            "{} bytes at the end of the log were never acknowledged and are dropped",
            recovered.torn_bytes
        );
    }
    if recovered.damaged_frames > 0 {
        eprintln!(
            "warning: {} damaged frames in the log; their samples are lost, the log is kept in quarantine",
            recovered.damaged_frames
        );
    }
}

fn table(counts: &Counts) -> Table {
    let mut table = Table::new(&["rows", "duplicates", "written", "removed"]);
    table.push(vec![
        Cell::Count(counts.rows),
        Cell::Count(counts.duplicates),
        Cell::Count(counts.written),
        Cell::Count(counts.removed),
    ]);
    table
}
