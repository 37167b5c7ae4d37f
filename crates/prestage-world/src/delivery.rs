//! Deployments and what becomes of them: the four DORA metrics, from events.
//!
//! A release or a dependency update is deployed when the stage that it needs is
//! there. A deployment breaks its service with the change failure probability;
//! restoring it takes a lognormal time, counted from the deployment (it is noticed
//! at once: the canary watches). Draws are addressed by cell and need, so every
//! arm meets the same failures.
//!
//! Reference: Forsgren, Humble and Kim, Accelerate (2018); dora.dev, the four keys.
use prestage_controller::{CellId, NeedType};
use prestage_des::SimTime;
use prestage_telemetry::Metric;
use serde::{Deserialize, Serialize};

use crate::event_log::LogKind;
use crate::world::{IncidentCause, World};

/// What a service has delivered so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Deliveries {
    /// Commits that no release has taken to production yet.
    waiting: Vec<SimTime>,
    lead_s: Vec<f64>,
    deployments: u64,
    failures: u64,
    recovery_s: Vec<f64>,
}

impl Deliveries {
    pub fn commit(&mut self, at: SimTime) {
        self.waiting.push(at);
    }
}

/// The four keys of a run; `None` where nothing was delivered or nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryMetrics {
    /// Deployments to production.
    pub deployments: u64,
    /// Deployments a day and service.
    pub deployment_frequency_per_day: f64,
    /// Median time from commit to production, hours.
    pub lead_time_for_changes_hours: Option<f64>,
    /// Share of deployments that broke their service.
    pub change_failure_rate: Option<f64>,
    /// Median time from a failed deployment to its recovery, hours.
    pub failed_deployment_recovery_hours: Option<f64>,
}

impl World {
    /// A release or an update reached production.
    pub(crate) fn deploy(&mut self, cell: CellId) {
        let spec = &self.record.cells[cell.index()];
        let (service, need) = (spec.service.0, spec.need);
        self.note(LogKind::Deployed, cell.0, 0);
        self.series(service, Metric::DeploymentsTotal, 1.0);
        let now = self.now;
        let deliveries = &mut self.services[service as usize].deliveries;
        deliveries.deployments += 1;
        if need == NeedType::FeatureRelease {
            let seconds = |at: SimTime| (now.as_micros() - at.as_micros()) as f64 / 1e6;
            let waiting = std::mem::take(&mut deliveries.waiting);
            deliveries.lead_s.extend(waiting.into_iter().map(seconds));
        }
        self.fail_or_hold(cell, service);
    }

    fn fail_or_hold(&mut self, cell: CellId, service: u32) {
        let operation = &self.options.operation;
        let address = self.cells[cell.index()].tally.needs;
        let mut stream = self.streams.at("change", u64::from(cell.0), address);
        if stream.unit() >= operation.change_failure_probability {
            return;
        }
        let minutes = stream.lognormal(operation.restore_minutes, operation.restore_sigma);
        let recovery = SimTime::from_secs_f64(minutes * 60.0);
        self.note(LogKind::ChangeFailed, cell.0, recovery.as_micros() as u64);
        let deliveries = &mut self.services[service as usize].deliveries;
        deliveries.failures += 1;
        deliveries.recovery_s.push(recovery.as_secs_f64());
        self.open_incident(service, IncidentCause::Change, self.now + recovery);
    }

    /// The four keys of the whole organisation, up to now.
    pub fn delivery_metrics(&self) -> DeliveryMetrics {
        let all = || self.services.iter().map(|service| &service.deliveries);
        let deployments: u64 = all().map(|each| each.deployments).sum();
        let failures: u64 = all().map(|each| each.failures).sum();
        let days = self.now.as_days_f64() - self.record.start.as_days_f64();
        let delivering = self.services.iter().filter(|service| service.delivers());
        let service_days = delivering.count() as f64 * days;
        let hours = |values: Vec<f64>| median(values).map(|seconds| seconds / 3600.0);
        DeliveryMetrics {
            deployments,
            deployment_frequency_per_day: if service_days > 0.0 {
                deployments as f64 / service_days
            } else {
                0.0
            },
            lead_time_for_changes_hours: hours(
                all().flat_map(|each| each.lead_s.clone()).collect(),
            ),
            change_failure_rate: (deployments > 0).then(|| failures as f64 / deployments as f64),
            failed_deployment_recovery_hours: hours(
                all().flat_map(|each| each.recovery_s.clone()).collect(),
            ),
        }
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}
