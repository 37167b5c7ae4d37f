//! `prestage train`: the static policy, then one learnt policy a training seed.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use super::{RunArgs, print};
use crate::config::{Budgets, CONFIG, RunConfig};
use crate::{run_folder, training};

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Name of a shipped scenario, or path of a TOML file; not needed with --resume.
    #[arg(conflicts_with = "resume")]
    scenario: Option<String>,
    /// Run folder to write.
    #[arg(long, value_name = "RUN", default_value = "runs/train")]
    out: PathBuf,
    /// Go on in a run folder whose run was killed.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "seed", "set"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn run(args: &TrainArgs) -> Result<()> {
    let (folder, config) = match (&args.resume, &args.scenario) {
        (Some(folder), _) => (folder, RunConfig::read(folder)?),
        (None, Some(scenario)) => (&args.out, start(args, scenario)?),
        (None, None) => anyhow::bail!(
            "a scenario is needed\n\nhint: `prestage list scenarios` names those that ship; --resume RUN goes on in a run folder"
        ),
    };
    let tuned = args.run.on_threads(|| training::train(folder, &config))?;
    eprintln!(
        "static policy: {:.4} usd an hour and cell after {} simulated days of search",
        tuned.usd_per_cell_hour, tuned.simulated_days
    );
    print(&format!("{}\n", folder.display()))
}

fn start(args: &TrainArgs, scenario: &str) -> Result<RunConfig> {
    let config = RunConfig::resolve(scenario, args.run.seed, &args.run.set, Budgets::default())?;
    ensure!(
        !args.out.join(CONFIG).exists(),
        "`{}` is a run folder already\n\nhint: go on in it with --resume, or give another --out",
        args.out.display()
    );
    // What cannot be trained is refused before the search and before anything is written.
    training::check(&config)?;
    run_folder::create_folder(&args.out)?;
    config.write(&args.out)?;
    Ok(config)
}
