//! The default: a mean of all point models, weighted online by how they did.
//!
//! For every anchor horizon the forecasts of all members are scored when the value arrives. Half of the
//! weights are a power of the members' recent mean absolute errors, as in the polynomially weighted average
//! forecaster (Cesa-Bianchi & Lugosi 2006, section 2.1): all but the hopeless have a say, since the mean of
//! several models beats the best of them nearly always (Makridakis et al. 2020, the M4 competition). The
//! other half are exponential in what the ensemble would have gained by following a member for ten seasons,
//! with a step that falls with the gains' size (section 2.3 there): where one member is better for long, it
//! decides. The distribution is that of the mean's own errors.
use serde::{Deserialize, Serialize};

use super::band::Banded;
use super::grid::Gridded;
use super::holt_winters::HoltWinters;
use super::mstl::{Decomposed, Mstl};
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

const MEMBERS: usize = 10;
/// Seasons in the memory of a member's recent errors.
const MEMORY_SEASONS: f64 = 5.0;
/// Cycles of the shortest and of the longest season of which the plain means are members.
const SHORT_CYCLES: usize = 5;
const LONG_CYCLES: usize = 4;
/// Memory of gains, in memories of recent errors.
const GAIN_MEMORY: f64 = 2.0;
/// Largest gain that counts, in usual errors of the ensemble.
const GAIN_MAX: f64 = 5.0;
/// Largest exponent of a weight; beyond it the others have none anyway.
const EXPONENT_MAX: f64 = 20.0;

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
    /// Recent mean absolute errors of the members, and of the ensemble.
    errors: [f64; MEMBERS],
    own_error: f64,
    learnt: f64,
    /// Sums of what following a member would have gained, in usual errors, and of the squares.
    gains: [f64; MEMBERS],
    squares: [f64; MEMBERS],
    weights: [f64; MEMBERS],
    /// Ring of forecasts whose values have not arrived.
    pending: Vec<Option<Pending>>,
    oldest: usize,
}

/// Forecasts of one slot: of the members and of the ensemble.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pending {
    points: [f64; MEMBERS],
    own: f64,
}

impl Scores {
    fn new(steps: usize) -> Self {
        Self {
            steps,
            errors: [0.0; MEMBERS],
            own_error: 0.0,
            learnt: 0.0,
            gains: [0.0; MEMBERS],
            squares: [0.0; MEMBERS],
            weights: [1.0 / MEMBERS as f64; MEMBERS],
            pending: vec![None; steps],
            oldest: 0,
        }
    }

    fn learn(&mut self, value: f64, memory: f64) {
        let Some(pending) = self.pending[self.oldest] else {
            return;
        };
        let own = (value - pending.own).abs();
        let errors = pending.points.map(|point| (value - point).abs());
        self.learnt = (self.learnt + 1.0).min(memory);
        self.own_error += (own - self.own_error) / self.learnt;
        for (mean, error) in self.errors.iter_mut().zip(errors) {
            *mean += (error - *mean) / self.learnt;
        }
        self.learn_gains(own, &errors, memory);
        self.weigh();
    }

    fn learn_gains(&mut self, own: f64, errors: &[f64; MEMBERS], memory: f64) {
        if self.own_error <= 0.0 {
            return;
        }
        let kept = 1.0 - 1.0 / (GAIN_MEMORY * memory);
        for (i, error) in errors.iter().enumerate() {
            let gain = ((own - error) / self.own_error).clamp(-GAIN_MAX, GAIN_MAX);
            self.gains[i] = kept * self.gains[i] + gain;
            self.squares[i] = kept * self.squares[i] + gain * gain;
        }
    }

    fn weigh(&mut self) {
        let recent = normalized(self.recent_weights());
        let lasting = normalized(self.lasting_weights());
        for (weight, (a, b)) in self.weights.iter_mut().zip(recent.iter().zip(lasting)) {
            *weight = 0.5 * (a + b);
        }
    }

