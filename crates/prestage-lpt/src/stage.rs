//! Needs and the stages that serve them.
//!
//! [`generate_stage_definition`] is a pure function of a definition and a need; it knows neither
//! why the need is expected nor how a stage becomes a file. The [`StageKey`] makes it idempotent:
//! a need that falls into the same window with the same parameters is the same stage.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::assembly::{Activation, AssembledStage, assemble};
use crate::canonical::Revision;
use crate::dag;
use crate::definition::{ApplicationDefinition, Stage, StageTemplate, in_order, scope_of};
use crate::error::{Error, Result, nearest};
use crate::expansion::{Expansion, edges, gate_of};
use crate::instance::{Given, bind};
use crate::parameter::{Bindings, Origin};

/// Version of the stored form.
pub const STAGE_FORMAT: u32 = 1;

const KEY_DOMAIN: &str = "prestage/stage/1";
/// Leaves room for the names of the stages inside within a DNS label.
const SLUG_LENGTH_MAX: usize = 22;

/// What kind of stage is wanted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NeedType {
    /// More (or fewer) replicas.
    Scaling,
    /// A release that goes out through a canary.
    FeatureRelease,
    /// An update of dependencies.
    DependencyUpdate,
    /// The test suite spread over another number of shards.
    TestSuite,
}

impl NeedType {
    /// All need types, in the order used everywhere.
    pub const ALL: [Self; 4] = [
        Self::Scaling,
        Self::FeatureRelease,
        Self::DependencyUpdate,
        Self::TestSuite,
    ];

    /// The name used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scaling => "scaling",
            Self::FeatureRelease => "feature_release",
            Self::DependencyUpdate => "dependency_update",
            Self::TestSuite => "test_suite",
        }
    }

    /// The need type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|need| need.as_str() == name)
    }

    /// First word of the names of its stages.
    fn kind(self) -> &'static str {
        match self {
            Self::Scaling => "scale",
            Self::FeatureRelease => "canary",
            Self::DependencyUpdate => "deps",
            Self::TestSuite => "tests",
        }
    }
}

impl fmt::Display for NeedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A need, expected or asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictedNeed {
    /// The service.
    pub service: String,
    /// The need type.
    pub need: NeedType,
    /// Regions concerned; empty means all of the service's.
    #[serde(default)]
    pub regions: Vec<String>,
    /// When it is wanted, unix seconds.
    pub window_start: i64,
    /// Length of the window in seconds; needs of one window are one stage.
    pub window_s: i64,
    /// Replicas or shards; 0 for need types without one.
    #[serde(default)]
    pub magnitude: i64,
    /// Values for further parameters of the stage template.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
}

/// Identity of a staged stage: 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StageKey(String);

impl StageKey {
    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 bytes, as 32 digits: what target files and people use.
    pub fn short(&self) -> &str {
        self.0.get(..32).unwrap_or(&self.0)
    }

    /// Whether `text` is this key, in full or short.
    pub fn matches(&self, text: &str) -> bool {
        text == self.as_str() || text == self.short()
    }

    pub(crate) fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stage made for one need: the executable stages it adds to the service's pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageDefinition {
    /// [`STAGE_FORMAT`].
    pub format: u32,
    /// Its identity.
    pub key: StageKey,
    /// `<kind>-<service>-<8 digits of the key>`.
    pub name: String,
    /// The service.
    pub service: String,
    /// The need type.
    pub need: NeedType,
    /// Regions concerned, in the order of the definition.
    pub regions: Vec<String>,
    /// Start of the window, unix seconds, rounded down to a multiple of `window_s`.
    pub window_start: i64,
    /// Length of the window in seconds.
    pub window_s: i64,
    /// The stage template.
    pub template: String,
    /// Its revision.
    pub template_revision: Revision,
    /// Bound parameters with the origin of each.
    pub parameters: Bindings,
    /// What runs, each after what it needs; names are unique in the pipeline.
    pub stages: Vec<Stage>,
}

