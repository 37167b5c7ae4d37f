//! The six knobs a policy turns, their ranges, and what a level means.
//!
//! An action is seven levels a knob around a static-tuned centre; level 0 is the
//! centre itself, so all zeros is exactly the static policy.
use std::collections::BTreeMap;

use prestage_lpt::NeedType;
use prestage_policy::MultiDiscrete;
use prestage_telemetry::Span;
use serde::{Deserialize, Serialize};

use crate::cell::need_index;

/// Levels a knob: -3 to +3.
pub const LEVELS: u8 = 7;
/// The action that means level 0.
pub const NEUTRAL: u8 = 3;
/// Rungs of the quantile knob.
pub const QUANTILES: [f64; 8] = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995];

/// A knob, in action order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// Log-odds added to the newsvendor threshold, 1 a level.
    Threshold,
    /// Quantile of the required size, one rung a level.
    Quantile,
    /// Horizon in measured lead P90s, a factor of the square root of 2 a level.
    Horizon,
    /// Half-life of what a model tracks, a factor of 2 a level.
    HalfLife,
    /// Time to live of a ready stage, a factor of 2 a level.
    Ttl,
    /// Time between retrainings, a factor of 2 a level.
    Retrain,
}

/// All knobs, in action order.
pub const KNOBS: [Knob; 6] = [
    Knob::Threshold,
    Knob::Quantile,
    Knob::Horizon,
    Knob::HalfLife,
    Knob::Ttl,
    Knob::Retrain,
];

impl Knob {
    /// Its name in logs and provenance.
    pub fn name(self) -> &'static str {
        match self {
            Knob::Threshold => "threshold_log_odds",
            Knob::Quantile => "quantile",
            Knob::Horizon => "horizon_leads",
            Knob::HalfLife => "half_life_h",
            Knob::Ttl => "ttl_h",
            Knob::Retrain => "retrain_h",
        }
    }
}

impl Knob {
    /// One sentence: what it does and what a level is worth.
    pub fn about(self) -> &'static str {
        match self {
            Knob::Threshold => "log-odds added to the newsvendor threshold; 1 a level",
            Knob::Quantile => "quantile of the required size that a stage covers; one rung a level",
            Knob::Horizon => "horizon in measured lead-time P90s; a factor of 1.41 a level",
            Knob::HalfLife => "half-life of what a forecaster tracks, hours; a factor of 2 a level",
            Knob::Ttl => "time to live of a ready stage, hours; a factor of 2 a level",
            Knob::Retrain => "time between retrainings, hours; a factor of 2 a level",
        }
    }
}

/// The action space of one cell.
pub fn action_space() -> MultiDiscrete {
    MultiDiscrete {
        nvec: vec![LEVELS; KNOBS.len()],
        neutral: vec![NEUTRAL; KNOBS.len()],
    }
}

/// Where the levels of one need type are centred.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnobCenter {
    /// Log-odds above the newsvendor threshold; infinite in the rules that never
    /// (or always) stage.
    pub threshold_log_odds: f64,
    /// Index into [`QUANTILES`].
    pub quantile_rung: u8,
    /// Horizon over the lead time's P90, 0.5 to 4.
    pub horizon_leads: f64,
    /// Hours, 0.25 to 168.
    pub half_life_h: f64,
    /// Hours, 0.25 to 72.
    pub ttl_h: f64,
    /// Hours, 1 to 168.
    pub retrain_h: f64,
}

/// Centres for all need types.
#[derive(Clone, Debug, PartialEq)]
pub struct KnobCenters {
    by_need: [KnobCenter; 4],
}

/// The knobs in force in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Knobs {
    /// Log-odds above the newsvendor threshold.
    pub threshold_log_odds: f64,
    /// Quantile of the required size.
    pub quantile: f64,
    /// Horizon over the lead time's P90.
    pub horizon_leads: f64,
    /// Half-life of what the model tracks.
    pub half_life: Span,
    /// Time to live of a ready stage.
    pub ttl: Span,
    /// Time between retrainings.
    pub retrain: Span,
}

impl Default for KnobCenters {
    /// The newsvendor threshold with plain settings for the rest.
    fn default() -> Self {
        let events = KnobCenter {
            threshold_log_odds: 0.0,
            quantile_rung: 3,
            horizon_leads: 1.5,
            half_life_h: 6.0,
            ttl_h: 12.0,
            retrain_h: 24.0,
        };
        let scaling = KnobCenter {
            half_life_h: 0.5,
            ttl_h: 4.0,
            ..events
        };
        Self {
            by_need: NeedType::ALL.map(|need| {
                if need == NeedType::Scaling {
                    scaling
                } else {
                    events
                }
            }),
        }
    }
}

impl KnobCenters {
    /// The centre for a need type.
    pub fn of(&self, need: NeedType) -> &KnobCenter {
        &self.by_need[need_index(need)]
    }

    /// The centre for a need type, to be changed.
    pub fn of_mut(&mut self, need: NeedType) -> &mut KnobCenter {
        &mut self.by_need[need_index(need)]
    }

