//! `prestage eval`: all arms of a run on held-out seeds.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{OutputArgs, given, print_table};
use crate::config::RunConfig;
use crate::evaluation::{evaluate, table};
use crate::report;

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Run folder of `prestage train`.
    run: PathBuf,
    /// Test seeds, when not those of the run's configuration.
    #[arg(long)]
    scenarios: Option<u32>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &EvalArgs) -> Result<()> {
    let mut config = RunConfig::read(&args.run)?;
    if let Some(scenarios) = args.scenarios {
        config.eval.scenarios = scenarios.max(1);
    }
    let evaluated = evaluate(&args.run, &config, &given())?;
    if let Some(verdict) = &evaluated.verdict {
        let bounds = verdict.policy_minus_static_usd_per_day;
        eprintln!(
            "policy minus static-tuned: {:.2} [{:.2}, {:.2}] usd a day: {}",
            bounds.mean, bounds.low, bounds.high, verdict.verdict
        );
    }
    eprintln!("report: {}", report::write(&args.run)?.display());
    print_table(
        &table(&evaluated.rows, f64::from(config.scenario.days)),
        args.output,
    )
}
