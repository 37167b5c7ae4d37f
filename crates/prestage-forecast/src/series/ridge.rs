//! Online ridge regression on lags, levels, profiles and the calendar.
//!
//! One recursive least-squares fit for each anchor horizon, direct instead of iterated, so that an
//! error of the model does not feed itself. What large trained networks gain over statistical
//! methods on load series lies mostly in such regressors (the strongest light entry of published
//! cloud benchmarks is of this kind). Errors are cut at three usual ones, which moves the fit from the
//! mean towards the median. Fails in its first two seasons, in which it has little to regress on.
use serde::{Deserialize, Serialize};

use super::band::Banded;
use super::grid::Gridded;
use super::least_squares::LeastSquares;
use super::registry::Entry;
use super::regressors::{
    Compression, LONG_PROFILE, NEWEST, PROFILE, REGRESSORS, Regressors, Row, SEASON_AGO, Target,
};
use super::setting::nearest_anchor;
use super::{Past, PointModel, Setting};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "ridge",
    about: "online ridge regression on lags, levels, seasonal profiles and the calendar",
    build: |setting| {
        let point = Ridge::new(setting, Compression::Logarithmic);
        Box::new(Gridded::new(setting, Banded::new(setting, point)))
    },
    restore: Gridded::<Banded<Ridge>>::restore,
};

/// Largest error that counts, in usual ones.
const CUT: f64 = 3.0;
/// Samples before errors are cut.
const UNCUT: u32 = 20;
/// Prior variance of a weight over that of the noise.
const PRIOR: f64 = 1.0;
/// What a sample keeps of its weight over one update: half after 1,386.
const FORGETTING: f64 = 0.9995;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ridge {
    regressors: Regressors,
    fits: Vec<Fit>,
}

/// The regression at one anchor.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fit {
    steps: usize,
    slot: Target,
    squares: LeastSquares,
    /// Ring of rows whose targets have not arrived, with the centre they are relative to.
    pending: Vec<Option<(Row, f64)>>,
    oldest: usize,
    usual_error: f64,
    learnt: u32,
}

impl Fit {
    fn new(steps: usize, slot: Target) -> Self {
        let mut weights = vec![0.0; REGRESSORS];
        weights[NEWEST] = 0.2;
        weights[SEASON_AGO] = 0.2;
        weights[PROFILE] = 0.3;
        weights[LONG_PROFILE] = 0.2;
        Self {
            steps,
            slot,
            squares: LeastSquares::new(weights, PRIOR, FORGETTING),
            pending: vec![None; steps],
            oldest: 0,
            usual_error: 0.0,
            learnt: 0,
        }
    }

    fn learn(&mut self, value: f64) {
        let Some((row, centre)) = &self.pending[self.oldest] else {
            return;
        };
        let target = value - centre;
        let cut = if self.learnt < UNCUT {
            f64::INFINITY
        } else {
            CUT * self.usual_error
        };
        let error = target - self.squares.predict(row);
        self.squares.learn_from(row, error, cut);
        self.learnt = self.learnt.saturating_add(1);
        let memory = f64::from(self.learnt.min(300));
        self.usual_error += (error.abs().min(2.0 * cut) - self.usual_error) / memory;
    }

    fn expect(&mut self, row: Option<(Row, f64)>) {
        self.pending[self.oldest] = row;
        self.oldest = (self.oldest + 1) % self.steps;
    }
}

impl Ridge {
    pub(super) fn new(setting: &Setting, compression: Compression) -> Self {
        let regressors = Regressors::new(setting, compression);
        let anchors = setting.anchors().into_iter();
        Self {
            fits: anchors
                .map(|steps| Fit::new(steps, regressors.target(steps)))
                .collect(),
            regressors,
        }
    }
}

impl PointModel for Ridge {
    fn learn(&mut self, past: &Past) {
        self.regressors.learn(past);
        let is_ready = self.regressors.is_ready();
        if is_ready && past.observed().is_some() {
            // Nothing pends before the regressors are ready.
            let value = self.regressors.newest();
            self.fits.iter_mut().for_each(|fit| fit.learn(value));
        }
        for fit in &mut self.fits {
            let row = is_ready.then(|| {
                let row = self.regressors.row(past, &fit.slot);
                (row, self.regressors.centre())
            });
            fit.expect(row);
        }
    }

    fn point(&self, past: &Past, steps: usize) -> f64 {
        if !self.regressors.is_ready() {
            return past.newest();
        }
        let anchors = self.fits.iter().map(|fit| fit.steps);
        let fit = &self.fits[nearest_anchor(anchors, steps)];
        let row = self.regressors.row(past, &self.regressors.target(steps));
        let value = self.regressors.centre() + fit.squares.predict(&row);
        self.regressors.expand(self.regressors.within_range(value))
    }

    fn anchor_point(&self, past: &Past, which: usize, _steps: usize) -> f64 {
        let fit = &self.fits[which];
        let newest = (fit.oldest + fit.steps - 1) % fit.steps;
        let Some((row, centre)) = &fit.pending[newest] else {
            return past.newest();
        };
        let value = centre + fit.squares.predict(row);
        self.regressors.expand(self.regressors.within_range(value))
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::{Span, Timestamp};

    use super::*;

    #[test]
    fn a_multiplicative_rhythm_on_a_growing_level_is_learnt() {
        let load = |hour: i64| {
            let rhythm = 1.0 + 0.5 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
            100.0 * (hour as f64 / 1_500.0).exp() * rhythm
        };
        let setting = Setting::new(Span::from_hours(1), 24).unwrap();
        let mut forecaster = (ENTRY.build)(&setting);
        for hour in 0..24 * 60 {
            forecaster.update(Timestamp::from_seconds(hour * 3_600), load(hour));
        }
        for steps in [1, 6, 12, 24] {
            let expected = load(24 * 60 - 1 + steps as i64);
            let median = forecaster.predict(steps).median();
            assert!(
                (median / expected - 1.0).abs() < 0.03,
                "{steps} ahead: {median}, not {expected}"
            );
        }
    }
}
