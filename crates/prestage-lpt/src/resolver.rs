//! Templates resolved once for a whole fleet.
//!
//! Instances of one template share its merged chain; what differs is a few parameters. Knows no
//! repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::canonical::Revision;
use crate::definition::{ApplicationDefinition, StageTemplate};
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::parameter::Origin;
use crate::repository::Candidate;
use crate::stage::NeedType;
use crate::template::{ResolvedTemplate, TemplateSet};

const CLOSURE_DOMAIN: &str = "prestage/closure/1";

/// Merged chains by revision: a revision covers all that a chain is merged from, so what is known of
/// one set of templates holds for every other.
pub(crate) type Resolved = BTreeMap<Revision, Arc<ResolvedTemplate>>;

/// A set of templates and what was resolved of it so far.
#[derive(Debug)]
pub struct Resolver<'a> {
    templates: &'a TemplateSet,
    known: Resolved,
    revisions: BTreeMap<String, Result<Revision>>,
    resolved: BTreeMap<String, Result<Arc<ResolvedTemplate>>>,
    stage_templates: BTreeMap<String, Arc<StageTemplate>>,
    closures: BTreeMap<String, Result<Revision>>,
}

impl<'a> Resolver<'a> {
    /// Nothing is resolved yet.
    pub fn new(templates: &'a TemplateSet) -> Self {
        Self::over(templates, Resolved::new())
    }

    /// What was resolved of another set of templates need not be merged again.
    pub(crate) fn over(templates: &'a TemplateSet, known: Resolved) -> Self {
        Self {
            templates,
            known,
            revisions: BTreeMap::new(),
            resolved: BTreeMap::new(),
            stage_templates: BTreeMap::new(),
            closures: BTreeMap::new(),
        }
    }

    /// The named template merged over its ancestors and checked.
    pub fn template(&mut self, name: &str) -> Result<Arc<ResolvedTemplate>> {
        if let Some(known) = self.resolved.get(name) {
            return known.clone();
        }
        let resolved = self.merged(name);
        self.resolved.insert(name.to_owned(), resolved.clone());
        resolved
    }

    fn merged(&mut self, name: &str) -> Result<Arc<ResolvedTemplate>> {
        let revision = self.revision(name)?;
        if let Some(known) = self.known.get(&revision) {
            return Ok(known.clone());
        }
        self.templates.resolve(name).map(Arc::new)
    }

    /// The revision of the named template.
    fn revision(&mut self, name: &str) -> Result<Revision> {
        if let Some(known) = self.revisions.get(name) {
            return known.clone();
        }
        let revision = self.templates.revision(name);
        self.revisions.insert(name.to_owned(), revision.clone());
        revision
    }

    /// What was resolved, for the next set of templates. What this set no longer has is forgotten.
    pub(crate) fn into_resolved(self) -> Resolved {
        let resolved = self.resolved.into_values().flatten();
        resolved
            .map(|template| (template.revision().clone(), template))
            .collect()
    }

    /// The named template in the form in which definitions hold it, one copy for all of them.
    pub(crate) fn stage_template(
        &mut self,
        name: &str,
        need: NeedType,
    ) -> Result<Arc<StageTemplate>> {
        let template = self.template(name)?;
        if template.need() != Some(need) {
            return Err(Error::Shape {
                file: name.to_owned(),
                message: format!(
                    "does not say `need: {need}`, but is named as the template for it"
                ),
            });
        }
        if let Some(known) = self.stage_templates.get(name) {
            return Ok(known.clone());
        }
        let stage_template = Arc::new(StageTemplate {
            template: template.name().to_owned(),
            revision: template.revision().clone(),
            magnitude: template.body.magnitude.clone(),
            declarations: template.declarations().clone(),
            stages: template.body.stages.clone(),
        });
        self.stage_templates
            .insert(name.to_owned(), stage_template.clone());
        Ok(stage_template)
    }

    /// What the templates make of an instance. Fails with all that is wrong with either.
    pub fn resolve(&mut self, instance: &Instance) -> Result<ApplicationDefinition> {
        crate::definition::resolve_with(self, instance)
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
            stages.insert(need.to_string(), self.revision(stage)?);
        }
        Ok(closure(template.revision(), &stages))
    }

    /// What the templates give the instance that a definition was made from.
    pub fn candidate(&mut self, base: &ApplicationDefinition) -> Result<Candidate> {
        self.candidate_for(&instance_of(base))
    }

    /// What the templates give an instance.
    pub fn candidate_for(&mut self, instance: &Instance) -> Result<Candidate> {
        let theirs = self.resolve(instance)?;
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
