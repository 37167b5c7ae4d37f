//! A world saved in the middle of a run and restored goes on bit for bit.
use std::sync::Arc;

use prestage_des::SimTime;
use prestage_world::{Exogenous, LogKind, Snapshot, World};
use proptest::prelude::*;

use crate::driver::{check_same_log, drive, eventful, opened, scenario};

fn bytes(world: &World) -> Vec<u8> {
    postcard::to_stdvec(&world.snapshot()).unwrap()
}

fn restored(bytes: &[u8], record: &Arc<Exogenous>) -> World {
    let snapshot: Snapshot = postcard::from_bytes(bytes).unwrap();
    snapshot.restore(Arc::clone(record)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_restored_world_goes_on_as_the_saved_one(
        seed in 0_u64..1000,
        // Any microsecond of the four days: between sweeps, in the middle of jobs.
        after in 0_i64..4 * 86_400_000_000,
    ) {
        let mut world = opened(&eventful(), seed);
        let start = world.now();
        let end = start + SimTime::from_days(4);
        drive(&mut world, seed, start + SimTime::from_micros(after));
        let saved = bytes(&world);
        let mut again = restored(&saved, world.record());
        prop_assert_eq!(bytes(&again), saved, "restoring changes the state");
        drive(&mut world, seed, end);
        drive(&mut again, seed, end);
        world.close();
        again.close();
        check_same_log(world.log().records(), again.log().records());
        prop_assert_eq!(bytes(&world), bytes(&again), "equal logs, unequal states");
    }
}

#[test]
fn the_eventful_world_has_every_kind_of_event() {
    let mut seen = Vec::new();
    for seed in 0..6 {
        let mut world = opened(&eventful(), seed);
        let end = world.now() + SimTime::from_days(4);
        drive(&mut world, seed, end);
        seen.extend(world.log().records().iter().map(|record| record.kind));
    }
    for kind in [
        LogKind::Hit,
        LogKind::Miss,
        LogKind::Expired,
        LogKind::Withdrawn,
        LogKind::Refreshed,
        LogKind::Retrained,
        LogKind::Deployed,
        LogKind::ChangeFailed,
        LogKind::IncidentOpened,
        LogKind::Restored,
        LogKind::PoolResized,
        LogKind::BuildFailed,
        LogKind::Preempted,
    ] {
        assert!(seen.contains(&kind), "{kind:?} never happened");
    }
}

#[test]
fn a_snapshot_is_refused_on_another_record() {
    let world = opened(&eventful(), 1);
    let snapshot = world.snapshot();
    let other = Arc::new(Exogenous::generate(&eventful(), 2));
    let error = snapshot.restore(other).expect_err("another seed");
    assert!(error.to_string().contains("another one"), "{error}");
    let smaller = Arc::new(Exogenous::generate(&scenario("days = 1"), 1));
    assert!(world.snapshot().restore(smaller).is_err());
}
