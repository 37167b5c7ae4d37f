//! A decision cell: one service and one need type.
use prestage_forecast::Staffing;
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
    /// How many times as many wait while an incident of the service is open.
    pub people_incident_factor: f64,
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
    /// How many replicas a load requires (scaling).
    pub staffing: Staffing,
    /// Is a model whose forecasts have got worse retrained before it is due?
    pub retrain_on_drift: bool,
}

impl CellSpec {
    /// Does the cell exist at `now`?
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opens_at <= now && now < self.closes_at
    }

    /// People who wait for a blocked pipeline.
    pub fn people_waiting(&self, circumstances: Circumstances) -> f64 {
        let people = if circumstances.working {
            self.people_working
        } else {
            self.people_off
        };
        if circumstances.incident {
            people * self.people_incident_factor
        } else {
            people
        }
    }
}

/// What decides how many people wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Working hours?
    pub working: bool,
    /// Is an incident of the service open?
    pub incident: bool,
}

/// When people work, and when nothing is released. Both are known ahead.
///
/// Working hours are Monday to Friday, 8 to 18 o'clock UTC, but for days off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    days_off: Vec<(Timestamp, Timestamp)>,
    freezes: Vec<(Timestamp, Timestamp)>,
}

impl Calendar {
    /// From half-open windows, each list sorted by its beginnings.
    ///
    /// Panics when they are not: such a list is a bug of its maker.
    pub fn new(
        days_off: Vec<(Timestamp, Timestamp)>,
        freezes: Vec<(Timestamp, Timestamp)>,
    ) -> Self {
        assert!(days_off.is_sorted(), "days off are out of order");
        assert!(freezes.is_sorted(), "freezes are out of order");
        Self { days_off, freezes }
    }

    /// Is `at` inside working hours?
    pub fn is_working(&self, at: Timestamp) -> bool {
        at.day_of_week() < 5 && (8..18).contains(&at.hour_of_day()) && !covers(&self.days_off, at)
    }

    /// Are releases frozen at `at`?
    pub fn is_frozen(&self, at: Timestamp) -> bool {
        covers(&self.freezes, at)
    }

    /// Hours until the next freeze begins; 0 inside one, `None` when none follows.
    pub fn hours_to_freeze(&self, at: Timestamp) -> Option<f64> {
        hours_to(&self.freezes, at)
    }

    /// Hours until the next day off begins; 0 on one, `None` when none follows.
    pub fn hours_to_day_off(&self, at: Timestamp) -> Option<f64> {
        hours_to(&self.days_off, at)
    }
}

fn covers(windows: &[(Timestamp, Timestamp)], at: Timestamp) -> bool {
    windows
        .iter()
        .any(|&(from, until)| from <= at && at < until)
}

fn hours_to(windows: &[(Timestamp, Timestamp)], at: Timestamp) -> Option<f64> {
    if covers(windows, at) {
        return Some(0.0);
    }
    let next = windows.iter().find(|&&(from, _)| from > at)?;
    Some((next.0.0 - at.0) as f64 / 3.6e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2024-01-05 was a Friday.
    const FRIDAY: Timestamp = Timestamp::from_seconds(1_704_412_800);

    #[test]
    fn working_hours_end_on_friday_evening() {
        let calendar = Calendar::default();
        assert!(calendar.is_working(FRIDAY + Span::from_hours(17)));
        assert!(!calendar.is_working(FRIDAY + Span::from_hours(18)));
        assert!(!calendar.is_working(FRIDAY + Span::from_hours(24 + 12)));
        assert!(!calendar.is_working(FRIDAY + Span::from_hours(7)));
    }

    #[test]
    fn days_off_and_freezes_are_half_open() {
        let off = (FRIDAY, FRIDAY + Span::from_hours(24));
        let frozen = (FRIDAY + Span::from_hours(48), FRIDAY + Span::from_hours(72));
        let calendar = Calendar::new(vec![off], vec![frozen]);
        assert!(!calendar.is_working(FRIDAY + Span::from_hours(12)));
        assert!(calendar.is_working(FRIDAY + Span::from_hours(72 + 12)));
        assert_eq!(calendar.hours_to_freeze(FRIDAY), Some(48.0));
        assert_eq!(calendar.hours_to_freeze(frozen.0), Some(0.0));
        assert!(!calendar.is_frozen(frozen.1));
        assert_eq!(calendar.hours_to_freeze(frozen.1), None);
        assert_eq!(
            calendar.hours_to_day_off(FRIDAY - Span::from_hours(6)),
            Some(6.0)
        );
    }
}