    /// These centres with one threshold for all need types.
    pub fn with_threshold(mut self, log_odds: f64) -> Self {
        self.by_need
            .iter_mut()
            .for_each(|center| center.threshold_log_odds = log_odds);
        self
    }
}

impl Serialize for KnobCenters {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named: BTreeMap<String, KnobCenter> = NeedType::ALL
            .iter()
            .map(|&need| (need.to_string(), *self.of(need)))
            .collect();
        named.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KnobCenters {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut named = BTreeMap::<String, KnobCenter>::deserialize(deserializer)?;
        let mut centers = KnobCenters::default();
        for need in NeedType::ALL {
            let name = need.to_string();
            let center = named
                .remove(&name)
                .ok_or_else(|| D::Error::custom(format!("knob centres lack `{name}`")))?;
            if let Some(problem) = center.problem() {
                return Err(D::Error::custom(format!(
                    "knob centre of `{name}`: {problem}"
                )));
            }
            *centers.of_mut(need) = center;
        }
        match named.into_keys().next() {
            Some(unknown) => Err(D::Error::custom(format!("`{unknown}` is not a need type"))),
            None => Ok(centers),
        }
    }
}

impl KnobCenter {
    /// Why a centre read from outside cannot be used, if it cannot.
    fn problem(&self) -> Option<String> {
        let ranges = [
            ("threshold_log_odds", self.threshold_log_odds, -12.0, 12.0),
            (
                "quantile_rung",
                f64::from(self.quantile_rung),
                0.0,
                (QUANTILES.len() - 1) as f64,
            ),
            ("horizon_leads", self.horizon_leads, 0.5, 4.0),
            ("half_life_h", self.half_life_h, 0.25, 168.0),
            ("ttl_h", self.ttl_h, 0.25, 72.0),
            ("retrain_h", self.retrain_h, 1.0, 168.0),
        ];
        // NaN fails the comparison and is refused with the rest.
        let bad = ranges
            .iter()
            .find(|(_, value, low, high)| !(value >= low && value <= high));
        bad.map(|(name, value, low, high)| {
            format!("`{name}` is {value}, allowed is {low} to {high}")
        })
    }

    /// The knobs at these levels (-3 to +3), clamped to their ranges.
    pub fn at(&self, levels: [i8; 6]) -> Knobs {
        let [threshold, quantile, horizon, half_life, ttl, retrain] = levels;
        let rung = (i16::from(self.quantile_rung) + i16::from(quantile))
            .clamp(0, QUANTILES.len() as i16 - 1);
        let scaled = |center: f64, level: i8, (low, high): (f64, f64)| {
            (center * 2f64.powi(i32::from(level))).clamp(low, high)
        };
        Knobs {
            threshold_log_odds: self.threshold_log_odds + f64::from(threshold),
            quantile: QUANTILES[rung as usize],
            horizon_leads: (self.horizon_leads * 2f64.powf(f64::from(horizon) * 0.5))
                .clamp(0.5, 4.0),
            half_life: Span::from_seconds_f64(
                3600.0 * scaled(self.half_life_h, half_life, (0.25, 168.0)),
            ),
            ttl: Span::from_seconds_f64(3600.0 * scaled(self.ttl_h, ttl, (0.25, 72.0))),
            retrain: Span::from_seconds_f64(3600.0 * scaled(self.retrain_h, retrain, (1.0, 168.0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_zero_is_the_centre() {
        let center = *KnobCenters::default().of(NeedType::FeatureRelease);
        let knobs = center.at([0; 6]);
        assert_eq!(knobs.threshold_log_odds, 0.0);
        assert_eq!(knobs.quantile, 0.9);
        assert_eq!(knobs.horizon_leads, 1.5);
        assert_eq!(knobs.half_life, Span::from_hours(6));
        assert_eq!(knobs.ttl, Span::from_hours(12));
        assert_eq!(knobs.retrain, Span::from_hours(24));
    }

    #[test]
    fn the_far_levels_stay_in_range() {
        let center = *KnobCenters::default().of(NeedType::Scaling);
        let low = center.at([-3; 6]);
        assert_eq!((low.threshold_log_odds, low.quantile), (-3.0, 0.5));
        assert_eq!(low.half_life, Span::from_minutes(15));
        let high = center.at([3; 6]);
        assert_eq!((high.quantile, high.horizon_leads), (0.99, 4.0));
        assert_eq!(high.retrain, Span::from_hours(168));
    }

    #[test]
    fn centres_survive_json_and_refuse_what_is_out_of_range() {
        let centers = KnobCenters::default();
        let text = serde_json::to_string(&centers).unwrap();
        assert_eq!(serde_json::from_str::<KnobCenters>(&text).unwrap(), centers);
        let broken = text.replacen("\"horizon_leads\":1.5", "\"horizon_leads\":99.0", 1);
        let error = serde_json::from_str::<KnobCenters>(&broken)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("horizon_leads") && error.contains("0.5 to 4"),
            "{error}"
        );
        let unknown = text.replacen("scaling", "scalling", 1);
        assert!(serde_json::from_str::<KnobCenters>(&unknown).is_err());
    }
}
