//! `prestage tune`: the static policy, and the arms that stand on it, into a run folder
//! that `eval` compares.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use super::{RunArgs, print};
use crate::arms::{ALL_FAMILIES, ArmEntry, arm};
use crate::compare::STATIC_TUNED;
use crate::config::{Budgets, CONFIG, RunConfig};
use crate::evaluation::{static_policy, tuned_arm};
use crate::run_folder;
use crate::tune::{Tuned, TunedArm};

/// Arguments of `tune`.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// Name of a shipped scenario, or path of a TOML file.
    scenario: String,
    /// Run folder to write.
    #[arg(long, value_name = "RUN", default_value = "runs/tune")]
    out: PathBuf,
    /// Tune this arm too, with the same budget (`prestage list arms`); may be repeated.
    #[arg(long = "arm", value_name = "ARM")]
    arms: Vec<String>,
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn run(args: &TuneArgs) -> Result<()> {
    let config = RunConfig::resolve(
        &args.scenario,
        args.run.seed,
        &args.run.set,
        Budgets::default(),
    )?;
    let entries = args
        .arms
        .iter()
        .map(|name| arm(name))
        .collect::<Result<Vec<&ArmEntry>>>()?;
    for entry in &entries {
        ensure!(
            entry.name != ALL_FAMILIES,
            "`{ALL_FAMILIES}` is found for several families at once\n\nhint: name it in the `arms` of an experiment and use `prestage run`"
        );
        ensure!(
            !entry.parameters().is_empty() && entry.name != STATIC_TUNED,
            "`{}` has nothing to tune beside the static policy\n\nhint: `prestage list arms` tells how many numbers each has",
            entry.name
        );
    }
    ensure!(
        !args.out.join(CONFIG).exists(),
        "`{}` is a run folder already\n\nhint: compare its arms with `prestage eval`, or give another --out",
        args.out.display()
    );
    run_folder::create_folder(&args.out)?;
    config.write(&args.out)?;
    let (tuned, others) = args.run.on_threads(|| -> Result<(Tuned, Vec<TunedArm>)> {
        let tuned = static_policy(&args.out, &config)?;
        let others = entries
            .iter()
            .map(|entry| tuned_arm(&args.out, &config, entry, &tuned.centers));
        let others = others.collect::<Result<_>>()?;
        Ok((tuned, others))
    })?;
    for other in &others {
        eprintln!(
            "{}: {:.4} usd an hour and cell after {} more",
            other.arm, other.usd_per_cell_hour, other.simulated_days
        );
    }
    eprintln!(
        "static policy: {:.4} usd an hour and cell after {} simulated days of search\n\
         hint: `prestage eval {}` compares it with the other rules on held-out seeds",
        tuned.usd_per_cell_hour,
        tuned.simulated_days,
        args.out.display()
    );
    print(&format!("{}\n", args.out.display()))
}
