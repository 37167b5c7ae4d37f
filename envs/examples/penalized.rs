//! The two lower bounds of a family side by side, and what baselines pay, as means over seeds.
//!
//! ```sh
//! cargo run --release -p prestage-envs --example penalized -- poisson 30
//! ```
//! Dollars a scenario with half the width of a 95 % interval; the last column is the mean
//! paired distance to the penalised bound with its own. Baselines stand at their default
//! knobs, since nothing is tuned here.
use std::path::Path;
use std::sync::Arc;

use prestage_controller::{BASELINES, KnobCenters, NeedType, OnDemand, action_space, layout};
use prestage_envs::{Setting, clairvoyant, penalized, run_arm};
use prestage_policy::NeutralPolicy;
use prestage_world::{Exogenous, Scenario, WorldOptions};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match arguments.as_slice() {
        [family, seeds, overrides @ ..] => seeds
            .parse()
            .ok()
            .filter(|&seeds: &u64| seeds > 1)
            .map(|seeds| (family, seeds, overrides)),
        _ => None,
    };
    let Some((family, seeds, overrides)) = parsed else {
        eprintln!("usage: penalized FAMILY SEEDS [KEY=VALUE ...], with at least two seeds");
        std::process::exit(2);
    };
    let scenario = match scenario(family, overrides) {
        Ok(scenario) => scenario,
        Err(problem) => {
            eprintln!("error: {problem}");
            std::process::exit(2);
        }
    };
    let rows: Vec<Row> = (0..seeds).map(|seed| row(&scenario, seed)).collect();
    println!("cells,who,usd,half_width,above_penalized,half_width");
    for cells in ["feature_release", "all"] {
        print_rows(cells, &rows);
    }
}

fn scenario(family: &str, overrides: &[String]) -> Result<Scenario, String> {
    let file = format!("../scenarios/{family}.toml");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    Scenario::parse(family, &text, overrides).map_err(|error| error.to_string())
}

/// Costs of one seed: name, of the releases' cells, of all.
type Row = Vec<(&'static str, f64, f64)>;

fn row(scenario: &Scenario, seed: u64) -> Row {
    let setting = Setting {
        record: Arc::new(Exogenous::generate(scenario, seed)),
        world: WorldOptions::new(scenario, OnDemand::Template, seed),
        prices: scenario.prices().clone(),
    };
    let sums = |name, costs: &[f64]| {
        let cells = setting.record.cells.iter().zip(costs);
        let releases = cells.filter(|(cell, _)| cell.need == NeedType::FeatureRelease);
        let of_releases = releases.map(|(_, usd)| usd).sum();
        (name, of_releases, costs.iter().sum())
    };
    let bound = clairvoyant(&setting);
    let free: Vec<f64> = bound.cells.iter().map(|cell| cell.cost.total()).collect();
    let bound = penalized(&setting, scenario);
    let priced: Vec<f64> = bound.cells.iter().map(|cell| cell.usd).collect();
    let mut row = vec![sums("clairvoyant", &free), sums("penalized", &priced)];
    for baseline in BASELINES {
        if !["always", "newsvendor", "reactive"].contains(&baseline.name) {
            continue;
        }
        let arm = baseline.arm(&KnobCenters::default());
        let mut policy = NeutralPolicy::new(layout(), action_space());
        let episode = run_arm(&setting, &arm, &mut policy);
        let costs: Vec<f64> = episode.cells.iter().map(|cell| cell.cost.total()).collect();
        row.push(sums(baseline.name, &costs));
    }
    row
}

fn print_rows(cells: &str, rows: &[Row]) {
    let value = |row: &Row, who: usize| match cells {
        "all" => row[who].2,
        _ => row[who].1,
    };
    for who in 0..rows[0].len() {
        let costs: Vec<f64> = rows.iter().map(|row| value(row, who)).collect();
        let above: Vec<f64> = rows
            .iter()
            .map(|row| value(row, who) - value(row, 1))
            .collect();
        let ((mean, half), (more, wide)) =
            (mean_and_half_width(&costs), mean_and_half_width(&above));
        let name = rows[0][who].0;
        println!("{cells},{name},{mean:.2},{half:.2},{more:.2},{wide:.2}");
    }
}

/// Mean and 1.96 standard errors.
fn mean_and_half_width(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>();
    (mean, 1.96 * (squares / (count - 1.0) / count).sqrt())
}
