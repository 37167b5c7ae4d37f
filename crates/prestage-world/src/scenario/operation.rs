//! `[operation]`: how the organisation works.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// How the organisation works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationSpec {
    /// Chance that one commit breaks a stage staged before it.
    pub drift_per_commit: f64,
    /// Time a lower load must last before replicas are taken away, minutes.
    pub stabilization_minutes: u32,
    /// Fewest replicas ever run.
    pub min_replicas: u32,
    /// Replicas a scale-out on demand adds, as a share of those that run.
    pub scale_out_share: f64,
    /// Reviews outside working hours take this many times as long.
    pub off_hours_review_factor: f64,
    /// Reviews that a blocked pipeline waits for take this share of the time.
    pub urgent_review_factor: f64,
    /// Median time a person needs to write a stage by hand, minutes.
    pub hand_written_minutes: f64,
    /// Runner minutes an hour that keep a ready stage validated.
    pub upkeep_minutes_per_hour: f64,
    /// Runner minutes of retraining one model.
    pub retrain_minutes: f64,
    /// People a blocked release, update and test suite keep waiting in working hours.
    pub people_waiting: [f64; 3],
    /// People waiting outside working hours over those inside.
    pub off_hours_people_factor: f64,
    /// How many times as many people wait while an incident of the service is open.
    pub incident_people_factor: f64,
    /// By how much one open review per service lengthens a review, as a share: reviewers
    /// are as many as services are, so a larger organisation is not a slower one.
    pub review_backlog_factor: f64,
    /// Probability that a deployment breaks the service (change failure rate).
    pub change_failure_probability: f64,
    /// Median time to restore it, minutes.
    pub restore_minutes: f64,
    /// Standard deviation of its log.
    pub restore_sigma: f64,
    /// Induced demand, a sensitivity check: a ready stage brings the next need of
    /// its cell forward by this share of the time that is left.
    pub induced_demand: f64,
}

impl Default for OperationSpec {
    fn default() -> Self {
        Self {
            drift_per_commit: 0.02,
            stabilization_minutes: 180,
            min_replicas: 2,
            scale_out_share: 0.25,
            off_hours_review_factor: 3.0,
            urgent_review_factor: 0.6,
            hand_written_minutes: 45.0,
            upkeep_minutes_per_hour: 0.5,
            retrain_minutes: 2.0,
            people_waiting: [4.0, 2.0, 3.0],
            off_hours_people_factor: 0.3,
            incident_people_factor: 2.0,
            review_backlog_factor: 0.2,
            change_failure_probability: 0.1,
            restore_minutes: 45.0,
            restore_sigma: 0.8,
            induced_demand: 0.0,
        }
    }
}

impl OperationSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.share("drift_per_commit", self.drift_per_commit);
        ranges.count(
            "stabilization_minutes",
            self.stabilization_minutes,
            1,
            10_080,
        );
        ranges.count("min_replicas", self.min_replicas, 1, 10_000);
        ranges.number("scale_out_share", self.scale_out_share, 0.0, 10.0);
        ranges.number(
            "off_hours_review_factor",
            self.off_hours_review_factor,
            0.1,
            100.0,
        );
        ranges.number("urgent_review_factor", self.urgent_review_factor, 0.0, 10.0);
        ranges.number(
            "hand_written_minutes",
            self.hand_written_minutes,
            0.0,
            10_080.0,
        );
        ranges.number(
            "upkeep_minutes_per_hour",
            self.upkeep_minutes_per_hour,
            0.0,
            60.0,
        );
        ranges.number("retrain_minutes", self.retrain_minutes, 0.0, 1440.0);
        for people in self.people_waiting {
            ranges.number("people_waiting", people, 0.0, 10_000.0);
        }
        ranges.number(
            "off_hours_people_factor",
            self.off_hours_people_factor,
            0.0,
            10.0,
        );
        ranges.number(
            "incident_people_factor",
            self.incident_people_factor,
            0.0,
            100.0,
        );
        ranges.number(
            "review_backlog_factor",
            self.review_backlog_factor,
            0.0,
            10.0,
        );
        ranges.number(
            "change_failure_probability",
            self.change_failure_probability,
            0.0,
            0.9,
        );
        ranges.number("restore_minutes", self.restore_minutes, 0.1, 43_200.0);
        ranges.number("restore_sigma", self.restore_sigma, 0.0, 3.0);
        ranges.number("induced_demand", self.induced_demand, 0.0, 0.95);
    }
}
