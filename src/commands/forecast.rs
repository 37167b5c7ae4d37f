//! `prestage forecast`: what forecasters are worth on recorded series.
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

/// Needs that are events are forecast this many hours ahead.
const EVENT_HORIZON_H: i64 = 24;

/// What `forecast` does.
#[derive(Debug, Subcommand)]
pub enum ForecastCommand {
    /// Walk forecasters through recorded series and score what they said on the way.
    Backtest(BacktestArgs),
}

/// Arguments of `forecast backtest`.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// A history, a CSV file `timestamp,value` or `epoch,value`, or a directory of such files.
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
    /// Threads to use; all cores when 0. Results do not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Write an HTML page, figures as SVG, tables as CSV and everything as JSON into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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

pub(super) fn run(command: &ForecastCommand) -> Result<()> {
    match command {
        ForecastCommand::Backtest(args) => run_backtest(args),
    }
}

fn run_backtest(args: &BacktestArgs) -> Result<()> {
    let options = options(args)?;
    let recorded = backtest::read(&args.paths)?;
    let pool = ThreadPoolBuilder::new().num_threads(args.threads).build()?;
    let comparison = pool.install(|| backtest::compare(&recorded.series, &options))?;
    let events = pool.install(|| {
        let horizon = Span::from_hours(EVENT_HORIZON_H);
        backtest::compare_events(&recorded.events, options.part, horizon)
    });
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
    if let Some(folder) = &args.out {
        let fans = pool.install(|| backtest::fans(&recorded.series, &comparison, &options))?;
        let found = Backtested {
            command: command(args, &recorded),
            tasks: TaskResult::of(&comparison, &options),
            events: events.clone(),
            fans,
        };
        write(folder, &found, (&comparison, &options))?;
        eprintln!("page: {}", folder.join("index.html").display());
    }
    match args.output.format {
        Format::Json => print(&whole_json(&comparison, &options, &events)?),
        Format::Csv => print_table(&as_table(&comparison, &options), args.output),
        Format::Table => {
            print_table(&as_table(&comparison, &options), args.output)?;
            if events.is_empty() {
                return Ok(());
            }
            print("\n")?;
            print_table(&event_table(&events), args.output)
        }
    }
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
            event_table(&found.events).render(Format::Csv)?,
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
    value["events"] = events.iter().map(event_json).collect();
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

fn event_json(event: &EventSummary) -> Value {
    let bounds = |gain: Option<Interval>| gain.map(|gain| [gain.lower, gain.upper]);
    json!({
        "need": event.need,
        "model": event.model,
        "streams": event.streams,
        "origins": event.origins,
        "frequency": event.frequency,
        "log_score": event.log_score,
        "vs_histogram": event.vs_histogram.map(|gain| gain.estimate),
        "vs_histogram_interval": bounds(event.vs_histogram),
        "vs_poisson": event.vs_poisson.map(|gain| gain.estimate),
        "vs_poisson_interval": bounds(event.vs_poisson),
        "brier": event.brier,
        "ece": event.ece,
        "reliability": event.reliability,
        "predictable": event.predictable,
    })
}

fn event_table(events: &[EventSummary]) -> Table {
    let mut table = Table::new(&[
        "need",
        "model",
        "streams",
        "predictable",
        "origins",
        "frequency",
        "log_score",
        "brier",
        "vs_histogram",
        "lower",
        "upper",
        "vs_poisson",
        "lower",
        "upper",
        "ece",
    ]);
    for event in events {
        let mut cells = vec![
            Cell::text(event.need),
            Cell::text(event.model),
            Cell::Count(event.streams as u64),
            Cell::Count(event.predictable.len() as u64),
            Cell::Count(event.origins as u64),
            Cell::Number(event.frequency, 3),
            Cell::Number(event.log_score, 4),
            Cell::Number(event.brier, 4),
        ];
        for gain in [event.vs_histogram, event.vs_poisson] {
            let number = |value: Option<f64>| value.map_or(Cell::Empty, |x| Cell::Number(x, 4));
            cells.push(number(gain.map(|gain| gain.estimate)));
            cells.push(number(gain.map(|gain| gain.lower)));
            cells.push(number(gain.map(|gain| gain.upper)));
        }
        cells.push(Cell::Number(event.ece, 3));
        table.push(cells);
    }
    table
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
