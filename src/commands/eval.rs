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
    /// Run folder of `prestage train` or `prestage tune`.
    run: PathBuf,
    /// Test seeds, when not those of the run's configuration.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    scenarios: Option<u32>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &EvalArgs) -> Result<()> {
    let config = RunConfig::read(&args.run)?;
    let scenarios = args.scenarios.unwrap_or(config.eval.scenarios);
    let evaluated = evaluate(&args.run, &config, scenarios, &given())?;
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
