//! The hold model: each event schedules itself again after an exponential delay.
//!
//! The check is the rate of events per pending event while the set is held, in events
//! a second; the increments have mean 1 s, so it is 1 but for the start. Without
//! re-insertions it is 0.

use prestage_des::{EventQueue, SimTime, Streams};

use crate::Outcome;

/// Fills with `pending` events, re-inserts `holds` times, drains.
pub fn run(pending: u64, holds: u64, seed: u64) -> Outcome {
    let mut increments = Streams::new(seed).open("increments", 0);
    let mut increment = || SimTime::from_secs_f64(increments.exponential(1.0));
    let mut queue = EventQueue::new();
    for entity in 0..pending as u32 {
        queue.schedule(increment(), entity);
    }
    let mut events = 0;
    let mut held_until = SimTime::ZERO;
    while let Some((now, entity)) = queue.pop() {
        events += 1;
        if events <= holds {
            queue.schedule(now + increment(), entity);
            held_until = now;
        }
    }
    let held_secs = held_until.as_secs_f64();
    let check = if holds == 0 {
        0.0
    } else {
        holds as f64 / pending as f64 / held_secs
    };
    Outcome { events, check }
}
