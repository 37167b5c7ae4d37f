//! A need model among simpler ones, weighted by what each said before a need arose or did not.
//!
//! Twice a day every member's probability of a need within a day is noted, and scored a day later. The
//! linear pool has Bayesian weights with a share for everybody (fixed share: Herbster & Warmuth 1998); a
//! logistic regression on the pool and on the members' log-odds over the rate then sharpens and
//! recalibrates it. Fails where needs follow no pattern at all: then it is the rate, with the noise of its
//! weights.
use std::collections::VecDeque;

use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};

use super::gaps::Gaps;
use super::logistic::{Logistic, logit};
use super::train::Train;
use crate::model::{Entry, NeedModel, NeedModelInput};
use crate::{DependencyModel, ReleaseModel, SuiteModel};

/// Registry entry.
pub const RELEASE: Entry = Entry {
    name: "release-mixture",
    about: "release hazards, gaps, rate and trains of 1 to 13 weeks, stacked by their log scores",
    need: "feature_release",
    build: |input| {
        let with_memory = |half_life| {
            let mut model = ReleaseModel::new(input);
            model.set_half_life(half_life);
            model
        };
        mixture(input, Metric::ReleasesTotal, with_memory)
    },
};

/// Registry entry.
pub const DEPENDENCY: Entry = Entry {
    name: "dependency-mixture",
    about: "signal hazards, gaps, rate and trains of 1 to 13 weeks, stacked by their log scores",
    need: "dependency_update",
    build: |input| {
        let with_memory = |half_life| {
            let mut model = DependencyModel::new(input);
            model.set_half_life(half_life);
            model
        };
        mixture(input, Metric::DependencyUpdatesTotal, with_memory)
    },
};

/// Registry entry.
pub const SUITE: Entry = Entry {
    name: "suite-mixture",
    about: "trends of suite time, gaps, rate and trains, stacked by their log scores",
    need: "test_suite",
    build: |input| {
        let with_memory = |half_life| {
            let mut model = SuiteModel::new(input);
            model.set_half_life(half_life);
            model
        };
        mixture(input, Metric::TestShards, with_memory)
    },
};

fn mixture<M: NeedModel + 'static>(
    input: NeedModelInput,
    needs: Metric,
    with_memory: impl Fn(Span) -> M,
) -> Box<dyn NeedModel> {
    let short = with_memory(Span::from_hours(6));
    let long = with_memory(Span::from_hours(6 * 13));
    Box::new(EventMixture::new(input.service, needs, short, long))
}

const TRAINS: [usize; 5] = [1, 2, 4, 6, 13];
const MEMBERS: usize = 4 + TRAINS.len();
const RATE: usize = 3;
const FEATURES: usize = MEMBERS + 1;
/// Prior of one need a week.
const PRIOR_PER_HOUR: f64 = 1.0 / 168.0;
/// Horizon at which members are scored.
const JUDGED: Span = Span::from_hours(24);
/// Time between two notes.
const NOTE_EVERY: Span = Span::from_hours(12);
/// Share of its weight that each member gives to all after a score.
const SHARED: f64 = 0.002;
/// Probabilities are kept inside this distance of 0 and 1 when they are scored.
const MARGIN: f64 = 1e-4;
/// Prior variance of the stack's weights.
const STACK_PRIOR: f64 = 0.01;

/// See the module.
pub struct EventMixture<M> {
    needs: SeriesId,
    cursor: u64,
    short: M,
    long: M,
    gaps: Gaps,
    trains: [Train; TRAINS.len()],
    weights: [f64; MEMBERS],
    stack: Logistic<FEATURES>,
    notes: VecDeque<Note>,
    recent: VecDeque<Timestamp>,
    newest_value: f64,
}

/// What was said at a time.
struct Note {
    at: Timestamp,
    members: [f64; MEMBERS],
}

impl<M: NeedModel> EventMixture<M> {
    /// Needs are the samples of `needs`, of shards those that grow; `short` and `long` are the same model
    /// with two memories.
    pub fn new(service: ServiceId, needs: Metric, short: M, long: M) -> Self {
        let mut weights = [0.0; FEATURES];
        weights[0] = 1.0;
        Self {
            needs: SeriesId::new(service, needs),
            cursor: 0,
            short,
            long,
            gaps: Gaps::new(PRIOR_PER_HOUR),
            trains: TRAINS.map(Train::of_weeks),
            weights: [1.0 / MEMBERS as f64; MEMBERS],
            stack: Logistic::new(weights, STACK_PRIOR),
            notes: VecDeque::new(),
            recent: VecDeque::new(),
            newest_value: f64::INFINITY,
        }
    }

    fn record(&mut self, at: Timestamp) {
        self.gaps.start(at);
        self.gaps.record(at);
        for train in &mut self.trains {
            train.advance(at);
            train.record(at);
        }
        self.recent.push_back(at);
    }

    fn members(&self, now: Timestamp, horizon: Span) -> [f64; MEMBERS] {
        let hours = horizon.as_hours();
        let per_hour = self.gaps.rate().per_hour(now);
        let mut members = [0.0; MEMBERS];
        members[0] = self.short.probability(now, horizon);
        members[1] = self.long.probability(now, horizon);
        members[2] = self.gaps.probability(now, hours);
        members[RATE] = self.gaps.rate().probability(now, hours);
        for (member, train) in members[RATE + 1..].iter_mut().zip(&self.trains) {
            *member = train.probability(now, hours, per_hour);
        }
        members.map(|p| p.clamp(MARGIN, 1.0 - MARGIN))
    }

