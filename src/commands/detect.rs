//! `prestage detect`: anomaly detectors on recorded series, one of them or all compared.
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use prestage_telemetry::detect::evaluate::nab::Outcome;
use prestage_telemetry::detect::{ALARM_LEVEL, DETECTORS, Entry, detector};
use rayon::ThreadPoolBuilder;
use serde_json::{Map, Value, json};

use super::{OutputArgs, print, print_table};
use crate::detection::{
    self, Bench, Corpus, DetectorBench, LabelledScore, ProfileScore, Run, RunOptions, Series,
};
use crate::output::{Cell, Format, Table};

/// What `detect` does.
#[derive(Debug, Subcommand)]
pub enum DetectCommand {
    /// Compare all detectors on the Numenta benchmark, on labelled series, or on both.
    Bench(BenchArgs),
    /// Run one detector over a series, or over every series below a directory.
    Run(DetectRunArgs),
}

/// Arguments of `detect bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// A directory with `combined_windows.json` and `data/` is a corpus of the Numenta
    /// benchmark; any other holds labelled series (`epoch,value,anomaly`).
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Compare this detector only; may be repeated.
    #[arg(long = "detector", value_name = "NAME")]
    detectors: Vec<String>,
    /// Threads to use; all cores when 0. Results do not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `detect run`.
#[derive(Debug, Args)]
pub struct DetectRunArgs {
    /// A CSV file `timestamp,value` or `epoch,value,anomaly`, or a directory of such files.
    #[arg(value_name = "FILE|DIR")]
    series: PathBuf,
    /// The detector; `prestage list detectors` describes each.
    #[arg(long, default_value = DETECTORS[0].name)]
    detector: String,
    /// Score that raises an alarm.
    #[arg(long, default_value_t = ALARM_LEVEL, value_parser = threshold)]
    threshold: f64,
    /// Samples that are only learnt from; 15 % of the series and at most 750 if not given.
    #[arg(long, value_name = "SAMPLES")]
    warm_up: Option<usize>,
    /// Threads to use; all cores when 0. Results do not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[command(flatten)]
    output: OutputArgs,
}

fn threshold(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(threshold) if threshold > 0.0 && threshold <= 1.0 => Ok(threshold),
        _ => Err("a number above 0 and up to 1 is wanted".to_owned()),
    }
}

pub(super) fn run(command: &DetectCommand) -> Result<()> {
    match command {
        DetectCommand::Bench(args) => run_bench(args),
        DetectCommand::Run(args) => run_series(args),
    }
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<T> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
    Ok(pool.install(work))
}

fn run_bench(args: &BenchArgs) -> Result<()> {
    let entries = chosen(&args.detectors)?;
    let (corpora, others): (Vec<&PathBuf>, Vec<&PathBuf>) = args
        .directories
        .iter()
        .partition(|directory| detection::is_corpus(directory));
    let corpus = match corpora.as_slice() {
        [] => None,
        [directory] => Some(Corpus::read(directory)?),
        more => bail!("{} corpora were given (allowed: 1)", more.len()),
    };
    let mut labelled = Vec::new();
    for directory in others {
        labelled.extend(labelled_series(directory)?);
    }
    let bench = on_threads(args.threads, || {
        detection::bench(&entries, corpus.as_ref(), &labelled)
    })??;
    match args.output.format {
        Format::Json => print(&pretty(&bench_json(&bench))?),
        Format::Table | Format::Csv => print_table(&bench_table(&bench), args.output),
    }
}

/// The detectors named, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Entry>> {
    if names.is_empty() {
        return Ok(DETECTORS.iter().collect());
    }
    names.iter().map(|name| known(name)).collect()
}

/// The labelled series of a directory; a directory without any has nothing to compare.
fn labelled_series(directory: &Path) -> Result<Vec<Series>> {
    let mut series = detection::read_directory(directory)?;
    let all = series.len();
    series.retain(|series| series.incidents.is_some());
    if series.is_empty() {
        bail!(
            "`{}`: none of {all} series has labels\n\nhint: a labelled series has a column \
             `anomaly`; a corpus of the Numenta benchmark has `combined_windows.json`",
            directory.display()
        );
    }
    if series.len() < all {
        eprintln!("note: {} series without labels", all - series.len());
    }
    Ok(series)
}

fn run_series(args: &DetectRunArgs) -> Result<()> {
    let entry = known(&args.detector)?;
    let series = if args.series.is_dir() {
        detection::read_directory(&args.series)?
    } else {
        vec![detection::read_series(&args.series)?]
    };
    for one in series.iter().filter(|one| one.steps_back() > 0) {
        eprintln!(
            "note: `{}`: {} samples are older than the one before; samples are taken in the \
             order of the file",
            one.name,
            one.steps_back()
        );
    }
    let options = RunOptions {
        threshold: args.threshold,
        warm_up: args.warm_up,
    };
    let run = on_threads(args.threads, || detection::run(entry, &series, options))??;
    match args.output.format {
        Format::Json => print(&pretty(&run_json(&run))?),
        Format::Table | Format::Csv => {
            summarize(&run);
            print_table(&alarm_table(&run), args.output)
        }
    }
}

