//! `prestage lpt drivers`: the targets.
use anyhow::Result;
use clap::Args;
use prestage_lpt::DRIVERS;

use super::super::{OutputArgs, print_table};
use crate::output::{Cell, Table};

/// Arguments of `lpt drivers`.
#[derive(Debug, Args)]
pub struct DriversArgs {
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &DriversArgs) -> Result<()> {
    let mut table = Table::new(&["name", "version", "about"]);
    for driver in DRIVERS {
        table.push(vec![
            Cell::text(driver.name()),
            Cell::Count(u64::from(driver.version())),
            Cell::text(driver.about()),
        ]);
    }
    print_table(&table, args.output)
}
