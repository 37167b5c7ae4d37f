//! The fleet: which services a change of templates reaches, and what it does to them.
//!
//! A definition records the revisions it was made from, so the services that a change reaches are
//! found exactly, without resolving the others. Plans of single services are kept by the content
//! that they follow from: after one more edit only what depends on it is planned again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::canonical::{Revision, to_value};
use crate::definition::ApplicationDefinition;
use crate::driver::OutputFile;
use crate::error::{Error, Result};
use crate::merge3::{Edit, edits};
use crate::plan::{FileAction, FilePlan, FleetPlan, InstancePlan, PlanAction, PlanProblem};
use crate::repository::{PipelineRepository, Preview};
use crate::resolver::{Resolved, Resolver, closure_of_definition};
use crate::template::TemplateSet;

const PLAN_DOMAIN: &str = "prestage/plan/1";

/// A check of a definition beyond what targets demand; the message says what is wrong.
pub type Check<'a> = &'a dyn Fn(&ApplicationDefinition) -> std::result::Result<(), String>;

/// No check beyond what targets demand.
pub fn no_check(_: &ApplicationDefinition) -> std::result::Result<(), String> {
    Ok(())
}

/// Plans fleet updates and remembers what did not change since the last plan.
#[derive(Debug, Default)]
pub struct FleetPlanner {
    plans: BTreeMap<Revision, Arc<InstancePlan>>,
    templates: Resolved,
}

impl FleetPlanner {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What `templates` would make of the services in `repository`. Fails only when a service
    /// cannot be asked at all; what is wrong with one service is part of its plan.
    pub fn plan(
        &mut self,
        templates: &TemplateSet,
        repository: &PipelineRepository,
        check: Check<'_>,
    ) -> Result<FleetPlan> {
        let mut resolver = Resolver::over(templates, std::mem::take(&mut self.templates));
        let mut kept = BTreeMap::new();
        let mut instances = Vec::new();
        let mut untouched = 0;
        for service in repository.services() {
            let base = repository.base(service)?;
            let closure = resolver.closure(&base.template);
            if closure
                .as_ref()
                .is_ok_and(|new| *new == closure_of_definition(base))
            {
                untouched += 1;
                continue;
            }
            let key = plan_key(repository, service, &closure)?;
            let plan = match self.plans.get(&key) {
                Some(known) => known.clone(),
                None => Arc::new(instance_plan(&mut resolver, repository, service, check)?),
            };
            kept.insert(key, plan.clone());
            instances.push((*plan).clone());
        }
        self.plans = kept;
        self.templates = resolver.into_resolved();
        for (service, problem) in repository.unreadable() {
            instances.push(unreadable_plan(service, problem));
        }
        instances.sort_by(|a, b| a.service.cmp(&b.service));
        Ok(FleetPlan::new(templates.digest(), untouched, instances))
    }
}

/// The services whose definitions were made from other templates than these, sorted.
pub fn reached_by(templates: &TemplateSet, repository: &PipelineRepository) -> Result<Vec<String>> {
    let mut resolver = Resolver::new(templates);
    let mut reached = Vec::new();
    for service in repository.services() {
        let base = repository.base(service)?;
        let closure = resolver.closure(&base.template);
        if closure.is_ok_and(|new| new == closure_of_definition(base)) {
            continue;
        }
        reached.push(service.to_owned());
    }
    Ok(reached)
}

/// Everything that a service's plan follows from, as one hash.
fn plan_key(
    repository: &PipelineRepository,
    service: &str,
    closure: &Result<Revision>,
) -> Result<Revision> {
    let (live, base) = repository.revisions(service)?;
    let staged: Vec<_> = repository
        .stages(service)?
        .map(|staged| json!([staged.stage.key, staged.activation]))
        .collect();
    let state = repository.state(service)?;
    let closure = match closure {
        Ok(closure) => closure.to_string(),
        Err(error) => error.to_string(),
    };
    Ok(Revision::of(
        PLAN_DOMAIN,
        &json!({
            "service": service,
            "closure": closure,
            "live": live,
            "base": base,
            "read": repository.read_folder(service)?.unwrap_or_default(),
            "staged": staged,
            "holds": state.holds,
            "decisions": state.pending.as_ref().map_or_else(|| json!({}), |pending| json!(pending.decisions)),
        }),
    ))
}

