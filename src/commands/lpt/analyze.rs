//! `prestage lpt analyze`: a target's files as stages.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use prestage_lpt::{LivePipeline, driver};

use super::super::print;
use super::files::read_outputs;

/// A target's files and whose they are.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// The files; Tekton has several.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The target: `prestage lpt drivers` lists them.
    #[arg(long)]
    driver: String,
}

impl LiveArgs {
    /// Reads the files back.
    pub(super) fn analyze(&self) -> Result<LivePipeline> {
        let driver = driver(&self.driver)?;
        Ok(driver.analyze(&read_outputs(&self.files)?)?)
    }
}

/// Arguments of `lpt analyze`.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    #[command(flatten)]
    live: LiveArgs,
}

pub(super) fn run(args: &AnalyzeArgs) -> Result<()> {
    let live = args.live.analyze()?;
    print(&format!("{}\n", serde_json::to_string_pretty(&live)?))
}
