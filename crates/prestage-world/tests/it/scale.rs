//! What a service meets does not depend on how many others there are.
use prestage_des::SimTime;

use crate::driver::{drive, opened, scenario};

/// Mean minutes that a need of an organisation of `services` services waits.
fn wait_minutes(services: u32) -> f64 {
    let scenario = scenario(&format!(
        "days = 7\nhistory_days = 2\n[services]\ncount = {services}\n\
         [runners]\ncount = {services}\n[operation]\nreview_backlog_factor = 2.0\n",
    ));
    let mut world = opened(&scenario, 3);
    let start = world.now();
    drive(&mut world, 3, start + SimTime::from_days(7));
    world.close();
    let tallies = world.record().cells.iter().map(|cell| world.tally(cell.id));
    let (misses, minutes) = tallies.fold((0, 0.0), |(misses, minutes), tally| {
        (misses + tally.misses, minutes + tally.usage.blocked_minutes)
    });
    assert!(misses > 10 * u64::from(services), "{misses} misses");
    minutes / misses as f64
}

#[test]
fn reviewers_grow_with_the_organisation() {
    let (small, large) = (wait_minutes(8), wait_minutes(64));
    let ratio = large / small;
    assert!(
        (0.7..1.4).contains(&ratio),
        "a need waits {small} minutes among 8 services and {large} among 64"
    );
}
