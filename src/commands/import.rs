//! `prestage import` and `prestage history`: histories out of what other tools recorded.
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use prestage_store::Patience;
use prestage_store::import::{
    Streams, actions, csv_runs, csv_traffic, git, openmetrics, osv, prometheus,
};
use prestage_telemetry::history::{self, StreamReport};
use prestage_telemetry::{History, Span, Timestamp};

use super::calibrate::read;
use super::{OutputArgs, print_table};
use crate::moment;
use crate::output::{Cell, Table};

/// Subcommands of `import`. Each fills its streams of a history and leaves the others as they are.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Commits, releases and dependency changes of a git repository.
    Git(GitArgs),
    /// Advisories in OSV format, joined with the dependencies that the history has.
    Osv(FileArgs),
    /// Traffic from a CSV file: time, value and, where known, service, metric, anomaly.
    Csv(CsvArgs),
    /// Traffic from OpenMetrics text whose samples have times.
    Openmetrics(OpenMetricsArgs),
    /// Runs of continuous integration from a CSV file: start, suite, duration_s and more.
    CiCsv(FileArgs),
    /// Runs of GitHub Actions from files as the REST API returns them.
    GithubActions(FileArgs),
    /// Traffic from a Prometheus server; goes on where an interrupted import stopped.
    Prometheus(PrometheusArgs),
}

/// Where the history is.
#[derive(Debug, Args)]
pub struct IntoArgs {
    /// The history to write into; made if it is absent.
    #[arg(long = "out", value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of importers of files.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The file, or a directory of files.
    path: PathBuf,
    #[command(flatten)]
    into: IntoArgs,
}

/// Arguments of `import git`.
#[derive(Debug, Args)]
pub struct GitArgs {
    /// The repository, bare or not.
    path: PathBuf,
    /// Key of the hashes that stand for authors; use a secret one before you publish a history.
    #[arg(long, default_value = "")]
    salt: String,
    /// Count the lines of each commit, which reads every file that ever changed.
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    into: IntoArgs,
}

/// Arguments of `import csv`.
#[derive(Debug, Args)]
pub struct CsvArgs {
    /// The file.
    path: PathBuf,
    /// Service of rows that name none.
    #[arg(long, default_value = "service")]
    service: String,
    /// Metric of rows that name none; docs/formats.md lists those that are demand.
    #[arg(long, default_value = "requests")]
    metric: String,
    /// Unit of the values.
    #[arg(long, default_value = "1")]
    unit: String,
    #[command(flatten)]
    into: IntoArgs,
}

/// Arguments of `import openmetrics`.
#[derive(Debug, Args)]
pub struct OpenMetricsArgs {
    /// The file.
    path: PathBuf,
    /// Service of samples without the label `service`.
    #[arg(long, default_value = "service")]
    service: String,
    /// Unit of the values.
    #[arg(long, default_value = "1")]
    unit: String,
    #[command(flatten)]
    into: IntoArgs,
}

/// Arguments of `import prometheus`.
#[derive(Debug, Args)]
pub struct PrometheusArgs {
    /// Address of the server, such as http://127.0.0.1:9090.
    url: String,
    /// What to ask for, in the server's language.
    #[arg(long)]
    query: String,
    /// First moment.
    #[arg(long, value_parser = moment::parse_timestamp)]
    from: Timestamp,
    /// Last moment.
    #[arg(long, value_parser = moment::parse_timestamp)]
    to: Timestamp,
    /// Distance of samples.
    #[arg(long, value_parser = moment::parse_span, default_value = "60s")]
    step: Span,
    /// Label that names the service; service, job or app when not given.
    #[arg(long, default_value = "")]
    service_label: String,
    /// Metric of series without a name, as after a function.
    #[arg(long, default_value = "requests_per_second")]
    metric: String,
    /// Unit of the values.
    #[arg(long, default_value = "1/s")]
    unit: String,
    /// Attempts for each request.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    attempts: u32,
    #[command(flatten)]
    into: IntoArgs,
}

/// Subcommands of `history`.
#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// Count rows, gaps and duplicates, and show at which hour of the UTC day each stream is busiest.
    Check(CheckArgs),
}

/// Arguments of `history check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Directory of the history.
    history: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(command: &ImportCommand) -> Result<()> {
    match command {
        ImportCommand::Git(args) => {
            let options = git::GitOptions {
                salt: args.salt.clone(),
                count_lines: args.lines,
            };
            write(git::import(&args.path, &options)?, &args.into)
        }
        ImportCommand::Osv(args) => {
            let history = read(&args.into.directory)?;
            write(osv::import(&args.path, &history.deps)?, &args.into)
        }
        ImportCommand::Csv(args) => {
            let options = csv_traffic::TrafficOptions {
                service: args.service.clone(),
                metric: args.metric.clone(),
                unit: args.unit.clone(),
            };
            write(csv_traffic::import(&args.path, &options)?, &args.into)
        }
        ImportCommand::Openmetrics(args) => {
            let options = openmetrics::OpenMetricsOptions {
                service: args.service.clone(),
                unit: args.unit.clone(),
            };
            write(openmetrics::import(&args.path, &options)?, &args.into)
        }
        ImportCommand::CiCsv(args) => write(csv_runs::import(&args.path)?, &args.into),
        ImportCommand::GithubActions(args) => write(actions::import(&args.path)?, &args.into),
        ImportCommand::Prometheus(args) => from_prometheus(args),
    }
}

