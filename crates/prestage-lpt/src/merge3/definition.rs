//! Three-way merge of application definitions: the fields, then the whole.
//!
//! A clean merge of fields can still close a circle of needs or orphan an edge. The result is
//! therefore read back and checked as any other definition; what is wrong with it becomes a
//! conflict of kind [`ConflictKind::Semantic`].

use serde_json::Value;

use crate::canonical::to_value;
use crate::dag;
use crate::definition::{ApplicationDefinition, Stage};
use crate::error::Error;
use crate::path::{self, child_path};

use super::{Conflict, ConflictKind, Rules, Side, Sides, merge3};

/// The three definitions of an update.
#[derive(Clone, Copy, Debug)]
pub struct DefinitionSides<'a> {
    /// What the old template gave.
    pub base: &'a ApplicationDefinition,
    /// What is live.
    pub ours: &'a ApplicationDefinition,
    /// What the new template gives.
    pub theirs: &'a ApplicationDefinition,
}

/// A merged definition, or why there is none yet.
#[derive(Clone, Debug, PartialEq)]
pub enum DefinitionMerge {
    /// A valid definition that holds every edit of both sides.
    Clean(Box<ApplicationDefinition>),
    /// What must be decided first; never empty.
    Conflicted(Vec<Conflict>),
}

/// Merges definitions of one service.
pub fn merge_definitions(sides: DefinitionSides<'_>, rules: Rules<'_>) -> DefinitionMerge {
    // The two most frequent cases cost no conversion; both are laws of the merge.
    if rules.decisions.is_empty() && sides.ours == sides.base {
        return DefinitionMerge::Clean(Box::new(sides.theirs.clone()));
    }
    let [base, ours, theirs] = [sides.base, sides.ours, sides.theirs].map(to_value);
    let merged = merge3(
        Sides {
            base: &base,
            ours: &ours,
            theirs: &theirs,
        },
        rules,
    );
    if !merged.conflicts.is_empty() {
        return DefinitionMerge::Conflicted(merged.conflicts);
    }
    match valid(merged.value) {
        Ok(definition) => DefinitionMerge::Clean(Box::new(definition)),
        Err(problem) => DefinitionMerge::Conflicted(vec![semantic(&problem, &ours, &theirs)]),
    }
}

fn valid(value: Value) -> Result<ApplicationDefinition, Error> {
    let mut definition: ApplicationDefinition =
        serde_json::from_value(value).map_err(|error| Error::Shape {
            file: "the merged definition".to_owned(),
            message: error.to_string(),
        })?;
    let order = order(&definition.service, &definition.stages)?;
    definition.stages = order
        .into_iter()
        .map(|index| definition.stages[index].clone())
        .collect();
    Ok(definition)
}

fn order(service: &str, stages: &[Stage]) -> Result<Vec<usize>, Error> {
    let nodes: Vec<dag::Node<'_>> = stages
        .iter()
        .map(|stage| dag::Node {
            name: &stage.name,
            needs: &stage.needs,
        })
        .collect();
    dag::check(service, &nodes)
}

/// The place at which a decision can mend the whole.
fn semantic(problem: &Error, ours: &Value, theirs: &Value) -> Conflict {
    let problem = problem.problems().into_iter().next().unwrap_or(problem);
    let stage = |name: &str| child_path("/stages", &format!("[name={name}]"));
    let path = match problem {
        Error::DagCycle { cycle, .. } => cycle
            .first()
            .map_or_else(String::new, |name| format!("{}/needs", stage(name))),
        Error::DagUnknown { stage: name, .. } => format!("{}/needs", stage(name)),
        Error::StageDup { second, .. } => stage(second),
        _ => "/stages".to_owned(),
    };
    Conflict {
        base: None,
        ours: path::get(ours, &path).cloned(),
        theirs: path::get(theirs, &path).cloned(),
        path,
        kind: ConflictKind::Semantic,
        suggested: Side::Theirs,
        message: problem.to_string(),
    }
}
