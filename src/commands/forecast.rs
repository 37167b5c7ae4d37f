//! `prestage forecast`: what forecasters are worth on recorded series.
mod events;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use prestage_forecast::backtest::Scores;
use prestage_forecast::series::{Entry, FORECASTERS, forecaster};
use prestage_telemetry::Span;
use rayon::ThreadPoolBuilder;
use serde_json::{Value, json};

use super::{OutputArgs, print, print_table};
use crate::backtest::{
    self, Comparison, EventSummary, ModelSummary, Options, Part, Recorded, SeriesResult, Task,
    summarize,
};
use crate::moment;
use crate::output::{Cell, Format, Table};
use crate::report::{self, Backtested, TaskResult};
use crate::run_folder;
use crate::statistics::Interval;

/// What `forecast` does.
#[derive(Debug, Subcommand)]
pub enum ForecastCommand {
    /// Walk forecasters through recorded series and score what they said on the way.
    Backtest(BacktestArgs),
}

/// Arguments of `forecast backtest`.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// A history, a CSV file `timestamp,value` or `epoch,value`, a directory of such files, or a table
    /// of the releases of packages.
    #[arg(required = true, value_name = "HISTORY|CSV|DIR")]
    paths: Vec<PathBuf>,
    /// Average series over slots of this length, such as `1h`; hours and five minutes if not given.
    #[arg(long, value_parser = moment::parse_span)]
    step: Option<Span>,
    /// Slots ahead: a day of hours and an hour of five minutes if not given.
    #[arg(long, value_name = "SLOTS")]
    horizon: Option<usize>,
    /// Compare this forecaster only, beside seasonal naive and persistence; may be repeated.
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// Which part of each series is scored.
    #[arg(long, value_enum, default_value_t = PartName::Evaluation)]
    part: PartName,
    /// Most origins of a series, evenly spread.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    origins: u32,
    /// How far ahead event needs are forecast.
    #[arg(long, value_parser = moment::parse_span, default_value = "24h", value_name = "TIME")]
    event_horizon: Span,
    /// Threads to use; all cores when 0. Results do not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Write an HTML page, figures as SVG, tables as CSV and everything as JSON into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only this table, in any format; what it does not need is not computed.
    #[arg(long, value_enum)]
    table: Option<TableName>,
    #[command(flatten)]
    output: OutputArgs,
}

/// [`Part`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartName {
    /// The first half, on which the forecasters' settings were chosen.
    Tuning,
    /// The second half.
    Evaluation,
}

/// A table of the output.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TableName {
    /// Forecasters, over all series.
    Series,
    /// Need models, over all event streams.
    Events,
    /// Need models, stream by stream, with a verdict.
    Streams,
}

pub(super) fn run(command: &ForecastCommand) -> Result<()> {
    match command {
        ForecastCommand::Backtest(args) => run_backtest(args),
    }
}

fn run_backtest(args: &BacktestArgs) -> Result<()> {
    let options = options(args)?;
    let recorded = backtest::read(&args.paths)?;
    let pool = ThreadPoolBuilder::new().num_threads(args.threads).build()?;
    let series = || pool.install(|| compared_series(&recorded, &options));
    let events = || {
        let horizon = args.event_horizon;
        let mut events =
            pool.install(|| backtest::compare_events(&recorded.events, options.part, horizon));
        events.extend(backtest::compare_fixes(&recorded.signals, options.part));
        events
    };
    let Some(folder) = &args.out else {
        return show(args, &options, series, events);
    };
    let (comparison, events) = (series()?, events());
    let fans = pool.install(|| backtest::fans(&recorded.series, &comparison, &options))?;
    let found = Backtested {
        command: command(args, &recorded),
        tasks: TaskResult::of(&comparison, &options),
        events: events.clone(),
        fans,
    };
    write(folder, &found, (&comparison, &options))?;
    eprintln!("page: {}", folder.join("index.html").display());
    show(args, &options, || Ok(comparison), || events)
}

/// Prints what was asked for and computes no more.
fn show(
    args: &BacktestArgs,
    options: &Options,
    series: impl FnOnce() -> Result<Comparison>,
    events: impl FnOnce() -> Vec<EventSummary>,
) -> Result<()> {
    let output = args.output;
    match (args.table, output.format) {
        (Some(TableName::Events), _) => print_table(&events::table(&events()), output),
        (Some(TableName::Streams), _) => print_table(&events::verdict_table(&events()), output),
        (Some(TableName::Series), _) | (None, Format::Csv) => {
            print_table(&as_table(&series()?, options), output)
        }
        (None, Format::Json) => print(&whole_json(&series()?, options, &events())?),
        (None, Format::Table) => {
            print_table(&as_table(&series()?, options), output)?;
            print_events(&events(), output)
        }
    }
}

