//! One walk of one forecaster through one series.
use std::ops::Range;

use super::{Scores, Slots};
use crate::series::{Entry, Quantiles, Setting};

/// Where a walk forecasts and retrains.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Slots after which forecasts are made and scored; those before are only learnt from.
    pub origins: Range<usize>,
    /// Slots from one origin to the next, at least one.
    pub stride: usize,
    /// Slots from one retraining to the next, at least one.
    pub retrain_every: usize,
}

/// What came of a walk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walk {
    /// Over all origins and steps.
    pub scores: Scores,
    /// Origins used.
    pub origins: u64,
    /// See [`crate::series::Health::fallbacks`].
    pub fallbacks: u64,
}

/// Walks a new forecaster through `slots`; values at and after the end of `plan.origins` plus the
/// horizon are never looked at.
pub fn walk(entry: &Entry, setting: &Setting, slots: &Slots, plan: &Plan) -> Walk {
    assert!(plan.stride > 0 && plan.retrain_every > 0, "{plan:?}");
    let mut forecaster = (entry.build)(setting);
    let horizon = setting.horizon();
    let values = slots.values();
    let mut walk = Walk::default();
    for (slot, value) in values.iter().enumerate().take(plan.origins.end) {
        if let Some(value) = value {
            forecaster.update(slots.time(slot), *value);
        }
        let learnt = slot + 1;
        if learnt.is_multiple_of(plan.retrain_every) || learnt == plan.origins.start {
            forecaster.retrain();
        }
        let is_origin = slot >= plan.origins.start
            && (slot - plan.origins.start).is_multiple_of(plan.stride)
            && value.is_some();
        if is_origin {
            let ahead = &values[learnt..values.len().min(learnt + horizon)];
            score(&mut walk, ahead, |steps| forecaster.predict(steps));
        }
    }
    walk.fallbacks = forecaster.health().fallbacks;
    walk
}

fn score(walk: &mut Walk, ahead: &[Option<f64>], predict: impl Fn(usize) -> Quantiles) {
    walk.origins += 1;
    for (i, value) in ahead.iter().enumerate() {
        if let Some(value) = value {
            walk.scores.count(&predict(i + 1), *value);
        }
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::{Span, Timestamp};

    use super::*;
    use crate::series::{FORECASTERS, forecaster};

    fn slots(values: impl Iterator<Item = f64>) -> Slots {
        let samples: Vec<(Timestamp, f64)> = (0..)
            .map(|hour| Timestamp::from_seconds(hour * 3_600))
            .zip(values)
            .collect();
        Slots::from_samples(Span::from_hours(1), &samples)
    }

    fn wave(hour: usize) -> f64 {
        50.0 + 20.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin()
            + (hour * 7_919 % 13) as f64
    }

    const PLAN: Plan = Plan {
        origins: 120..200,
        stride: 5,
        retrain_every: 24,
    };

    #[test]
    fn a_period_of_the_season_is_forecast_without_error() {
        let setting = Setting::new(Span::from_hours(1), 12).unwrap();
        let series = slots((0..300).map(|hour| (hour % 24) as f64));
        let entry = forecaster("seasonal-naive").unwrap();
        let walk = walk(entry, &setting, &series, &PLAN);
        assert_eq!((walk.origins, walk.scores.forecasts), (16, 16 * 12));
        assert_eq!(walk.scores.mean_absolute_error(), 0.0);
    }

    #[test]
    fn what_lies_beyond_the_last_horizon_changes_nothing() {
        let setting = Setting::new(Span::from_hours(1), 12).unwrap();
        let known = 196 + 12;
        let series = slots((0..400).map(wave));
        let altered = slots((0..400).map(|hour| if hour < known { wave(hour) } else { -1e9 }));
        for entry in FORECASTERS {
            let found = walk(entry, &setting, &altered, &PLAN);
            assert_eq!(
                found,
                walk(entry, &setting, &series, &PLAN),
                "{}",
                entry.name
            );
        }
    }
}
