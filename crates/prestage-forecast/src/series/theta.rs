//! The Theta method: a smoothed level with half of the long-run slope as drift.
//!
//! Assimakopoulos & Nikolopoulos (2000) in the form of Hyndman & Billah (2003), on values freed of
//! the shortest season's profile, which is decomposed anew at each retraining. The winner of the M3 competition. Fails where a trend ends.
use serde::{Deserialize, Serialize};

use super::band::Banded;
use super::grid::Gridded;
use super::mstl::decompose;
use super::registry::Entry;
use super::{Past, PointModel, Setting};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "theta",
    about: "smoothed level plus half of the long-run slope, around the profile of the season",
    build: |setting| {
        let point = Theta::new(setting);
        Box::new(Gridded::new(setting, Banded::new(setting, point)))
    },
    restore: Gridded::<Banded<Theta>>::restore,
};

/// Smoothing constants that are tried at a retraining.
const GRID: [f64; 7] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.9];

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Theta {
    smoothing: f64,
    drift: f64,
    level: f64,
    learnt: u64,
    /// Of the shortest season, zeros before the first retraining that knows two of it.
    profile: Vec<f64>,
}

impl Theta {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            smoothing: GRID[3],
            drift: 0.0,
            level: 0.0,
            learnt: 0,
            profile: vec![0.0; setting.season()],
        }
    }

    fn seasonal(&self, slot: i64) -> f64 {
        self.profile[slot.rem_euclid(self.profile.len() as i64) as usize]
    }

    /// See [`PointModel::retrain`]: on all that is remembered and the shortest season's profile in it.
    pub(super) fn retrain_on(&mut self, values: &[f64], first: i64, profile: &[f64]) {
        let season = self.profile.len();
        if values.len() < 2 * season.max(4) {
            return;
        }
        if season > 1 {
            self.profile.copy_from_slice(profile);
        }
        let freed: Vec<f64> = (first..)
            .zip(values)
            .map(|(slot, value)| value - self.seasonal(slot))
            .collect();
        self.drift = 0.5 * slope(&freed);
        let best = GRID
            .into_iter()
            .map(|smoothing| (smoothed(&freed, smoothing, self.drift), smoothing))
            .min_by(|(a, _), (b, _)| a.loss.total_cmp(&b.loss));
        if let Some((fit, smoothing)) = best {
            self.smoothing = smoothing;
            self.level = fit.level;
        }
    }
}

impl PointModel for Theta {
    fn learn(&mut self, past: &Past) {
        self.level += self.drift;
        let Some(value) = past.observed() else {
            return;
        };
        self.learnt += 1;
        let gain = self.smoothing.max(1.0 / self.learnt as f64);
        self.level += gain * (value - self.seasonal(past.slot()) - self.level);
    }

    fn point(&self, past: &Past, steps: usize) -> f64 {
        let ahead = (steps - 1) as f64 + 1.0 / self.smoothing;
        self.level + self.drift * ahead + self.seasonal(past.slot() + steps as i64)
    }

    fn retrain(&mut self, past: &Past) {
        let values = past.to_vec();
        let first = past.slot() + 1 - values.len() as i64;
        let season = self.profile.len();
        let mut profiles = decompose(&values, first, &[season]);
        self.retrain_on(&values, first, &profiles.swap_remove(0));
    }
}

struct Smoothed {
    level: f64,
    loss: f64,
}

/// Simple exponential smoothing with drift, and the sum of its absolute errors.
fn smoothed(values: &[f64], smoothing: f64, drift: f64) -> Smoothed {
    let mut fit = Smoothed {
        level: values[0],
        loss: 0.0,
    };
    for &value in &values[1..] {
        let error = value - fit.level - drift;
        fit.loss += error.abs();
        fit.level += drift + smoothing * error;
    }
    fit
}

/// Slope of the least-squares line over equally spaced values.
fn slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / n;
    let centred = values.iter().enumerate();
    let covariance: f64 = centred
        .map(|(i, value)| (i as f64 - middle) * (value - mean))
        .sum();
    covariance / (n * (n * n - 1.0) / 12.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::Span;

    use super::*;

    #[test]
    fn slope_of_a_line() {
        let line: Vec<f64> = (0..50).map(|i| 3.0 + 0.25 * f64::from(i)).collect();
        assert!((slope(&line) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn a_line_goes_on_at_half_of_its_slope() {
        let setting = Setting::new(Span::from_hours(1), 10)
            .unwrap()
            .with_season(4);
        let mut past = Past::new(&setting);
        let mut theta = Theta::new(&setting);
        for i in 0..60 {
            past.push(i, Some(2.0 * i as f64));
            theta.learn(&past);
        }
        theta.retrain(&past);
        let rise = theta.point(&past, 9) - theta.point(&past, 1);
        assert!((rise - 8.0).abs() < 0.5, "rise over eight steps: {rise}");
    }
}
