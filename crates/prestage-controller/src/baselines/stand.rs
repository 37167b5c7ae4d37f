//! A rule on a test stand: one cell, a telemetry tail, and a clock moved by hand.
use prestage_forecast::{NeedModel, NeedModelInput, Staffing, entry};
use prestage_lpt::NeedType;
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};

use super::Baseline;
use crate::cell::{CellId, CellSpec, Tier};
use crate::knobs::KnobCenters;
use crate::rule::{Rule, Sight, StagingRule, Verdict};

/// A Monday.
const START: Timestamp = Timestamp::from_seconds(1_704_067_200);

pub(super) fn cell(id: u32, need: NeedType) -> CellSpec {
    CellSpec {
        id: CellId(id),
        service: ServiceId(0),
        service_name: "web".to_owned(),
        need,
        tier: Tier::Two,
        people_working: 3.0,
        people_off: 1.0,
        people_incident_factor: 1.0,
        rated_load_per_replica: 10.0,
        suite_budget_s: 600.0,
        opens_at: START,
        closes_at: Timestamp(i64::MAX),
        lead_prior: Span::from_minutes(30),
        runner_minutes_prior: 5.0,
        staffing: Staffing::default(),
        retrain_on_drift: false,
    }
}

pub(super) struct Stand {
    cell: CellSpec,
    tail: Tail,
    now: Timestamp,
    rule: Option<Box<dyn StagingRule>>,
    model: Box<dyn NeedModel>,
    quantile: f64,
    last_release: Timestamp,
    pub probability: f64,
}

impl Stand {
    pub fn new(baseline: &Baseline, need: NeedType) -> Self {
        let cell = cell(0, need);
        let rule = Rule::untuned(baseline.rule.unwrap());
        let input = NeedModelInput {
            service: cell.service,
            rated_load_per_replica: cell.rated_load_per_replica,
            suite_budget_s: cell.suite_budget_s,
        };
        let knobs = (baseline.centers)(&KnobCenters::default())
            .of(need)
            .at([0; 6]);
        let mut model = (entry(&need.to_string()).unwrap().build)(input);
        model.set_half_life(knobs.half_life);
        Self {
            rule: Some(rule.build(std::slice::from_ref(&cell))),
            model,
            quantile: knobs.quantile,
            tail: Tail::new(1, Span::MAX),
            now: START,
            last_release: START,
            probability: 0.5,
            cell,
        }
    }

    fn push(&mut self, metric: Metric, value: f64) {
        let series = SeriesId::new(self.cell.service, metric);
        self.tail.push(series, self.now, value);
    }

    fn observe(&mut self) {
        let rule = self.rule.as_mut().unwrap();
        rule.observe(&self.cell, &self.tail, self.now);
        self.model.observe(&self.tail, self.now);
    }

    pub fn replicas(&mut self, replicas: f64) {
        self.push(Metric::Replicas, replicas);
    }

    /// Five minutes of a load.
    pub fn load(&mut self, load: f64) {
        for _ in 0..5 {
            self.push(Metric::RequestsPerSecond, load);
            self.now += Span::from_minutes(1);
        }
        self.observe();
    }

    /// Whole days of a load that depends on the hour; training at the end.
    pub fn days(&mut self, days: i64, load: impl Fn(f64) -> f64) {
        for step in 0..days * 288 {
            if step % 288 == 0 {
                self.model.retrain(self.now);
            }
            self.load(load((step % 288) as f64 / 12.0));
        }
        self.model.retrain(self.now);
    }

    /// To a time of the present day, without any news.
    pub fn forward_to(&mut self, hour: i64, minute: i64) {
        let midnight = self.now.0 - self.now.0.rem_euclid(86_400_000_000);
        self.now = Timestamp(midnight) + Span::from_minutes(60 * hour + minute);
        self.observe();
    }

    /// So many releases, so many hours apart.
    pub fn releases(&mut self, count: i64, gap_h: i64) {
        for _ in 0..count {
            self.now += Span::from_hours(gap_h);
            self.push(Metric::ReleasesTotal, 1.0);
            self.last_release = self.now;
        }
        self.observe();
    }

    pub fn hours_after_last_release(&mut self, hours: i64) {
        self.now = self.last_release + Span::from_hours(hours);
    }

    fn sight(&self) -> Sight<'_> {
        Sight {
            now: self.now,
            lead: self.cell.lead_prior,
            horizon: Span::from_hours(1),
            probability: self.probability,
            quantile: self.quantile,
            model: self.model.as_ref(),
        }
    }

    pub fn verdict(&mut self) -> Verdict {
        // Borrowed apart from the rest of the stand, which the sight looks at.
        let mut rule = self.rule.take().unwrap();
        let verdict = rule.verdict(&self.cell, &self.sight());
        self.rule = Some(rule);
        verdict
    }

    pub fn magnitude(&self) -> u32 {
        let rule = self.rule.as_ref().unwrap();
        rule.magnitude(&self.cell, &self.sight())
    }
}
