//! `prestage lpt adopt`: an unmanaged pipeline becomes an instance of the template that fits best.
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use prestage_lpt::{Adoption, Match, TemplateSet, adopt, rank};

use super::super::{OutputArgs, print, print_table};
use super::analyze::LiveArgs;
use super::files::write_named;
use super::templates::TemplateArgs;
use crate::output::{Cell, Table};

/// Arguments of `lpt adopt`.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    #[command(flatten)]
    live: LiveArgs,
    /// Name of the service, a DNS label; without it the templates are ranked and nothing is written.
    #[arg(long)]
    service: Option<String>,
    /// The template to adopt under; the best match when not given.
    #[arg(long, requires = "service")]
    under: Option<String>,
    #[command(flatten)]
    templates: TemplateArgs,
    /// Write the instance to this file instead of printing it.
    #[arg(long, value_name = "FILE", requires = "service")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &AdoptArgs) -> Result<()> {
    let live = args.live.analyze()?;
    let templates = args.templates.over(TemplateSet::builtin())?;
    let matches = rank(&templates, &live)?;
    let Some(service) = &args.service else {
        return print_table(&ranking(&matches), args.output);
    };
    let template = match &args.under {
        Some(template) => template,
        None => {
            &matches
                .first()
                .context("there is no service template")?
                .template
        }
    };
    let adoption = adopt(&templates, template, service, &live)?;
    remark(&adoption);
    let instance = format!("{}\n", serde_json::to_string_pretty(&adoption.instance)?);
    match &args.out {
        Some(path) => write_named(path, instance.as_bytes()),
        None => print(&instance),
    }
}

fn ranking(matches: &[Match]) -> Table {
    let mut table = Table::new(&["template", "score"]);
    for found in matches {
        table.push(vec![
            Cell::text(&found.template),
            Cell::Number(found.score, 3),
        ]);
    }
    table
}

/// What a person has to know beside the instance.
fn remark(adoption: &Adoption) {
    eprintln!("adopted under template `{}`", adoption.instance.template);
    for (old, new) in &adoption.renamed {
        eprintln!("stage `{old}` becomes `{new}`");
    }
    for left in &adoption.unmodelled {
        eprintln!("to carry over by hand: `{}`: {}", left.path, left.what);
    }
}
