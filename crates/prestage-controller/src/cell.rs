//! A decision cell: one service and one need type.
use prestage_lpt::NeedType;
use prestage_telemetry::{ServiceId, Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Index of a cell in its controller and its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellId(pub u32);

impl CellId {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How dear a service's failures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Customers notice at once.
    One,
    /// Customers notice.
    Two,
    /// Colleagues notice.
    Three,
}

impl Tier {
    /// Position in a price list.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Position of a need type in [`NeedType::ALL`].
pub fn need_index(need: NeedType) -> usize {
    NeedType::ALL
        .iter()
        .position(|&each| each == need)
        .expect("ALL holds every need type")
}

/// What is known of a cell before anything happens.
#[derive(Clone, Debug, PartialEq)]
pub struct CellSpec {
    /// Its index.
    pub id: CellId,
    /// The service.
    pub service: ServiceId,
    /// Name of the service, for templates, logs and reports.
    pub service_name: String,
    /// The need type.
    pub need: NeedType,
    /// Price class.
    pub tier: Tier,
    /// People who wait for a blocked pipeline in working hours.
    pub people_working: f64,
    /// People who wait outside them.
    pub people_off: f64,
    /// Rated load of one replica, in the unit of the traffic series (scaling).
    pub rated_load_per_replica: f64,
    /// Longest time a shard may take, seconds (test suites).
    pub suite_budget_s: f64,
    /// The cell exists from here ...
    pub opens_at: Timestamp,
    /// ... to here.
    pub closes_at: Timestamp,
    /// Lead time assumed until some have been measured.
    pub lead_prior: Span,
    /// Runner minutes of one synthesis, assumed until measured.
    pub runner_minutes_prior: f64,
}

impl CellSpec {
    /// Does the cell exist at `now`?
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opens_at <= now && now < self.closes_at
    }

    /// People who wait for a pipeline blocked at `now`.
    pub fn people_waiting(&self, now: Timestamp) -> f64 {
        if Calendar::is_working(now) {
            self.people_working
        } else {
            self.people_off
        }
    }
}

/// When people work: Monday to Friday, 8 to 18 o'clock UTC.
#[derive(Clone, Copy, Debug)]
pub struct Calendar;

impl Calendar {
    /// Is `at` inside working hours?
    pub fn is_working(at: Timestamp) -> bool {
        at.day_of_week() < 5 && (8..18).contains(&at.hour_of_day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_hours_end_on_friday_evening() {
        // 2024-01-05 was a Friday.
        let friday = Timestamp::from_seconds(1_704_412_800);
        assert!(Calendar::is_working(friday + Span::from_hours(17)));
        assert!(!Calendar::is_working(friday + Span::from_hours(18)));
        assert!(!Calendar::is_working(friday + Span::from_hours(24 + 12)));
        assert!(!Calendar::is_working(friday + Span::from_hours(7)));
    }
}
