//! `runs/NAME/`: what an experiment leaves behind, as typed rows.
//!
//! One description of the files for both sides: the experiment runner writes them, the
//! report reads them. Files are replaced whole by a rename; `progress.jsonl` grows line
//! by line, and a line that a kill cut short is ignored. Messages name file, line and
//! column. Must not know how a number came about or how it will look.
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fault::Unwritable;

/// Name of the manifest in a run folder.
pub const MANIFEST: &str = "manifest.json";
/// Name of the training log in a run folder.
pub const PROGRESS: &str = "progress.jsonl";
/// Name of the results in a run folder.
pub const RESULTS: &str = "results.csv";
/// Name of the timeline in a run folder.
pub const TIMELINE: &str = "timeline.csv";

/// Version of the files below, and the only one that is read so far.
pub const FORMAT_VERSION: u32 = 1;

/// `manifest.json`: where the numbers come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the run folder's files; absent means 1.
    #[serde(default = "first_version")]
    pub format_version: u32,
    /// Name of the run.
    pub name: String,
    /// Program and version, such as `prestage 0.1.0`.
    pub created_by: String,
    /// Git revision of the program, or `unknown`.
    pub git_revision: String,
    /// Master seed.
    pub seed: u64,
    /// Hash of the resolved configuration.
    pub config_hash: String,
    /// Scenario or experiment.
    pub scenario: String,
    /// Simulated days behind one row of the results; costs are divided by it.
    pub evaluated_days: f64,
    /// Every arm, in the order of the ladder.
    pub arms: Vec<String>,
    /// The arm all others are compared with.
    #[serde(default = "default_reference")]
    pub reference_arm: String,
    /// The arm `timeline.csv` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline_arm: Option<String>,
    /// Command line that made the run.
    pub command: String,
}

/// A line of `progress.jsonl`: one training update of one training seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Training seed.
    pub seed: u64,
    /// Update, counted from 1.
    pub update: u64,
    /// Environment steps taken so far, summed over the rows (cells) of the batch.
    pub row_steps: u64,
    /// Mean reward of the rollout.
    pub reward_mean: f64,
    /// Mean return of the episodes that ended in the rollout, if one did.
    pub episode_return_mean: Option<f64>,
    /// Cost divided by the static policy's on the same traces, where it was evaluated.
    pub cost_ratio_to_static: Option<f64>,
    /// Loss of the policy.
    pub policy_loss: f64,
    /// Loss of the value function.
    pub value_loss: f64,
    /// Entropy of the policy, nats.
    pub entropy: f64,
    /// Estimated KL divergence between the old and the new policy, nats.
    pub approx_kl: f64,
    /// Share of samples whose ratio was clipped.
    pub clip_fraction: f64,
    /// Share of the returns' variance the value function explains; undefined for constant
    /// returns.
    pub explained_variance: Option<f64>,
    /// Step size of the optimizer.
    pub learning_rate: f64,
}

/// A row of `results.csv`: one arm, training seed, scenario seed and need type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultRow {
    /// The arm.
    pub arm: String,
    /// Training seed; empty for an arm that is not trained.
    pub train_seed: Option<u64>,
    /// Scenario.
    pub scenario: String,
    /// Seed of the scenario.
    pub scenario_seed: u64,
    /// Need type.
    pub need: String,
    /// Cost of the whole evaluation, dollars.
    pub cost_usd: f64,
    /// Needs that arose.
    pub needs: u64,
    /// Needs whose stage was ready in time.
    pub hits: u64,
    /// Needs whose stage was not.
    pub misses: u64,
    /// Stages synthesised ahead of a need.
    pub stages: u64,
    /// Of those, used by a need.
    pub used: u64,
    /// Of those, expired unused.
    pub expired: u64,
    /// Of those, withdrawn by the policy before they were used.
    pub withdrawn: u64,
    /// Of those, rolled back unused.
    pub rolled_back: u64,
    /// Minutes deployments were blocked.
    pub blocked_minutes: f64,
    /// Service-minutes in violation of the service-level objective.
    pub slo_violation_minutes: f64,
    /// Minutes of runners used for stages.
    pub runner_minutes: f64,
    /// Hours stages stood ready and unused.
    pub idle_stage_hours: f64,
    /// Expected loss from open advisories, dollars.
    pub exposure_usd: f64,
}

