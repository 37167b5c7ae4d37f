//! Exponential smoothing: a level, a damped trend, a profile for each season, and what is left of
//! the last error.
//!
//! Taylor (2003), short-term electricity demand forecasting using double seasonal exponential
//! smoothing: additive seasons and a first-order correction of the errors; trend damped as in
//! Gardner & McKenzie (1985). Innovations are cut at four usual ones, so that one spike does not
//! become a level. Smoothing constants are chosen from a small grid at each retraining by the mean
//! absolute error over what is remembered. Fails where the noise is as large as the rhythm: it then
//! follows the noise.
use serde::{Deserialize, Serialize};

use super::band::Banded;
use super::grid::Gridded;
use super::mstl::Decomposed;
use super::registry::Entry;
use super::{Past, PointModel, Setting};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "holt-winters",
    about: "damped Holt-Winters smoothing with a profile for each season, constants chosen anew",
    build: |setting| {
        let point = HoltWinters::new(setting);
        Box::new(Gridded::new(setting, Banded::new(setting, point)))
    },
    restore: Gridded::<Banded<HoltWinters>>::restore,
};

/// Share of the trend that is left after a step.
const DAMPING: f64 = 0.9;
/// Largest innovation that counts, in usual ones.
const CUT: f64 = 4.0;
/// Level, trend and season constants that are tried, and the share of an error that is left.
const GRID: [Constants; 8] = [
    Constants::new(0.02, 0.0, 0.1, 0.6),
    Constants::new(0.05, 0.0, 0.1, 0.8),
    Constants::new(0.1, 0.0, 0.2, 0.5),
    Constants::new(0.1, 0.0, 0.1, 0.9),
    Constants::new(0.3, 0.0, 0.1, 0.0),
    Constants::new(0.3, 0.05, 0.2, 0.3),
    Constants::new(0.6, 0.05, 0.2, 0.0),
    Constants::new(0.9, 0.1, 0.1, 0.0),
];

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Constants {
    level: f64,
    trend: f64,
    season: f64,
    left: f64,
}

