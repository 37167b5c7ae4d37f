//! A need model among simpler ones, weighted by what each said before a need arose or did not.
//!
//! Twice a day it is noted how many needs every member expects within a day, and scored a day later. The
//! linear pool has Bayesian weights with a share for everybody (fixed share: Herbster & Warmuth 1998); a
//! regression on the pool and on how far the members are from the rate then sharpens and recalibrates it.
//! Fails where needs follow no pattern at all: then it is the rate, with the noise of its weights.
//!
//! In the control loop it costs about what the short model alone does: members are asked about the day to
//! come every few hours and after a need, and in between every horizon inside that day is the short model's
//! share of it.
use std::collections::VecDeque;

use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Intensity;
use super::exposure::ExposureModel;
use super::gaps::Gaps;
use super::pooled::{PooledGaps, is_need};
use super::stack::{FEATURES, Features, Stack};
use super::train::Train;
use super::upstream::UpstreamModel;
use crate::model::{Entry, NeedModel, NeedModelInput, restored, saved};
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
    restore: restored::<EventMixture<ReleaseModel>>,
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
    restore: restored::<EventMixture<DependencyModel>>,
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
    restore: restored::<EventMixture<SuiteModel>>,
};

/// Registry entry.
pub const UPSTREAM: Entry = Entry {
    name: "upstream-mixture",
    about: "schedules of a dependency's releases, gaps, rate and trains, stacked by their log scores",
    need: "upstream_release",
    build: |input| {
        let with_memory = |half_life| {
            let mut model = UpstreamModel::new(input);
            model.set_half_life(half_life);
            model
        };
        mixture(input, Metric::UpstreamReleasesTotal, with_memory)
    },
    restore: restored::<EventMixture<UpstreamModel>>,
};

/// Registry entry.
pub const EXPOSURE: Entry = Entry {
    name: "exposure-mixture",
    about: "advisories that hit a version in use: clustered arrivals, gaps, rate and trains, stacked",
    need: "advisory_exposure",
    build: |input| {
        let with_memory = |half_life| {
            let mut model = ExposureModel::new(input);
            model.set_half_life(half_life);
            model
        };
        mixture(input, Metric::AdvisoriesTotal, with_memory)
    },
    restore: restored::<EventMixture<ExposureModel>>,
};

/// Registry entry.
pub const DEPENDENCY_POOLED: Entry = Entry {
    name: "dependency-pooled",
    about: "dependency-mixture, its long memory being the gaps of all services, pooled in part",
    need: "dependency_update",
    build: |input| {
        let short = DependencyModel::new(input);
        pooled(input, Metric::DependencyUpdatesTotal, short)
    },
    restore: restored::<EventMixture<DependencyModel, PooledGaps>>,
};

fn pooled<M: Intensity + Serialize + DeserializeOwned + 'static>(
    input: NeedModelInput,
    needs: Metric,
    mut short: M,
) -> Box<dyn NeedModel> {
    short.set_half_life(Span::from_hours(6));
    let fleet = PooledGaps::new(input, needs);
    Box::new(EventMixture::new(input.service, needs, short, fleet))
}

fn mixture<M: Intensity + Serialize + DeserializeOwned + 'static>(
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
const _: () = assert!(
    FEATURES == MEMBERS + 1,
    "the pool, a constant, and each member but the rate"
);
/// What the pool trusts the members with before any score: the hazards, gaps, the rate, the trains.
const TRUST: [f64; MEMBERS] = [0.3, 0.25, 0.1, 0.2, 0.03, 0.03, 0.03, 0.03, 0.03];
/// Prior of one need a week.
const PRIOR_PER_HOUR: f64 = 1.0 / 168.0;
const DAY_H: f64 = 24.0;
/// Horizon at which members are scored.
const JUDGED: Span = Span::from_hours(24);
/// Time between two notes.
const NOTE_EVERY: Span = Span::from_hours(12);
/// Time after which members are asked again; a need has them asked at once.
const ASK_EVERY: Span = Span::from_hours(3);
/// Share of its weight that each member gives to all after a score.
const SHARED: f64 = 0.002;
/// Expectations of a day are kept inside these bounds: probabilities of 0.0001 and 0.9999.
const BOUNDS: (f64, f64) = (1e-4, 9.2);
/// Prior variance of the stack's weights.
const STACK_PRIOR: f64 = 0.01;

