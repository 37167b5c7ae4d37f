//! A fleet plan for people: one line a service, and a summary.
use anyhow::Result;
use prestage_lpt::{FileAction, FleetPlan, InstancePlan, PlanAction, PlanProblem};

use super::super::{OutputArgs, print, print_table};
use crate::output::{Cell, Format, Table};

/// Prints a plan; as JSON it is the whole document.
pub(super) fn print_plan(plan: &FleetPlan, output: OutputArgs) -> Result<()> {
    if output.format == Format::Json {
        return print(&plan.to_json());
    }
    let mut table = Table::new(&[
        "service",
        "template",
        "action",
        "edits",
        "conflicts",
        "create",
        "modify",
        "delete",
        "same",
        "problem",
    ]);
    for instance in &plan.instances {
        table.push(row(instance));
    }
    print_table(&table, output)?;
    eprintln!("{}", summary(plan));
    Ok(())
}

fn summary(plan: &FleetPlan) -> String {
    let count = |action| plan.counts.services.get(&action).copied().unwrap_or(0);
    format!(
        "{} services: {} to update, {} in conflict, {} held, {} refused, {} unchanged",
        plan.instances.len() + plan.untouched,
        count(PlanAction::Update),
        count(PlanAction::Conflict),
        count(PlanAction::Held),
        count(PlanAction::Refused),
        plan.untouched + count(PlanAction::Unchanged),
    )
}

fn row(instance: &InstancePlan) -> Vec<Cell> {
    let files = |action| {
        let of_action = instance.files.iter().filter(|file| file.action == action);
        Cell::Count(of_action.count() as u64)
    };
    vec![
        Cell::text(&instance.service),
        Cell::text(&instance.template),
        Cell::text(instance.action.as_str()),
        Cell::Count(instance.edits.len() as u64),
        Cell::Count(instance.conflicts.len() as u64),
        files(FileAction::Create),
        files(FileAction::Modify),
        files(FileAction::Delete),
        files(FileAction::None),
        problem_cell(instance.problem.as_ref()),
    ]
}

/// A problem in one line: a hint stands in lines of its own, which a table has no place for.
pub(super) fn problem_cell(problem: Option<&PlanProblem>) -> Cell {
    problem.map_or(Cell::Empty, |problem| {
        let cause = problem.message.lines().next().unwrap_or_default();
        Cell::text(format!("{}: {cause}", problem.code))
    })
}
