//! What the regressions look at: lags, levels, profiles of the seasons, the calendar.
//!
//! All values are compressed (linear near zero, logarithmic far from it) or left as they are, in
//! units of the series' usual size, and relative to the mean of the last season: a level shift
//! moves the target and the regressors alike.
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

use super::profile::Profile;
use super::{Past, Setting};

/// Number of regressors.
pub const REGRESSORS: usize = 16;
/// Places of some in a row.
pub const NEWEST: usize = 1;
pub const SEASON_AGO: usize = 4;
pub const PROFILE: usize = 6;
pub const LONG_PROFILE: usize = 7;

const UNITS_MAX: f64 = 1e50;

/// The regressors of one target slot.
pub type Row = [f64; REGRESSORS];

/// How values are compressed before they are regressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all: rhythm and noise add to the level.
    Linear,
    /// Inverse hyperbolic sine: beyond the unit, rhythm and noise multiply the level.
    Logarithmic,
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Regressors {
    compression: Compression,
    seasons: Vec<usize>,
    /// What counts as one; zero until a season has been seen.
    unit: f64,
    centre: Tracked,
    slow: Tracked,
    fast: Tracked,
    profiles: Vec<Profile>,
    low: f64,
    high: f64,
}

/// An exponentially weighted mean that starts as a plain one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Tracked {
    mean: f64,
    count: f64,
    memory: f64,
}

impl Tracked {
    fn over(memory: f64) -> Self {
        Self {
            mean: 0.0,
            count: 0.0,
            memory,
        }
    }

    fn learn(&mut self, value: f64) {
        self.count = (self.count + 1.0).min(self.memory);
        self.mean += (value - self.mean) / self.count;
    }
}

impl Regressors {
    pub fn new(setting: &Setting, compression: Compression) -> Self {
        let season = setting.season().max(6) as f64;
        Self {
            compression,
            seasons: setting.seasons().to_vec(),
            unit: 0.0,
            centre: Tracked::over(season),
            slow: Tracked::over(7.0 * season),
            fast: Tracked::over(6.0),
            profiles: setting
                .seasons()
                .iter()
                .map(|&season| Profile::new(season, 8))
                .collect(),
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }

    /// Whether enough has been seen for [`Regressors::row`] to mean anything.
    pub fn is_ready(&self) -> bool {
        self.unit > 0.0
    }

    /// The newest slot of `past` is new.
    pub fn learn(&mut self, past: &Past) {
        if self.unit > 0.0 {
            if past.observed().is_some() {
                self.take(past, 0);
            }
        } else if past.len() > past.season().max(8) {
            self.unit = usual_size(&past.to_vec());
            for back in (0..past.len()).rev() {
                self.take(past, back);
            }
        }
    }

    fn take(&mut self, past: &Past, back: usize) {
        let value = self.compress(past.back(back));
        self.centre.learn(value);
        self.slow.learn(value);
        self.fast.learn(value);
        for profile in &mut self.profiles {
            let season = profile.season();
            let phase = past.phase(season - back % season, season);
            profile.learn(phase, value);
        }
        // The range forgets over a few hundred seasons.
        let narrowing = 0.001 / self.centre.memory * (self.high - self.low).max(0.0);
        self.low = value.min(self.low + if self.low.is_finite() { narrowing } else { 0.0 });
        self.high = value.max(
            self.high
                - if self.high.is_finite() {
                    narrowing
                } else {
                    0.0
                },
        );
    }

    pub fn compress(&self, value: f64) -> f64 {
        // Beyond the bound squares would overflow; no load grows so much.
        let units = (value / self.unit).clamp(-UNITS_MAX, UNITS_MAX);
        match self.compression {
            Compression::Linear => units,
            Compression::Logarithmic => units.asinh(),
        }
    }

    /// The inverse of [`Regressors::compress`].
    pub fn expand(&self, value: f64) -> f64 {
        match self.compression {
            Compression::Linear => value * self.unit,
            Compression::Logarithmic => value.clamp(-300.0, 300.0).sinh() * self.unit,
        }
    }

    /// What regressors and targets are relative to.
    pub fn centre(&self) -> f64 {
        self.centre.mean
    }

    /// `value`, no further outside the range seen than a quarter of it.
    pub fn within_range(&self, value: f64) -> f64 {
        let margin = 0.25 * (self.high - self.low);
        value.clamp(self.low - margin, self.high + margin)
    }

    /// The regressors of the slot `steps` ahead.
    pub fn row(&self, past: &Past, steps: usize) -> Row {
        let centre = self.centre.mean;
        let newest = self.compress(past.newest()) - centre;
        let short = past.season();
        let season_ago = self.compress(past.season_ago(steps, short)) - centre;
        let long_ago = match past.longest_season() {
            long if long > short && past.len() >= long => {
                self.compress(past.season_ago(steps, long)) - centre
            }
            _ => season_ago,
        };
        let (profile, long_profile) = self.profiles_at(past, steps);
        let (profile_now, long_profile_now) = self.profiles_at(past, 0);
        let (day_sin, day_cos) = self.angle(past, steps, short);
        let (week_sin, week_cos) = self.angle(past, steps, past.longest_season());
        [
            1.0,
            newest,
            self.compress(past.back(1)) - centre,
            self.fast.mean - centre,
            season_ago,
            long_ago,
            profile - centre,
            long_profile - centre,
            profile_now - centre,
            long_profile_now - centre,
            self.compress(past.back(short)) - centre,
            self.slow.mean - centre,
            day_sin,
            day_cos,
            week_sin,
            week_cos,
        ]
    }

    /// Profiles of the shortest and of the longest season; the centre without any.
    fn profiles_at(&self, past: &Past, steps: usize) -> (f64, f64) {
        let at = |profile: &Profile| profile.get(past.phase(steps, profile.season()));
        let Some(short) = self.profiles.first().map(at) else {
            return (self.centre.mean, self.centre.mean);
        };
        let long = self
            .profiles
            .last()
            .filter(|profile| past.len() >= profile.season());
        (short, long.map_or(short, at))
    }

    fn angle(&self, past: &Past, steps: usize, season: usize) -> (f64, f64) {
        if season < 2 {
            return (0.0, 0.0);
        }
        let (sin, cos) = (TAU * past.phase(steps, season) as f64 / season as f64).sin_cos();
        (0.1 * sin, 0.1 * cos)
    }
}

/// Half the median magnitude, or the mean magnitude where most values are zero, or one.
fn usual_size(values: &[f64]) -> f64 {
    let mut sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let median = 0.5 * sizes[sizes.len() / 2];
    let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
    [median, mean, 1.0]
        .into_iter()
        .find(|size| *size > 0.0)
        .expect("one is more than zero")
}
