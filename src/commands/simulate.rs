//! `prestage simulate`: one arm in one synthetic world.
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use prestage_controller::{KnobCenters, NeedType};
use prestage_envs::{CellResult, Episode, run_episode};
use prestage_policy::Artifact;
use prestage_world::{World, WorldOptions, write_history};

use super::{OutputArgs, RunArgs, print_table};
use crate::arms::arm;
use crate::compare::{Contestant, setting};
use crate::output::{Cell, Table};
use crate::remote_stream::RemoteStream;
use crate::run_folder;
use crate::scenarios;
use crate::telemetry_stream::TelemetryStream;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Name of a shipped scenario, or path of a TOML file.
    scenario: String,
    /// The arm, untuned (`prestage list arms`).
    #[arg(long, default_value = "newsvendor")]
    arm: String,
    /// Let an exported policy turn the knobs instead.
    #[arg(long, value_name = "ARTIFACT", conflicts_with = "arm")]
    policy: Option<PathBuf>,
    /// Record the world's exogenous streams as a history in this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Stream everything the controller could see as CSV to this file while the world runs.
    #[arg(long, value_name = "FILE")]
    telemetry: Option<PathBuf>,
    /// Stream the same to a server that speaks Prometheus remote write, such as
    /// http://127.0.0.1:9090/api/v1/write.
    #[arg(long, value_name = "URL")]
    remote_write: Option<String>,
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
    if let Some(directory) = &args.out {
        write_history(&setting.record, "req/s", directory)?;
        eprintln!("history: {}", directory.display());
    }
    let mut world = setting.world(&contestant.arm);
    let mut policy = contestant.knob_turner(&setting);
    let mut stream = match &args.telemetry {
        Some(file) => Some(TelemetryStream::create(file, &setting.record)?),
        None => None,
    };
    let mut remote = match &args.remote_write {
        Some(url) => Some(RemoteStream::new(url, &setting.record)?),
        None => None,
    };
    let mut failure = None;
    let episode = run_episode(
        &setting,
        &contestant.arm,
        policy.as_mut(),
        &mut world,
        &mut |moment| {
            if let Some(stream) = &mut stream
                && failure.is_none()
            {
                failure = stream.read(moment.world).err();
            }
            if let Some(remote) = &mut remote
                && failure.is_none()
            {
                failure = remote.read(moment.world).err();
            }
        },
    )?;
    if let Some(error) = failure {
        return Err(error);
    }
    if let (Some(stream), Some(file)) = (stream, &args.telemetry) {
        eprintln!(
            "telemetry: {} ({} samples)",
            file.display(),
            stream.finish(&world)?
        );
    }
    if let Some(remote) = remote {
        let sent = remote.finish(&world)?;
        eprintln!(
            "remote write: {} samples taken, {} refused{}",
            sent.accepted,
            sent.refused,
            sent.first_refusal
                .map_or(String::new(), |said| format!("; the first: {said}"))
        );
    }
    if let Some(file) = &args.log {
        write_log(file, &world)?;
        eprintln!(
            "event log: {} ({} records)",
            file.display(),
            world.log().len()
        );
    }
    eprintln!("{}", delivery(&world));
    eprintln!(
        "{} events logged, digest {:016x}; builds waited {:.1} s for a runner on average",
        episode.log_len, episode.log_digest, episode.build_wait_s
    );
    print_table(&by_need(&episode), args.output)
}

/// The four keys of software delivery, in a line.
fn delivery(world: &World) -> String {
    let metrics = world.delivery_metrics();
    let hours = |value: Option<f64>| value.map_or("-".to_owned(), |hours| format!("{hours:.1} h"));
    let rate = metrics
        .change_failure_rate
        .map_or("-".to_owned(), |rate| format!("{:.1} %", 100.0 * rate));
    format!(
        "DORA: {:.2} deployments a day and service, lead time for changes {}, change failure rate {rate}, \
         recovery {}",
        metrics.deployment_frequency_per_day,
        hours(metrics.lead_time_for_changes_hours),
        hours(metrics.failed_deployment_recovery_hours),
    )
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
    Ok(arm(&args.arm)?.untuned(&KnobCenters::default()))
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
        "exposure_days",
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
        sum(&|cell| cell.tally.usage.exposure_days),
    ]
}

fn write_log(file: &std::path::Path, world: &World) -> Result<()> {
    let bytes = run_folder::csv_bytes(world.log().records())?;
    run_folder::write_file(file, &bytes)
}
