//! Runs of GitHub Actions, out of files as the REST API returns them
//! (`GET /repos/OWNER/REPO/actions/runs`, one file a page, or one run a file).
use std::fs;
use std::path::{Path, PathBuf};

use prestage_telemetry::Timestamp;
use prestage_telemetry::history::CiRun;
use serde::Deserialize;

use super::{Error, Streams};

/// One page.
#[derive(Debug, Deserialize)]
struct Page {
    workflow_runs: Vec<Run>,
}

/// The part of a run that is of interest; the API has many more fields.
#[derive(Debug, Deserialize)]
struct Run {
    id: u64,
    name: Option<String>,
    #[serde(default)]
    run_attempt: u32,
    status: Option<String>,
    conclusion: Option<String>,
    created_at: String,
    run_started_at: Option<String>,
    updated_at: String,
}

/// Reads one file, or every `.json` in a directory. A run that is not completed or was skipped is left
/// out; a cancelled one has no outcome; of a run that occurs twice the latest attempt stays.
///
/// # Errors
/// When a file cannot be read or is not such a page.
pub fn import(path: &Path) -> Result<Streams, Error> {
    let mut runs: std::collections::BTreeMap<u64, Run> = std::collections::BTreeMap::new();
    let mut repeated = 0;
    for file in json_files(path)? {
        for run in read(&file)? {
            let known = runs.get(&run.id).map(|known| known.run_attempt);
            repeated += usize::from(known.is_some());
            if known.is_none_or(|attempt| run.run_attempt >= attempt) {
                runs.insert(run.id, run);
            }
        }
    }
    let count = runs.len();
    let rows: Vec<CiRun> = runs.into_values().filter_map(row).collect();
    let mut notes = Vec::new();
    if rows.len() < count {
        notes.push(format!(
            "{} runs that never ran to an end are left out",
            count - rows.len()
        ));
    }
    if repeated > 0 {
        notes.push(format!(
            "{repeated} runs occurred again; the latest attempt counts"
        ));
    }
    Ok(Streams {
        ci_runs: Some(rows),
        notes,
        ..Streams::default()
    })
}

/// The file itself, or the `.json` files below a directory, sorted.
pub(super) fn json_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |cause| Error::Io {
            path: folder.display().to_string(),
            cause,
        };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|ending| ending == "json") {
                files.push(entry);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::NoFiles {
            path: path.display().to_string(),
        });
    }
    Ok(files)
}

/// Reads a file whole and says which it was when its form is wrong.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    path: &Path,
    allowed: &str,
) -> Result<T, Error> {
    let shown = path.display().to_string();
    let bytes = fs::read(path).map_err(|cause| Error::Io {
        path: shown.clone(),
        cause,
    })?;
    serde_json::from_slice(&bytes).map_err(|problem| Error::Form {
        path: shown,
        place: format!(": line {}, column {}", problem.line(), problem.column()),
        found: problem.to_string(),
        allowed: allowed.to_owned(),
    })
}

fn read(path: &Path) -> Result<Vec<Run>, Error> {
    let allowed = "a page of workflow runs as GitHub's REST API returns it, or one run";
    let value: serde_json::Value = parse(path, allowed)?;
    let page = if value.get("workflow_runs").is_some() {
        serde_json::from_value::<Page>(value).map(|page| page.workflow_runs)
    } else {
        serde_json::from_value::<Run>(value).map(|run| vec![run])
    };
    page.map_err(|problem| Error::Form {
        path: path.display().to_string(),
        place: String::new(),
        found: problem.to_string(),
        allowed: allowed.to_owned(),
    })
}

fn row(run: Run) -> Option<CiRun> {
    let is_over = run
        .status
        .as_deref()
        .is_none_or(|status| status == "completed");
    let failed = match run.conclusion.as_deref()? {
        "success" => Some(false),
        "failure" | "timed_out" | "startup_failure" => Some(true),
        "cancelled" | "neutral" | "stale" => None,
        _ => return None,
    };
    let started = run.run_started_at.as_deref().unwrap_or(&run.created_at);
    let start = Timestamp::parse_rfc3339(started)?;
    let end = Timestamp::parse_rfc3339(&run.updated_at)?;
    (is_over && end >= start && start.0 >= 0).then(|| CiRun {
        epoch: start.seconds(),
        orig_epoch: start.seconds(),
        suite: run
            .name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unnamed".to_owned()),
        duration_s: (end - start).as_seconds(),
        failed,
        tests_run: None,
        tests_failed: None,
        test_p50_s: None,
        test_max_s: None,
    })
}
