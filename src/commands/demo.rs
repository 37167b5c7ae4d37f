//! `prestage demo`: the whole circle on embedded data, in about a minute.
//!
//! simulate -> tune and train -> compare -> export -> record a held-out world as a
//! history -> replay it with the exported policy, stages into git -> report.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use prestage_envs::SeedSet;
use prestage_world::{ReplayOptions, to_history};

use super::replay::print_replay;
use super::{OutputArgs, RunArgs, given, print, print_table};
use crate::compare::{Contestant, baselines, setting};
use crate::config::{Budgets, CONFIG, RunConfig};
use crate::evaluation::{evaluate, read_tuned, table};
use crate::output::Format;
use crate::progress::Progress;
use crate::replaying::{Target, prepare, replay};
use crate::{report, run_folder, scenarios};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for everything the tour makes.
    #[arg(long, value_name = "DIR", default_value = "prestage-demo")]
    out: PathBuf,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &DemoArgs) -> Result<()> {
    let config = RunConfig::resolve("demo", args.run.seed, &args.run.set, Budgets::demo())?;
    let folder = args.out.join("run");
    #[cfg(feature = "train")]
    crate::training::check(&config)?;
    fresh(&args.out)?;
    run_folder::create_folder(&folder)?;
    config.write(&folder)?;
    args.run.on_threads(|| tour(args, &config, &folder))
}

/// Clears what an earlier tour left, and nothing else.
fn fresh(out: &Path) -> Result<()> {
    if !out.exists() {
        return Ok(());
    }
    let is_tour = out.join("run").join(CONFIG).exists();
    let is_empty = std::fs::read_dir(out)
        .with_context(|| format!("cannot read `{}`", out.display()))?
        .next()
        .is_none();
    ensure!(
        is_tour || is_empty,
        "`{}` exists and holds no earlier demo\n\nhint: give another --out",
        out.display()
    );
    std::fs::remove_dir_all(out).with_context(|| format!("cannot clear `{}`", out.display()))
}

fn tour(args: &DemoArgs, config: &RunConfig, folder: &Path) -> Result<()> {
    eprintln!("1/5 tune the static policy and train on scenario `demo`");
    let policy = train(folder, config)?;
    eprintln!(
        "2/5 compare all arms on {} held-out seeds",
        config.eval.scenarios
    );
    let evaluated = evaluate(folder, config, config.eval.scenarios, &given())?;
    eprintln!("3/5 export");
    let contestants = contestants(args, config, folder, policy)?;
    eprintln!("4/5 record a held-out world as a history and replay it");
    let history = args.out.join("history");
    let pipelines = args.out.join("pipelines.git");
    let world = setting(
        &config.scenario()?,
        SeedSet::Test.seed(config.seed, u64::from(config.eval.scenarios)),
    );
    to_history(&world.record, "req/s").write(&history)?;
    let organisation = scenarios::load("replay", &[])?;
    let prepared = prepare(
        &history,
        &organisation,
        ReplayOptions::default(),
        config.seed,
    )?;
    let progress = Progress::new("replay", contestants.len() as u64);
    let replayed = replay(
        &prepared.setting,
        &contestants,
        &Target::Git(&pipelines),
        &progress,
    )?;
    eprintln!("5/5 report");
    let page = report::write(folder)?;

    if args.output.format != Format::Table {
        return print_table(
            &table(&evaluated.rows, f64::from(config.scenario.days)),
            args.output,
        );
    }
    print("\nreplay of the recorded world\n\n")?;
    print_replay(&replayed.replay, args.output)?;
    print(&format!(
        "\nall arms on {} held-out seeds of scenario `demo`\n\n",
        config.eval.scenarios
    ))?;
    print_table(
        &table(&evaluated.rows, f64::from(config.scenario.days)),
        args.output,
    )?;
    if let Some(verdict) = &evaluated.verdict {
        let bounds = verdict.policy_minus_static_usd_per_day;
        print(&format!(
            "\npolicy minus static-tuned: {:.2} [{:.2}, {:.2}] usd a day: {}\n",
            bounds.mean, bounds.low, bounds.high, verdict.verdict
        ))?;
    }
    print(&format!(
        "\nreport: {}\npipelines: {}\n",
        page.display(),
        pipelines.display()
    ))
}

#[cfg(feature = "train")]
fn train(folder: &Path, config: &RunConfig) -> Result<bool> {
    crate::training::train(folder, config)?;
    Ok(true)
}

#[cfg(not(feature = "train"))]
fn train(folder: &Path, config: &RunConfig) -> Result<bool> {
    eprintln!(
        "skipped: this program was built without the feature `train`; the static policy is tuned, none is learnt"
    );
    crate::evaluation::static_policy(folder, config)?;
    Ok(false)
}

/// The exported policy first; the tuned static rule where it is the better choice.
fn contestants(
    args: &DemoArgs,
    config: &RunConfig,
    folder: &Path,
    trained: bool,
) -> Result<Vec<Contestant>> {
    let tuned = read_tuned(folder)?;
    let mut contestants = baselines(&tuned.centers);
    // The last baseline is the tuned static policy: its stages are committed when no
    // policy was trained.
    contestants.rotate_right(1);
    if trained {
        let out = args.out.join("policy");
        // The tour shows a policy at work whatever its verdict; the verdict is printed.
        let decision = super::export::export(folder, config, &out, true)?;
        eprintln!("{}", decision.verdict);
        let (artifact, centers) = super::export::load_shared(&out)?;
        contestants.insert(0, Contestant::policy(artifact, &centers, None));
    }
    Ok(contestants)
}
