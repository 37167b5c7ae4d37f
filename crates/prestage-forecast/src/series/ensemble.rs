//! The default: a mean of all point models, weighted online by how they did.
//!
//! For every anchor horizon the forecasts of all members are scored when the value arrives; weights are a
//! power of the members' recent mean absolute errors, as in the polynomially weighted average forecaster
//! (Cesa-Bianchi & Lugosi 2006, section 2.1). The mean of several models beats the best of them nearly
//! always (Makridakis et al. 2020, the M4 competition); weights alone keep out who is hopeless on a
//! series. The distribution is that of the mean's own errors.
use serde::{Deserialize, Serialize};

use super::band::Banded;
use super::grid::Gridded;
use super::holt_winters::HoltWinters;
use super::mstl::Mstl;
use super::registry::Entry;
use super::regressors::Compression;
use super::ridge::Ridge;
use super::setting::nearest_anchor;
use super::theta::Theta;
use super::{Past, PointModel, Setting};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "ensemble",
    about: "mean of persistence, seasonal naive, smoothing, decomposition and regressions, \
            weighted online by their errors",
    build: |setting| {
        let point = Ensemble::new(setting);
        Box::new(Gridded::new(setting, Banded::new(setting, point)))
    },
    restore: Gridded::<Banded<Ensemble>>::restore,
};

const MEMBERS: usize = 8;
/// Seasons in the memory of a member's errors.
const MEMORY_SEASONS: f64 = 10.0;
/// A member with twice the error has this many powers of two less weight: the best of 2, 3, 4, 6 and 10
/// on the first parts of recorded series, where the last two are worse by a hundredth.
const SHARPNESS: f64 = 3.0;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ensemble {
    holt_winters: HoltWinters,
    theta: Theta,
    mstl: Mstl,
    ridge: Ridge,
    linear_ridge: Ridge,
    scores: Vec<Scores>,
    memory: f64,
}

/// How the members did at one anchor.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Scores {
    steps: usize,
    errors: [f64; MEMBERS],
    learnt: f64,
    weights: [f64; MEMBERS],
    /// Ring of forecasts whose values have not arrived.
    pending: Vec<Option<[f64; MEMBERS]>>,
    oldest: usize,
}

impl Scores {
    fn new(steps: usize) -> Self {
        Self {
            steps,
            errors: [0.0; MEMBERS],
            learnt: 0.0,
            weights: [1.0 / MEMBERS as f64; MEMBERS],
            pending: vec![None; steps],
            oldest: 0,
        }
    }

    fn learn(&mut self, value: f64, memory: f64) {
        let Some(points) = &self.pending[self.oldest] else {
            return;
        };
        self.learnt = (self.learnt + 1.0).min(memory);
        for (error, point) in self.errors.iter_mut().zip(points) {
            *error += ((value - point).abs() - *error) / self.learnt;
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        let least = self.errors.iter().copied().fold(f64::INFINITY, f64::min);
        if least > 0.0 && least.is_finite() {
            self.weights = self.errors.map(|error| (least / error).powf(SHARPNESS));
        } else {
            // Somebody is always right: no one else is asked.
            self.weights = self.errors.map(|error| f64::from(u8::from(error == least)));
        }
        let sum: f64 = self.weights.iter().sum();
        self.weights.iter_mut().for_each(|weight| *weight /= sum);
    }

    fn expect(&mut self, points: [f64; MEMBERS]) {
        self.pending[self.oldest] = Some(points);
        self.oldest = (self.oldest + 1) % self.steps;
    }
}

impl Ensemble {
    fn new(setting: &Setting) -> Self {
        Self {
            holt_winters: HoltWinters::new(setting),
            theta: Theta::new(setting),
            mstl: Mstl::new(setting),
            ridge: Ridge::new(setting, Compression::Logarithmic),
            linear_ridge: Ridge::new(setting, Compression::Linear),
            scores: setting.anchors().into_iter().map(Scores::new).collect(),
            memory: MEMORY_SEASONS * setting.season() as f64,
        }
    }

    fn points(&self, past: &Past, steps: usize) -> [f64; MEMBERS] {
        [
            past.newest(),
            past.season_ago(steps, past.season()),
            past.season_ago(steps, past.longest_season()),
            self.holt_winters.point(past, steps),
            self.theta.point(past, steps),
            self.mstl.point(past, steps),
            self.ridge.point(past, steps),
            self.linear_ridge.point(past, steps),
        ]
    }
}

impl PointModel for Ensemble {
    fn learn(&mut self, past: &Past) {
        if let Some(value) = past.observed() {
            for scores in &mut self.scores {
                scores.learn(value, self.memory);
            }
        }
        self.holt_winters.learn(past);
        self.theta.learn(past);
        self.mstl.learn(past);
        self.ridge.learn(past);
        self.linear_ridge.learn(past);
        for i in 0..self.scores.len() {
            let points = self.points(past, self.scores[i].steps);
            self.scores[i].expect(points);
        }
    }

    fn point(&self, past: &Past, steps: usize) -> f64 {
        let anchors = self.scores.iter().map(|scores| scores.steps);
        let scores = &self.scores[nearest_anchor(anchors, steps)];
        let points = self.points(past, steps);
        let weighted = scores.weights.iter().zip(points);
        weighted
            .filter(|(weight, _)| **weight > 0.0)
            .map(|(weight, point)| weight * point)
            .sum()
    }

    fn retrain(&mut self, past: &Past) {
        self.holt_winters.retrain(past);
        self.theta.retrain(past);
        self.mstl.retrain(past);
    }
}
