//! Why a stage exists: the record that is committed beside it.
//!
//! What the decision was is opaque to this crate: others fill it in, here it is only checked for
//! numbers that JSON cannot hold. What follows from templates, drivers and rules is filled in when
//! the stage is committed. Knows neither forecasts nor policies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::Revision;
use crate::definition::{ApplicationDefinition, Stage};
use crate::driver::driver;
use crate::error::{Error, Result};
use crate::expression::parameters_in;
use crate::parameter::Origin;
use crate::place::Place;
use crate::rules::{Verdict, check_rules};
use crate::stage::{NeedType, StageDefinition};

/// Whether a forecast or a person asked for the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedOrigin {
    /// Staged before anybody asked.
    #[default]
    Predicted,
    /// Asked for.
    Requested,
}

/// One quantile of the forecast that led to a stage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// The level, between 0 and 1.
    pub level: f64,
    /// The forecast value at that level, in the unit of the need.
    pub value: f64,
}

/// What one check said about a stage when it was committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// A driver as `name/version`, or a rule as `rule/name`.
    pub validator: String,
    /// Whether nothing is wrong.
    pub passed: bool,
    /// What is wrong, the first of it; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
}

/// What was known and decided when a stage was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// By which whoever asked knows the need.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub need_id: String,
    /// The need type.
    pub need: NeedType,
    /// The service.
    pub service: String,
    /// Who asked.
    pub origin: NeedOrigin,
    /// When it was asked for, unix seconds.
    pub requested_at: i64,
    /// Forecast probability of the need, between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Forecast interval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quantiles: Vec<Quantile>,
    /// The threshold that the forecast was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The knobs in force, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub knobs: BTreeMap<String, f64>,
    /// Name of the deciding arm.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arm: String,
    /// Hash of the policy artifact.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy_hash: String,
    /// The forecast models asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Seed of the simulated world that the telemetry came from; none for a live or recorded one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// First and last unix second of the telemetry that the forecast saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry_window: Option<(i64, i64)>,
    /// Revision of the stage template.
    pub template_revision: Revision,
    /// Who set each parameter of the stage.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameter_origins: BTreeMap<String, Origin>,
    /// Paths of the stage template that hold values of parameters, and the parameters: with their
    /// origins, who decided what. What stands at any other path is the template's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters_at: BTreeMap<String, Vec<String>>,
    /// The drivers that wrote the target files, as `name/version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<String>,
    /// What the drivers and the rules said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validators: Vec<Validation>,
}

impl Provenance {
    /// What follows from the stage alone; the caller adds what it knows about the decision.
    pub fn of(stage: &StageDefinition, origin: NeedOrigin, requested_at: i64) -> Self {
        Self {
            need_id: String::new(),
            need: stage.need,
            service: stage.service.clone(),
            origin,
            requested_at,
            probability: None,
            quantiles: Vec::new(),
            threshold: None,
            knobs: BTreeMap::new(),
            arm: String::new(),
            policy_hash: String::new(),
            models: Vec::new(),
            seed: None,
            telemetry_window: None,
            template_revision: stage.template_revision.clone(),
            parameter_origins: stage
                .parameters
                .iter()
                .map(|(name, bound)| (name.clone(), bound.origin.clone()))
                .collect(),
            parameters_at: BTreeMap::new(),
            drivers: Vec::new(),
            validators: Vec::new(),
        }
    }

    /// This record with what the repository knows once it has made the target files.
    pub(crate) fn completed(
        &self,
        stage: &StageDefinition,
        definition: &ApplicationDefinition,
    ) -> Result<Self> {
        let mut drivers = Vec::new();
        for target in &definition.pipeline.targets {
            drivers.push(driver(target)?.id());
        }
        let template = definition.stage_templates.get(&stage.need);
        Ok(Self {
            parameters_at: template
                .map_or_else(BTreeMap::new, |template| parameters_at(&template.stages)),
            validators: validations(&drivers, &stage.stages),
            drivers,
            ..self.clone()
        })
    }

    /// What this record does not say and should, for a stage that a forecast asked for: names of its
    /// keys, in their order.
    pub fn missing(&self) -> Vec<&'static str> {
        let said = [
            ("need_id", !self.need_id.is_empty()),
            ("probability", self.probability.is_some()),
            ("quantiles", !self.quantiles.is_empty()),
            ("threshold", self.threshold.is_some()),
            ("knobs", !self.knobs.is_empty()),
            ("arm", !self.arm.is_empty()),
            ("policy_hash", !self.policy_hash.is_empty()),
            ("models", !self.models.is_empty()),
            (
                "seed or telemetry_window",
                self.seed.is_some() || self.telemetry_window.is_some(),
            ),
            ("parameter_origins", !self.parameter_origins.is_empty()),
            ("parameters_at", !self.parameters_at.is_empty()),
            ("drivers", !self.drivers.is_empty()),
            ("validators", !self.validators.is_empty()),
        ];
        said.into_iter()
            .filter(|(_, is_said)| !is_said)
            .map(|(key, _)| key)
            .collect()
    }

    /// Refuses numbers that are not finite.
    pub(crate) fn validate(&self) -> Result<()> {
        let single = [
            ("probability", self.probability),
            ("threshold", self.threshold),
        ];
        let single = single
            .into_iter()
            .filter_map(|(field, value)| Some((field, value?)));
        let quantiles = self
            .quantiles
            .iter()
            .flat_map(|quantile| [("quantiles", quantile.level), ("quantiles", quantile.value)]);
        let knobs = self.knobs.values().map(|value| ("knobs", *value));
        let mut numbers = single.chain(quantiles).chain(knobs);
        match numbers.find(|(_, number)| !number.is_finite()) {
            Some((field, number)) => Err(Error::NeedInvalid {
                service: self.service.clone(),
                field,
                found: format!("`{number}`"),
                expected: "a finite number".to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// The paths below `/stages` whose leaves name parameters.
fn parameters_at(stages: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let root = Place::root("/stages");
    for (index, stage) in stages.iter().enumerate() {
        collect_parameters(&root.item(index, stage), stage, &mut found);
    }
    found
}

fn collect_parameters(place: &Place<'_>, value: &Value, found: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::String(text) => {
            let parameters = parameters_in(text);
            if !parameters.is_empty() {
                found.insert(place.to_string(), parameters);
            }
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| collect_parameters(&place.item(index, item), item, found)),
        Value::Object(map) => map
            .iter()
            .for_each(|(key, item)| collect_parameters(&place.key(key), item, found)),
        _ => {}
    }
}

/// A driver that refuses a stage stops the commit, so those that are recorded passed.
fn validations(drivers: &[String], stages: &[Stage]) -> Vec<Validation> {
    let mut validations: Vec<Validation> = drivers
        .iter()
        .map(|driver| Validation {
            validator: driver.clone(),
            passed: true,
            problem: String::new(),
        })
        .collect();
    for finding in check_rules(stages) {
        let validator = format!("rule/{}", finding.rule);
        let problem = match finding.verdict {
            Verdict::Fail { reason, .. } => format!("{}: {reason}", finding.path),
            Verdict::Pass | Verdict::NotApplicable { .. } => String::new(),
        };
        match validations
            .iter_mut()
            .find(|known| known.validator == validator)
        {
            Some(known) if known.passed && !problem.is_empty() => {
                known.passed = false;
                known.problem = problem;
            }
            Some(_) => {}
            None => validations.push(Validation {
                validator,
                passed: problem.is_empty(),
                problem,
            }),
        }
    }
    validations
}
