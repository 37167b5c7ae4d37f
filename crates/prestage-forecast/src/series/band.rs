//! From a point to a distribution: quantiles of the errors that were made out of sample.
//!
//! For every anchor horizon the point forecasts of the past are kept until the value arrives.
//! Their errors are divided by a local scale, the window of the scaled errors gives the quantiles,
//! and a level for each quantile is moved until it is exceeded as often as it should be.
//!
//! - Local scale: log |error| regressed on the recent errors, on the errors usual at the target's
//!   place in the season and on the size of the forecast (log-ARCH with regressors; Sucarrat,
//!   Groenneberg & Escribano 2016), by recursive least squares.
//! - Quantiles: split conformal prediction (Vovk, Gammerman & Shafer 2005) in units of that scale.
//! - Levels: adaptive conformal inference (Gibbs & Candes 2021), one level for each quantile.
//!
//! Fails where errors change their size without any precedent: then the intervals are right again
//! only after the window has seen some.
use serde::{Deserialize, Serialize};

use super::atom::{self, Atom, AtomShare};
use super::drift::Drift;
use super::least_squares::LeastSquares;
use super::past::MAGNITUDE_MAX;
use super::profile::Profile;
use super::setting::nearest_anchor;
use super::sorted_window::SortedWindow;
use super::{LEVELS, Model, Past, PointModel, Quantiles, Setting};

/// Scaled errors that are kept for each anchor.
const WINDOW: usize = 400;
/// Standard normal errors the window starts with, times the scale's bias: the geometric mean of |error|
/// is 0.53 of the standard deviation of normal errors and less for heavier tails.
const PRIOR_ERRORS: usize = 39;
const PRIOR_SPREAD: f64 = 2.5;
/// Step of the levels' adaptation: four times as much cost half a hundredth of the score on the first
/// parts of recorded series.
const LEVEL_RATE: f64 = 0.001;
/// Independent errors after which half of their bias is believed; the point forecast stands for the
/// rest. The tails keep their place.
const BIAS_DOUBT: f64 = 10.0;
/// Levels are kept inside this distance of 0 and 1.
const LEVEL_MARGIN: f64 = 0.002;
/// Samples in the memory of the recent size of errors.
const RECENT: f64 = 5.0;
/// Features of the scale: one, recent errors, errors of the last season, errors at this place in
/// the season, size of the forecast.
const FEATURES: usize = 5;
type Features = [f64; FEATURES];
/// An error less than this share of the usual counts as so much, whose logarithm is taken.
const ERROR_FLOOR: f64 = 0.05;
/// The local scale is at most this many times more or less than the usual one.
const SCALE_RANGE: f64 = 12.0;

/// A point model with the distribution of its errors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Banded<P> {
    point: P,
    bands: Vec<Band>,
    size: ErrorSize,
    atom: Atom,
    drift: Drift,
    fallbacks: u64,
}

/// What is known of the errors at one anchor horizon.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Band {
    steps: usize,
    /// Slots between two errors that enter the window, so that it spans seasons.
    stride: u32,
    until_next: u32,
    /// Ring of forecasts whose values have not arrived; the next to arrive is at `oldest`.
    pending: Vec<Pending>,
    oldest: usize,
    usual: Mean,
    scale: LeastSquares,
    errors: SortedWindow,
    levels: [f64; LEVELS.len()],
    atom: AtomShare,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pending {
    point: f64,
    features: Features,
    atom: Option<atom::Row>,
}

/// Mean that starts plain and forgets at a constant rate once it is full.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Mean {
    value: f64,
    count: f64,
}

impl Mean {
    fn learn(&mut self, value: f64, memory: f64) {
        self.count = (self.count + 1.0).min(memory);
        self.value += (value - self.value) / self.count;
    }
}

/// How large the errors one step ahead are: recently, over a season, by the place in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ErrorSize {
    recent: Mean,
    season: Mean,
    usual: Mean,
    by_phase: Profile,
    magnitude: Mean,
    /// The features that are the same at all anchors.
    recent_log: f64,
    season_log: f64,
}

impl ErrorSize {
    fn new(setting: &Setting) -> Self {
        Self {
            recent: Mean::default(),
            season: Mean::default(),
            usual: Mean::default(),
            by_phase: Profile::new(setting.season(), 14),
            magnitude: Mean::default(),
            recent_log: 0.0,
            season_log: 0.0,
        }
    }

    fn learn(&mut self, past: &Past, value: f64, point: f64) {
        let size = (value - point).abs();
        let season = self.by_phase.season();
        self.recent.learn(size, RECENT);
        self.season.learn(size, season as f64);
        self.usual.learn(size, 28.0 * season as f64);
        self.by_phase.learn(past.phase(0, season), size);
        self.magnitude.learn(value.abs(), 28.0 * season as f64);
        self.recent_log = log_ratio(self.recent.value, self.usual.value);
        self.season_log = log_ratio(self.season.value, self.usual.value);
    }