/// Days ahead that are asked about.
const DAYS_MAX: f64 = 400.0;

/// What each member expects in some part of time.
type Members = [f64; MEMBERS];

/// See the module.
#[derive(Serialize, Deserialize)]
pub struct EventMixture<M, L = M> {
    needs: SeriesId,
    cursor: u64,
    short: M,
    long: L,
    gaps: Gaps,
    trains: [Train; TRAINS.len()],
    weights: Members,
    stack: Stack,
    notes: VecDeque<Note>,
    recent: VecDeque<Timestamp>,
    newest_value: f64,
    next_asking: Option<Timestamp>,
    day: Share,
}

/// What was said of a day.
#[derive(Serialize, Deserialize)]
struct Note {
    at: Timestamp,
    members: Members,
}

/// The stack's expectation of a day as a share of the short model's: what turns every other
/// expectation of the short model inside that day into the mixture's.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Share {
    factor: f64,
    /// Instead of the factor, where the short model expects nothing at all.
    per_hour: f64,
}

impl Share {
    fn of(expected: f64, by_short: f64) -> Self {
        if by_short > 1e-9 {
            let factor = expected / by_short;
            return Self {
                factor,
                per_hour: 0.0,
            };
        }
        Self {
            factor: 0.0,
            per_hour: expected / DAY_H,
        }
    }

    fn expected(self, by_short: f64, hours: f64) -> f64 {
        self.factor * by_short + self.per_hour * hours
    }
}

impl<M: Intensity, L: Intensity> EventMixture<M, L> {
    /// Needs are the samples of `needs`, of shards those that grow; `short` and `long` are the same model
    /// with two memories, or two models.
    pub fn new(service: ServiceId, needs: Metric, short: M, long: L) -> Self {
        let mut weights = [0.0; FEATURES];
        weights[0] = 1.0;
        Self {
            needs: SeriesId::new(service, needs),
            cursor: 0,
            short,
            long,
            gaps: Gaps::new(PRIOR_PER_HOUR),
            trains: TRAINS.map(Train::of_weeks),
            weights: TRUST,
            stack: Stack::new(weights, STACK_PRIOR),
            notes: VecDeque::new(),
            recent: VecDeque::new(),
            newest_value: f64::INFINITY,
            next_asking: None,
            day: Share {
                factor: 1.0,
                per_hour: 0.0,
            },
        }
    }

