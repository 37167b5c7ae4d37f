//! `prestage headroom`: is adapting worth anything in a family?
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::{OutputArgs, RunArgs, given, print, print_table};
use crate::arms::{ARMS, Stand};
use crate::config::{Budgets, RunConfig};
use crate::ladder::{Ladder, World, climb, correct_for_many, headroom_table};
use crate::output::Format;

/// Arguments of `headroom`.
#[derive(Debug, Args)]
pub struct HeadroomArgs {
    /// Name of a shipped scenario, or path of a TOML file.
    scenario: String,
    /// Run folder to keep; goes on where a killed run stopped. Thrown away when not given.
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &HeadroomArgs) -> Result<()> {
    let budgets = Budgets::default();
    let config = RunConfig::resolve(&args.scenario, args.run.seed, &args.run.set, budgets)?;
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let folder = args.out.as_deref().unwrap_or(scratch.path());
    // The rivals of a learnt policy that start at the static one, and the privileged arm.
    let rivals = ARMS.iter().filter(|entry| entry.stand() != Stand::Own);
    let arms: Vec<String> = rivals.map(|entry| entry.name.to_owned()).collect();
    let name = config.scenario.name.clone();
    let world = World { name, config };
    let climbed = args
        .run
        .on_threads(|| climb(folder, &world, (&arms, &[]), &given()))?;
    let mut ladders = [Ladder::of(&climbed)];
    correct_for_many(&mut ladders);
    let [ladder] = ladders;
    match args.output.format {
        Format::Json => {
            let found = ladder
                .headroom
                .context("the static and the privileged arm were both run")?;
            print(&format!("{}\n", serde_json::to_string(&found)?))
        }
        _ => print_table(&headroom_table(&[ladder]), args.output),
    }
}