fn compared_series(recorded: &Recorded, options: &Options) -> Result<Comparison> {
    if recorded.series.is_empty() && !recorded.events.is_empty() {
        bail!("no series was given\n\nhint: `--table streams` judges events alone");
    }
    let comparison = backtest::compare(&recorded.series, options)?;
    for name in &comparison.too_short {
        eprintln!("note: `{name}` is too short to be scored");
    }
    if comparison.series.is_empty() {
        bail!(
            "none of {} series is long enough to be scored\n\nhint: a series needs some dozens of \
             slots; `--step` makes slots shorter",
            recorded.series.len()
        );
    }
    Ok(comparison)
}

fn print_events(events: &[EventSummary], output: OutputArgs) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    print("\n")?;
    print_table(&events::table(events), output)?;
    print("\n")?;
    print_table(&events::verdict_table(events), output)
}

/// The page with its figures, and the numbers for programs.
fn write(
    folder: &Path,
    found: &Backtested,
    (comparison, options): (&Comparison, &Options),
) -> Result<()> {
    run_folder::create_folder(folder)?;
    report::write_backtest(folder, found)?;
    let files = [
        (
            "models.csv",
            as_table(comparison, options).render(Format::Csv)?,
        ),
        (
            "series.csv",
            series_table(comparison, options).render(Format::Csv)?,
        ),
        (
            "events.csv",
            events::table(&found.events).render(Format::Csv)?,
        ),
        (
            "streams.csv",
            events::verdict_table(&found.events).render(Format::Csv)?,
        ),
        (
            "backtest.json",
            whole_json(comparison, options, &found.events)?,
        ),
    ];
    for (name, text) in files {
        run_folder::write_file(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// What was called, in words that are the same on every machine: no paths, no threads.
fn command(args: &BacktestArgs, recorded: &Recorded) -> String {
    let part = match args.part {
        PartName::Tuning => "tuning",
        PartName::Evaluation => "evaluation",
    };
    let mut words = format!(
        "prestage forecast backtest ({} series, {} event streams) --part {part} --origins {}",
        recorded.series.len(),
        recorded.events.len(),
        args.origins
    );
    for model in &args.models {
        words.push_str(" --model ");
        words.push_str(model);
    }
    words
}

fn options(args: &BacktestArgs) -> Result<Options> {
    let default = |step: Span| {
        let horizon = if step >= Span::from_minutes(30) {
            24
        } else {
            12
        };
        Task {
            step,
            horizon: args.horizon.unwrap_or(horizon),
        }
    };
    let steps = match args.step {
        Some(step) => vec![step],
        None => vec![Span::from_hours(1), Span::from_minutes(5)],
    };
    Ok(Options {
        tasks: steps.into_iter().map(default).collect(),
        entries: chosen(&args.models)?,
        part: match args.part {
            PartName::Tuning => Part::Tuning,
            PartName::Evaluation => Part::Evaluation,
        },
        origins_max: args.origins as usize,
    })
}

/// The forecasters named, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Entry>> {
    if names.is_empty() {
        return Ok(FORECASTERS.iter().collect());
    }
    names.iter().map(|name| known(name)).collect()
}

fn known(name: &str) -> Result<&'static Entry> {
    let Some(entry) = forecaster(name) else {
        let names: Vec<&str> = FORECASTERS.iter().map(|entry| entry.name).collect();
        bail!(
            "unknown forecaster `{name}` (known: {})\n\nhint: `prestage list forecasters` describes \
             each",
            names.join(", ")
        );
    };
    Ok(entry)
}

/// The results of one task.
fn of_task(comparison: &Comparison, task: usize) -> Vec<&SeriesResult> {
    let all = comparison.series.iter();
    all.filter(|series| series.task == task).collect()
}

fn whole_json(
    comparison: &Comparison,
    options: &Options,
    events: &[EventSummary],
) -> Result<String> {
    let mut value = as_json(comparison, options);
    value["events"] = events.iter().map(events::json).collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

/// All series together, then task by task.
fn as_json(comparison: &Comparison, options: &Options) -> Value {
    let all: Vec<&SeriesResult> = comparison.series.iter().collect();
    let mut value = summary_json(comparison, &all);
    let tasks: Vec<Value> = options
        .tasks
        .iter()
        .enumerate()
        .map(|(i, task)| {
            let mut value = summary_json(comparison, &of_task(comparison, i));
            value["step_s"] = json!(task.step.as_seconds());
            value["horizon"] = json!(task.horizon);
            value
        })
        .collect();
    value["tasks"] = Value::Array(tasks);
    value
}

/// The default forecaster's figures on top, those of all below.
fn summary_json(comparison: &Comparison, series: &[&SeriesResult]) -> Value {
    let models = summarize(comparison, series);
    let first = &models[0];
    json!({
        "series": series.len(),
        "relative_mase": first.relative_mase.map(|ratio| ratio.estimate),
        "relative_crps": first.relative_crps.map(|ratio| ratio.estimate),
        "coverage90": first.coverage[1],
        "models": models.iter().map(model_json).collect::<Vec<Value>>(),
    })
}

fn model_json(model: &ModelSummary) -> Value {
    let bounds = |ratio: Option<Interval>| ratio.map(|ratio| [ratio.lower, ratio.upper]);
    json!({
        "name": model.name,
        "mase": model.mase,
        "relative_mase": model.relative_mase.map(|ratio| ratio.estimate),
        "relative_mase_interval": bounds(model.relative_mase),
        "scaled_crps": model.scaled_crps,
        "relative_crps": model.relative_crps.map(|ratio| ratio.estimate),
        "relative_crps_interval": bounds(model.relative_crps),
        "coverage80": model.coverage[0],
        "coverage90": model.coverage[1],
        "coverage95": model.coverage[2],
        "coverage80_interval": bounds(model.coverage_interval[0]),
        "coverage90_interval": bounds(model.coverage_interval[1]),
        "coverage95_interval": bounds(model.coverage_interval[2]),
        "pit": model.pit,
        "fallbacks": model.fallbacks,
    })
}

fn as_table(comparison: &Comparison, options: &Options) -> Table {
    let mut table = Table::new(&[
        "step",
        "series",
        "model",
        "mase",
        "relative_mase",
        "lower",
        "upper",
        "scaled_crps",
        "relative_crps",
        "crps_lower",
        "crps_upper",
        "coverage80",
        "coverage90",
        "coverage95",
    ]);
    for (i, task) in options.tasks.iter().enumerate() {
        let series = of_task(comparison, i);
        if series.is_empty() {
            continue;
        }
        for model in summarize(comparison, &series) {
            table.push(row(*task, series.len(), &model));
        }
    }
    table
}

fn row(task: Task, series: usize, model: &ModelSummary) -> Vec<Cell> {
    let number = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(value, 3));
    let (ratio, crps) = (model.relative_mase, model.relative_crps);
    let mut cells = vec![
        Cell::text(task.step.to_string()),
        Cell::Count(series as u64),
        Cell::text(model.name),
        number(model.mase),
        number(ratio.map(|ratio| ratio.estimate)),
        number(ratio.map(|ratio| ratio.lower)),
        number(ratio.map(|ratio| ratio.upper)),
        number(model.scaled_crps),
        number(crps.map(|ratio| ratio.estimate)),
        number(crps.map(|ratio| ratio.lower)),
        number(crps.map(|ratio| ratio.upper)),
    ];
    cells.extend(model.coverage.map(|share| Cell::Number(share, 3)));
    cells
}

/// Every forecaster on every series.
fn series_table(comparison: &Comparison, options: &Options) -> Table {
    let mut table = Table::new(&[
        "step",
        "series",
        "model",
        "origins",
        "forecasts",
        "mae",
        "mase",
        "relative_mase",
        "crps",
        "scaled_crps",
        "relative_crps",
        "coverage80",
        "coverage90",
        "coverage95",
        "fallbacks",
    ]);
    let baseline = comparison.seasonal_naive();
    let number = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(value, 3));
    for one in &comparison.series {
        for (model, entry) in comparison.entries.iter().enumerate() {
            let walk = &one.walks[model];
            let (mae, crps) = (walk.scores.mean_absolute_error(), walk.scores.crps());
            let ratio = |loss| number(one.ratio(model, baseline, loss));
            let scaled = |loss| number(one.scaled(model, loss));
            let mut cells = vec![
                Cell::text(options.tasks[one.task].step.to_string()),
                Cell::text(one.name.clone()),
                Cell::text(entry.name),
                Cell::Count(walk.origins),
                Cell::Count(walk.scores.forecasts),
                Cell::Number(mae, 3),
                scaled(Scores::mean_absolute_error),
                ratio(Scores::mean_absolute_error),
                Cell::Number(crps, 3),
                scaled(Scores::crps),
                ratio(Scores::crps),
            ];
            let coverage = walk.scores.coverage();
            cells.extend(coverage.map(|share| Cell::Number(share, 3)));
            cells.push(Cell::Count(walk.fallbacks));
            table.push(cells);
        }
    }
    table
}