    /// Takes in the new samples of the needs' own series.
    fn read_needs(&mut self, tail: &Tail) {
        let (times, values) = tail.read(self.needs, &mut self.cursor);
        for (&at, &value) in times.iter().zip(values) {
            if is_need(self.needs.metric, value, self.newest_value) {
                self.record(at);
            }
            self.newest_value = value;
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

    /// What the members expect in the day that begins `from_h` hours after `now`.
    fn members(&self, now: Timestamp, from_h: f64) -> Members {
        let to_h = from_h + DAY_H;
        let per_hour = self.gaps.rate().per_hour(now);
        let begin = now + Span((from_h * 3.6e9) as i64);
        let mut members = [0.0; MEMBERS];
        members[0] = self.short.expected(now, to_h) - self.short.expected(now, from_h);
        members[1] = self.long.expected(now, to_h) - self.long.expected(now, from_h);
        members[2] = self.gaps.expected(now, to_h) - self.gaps.expected(now, from_h);
        members[RATE] = per_hour * DAY_H;
        for (member, train) in members[RATE + 1..].iter_mut().zip(&self.trains) {
            *member = train.expected(begin, DAY_H, per_hour);
        }
        members.map(|expected| expected.clamp(BOUNDS.0, BOUNDS.1))
    }

    /// How far the pool and each member are from the rate, in logs, and the log of the rate's own.
    fn features(&self, members: &Members) -> (f64, Features) {
        let none = self
            .weights
            .iter()
            .zip(members)
            .map(|(w, x)| w * (-x).exp());
        let pool = -none.sum::<f64>().ln();
        let usual = members[RATE].ln();
        let mut features = [0.0; FEATURES];
        features[0] = pool.max(BOUNDS.0).ln() - usual;
        for (feature, expected) in features[1..].iter_mut().zip(members) {
            *feature = expected.ln() - usual;
        }
        // The rate's own place, where the difference is zero.
        features[1 + RATE] = 1.0;
        (usual, features)
    }

    fn stacked(&self, members: &Members) -> f64 {
        let (usual, features) = self.features(members);
        self.stack.expected(usual, &features)
    }

    /// Asks all members about the day to come.
    fn ask(&mut self, now: Timestamp) {
        let members = self.members(now, 0.0);
        self.day = Share::of(self.stacked(&members), self.short.expected(now, DAY_H));
        self.next_asking = Some(now + ASK_EVERY);
        let last_note = self.notes.back().map(|note| note.at);
        if last_note.is_none_or(|last| last + NOTE_EVERY <= now) {
            self.notes.push_back(Note { at: now, members });
        }
    }

    /// Scores what was said a day and more ago.
    fn settle(&mut self, now: Timestamp) {
        while let Some(note) = self.notes.front()
            && note.at + JUDGED <= now
        {
            let (from, to) = (note.at, note.at + JUDGED);
            let members = note.members;
            let happened = self.recent.iter().any(|&at| at > from && at <= to);
            let (usual, features) = self.features(&members);
            self.stack.learn(usual, &features, happened);
            self.reweigh(&members, happened);
            self.notes.pop_front();
        }
        let kept_from = self.notes.front().map_or(now, |note| note.at);
        while self.recent.front().is_some_and(|&at| at <= kept_from) {
            self.recent.pop_front();
        }
    }

    fn reweigh(&mut self, members: &Members, happened: bool) {
        for (weight, expected) in self.weights.iter_mut().zip(members) {
            let none = (-expected).exp();
            *weight *= if happened { 1.0 - none } else { none };
        }
        let sum: f64 = self.weights.iter().sum();
        for weight in &mut self.weights {
            *weight = (1.0 - SHARED) * *weight / sum + SHARED / MEMBERS as f64;
        }
    }
}

impl<M: Intensity + Serialize, L: Intensity + Serialize> Intensity for EventMixture<M, L> {
    /// Day by day: inside the first one the stack was asked when it began, the others are asked here.
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        let first = hours.min(DAY_H);
        let mut sum = self.day.expected(self.short.expected(now, first), first);
        let days = (hours / DAY_H).ceil().min(DAYS_MAX) as u32;
        for day in 1..days {
            let from_h = f64::from(day) * DAY_H;
            let by_short =
                |to_h: f64| self.short.expected(now, to_h) - self.short.expected(now, from_h);
            let share = Share::of(
                self.stacked(&self.members(now, from_h)),
                by_short(from_h + DAY_H),
            );
            let to_h = hours.min(from_h + DAY_H);
            sum += share.expected(by_short(to_h), to_h - from_h);
        }
        sum
    }
}

impl<M: Intensity + Serialize, L: Intensity + Serialize> NeedModel for EventMixture<M, L> {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        self.short.observe(tail, now);
        let is_news = tail.sequence(self.needs) != self.cursor;
        if !is_news && self.next_asking.is_some_and(|due| now < due) {
            return;
        }
        self.read_needs(tail);
        self.long.observe(tail, now);
        self.gaps.start(now);
        self.trains.iter_mut().for_each(|train| train.advance(now));
        self.settle(now);
        self.ask(now);
    }

    fn retrain(&mut self, now: Timestamp) {
        self.short.retrain(now);
        self.long.retrain(now);
        self.ask(now);
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.short.set_half_life(half_life);
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        -(-self.expected(now, horizon.as_hours())).exp_m1()
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
