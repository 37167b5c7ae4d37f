//! What the regressions look at: lags, levels, profiles of the seasons, the calendar.
//!
//! All values are compressed (linear near zero, logarithmic far from it) or left as they are, in
//! units of the series' usual size, and relative to the mean of the last season: a level shift
//! moves the target and the regressors alike. A value is compressed once, when it is new, and the angles of a
//! target slot are the newest slot's turned on: an update asks for rows at every anchor.
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
    /// The shortest and the longest, 1 without any.
    seasons: [usize; 2],
    /// What counts as one; zero until a season has been seen.
    unit: f64,
    centre: Tracked,
    slow: Tracked,
    fast: Tracked,
    profiles: Vec<Profile>,
    lags: Lags,
    /// Of the newest slot in the shortest and in the longest season.
    angles: [Angle; 2],
    low: f64,
    high: f64,
}

/// A slot that rows are asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Target {
    steps: usize,
    /// What the angles of the shortest and of the longest season turn on the way there.
    turns: [Angle; 2],
}

/// Sine and cosine of a place in a season; zeros without a season.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Angle {
    sin: f64,
    cos: f64,
}

impl Angle {
    fn of(phase: usize, season: usize) -> Self {
        if season < 2 {
            return Self::default();
        }
        let (sin, cos) = (TAU * phase as f64 / season as f64).sin_cos();
        Self { sin, cos }
    }

    fn turned(self, by: Self) -> Self {
        Self {
            sin: self.sin * by.cos + self.cos * by.sin,
            cos: self.cos * by.cos - self.sin * by.sin,
        }
    }
}

/// The newest values, compressed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lags {
    /// A ring once it is as long as `kept`.
    values: Vec<f64>,
    newest: usize,
    kept: usize,
}

impl Lags {
    fn push(&mut self, value: f64) {
        if self.values.len() < self.kept {
            self.newest = self.values.len();
            self.values.push(value);
        } else {
            self.newest = (self.newest + 1) % self.kept;
            self.values[self.newest] = value;
        }
    }

    /// The value `slots` before the newest, or the oldest that is kept.
    fn back(&self, slots: usize) -> f64 {
        let back = slots.min(self.values.len() - 1);
        let index = if self.newest >= back {
            self.newest - back
        } else {
            self.newest + self.values.len() - back
        };
        self.values[index]
    }

    /// As [`Past::season_ago`].
    fn season_ago(&self, steps: usize, season: usize) -> f64 {
        self.back(steps.div_ceil(season) * season - steps)
    }
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
            seasons: [setting.season(), setting.longest_season()],
            unit: 0.0,
            centre: Tracked::over(season),
            slow: Tracked::over(7.0 * season),
            fast: Tracked::over(6.0),
            profiles: setting
                .seasons()
                .iter()
                .map(|&season| Profile::new(season, 8))
                .collect(),
            lags: Lags {
                values: Vec::new(),
                newest: 0,
                kept: setting.longest_season() + 2,
            },
            angles: [Angle::default(); 2],
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }

    /// The slot `steps` ahead as a target.
    pub fn target(&self, steps: usize) -> Target {
        Target {
            steps,
            turns: self.seasons.map(|season| Angle::of(steps % season, season)),
        }
    }

    /// Whether enough has been seen for [`Regressors::row`] to mean anything.
    pub fn is_ready(&self) -> bool {
        self.unit > 0.0
    }

    /// The newest slot of `past` is new.
    pub fn learn(&mut self, past: &Past) {
        if self.unit > 0.0 {
            self.lags.push(self.compress(past.newest()));
            if past.observed().is_some() {
                self.take(past, 0);
            }
        } else if past.len() > past.season().max(8) {
            self.unit = usual_size(&past.to_vec());
            for back in (0..past.len()).rev() {
                self.lags.push(self.compress(past.back(back)));
                self.take(past, back);
            }
        }
        self.angles = self
            .seasons
            .map(|season| Angle::of(past.phase(0, season), season));
    }

    /// Goes on with the newest of the lags, which is `back` slots old.
    fn take(&mut self, past: &Past, back: usize) {
        let value = self.newest();
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

    /// The newest value, compressed; only when ready.
    pub fn newest(&self) -> f64 {
        self.lags.back(0)
    }

    fn compress(&self, value: f64) -> f64 {
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

    /// The regressors of a target; only when ready.
    pub fn row(&self, past: &Past, target: &Target) -> Row {
        let Target { steps, turns } = *target;
        let centre = self.centre.mean;
        let [short, long] = self.seasons;
        let season_ago = self.lags.season_ago(steps, short) - centre;
        let long_ago = if long > short && past.len() >= long {
            self.lags.season_ago(steps, long) - centre
        } else {
            season_ago
        };
        let (profile, long_profile) = self.profiles_at(past, steps);
        let (profile_now, long_profile_now) = self.profiles_at(past, 0);
        let day = self.angles[0].turned(turns[0]);
        let week = self.angles[1].turned(turns[1]);
        [
            1.0,
            self.newest() - centre,
            self.lags.back(1) - centre,
            self.fast.mean - centre,
            season_ago,
            long_ago,
            profile - centre,
            long_profile - centre,
            profile_now - centre,
            long_profile_now - centre,
            self.lags.back(short) - centre,
            self.slow.mean - centre,
            0.1 * day.sin,
            0.1 * day.cos,
            0.1 * week.sin,
            0.1 * week.cos,
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
