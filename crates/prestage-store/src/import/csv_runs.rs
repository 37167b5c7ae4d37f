//! Runs of continuous integration out of a CSV file.
use std::path::Path;

use prestage_telemetry::history::CiRun;

use super::table::Table;
use super::{Error, Streams};

const REQUIRED: [&str; 3] = ["start", "suite", "duration_s"];
const KNOWN: [&str; 8] = [
    "start",
    "suite",
    "duration_s",
    "failed",
    "tests_run",
    "tests_failed",
    "test_p50_s",
    "test_max_s",
];

/// Reads a CSV file with the columns `start`, `suite`, `duration_s` and, where they are known, `failed`,
/// `tests_run`, `tests_failed`, `test_p50_s`, `test_max_s`.
///
/// # Errors
/// When the file cannot be read, lacks a column, or a field is not of its kind.
pub fn import(path: &Path) -> Result<Streams, Error> {
    let mut table = Table::open(path, &REQUIRED, &KNOWN)?;
    let mut runs: Vec<CiRun> = Vec::new();
    while table.next()? {
        let epoch = table.epoch("start")?;
        let duration = table.number("duration_s", 0.0)?;
        runs.push(CiRun {
            epoch,
            orig_epoch: epoch,
            suite: table.required("suite")?.to_owned(),
            duration_s: duration
                .ok_or_else(|| table.refuse("duration_s", "", "a finite number, 0 or more"))?,
            failed: table.flag("failed")?,
            tests_run: table.count("tests_run")?,
            tests_failed: table.count("tests_failed")?,
            test_p50_s: table.number("test_p50_s", 0.0)?,
            test_max_s: table.number("test_max_s", 0.0)?,
        });
    }
    Ok(Streams {
        ci_runs: Some(runs),
        ..Streams::default()
    })
}
