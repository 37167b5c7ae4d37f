//! The command line: what each subcommand takes, and the table of contents of what
//! it does.
mod agreement;
mod calibrate;
mod demo;
mod detect;
mod eval;
mod export;
mod forecast;
mod headroom;
mod import;
mod list;
mod lpt;
mod query;
mod replay;
mod report;
mod run;
mod simulate;
mod store;
#[cfg(feature = "train")]
mod train;
mod tune;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::output::{Format, Table};

/// Stages deployment pipelines before they are asked for, and learns how sure to be.
#[derive(Debug, Parser)]
#[command(name = "prestage", version, about, max_term_width = 100)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole circle on embedded data: simulate, train, compare, export, replay, report.
    Demo(demo::DemoArgs),
    /// Run one arm in a synthetic world and print how needs and stages ended.
    Simulate(simulate::SimulateArgs),
    /// Tune the static policy and train policies into a run folder; goes on where a killed run stopped.
    #[cfg(feature = "train")]
    Train(train::TrainArgs),
    /// Tune the static policy into a run folder, without training any.
    Tune(tune::TuneArgs),
    /// Compare all arms of a run on held-out seeds.
    Eval(eval::EvalArgs),
    /// Run an experiment: tune, validate and evaluate its arms on its families, and report.
    Run(run::ExperimentArgs),
    /// Say what adapting could be worth in a family: static, adaptive, privileged, clairvoyant.
    Headroom(headroom::HeadroomArgs),
    /// Replay a recorded history with every arm; stages are committed to a pipelines repository.
    Replay(replay::ReplayArgs),
    /// Fit a scenario to a recorded history and print how far it can be believed.
    Calibrate(calibrate::CalibrateArgs),
    /// Find anomalies in recorded series, and compare the detectors that do.
    #[command(subcommand)]
    Detect(detect::DetectCommand),
    /// Compare forecasters on recorded series.
    #[command(subcommand)]
    Forecast(forecast::ForecastCommand),
    /// Write a run folder's report again.
    Report(report::ReportArgs),
    /// Export the chosen policy of an evaluated run as an artifact.
    Export(export::ExportArgs),
    /// Render pipeline templates, read and roll back a pipelines repository.
    #[command(subcommand)]
    Lpt(lpt::LptCommand),
    /// Take histories and telemetry streams into a time-series store.
    Ingest(store::IngestArgs),
    /// Ask a store: ranges, buckets, means, rates, percentiles.
    Query(query::QueryArgs),
    /// Keep a store in order: compact, downsample, check.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Make a history of what git, Prometheus, CI or an advisory database recorded.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Look into a history.
    #[command(subcommand)]
    History(import::HistoryCommand),
    /// List what there is of a kind.
    List(list::ListArgs),
}

/// Flags of every command that prints a table.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArgs {
    /// How results are printed on standard output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Flags of every command that runs something.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Master seed; the same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Replace one value of the configuration: key.path=value. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Threads to use; all cores when 0. Results do not depend on it.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

impl RunArgs {
    /// Runs `work` on as many threads as asked for.
    fn on_threads<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()?;
        pool.install(work)
    }
}

impl CommandLine {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Demo(args) => demo::run(&args),
            Command::Simulate(args) => simulate::run(&args),
            #[cfg(feature = "train")]
            Command::Train(args) => train::run(&args),
            Command::Tune(args) => tune::run(&args),
            Command::Eval(args) => eval::run(&args),
            Command::Run(args) => run::run(&args),
            Command::Headroom(args) => headroom::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Calibrate(args) => calibrate::run(&args),
            Command::Detect(command) => detect::run(&command),
            Command::Forecast(command) => forecast::run(&command),
            Command::Report(args) => report::run(&args),
            Command::Export(args) => export::run(&args),
            Command::Lpt(command) => lpt::run(&command),
            Command::Ingest(args) => store::ingest(&args),
            Command::Query(args) => query::run(&args),
            Command::Store(command) => store::run(&command),
            Command::Import(command) => import::run(&command),
            Command::History(command) => import::history(&command),
            Command::List(args) => list::run(&args),
        }
    }
}

/// Writes to standard output; a reader that went away is not an error.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn print_table(table: &Table, output: OutputArgs) -> Result<()> {
    print(&table.render(output.format)?)
}

/// The command line as it was given, for manifests.
fn given() -> String {
    let program = PathBuf::from("prestage");
    let args = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(program.display().to_string())
        .chain(args)
        .collect::<Vec<String>>()
        .join(" ")
}
