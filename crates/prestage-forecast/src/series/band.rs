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
const PRIOR_ERRORS: usize = 19;
const PRIOR_SPREAD: f64 = 2.5;
/// Step of the levels' adaptation: four times as much cost a hundredth of the score on the first parts
/// of recorded series, half as much changed nothing.
const LEVEL_RATE: f64 = 0.002;
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
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pending {
    point: f64,
    features: Features,
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
}

impl ErrorSize {
    fn new(setting: &Setting) -> Self {
        Self {
            recent: Mean::default(),
            season: Mean::default(),
            usual: Mean::default(),
            by_phase: Profile::new(setting.season(), 14),
            magnitude: Mean::default(),
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
    }

    /// Logarithms of how much larger than usual errors are; all zero when nothing is known.
    fn features(&self, past: &Past, steps: usize, point: f64) -> Features {
        let usual = self.usual.value;
        let season = self.by_phase.season();
        [
            1.0,
            log_ratio(self.recent.value, usual),
            log_ratio(self.season.value, usual),
            log_ratio(self.by_phase.get(past.phase(steps, season)), usual),
            log_ratio(point.abs(), self.magnitude.value),
        ]
    }
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
    fn new(setting: &Setting, steps: usize) -> Self {
        let stride = (2 * setting.longest_season() / WINDOW).max(1) as u32;
        let blank = Pending {
            point: f64::NAN,
            features: [0.0; FEATURES],
        };
        let prior = (1..=PRIOR_ERRORS).map(|rank| {
            let level = rank as f64 / (PRIOR_ERRORS + 1) as f64;
            PRIOR_SPREAD * crate::normal_quantile(level)
        });
        Self {
            steps,
            stride,
            until_next: 0,
            pending: vec![blank; steps],
            oldest: 0,
            usual: Mean::default(),
            scale: LeastSquares::new(vec![0.0; FEATURES], 0.3, 0.9995),
            errors: SortedWindow::new(WINDOW, prior),
            levels: LEVELS,
        }
    }

    /// The value has arrived for the forecast made `steps` slots ago, if there was one.
    fn learn(&mut self, value: f64) -> Option<f64> {
        let Pending { point, features } = self.pending[self.oldest];
        if !point.is_finite() {
            return None;
        }
        let error = value - point;
        let scale = self.local_scale(&features);
        self.usual.learn(error.abs(), 4.0 * WINDOW as f64);
        self.scale
            .learn(&features, log_ratio(error.abs(), self.usual.value), 3.0);
        if self.until_next == 0 {
            self.until_next = self.stride;
            if scale > 0.0 {
                self.take_scaled(error / scale);
            }
        }
        self.until_next -= 1;
        Some(error)
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
        let ratio = self.scale.predict(features).exp();
        self.usual.value * ratio.clamp(1.0 / SCALE_RANGE, SCALE_RANGE)
    }

    fn spread(&self, point: f64, features: &Features) -> Option<Quantiles> {
        let scale = self.local_scale(features);
        let bias = self.errors.quantile(self.levels[LEVELS.len() / 2]);
        // Errors of forecasts that overlap depend on each other: a horizon's worth counts as one.
        let independent = self.usual.count / self.steps as f64;
        let doubted = BIAS_DOUBT / (independent + BIAS_DOUBT) * bias;
        let mut values = [0.0; LEVELS.len()];
        for (i, value) in values.iter_mut().enumerate() {
            let error = self.errors.quantile(self.levels[i]);
            let nearness = 1.0 - (2.0 * LEVELS[i] - 1.0).abs();
            *value = point + scale * (error - doubted * nearness);
        }
        Quantiles::rearranged(values)
    }
}

impl<P: PointModel> Banded<P> {
    pub(super) fn new(setting: &Setting, point: P) -> Self {
        Self {
            point,
            bands: setting
                .anchors()
                .into_iter()
                .map(|steps| Band::new(setting, steps))
                .collect(),
            size: ErrorSize::new(setting),
            drift: Drift::new(setting.season()),
            fallbacks: 0,
        }
    }

    fn finite_point(&self, past: &Past, steps: usize) -> f64 {
        let point = self.point.point(past, steps);
        if point.is_finite() {
            point.clamp(-MAGNITUDE_MAX, MAGNITUDE_MAX)
        } else {
            past.newest()
        }
    }
}

impl<P: PointModel> Model for Banded<P> {
    fn learn(&mut self, past: &Past) {
        if let Some(value) = past.observed() {
            for band in &mut self.bands {
                let error = band.learn(value);
                if let (1, Some(error)) = (band.steps, error) {
                    self.size.learn(past, value, value - error);
                    self.drift.learn(error.abs(), self.size.usual.value);
                }
            }
        }
        self.point.learn(past);
        self.fallbacks += u64::from(!self.point.point(past, 1).is_finite());
        for i in 0..self.bands.len() {
            let steps = self.bands[i].steps;
            let point = self.finite_point(past, steps);
            let features = self.size.features(past, steps, point);
            self.bands[i].expect(Pending { point, features });
        }
    }

    fn quantiles(&self, past: &Past, steps: usize) -> Quantiles {
        let anchors = self.bands.iter().map(|band| band.steps);
        let band = &self.bands[nearest_anchor(anchors, steps)];
        let point = self.finite_point(past, steps);
        let features = self.size.features(past, steps, point);
        band.spread(point, &features)
            .unwrap_or_else(|| Quantiles::certain(point))
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
