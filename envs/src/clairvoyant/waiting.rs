//! What people who wait for a cell cost, as a clock that runs faster while more wait.
//!
//! The number of people follows working hours and open incidents. Incidents of the
//! record are known. Those that a deployment causes depend on what is deployed when:
//! where fewer people wait in an incident they are taken for open throughout, else for
//! never, so that no arm can pay less.
use prestage_controller::{CellSpec, Circumstances};
use prestage_des::SimTime;
use prestage_telemetry::Timestamp;
use prestage_world::Exogenous;

const HOUR: SimTime = SimTime::from_hours(1);

/// Dollars that one need has cost since the accounts began, if it waits all along.
pub(super) struct WaitingClock {
    /// Ascending; the rate is constant in between.
    edges: Vec<Edge>,
}

#[derive(Clone, Copy)]
struct Edge {
    at: SimTime,
    /// Dollars up to here.
    usd: f64,
    /// Dollars a minute from here on.
    rate: f64,
}

impl WaitingClock {
    /// For a cell, at the price of a person's minute.
    pub fn new(record: &Exogenous, cell: &CellSpec, person_minute: f64) -> Self {
        let mut incidents = record.incidents.iter().copied();
        let own: Vec<_> = incidents
            .by_ref()
            .filter(|incident| incident.service == cell.service.0)
            .collect();
        let calendar = record.calendar();
        let people = |at: SimTime| {
            let who = |incident| Circumstances {
                working: calendar.is_working(Timestamp(at.as_micros())),
                incident,
            };
            let open = own
                .iter()
                .any(|incident| incident.at <= at && at < incident.until);
            let inside = cell.people_waiting(who(true));
            if open {
                inside
            } else {
                inside.min(cell.people_waiting(who(false)))
            }
        };
        let mut times = vec![record.start];
        let mut hour = record.start.floor_to(HOUR) + HOUR;
        while hour < record.end {
            times.push(hour);
            hour += HOUR;
        }
        times.extend(
            own.iter()
                .flat_map(|incident| [incident.at, incident.until]),
        );
        times.extend(
            record
                .holidays
                .iter()
                .flat_map(|window| [window.from, window.until]),
        );
        times.retain(|&at| record.start <= at && at < record.end);
        times.sort_unstable();
        times.dedup();
        let mut edges: Vec<Edge> = Vec::with_capacity(times.len());
        for at in times {
            let usd = edges.last().map_or(0.0, |edge| edge.usd_at(at));
            let rate = people(at) * person_minute;
            edges.push(Edge { at, usd, rate });
        }
        Self { edges }
    }

    /// Dollars of one need that waits from `from` to `to`.
    pub fn between(&self, from: SimTime, to: SimTime) -> f64 {
        self.usd_at(to) - self.usd_at(from)
    }

    fn usd_at(&self, at: SimTime) -> f64 {
        let after = self.edges.partition_point(|edge| edge.at <= at);
        self.edges[after.saturating_sub(1)].usd_at(at)
    }
}

impl Edge {
    fn usd_at(&self, at: SimTime) -> f64 {
        self.usd + self.rate * (at - self.at).as_minutes_f64()
    }
}