fn from_prometheus(args: &PrometheusArgs) -> Result<()> {
    let options = prometheus::PrometheusOptions {
        url: args.url.clone(),
        query: args.query.clone(),
        start: args.from.seconds(),
        end: args.to.seconds(),
        step_s: args.step.0 / 1_000_000,
        unit: args.unit.clone(),
        service_label: args.service_label.clone(),
        metric: args.metric.clone(),
    };
    let patience = Patience {
        attempts: args.attempts,
        ..Patience::default()
    };
    let work = pieces(&args.into.directory);
    let streams = prometheus::import(&options, patience, &work)?;
    write(streams, &args.into)?;
    Ok(prometheus::finish(&work)?)
}

/// Where the pieces of an import are kept: beside the history, which holds no other files.
fn pieces(directory: &Path) -> PathBuf {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    directory.with_file_name(format!(".{name}.prometheus"))
}

fn write(streams: Streams, into: &IntoArgs) -> Result<()> {
    for note in &streams.notes {
        eprintln!("note: {note}");
    }
    let history = streams.write_into(&into.directory)?;
    eprintln!("history: {}", into.directory.display());
    print_table(&table(&history), into.output)
}

pub(super) fn history(command: &HistoryCommand) -> Result<()> {
    let HistoryCommand::Check(args) = command;
    print_table(&table(&read(&args.history)?), args.output)
}

fn table(history: &History) -> Table {
    let mut table = Table::new(&[
        "stream",
        "rows",
        "first",
        "last",
        "gaps",
        "gap_longest_s",
        "duplicates",
        "busiest_hour_utc",
    ]);
    let hours = busiest_hours(history);
    for (stream, hour) in history::check(history).streams.iter().zip(hours) {
        table.push(line(stream, hour));
    }
    table
}

fn line(stream: &StreamReport, hour: Option<usize>) -> Vec<Cell> {
    let moment = |epoch: Option<i64>| {
        let text = epoch.map(|epoch| Timestamp::from_seconds(epoch).to_string());
        text.map_or(Cell::Empty, Cell::text)
    };
    vec![
        Cell::text(&stream.name),
        Cell::Count(stream.rows),
        moment(stream.first),
        moment(stream.last),
        Cell::Count(stream.gaps),
        Cell::Count(stream.gap_longest_s.unsigned_abs()),
        Cell::Count(stream.duplicates),
        hour.map_or(Cell::Empty, |hour| Cell::Count(hour as u64)),
    ]
}

/// Times are UTC, so people who work by day somewhere show by the hour at which most happens: a stream
/// that was read in another zone stands out. In the order of the streams of a check.
fn busiest_hours(history: &History) -> Vec<Option<usize>> {
    let traffic = history.traffic.iter().map(|series| {
        let values = series
            .times
            .iter()
            .copied()
            .zip(series.values.iter().copied());
        busiest_hour(values, Weigh::Mean)
    });
    let events =
        |epochs: Vec<i64>| busiest_hour(epochs.into_iter().map(|epoch| (epoch, 1.0)), Weigh::Sum);
    let mut hours: Vec<Option<usize>> = traffic.collect();
    hours.push(events(
        history.commits.iter().map(|row| row.author_epoch).collect(),
    ));
    hours.push(events(
        history.releases.iter().map(|row| row.tag_epoch).collect(),
    ));
    hours.push(events(history.deps.iter().map(|row| row.epoch).collect()));
    hours.push(events(
        history
            .advisories
            .iter()
            .map(|row| row.publish_epoch)
            .collect(),
    ));
    hours.push(events(
        history.ci_runs.iter().map(|row| row.epoch).collect(),
    ));
    hours
}

/// What makes an hour of the day busy.
#[derive(Clone, Copy)]
enum Weigh {
    /// The mean of its samples.
    Mean,
    /// The number of its events.
    Sum,
}

fn busiest_hour(samples: impl Iterator<Item = (i64, f64)>, weigh: Weigh) -> Option<usize> {
    let mut hours = [(0.0_f64, 0_u64); 24];
    for (epoch, value) in samples {
        let hour = &mut hours[Timestamp::from_seconds(epoch).hour_of_day() as usize];
        *hour = (hour.0 + value, hour.1 + 1);
    }
    let weight = |&(sum, count): &(f64, u64)| match weigh {
        Weigh::Mean => sum / count as f64,
        Weigh::Sum => sum,
    };
    let filled = hours.iter().enumerate().filter(|(_, hour)| hour.1 > 0);
    filled
        .max_by(|a, b| weight(a.1).total_cmp(&weight(b.1)))
        .map(|(hour, _)| hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_hour_is_of_the_utc_day() {
        let nine_o_clock = [(9 * 3600, 1.0), (86_400 + 9 * 3600, 1.0), (5, 1.0)];
        assert_eq!(busiest_hour(nine_o_clock.into_iter(), Weigh::Sum), Some(9));
        let loads = [(9 * 3600, 1.0), (9 * 3600 + 60, 1.0), (5, 1.5)];
        assert_eq!(busiest_hour(loads.into_iter(), Weigh::Mean), Some(0));
        assert_eq!(busiest_hour(std::iter::empty(), Weigh::Sum), None);
    }
}
