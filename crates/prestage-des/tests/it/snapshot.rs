//! A run stored in the middle and resumed goes on as if nothing had happened.
//!
//! Must not know which fields a snapshot has.

use std::fmt::Debug;

use prestage_des::preemptive::Interrupted;
use prestage_des::{SimTime, Stream, Streams};
use proptest::prelude::*;
use rand::Rng;

use crate::ci::{self, Ci};
use crate::mmc::{Event, Mmc};
use crate::shape::Shape;

const SHAPE: Shape = Shape {
    servers: 3,
    utilization: 0.85,
};

fn log(model: &mut Mmc, events: usize) -> Vec<(SimTime, Event)> {
    (0..events).map(|_| model.step()).collect()
}

#[track_caller]
fn check_same<E: PartialEq + Debug>(left: &[(SimTime, E)], right: &[(SimTime, E)]) {
    let differing = left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right);
    if let Some(index) = differing {
        panic!(
            "event {index} differs: {:?} and {:?}",
            left[index], right[index]
        );
    }
    assert_eq!(left.len(), right.len());
}

#[test]
fn two_runs_of_one_seed_are_identical() {
    let whole = |seed| log(&mut Mmc::new(SHAPE, seed), 20_000);
    check_same(&whole(1), &whole(1));
    assert_ne!(whole(1), whole(2));
}

#[test]
fn a_restored_run_continues_with_the_same_events() {
    // Odd lengths, so that streams are stored at every offset of their buffers.
    for events in [0, 1, 7, 64, 999, 1_000, 1_001, 5_003] {
        let mut model = Mmc::new(SHAPE, 11);
        log(&mut model, events);
        let text = serde_json::to_string(&model).unwrap();
        let mut restored: Mmc = serde_json::from_str(&text).unwrap();

        check_same(&log(&mut model, 5_000), &log(&mut restored, 5_000));
        assert_eq!(
            serde_json::to_string(&model).unwrap(),
            serde_json::to_string(&restored).unwrap(),
            "the state differs after event {events}, although the log does not"
        );
        restored.servers.check_littles_law(restored.queue.now());
    }
}

#[test]
fn a_stream_restores_at_every_position_of_its_buffer() {
    let mut stream = Streams::new(5).open("gaps", 1);
    for words in 0..200 {
        let text = serde_json::to_string(&stream).unwrap();
        let mut restored: Stream = serde_json::from_str(&text).unwrap();
        assert_eq!(
            stream.clone().next_u64(),
            restored.next_u64(),
            "after {words} words"
        );
        stream.next_u32();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Preemption, outages and cancelled ends, stored at a random moment.
    #[test]
    fn a_pool_restores_at_any_moment(
        seed in any::<u64>(),
        events in 0_usize..6_000,
        restarts in any::<bool>(),
    ) {
        let interrupted = if restarts { Interrupted::Restarts } else { Interrupted::Resumes };
        let shape = ci::Shape {
            runners: 4,
            gap_secs: [0.5, 0.6],
            work_secs: 1.0,
            outages: Some([30.0, 5.0]),
            interrupted,
        };
        let mut ci = Ci::new(shape, seed);
        let log = |ci: &mut Ci, events| -> Vec<(SimTime, ci::Event)> {
            (0..events).map(|_| ci.step()).collect()
        };
        log(&mut ci, events);
        let text = serde_json::to_string(&ci).unwrap();
        let mut restored: Ci = serde_json::from_str(&text).unwrap();
        check_same(&log(&mut ci, 3_000), &log(&mut restored, 3_000));
        prop_assert_eq!(
            serde_json::to_string(&ci).unwrap(),
            serde_json::to_string(&restored).unwrap()
        );
        restored.pool.check_conservation(restored.queue.now());
    }
}
