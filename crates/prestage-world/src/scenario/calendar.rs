//! `[calendar]`: days on which the organisation does not work as usual.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Days off and release freezes. Day 0 is the first day of the episode; days of
/// the forecasters' history are negative.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalendarSpec {
    /// Days on which nobody works.
    pub holidays: Vec<HolidaySpec>,
    /// Days on which nothing is released or updated but fixes of advisories;
    /// what was due leaves in the first days after the thaw.
    pub freezes: Vec<FreezeSpec>,
}

/// Days on which nobody works.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolidaySpec {
    /// First day.
    pub day: i32,
    /// How many.
    pub days: u32,
    /// Load over the load of the same day of an ordinary week.
    #[serde(default = "one")]
    pub traffic_factor: f64,
    /// Load in the two days after over the usual: people come back.
    #[serde(default = "one")]
    pub return_factor: f64,
}

/// Days without releases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeSpec {
    /// First day.
    pub day: i32,
    /// How many.
    pub days: u32,
}

fn one() -> f64 {
    1.0
}

impl CalendarSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("holidays (length)", self.holidays.len() as f64, 0.0, 1000.0);
        ranges.number("freezes (length)", self.freezes.len() as f64, 0.0, 1000.0);
        for holiday in &self.holidays {
            ranges.number("holidays.day", f64::from(holiday.day), -366.0, 3660.0);
            ranges.count("holidays.days", holiday.days, 1, 366);
            ranges.number(
                "holidays.traffic_factor",
                holiday.traffic_factor,
                0.01,
                20.0,
            );
            ranges.number("holidays.return_factor", holiday.return_factor, 0.01, 20.0);
        }
        for freeze in &self.freezes {
            ranges.number("freezes.day", f64::from(freeze.day), -366.0, 3660.0);
            ranges.count("freezes.days", freeze.days, 1, 366);
        }
    }
}
