//! Isotonic recalibration: what a model said, corrected by what came of the like.
//!
//! Twice a day the model's probability of a need within a day is noted, and a day later whether one came. At every
//! retraining the notes of a sliding window are fitted by the closest steps that never fall (pool adjacent
//! violators), with a few pseudo-observations on the diagonal, so that a model is believed until it has been found
//! wrong. Between the middles of two steps the correction is a straight line. It is made on the day; other horizons
//! keep the model's shape, their hazard multiplied by the same factor.
//!
//! Fails where the error is not one of probability but of order: then the steps are one, the rate of the window.
//!
//! Reference: Ayer et al. (1955) for the algorithm; Zadrozny and Elkan (2002) for its use on probabilities.
use std::collections::VecDeque;

use prestage_telemetry::{Metric, SeriesId, Span, Tail, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Intensity;
use super::pooled::is_need;
use crate::model::{Entry, NeedModel, NeedModelInput, restored, saved};
use crate::{DependencyModel, ReleaseModel};

/// Registry entry.
pub const RELEASE: Entry = Entry {
    name: "release-isotonic",
    about: "release-hazard, recalibrated by isotonic regression on its last year",
    need: "feature_release",
    build: |input| {
        let model = ReleaseModel::new(input);
        recalibrated(input, Metric::ReleasesTotal, model)
    },
    restore: restored::<Recalibrated<ReleaseModel>>,
};

/// Registry entry.
pub const DEPENDENCY: Entry = Entry {
    name: "dependency-isotonic",
    about: "signal-hazard, recalibrated by isotonic regression on its last year",
    need: "dependency_update",
    build: |input| {
        let model = DependencyModel::new(input);
        recalibrated(input, Metric::DependencyUpdatesTotal, model)
    },
    restore: restored::<Recalibrated<DependencyModel>>,
};

fn recalibrated<M: Intensity + Serialize + DeserializeOwned + 'static>(
    input: NeedModelInput,
    needs: Metric,
    model: M,
) -> Box<dyn NeedModel> {
    Box::new(Recalibrated {
        needs: SeriesId::new(input.service, needs),
        cursor: 0,
        newest_value: f64::INFINITY,
        model,
        notes: VecDeque::new(),
        recent: VecDeque::new(),
        correction: Isotonic::default(),
    })
}

/// Horizon of a note.
const JUDGED: Span = Span::from_hours(24);
const JUDGED_H: f64 = 24.0;
/// Time between two notes.
const NOTE_EVERY: Span = Span::from_hours(12);
/// Notes in the window: a year of them.
const WINDOW: usize = 730;
/// Where the pseudo-observations lie.
const PRIOR_AT: [f64; 8] = [0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8];
/// Notes that each of them is worth.
const PRIOR_WEIGHT: f64 = 3.0;
/// Corrected probabilities of a day stay inside.
const BOUNDS: (f64, f64) = (1e-4, 1.0 - 1e-4);

/// See the module.
#[derive(Serialize, Deserialize)]
pub struct Recalibrated<M> {
    needs: SeriesId,
    cursor: u64,
    newest_value: f64,
    model: M,
    /// When it was asked about a day, and what it said.
    notes: VecDeque<(Timestamp, f64)>,
    /// Needs that may answer a note.
    recent: VecDeque<Timestamp>,
    correction: Isotonic,
}

impl<M: Intensity> Recalibrated<M> {
    fn read_needs(&mut self, tail: &Tail) {
        let (times, values) = tail.read(self.needs, &mut self.cursor);
        for (&at, &value) in times.iter().zip(values) {
            if is_need(self.needs.metric, value, self.newest_value) {
                self.recent.push_back(at);
            }
            self.newest_value = value;
        }
    }

    /// Takes in what came of notes that are a day old.
    fn settle(&mut self, now: Timestamp) {
        while let Some(&(at, said)) = self.notes.front()
            && at + JUDGED <= now
        {
            let in_day = |need: &Timestamp| *need > at && *need <= at + JUDGED;
            let happened = self.recent.iter().any(in_day);
            self.correction.learn(said, happened);
            self.notes.pop_front();
        }
        let oldest = self.notes.front().map_or(now, |&(at, _)| at);
        while self.recent.front().is_some_and(|&need| need <= oldest) {
            self.recent.pop_front();
        }
    }

    /// By what the hazard of the day to come is multiplied.
    fn factor(&self, now: Timestamp) -> f64 {
        let by_model = self.model.expected(now, JUDGED_H);
        if by_model <= 1e-9 {
            return 1.0;
        }
        let corrected = self.correction.at(1.0 - (-by_model).exp());
        -(1.0 - corrected.clamp(BOUNDS.0, BOUNDS.1)).ln() / by_model
    }
}

