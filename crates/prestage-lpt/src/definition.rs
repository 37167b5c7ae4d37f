//! The application definition: what an instance amounts to once nothing is left open.
//!
//! [`resolve`] is pure: no clock, network, file or environment. The result is a self-contained
//! document in canonical JSON; its hash is its identity. The stage templates stay unbound inside
//! it, because a need binds them later and must find everything it wants in the definition alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{Revision, pretty, to_value};
use crate::dag;
use crate::error::{Error, Result};
use crate::expansion::{Expansion, STAGES_MAX, check_fields};
use crate::expression::{Scope, render};
use crate::instance::{Given, Instance, Overrides, bind};
use crate::name::check_label;
use crate::parameter::{Bindings, Declarations, Origin};
use crate::path;
use crate::resolver::Resolver;
use crate::stage::NeedType;
use crate::template::{ResolvedTemplate, TemplateSet};
use crate::yaml;

/// Version of the stored form.
pub const DEFINITION_FORMAT: u32 = 1;

const REVISION_DOMAIN: &str = "prestage/appdef/1";

/// When a stage runs, given that what it needs is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All that it needs succeeded.
    #[default]
    OnSuccess,
    /// Something that it needs failed.
    OnFailure,
    /// A person starts it.
    Manual,
}

/// One executable stage with nothing left to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Unique in the pipeline; a DNS label.
    pub name: String,
    /// The name before regions were expanded.
    pub group: String,
    /// The region that it acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Names of the stages it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Names of the service's own stages that wait for this one while it is active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// When it runs.
    #[serde(default)]
    pub when: When,
    /// Container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Shell lines, exactly as the template has them.
    pub script: Vec<String>,
    /// Environment variables: the only way a parameter reaches a script.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Parallel copies, each told its `SHARD_INDEX` (from 1) and `SHARD_COUNT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
    /// Minutes after which the target stops it.
    pub timeout_minutes: u32,
    /// Deployment environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only one stage with this word runs at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<String>,
    /// Paths kept after the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
    /// Automatic retries.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What GitHub Actions needs to know beyond the stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubTarget {
    /// Runner label.
    pub runs_on: String,
    /// The checkout action, pinned as `owner/name@<40 hexadecimal digits>`.
    pub checkout: String,
}

/// What GitLab CI needs to know beyond the stages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitlabTarget {
    /// Runner tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// What Argo Workflows needs to know beyond the stages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArgoTarget {
    /// The repository that each stage checks out, as git reads it.
    pub repository: String,
    /// Image of stages that name none: a pod always has one.
    pub image: String,
    /// Service account of the pods; empty is the namespace's default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account: String,
}

/// What Tekton needs to know beyond the stages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TektonTarget {
    /// The repository that a run checks out, as git reads it.
    pub repository: String,
    /// Image of stages that name none; it holds a shell and git.
    pub image: String,
    /// Whether something outside (a queue, a concurrency limit of the trigger) keeps stages of one
    /// `exclusive` word apart. Tekton has no lock, so without it such stages are refused.
    #[serde(default)]
    pub serialized: bool,
}

/// Facts of the pipeline as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The branch whose commits are deployed.
    pub branch: String,
    /// Names of the drivers whose files are wanted.
    pub targets: Vec<String>,
    /// GitHub Actions.
    pub github: GithubTarget,
    /// GitLab CI.
    pub gitlab: GitlabTarget,
    /// Argo Workflows; none when the template does not serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argo: Option<ArgoTarget>,
    /// Tekton Pipelines; none when the template does not serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tekton: Option<TektonTarget>,
}

/// A merged stage template that waits for a need to bind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageTemplate {
    /// The template's name.
    pub template: String,
    /// Its revision, ancestors included.
    pub revision: Revision,
    /// The parameter that takes the need's magnitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub magnitude: Option<String>,
    /// Its parameters.
    pub declarations: Declarations,
    /// Its stages, expressions unevaluated.
    pub stages: Vec<Value>,
}

