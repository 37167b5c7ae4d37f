//! `prestage lpt schema`: the JSON Schemas of our documents and of what drivers write.
use anyhow::{Result, bail};
use clap::Args;
use prestage_lpt::{DRIVERS, SCHEMAS};

use super::super::{OutputArgs, print, print_table};
use crate::output::{Cell, Table};

/// Arguments of `lpt schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// What to print the schema of; without it the schemas are listed.
    kind: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &SchemaArgs) -> Result<()> {
    let Some(wanted) = &args.kind else {
        return list(args.output);
    };
    let own = SCHEMAS
        .iter()
        .find(|kind| kind.name == *wanted)
        .map(|kind| (kind.schema)());
    let of_driver = || {
        let driver = DRIVERS.iter().find(|driver| driver.name() == *wanted);
        driver.map(|driver| driver.schema())
    };
    let Some(schema) = own.or_else(of_driver) else {
        let own = SCHEMAS.iter().map(|kind| kind.name);
        let drivers = DRIVERS.iter().map(|driver| driver.name());
        let known: Vec<&str> = own.chain(drivers).collect();
        bail!(
            "there is no schema `{wanted}` (known: {})",
            known.join(", ")
        );
    };
    print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))
}

fn list(output: OutputArgs) -> Result<()> {
    let mut table = Table::new(&["name", "of"]);
    for kind in SCHEMAS {
        table.push(vec![Cell::text(kind.name), Cell::text(kind.about)]);
    }
    for driver in DRIVERS {
        let of = format!("a file that driver `{}` writes", driver.name());
        table.push(vec![Cell::text(driver.name()), Cell::text(of)]);
    }
    print_table(&table, output)
}