/// Makes the stage for a need. The same definition and need give the same stage, always.
pub fn generate_stage_definition(
    definition: &ApplicationDefinition,
    need: &PredictedNeed,
) -> Result<StageDefinition> {
    let template = stage_template(definition, need)?;
    check_need(definition, need, template)?;
    let regions = regions_of(definition, need)?;
    let parameters = bind_need(definition, need, template)?;
    let window_start = need.window_start.div_euclid(need.window_s) * need.window_s;
    let key = StageKey(
        Revision::of(
            KEY_DOMAIN,
            &json!({
                "service": need.service,
                "regions": regions,
                "need": need.need,
                "window_start": window_start,
                "window_s": need.window_s,
                "template_revision": template.revision,
                "parameters": values_of(&parameters),
            }),
        )
        .to_string(),
    );
    let name = stage_name(need, &key);
    let stages = expand(definition, template, &name, &regions, &parameters)?;
    Ok(StageDefinition {
        format: STAGE_FORMAT,
        key,
        name,
        service: need.service.clone(),
        need: need.need,
        regions,
        window_start,
        window_s: need.window_s,
        template: template.template.clone(),
        template_revision: template.revision.clone(),
        parameters,
        stages,
    })
}

fn stage_template<'a>(
    definition: &'a ApplicationDefinition,
    need: &PredictedNeed,
) -> Result<&'a StageTemplate> {
    definition
        .stage_templates
        .get(&need.need)
        .map(Arc::as_ref)
        .ok_or_else(|| Error::NeedUnserved {
            service: definition.service.clone(),
            need: need.need.to_string(),
            known: definition
                .stage_templates
                .keys()
                .map(NeedType::to_string)
                .collect(),
        })
}

fn check_need(
    definition: &ApplicationDefinition,
    need: &PredictedNeed,
    template: &StageTemplate,
) -> Result<()> {
    let wrong = |field: &'static str, found: String, expected: String| Error::NeedInvalid {
        service: need.service.clone(),
        field,
        found: format!("`{found}`"),
        expected,
    };
    let mut problems = Vec::new();
    if need.service != definition.service {
        let expected = format!("`{}`, which the definition is of", definition.service);
        problems.push(wrong("service", need.service.clone(), expected));
    }
    if need.window_s <= 0 {
        problems.push(wrong(
            "window_s",
            need.window_s.to_string(),
            "at least 1".to_owned(),
        ));
    }
    if need.window_start < 0 {
        let expected = "unix seconds, not negative".to_owned();
        problems.push(wrong(
            "window_start",
            need.window_start.to_string(),
            expected,
        ));
    }
    match &template.magnitude {
        None if need.magnitude != 0 => {
            let expected = format!("0: need `{}` has no magnitude", need.need);
            problems.push(wrong("magnitude", need.magnitude.to_string(), expected));
        }
        Some(parameter) if need.params.contains_key(parameter) => {
            let expected = format!("no `{parameter}`, which the magnitude sets");
            problems.push(wrong("params", parameter.clone(), expected));
        }
        _ => {}
    }
    Error::collected(problems)
}

/// The regions concerned, in the definition's order, so that their order in a need says nothing.
fn regions_of(definition: &ApplicationDefinition, need: &PredictedNeed) -> Result<Vec<String>> {
    if let Some(unknown) = need
        .regions
        .iter()
        .find(|region| !definition.regions.contains(region))
    {
        return Err(Error::NeedInvalid {
            service: need.service.clone(),
            field: "regions",
            found: format!("`{unknown}`"),
            expected: format!("some of {}", definition.regions.join(", ")),
        });
    }
    let is_concerned = |region: &&String| need.regions.is_empty() || need.regions.contains(region);
    Ok(definition
        .regions
        .iter()
        .filter(is_concerned)
        .cloned()
        .collect())
}

fn bind_need(
    definition: &ApplicationDefinition,
    need: &PredictedNeed,
    template: &StageTemplate,
) -> Result<Bindings> {
    let of_service: BTreeMap<String, Value> = definition
        .parameters
        .iter()
        .filter(|(name, _)| {
            let declared = &template.declarations;
            declared.get(name).is_some() && !declared.sealed_in.contains_key(*name)
        })
        .map(|(name, bound)| (name.clone(), bound.value.clone()))
        .collect();
    let magnitude: BTreeMap<String, Value> = template
        .magnitude
        .iter()
        .map(|parameter| (parameter.clone(), json!(need.magnitude)))
        .collect();
    let given = [
        Given {
            origin: Origin::Service,
            values: &of_service,
        },
        Given {
            origin: Origin::Need,
            values: &need.params,
        },
        Given {
            origin: Origin::Need,
            values: &magnitude,
        },
    ];
    bind(
        &need.service,
        &template.template,
        &template.declarations,
        &given,
    )
}

