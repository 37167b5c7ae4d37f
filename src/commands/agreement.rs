//! `prestage calibrate --agreement`: do fixed policies rank in the fitted scenario as
//! they do on the history?
use std::path::{Path, PathBuf};

use anyhow::Result;
use prestage_world::Scenario;

use super::calibrate::read;
use super::{OutputArgs, print_table};
use crate::agreement::{Agreement, AgreementOptions, ScopeAgreement, agreement, pooled};
use crate::calibrate::{CalibrationOptions, calibrate};
use crate::output::{Cell, Format, Table};
use crate::run_folder;

/// What the line of all histories together is called.
const ALL: &str = "all";

/// Fits a scenario to each history and ranks the fixed policies on both.
pub(super) fn rank(
    histories: &[PathBuf],
    base: &Scenario,
    options: CalibrationOptions,
) -> Result<Vec<Agreement>> {
    let one = |path: &PathBuf| {
        let history = read(path)?;
        let fitted = calibrate(&history, base, options)?.scenario;
        let options = AgreementOptions {
            fit_share: options.fit_share,
            seeds: options.seeds,
            seed: options.seed,
        };
        agreement(&history, base, &fitted, options)
    };
    histories.iter().map(one).collect()
}

/// Writes the costs to `file` and prints how alike they rank.
pub(super) fn write(worlds: &[Agreement], file: &Path, output: OutputArgs) -> Result<()> {
    run_folder::write_file(file, costs(worlds).render(Format::Csv)?.as_bytes())?;
    eprintln!("costs: {}", file.display());
    print_table(&ranks(worlds), output)
}

/// One line a history and scope, and those of all histories when there are several.
fn ranks(worlds: &[Agreement]) -> Table {
    let mut table = Table::new(&[
        "history",
        "scope",
        "tau_b",
        "tau_b_low",
        "tau_b_high",
        "concordant",
        "discordant",
        "tied",
        "decided",
        "decided_concordant",
    ]);
    for world in worlds {
        for scope in &world.scopes {
            table.push(rank_line(&world.history, scope));
        }
    }
    if worlds.len() > 1 {
        for scope in pooled(worlds) {
            table.push(rank_line(ALL, &scope));
        }
    }
    table
}

fn rank_line(history: &str, scope: &ScopeAgreement) -> Vec<Cell> {
    let number = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(value, 2));
    vec![
        Cell::text(history),
        Cell::text(&scope.scope),
        number(scope.pairs.tau_b()),
        number(scope.interval.map(|(low, _)| low)),
        number(scope.interval.map(|(_, high)| high)),
        Cell::Count(scope.pairs.concordant),
        Cell::Count(scope.pairs.discordant),
        Cell::Count(scope.pairs.tied()),
        Cell::Count(scope.decided.pairs),
        Cell::Count(scope.decided.concordant),
    ]
}

/// One line a history, need type and policy; per day.
fn costs(worlds: &[Agreement]) -> Table {
    let mut table = Table::new(&[
        "history",
        "need",
        "policy",
        "recorded_usd_per_day",
        "recorded_usd_per_day_se",
        "simulated_usd_per_day",
        "simulated_usd_per_day_se",
        "recorded_needs_per_day",
        "simulated_needs_per_day",
        "recorded_hits_per_day",
        "simulated_hits_per_day",
        "recorded_stages_per_day",
        "simulated_stages_per_day",
    ]);
    for world in worlds {
        for account in &world.accounts {
            let (real, fake) = (&account.recorded, &account.simulated);
            let numbers = [
                real.cost_usd,
                account.recorded_se,
                fake.cost_usd,
                account.simulated_se,
                real.needs,
                fake.needs,
                real.hits,
                fake.hits,
                real.stages,
                fake.stages,
            ];
            let names = [
                world.history.clone(),
                account.need.to_string(),
                account.policy.clone(),
            ];
            let numbers = numbers.map(|value| Cell::Number(value, 4));
            table.push(names.iter().map(Cell::text).chain(numbers).collect());
        }
    }
    table
}
