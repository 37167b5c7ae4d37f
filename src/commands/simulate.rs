//! `prestage simulate`: one arm in one synthetic world.
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use prestage_controller::{BASELINES, KnobCenters, NeedType, baseline};
use prestage_envs::{CellResult, Episode, run_episode};
use prestage_policy::Artifact;
use prestage_world::{World, WorldOptions, to_history};

use super::{OutputArgs, RunArgs, print_table};
use crate::compare::{Contestant, setting};
use crate::output::{Cell, Table};
use crate::run_folder;
use crate::scenarios;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Name of a shipped scenario, or path of a TOML file.
    scenario: String,
    /// The arm: a baseline (`prestage list baselines`).
    #[arg(long, default_value = "newsvendor")]
    arm: String,
    /// Let an exported policy turn the knobs instead.
    #[arg(long, value_name = "ARTIFACT", conflicts_with = "arm")]
    policy: Option<PathBuf>,
    /// Record the world's exogenous streams as a history in this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the event log as CSV to this file.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &SimulateArgs) -> Result<()> {
    let scenario = scenarios::load(&args.scenario, &args.run.set)?;
    let contestant = contestant(args)?;
    let mut setting = setting(&scenario, args.run.seed);
    setting.world = WorldOptions {
        keep_log: args.log.is_some(),
        ..setting.world
    };
    let mut world = setting.world(&contestant.arm);
    let mut policy = contestant.knob_turner();
    let episode = run_episode(
        &setting,
        &contestant.arm,
        policy.as_mut(),
        &mut world,
        &mut |_| {},
    )?;
    if let Some(directory) = &args.out {
        to_history(&setting.record, "req/s").write(directory)?;
        eprintln!("history: {}", directory.display());
    }
    if let Some(file) = &args.log {
        write_log(file, &world)?;
        eprintln!(
            "event log: {} ({} records)",
            file.display(),
            world.log().len()
        );
    }
    eprintln!(
        "{} events logged, digest {:016x}; builds waited {:.1} s for a runner on average",
        episode.log_len, episode.log_digest, episode.build_wait_s
    );
    print_table(&by_need(&episode), args.output)
}

fn contestant(args: &SimulateArgs) -> Result<Contestant> {
    if let Some(path) = &args.policy {
        let (artifact, centers) = super::export::load(path)?;
        return Ok(Contestant::policy(
            Arc::<Artifact>::new(artifact),
            &centers,
            None,
        ));
    }
    let Some(baseline) = baseline(&args.arm) else {
        let known: Vec<&str> = BASELINES.iter().map(|baseline| baseline.name).collect();
        bail!(
            "there is no arm `{}` (known: {})\n\nhint: `prestage list baselines` describes each",
            args.arm,
            known.join(", ")
        );
    };
    Ok(Contestant::baseline(baseline.arm(&KnobCenters::default())))
}

/// One line a need type, and their sum.
pub(super) fn by_need(episode: &Episode) -> Table {
    let mut table = Table::new(&[
        "need",
        "cost_usd",
        "needs",
        "hits",
        "misses",
        "stages",
        "used",
        "expired",
        "withdrawn",
        "rolled_back",
        "blocked_minutes",
        "slo_violation_minutes",
        "runner_minutes",
        "over_provision_hours",
    ]);
    for need in NeedType::ALL {
        let cells: Vec<&CellResult> = episode
            .cells
            .iter()
            .filter(|cell| cell.spec.need == need)
            .collect();
        table.push(line(need.as_str(), &cells));
    }
    table.push(line(
        "all",
        &episode.cells.iter().collect::<Vec<&CellResult>>(),
    ));
    table
}

fn line(name: &str, cells: &[&CellResult]) -> Vec<Cell> {
    let count = |value: &dyn Fn(&CellResult) -> u64| {
        Cell::Count(cells.iter().map(|cell| value(cell)).sum())
    };
    let sum = |value: &dyn Fn(&CellResult) -> f64| {
        Cell::Number(cells.iter().map(|cell| value(cell)).sum(), 1)
    };
    vec![
        Cell::text(name),
        sum(&|cell| cell.cost.total()),
        count(&|cell| cell.tally.needs),
        count(&|cell| cell.tally.hits),
        count(&|cell| cell.tally.misses),
        count(&|cell| cell.tally.predicted),
        count(&|cell| cell.tally.used),
        count(&|cell| cell.tally.expired),
        count(&|cell| cell.tally.withdrawn),
        count(&|cell| cell.tally.rolled_back),
        sum(&|cell| cell.tally.usage.blocked_minutes),
        sum(&|cell| cell.tally.usage.slo_violation_minutes),
        sum(&|cell| cell.tally.usage.runner_minutes),
        sum(&|cell| cell.tally.usage.over_provision_hours),
    ]
}

fn write_log(file: &std::path::Path, world: &World) -> Result<()> {
    let bytes = run_folder::csv_bytes(world.log().records())?;
    run_folder::write_file(file, &bytes)
}