/// A row of `timeline.csv`: one cell at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimelineRow {
    /// Epoch seconds.
    pub epoch: i64,
    /// The service.
    pub service: String,
    /// Need type.
    pub need: String,
    /// Forecast probability of a need; empty where there is no forecast.
    pub probability: Option<f64>,
    /// Threshold the policy has set; empty where there is none.
    pub threshold: Option<f64>,
    /// Whether a stage stands ready.
    #[serde(with = "zero_or_one")]
    pub staged: bool,
    /// Whether a need arose since the row before.
    #[serde(with = "zero_or_one")]
    pub needed: bool,
    /// What became of the need or the stage since the row before.
    pub outcome: Option<Outcome>,
}

/// How a need or a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A need whose stage was ready.
    Hit,
    /// A need whose stage was not ready.
    Miss,
    /// A stage that expired unused.
    Expired,
    /// A stage the policy withdrew.
    Withdrawn,
    /// A stage that was rolled back unused.
    RolledBack,
}

/// Reads `manifest.json`.
pub fn read_manifest(run: &Path) -> Result<Manifest> {
    let path = run.join(MANIFEST);
    let text = read_text(&path)?;
    let manifest: Manifest =
        serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
    let path = path.display();
    let version = manifest.format_version;
    ensure!(
        version == FORMAT_VERSION,
        "`{path}`: `format_version` is {version} (allowed: {FORMAT_VERSION})"
    );
    let days = manifest.evaluated_days;
    ensure!(
        days.is_finite() && days > 0.0,
        "`{path}`: `evaluated_days` is {days} (allowed: a number above 0)"
    );
    Ok(manifest)
}

/// Writes `manifest.json`.
pub fn write_manifest(run: &Path, manifest: &Manifest) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(manifest).context("cannot encode the manifest")?;
    json.push(b'\n');
    write_file(&run.join(MANIFEST), &json)
}

/// Reads `progress.jsonl`; without the file there was no training, and the answer is empty.
///
/// The last line is ignored when it has no newline: a kill cut it short.
pub fn read_progress(run: &Path) -> Result<Vec<Progress>> {
    let path = run.join(PROGRESS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read_text(&path)?;
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = complete
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("`{}`: line {}", path.display(), index + 1))
        })
        .collect()
}

/// Replaces `progress.jsonl`, as a resumed run does with what its checkpoint covers.
pub fn write_progress(run: &Path, rows: &[Progress]) -> Result<()> {
    let mut lines = Vec::new();
    for row in rows {
        lines.extend(progress_line(row)?);
    }
    write_file(&run.join(PROGRESS), &lines)
}

/// Appends one line to `progress.jsonl`.
pub fn append_progress(run: &Path, row: &Progress) -> Result<()> {
    let path = run.join(PROGRESS);
    let line = progress_line(row)?;
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(&line))
        .with_context(|| format!("cannot append to `{}`", path.display()))
}

/// Reads `results.csv`; refuses values that are not finite and two rows of one key.
pub fn read_results(run: &Path) -> Result<Vec<ResultRow>> {
    read_rows(&run.join(RESULTS))
}

/// Reads a file with the columns of `results.csv`; see [`read_results`].
pub fn read_rows(path: &Path) -> Result<Vec<ResultRow>> {
    // The only column that may be empty: without it, trained arms would read as untrained.
    let rows: Vec<ResultRow> = read_csv(path, &["train_seed"])?;
    let mut seen = BTreeSet::new();
    for (index, row) in rows.iter().enumerate() {
        let place = || format!("`{}`: line {}", path.display(), index + 2);
        for (column, value) in row.amounts() {
            ensure!(
                value.is_finite(),
                "{}, column `{column}`: found {value} (allowed: a finite number)",
                place()
            );
        }
        let key = (
            &row.arm,
            row.train_seed,
            &row.scenario,
            row.scenario_seed,
            &row.need,
        );
        if !seen.insert(key) {
            bail!(
                "{}: second row for arm `{}`, scenario `{}`, scenario seed {}, need `{}`",
                place(),
                row.arm,
                row.scenario,
                row.scenario_seed,
                row.need
            );
        }
    }
    Ok(rows)
}

/// Writes `results.csv`.
pub fn write_results(run: &Path, rows: &[ResultRow]) -> Result<()> {
    write_csv(&run.join(RESULTS), rows)
}