    /// The pool's log-odds, a constant, and how far each member's are from the rate's.
    fn features(&self, members: &[f64; MEMBERS]) -> [f64; FEATURES] {
        let pool = self.weights.iter().zip(members).map(|(w, p)| w * p).sum();
        let usual = logit(members[RATE]);
        let mut features = [0.0; FEATURES];
        features[0] = logit(pool);
        for (feature, p) in features[1..].iter_mut().zip(members) {
            *feature = logit(*p) - usual;
        }
        // The rate's own place, where the difference is zero.
        features[1 + RATE] = 1.0;
        features
    }

    /// Scores what was said a day and more ago.
    fn settle(&mut self, now: Timestamp) {
        while let Some(note) = self.notes.front()
            && note.at + JUDGED <= now
        {
            let (from, to) = (note.at, note.at + JUDGED);
            let members = note.members;
            let happened = self.recent.iter().any(|&at| at > from && at <= to);
            let features = self.features(&members);
            self.stack.learn(&features, happened);
            self.reweigh(&members, happened);
            self.notes.pop_front();
        }
        let kept_from = self.notes.front().map_or(now, |note| note.at);
        while self.recent.front().is_some_and(|&at| at <= kept_from) {
            self.recent.pop_front();
        }
    }

    fn reweigh(&mut self, members: &[f64; MEMBERS], happened: bool) {
        for (weight, p) in self.weights.iter_mut().zip(members) {
            *weight *= if happened { *p } else { 1.0 - p };
        }
        let sum: f64 = self.weights.iter().sum();
        for weight in &mut self.weights {
            *weight = (1.0 - SHARED) * *weight / sum + SHARED / MEMBERS as f64;
        }
    }
}

impl<M: NeedModel> NeedModel for EventMixture<M> {
    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        let counts_growth = self.needs.metric == Metric::TestShards;
        let (times, values) = tail.read(self.needs, &mut self.cursor);
        let mut needs = Vec::new();
        for (&at, &value) in times.iter().zip(values) {
            if !counts_growth || value > self.newest_value {
                needs.push(at);
            }
            self.newest_value = value;
        }
        needs.into_iter().for_each(|at| self.record(at));
        self.short.observe(tail, now);
        self.long.observe(tail, now);
        self.gaps.start(now);
        self.trains.iter_mut().for_each(|train| train.advance(now));
        self.settle(now);
        let is_due = self
            .notes
            .back()
            .is_none_or(|note| note.at + NOTE_EVERY <= now);
        if is_due {
            let members = self.members(now, JUDGED);
            self.notes.push_back(Note { at: now, members });
        }
    }

    fn retrain(&mut self, now: Timestamp) {
        self.short.retrain(now);
        self.long.retrain(now);
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.short.set_half_life(half_life);
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        self.stack
            .probability(&self.features(&self.members(now, horizon)))
    }

    fn magnitude(&self, now: Timestamp, horizon: Span, quantile: f64) -> u32 {
        self.short.magnitude(now, horizon, quantile)
    }

    fn spread(&self, horizon: Span) -> f64 {
        self.short.spread(horizon)
    }

    fn demand_ratio(&self) -> f64 {
        self.short.demand_ratio()
    }

    fn headroom(&self) -> f64 {
        self.short.headroom()
    }

    fn skill(&self) -> f64 {
        self.short.skill()
    }

    fn open_signals(&self) -> f64 {
        self.short.open_signals()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs at noon of working days whose number divides by three, for two years; then the
    /// probabilities within a day, from midnight, over the last hundred days, with outcomes.
    fn said() -> Vec<(f64, bool)> {
        let start = Timestamp::from_seconds(1_704_067_200);
        let is_need = |day: i64| day % 3 == 0 && day % 7 < 5;
        let input = NeedModelInput {
            service: ServiceId(0),
            rated_load_per_replica: 1.0,
            suite_budget_s: 1.0,
        };
        let mut model = (RELEASE.build)(input);
        let mut tail = Tail::new(1, Span::MAX);
        let series = SeriesId::new(ServiceId(0), Metric::ReleasesTotal);
        let mut said = Vec::new();
        for day in 0..730 {
            let midnight = start + Span::from_days(day);
            model.observe(&tail, midnight);
            model.retrain(midnight);
            let p = model.probability(midnight, JUDGED);
            assert!((0.0..=1.0).contains(&p), "{p}");
            if day >= 630 {
                said.push((p, is_need(day)));
            }
            if is_need(day) {
                tail.push(series, midnight + Span::from_hours(12), 1.0);
            }
        }
        said
    }

    #[test]
    fn a_pattern_of_days_is_learnt_beyond_the_rate() {
        let said = said();
        let score = |p: f64, happened: bool| -(if happened { p } else { 1.0 - p }).ln();
        let all = said.len() as f64;
        let rate = said.iter().filter(|(_, happened)| *happened).count() as f64 / all;
        let found: f64 = said.iter().map(|&(p, y)| score(p, y)).sum::<f64>() / all;
        let plain: f64 = said.iter().map(|&(_, y)| score(rate, y)).sum::<f64>() / all;
        assert!(
            found < 0.7 * plain,
            "log score {found}, of the rate {plain}"
        );
    }
}