fn instance_plan(
    resolver: &mut Resolver<'_>,
    repository: &PipelineRepository,
    service: &str,
    check: Check<'_>,
) -> Result<InstancePlan> {
    let base = repository.base(service)?;
    let (from, _) = repository.revisions(service)?;
    let mut plan = InstancePlan {
        service: service.to_owned(),
        template: base.template.clone(),
        action: PlanAction::Unchanged,
        from: from.clone(),
        candidate: None,
        to: None,
        edits: Vec::new(),
        conflicts: Vec::new(),
        files: Vec::new(),
        problem: None,
    };
    let previewed = resolver.candidate(base).and_then(|candidate| {
        plan.candidate = Some(candidate.revision.clone());
        repository.preview(&candidate)
    });
    match previewed {
        Ok(Preview::Unchanged) => {}
        Ok(Preview::Held) => plan.action = PlanAction::Held,
        Ok(Preview::Conflicted(conflicts)) => {
            plan.action = PlanAction::Conflict;
            plan.conflicts = conflicts;
        }
        Ok(Preview::Changed {
            definition,
            revision,
            before,
            after,
        }) => {
            plan.action = PlanAction::Update;
            plan.to = Some(revision);
            plan.files = file_plans(&before, &after);
            plan.edits = definition_edits(repository.definition(service)?, &definition);
            if let Err(message) = check(&definition) {
                let code = "E-CHECK".to_owned();
                refuse(&mut plan, PlanProblem { code, message });
            }
        }
        Err(problem) => refuse(&mut plan, PlanProblem::of(&problem)),
    }
    Ok(plan)
}

/// The edits between two definitions. Stage templates are most of a definition and seldom change;
/// equal ones have no edits, so they are left out before the rest becomes JSON.
fn definition_edits(before: &ApplicationDefinition, after: &ApplicationDefinition) -> Vec<Edit> {
    let mut sides = [before.clone(), after.clone()];
    if before.stage_templates == after.stage_templates {
        for side in &mut sides {
            side.stage_templates.clear();
        }
    }
    let [before, after] = sides.map(|side| to_value(&side));
    edits(&before, &after)
}

fn refuse(plan: &mut InstancePlan, problem: PlanProblem) {
    plan.action = PlanAction::Refused;
    plan.to = None;
    plan.files = Vec::new();
    plan.problem = Some(problem);
}

fn unreadable_plan(service: &str, problem: &Error) -> InstancePlan {
    InstancePlan {
        service: service.to_owned(),
        template: String::new(),
        action: PlanAction::Refused,
        from: Revision::none(),
        candidate: None,
        to: None,
        edits: Vec::new(),
        conflicts: Vec::new(),
        files: Vec::new(),
        problem: Some(PlanProblem {
            code: "E-LIVE-PARSE".to_owned(),
            message: problem.to_string(),
        }),
    }
}

fn file_plans(before: &[OutputFile], after: &[OutputFile]) -> Vec<FilePlan> {
    let find = |files: &'_ [OutputFile], path: &str| -> Option<Vec<u8>> {
        let found = files.iter().find(|file| file.path == path);
        found.map(|file| file.bytes.clone())
    };
    let mut paths: Vec<&String> = before.iter().chain(after).map(|file| &file.path).collect();
    paths.sort_unstable();
    paths.dedup();
    let plan = |path: &String| {
        let action = match (find(before, path), find(after, path)) {
            (None, _) => FileAction::Create,
            (_, None) => FileAction::Delete,
            (old, new) if old == new => FileAction::None,
            _ => FileAction::Modify,
        };
        FilePlan {
            path: path.clone(),
            action,
        }
    };
    paths.into_iter().map(plan).collect()
}

#[cfg(test)]
mod tests;
