//! Exposure to advisories: when will the next one hit a version in use?
//!
//! Advisories on the packages that a service depends on arrive at a rate that depends on the hour and on
//! how long ago the last one came (they come in clusters: one is found, its siblings follow); a share of
//! them hits the version in use. Telemetry tells both apart by the value of a sample, 0 where the version
//! in use is not affected, so that arrivals that did no harm help to learn the rate. Fails on sets of few
//! packages: then it is a rate.
use prestage_telemetry::{Metric, SeriesId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use super::Intensity;
use crate::hazard::{Hazard, hourly};
use crate::model::{NeedModel, NeedModelInput, saved};
use crate::release::CommitPace;

/// Upper edges of hours since the last advisory.
const EDGES_H: [f64; 5] = [6.0, 48.0, 168.0, 504.0, 1_344.0];
/// Prior of one advisory in a month.
const PRIOR_PER_HOUR: f64 = 1.0 / 720.0;
/// Prior of the share that hits, as hits and misses.
const SHARE_PRIOR: (f64, f64) = (1.0, 1.0);
/// At the knob's centre of 6 h this model remembers half a year.
const MEMORY_PER_HALF_LIFE: f64 = 730.0;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExposureModel {
    series: SeriesId,
    cursor: u64,
    hazard: Hazard,
    last: Option<Timestamp>,
    hits: f64,
    misses: f64,
    pace: CommitPace,
}

impl ExposureModel {
    /// A model that has seen nothing.
    pub fn new(input: NeedModelInput) -> Self {
        Self {
            series: SeriesId::new(input.service, Metric::AdvisoriesTotal),
            cursor: 0,
            hazard: Hazard::new(PRIOR_PER_HOUR, &[EDGES_H.len() + 1]),
            last: None,
            hits: SHARE_PRIOR.0,
            misses: SHARE_PRIOR.1,
            pace: CommitPace::default(),
        }
    }

    fn advance(&mut self, to: Timestamp) {
        for at in hourly(self.hazard.now(), to) {
            self.hazard.advance(at);
            let bin = self.last.map_or(EDGES_H.len(), |last| {
                let hours = (at - last).as_hours();
                EDGES_H.iter().filter(|&&edge| hours > edge).count()
            });
            self.hazard.set_bin(0, bin);
        }
        self.pace.pass(to);
    }

    fn advisory(&mut self, at: Timestamp, hits: bool) {
        self.advance(at);
        self.hazard.record();
        self.last = Some(at);
        self.hits += f64::from(u8::from(hits));
        self.misses += f64::from(u8::from(!hits));
        self.pace.count();
    }

    fn share(&self) -> f64 {
        self.hits / (self.hits + self.misses)
    }
}

impl NeedModel for ExposureModel {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        let (times, values) = tail.read(self.series, &mut self.cursor);
        for (&at, &value) in times.iter().zip(values) {
            self.advisory(at, value > 0.0);
        }
        self.advance(now);
    }

    fn retrain(&mut self, _now: Timestamp) {
        self.hazard.retrain();
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.hazard
            .set_memory_h(half_life.as_hours() * MEMORY_PER_HALF_LIFE);
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        -(-self.expected(now, horizon.as_hours())).exp_m1()
    }

    fn demand_ratio(&self) -> f64 {
        self.pace.ratio()
    }
}

impl Intensity for ExposureModel {
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        self.share() * self.hazard.expected(now, hours)
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::{ServiceId, Tail};

    use super::*;

    /// Sixty advisories, one in ten days, of which every `hits_every`th hits.
    fn lived(hits_every: i64) -> (ExposureModel, Timestamp) {
        let mut model = ExposureModel::new(NeedModelInput {
            service: ServiceId(0),
            rated_load_per_replica: 1.0,
            suite_budget_s: 1.0,
        });
        let mut tail = Tail::new(1, Span::MAX);
        let series = SeriesId::new(ServiceId(0), Metric::AdvisoriesTotal);
        let start = Timestamp::from_seconds(1_704_067_200);
        for i in 0..60 {
            let hits = f64::from(u8::from(i % hits_every == 0));
            tail.push(series, start + Span::from_days(10 * i), hits);
        }
        let now = start + Span::from_days(600);
        model.observe(&tail, now);
        model.retrain(now);
        (model, now)
    }

    #[test]
    fn advisories_that_did_no_harm_teach_the_rate_and_lower_the_share() {
        let (all, now) = lived(1);
        let (tenth, _) = lived(10);
        let in_ten_days = all.expected(now, 240.0);
        assert!((0.5..2.0).contains(&in_ten_days), "{in_ten_days}");
        // Seven of sixty-two with the prior, instead of sixty-one.
        let ratio = tenth.expected(now, 240.0) / in_ten_days;
        assert!((ratio - 7.0 / 61.0).abs() < 1e-9, "{ratio}");
    }
}
