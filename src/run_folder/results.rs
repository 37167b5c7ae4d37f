//! `results.csv`: what happened to every arm, and `results.parquet`, the same for programs.
use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use prestage_store::export::table::{Column, Values, write as write_table};
use serde::{Deserialize, Serialize};

use super::files::{read_csv, write_csv};

/// Name of the results in a run folder.
pub const RESULTS: &str = "results.csv";
/// Name of the same for programs that read Parquet.
pub const PARQUET: &str = "results.parquet";

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
    /// Days in which needs with an open advisory waited; 0 in folders of version 1.
    #[serde(default)]
    pub exposure_days: f64,
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

/// Writes `results.csv`, and the same rows as `results.parquet`.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_results(run: &Path, rows: &[ResultRow]) -> Result<()> {
    write_csv(&run.join(RESULTS), rows)?;
    write_table(&run.join(PARQUET), "results", &columns(rows))?;
    Ok(())
}

/// The columns of `results.csv`, typed.
fn columns(rows: &[ResultRow]) -> Vec<Column<'_>> {
    let text = |of: fn(&ResultRow) -> &str| Values::Text(rows.iter().map(of).collect());
    let seed = |of: fn(&ResultRow) -> Option<u64>| Values::Unsigned(rows.iter().map(of).collect());
    let number = |of: fn(&ResultRow) -> f64| Values::Double(rows.iter().map(of).collect());
    let column = |name, values| Column { name, values };
    vec![
        column("arm", text(|row| &row.arm)),
        column("train_seed", seed(|row| row.train_seed)),
        column("scenario", text(|row| &row.scenario)),
        column("scenario_seed", seed(|row| Some(row.scenario_seed))),
        column("need", text(|row| &row.need)),
        column("cost_usd", number(|row| row.cost_usd)),
        column("needs", seed(|row| Some(row.needs))),
        column("hits", seed(|row| Some(row.hits))),
        column("misses", seed(|row| Some(row.misses))),
        column("stages", seed(|row| Some(row.stages))),
        column("used", seed(|row| Some(row.used))),
        column("expired", seed(|row| Some(row.expired))),
        column("withdrawn", seed(|row| Some(row.withdrawn))),
        column("rolled_back", seed(|row| Some(row.rolled_back))),
        column("blocked_minutes", number(|row| row.blocked_minutes)),
        column(
            "slo_violation_minutes",
            number(|row| row.slo_violation_minutes),
        ),
        column("runner_minutes", number(|row| row.runner_minutes)),
        column("idle_stage_hours", number(|row| row.idle_stage_hours)),
        column("exposure_usd", number(|row| row.exposure_usd)),
        column("exposure_days", number(|row| row.exposure_days)),
    ]
}

impl ResultRow {
    fn amounts(&self) -> [(&'static str, f64); 7] {
        [
            ("cost_usd", self.cost_usd),
            ("blocked_minutes", self.blocked_minutes),
            ("slo_violation_minutes", self.slo_violation_minutes),
            ("runner_minutes", self.runner_minutes),
            ("idle_stage_hours", self.idle_stage_hours),
            ("exposure_usd", self.exposure_usd),
            ("exposure_days", self.exposure_days),
        ]
    }
}
