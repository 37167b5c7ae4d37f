//! `prestage replay`: a recorded history, every arm on it, stages into git.
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use prestage_controller::{KnobCenters, NeedType};
use prestage_world::ReplayOptions;

use super::{OutputArgs, RunArgs, given, print, print_table};
use crate::compare::{Contestant, STATIC_TUNED, baselines};
use crate::frontier::{ALL_NEEDS, AtHitRate};
use crate::ladder::static_first;
use crate::output::{Cell, Format, Table};
use crate::progress::Progress;
use crate::replaying::{Account, Replay, Target, prepare, replay, stand_in, sweep, write_run};
use crate::scenarios;

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Directory of a recorded history (docs/formats.md).
    history: PathBuf,
    /// Exported policy; without it the newsvendor rule's stages are committed.
    #[arg(long, value_name = "ARTIFACT")]
    policy: Option<PathBuf>,
    /// Run folder of `tune`, `run` or `headroom`: its tuned arms replay too, the static arm that was
    /// best on its validation seeds first.
    #[arg(long, value_name = "RUN", conflicts_with = "policy")]
    arms: Option<PathBuf>,
    /// Bare git repository for the stages, made if it is not there; memory when not given.
    #[arg(long, value_name = "DIR.git")]
    pipelines: Option<PathBuf>,
    /// Scenario that says how the organisation works (people, stages, runners, prices).
    #[arg(long, default_value = "replay")]
    scenario: String,
    /// Begin so many days after the history's start.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=36_600))]
    skip_days: u32,
    /// Replay so many days; all there are when not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    days: Option<u32>,
    /// Also move the threshold of every arm, or the first number of a rule without one, and say
    /// the least waste at hit rates of 95 and 99 %; a dozen more runs an arm.
    #[arg(long)]
    sweep: bool,
    /// Also write a run folder with results, timeline and report.
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &ReplayArgs) -> Result<()> {
    let scenario = scenarios::load(&args.scenario, &args.run.set)?;
    let contestants = match &args.arms {
        Some(run) => static_first(run)?,
        None => contestants(args.policy.as_deref())?,
    };
    let options = ReplayOptions {
        skip_days: args.skip_days,
        days: args.days,
    };
    let prepared = prepare(&args.history, &scenario, options, args.run.seed)?;
    for note in &prepared.unused {
        eprintln!("not replayed: {note}");
    }
    let target = args
        .pipelines
        .as_deref()
        .map_or(Target::Memory, Target::Git);
    let progress = Progress::new("replay", contestants.len() as u64);
    let mut replayed = args
        .run
        .on_threads(|| replay(&prepared.setting, &contestants, &target, &progress))?;
    if args.sweep {
        args.run.on_threads(|| {
            sweep(&prepared.setting, &contestants, &mut replayed.replay);
            Ok(())
        })?;
    }
    if let Some(folder) = &args.out {
        let page = write_run(folder, &prepared.setting, &contestants, &replayed, &given())?;
        eprintln!("report: {}", page.display());
    }
    print_replay(&replayed.replay, args.output)
}

/// The policy (or its stand-in) first, then every baseline that is defined without it.
fn contestants(policy: Option<&Path>) -> Result<Vec<Contestant>> {
    let Some(path) = policy else {
        eprintln!(
            "no --policy: stages of the newsvendor rule are committed, `{STATIC_TUNED}` is left out (its knobs come with a policy)"
        );
        let rest = baselines(&KnobCenters::default()).into_iter();
        let rest = rest.filter(|contestant| {
            !["newsvendor", STATIC_TUNED].contains(&contestant.arm.name.as_str())
        });
        return Ok(std::iter::once(Contestant::baseline(stand_in()))
            .chain(rest)
            .collect());
    };
    let (artifact, centers) = super::export::load_shared(path)?;
    let policy = Contestant::policy(artifact, &centers, None);
    Ok(std::iter::once(policy).chain(baselines(&centers)).collect())
}

/// The object for programs, tables for people.
pub(super) fn print_replay(replay: &Replay, output: OutputArgs) -> Result<()> {
    match output.format {
        Format::Json => print(&format!("{}\n", serde_json::to_string(replay)?)),
        Format::Csv => print_table(&table(replay, true), output),
        Format::Table => {
            print(&format!(
                "{}: {:.1} days, {} commits\n\n",
                replay.history, replay.days, replay.commits
            ))?;
            print_table(&table(replay, false), output)?;
            print("\nby need type\n\n")?;
            print_table(&by_need(replay), output)?;
            if replay.arms.iter().all(|arm| arm.at_hit_rate.is_none()) {
                return Ok(());
            }
            print(
                "\nleast waste at a hit rate, by moving the threshold; empty where no setting meets so many\n\n",
            )?;
            print_table(&swept(replay), output)
        }
    }
}

fn table(replay: &Replay, exact: bool) -> Table {
    let mut table = Table::new(&[
        "arm",
        "cost_usd",
        "vs_first_usd",
        "low",
        "high",
        "needs",
        "hits",
        "misses",
        "waste",
        "blocked_minutes",
        "runner_minutes",
        "slo_violation_minutes",
        "exposure_days",
    ]);
    let bound = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(value, 0));
    for arm in &replay.arms {
        let difference = arm.difference;
        let mut row = vec![
            Cell::text(&arm.arm),
            Cell::Number(arm.total.cost_usd, 0),
            bound(difference.map(|difference| difference.usd)),
            bound(difference.and_then(|difference| difference.low)),
            bound(difference.and_then(|difference| difference.high)),
        ];
        row.extend(account(&arm.total, exact));
        table.push(row);
    }
    table
}

fn by_need(replay: &Replay) -> Table {
    let mut table = Table::new(&[
        "need",
        "arm",
        "cost_usd",
        "needs",
        "hits",
        "misses",
        "waste",
        "blocked_minutes",
        "runner_minutes",
        "slo_violation_minutes",
        "exposure_days",
    ]);
    for need in NeedType::ALL {
        for arm in &replay.arms {
            let Some(this) = arm.by_need.get(need.as_str()) else {
                continue;
            };
            let mut row = vec![
                Cell::text(need.as_str()),
                Cell::text(&arm.arm),
                Cell::Number(this.cost_usd, 0),
            ];
            row.extend(account(this, false));
            table.push(row);
        }
    }
    table
}

fn swept(replay: &Replay) -> Table {
    let mut table = Table::new(&["need", "arm", "hit_rate", "waste"]);
    let waste = |at: &AtHitRate| at.waste.map_or(Cell::Empty, |waste| Cell::Number(waste, 0));
    let needs = NeedType::ALL.map(|need| need.as_str());
    for need in std::iter::once(ALL_NEEDS).chain(needs) {
        for arm in &replay.arms {
            let of_need = arm.at_hit_rate.iter().flatten();
            for at in of_need.filter(|at| at.need == need) {
                table.push(vec![
                    Cell::text(need),
                    Cell::text(&arm.arm),
                    Cell::Number(at.hit_rate, 2),
                    waste(at),
                ]);
            }
        }
    }
    table
}

fn account(account: &Account, exact: bool) -> Vec<Cell> {
    let digits = if exact { 3 } else { 0 };
    vec![
        Cell::Count(account.needs),
        Cell::Count(account.hits),
        Cell::Count(account.misses),
        Cell::Count(account.waste),
        Cell::Number(account.blocked_minutes, digits),
        Cell::Number(account.runner_minutes, digits),
        Cell::Number(account.slo_violation_minutes, digits),
        Cell::Number(account.exposure_days, digits.max(1)),
    ]
}
