//! Seasonal decomposition: a trend, a robust profile for each season, and a damped remainder.
//!
//! After MSTL (Bandara, Hyndman & Bergmeir 2021), with periodic profiles that are medians over the
//! cycles instead of local regressions: the decomposition of what is remembered is made at each
//! retraining by backfitting, shortest season first. Between two retrainings the remainder's level
//! is tracked and its last deviation decays as a first-order autoregression. Fails where a rhythm
//! changes faster than four of its cycles.
use serde::{Deserialize, Serialize};

use super::band::Banded;
use super::grid::Gridded;
use super::registry::Entry;
use super::{Past, PointModel, Setting};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "mstl",
    about: "trend, robust profile of each season by backfitting, autoregressive remainder",
    build: |setting| {
        let point = Mstl::new(setting);
        Box::new(Gridded::new(setting, Banded::new(setting, point)))
    },
    restore: Gridded::<Banded<Mstl>>::restore,
};

/// Passes of the backfitting: further ones change profiles by less than their noise.
const PASSES: usize = 2;
/// Cycles of a season that must have been seen before it has a profile.
const CYCLES_MIN: usize = 2;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mstl {
    profiles: Vec<Vec<f64>>,
    /// Level of the remainder, over about half a season.
    level: f64,
    /// The newest remainder.
    remainder: f64,
    /// First-order autocorrelation of the remainder around its level.
    correlation: f64,
    started: bool,
}

impl Mstl {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            profiles: setting
                .seasons()
                .iter()
                .map(|&season| vec![0.0; season])
                .collect(),
            level: 0.0,
            remainder: 0.0,
            correlation: 0.7,
            started: false,
        }
    }

    fn seasonal(&self, slot: i64) -> f64 {
        self.profiles
            .iter()
            .map(|profile| profile[slot.rem_euclid(profile.len() as i64) as usize])
            .sum()
    }

    /// See [`PointModel::retrain`].
    pub(super) fn retrain_on(&mut self, past: &Past, all: &Decomposed) {
        self.profiles.clone_from(&all.profiles);
        self.started = false;
        let mut deviations = Vec::with_capacity(all.values.len());
        for (slot, value) in (all.first..).zip(&all.values) {
            self.track(value - self.seasonal(slot), past.season());
            deviations.push(self.remainder - self.level);
        }
        self.correlation = autocorrelation(&deviations);
    }

    /// Goes on with one remainder.
    fn track(&mut self, remainder: f64, season: usize) {
        if !self.started {
            self.level = remainder;
            self.started = true;
        }
        self.level += (remainder - self.level) / (0.5 * season as f64).max(6.0);
        self.remainder = remainder;
    }
}

impl PointModel for Mstl {
    fn learn(&mut self, past: &Past) {
        match past.observed() {
            Some(value) => self.track(value - self.seasonal(past.slot()), past.season()),
            None => self.remainder = self.level + self.correlation * (self.remainder - self.level),
        }
    }

    fn point(&self, past: &Past, steps: usize) -> f64 {
        let left = self.correlation.powi(steps as i32);
        let seasonal = self.seasonal(past.slot() + steps as i64);
        seasonal + self.level + left * (self.remainder - self.level)
    }

    fn retrain(&mut self, past: &Past) {
        self.retrain_on(past, &Decomposed::of(past));
    }
}

/// What is remembered and the profiles of its seasons.
pub(super) struct Decomposed {
    pub(super) values: Vec<f64>,
    /// Slot of the first value.
    pub(super) first: i64,
    pub(super) profiles: Vec<Vec<f64>>,
}

impl Decomposed {
    pub(super) fn of(past: &Past) -> Self {
        let values = past.to_vec();
        let first = past.slot() + 1 - values.len() as i64;
        let profiles = decompose(&values, first, past.seasons());
        Self {
            values,
            first,
            profiles,
        }
    }
}

/// A profile for each season, of zeros where too few cycles have been seen.
pub(super) fn decompose(values: &[f64], first: i64, seasons: &[usize]) -> Vec<Vec<f64>> {
    let mut profiles: Vec<Vec<f64>> = seasons.iter().map(|&season| vec![0.0; season]).collect();
    let seen = |season: usize| values.len() >= CYCLES_MIN * season;
    let Some(&longest) = seasons.iter().rfind(|&&season| seen(season)) else {
        return profiles;
    };
    let trend = moving_mean(values, longest);
    let freed: Vec<f64> = values.iter().zip(&trend).map(|(x, t)| x - t).collect();
    let (mut rest, mut group) = (Vec::new(), Vec::new());
    for _ in 0..PASSES {
        for which in (0..seasons.len()).filter(|&which| seen(seasons[which])) {
            rest.clone_from(&freed);
            for (_, other) in profiles.iter().enumerate().filter(|(i, _)| *i != which) {
                let phase = first.rem_euclid(other.len() as i64) as usize;
                let repeated = other.iter().cycle().skip(phase);
                rest.iter_mut().zip(repeated).for_each(|(x, o)| *x -= o);
            }
            let season = seasons[which];
            let medians = (0..season).map(|phase| {
                let offset = (phase as i64 - first).rem_euclid(season as i64) as usize;
                group.clear();
                group.extend(rest.iter().skip(offset).step_by(season));
                median(&mut group)
            });
            profiles[which] = centred(medians.collect());
        }
    }
    profiles
}

fn centred(mut profile: Vec<f64>) -> Vec<f64> {
    let mean = profile.iter().sum::<f64>() / profile.len() as f64;
    profile.iter_mut().for_each(|value| *value -= mean);
    profile
}

/// Mean of `width` values around each place, of those that there are at the ends.
fn moving_mean(values: &[f64], width: usize) -> Vec<f64> {
    let half = width / 2;
    let mut sums = Vec::with_capacity(values.len() + 1);
    sums.push(0.0);
    for value in values {
        sums.push(sums[sums.len() - 1] + value);
    }
    (0..values.len())
        .map(|i| {
            let (from, to) = (i.saturating_sub(half), (i + width - half).min(values.len()));
            (sums[to] - sums[from]) / (to - from) as f64
        })
        .collect()
}

/// The middle value, or the mean of the middle two; zero without any.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

/// First-order autocorrelation, in [0, 0.99].
fn autocorrelation(deviations: &[f64]) -> f64 {
    let power: f64 = deviations.iter().map(|x| x * x).sum();
    let lagged: f64 = deviations.windows(2).map(|pair| pair[0] * pair[1]).sum();
    if power > 0.0 {
        (lagged / power).clamp(0.0, 0.99)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_profiles_are_found_despite_spikes() {
        let short = [0.0, 4.0, -1.0, -3.0];
        let long: Vec<f64> = (0..12).map(|i| f64::from(i / 4) * 10.0 - 10.0).collect();
        let values: Vec<f64> = (0..96)
            .map(|i| {
                let spike = if i == 41 { 1e4 } else { 0.0 };
                50.0 + short[i % 4] + long[i % 12] + spike
            })
            .collect();
        let profiles = decompose(&values, 0, &[4, 12]);
        let found: Vec<f64> = (0..12)
            .map(|i| profiles[0][i % 4] + profiles[1][i])
            .collect();
        for i in 1..12 {
            let expected = short[i % 4] + long[i] - short[0] - long[0];
            let rise = found[i] - found[0];
            assert!((rise - expected).abs() < 0.5, "{i}: {rise}, not {expected}");
        }
    }

    #[test]
    fn too_few_cycles_give_no_profile() {
        assert_eq!(decompose(&[1.0, 9.0, 1.0], 0, &[2]), [[0.0, 0.0]]);
    }
}
