//! `prestage lpt promote`: an edit of one service becomes an edit of its template.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use prestage_lpt::{FleetPlan, FleetPlanner, PromoteOptions, Promotion, no_check, promote};
use serde_json::{Value, json};

use super::super::{OutputArgs, print, print_table};
use super::plan_table::print_plan;
use super::repository::{At, open};
use crate::output::{Cell, Format, Table};

/// Arguments of `lpt promote`.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// The service whose edit it is.
    service: String,
    /// The edit, by its path: `prestage lpt drift` lists them.
    path: String,
    /// The template to edit, one of those that the service is made from; its own when not given.
    #[arg(long, value_name = "TEMPLATE")]
    into: Option<String>,
    /// What the template shall say there, as JSON or text: decides between several ways.
    #[arg(long = "as", value_name = "VALUE", conflicts_with = "as_default")]
    leaf: Option<String>,
    /// Change the default of the parameter that decides the place, not the place.
    #[arg(long)]
    as_default: bool,
    /// Register the edited template; without this nothing is written. `prestage lpt update` then
    /// brings it to the fleet.
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &PromoteArgs) -> Result<()> {
    let mut repository = open(&args.repository)?;
    let mut templates = repository.templates()?;
    let leaf = args.leaf.as_deref().map(leaf);
    let promotion = promote(
        &templates,
        repository.base(&args.service)?,
        repository.definition(&args.service)?,
        &args.path,
        PromoteOptions {
            into: args.into.as_deref(),
            leaf: leaf.as_ref(),
            as_default: args.as_default,
        },
    )?;
    templates.replace(promotion.template.clone());
    let plan = FleetPlanner::new().plan(&templates, &repository, &no_check)?;
    show(&promotion, &plan, args.output)?;
    if !args.write {
        eprintln!("nothing was written; `--write` registers the template");
        return Ok(());
    }
    let commit = repository.register(&[promotion.template], args.at.seconds())?;
    eprintln!("registered by commit {}", commit.id.short());
    Ok(())
}

/// Text that is not JSON means itself.
fn leaf(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn show(promotion: &Promotion, plan: &FleetPlan, output: OutputArgs) -> Result<()> {
    if output.format == Format::Json {
        let shown = json!({
            "template": promotion.template.document(),
            "path": promotion.path,
            "before": promotion.before,
            "after": promotion.after,
            "plan": plan,
        });
        return print(&format!("{}\n", serde_json::to_string_pretty(&shown)?));
    }
    let value = |value: &Option<Value>| {
        let text = value.as_ref().map(ToString::to_string);
        text.map_or(Cell::Empty, Cell::text)
    };
    let mut table = Table::new(&["template", "path", "before", "after"]);
    table.push(vec![
        Cell::text(promotion.template.name()),
        Cell::text(&promotion.path),
        value(&promotion.before),
        value(&promotion.after),
    ]);
    print_table(&table, output)?;
    print("\n")?;
    print_plan(plan, output)
}
