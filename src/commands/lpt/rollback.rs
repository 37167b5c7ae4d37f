//! `prestage lpt rollback`: an earlier state of a service, byte for byte.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use prestage_lpt::{CommitId, RollbackTo};

use super::super::print;
use super::repository::{At, open};

/// Arguments of `lpt rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// The service.
    service: String,
    /// The commit whose state is restored; one step back when not given.
    #[arg(long, value_name = "COMMIT")]
    to: Option<String>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(args: &RollbackArgs) -> Result<()> {
    let mut repository = open(&args.repository)?;
    let to = match &args.to {
        Some(commit) => RollbackTo::Commit(CommitId::from_hex(commit)),
        None => RollbackTo::OneStepBack,
    };
    let commit = repository.rollback(&args.service, &to, args.at.seconds())?;
    print(&format!("{}\n", commit.id))
}
