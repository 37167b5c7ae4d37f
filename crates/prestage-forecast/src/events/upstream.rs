//! Releases of a dependency by its authors: when will the next one come?
//!
//! No need by itself, but what most updates of a dependency begin with. The schedule is found in the
//! times of the releases alone; nothing else of an upstream project is in the telemetry.
use prestage_telemetry::{Metric, SeriesId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use super::Intensity;
use super::schedule::{Found, Outlook, Schedule};
use crate::model::{Entry, NeedModel, NeedModelInput, restored, saved};
use crate::release::CommitPace;

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "release-schedule",
    about: "period and phase of a dependency's releases, found among 250 candidates beside the rate",
    need: "upstream_release",
    build: |input| Box::new(UpstreamModel::new(input)),
    restore: restored::<UpstreamModel>,
};

/// At the knob's centre of 6 h a release counts half after so many further ones.
const MEMORY_EVENTS: f64 = 8.0;
const CENTRE_H: f64 = 6.0;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpstreamModel {
    series: SeriesId,
    cursor: u64,
    schedule: Schedule,
    outlook: Option<Outlook>,
    pace: CommitPace,
}

impl UpstreamModel {
    /// A model that has seen nothing.
    pub fn new(input: NeedModelInput) -> Self {
        Self {
            series: SeriesId::new(input.service, Metric::UpstreamReleasesTotal),
            cursor: 0,
            schedule: Schedule::new(MEMORY_EVENTS),
            outlook: None,
            pace: CommitPace::default(),
        }
    }

    /// The likeliest schedule; `None` before a second release.
    pub fn found(&self, now: Timestamp) -> Option<Found> {
        self.outlook.as_ref()?.found(now)
    }
}

impl NeedModel for UpstreamModel {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        let (times, _) = tail.read(self.series, &mut self.cursor);
        for &at in times {
            self.schedule.record(at);
            self.pace.pass(at);
            self.pace.count();
        }
        self.pace.pass(now);
        if !times.is_empty() || self.outlook.is_none() {
            self.outlook = Some(self.schedule.outlook(now));
        }
    }

    fn retrain(&mut self, now: Timestamp) {
        self.outlook = Some(self.schedule.outlook(now));
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.schedule
            .set_memory(half_life.as_hours() / CENTRE_H * MEMORY_EVENTS);
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        -(-self.expected(now, horizon.as_hours())).exp_m1()
    }

    fn demand_ratio(&self) -> f64 {
        self.pace.ratio()
    }
}

impl Intensity for UpstreamModel {
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        self.outlook
            .as_ref()
            .map_or(0.0, |outlook| outlook.expected(now, hours))
    }
}
