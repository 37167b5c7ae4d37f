//! What a load requires of its scaling cell, minute by minute, whatever is staged.
//!
//! While failed requests are not repeated the load is exogenous, and so is what the
//! autoscaler's rule makes of it: both ends of a range agree. With repeated requests
//! the load of a minute depends on the replicas of the minutes before; the range
//! then reaches from "none failed" to "the fewest replicas that can have run".
use prestage_controller::CellSpec;
use prestage_des::SimTime;

use crate::exogenous::{Demand, Exogenous, Incident};
use crate::load::{LoadState, kept_replicas};
use crate::workloads::timestamp;
use crate::world::{MINUTE, WorldOptions};

/// A number that is known only to lie in a range, its ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// The lower end.
    pub least: u32,
    /// The upper end.
    pub most: u32,
}

/// A minute in which the load of an open scaling cell is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Replicas that the load of the last minutes requires.
    pub required: Between,
    /// The largest of these over the stabilisation window.
    pub peak: Between,
}

/// The whole course of an open scaling cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadCourse {
    /// Replicas that run when the cell opens.
    pub capacity: u32,
    /// Its minutes; those of unknown load are left out, as nothing happens in them.
    pub minutes: Vec<Requirement>,
}

/// The course of a scaling cell, `None` for a service without a load.
pub fn load_course(
    record: &Exogenous,
    options: &WorldOptions,
    cell: &CellSpec,
) -> Option<LoadCourse> {
    let mut demands = record.demands.iter();
    let demand = demands.rfind(|demand| demand.service == cell.service.0)?;
    let before = first_open_minute(record, cell);
    let mut course = Course::new(options, demand, cell);
    let mut at = record.history_start;
    while at < record.start {
        course.closed_minute(at);
        at += MINUTE;
    }
    let incidents = incidents_of(record, cell);
    at = record.start.floor_to(MINUTE) + MINUTE;
    while at < before {
        course.available(&incidents, at);
        course.closed_minute(at);
        at += MINUTE;
    }
    Some(course.open(&incidents, at, record.end))
}

fn first_open_minute(record: &Exogenous, cell: &CellSpec) -> SimTime {
    let opens = SimTime::from_micros(cell.opens_at.0).max(record.start);
    let minute = opens.floor_to(MINUTE);
    if minute < opens {
        minute + MINUTE
    } else {
        minute
    }
}

/// Only those of the record take replicas away.
fn incidents_of(record: &Exogenous, cell: &CellSpec) -> Vec<Incident> {
    let all = record.incidents.iter().copied();
    all.filter(|incident| incident.service == cell.service.0)
        .collect()
}

struct Course<'a> {
    options: &'a WorldOptions,
    demand: &'a Demand,
    cell: &'a CellSpec,
    state: LoadState,
}

impl<'a> Course<'a> {
    fn new(options: &'a WorldOptions, demand: &'a Demand, cell: &'a CellSpec) -> Self {
        let state = LoadState::new(demand, Some(cell), options.operation.min_replicas);
        Self {
            options,
            demand,
            cell,
            state,
        }
    }

    fn available(&mut self, incidents: &[Incident], at: SimTime) {
        let open = |incident: &Incident| incident.at <= at && at < incident.until;
        let loss = if incidents.iter().any(open) {
            self.options.capacity_loss
        } else {
            0.0
        };
        self.state.available = 1.0 - loss;
    }

    /// A minute in which somebody else scales, exactly.
    fn closed_minute(&mut self, at: SimTime) {
        let retries = self.options.retry_probability;
        if let Some(value) = self.state.demanded(self.demand, at) {
            self.minute(at, value, retries);
            self.state.capacity = self.state.peak_required();
        }
    }

    fn minute(&mut self, at: SimTime, value: f64, retry_probability: f64) {
        self.state.offer(value, retry_probability);
        let stabilization = i64::from(self.options.operation.stabilization_minutes);
        self.state
            .require(at.as_micros() / MINUTE.as_micros(), stabilization);
    }

    fn open(mut self, incidents: &[Incident], mut at: SimTime, end: SimTime) -> LoadCourse {
        let capacity = self.state.capacity;
        let retries = self.options.retry_probability;
        let mut most = Course {
            state: self.state.clone(),
            ..self
        };
        self.state.forget_failures();
        let mut minutes = Vec::new();
        let mut floor = capacity;
        while at < end && self.cell.is_open(timestamp(at)) {
            self.available(incidents, at);
            if let Some(value) = self.state.demanded(self.demand, at) {
                self.minute(at, value, 0.0);
                if retries > 0.0 {
                    most.state.available = self.state.available;
                    most.state.capacity = floor;
                    most.minute(at, value, retries);
                }
                let highest = if retries > 0.0 { &most } else { &self };
                let minute = Requirement {
                    required: Between {
                        least: self.state.required,
                        most: highest.state.required,
                    },
                    peak: Between {
                        least: self.state.peak_required(),
                        most: highest.state.peak_required(),
                    },
                };
                floor = floor.min(kept_replicas(
                    minute.peak.least,
                    self.options.operation.scale_out_share,
                ));
                minutes.push(minute);
            }
            at += MINUTE;
        }
        LoadCourse { capacity, minutes }
    }
}
