//! What the world does to everybody: incidents, outages of the runner pool,
//! release freezes, gaps in the telemetry.
//!
//! Incidents come by themselves (the record's) or from a deployment that failed
//! (`delivery.rs`). While one is open more people wait for a blocked pipeline;
//! one of the record's may also take replicas out of service.
use prestage_des::SimTime;
use prestage_telemetry::{Metric, SeriesId};

use crate::event_log::LogKind;
use crate::exogenous::{Exogenous, Gap};
use crate::world::{Event, IncidentCause, World};

impl World {
    /// An incident of the record begins.
    pub(crate) fn incident(&mut self, index: usize) {
        let incident = self.record.incidents[index];
        self.open_incident(incident.service, IncidentCause::Itself, incident.until);
    }

    pub(crate) fn open_incident(&mut self, service: u32, cause: IncidentCause, until: SimTime) {
        self.book_waiting(service);
        self.note(LogKind::IncidentOpened, service, cause as u64);
        let incidents = &mut self.services[service as usize].incidents;
        let first = incidents.iter().all(|&open| open == 0);
        incidents[cause as usize] += 1;
        self.set_available(service);
        if first {
            self.series(service, Metric::IncidentOpen, 1.0);
        }
        self.queue
            .schedule(until.max(self.now), Event::Restored { service, cause });
    }

    pub(crate) fn restored(&mut self, service: u32, cause: IncidentCause) {
        self.book_waiting(service);
        self.note(LogKind::Restored, service, cause as u64);
        let incidents = &mut self.services[service as usize].incidents;
        assert!(incidents[cause as usize] > 0, "an incident ended twice");
        incidents[cause as usize] -= 1;
        let last = incidents.iter().all(|&open| open == 0);
        self.set_available(service);
        if last {
            self.series(service, Metric::IncidentOpen, 0.0);
        }
    }

    pub(crate) fn has_incident(&self, service: u32) -> bool {
        self.services[service as usize]
            .incidents
            .iter()
            .any(|&open| open > 0)
    }

    /// Tells a service's load what incidents leave of its replicas.
    fn set_available(&mut self, service: u32) {
        let state = &self.services[service as usize];
        let impaired = state.incidents[IncidentCause::Itself as usize] > 0;
        if let Some(load) = state.load {
            let loss = if impaired {
                self.options.capacity_loss
            } else {
                0.0
            };
            self.loads[load].available = 1.0 - loss;
        }
    }

    /// How many people wait changes now: what has passed is booked at the old number.
    fn book_waiting(&mut self, service: u32) {
        for cell in self.services[service as usize].cells.into_iter().flatten() {
            self.accrue(cell);
        }
    }

    /// A part of the runner pool goes away. Jobs that run there finish; no more
    /// start until the pool has shrunk.
    pub(crate) fn outage(&mut self, index: usize) {
        let outage = self.record.outages[index];
        self.set_runners(self.options.runners_in_outage(outage.share));
        self.queue
            .schedule(outage.until.max(self.now), Event::OutageOver);
    }

    pub(crate) fn outage_over(&mut self) {
        self.set_runners(self.options.runners);
    }

    /// Tells the telemetry when a freeze begins or ends, at most a sample a minute.
    pub(crate) fn gauge_freeze(&mut self) {
        let frozen = self
            .record
            .freezes
            .iter()
            .any(|freeze| freeze.covers(self.now));
        if frozen != self.frozen {
            self.frozen = frozen;
            let value = f64::from(u8::from(frozen));
            let at = crate::workloads::timestamp(self.now);
            self.tail
                .push(SeriesId::global(Metric::ReleaseFreeze), at, value);
        }
    }

    /// Incidents and outages that had begun before the accounted time.
    pub(crate) fn enter_circumstances(&mut self) {
        let record = std::sync::Arc::clone(&self.record);
        let begun = |at: SimTime, until: SimTime| at < record.start && until > record.start;
        for (index, incident) in record.incidents.iter().enumerate() {
            if begun(incident.at, incident.until) {
                self.incident(index);
            }
        }
        for (index, outage) in record.outages.iter().enumerate() {
            if begun(outage.at, outage.until) {
                self.outage(index);
            }
        }
    }
}

/// Gaps of the telemetry, by service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    by_service: Vec<Vec<Gap>>,
}

impl Gaps {
    pub fn of(record: &Exogenous) -> Self {
        if record.gaps.is_empty() {
            return Self::default();
        }
        let mut by_service = vec![Vec::new(); record.services.len()];
        for &gap in &record.gaps {
            by_service[gap.service as usize].push(gap);
        }
        Self { by_service }
    }

    /// Is the sample of a service lost at `at`?
    pub fn cover(&self, service: u32, at: SimTime) -> bool {
        let Some(gaps) = self.by_service.get(service as usize) else {
            return false;
        };
        let begun = gaps.partition_point(|gap| gap.at <= at);
        begun > 0 && at < gaps[begun - 1].until
    }
}