impl Constants {
    const fn new(level: f64, trend: f64, season: f64, left: f64) -> Self {
        Self {
            level,
            trend,
            season,
            left,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HoltWinters {
    constants: Constants,
    level: f64,
    trend: f64,
    seasonal: Vec<Vec<f64>>,
    error: f64,
    usual_error: f64,
    learnt: u64,
}

impl HoltWinters {
    pub(super) fn new(setting: &Setting) -> Self {
        Self::with(GRID[2], setting.seasons())
    }

    fn with(constants: Constants, seasons: &[usize]) -> Self {
        Self {
            constants,
            level: 0.0,
            trend: 0.0,
            seasonal: seasons.iter().map(|&slots| vec![0.0; slots]).collect(),
            error: 0.0,
            usual_error: 0.0,
            learnt: 0,
        }
    }

    /// The state before all values: profiles of their decomposition, the level of their beginning.
    fn started(past: &Past, all: &Decomposed) -> Self {
        let Decomposed { values, first, .. } = all;
        let mut start = Self::with(GRID[0], past.seasons());
        start.seasonal.clone_from(&all.profiles);
        let beginning = &values[..past.season().max(4).min(values.len())];
        let freed: Vec<f64> = (*first..)
            .zip(beginning)
            .map(|(slot, value)| value - start.seasonal_at(slot))
            .collect();
        let n = freed.len() as f64;
        start.level = freed.iter().sum::<f64>() / n;
        start.usual_error = freed.iter().map(|x| (x - start.level).abs()).sum::<f64>() / n;
        start.learnt = values.len() as u64;
        start
    }

    fn seasonal_at(&self, slot: i64) -> f64 {
        self.seasonal
            .iter()
            .map(|season| season[phase(slot, season.len())])
            .sum()
    }

    fn expected(&self, slot: i64, steps: usize) -> f64 {
        let Constants { left, .. } = self.constants;
        let power = steps as i32;
        let damped = DAMPING * (1.0 - DAMPING.powi(power)) / (1.0 - DAMPING);
        let seasonal = self.seasonal_at(slot + steps as i64);
        self.level + damped * self.trend + seasonal + left.powi(power) * self.error
    }

    /// The value of `slot`; returns how far it was from what was expected.
    fn step(&mut self, slot: i64, value: Option<f64>) -> Option<f64> {
        if self.learnt == 0 {
            self.level = value?;
            self.learnt = 1;
            return None;
        }
        let base = self.level + DAMPING * self.trend + self.seasonal_at(slot);
        let expected = base + self.constants.left * self.error;
        self.level += DAMPING * self.trend;
        self.trend *= DAMPING;
        let Some(value) = value else {
            self.error *= self.constants.left;
            return None;
        };
        let innovation = value - expected;
        let limit = if self.learnt > 10 {
            CUT * self.usual_error
        } else {
            f64::INFINITY
        };
        let cut = innovation.clamp(-limit, limit);
        self.correct(slot, cut);
        self.error = (value - base).clamp(-limit, limit);
        // A level shift is cut again and again until errors of its size are usual.
        let memory = (self.learnt as f64 + 1.0).min(50.0);
        let counted = innovation.abs().min(2.0 * limit);
        self.usual_error += (counted - self.usual_error) / memory;
        self.learnt += 1;
        Some(innovation)
    }

    /// Moves level, trend and profiles by their shares of an innovation; at first the level by
    /// what makes it a plain mean, and each profile by its whole share.
    fn correct(&mut self, slot: i64, innovation: f64) {
        let Constants {
            level,
            trend,
            season,
            ..
        } = self.constants;
        self.level += level.max(1.0 / self.learnt as f64) * innovation;
        self.trend += level * trend * innovation;
        let learnt = self.learnt;
        let share = 1.0 / self.seasonal.len().max(1) as f64;
        for profile in &mut self.seasonal {
            let slots = profile.len();
            let visits = learnt / slots as u64 + 1;
            let gain = (0.7 / visits as f64).max(season) * share;
            profile[phase(slot, slots)] += gain * innovation;
        }
    }

    /// See [`PointModel::retrain`].
    pub(super) fn retrain_on(&mut self, past: &Past, all: &Decomposed) {
        let values = &all.values;
        if values.len() < 4 * past.season().max(2) {
            return;
        }
        let start = Self::started(past, all);
        let judged_from = values.len() / 2;
        let mut best: Option<(f64, Self)> = None;
        for constants in GRID {
            let mut candidate = Self {
                constants,
                ..start.clone()
            };
            let mut loss = 0.0;
            for (i, &value) in values.iter().enumerate() {
                let error = candidate
                    .step(all.first + i as i64, Some(value))
                    .unwrap_or(0.0);
                if i >= judged_from {
                    // Far ahead the last error is forgotten: what is left of it must count too.
                    loss += error.abs() + 0.5 * candidate.error.abs();
                }
            }
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, candidate));
            }
        }
        if let Some((_, candidate)) = best {
            *self = candidate;
        }
    }
}

fn phase(slot: i64, season: usize) -> usize {
    slot.rem_euclid(season as i64) as usize
}

impl PointModel for HoltWinters {
    fn learn(&mut self, past: &Past) {
        self.step(past.slot(), past.observed());
    }

    fn point(&self, past: &Past, steps: usize) -> f64 {
        self.expected(past.slot(), steps)
    }

    fn retrain(&mut self, past: &Past) {
        self.retrain_on(past, &Decomposed::of(past));
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::{Span, Timestamp};

    use super::*;

    #[test]
    fn a_daily_and_a_weekly_rhythm_are_continued() {
        let load = |hour: i64| {
            let day = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
            let weekend = if hour / 24 % 7 >= 5 { -20.0 } else { 0.0 };
            100.0 + 30.0 * day + weekend
        };
        let setting = Setting::new(Span::from_hours(1), 48).unwrap();
        let mut forecaster = (ENTRY.build)(&setting);
        let history: Vec<(Timestamp, f64)> = (0..24 * 7 * 8)
            .map(|hour| (Timestamp::from_seconds(hour * 3_600), load(hour)))
            .collect();
        forecaster.fit(&history);
        for steps in 1..=48 {
            let expected = load(24 * 7 * 8 - 1 + steps as i64);
            let median = forecaster.predict(steps).median();
            assert!(
                (median - expected).abs() < 12.0,
                "{steps} ahead: {median}, not {expected}"
            );
        }
    }
}