/// Reads `timeline.csv`; without the file the answer is empty.
pub fn read_timeline(run: &Path) -> Result<Vec<TimelineRow>> {
    let path = run.join(TIMELINE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let rows: Vec<TimelineRow> = read_csv(&path, &["probability", "threshold", "outcome"])?;
    for (index, row) in rows.iter().enumerate() {
        for (column, value) in [
            ("probability", row.probability),
            ("threshold", row.threshold),
        ] {
            ensure!(
                value.is_none_or(|value| (0.0..=1.0).contains(&value)),
                "`{}`: line {}, column `{column}`: found {} (allowed: 0 to 1, or empty)",
                path.display(),
                index + 2,
                value.unwrap_or_default()
            );
        }
    }
    Ok(rows)
}

/// Writes `timeline.csv`.
pub fn write_timeline(run: &Path, rows: &[TimelineRow]) -> Result<()> {
    write_csv(&run.join(TIMELINE), rows)
}

/// Replaces a file whole: a kill leaves the old content or the new.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let folder = match path.parent().context("a file has a folder")? {
        // A bare name lies in the present folder.
        folder if folder.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    let write = || -> std::io::Result<()> {
        let mut file = temporary_builder().tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| unwritable("write", path, source))
}

/// Makes a folder and those above it; one that is there already will do.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| unwritable("create", path, source))
}

fn unwritable(action: &'static str, path: &Path, source: std::io::Error) -> anyhow::Error {
    let path = path.to_path_buf();
    let error = Unwritable {
        action,
        path,
        source,
    };
    error.into()
}

/// Encodes rows as CSV with a header.
pub fn csv_bytes<R: Serialize>(rows: &[R]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).context("cannot encode a row")?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error())
        .context("cannot encode the rows")
}

impl ResultRow {
    fn amounts(&self) -> [(&'static str, f64); 6] {
        [
            ("cost_usd", self.cost_usd),
            ("blocked_minutes", self.blocked_minutes),
            ("slo_violation_minutes", self.slo_violation_minutes),
            ("runner_minutes", self.runner_minutes),
            ("idle_stage_hours", self.idle_stage_hours),
            ("exposure_usd", self.exposure_usd),
        ]
    }
}

/// Temporary files are private by default; these become files that others may read.
fn temporary_builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

fn first_version() -> u32 {
    1
}

fn default_reference() -> String {
    "static-tuned".to_owned()
}

fn progress_line(row: &Progress) -> Result<Vec<u8>> {
    // JSON has no NaN; serde_json would write `null`, which no reader could tell from a
    // value that was never measured.
    let numbers = [
        row.reward_mean,
        row.policy_loss,
        row.value_loss,
        row.entropy,
        row.approx_kl,
        row.clip_fraction,
        row.learning_rate,
    ];
    let optional = [
        row.episode_return_mean,
        row.cost_ratio_to_static,
        row.explained_variance,
    ];
    let is_finite = numbers
        .into_iter()
        .chain(optional.into_iter().flatten())
        .all(f64::is_finite);
    ensure!(
        is_finite,
        "update {} of training seed {} is not finite",
        row.update,
        row.seed
    );
    let mut line = serde_json::to_vec(row).context("cannot encode a line of progress")?;
    line.push(b'\n');
    Ok(line)
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// `optional` names the columns whose values may be empty, but which must be there.
fn read_csv<R: DeserializeOwned>(path: &Path, optional: &[&str]) -> Result<Vec<R>> {
    let shown = path.display();
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("cannot read `{shown}`"))?;
    let headers = reader
        .headers()
        .with_context(|| format!("`{shown}`: header"))?
        .clone();
    for column in optional {
        ensure!(
            headers.iter().any(|name| name == *column),
            "`{shown}`: the header has no column `{column}`"
        );
    }
    let rows = reader.deserialize().collect::<csv::Result<Vec<R>>>();
    rows.map_err(|error| explain(&error, &headers).context(format!("`{shown}`")))
}

/// Line and column name of a fault in a CSV file.
fn explain(error: &csv::Error, headers: &csv::StringRecord) -> anyhow::Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => {
            let column = err
                .field()
                .and_then(|field| headers.get(field as usize))
                .map_or_else(String::new, |name| format!(", column `{name}`"));
            anyhow::anyhow!("line {line}{column}: {}", err.kind())
        }
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            anyhow::anyhow!("line {line}: found {len} fields, expected {expected_len}")
        }
        _ => anyhow::anyhow!("line {line}: {error}"),
    }
}

fn write_csv<R: Serialize>(path: &Path, rows: &[R]) -> Result<()> {
    write_file(path, &csv_bytes(rows)?)
}

