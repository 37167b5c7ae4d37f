//! Days off and release freezes: taken from the scenario, known to everybody.
use prestage_des::{SimTime, Streams};

use super::Workload;
use crate::exogenous::{Exogenous, Window};
use crate::scenario::ScenarioSpec;

pub(super) const ENTRY: Workload = Workload {
    name: "calendar",
    about: "days off and release freezes, as the scenario lists them",
    generate,
};

fn generate(spec: &ScenarioSpec, _streams: &Streams, record: &mut Exogenous) {
    let window = |day: i32, days: u32| {
        let from = record.start + SimTime::from_days(i64::from(day));
        Window {
            from,
            until: from + SimTime::from_days(i64::from(days)),
        }
    };
    let calendar = &spec.calendar;
    let mut holidays: Vec<Window> = calendar
        .holidays
        .iter()
        .map(|holiday| window(holiday.day, holiday.days))
        .collect();
    let mut freezes: Vec<Window> = calendar
        .freezes
        .iter()
        .map(|freeze| window(freeze.day, freeze.days))
        .collect();
    holidays.sort_unstable();
    freezes.sort_unstable();
    record.holidays = holidays;
    record.freezes = freezes;
}
