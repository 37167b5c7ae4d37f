//! Dependency updates: when must a dependency be moved?
//!
//! A hazard over the calendar, the hours since the last upstream signal (a new
//! upstream version or a published advisory) and the number of signals still
//! unanswered. Without signals in the telemetry it falls back to a calendar,
//! the age of the last update and a rate.
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use crate::events::Intensity;
use crate::hazard::{Hazard, hourly};
use crate::model::{Entry, NeedModel, NeedModelInput, restored, saved};
use crate::release::CommitPace;

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "signal-hazard",
    about: "hazard of a dependency update by hour, last upstream signal and open signals",
    need: "dependency_update",
    build: |input| Box::new(DependencyModel::new(input)),
    restore: restored::<DependencyModel>,
};

const SIGNAL: usize = 0;
const OPEN: usize = 1;
const AGE: usize = 2;
/// Upper edges of hours since the last signal or update.
const EDGES_H: [f64; 8] = [1.0, 4.0, 12.0, 24.0, 48.0, 96.0, 192.0, 768.0];
const MEMORY_PER_HALF_LIFE: f64 = 112.0;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DependencyModel {
    service: ServiceId,
    cursors: [u64; 3],
    hazard: Hazard,
    last_signal: Option<Timestamp>,
    last_update: Option<Timestamp>,
    open: u32,
    pace: CommitPace,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Signal,
    Update,
}

impl DependencyModel {
    /// A model that has seen nothing: one update a week.
    pub fn new(input: NeedModelInput) -> Self {
        let bins = EDGES_H.len() + 1;
        Self {
            service: input.service,
            cursors: [0; 3],
            hazard: Hazard::new(1.0 / 168.0, &[bins, 6, bins]),
            last_signal: None,
            last_update: None,
            open: 0,
            pace: CommitPace::default(),
        }
    }

    /// In steps of at most an hour: ages move through their bins as time passes.
    fn advance(&mut self, to: Timestamp) {
        for at in hourly(self.hazard.now(), to) {
            self.hazard.advance(at);
            self.enter_bins(at);
        }
        self.pace.pass(to);
    }

    fn enter_bins(&mut self, to: Timestamp) {
        let bin = |since: Option<Timestamp>| {
            since.map_or(EDGES_H.len(), |at| {
                let hours = (to.0 - at.0) as f64 / 3.6e9;
                EDGES_H.iter().filter(|&&edge| hours > edge).count()
            })
        };
        self.hazard.set_bin(SIGNAL, bin(self.last_signal));
        self.hazard.set_bin(OPEN, self.open as usize);
        self.hazard.set_bin(AGE, bin(self.last_update));
    }

    fn happen(&mut self, at: Timestamp, what: Happening) {
        self.advance(at);
        match what {
            Happening::Signal => {
                self.last_signal = Some(at);
                self.open = (self.open + 1).min(5);
            }
            Happening::Update => {
                self.hazard.record();
                self.last_update = Some(at);
                self.open = self.open.saturating_sub(1);
                self.pace.count();
            }
        }
    }
}

impl NeedModel for DependencyModel {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        const SOURCES: [(Metric, Happening); 3] = [
            (Metric::UpstreamReleasesTotal, Happening::Signal),
            (Metric::AdvisoriesTotal, Happening::Signal),
            (Metric::DependencyUpdatesTotal, Happening::Update),
        ];
        let mut news: Vec<(Timestamp, Happening)> = Vec::new();
        for ((metric, what), cursor) in SOURCES.iter().zip(&mut self.cursors) {
            let (times, _) = tail.read(SeriesId::new(self.service, *metric), cursor);
            news.extend(times.iter().map(|&at| (at, *what)));
        }
        news.sort_unstable();
        for (at, what) in news {
            self.happen(at, what);
        }
        self.advance(now);
    }

    fn retrain(&mut self, _now: Timestamp) {
        self.hazard.retrain();
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.hazard
            .set_memory_h(half_life.0 as f64 / 3.6e9 * MEMORY_PER_HALF_LIFE);
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        self.hazard.probability(now, horizon.0 as f64 / 3.6e9)
    }

    fn demand_ratio(&self) -> f64 {
        self.pace.ratio()
    }

    fn open_signals(&self) -> f64 {
        f64::from(self.open)
    }
}

impl Intensity for DependencyModel {
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        self.hazard.expected(now, hours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_release_raises_the_probability() {
        let mut tail = Tail::new(1, Span::MAX);
        let input = NeedModelInput {
            service: ServiceId(0),
            rated_load_per_replica: 1.0,
            suite_budget_s: 1.0,
        };
        let mut model = DependencyModel::new(input);
        let start = Timestamp::from_seconds(1_704_067_200);
        let upstream = SeriesId::new(ServiceId(0), Metric::UpstreamReleasesTotal);
        let updates = SeriesId::new(ServiceId(0), Metric::DependencyUpdatesTotal);
        for week in 0..40 {
            tail.push(upstream, start + Span::from_hours(week * 168 + 20), 1.0);
            tail.push(updates, start + Span::from_hours(week * 168 + 28), 1.0);
        }
        // Monday noon, long after the last of it; then a signal, and noon of the next day.
        let before = start + Span::from_hours(40 * 168 + 12);
        model.observe(&tail, before);
        model.retrain(before);
        let quiet = model.probability(before, Span::from_hours(4));
        tail.push(upstream, before + Span::from_hours(20), 1.0);
        let now = before + Span::from_hours(24);
        model.observe(&tail, now);
        let signalled = model.probability(now, Span::from_hours(4));
        assert!(
            signalled > 5.0 * quiet,
            "signalled {signalled}, quiet {quiet}"
        );
    }
}