    /// Logarithms of how much larger than usual errors are; all zero when nothing is known.
    fn features(&self, past: &Past, steps: usize, point: f64) -> Features {
        let usual = self.usual.value;
        let season = self.by_phase.season();
        [
            1.0,
            self.recent_log,
            self.season_log,
            log_ratio(self.by_phase.get(past.phase(steps, season)), usual),
            log_ratio(point.abs(), self.magnitude.value),
        ]
    }
}

/// What the windows hold before any error.
fn prior_errors() -> [f64; PRIOR_ERRORS] {
    std::array::from_fn(|i| {
        let level = (i + 1) as f64 / (PRIOR_ERRORS + 1) as f64;
        PRIOR_SPREAD * crate::normal_quantile(level)
    })
}

/// Logarithm of the ratio of two sizes, each with a twentieth of the second added.
fn log_ratio(size: f64, usual: f64) -> f64 {
    let ratio = (size + ERROR_FLOOR * usual) / (usual * (1.0 + ERROR_FLOOR));
    if ratio.is_finite() && ratio > 0.0 {
        ratio.ln().clamp(-5.0, 5.0)
    } else {
        0.0
    }
}

impl Band {
    fn new(setting: &Setting, steps: usize, prior: &[f64]) -> Self {
        let stride = (2 * setting.longest_season() / WINDOW).max(1) as u32;
        let blank = Pending {
            point: f64::NAN,
            features: [0.0; FEATURES],
            atom: None,
        };
        Self {
            steps,
            stride,
            until_next: 0,
            pending: vec![blank; steps],
            oldest: 0,
            usual: Mean::default(),
            scale: LeastSquares::new(vec![0.0; FEATURES], 0.3, 0.9995),
            errors: SortedWindow::new(WINDOW, prior.iter().copied()),
            levels: LEVELS,
            atom: AtomShare::new(steps),
        }
    }

    /// The value has arrived for the forecast made `steps` slots ago, if there was one; returns its
    /// error. An atom teaches how probable it is, and nothing of the other values' errors.
    fn learn(&mut self, value: f64, atom: Option<f64>) -> Option<f64> {
        let pending = self.pending[self.oldest];
        if !pending.point.is_finite() {
            return None;
        }
        let error = value - pending.point;
        let is_atom = atom == Some(value);
        if let Some(row) = &pending.atom {
            self.atom.learn(row, is_atom);
        }
        if !is_atom {
            self.learn_error(error, &pending.features);
        }
        Some(error)
    }

    fn learn_error(&mut self, error: f64, features: &Features) {
        let predicted = self.scale.predict(features);
        if self.until_next == 0 {
            self.until_next = self.stride;
            let scale = self.scale_of(predicted);
            if scale > 0.0 {
                self.take_scaled(error / scale);
            }
        }
        self.until_next -= 1;
        self.usual.learn(error.abs(), 4.0 * WINDOW as f64);
        let surprise = log_ratio(error.abs(), self.usual.value) - predicted;
        self.scale.learn_from(features, surprise, 3.0);
    }

    fn take_scaled(&mut self, error: f64) {
        let error = error.clamp(-1e6, 1e6);
        for (level, &wanted) in self.levels.iter_mut().zip(&LEVELS) {
            let is_covered = error <= self.errors.quantile(*level);
            let moved = *level + LEVEL_RATE * (wanted - f64::from(u8::from(is_covered)));
            *level = moved.clamp(LEVEL_MARGIN, 1.0 - LEVEL_MARGIN);
        }
        self.errors.push(error);
    }

    fn expect(&mut self, pending: Pending) {
        self.pending[self.oldest] = pending;
        self.oldest = (self.oldest + 1) % self.steps;
    }

    fn local_scale(&self, features: &Features) -> f64 {
        self.scale_of(self.scale.predict(features))
    }

    fn scale_of(&self, predicted_log: f64) -> f64 {
        self.usual.value * predicted_log.exp().clamp(1.0 / SCALE_RANGE, SCALE_RANGE)
    }

    /// The distribution of a value that is not the atom, then mixed with the atom.
    fn spread(&self, pending: &Pending, atom: Option<f64>) -> Option<Quantiles> {
        let shape = self.shape(pending);
        match (atom, &pending.atom) {
            (Some(atom), Some(row)) => {
                Quantiles::rearranged(shape.with_atom(atom, self.atom.probability(row)))
            }
            _ => Quantiles::rearranged(LEVELS.map(|level| shape.at(level))),
        }
    }

