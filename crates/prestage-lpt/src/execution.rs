//! What a run of a pipeline does when given stages fail: the graph's own answer.
//!
//! The semantics that all targets are held to; the conformance step compares it with a real run.
//! Knows no target and no clock: stages have an order, not a duration.

use std::collections::{BTreeMap, BTreeSet};

use crate::assembly::AssembledStage;
use crate::definition::When;

/// How a stage ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageOutcome {
    /// It ran and succeeded.
    Succeeded,
    /// It ran and failed.
    Failed,
    /// It did not run: something it needs did not succeed, nothing it guards failed, or nobody
    /// started it.
    Skipped,
}

/// The outcome of every stage when exactly the stages in `failing` fail as soon as they run.
/// `stages` stand in an order that respects their needs, as [`crate::Assembly::stages`] gives them.
/// Manual stages are not started, inactive ones not named.
pub fn execute(
    stages: &[AssembledStage<'_>],
    failing: &BTreeSet<String>,
) -> BTreeMap<String, StageOutcome> {
    let mut outcomes: BTreeMap<String, StageOutcome> = BTreeMap::new();
    for assembled in stages {
        let of = |need: &String| {
            *outcomes
                .get(need)
                .expect("stages stand in the order of their needs")
        };
        let is_inactive = assembled
            .staged
            .is_some_and(|staged| staged.activation == crate::Activation::Inactive);
        let mut needs = assembled.needs.iter().map(of);
        let runs = !is_inactive
            && match assembled.stage.when {
                When::OnSuccess => needs.all(|outcome| outcome == StageOutcome::Succeeded),
                When::OnFailure => needs.any(|outcome| outcome == StageOutcome::Failed),
                When::Manual => false,
            };
        let outcome = match (runs, failing.contains(&assembled.stage.name)) {
            (false, _) => StageOutcome::Skipped,
            (true, true) => StageOutcome::Failed,
            (true, false) => StageOutcome::Succeeded,
        };
        outcomes.insert(assembled.stage.name.clone(), outcome);
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use crate::assembly::{Activation, Assembly, Staged};
    use crate::fixture;
    use crate::stage::NeedType;

    use super::*;

    fn run(failing: &[&str]) -> BTreeMap<String, StageOutcome> {
        let definition = fixture::definition();
        let scaling = fixture::stage(NeedType::Scaling);
        let revision = definition.revision();
        let assembly = Assembly {
            definition: &definition,
            revision: &revision,
            staged: vec![Staged {
                stage: &scaling,
                activation: Activation::Inactive,
            }],
        };
        let failing = failing.iter().map(|name| (*name).to_owned()).collect();
        execute(&assembly.stages().unwrap(), &failing)
    }

    #[test]
    fn a_failure_stops_what_needs_it_and_nothing_else() {
        let outcomes = run(&["deploy-eu-west-1"]);
        assert_eq!(outcomes["test"], StageOutcome::Succeeded);
        assert_eq!(outcomes["deploy-eu-west-1"], StageOutcome::Failed);
        assert_eq!(outcomes["verify-eu-west-1"], StageOutcome::Skipped);
        assert_eq!(outcomes["verify-us-east-1"], StageOutcome::Succeeded);
    }

    #[test]
    fn an_inactive_stage_does_not_run() {
        let outcomes = run(&[]);
        let staged: Vec<&StageOutcome> = outcomes
            .iter()
            .filter(|(name, _)| name.starts_with("scale-"))
            .map(|(_, outcome)| outcome)
            .collect();
        assert!(
            !staged.is_empty()
                && staged
                    .iter()
                    .all(|outcome| **outcome == StageOutcome::Skipped)
        );
    }
}
