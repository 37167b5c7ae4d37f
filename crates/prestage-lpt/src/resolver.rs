//! Templates resolved once for a whole fleet.
//!
//! Instances of one template share its merged chain; what differs is a few parameters. Knows no
//! repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::canonical::Revision;
use crate::definition::ApplicationDefinition;
use crate::error::Result;
use crate::instance::Instance;
use crate::parameter::Origin;
use crate::repository::Candidate;
use crate::template::{ResolvedTemplate, TemplateSet};

const CLOSURE_DOMAIN: &str = "prestage/closure/1";

/// A set of templates and what was resolved of it so far.
#[derive(Debug)]
pub struct Resolver<'a> {
    templates: &'a TemplateSet,
    resolved: BTreeMap<String, Result<Arc<ResolvedTemplate>>>,
    closures: BTreeMap<String, Result<Revision>>,
}

impl<'a> Resolver<'a> {
    /// Nothing is resolved yet.
    pub fn new(templates: &'a TemplateSet) -> Self {
        Self {
            templates,
            resolved: BTreeMap::new(),
            closures: BTreeMap::new(),
        }
    }

    /// The named template merged over its ancestors and checked.
    pub fn template(&mut self, name: &str) -> Result<Arc<ResolvedTemplate>> {
        if let Some(known) = self.resolved.get(name) {
            return known.clone();
        }
        let resolved = self.templates.resolve(name).map(Arc::new);
        self.resolved.insert(name.to_owned(), resolved.clone());
        resolved
    }

    /// A hash over everything that a definition of this template is made from, instance apart: its
    /// own revision and those of the stage templates that it names.
    pub fn closure(&mut self, name: &str) -> Result<Revision> {
        if let Some(known) = self.closures.get(name) {
            return known.clone();
        }
        let closure = self.closure_of(name);
        self.closures.insert(name.to_owned(), closure.clone());
        closure
    }

    fn closure_of(&mut self, name: &str) -> Result<Revision> {
        let template = self.template(name)?;
        let mut stages = BTreeMap::new();
        for (need, stage) in &template.body.stage_templates {
            stages.insert(need.to_string(), self.templates.revision(stage)?);
        }
        Ok(closure(template.revision(), &stages))
    }

    /// What the templates give the instance that a definition was made from.
    pub fn candidate(&mut self, base: &ApplicationDefinition) -> Result<Candidate> {
        self.candidate_for(&instance_of(base))
    }

    /// What the templates give an instance.
    pub fn candidate_for(&mut self, instance: &Instance) -> Result<Candidate> {
        let theirs = crate::definition::resolve_with(self, instance)?;
        let template = self.template(&instance.template)?;
        Ok(Candidate {
            revision: theirs.revision(),
            policies: template.policies_over(&theirs),
            theirs: Arc::new(theirs),
        })
    }
}

/// The closure that a definition was made from.
pub(crate) fn closure_of_definition(definition: &ApplicationDefinition) -> Revision {
    let stages = definition
        .stage_templates
        .iter()
        .map(|(need, template)| (need.to_string(), template.revision.clone()))
        .collect();
    closure(&definition.template_revision, &stages)
}

fn closure(template: &Revision, stages: &BTreeMap<String, Revision>) -> Revision {
    Revision::of(
        CLOSURE_DOMAIN,
        &json!({"template": template, "stage_templates": stages}),
    )
}

/// The instance that a definition was resolved from: a definition holds it whole.
pub fn instance_of(definition: &ApplicationDefinition) -> Instance {
    let set_by_instance = definition
        .parameters
        .iter()
        .filter(|(_, bound)| bound.origin == Origin::Instance);
    Instance {
        service: definition.service.clone(),
        template: definition.template.clone(),
        params: set_by_instance
            .map(|(name, bound)| (name.clone(), bound.value.clone()))
            .collect(),
        regions: definition.regions.clone(),
        overrides: definition.overrides.clone(),
    }
}
