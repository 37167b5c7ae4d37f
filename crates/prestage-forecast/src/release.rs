//! Feature releases: when will the next release be cut?
//!
//! A hazard over the calendar, the age of the last release relative to the
//! usual gap (regular trains show here), and the backlog of commits since.
//! Fails on projects that release on demand of one person: then it is a
//! calendar and a rate.
use prestage_telemetry::{Metric, SeriesId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use crate::events::Intensity;
use crate::hazard::{Hazard, hourly};
use crate::model::{Entry, NeedModel, NeedModelInput, restored, saved};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "release-hazard",
    about: "hazard of a release by hour, age against the usual cadence and commit backlog",
    need: "feature_release",
    build: |input| Box::new(ReleaseModel::new(input)),
    restore: restored::<ReleaseModel>,
};

const AGE: usize = 0;
const BACKLOG: usize = 1;
/// Upper edges of age over the usual gap.
const AGE_EDGES: [f64; 9] = [0.02, 0.1, 0.3, 0.6, 0.85, 0.97, 1.1, 1.5, 3.0];
/// The half-life knob is set for loads, which change in hours; releases change
/// over weeks. At the knob's centre of 6 h this model remembers 28 days.
const MEMORY_PER_HALF_LIFE: f64 = 112.0;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReleaseModel {
    service: prestage_telemetry::ServiceId,
    releases_cursor: u64,
    commits_cursor: u64,
    hazard: Hazard,
    last_release: Option<Timestamp>,
    mean_gap_h: f64,
    backlog: u32,
    commits: CommitPace,
}

/// Recent commits against their long-run pace.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CommitPace {
    day: f64,
    month: f64,
    at: Timestamp,
    /// Made again whenever a step has another length.
    #[serde(skip)]
    kept: Kept,
}

/// What a step keeps of the two sums. Steps are nearly always the same, and exponentials are most
/// of the cost of a step.
#[derive(Clone, Copy, Debug)]
struct Kept {
    hours: f64,
    day: f64,
    month: f64,
}

impl Default for Kept {
    fn default() -> Self {
        Self::over(0.0)
    }
}

impl Kept {
    fn over(hours: f64) -> Self {
        Self {
            hours,
            day: (-hours / 24.0).exp(),
            month: (-hours / 720.0).exp(),
        }
    }
}

impl CommitPace {
    pub(crate) fn pass(&mut self, to: Timestamp) {
        let hours = (to.0 - self.at.0).max(0) as f64 / 3.6e9;
        if hours != self.kept.hours {
            self.kept = Kept::over(hours);
        }
        self.day *= self.kept.day;
        self.month *= self.kept.month;
        self.at = to;
    }

    pub(crate) fn count(&mut self) {
        self.day += 1.0;
        self.month += 1.0 / 30.0;
    }

    pub(crate) fn ratio(&self) -> f64 {
        ((self.day + 0.5) / (self.month + 0.5)).ln()
    }
}

impl ReleaseModel {
    /// A model that has seen nothing: one release a week.
    pub fn new(input: NeedModelInput) -> Self {
        Self {
            service: input.service,
            releases_cursor: 0,
            commits_cursor: 0,
            hazard: Hazard::new(1.0 / 168.0, &[AGE_EDGES.len() + 1, 10]),
            last_release: None,
            mean_gap_h: 168.0,
            backlog: 0,
            commits: CommitPace::default(),
        }
    }

    /// In steps of at most an hour: the age moves through its bins as time passes.
    fn advance(&mut self, to: Timestamp) {
        for at in hourly(self.hazard.now(), to) {
            self.hazard.advance(at);
            self.enter_bins(at);
        }
        self.commits.pass(to);
    }

    fn enter_bins(&mut self, to: Timestamp) {
        let age = self
            .last_release
            .map_or(1.0, |last| (to.0 - last.0) as f64 / 3.6e9 / self.mean_gap_h);
        self.hazard
            .set_bin(AGE, AGE_EDGES.iter().filter(|&&edge| age > edge).count());
        self.hazard
            .set_bin(BACKLOG, (u32::BITS - self.backlog.leading_zeros()) as usize);
    }

    fn release(&mut self, at: Timestamp) {
        self.advance(at);
        self.hazard.record();
        if let Some(last) = self.last_release {
            let gap_h = (at.0 - last.0) as f64 / 3.6e9;
            self.mean_gap_h += 0.2 * (gap_h - self.mean_gap_h);
            self.mean_gap_h = self.mean_gap_h.max(1.0);
        }
        self.last_release = Some(at);
        self.backlog = 0;
    }

    fn commit(&mut self, at: Timestamp) {
        self.advance(at);
        self.backlog += 1;
        self.commits.count();
    }
}

impl NeedModel for ReleaseModel {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        let commits = tail.read(
            SeriesId::new(self.service, Metric::CommitsTotal),
            &mut self.commits_cursor,
        );
        let releases = tail.read(
            SeriesId::new(self.service, Metric::ReleasesTotal),
            &mut self.releases_cursor,
        );
        let (mut i, mut j) = (0, 0);
        while i < commits.0.len() || j < releases.0.len() {
            // A commit at the very time of a release is the release's own.
            let commit_first =
                j >= releases.0.len() || (i < commits.0.len() && commits.0[i] <= releases.0[j]);
            if commit_first {
                self.commit(commits.0[i]);
                i += 1;
            } else {
                self.release(releases.0[j]);
                j += 1;
            }
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
        self.commits.ratio()
    }

    fn open_signals(&self) -> f64 {
        f64::from(self.backlog)
    }
}

impl Intensity for ReleaseModel {
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        self.hazard.expected(now, hours)
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::ServiceId;

    use super::*;

    #[test]
    fn a_weekly_train_is_expected_on_its_day() {
        let mut tail = Tail::new(1, Span::MAX);
        let input = NeedModelInput {
            service: ServiceId(0),
            rated_load_per_replica: 1.0,
            suite_budget_s: 1.0,
        };
        let mut model = ReleaseModel::new(input);
        let start = Timestamp::from_seconds(1_704_067_200);
        let series = SeriesId::new(ServiceId(0), Metric::ReleasesTotal);
        for week in 0..60 {
            tail.push(series, start + Span::from_hours(week * 168 + 58), 1.0);
        }
        // Two days before the train of week 60, then an hour before it.
        let early = start + Span::from_hours(60 * 168 + 9);
        model.observe(&tail, early);
        model.retrain(early);
        let quiet = model.probability(early, Span::from_hours(2));
        let before = start + Span::from_hours(60 * 168 + 57);
        model.observe(&tail, before);
        let due = model.probability(before, Span::from_hours(2));
        assert!(due > 0.15, "due {due}");
        assert!(due > 3.0 * quiet, "due {due}, quiet {quiet}");
    }
}
