//! Why a stage exists: the record that is committed beside it.
//!
//! Opaque to this crate. Others fill it in; here it is only checked for numbers that JSON cannot
//! hold, stored, and read back. Knows neither forecasts nor policies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canonical::Revision;
use crate::error::{Error, Result};
use crate::parameter::Origin;
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

/// What was known and decided when a stage was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
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
    /// First and last unix second of the telemetry that the forecast saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry_window: Option<(i64, i64)>,
    /// Revision of the stage template.
    pub template_revision: Revision,
    /// Who set each parameter of the stage.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameter_origins: BTreeMap<String, Origin>,
    /// The drivers that wrote the target files, as `name/version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<String>,
}

impl Provenance {
    /// What follows from the stage alone; the caller adds what it knows about the decision.
    pub fn of(stage: &StageDefinition, origin: NeedOrigin, requested_at: i64) -> Self {
        Self {
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
            telemetry_window: None,
            template_revision: stage.template_revision.clone(),
            parameter_origins: stage
                .parameters
                .iter()
                .map(|(name, bound)| (name.clone(), bound.origin.clone()))
                .collect(),
            drivers: crate::driver::DRIVERS
                .iter()
                .map(|driver| driver.id())
                .collect(),
        }
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
