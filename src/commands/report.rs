//! `prestage report`: the page of a run folder, from its files alone.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::print;
use crate::report;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folder; a copy of one will do.
    run: PathBuf,
}

pub(super) fn run(args: &ReportArgs) -> Result<()> {
    let page = report::write(&args.run)?;
    print(&format!("{}\n", page.display()))
}