/// Booleans as 0 and 1, as every CSV file of the project has them.
mod zero_or_one {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(flag: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(u8::from(*flag))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(D::Error::custom(format!("found `{other}` (allowed: 0, 1)"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(need: &str) -> ResultRow {
        ResultRow {
            arm: "static-tuned".to_owned(),
            train_seed: None,
            scenario: "calm-weekly".to_owned(),
            scenario_seed: 7,
            need: need.to_owned(),
            cost_usd: 12.5,
            needs: 3,
            hits: 2,
            misses: 1,
            stages: 4,
            used: 2,
            expired: 1,
            withdrawn: 0,
            rolled_back: 1,
            blocked_minutes: 6.0,
            slo_violation_minutes: 0.0,
            runner_minutes: 30.0,
            idle_stage_hours: 1.5,
            exposure_usd: 0.0,
        }
    }

    fn progress(update: u64) -> Progress {
        Progress {
            seed: 0,
            update,
            row_steps: update * 4096,
            reward_mean: -0.5,
            episode_return_mean: None,
            cost_ratio_to_static: Some(1.0),
            policy_loss: 0.1,
            value_loss: 0.2,
            entropy: 1.9,
            approx_kl: 0.01,
            clip_fraction: 0.1,
            explained_variance: None,
            learning_rate: 3e-4,
        }
    }

    fn timeline_row(outcome: Option<Outcome>) -> TimelineRow {
        TimelineRow {
            epoch: 1_704_067_200,
            service: "web".to_owned(),
            need: "scaling".to_owned(),
            probability: Some(0.25),
            threshold: None,
            staged: true,
            needed: false,
            outcome,
        }
    }

    #[test]
    fn every_file_round_trips() {
        let run = tempfile::tempdir().unwrap();
        let rows = [row("scaling"), row("test_suite")];
        write_results(run.path(), &rows).unwrap();
        assert_eq!(read_results(run.path()).unwrap(), rows);
        let lines = [timeline_row(None), timeline_row(Some(Outcome::RolledBack))];
        write_timeline(run.path(), &lines).unwrap();
        assert_eq!(read_timeline(run.path()).unwrap(), lines);
        write_progress(run.path(), &[progress(1)]).unwrap();
        append_progress(run.path(), &progress(2)).unwrap();
        assert_eq!(
            read_progress(run.path()).unwrap(),
            [progress(1), progress(2)]
        );
        let names: Vec<_> = fs::read_dir(run.path()).unwrap().collect();
        assert_eq!(names.len(), 3, "no temporary file is left");
    }

    #[test]
    fn csv_has_the_documented_columns() {
        let bytes = csv_bytes(&[timeline_row(Some(Outcome::Hit))]).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "epoch,service,need,probability,threshold,staged,needed,outcome\n\
             1704067200,web,scaling,0.25,,1,0,hit\n"
        );
    }

    #[test]
    fn absent_training_and_timeline_are_empty() {
        let run = tempfile::tempdir().unwrap();
        assert!(read_progress(run.path()).unwrap().is_empty());
        assert!(read_timeline(run.path()).unwrap().is_empty());
        let error = format!("{:#}", read_results(run.path()).unwrap_err());
        assert!(error.contains("results.csv`"), "{error}");
    }

    #[test]
    fn a_line_cut_short_is_ignored() {
        let run = tempfile::tempdir().unwrap();
        write_progress(run.path(), &[progress(1), progress(2)]).unwrap();
        let text = fs::read_to_string(run.path().join(PROGRESS)).unwrap();
        fs::write(run.path().join(PROGRESS), &text[..text.len() - 1]).unwrap();
        assert_eq!(read_progress(run.path()).unwrap(), [progress(1)]);
    }

    #[test]
    fn refuses_progress_that_is_not_finite() {
        let run = tempfile::tempdir().unwrap();
        let broken = Progress {
            policy_loss: f64::NAN,
            ..progress(3)
        };
        let error = append_progress(run.path(), &broken).unwrap_err();
        assert_eq!(
            error.to_string(),
            "update 3 of training seed 0 is not finite"
        );
    }

    #[track_caller]
    fn check_refused(from: &str, to: &str, expected: &str) {
        let run = tempfile::tempdir().unwrap();
        write_results(run.path(), &[row("scaling"), row("test_suite")]).unwrap();
        let path = run.path().join(RESULTS);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = format!("{:#}", read_results(run.path()).unwrap_err());
        assert_eq!(error.replace(&path.display().to_string(), "R"), expected);
    }

    #[test]
    fn names_file_line_and_column() {
        check_refused(
            "scaling,12.5",
            "scaling,abc",
            "`R`: line 2, column `cost_usd`: invalid float literal",
        );
        check_refused(
            "scaling,12.5",
            "scaling,NaN",
            "`R`: line 2, column `cost_usd`: found NaN (allowed: a finite number)",
        );
        check_refused(
            "scaling,12.5,",
            "scaling,",
            "`R`: line 2: found 18 fields, expected 19",
        );
        check_refused(
            "test_suite",
            "scaling",
            "`R`: line 3: second row for arm `static-tuned`, scenario `calm-weekly`, scenario \
             seed 7, need `scaling`",
        );
    }
}
