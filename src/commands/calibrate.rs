//! `prestage calibrate`: fits a scenario to a recorded history and prints how far
//! it can be believed.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use prestage_telemetry::History;
use prestage_world::Scenario;

use super::{OutputArgs, RunArgs, agreement, print_table};
use crate::calibrate::{Calibration, CalibrationOptions, StreamFit, calibrate};
use crate::output::{Cell, Table};
use crate::{report, run_folder, scenarios};

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Directory of a recorded history (docs/formats.md); several with `--agreement`.
    #[arg(required = true, value_name = "HISTORY")]
    histories: Vec<PathBuf>,
    /// Scenario that supplies what a history does not record (people, stages, prices).
    #[arg(long, default_value = "replay")]
    scenario: String,
    /// Share of each trace that is fitted; the rest tests the fit.
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    fit_share: f64,
    /// Simulated worlds that the test part is compared with.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,
    /// Write the fitted scenario to this TOML file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the table and the quantile figures as one self-contained HTML page.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Compare, instead of streams, how fixed policies rank on the part that is not fitted
    /// and in the fitted scenario; what they cost goes to this CSV file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "report"])]
    agreement: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.1..=0.9).contains(&share) => Ok(share),
        _ => Err("a number from 0.1 to 0.9 is wanted".to_owned()),
    }
}

impl CalibrateArgs {
    fn options(&self) -> CalibrationOptions {
        CalibrationOptions {
            fit_share: self.fit_share,
            seeds: self.seeds,
            seed: self.run.seed,
        }
    }
}

pub(super) fn run(args: &CalibrateArgs) -> Result<()> {
    let base = scenarios::load(&args.scenario, &args.run.set)?;
    match (&args.agreement, args.histories.as_slice()) {
        (Some(costs), histories) => {
            let ranked = args
                .run
                .on_threads(|| agreement::rank(histories, &base, args.options()))?;
            agreement::write(&ranked, costs, args.output)
        }
        (None, [history]) => test_streams(args, &base, history),
        (None, histories) => bail!(
            "{} histories were given (allowed without `--agreement`: 1)\n\n\
             hint: call `prestage calibrate` once for each",
            histories.len()
        ),
    }
}

fn test_streams(args: &CalibrateArgs, base: &Scenario, history: &Path) -> Result<()> {
    let history = read(history)?;
    let options = args.options();
    let calibration = args.run.on_threads(|| calibrate(&history, base, options))?;
    for note in &calibration.notes {
        eprintln!("note: {note}");
    }
    if let Some(file) = &args.out {
        run_folder::write_file(file, calibration.scenario.to_toml().as_bytes())?;
        eprintln!("scenario: {}", file.display());
    }
    if let Some(file) = &args.report {
        let page = report::calibration_page(&calibration);
        run_folder::write_file(file, page.as_bytes())?;
        eprintln!("report: {}", file.display());
    }
    print_table(&table(&calibration), args.output)
}

pub(super) fn read(history: &Path) -> Result<History> {
    History::read(history).with_context(|| format!("cannot read history `{}`", history.display()))
}

/// One line a stream; empty where it could not be scored.
fn table(calibration: &Calibration) -> Table {
    let mut table = Table::new(&[
        "stream",
        "measured",
        "recorded",
        "simulated",
        "median_recorded",
        "median_simulated",
        "ks",
        "ks_p",
        "ad",
        "energy",
        "dispersion_recorded",
        "dispersion_simulated",
        "acf_recorded",
        "acf_simulated",
        "weekly_profile",
        "auc",
        "auc_se",
        "verdict",
    ]);
    for stream in &calibration.streams {
        table.push(line(stream));
    }
    table
}

fn line(fit: &StreamFit) -> Vec<Cell> {
    let number = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(value, 3));
    let first = |pair: Option<(f64, f64)>| number(pair.map(|pair| pair.0));
    let second = |pair: Option<(f64, f64)>| number(pair.map(|pair| pair.1));
    vec![
        Cell::text(fit.stream),
        Cell::text(fit.measured),
        Cell::Count(fit.recorded as u64),
        Cell::Count(fit.simulated as u64),
        first(fit.medians),
        second(fit.medians),
        first(fit.ks),
        second(fit.ks),
        number(fit.ad),
        number(fit.energy),
        first(fit.dispersion),
        second(fit.dispersion),
        first(fit.autocorrelation),
        second(fit.autocorrelation),
        number(fit.weekly_profile),
        first(fit.auc),
        second(fit.auc),
        Cell::text(fit.verdict.words()),
    ]
}
