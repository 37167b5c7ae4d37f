//! Linear quantile regression, online: a line for each level instead of a window of errors.
//!
//! Koenker & Bassett (1978), with the regressors of conditional autoregressive value at risk (Engle &
//! Manganelli 2004): the ridge regression's forecast, the size of its recent errors and of those at the
//! target's place in the season. Fitted by subgradient steps on the pinball loss with a step for each
//! weight (AdaGrad: Duchi, Hazan & Singer 2011). Quantiles that cross are sorted. Slower to learn than a
//! window of errors: a subgradient says only on which side a value fell.
use serde::{Deserialize, Serialize};

use super::grid::Gridded;
use super::profile::Profile;
use super::registry::Entry;
use super::regressors::Compression;
use super::ridge::Ridge;
use super::setting::nearest_anchor;
use super::{LEVELS, Model, Past, PointModel, Quantiles, Setting};
use crate::normal_quantile;

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "quantile-regression",
    about: "online linear quantile regression on forecast and error sizes, a line for each level",
    build: |setting| Box::new(Gridded::new(setting, QuantileRegression::new(setting))),
    restore: Gridded::<QuantileRegression>::restore,
};

/// First step of a weight, in units of the errors.
const STEP: f64 = 0.2;
/// Samples in the memory of recent errors.
const RECENT: f64 = 6.0;
/// Usual size of errors, their recent size, their size at this place in the season, and the forecast's
/// distance from the newest value.
const REGRESSORS: usize = 4;
type Row = [f64; REGRESSORS];

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct QuantileRegression {
    ridge: Ridge,
    fits: Vec<Fit>,
    fallbacks: u64,
}

/// The lines at one anchor.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fit {
    steps: usize,
    lines: Vec<Line>,
    /// Ring of forecasts whose values have not arrived.
    pending: Vec<Option<Pending>>,
    oldest: usize,
    usual: f64,
    recent: f64,
    by_phase: Profile,
    learnt: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pending {
    point: f64,
    row: Row,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    level: f64,
    weights: Row,
    gradients: Row,
}

impl Line {
    /// Normal errors, half by their usual and half by their recent size.
    fn new(level: f64) -> Self {
        let share = 0.6 * normal_quantile(level);
        Self {
            level,
            weights: [share, share, 0.0, 0.0],
            gradients: [0.0; REGRESSORS],
        }
    }

    fn predict(&self, row: &Row) -> f64 {
        self.weights.iter().zip(row).map(|(w, x)| w * x).sum()
    }

    fn learn(&mut self, row: &Row, error: f64) {
        let is_below = error < self.predict(row);
        let slope = self.level - f64::from(u8::from(is_below));
        let weights = self.weights.iter_mut().zip(&mut self.gradients);
        for ((weight, seen), x) in weights.zip(row) {
            let gradient = slope * x;
            *seen += gradient * gradient;
            if *seen > 0.0 {
                *weight += STEP * gradient / seen.sqrt();
            }
        }
    }
}

impl Fit {
    fn new(setting: &Setting, steps: usize) -> Self {
        Self {
            steps,
            lines: LEVELS.map(Line::new).to_vec(),
            pending: vec![None; steps],
            oldest: 0,
            usual: 0.0,
            recent: 0.0,
            by_phase: Profile::new(setting.season(), 14),
            learnt: 0,
        }
    }

    fn learn(&mut self, past: &Past, value: f64) {
        let Some(Pending { point, row }) = self.pending[self.oldest] else {
            return;
        };
        let error = value - point;
        for line in &mut self.lines {
            line.learn(&row, error);
        }
        self.learnt = self.learnt.saturating_add(1);
        self.usual += (error.abs() - self.usual) / f64::from(self.learnt.min(500));
        self.recent += (error.abs() - self.recent) / f64::from(self.learnt).min(RECENT);
        let season = self.by_phase.season();
        self.by_phase.learn(past.phase(0, season), error.abs());
    }

    fn row(&self, past: &Past, steps: usize, point: f64) -> Row {
        let phase = past.phase(steps, self.by_phase.season());
        [
            self.usual,
            self.recent,
            self.by_phase.get(phase),
            0.1 * (point - past.newest()),
        ]
    }
}

impl QuantileRegression {
    fn new(setting: &Setting) -> Self {
        let anchors = setting.anchors().into_iter();
        Self {
            ridge: Ridge::new(setting, Compression::Logarithmic),
            fits: anchors.map(|steps| Fit::new(setting, steps)).collect(),
            fallbacks: 0,
        }
    }

    fn own_quantiles(&self, past: &Past, steps: usize) -> Option<Quantiles> {
        let anchors = self.fits.iter().map(|fit| fit.steps);
        let fit = &self.fits[nearest_anchor(anchors, steps)];
        let point = self.ridge.point(past, steps);
        let row = fit.row(past, steps, point);
        let mut values = [0.0; LEVELS.len()];
        for (value, line) in values.iter_mut().zip(&fit.lines) {
            *value = point + line.predict(&row);
        }
        Quantiles::rearranged(values)
    }
}

impl Model for QuantileRegression {
    fn learn(&mut self, past: &Past) {
        if let Some(value) = past.observed() {
            self.fits.iter_mut().for_each(|fit| fit.learn(past, value));
        }
        self.ridge.learn(past);
        for fit in &mut self.fits {
            let point = self.ridge.point(past, fit.steps);
            let row = fit.row(past, fit.steps, point);
            let is_finite = point.is_finite() && row.iter().all(|x| x.is_finite());
            fit.pending[fit.oldest] = is_finite.then_some(Pending { point, row });
            fit.oldest = (fit.oldest + 1) % fit.steps;
        }
        self.fallbacks += u64::from(self.own_quantiles(past, 1).is_none());
    }

    fn quantiles(&self, past: &Past, steps: usize) -> Quantiles {
        self.own_quantiles(past, steps)
            .unwrap_or_else(|| Quantiles::certain(past.newest()))
    }

    fn fallbacks(&self) -> u64 {
        self.fallbacks
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::{Span, Timestamp};

    use super::*;

    #[test]
    fn the_quantiles_of_uniform_noise_are_found() {
        // Uniform noise of +-10 around 100, made without a generator.
        let setting = Setting::new(Span::from_hours(1), 1).unwrap();
        let mut forecaster = (ENTRY.build)(&setting);
        let mut state = 1_u64;
        for i in 0..4_000_i64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let noise = (state >> 33) as f64 / f64::from(1_u32 << 31);
            forecaster.update(Timestamp::from_seconds(i * 3_600), 90.0 + 20.0 * noise);
        }
        let quantiles = forecaster.predict(1);
        for (level, expected) in [(0.1, 92.0), (0.5, 100.0), (0.9, 108.0)] {
            let found = quantiles.at(level);
            assert!((found - expected).abs() < 2.5, "{level}: {found}");
        }
    }
}
