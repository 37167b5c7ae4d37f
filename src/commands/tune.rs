//! `prestage tune`: the static policy alone, into a run folder that `eval` compares.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use super::{RunArgs, print};
use crate::config::{Budgets, CONFIG, RunConfig};
use crate::evaluation::static_policy;
use crate::run_folder;

/// Arguments of `tune`.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// Name of a shipped scenario, or path of a TOML file.
    scenario: String,
    /// Run folder to write.
    #[arg(long, value_name = "RUN", default_value = "runs/tune")]
    out: PathBuf,
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
    ensure!(
        !args.out.join(CONFIG).exists(),
        "`{}` is a run folder already\n\nhint: compare its arms with `prestage eval`, or give another --out",
        args.out.display()
    );
    run_folder::create_folder(&args.out)?;
    config.write(&args.out)?;
    let tuned = args.run.on_threads(|| static_policy(&args.out, &config))?;
    eprintln!(
        "static policy: {:.4} usd an hour and cell after {} simulated days of search\n\
         hint: `prestage eval {}` compares it with the other rules on held-out seeds",
        tuned.usd_per_cell_hour,
        tuned.simulated_days,
        args.out.display()
    );
    print(&format!("{}\n", args.out.display()))
}
