//! `costs.csv`: what every arm cost, term by term, under its own prices and under each
//! price book that ships.
//!
//! Worlds count quantities and price books turn them into dollars, so that the same run can
//! be priced again. Rules that look at prices decided by their own: a column of another book
//! says what those decisions would have cost, not what the rule would have done.
use std::path::Path;

use anyhow::{Result, ensure};
use prestage_controller::CostTerms;
use serde::{Deserialize, Serialize};

use super::files::{read_csv, write_csv};

/// Name of the cost terms in a run folder.
pub const COSTS: &str = "costs.csv";

/// `price_book` of the prices that the scenario itself has.
pub const OWN_PRICES: &str = "own";

/// A row of `costs.csv`: one arm, training seed, scenario seed, need type and price book.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostRow {
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
    /// [`OWN_PRICES`], or the name of a shipped price book.
    pub price_book: String,
    /// Violations of the service-level objective, US dollars.
    pub slo_violation_usd: f64,
    /// People who wait, US dollars.
    pub blocked_usd: f64,
    /// Runners, US dollars.
    pub runner_usd: f64,
    /// Idle replicas, US dollars.
    pub over_provision_usd: f64,
    /// Expected loss from open advisories, US dollars.
    pub exposure_usd: f64,
    /// Reviews and reverts, US dollars.
    pub churn_usd: f64,
}

impl CostRow {
    /// The same row with these terms added.
    pub fn add(&mut self, terms: &CostTerms) {
        self.slo_violation_usd += terms.slo_violation;
        self.blocked_usd += terms.blocked;
        self.runner_usd += terms.runner;
        self.over_provision_usd += terms.over_provision;
        self.exposure_usd += terms.exposure;
        self.churn_usd += terms.churn;
    }

    /// Its terms.
    pub fn terms(&self) -> CostTerms {
        CostTerms {
            slo_violation: self.slo_violation_usd,
            blocked: self.blocked_usd,
            runner: self.runner_usd,
            over_provision: self.over_provision_usd,
            exposure: self.exposure_usd,
            churn: self.churn_usd,
        }
    }
}

/// Reads `costs.csv`; a folder of an older version has none, and the answer is empty.
///
/// # Errors
/// When a row has another form, or an amount is not finite.
pub fn read_costs(run: &Path) -> Result<Vec<CostRow>> {
    let path = run.join(COSTS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let rows: Vec<CostRow> = read_csv(&path, &["train_seed"])?;
    for (index, row) in rows.iter().enumerate() {
        let total = row.terms().total();
        ensure!(
            total.is_finite(),
            "`{}`: line {}: the terms sum up to {total} (allowed: a finite number)",
            path.display(),
            index + 2
        );
    }
    Ok(rows)
}

/// Writes `costs.csv`.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_costs(run: &Path, rows: &[CostRow]) -> Result<()> {
    write_csv(&run.join(COSTS), rows)
}