/// A service's pipeline, complete and without references.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplicationDefinition {
    /// [`DEFINITION_FORMAT`].
    pub format: u32,
    /// The service.
    pub service: String,
    /// The template that the instance named.
    pub template: String,
    /// Its revision, ancestors included.
    pub template_revision: Revision,
    /// Where the service runs, in deployment order.
    pub regions: Vec<String>,
    /// What the instance changed of its template, so that it can be resolved again.
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub overrides: Overrides,
    /// Bound parameters with the origin of each.
    pub parameters: Bindings,
    /// Facts of the pipeline as a whole.
    pub pipeline: Pipeline,
    /// The stages, each after what it needs.
    pub stages: Vec<Stage>,
    /// What to stage for each need type; the definitions of one resolver share them.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "shared_templates"
    )]
    #[schemars(with = "BTreeMap<NeedType, StageTemplate>")]
    pub stage_templates: BTreeMap<NeedType, Arc<StageTemplate>>,
}

/// Shared stage templates are stored like others. The feature of serde that does this is one for the
/// whole build, and all that needs it is this field.
mod shared_templates {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{NeedType, StageTemplate};

    pub(super) fn serialize<S: Serializer>(
        templates: &BTreeMap<NeedType, Arc<StageTemplate>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(templates.iter().map(|(need, template)| (need, &**template)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<NeedType, Arc<StageTemplate>>, D::Error> {
        let templates = BTreeMap::<NeedType, StageTemplate>::deserialize(deserializer)?;
        Ok(templates
            .into_iter()
            .map(|(need, template)| (need, Arc::new(template)))
            .collect())
    }
}

impl ApplicationDefinition {
    /// The content hash.
    pub fn revision(&self) -> Revision {
        Revision::of(REVISION_DOMAIN, self)
    }

    /// The stored form: canonical JSON, indented, one final newline.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// The same definition with `value` at a path such as `/stages/[name=build]/timeout_minutes`.
    /// Fails when the path leads nowhere or the result is no definition.
    pub fn with(&self, path: &str, value: Value) -> Result<Self> {
        let mut document = to_value(self);
        path::set(&mut document, path, value)?;
        Self::checked(path, document)
    }

    /// The same definition without what is at a path. Fails as [`Self::with`] does.
    pub fn without(&self, path: &str) -> Result<Self> {
        let mut document = to_value(self);
        path::remove(&mut document, path)?;
        Self::checked(path, document)
    }

    /// Reads a document that is to become a definition: shape, fields and edges of its stages.
    pub(crate) fn checked(file: &str, document: Value) -> Result<Self> {
        let mut definition: Self = yaml::typed(file, document)?;
        check_label("service", &definition.service)?;
        let fields = definition
            .stages
            .iter()
            .filter_map(|stage| check_fields(&definition.service, stage).err());
        Error::collected(fields.collect())?;
        definition.stages = ordered(&definition.service, definition.stages)?;
        Ok(definition)
    }

    /// Reads the stored form; `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let shape = |message: String| Error::Shape {
            file: file.to_owned(),
            message,
        };
        let definition: Self =
            serde_json::from_str(text).map_err(|error| shape(error.to_string()))?;
        if definition.format != DEFINITION_FORMAT {
            return Err(shape(format!(
                "`format` is {}, this version reads {DEFINITION_FORMAT}",
                definition.format
            )));
        }
        check_label("service", &definition.service)?;
        Ok(definition)
    }
}

/// Resolves an instance against a set of templates.
pub fn resolve(templates: &TemplateSet, instance: &Instance) -> Result<ApplicationDefinition> {
    resolve_with(&mut Resolver::new(templates), instance)
}

pub(crate) fn resolve_with(
    templates: &mut Resolver<'_>,
    instance: &Instance,
) -> Result<ApplicationDefinition> {
    check_label("service", &instance.service)?;
    check_regions(&instance.service, &instance.regions)?;
    let mut template = templates.template(&instance.template)?;
    if !instance.overrides.is_empty() {
        let overrides = to_value(&instance.overrides);
        template = Arc::new(template.overridden(&instance.service, &overrides)?);
    }
    let given = [Given {
        origin: Origin::Instance,
        values: &instance.params,
    }];
    let parameters = bind(
        &instance.service,
        template.name(),
        template.declarations(),
        &given,
    )?;
    let scope = scope_of(&instance.service, &parameters);
    let pipeline = render_pipeline(&template, &scope)?;
    let expansion = Expansion {
        owner: &instance.service,
        prefix: "",
        regions: &instance.regions,
    };
    let stages = expansion.stages(&template.body.stages, scope)?;
    let stages = ordered(&instance.service, stages)?;
    Ok(ApplicationDefinition {
        format: DEFINITION_FORMAT,
        service: instance.service.clone(),
        template: template.name().to_owned(),
        template_revision: template.revision().clone(),
        regions: instance.regions.clone(),
        overrides: instance.overrides.clone(),
        stage_templates: stage_templates(templates, &template, &parameters)?,
        parameters,
        pipeline,
        stages,
    })
}

fn check_regions(service: &str, regions: &[String]) -> Result<()> {
    if regions.len() > STAGES_MAX {
        return Err(Error::TooMany {
            owner: service.to_owned(),
            what: "regions",
            found: regions.len(),
            limit: STAGES_MAX,
        });
    }
    regions
        .iter()
        .try_for_each(|region| check_label("region", region))?;
    let repeated = (1..regions.len()).find(|&i| regions[..i].contains(&regions[i]));
    match (regions.is_empty(), repeated) {
        (true, _) => Err(Error::Name {
            what: "region list",
            found: String::new(),
            expected: "at least one region",
        }),
        (_, Some(index)) => Err(Error::Name {
            what: "region",
            found: regions[index].clone(),
            expected: "each region once",
        }),
        _ => Ok(()),
    }
}

pub(crate) fn scope_of(service: &str, parameters: &Bindings) -> Scope {
    let values = parameters.iter().map(|(name, bound)| (name, &bound.value));
    Scope::new(values).with("service", service)
}

fn render_pipeline(template: &ResolvedTemplate, scope: &Scope) -> Result<Pipeline> {
    let Some(pipeline) = &template.body.pipeline else {
        return Err(Error::Shape {
            file: template.name().to_owned(),
            message: "no `pipeline`: a stage template cannot be instantiated by itself".to_owned(),
        });
    };
    let path = format!("{}:/pipeline", template.name());
    yaml::typed(&path, render(&path, pipeline, scope)?)
}

fn stage_templates(
    templates: &mut Resolver<'_>,
    service_template: &ResolvedTemplate,
    parameters: &Bindings,
) -> Result<BTreeMap<NeedType, Arc<StageTemplate>>> {
    let mut problems = Vec::new();
    let mut resolved = BTreeMap::new();
    for (need, name) in &service_template.body.stage_templates {
        match stage_template(templates, *need, name, parameters) {
            Ok(template) => {
                resolved.insert(*need, template);
            }
            Err(problem) => problems.push(problem),
        }
    }
    Error::collected(problems).map(|()| resolved)
}

fn stage_template(
    templates: &mut Resolver<'_>,
    need: NeedType,
    name: &str,
    parameters: &Bindings,
) -> Result<Arc<StageTemplate>> {
    let template = templates.stage_template(name, need)?;
    // A service value that the stage template would refuse must be heard of now, not when a need
    // arrives at night.
    let inherited = template.declarations.parameters.iter().filter_map(|spec| {
        let bound = parameters.get(&spec.name)?;
        spec.bind(name, &bound.value).err()
    });
    Error::collected(inherited.collect())?;
    Ok(template)
}

/// Puts each stage after what it needs.
pub(crate) fn ordered(owner: &str, stages: Vec<Stage>) -> Result<Vec<Stage>> {
    if let Some(gating) = stages.iter().find(|stage| !stage.gates.is_empty()) {
        return Err(Error::StageField {
            owner: owner.to_owned(),
            stage: gating.name.clone(),
            field: "gates",
            found: gating.gates.join(", "),
            expected: "nothing: only stage templates gate, a service's stages use `needs`"
                .to_owned(),
        });
    }
    let nodes: Vec<dag::Node<'_>> = stages
        .iter()
        .map(|stage| dag::Node {
            name: &stage.name,
            needs: &stage.needs,
        })
        .collect();
    let order = dag::check(owner, &nodes)?;
    Ok(in_order(stages, &order))
}

/// `stages` rearranged; `order` names each index once.
pub(crate) fn in_order(stages: Vec<Stage>, order: &[usize]) -> Vec<Stage> {
    let mut stages: Vec<Option<Stage>> = stages.into_iter().map(Some).collect();
    let place = |index: &usize| stages[*index].take().expect("an order names an index once");
    order.iter().map(place).collect()
}

#[cfg(test)]
mod tests;
