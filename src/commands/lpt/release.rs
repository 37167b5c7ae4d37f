//! `prestage lpt release`: ends the hold that a rollback put on a service.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::super::print;
use super::repository::{At, open};

/// Arguments of `lpt release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// The service.
    service: String,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(args: &ReleaseArgs) -> Result<()> {
    let commit = open(&args.repository)?.release(&args.service, args.at.seconds())?;
    print(&format!("{}\n", commit.id))
}