fn known(name: &str) -> Result<&'static Entry> {
    let Some(entry) = detector(name) else {
        let names: Vec<&str> = DETECTORS.iter().map(|entry| entry.name).collect();
        bail!(
            "unknown detector `{name}` (known: {})\n\nhint: `prestage list detectors` describes \
             each",
            names.join(", ")
        );
    };
    Ok(entry)
}

fn pretty(value: &Value) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

fn bench_json(bench: &Bench) -> Value {
    let detectors: Vec<Value> = bench.detectors.iter().map(detector_json).collect();
    json!({ "detectors": detectors })
}

fn detector_json(detector: &DetectorBench) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(detector.name));
    for profile in &detector.nab {
        object.insert(profile.profile.to_owned(), profile_json(profile));
    }
    if let Some(labelled) = &detector.labelled {
        object.insert("labelled".to_owned(), labelled_json(labelled));
    }
    Value::Object(object)
}

fn profile_json(profile: &ProfileScore) -> Value {
    json!({
        "tuned": profile.tuned.score,
        "fixed": profile.fixed.score,
        "tuned_detail": outcome_json(&profile.tuned),
        "fixed_detail": outcome_json(&profile.fixed),
        "fixed_tuning_half": outcome_json(&profile.tuning_half),
        "fixed_held_out_half": outcome_json(&profile.held_out_half),
    })
}

fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "score": outcome.score,
        "threshold": outcome.threshold,
        "found": outcome.found,
        "windows": outcome.windows,
        "false_calls": outcome.false_calls,
    })
}

fn labelled_json(labelled: &LabelledScore) -> Value {
    json!({
        "series": labelled.series,
        "precision": labelled.events.precision(),
        "recall": labelled.events.recall(),
        "f1": labelled.events.f1(),
        "delay_s": labelled.delay_s,
        "incidents": labelled.events.incidents,
        "alarms": labelled.events.alarms,
        "false_alarms_per_week": labelled.false_alarms_per_week,
        "vus_pr": labelled.vus_pr,
    })
}

/// One line a detector; columns of what was not measured stay empty.
fn bench_table(bench: &Bench) -> Table {
    let mut table = Table::new(&[
        "detector",
        "standard_tuned",
        "standard_fixed",
        "low_fp_tuned",
        "low_fp_fixed",
        "low_fn_tuned",
        "low_fn_fixed",
        "precision",
        "recall",
        "f1",
        "delay_s",
        "false_alarms_per_week",
        "vus_pr",
    ]);
    for detector in &bench.detectors {
        let mut row = vec![Cell::text(detector.name)];
        for k in 0..3 {
            let profile = detector.nab.get(k);
            row.push(number(profile.map(|profile| profile.tuned.score), 1));
            row.push(number(profile.map(|profile| profile.fixed.score), 1));
        }
        let labelled = detector.labelled.as_ref();
        let events = labelled.map(|labelled| labelled.events);
        row.push(number(events.and_then(|events| events.precision()), 3));
        row.push(number(events.and_then(|events| events.recall()), 3));
        row.push(number(events.and_then(|events| events.f1()), 3));
        row.push(number(labelled.and_then(|labelled| labelled.delay_s), 0));
        row.push(number(
            labelled.map(|labelled| labelled.false_alarms_per_week),
            2,
        ));
        row.push(number(labelled.and_then(|labelled| labelled.vus_pr), 3));
        table.push(row);
    }
    table
}

fn number(value: Option<f64>, digits: usize) -> Cell {
    value.map_or(Cell::Empty, |value| Cell::Number(value, digits))
}

fn run_json(run: &Run) -> Value {
    let alarms: Vec<Value> = run
        .alarms
        .iter()
        .map(|alarm| {
            json!({
                "series": alarm.series,
                "index": alarm.index,
                "time": alarm.at.to_string(),
                "epoch": alarm.at.seconds(),
                "score": alarm.score,
            })
        })
        .collect();
    let events = run.events;
    json!({
        "precision": events.and_then(|events| events.precision()),
        "recall": events.and_then(|events| events.recall()),
        "f1": events.and_then(|events| events.f1()),
        "delay_s": run.delay_s,
        "alarms": alarms,
    })
}

fn alarm_table(run: &Run) -> Table {
    let mut table = Table::new(&["series", "index", "time", "score"]);
    for alarm in &run.alarms {
        table.push(vec![
            Cell::text(&alarm.series),
            Cell::Count(alarm.index as u64),
            Cell::text(alarm.at.to_string()),
            Cell::Number(alarm.score, 3),
        ]);
    }
    table
}

/// How good the alarms were, where that is known, for a person.
fn summarize(run: &Run) {
    let Some(events) = run.events else {
        eprintln!("note: no labels, so nobody knows how good these alarms are");
        return;
    };
    let percent = |share: Option<f64>| {
        share.map_or("unknown".to_owned(), |share| {
            format!("{:.0} %", 100.0 * share)
        })
    };
    eprintln!(
        "{} of {} incidents found, precision {}, recall {}",
        events.found,
        events.incidents,
        percent(events.precision()),
        percent(events.recall())
    );
}