    fn shape(&self, pending: &Pending) -> Shape<'_> {
        let bias = self.errors.quantile(self.levels[LEVELS.len() / 2]);
        // Errors of forecasts that overlap depend on each other: a horizon's worth counts as one.
        let independent = self.usual.count / self.steps as f64;
        Shape {
            band: self,
            point: pending.point,
            scale: self.local_scale(&pending.features),
            doubted: BIAS_DOUBT / (independent + BIAS_DOUBT) * bias,
        }
    }

    /// The level at which errors are read for a nominal `level`, linear between those adapted.
    fn adapted(&self, level: f64) -> f64 {
        let above = LEVELS.partition_point(|&grid| grid < level);
        if above == 0 {
            return self.levels[0] * level / LEVELS[0];
        }
        if above == LEVELS.len() {
            let last = LEVELS.len() - 1;
            return 1.0 - (1.0 - self.levels[last]) * (1.0 - level) / (1.0 - LEVELS[last]);
        }
        let share = (level - LEVELS[above - 1]) / (LEVELS[above] - LEVELS[above - 1]);
        self.levels[above - 1] + share * (self.levels[above] - self.levels[above - 1])
    }
}

/// The distribution around one forecast.
struct Shape<'a> {
    band: &'a Band,
    point: f64,
    scale: f64,
    doubted: f64,
}

impl Shape<'_> {
    fn at(&self, level: f64) -> f64 {
        let error = self.band.errors.quantile(self.band.adapted(level));
        let nearness = 1.0 - (2.0 * level - 1.0).abs();
        self.point + self.scale * (error - self.doubted * nearness)
    }

    /// Quantiles of a mixture: `atom` with a probability of `share`, else this.
    fn with_atom(&self, atom: f64, share: f64) -> [f64; LEVELS.len()] {
        let rest = 1.0 - share;
        LEVELS.map(|level| {
            // Below the atom if even the smallest share of the rest up to `level` is below it.
            let low = if level < rest {
                self.at(level / rest)
            } else {
                f64::INFINITY
            };
            if low < atom {
                return low;
            }
            let high = if level > share {
                self.at((level - share) / rest)
            } else {
                f64::NEG_INFINITY
            };
            high.max(atom)
        })
    }
}

impl<P: PointModel> Banded<P> {
    pub(super) fn new(setting: &Setting, point: P) -> Self {
        let prior = prior_errors();
        Self {
            point,
            bands: setting
                .anchors()
                .into_iter()
                .map(|steps| Band::new(setting, steps, &prior))
                .collect(),
            size: ErrorSize::new(setting),
            atom: Atom::new(setting),
            drift: Drift::new(setting.season()),
            fallbacks: 0,
        }
    }

    fn learn_value(&mut self, past: &Past, value: f64) {
        let atom = self.atom.value();
        for band in &mut self.bands {
            let error = band.learn(value, atom);
            if let (1, Some(error)) = (band.steps, error) {
                if atom != Some(value) {
                    self.size.learn(past, value, value - error);
                }
                self.drift.learn(error.abs(), self.size.usual.value);
            }
        }
        self.atom.learn(past, value);
    }

    /// All that a forecast of `point`, `steps` ahead, is made of.
    fn pending(&self, past: &Past, steps: usize, point: f64) -> Pending {
        let point = if point.is_finite() {
            point.clamp(-MAGNITUDE_MAX, MAGNITUDE_MAX)
        } else {
            past.newest()
        };
        Pending {
            point,
            features: self.size.features(past, steps, point),
            atom: self.atom.row(past, steps),
        }
    }
}

impl<P: PointModel> Model for Banded<P> {
    fn learn(&mut self, past: &Past) {
        if let Some(value) = past.observed() {
            self.learn_value(past, value);
        }
        self.point.learn(past);
        let next = self.point.anchor_point(past, 0, 1);
        self.fallbacks += u64::from(!next.is_finite());
        for i in 0..self.bands.len() {
            let steps = self.bands[i].steps;
            let point = self.point.anchor_point(past, i, steps);
            let pending = self.pending(past, steps, point);
            self.bands[i].expect(pending);
        }
    }

    fn quantiles(&self, past: &Past, steps: usize) -> Quantiles {
        let anchors = self.bands.iter().map(|band| band.steps);
        let band = &self.bands[nearest_anchor(anchors, steps)];
        let pending = self.pending(past, steps, self.point.point(past, steps));
        band.spread(&pending, self.atom.value())
            .unwrap_or_else(|| Quantiles::certain(pending.point))
    }

    fn retrain(&mut self, past: &Past) {
        self.point.retrain(past);
        self.drift.reset();
    }

    fn fallbacks(&self) -> u64 {
        self.fallbacks
    }

    fn has_drifted(&self) -> bool {
        self.drift.is_raised()
    }
}
