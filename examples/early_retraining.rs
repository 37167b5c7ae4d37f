//! What retraining on drift is worth: every seed with and without it, at several cadences.
//!
//! `cargo run --example early_retraining -- SEEDS HOURS[,HOURS...] SCENARIO...` prints a line of CSV
//! for each run; runs of one scenario, seed and cadence met the same world.
use prestage::compare::setting;
use prestage::scenarios;
use prestage_controller::{KnobCenters, NeedType, action_space, baseline, layout};
use prestage_envs::{Setting, run_episode};
use prestage_policy::NeutralPolicy;
use prestage_world::{LogKind, WorldOptions};
use rayon::prelude::*;

/// Far from seeds that anything was tuned on.
const FIRST_SEED: u64 = 70_000;

struct Run {
    scenario: String,
    retrain_h: f64,
    on_drift: bool,
    seed: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seeds, hours, names @ ..] = arguments.as_slice() else {
        return Err("usage: early_retraining SEEDS HOURS[,HOURS...] SCENARIO...".into());
    };
    let seeds: u64 = seeds.parse()?;
    let hours: Vec<f64> = hours.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let mut runs = Vec::new();
    for scenario in names {
        for &retrain_h in &hours {
            for seed in FIRST_SEED..FIRST_SEED + seeds {
                runs.extend([false, true].map(|on_drift| Run {
                    scenario: scenario.clone(),
                    retrain_h,
                    on_drift,
                    seed,
                }));
            }
        }
    }
    let lines: Result<Vec<String>, String> = runs.par_iter().map(line).collect();
    println!(
        "scenario,retrain_h,on_drift,seed,cost_usd,retrainings,early,early_scaling,cells,days"
    );
    lines?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn line(run: &Run) -> Result<String, String> {
    let overrides = [format!("control.retrain_on_drift={}", run.on_drift)];
    let scenario = scenarios::load(&run.scenario, &overrides).map_err(|error| error.to_string())?;
    let setting = setting(&scenario, run.seed);
    let setting = Setting {
        world: WorldOptions {
            keep_log: true,
            ..setting.world
        },
        ..setting
    };
    let mut centers = KnobCenters::default();
    for need in NeedType::ALL {
        centers.of_mut(need).retrain_h = run.retrain_h;
    }
    let arm = baseline("static-tuned").ok_or("no such arm")?.arm(&centers);
    let mut world = setting.world(&arm);
    let mut policy = NeutralPolicy::new(layout(), action_space());
    let episode = run_episode(&setting, &arm, &mut policy, &mut world, &mut |_| {})
        .map_err(|error| error.to_string())?;
    let cost: f64 = episode.cells.iter().map(|cell| cell.cost.total()).sum();
    let retrained = || {
        let records = world.log().records().iter();
        records.filter(|record| record.kind == LogKind::Retrained)
    };
    let is_scaling = |cell: u32| episode.cells[cell as usize].spec.need == NeedType::Scaling;
    let early = retrained().filter(|record| record.value == 1);
    let early_scaling = early
        .clone()
        .filter(|record| is_scaling(record.cell))
        .count();
    Ok(format!(
        "{},{},{},{},{cost:.2},{},{},{early_scaling},{},{}",
        run.scenario,
        run.retrain_h,
        run.on_drift,
        run.seed,
        retrained().count(),
        early.count(),
        episode.cells.len(),
        scenario.spec().days,
    ))
}