    /// Inverse squares of the recent errors.
    fn recent_weights(&self) -> [f64; MEMBERS] {
        let least = self.errors.iter().copied().fold(f64::INFINITY, f64::min);
        if least > 0.0 && least.is_finite() {
            self.errors.map(|error| (least / error) * (least / error))
        } else {
            // Somebody is always right: no one else is asked.
            self.errors.map(|error| f64::from(u8::from(error == least)))
        }
    }

    /// Exponentials of the gains so far; those of forecasts that overlap count as one.
    fn lasting_weights(&self) -> [f64; MEMBERS] {
        let mut weights = [0.0; MEMBERS];
        for (i, weight) in weights.iter_mut().enumerate() {
            let size = (self.steps as f64 * (1.0 + self.squares[i])).sqrt();
            let exponent = (self.gains[i] / size).clamp(-EXPONENT_MAX, EXPONENT_MAX);
            *weight = exponent.exp();
        }
        weights
    }

    fn combined(&self, points: &[f64; MEMBERS]) -> f64 {
        // Relative to one of them, so that rounding does not part members which agree.
        let weighted = self.weights.iter().zip(points);
        let above: f64 = weighted
            .filter(|(weight, _)| **weight > 0.0)
            .map(|(weight, point)| weight * (point - points[0]))
            .sum();
        points[0] + above
    }

    fn expect(&mut self, points: [f64; MEMBERS]) {
        let own = self.combined(&points);
        self.pending[self.oldest] = Some(Pending { points, own });
        self.oldest = (self.oldest + 1) % self.steps;
    }
}

fn normalized(weights: [f64; MEMBERS]) -> [f64; MEMBERS] {
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
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
        let ridges = [&self.ridge, &self.linear_ridge].map(|ridge| ridge.point(past, steps));
        self.points_with(past, steps, ridges)
    }

    fn anchor_points(&self, past: &Past, which: usize, steps: usize) -> [f64; MEMBERS] {
        let ridges = [&self.ridge, &self.linear_ridge];
        let ridges = ridges.map(|ridge| ridge.anchor_point(past, which, steps));
        self.points_with(past, steps, ridges)
    }

    fn points_with(&self, past: &Past, steps: usize, ridges: [f64; 2]) -> [f64; MEMBERS] {
        let [ridge, linear_ridge] = ridges;
        let (short, long) = (past.season(), past.longest_season());
        [
            past.newest(),
            past.season_ago(steps, short),
            past.season_ago(steps, long),
            self.holt_winters.point(past, steps),
            self.theta.point(past, steps),
            self.mstl.point(past, steps),
            ridge,
            linear_ridge,
            past.season_mean(steps, short, SHORT_CYCLES),
            past.season_mean(steps, long, LONG_CYCLES),
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
            let points = self.anchor_points(past, i, self.scores[i].steps);
            self.scores[i].expect(points);
        }
    }

    fn point(&self, past: &Past, steps: usize) -> f64 {
        let anchors = self.scores.iter().map(|scores| scores.steps);
        let scores = &self.scores[nearest_anchor(anchors, steps)];
        scores.combined(&self.points(past, steps))
    }

    fn anchor_point(&self, past: &Past, which: usize, steps: usize) -> f64 {
        let scores = &self.scores[which];
        let newest = (scores.oldest + scores.steps - 1) % scores.steps;
        scores.pending[newest].map_or_else(|| self.point(past, steps), |pending| pending.own)
    }

    fn retrain(&mut self, past: &Past) {
        let all = Decomposed::of(past);
        self.holt_winters.retrain_on(past, &all);
        self.mstl.retrain_on(past, &all);
        match &all.profiles[..] {
            // Its only season's profile is the shortest's alone, too.
            [profile] => self.theta.retrain_on(&all.values, all.first, profile),
            _ => self.theta.retrain(past),
        }
    }
}
