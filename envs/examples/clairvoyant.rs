//! The clairvoyant bound of a family beside what the baselines pay, by need type.
//!
//! ```sh
//! cargo run --release -p prestage-envs --example clairvoyant -- calm-weekly 1
//! ```
//! The static-tuned baseline stands at its default knobs, the newsvendor's, since
//! nothing is tuned here. The last line is the CPU time of the bound alone, on Linux.
use std::path::Path;
use std::sync::Arc;

use prestage_controller::{BASELINES, CostTerms, KnobCenters, NeedType, action_space, layout};
use prestage_envs::{Setting, clairvoyant, run_arm};
use prestage_policy::NeutralPolicy;
use prestage_world::{Exogenous, Scenario, WorldOptions};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match arguments.as_slice() {
        [family, seed, overrides @ ..] => seed.parse().ok().map(|seed| (family, seed, overrides)),
        _ => None,
    };
    let Some((family, seed, overrides)) = parsed else {
        eprintln!("usage: clairvoyant FAMILY SEED [KEY=VALUE ...], with a whole number as seed");
        std::process::exit(2);
    };
    let setting = match setting(family, seed, overrides) {
        Ok(setting) => setting,
        Err(problem) => {
            eprintln!("error: {problem}");
            std::process::exit(2);
        }
    };
    let before = cpu_s();
    let bound = clairvoyant(&setting);
    let after = cpu_s();
    eprintln!(
        "{} of {} runners are busy at once with stages of the plan",
        bound.runners_at_once, setting.world.runners
    );
    eprintln!(
        "prices on runners could raise it by {:.4} of {:.2} dollars at most",
        bound.runner_prices_room_usd,
        bound.cost_usd()
    );
    let header = [
        "arm",
        "need type",
        "total",
        "slo",
        "blocked",
        "runner",
        "idle",
        "exposure",
    ];
    println!("{},churn", header.join(","));
    print_rows(
        "clairvoyant",
        &setting,
        &bound.cells.iter().map(|cell| cell.cost).collect::<Vec<_>>(),
    );
    for baseline in BASELINES
        .iter()
        .filter(|baseline| baseline.name != "static-tuned")
    {
        let arm = baseline.arm(&KnobCenters::default());
        let mut policy = NeutralPolicy::new(layout(), action_space());
        let episode = run_arm(&setting, &arm, &mut policy);
        let costs: Vec<CostTerms> = episode.cells.iter().map(|cell| cell.cost).collect();
        print_rows(baseline.name, &setting, &costs);
    }
    if let (Some(before), Some(after)) = (before, after) {
        eprintln!("the bound took {:.3} s of CPU time", after - before);
    }
}

fn setting(family: &str, seed: u64, overrides: &[String]) -> Result<Setting, String> {
    let file = format!("../scenarios/{family}.toml");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let scenario = Scenario::parse(family, &text, overrides).map_err(|error| error.to_string())?;
    let arm = BASELINES[0].arm(&KnobCenters::default());
    Ok(Setting {
        record: Arc::new(Exogenous::generate(&scenario, seed)),
        world: WorldOptions::new(&scenario, arm.on_demand, seed),
        prices: scenario.prices().clone(),
    })
}

fn print_rows(arm: &str, setting: &Setting, costs: &[CostTerms]) {
    let cells = || setting.record.cells.iter().zip(costs);
    for need in NeedType::ALL {
        let of_need = cells().filter(|(cell, _)| cell.need == need);
        print_row(arm, &need.to_string(), of_need.map(|(_, cost)| cost));
    }
    print_row(arm, "all", costs.iter());
}

fn print_row<'a>(arm: &str, need: &str, costs: impl Iterator<Item = &'a CostTerms> + Clone) {
    let sum = |term: fn(&CostTerms) -> f64| costs.clone().map(term).sum::<f64>();
    println!(
        "{arm},{need},{:.2},{:.2},{:.2},{:.2},{:.2},{:.2},{:.2}",
        sum(CostTerms::total),
        sum(|cost| cost.slo_violation),
        sum(|cost| cost.blocked),
        sum(|cost| cost.runner),
        sum(|cost| cost.over_provision),
        sum(|cost| cost.exposure),
        sum(|cost| cost.churn),
    );
}

/// CPU time of this process: the first field of schedstat, nanoseconds on a CPU.
fn cpu_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