fn values_of(parameters: &Bindings) -> Value {
    parameters
        .iter()
        .map(|(name, bound)| (name.clone(), bound.value.clone()))
        .collect::<serde_json::Map<String, Value>>()
        .into()
}

fn stage_name(need: &PredictedNeed, key: &StageKey) -> String {
    let slug: String = need.service.chars().take(SLUG_LENGTH_MAX).collect();
    let slug = slug.trim_end_matches('-');
    format!("{}-{slug}-{}", need.need.kind(), &key.as_str()[..8])
}

fn expand(
    definition: &ApplicationDefinition,
    template: &StageTemplate,
    name: &str,
    regions: &[String],
    parameters: &Bindings,
) -> Result<Vec<Stage>> {
    let expansion = Expansion {
        owner: name,
        prefix: &format!("{name}-"),
        regions,
    };
    let scope = scope_of(&definition.service, parameters).with("stage", name);
    let mut stages = expansion.stages(&template.stages, scope)?;
    for stage in &mut stages {
        let region = stage.region.clone();
        for (field, names) in [("needs", &mut stage.needs), ("gates", &mut stage.gates)] {
            let expanded = std::mem::take(names)
                .into_iter()
                .flat_map(|name| service_stages(definition, name, region.as_deref()))
                .map(|name| match field {
                    "needs" => behind_its_gate(definition, name),
                    _ => name,
                });
            *names = edges(name, &stage.group, field, expanded)?;
        }
    }
    check_gates(definition, name, &stages)?;
    let assembled = assemble(definition, &[(&stages, Activation::Active)]);
    let nodes: Vec<dag::Node<'_>> = assembled.iter().map(AssembledStage::node).collect();
    let order = dag::check(name, &nodes)?;
    let own: Vec<usize> = order
        .into_iter()
        .filter_map(|index| index.checked_sub(definition.stages.len()))
        .collect();
    Ok(in_order(stages, &own))
}

fn check_gates(definition: &ApplicationDefinition, name: &str, stages: &[Stage]) -> Result<()> {
    let known = || definition.stages.iter().map(|stage| stage.name.as_str());
    let unknown = stages.iter().find_map(|stage| {
        let gate = stage
            .gates
            .iter()
            .find(|gate| !known().any(|k| k == *gate))?;
        Some(Error::DagUnknown {
            owner: name.to_owned(),
            stage: stage.name.clone(),
            needs: gate.clone(),
            nearest: nearest(gate, known()),
        })
    });
    unknown.map_or(Ok(()), Err)
}

/// A need that names a group of the service's regional stages means those of the same region, or
/// all of them.
fn service_stages(
    definition: &ApplicationDefinition,
    needed: String,
    region: Option<&str>,
) -> Vec<String> {
    if definition.stages.iter().any(|stage| stage.name == needed) {
        return vec![needed];
    }
    let of_group: Vec<&Stage> = definition
        .stages
        .iter()
        .filter(|stage| stage.group == needed)
        .collect();
    let same_region: Vec<String> = of_group
        .iter()
        .filter(|stage| region.is_some() && stage.region.as_deref() == region)
        .map(|stage| stage.name.clone())
        .collect();
    match (of_group.is_empty(), same_region.is_empty()) {
        (true, _) => vec![needed],
        (false, false) => same_region,
        (false, true) => of_group.iter().map(|stage| stage.name.clone()).collect(),
    }
}

/// A stage behind a gate may only be relied on once the gate is open.
fn behind_its_gate(definition: &ApplicationDefinition, name: String) -> String {
    gate_of(&definition.stages, &name).map_or(name, str::to_owned)
}

impl StageDefinition {
    /// The content hash of the whole stage.
    pub fn revision(&self) -> Revision {
        Revision::of(KEY_DOMAIN, self)
    }
}

#[cfg(test)]
mod tests;
