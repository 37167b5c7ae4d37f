//! A run stored in the middle, and two futures from there:
//! `cargo run --release -p prestage-des --example snapshot`.
//!
//! A pool of runners with outages and preemption is stored as JSON, restored, and both
//! go on: the example asserts that they meet the same events, and prints how large the
//! state is. Must not know which fields a snapshot has.

#[path = "../tests/it/ci.rs"]
mod ci;

use ci::{Ci, Shape};
use prestage_des::preemptive::Interrupted;

const SHAPE: Shape = Shape {
    runners: 32,
    gap_secs: [0.07, 0.12],
    work_secs: 1.0,
    outages: Some([30.0, 5.0]),
    interrupted: Interrupted::Restarts,
};

fn main() -> Result<(), serde_json::Error> {
    let mut ci = Ci::new(SHAPE, 7);
    for events in [100, 10_000, 100_000] {
        for _ in 0..events {
            ci.step();
        }
        let text = serde_json::to_string(&ci)?;
        let mut restored: Ci = serde_json::from_str(&text)?;
        let mut original = ci.clone();
        for event in 0..50_000 {
            let (expected, got) = (original.step(), restored.step());
            assert!(expected == got, "event {event}: {expected:?}, {got:?}");
        }
        assert_eq!(
            serde_json::to_string(&original)?,
            serde_json::to_string(&restored)?
        );
        restored.pool.check_conservation(restored.queue.now());
        println!(
            "{}: {} pending, {} in service, {} waiting: {} bytes of JSON, 50,000 events alike",
            ci.queue.now(),
            ci.queue.len(),
            ci.pool.busy(),
            ci.pool.queue_length(),
            text.len(),
        );
    }
    Ok(())
}