impl<M: Intensity + Serialize> NeedModel for Recalibrated<M> {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        self.read_needs(tail);
        self.model.observe(tail, now);
        self.settle(now);
        let last = self.notes.back().map(|&(at, _)| at);
        if last.is_none_or(|last| last + NOTE_EVERY <= now) {
            let said = 1.0 - (-self.model.expected(now, JUDGED_H)).exp();
            self.notes.push_back((now, said));
        }
    }

    fn retrain(&mut self, now: Timestamp) {
        self.model.retrain(now);
        self.correction.fit();
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.model.set_half_life(half_life);
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        let hours = horizon.0 as f64 / 3.6e9;
        1.0 - (-self.expected(now, hours)).exp()
    }

    fn demand_ratio(&self) -> f64 {
        self.model.demand_ratio()
    }

    fn open_signals(&self) -> f64 {
        self.model.open_signals()
    }
}

impl<M: Intensity + Serialize> Intensity for Recalibrated<M> {
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        self.factor(now) * self.model.expected(now, hours)
    }
}

/// Probabilities and what came of them, and the steps through these.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Isotonic {
    window: VecDeque<(f64, bool)>,
    steps: Vec<Step>,
}

/// Observations with one corrected probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Step {
    weight: f64,
    /// Mean of what was said.
    said: f64,
    /// Mean of what came.
    came: f64,
}

impl Step {
    fn pooled(self, other: Self) -> Self {
        let weight = self.weight + other.weight;
        let mean = |a: f64, b: f64| (self.weight * a + other.weight * b) / weight;
        Self {
            weight,
            said: mean(self.said, other.said),
            came: mean(self.came, other.came),
        }
    }
}

impl Isotonic {
    fn learn(&mut self, said: f64, happened: bool) {
        self.window.push_back((said, happened));
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
    }

    fn fit(&mut self) {
        let noted = self.window.iter().map(|&(said, happened)| Step {
            weight: 1.0,
            said,
            came: f64::from(u8::from(happened)),
        });
        let prior = PRIOR_AT.iter().map(|&at| Step {
            weight: PRIOR_WEIGHT,
            said: at,
            came: at,
        });
        self.steps = pool_adjacent_violators(noted.chain(prior).collect());
    }

    /// What `said` stands for; itself as long as nothing was fitted.
    fn at(&self, said: f64) -> f64 {
        let next = self.steps.partition_point(|step| step.said < said);
        let place = |index: usize| self.steps.get(index).map(|step| (step.said, step.came));
        let from = next.checked_sub(1).and_then(place).unwrap_or((0.0, 0.0));
        let to = place(next).unwrap_or((1.0, 1.0));
        if to.0 <= from.0 {
            return to.1;
        }
        from.1 + (said - from.0) / (to.0 - from.0) * (to.1 - from.1)
    }
}

/// The steps closest to the observations that never fall, in the order of what was said.
fn pool_adjacent_violators(mut observed: Vec<Step>) -> Vec<Step> {
    observed.sort_by(|a, b| a.said.total_cmp(&b.said));
    let alike = observed.chunk_by(|a, b| a.said == b.said).map(|alike| {
        let weight: f64 = alike.iter().map(|step| step.weight).sum();
        let came: f64 = alike.iter().map(|step| step.weight * step.came).sum();
        Step {
            weight,
            said: alike[0].said,
            came: came / weight,
        }
    });
    let mut steps: Vec<Step> = Vec::new();
    for mut step in alike {
        while let Some(last) = steps.pop_if(|last| last.came >= step.came) {
            step = last.pooled(step);
        }
        steps.push(step);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(pairs: &[(f64, f64)]) -> Vec<Step> {
        let step = |&(said, came): &(f64, f64)| Step {
            weight: 1.0,
            said,
            came,
        };
        pairs.iter().map(step).collect()
    }

    /// Worked by hand: the 1 and the 0 in the middle pool to a half.
    #[test]
    fn violators_are_pooled() {
        let found =
            pool_adjacent_violators(observed(&[(0.3, 0.0), (0.1, 0.0), (0.2, 1.0), (0.4, 1.0)]));
        let places: Vec<(f64, f64)> = found.iter().map(|step| (step.said, step.came)).collect();
        assert_eq!(places, [(0.1, 0.0), (0.25, 0.5), (0.4, 1.0)]);
        let falling = pool_adjacent_violators(observed(&[(0.1, 1.0), (0.2, 0.5), (0.3, 0.0)]));
        assert_eq!(falling.len(), 1);
        assert!((falling[0].came - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_model_is_believed_until_it_is_found_wrong() {
        let mut correction = Isotonic::default();
        for _ in 0..2 {
            for said in [0.0, 0.001, 0.05, 0.33, 0.9, 1.0] {
                assert!((correction.at(said) - said).abs() < 1e-12);
            }
            correction.fit();
        }
        // It says a half and a tenth where a fifth and a fiftieth of the days have a need.
        for i in 0..WINDOW {
            let (said, one_in) = if i % 2 == 0 { (0.5, 5) } else { (0.1, 50) };
            correction.learn(said, (i / 2) % one_in == 0);
        }
        correction.fit();
        let found = [0.5, 0.1].map(|said| correction.at(said));
        assert!((found[0] - 0.2).abs() < 0.02, "{found:?}");
        assert!((found[1] - 0.02).abs() < 0.01, "{found:?}");
        assert!(correction.steps.is_sorted_by(|a, b| a.came < b.came));
    }
}
