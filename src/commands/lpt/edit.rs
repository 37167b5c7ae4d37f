//! `prestage lpt edit`: a service's own change, kept by every later update.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use prestage_lpt::{ApplicationDefinition, Resolver};

use super::super::print;
use super::files::read_text;
use super::repository::{At, open};
use super::resolve::json_value;

/// Arguments of `lpt edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// The service.
    service: String,
    /// The whole definition as it should be, in the form of `definition.json`.
    #[arg(long, value_name = "FILE", group = "change", required = true)]
    definition: Option<PathBuf>,
    /// One place to change, as in `/stages/[name=build]/timeout_minutes`.
    #[arg(long, value_name = "PATH", group = "change", requires = "content")]
    path: Option<String>,
    /// Its new value, as JSON.
    #[arg(long, value_name = "JSON", group = "content", requires = "path")]
    value: Option<String>,
    /// Take away what is there.
    #[arg(long, group = "content", requires = "path")]
    remove: bool,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(args: &EditArgs) -> Result<()> {
    let mut repository = open(&args.repository)?;
    let live = repository.definition(&args.service)?;
    let edited = match (&args.definition, &args.path, &args.value) {
        (Some(file), _, _) => {
            ApplicationDefinition::parse(&file.display().to_string(), &read_text(file)?)?
        }
        (None, Some(path), Some(value)) => live.with(path, json_value(value)?)?,
        (None, Some(path), None) => live.without(path)?,
        (None, None, _) => unreachable!("the command line demands one of them"),
    };
    ensure!(
        edited.service == args.service,
        "the definition is of service `{}`, not `{}`",
        edited.service,
        args.service
    );
    let templates = repository.templates()?;
    Resolver::new(&templates).check_edit(repository.base(&args.service)?, &edited)?;
    let commit = repository.edit(&edited, args.at.seconds())?;
    print(&format!("{}\n", commit.id))
}
