//! The store as a whole: outcomes of odd samples, seals, compaction, retention, damage.
use std::collections::BTreeMap;
use std::fs;

use prestage_telemetry::{Span, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{Aggregation, Query, Tier};

const DAY: i64 = 86_400;

fn small() -> StoreOptions {
    StoreOptions {
        retention: Retention {
            raw_days: 2,
            five_minutes_days: 4,
            hour_days: Some(8),
        },
        ..StoreOptions::default()
    }
}

fn new_store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(&folder.path().join("s"), &small()).unwrap();
    (folder, store)
}

/// Appends samples of one series: (seconds, value).
fn push(store: &mut Store, service: &str, samples: &[(i64, f64)]) -> Outcome {
    let series = store.series("cpu", service).unwrap();
    let mut batch = Batch::new();
    for &(seconds, value) in samples {
        batch.push(series, Timestamp::from_seconds(seconds), value);
    }
    store.append(&batch).unwrap()
}

/// Every sample of a metric and service, by asking for buckets of a second.
fn samples(store: &Store, service: &str) -> Vec<(i64, f64)> {
    let query = Query {
        services: vec![service.to_owned()],
        every: Some(Span::from_seconds(1)),
        aggregations: vec![Aggregation::Sum, Aggregation::Count],
        ..Query::new("cpu")
    };
    let rollup = store.snapshot().query(&query).unwrap();
    assert!(
        rollup.columns[1].iter().all(|&count| count == 1.0),
        "a duplicate"
    );
    let seconds = rollup.times.iter().map(|time| time.seconds());
    seconds.zip(rollup.columns[0].iter().copied()).collect()
}

#[test]
fn what_cannot_be_stored_is_counted_with_its_reason() {
    let (_folder, mut store) = new_store();
    let outcome = push(
        &mut store,
        "web",
        &[
            (60, f64::NAN),
            (120, f64::INFINITY),
            (180, 1.0),
            (-5, 1.0),
            (i64::MAX / 2_000_000, 1.0),
        ],
    );
    assert_eq!(outcome.accepted, 1);
    let first = &outcome.rejected[&Reason::NotFinite];
    assert_eq!(first.count, 2);
    assert_eq!(
        first.first,
        "cpu{service=\"web\"} = NaN at 1970-01-01T00:01:00Z"
    );
    assert_eq!(outcome.rejected[&Reason::TimeOutOfRange].count, 2);
    let counter = store.series("commits_total", "web").unwrap();
    let mut batch = Batch::new();
    batch.push(counter, Timestamp(0), -1.0);
    let outcome = store.append(&batch).unwrap();
    assert_eq!(outcome.rejected[&Reason::NegativeCounter].count, 1);
    assert_eq!(samples(&store, "web"), [(180, 1.0)]);
}

#[test]
fn a_clock_that_goes_back_is_sorted_in_and_the_last_write_wins() {
    let (folder, mut store) = new_store();
    let outcome = push(
        &mut store,
        "web",
        &[(60, 1.0), (180, 3.0), (120, 2.0), (60, 9.0)],
    );
    assert_eq!(outcome.out_of_order, 2);
    let expected = [(60, 9.0), (120, 2.0), (180, 3.0)];
    assert_eq!(samples(&store, "web"), expected);
    let counts = store.seal().unwrap();
    assert_eq!((counts.rows, counts.duplicates, counts.written), (3, 1, 1));
    assert_eq!(samples(&store, "web"), expected);
    // Late, into a sealed day: queries see the newer value before and after it is sealed.
    push(&mut store, "web", &[(120, 7.0), (90, 5.0)]);
    let expected = [(60, 9.0), (90, 5.0), (120, 7.0), (180, 3.0)];
    assert_eq!(samples(&store, "web"), expected);
    let counts = store.seal().unwrap();
    assert_eq!(
        (counts.duplicates, counts.removed, store.parts().len()),
        (1, 1, 1)
    );
    assert_eq!(samples(&store, "web"), expected);
    drop(store);
    let store = Store::open(&folder.path().join("s")).unwrap();
    assert_eq!(samples(&store, "web"), expected);
}

#[test]
fn parts_that_do_not_overlap_stay_apart_until_compaction() {
    let (_folder, mut store) = new_store();
    for hour in 0..5 {
        push(&mut store, "web", &[(hour * 3600, hour as f64)]);
        push(&mut store, "api", &[(hour * 3600 + 60, hour as f64)]);
        store.seal().unwrap();
    }
    assert_eq!(store.parts().len(), 5);
    let before = (samples(&store, "web"), samples(&store, "api"));
    let counts = store.compact().unwrap();
    assert_eq!(
        (
            counts.written,
            counts.removed,
            counts.rows,
            counts.duplicates
        ),
        (1, 5, 10, 0)
    );
    assert_eq!(store.parts().len(), 1);
    assert_eq!((samples(&store, "web"), samples(&store, "api")), before);
    assert_eq!(store.compact().unwrap(), Counts::default());
}

#[test]
fn retention_moves_days_down_the_tiers_and_refuses_what_comes_too_late() {
    let (_folder, mut store) = new_store();
    let every_minute: Vec<(i64, f64)> = (0..10 * 1440)
        .map(|minute| (minute * 60, (minute % 1440) as f64))
        .collect();
    push(&mut store, "web", &every_minute);
    store.retain(Timestamp::from_seconds(10 * DAY)).unwrap();
    let tiers = |store: &Store| {
        let mut tiers: BTreeMap<Tier, Vec<i64>> = BTreeMap::new();
        for part in store.parts() {
            tiers.entry(part.tier).or_default().push(part.day);
        }
        tiers
    };
    let expected = BTreeMap::from([
        (Tier::Raw, vec![8, 9]),
        (Tier::FiveMinutes, vec![6, 7]),
        (Tier::Hour, vec![2, 3, 4, 5]),
    ]);
    assert_eq!(tiers(&store), expected);
    // The clock goes back: nothing comes back, nothing is refused that was not refused before.
    store.retain(Timestamp::from_seconds(3 * DAY)).unwrap();
    assert_eq!(tiers(&store), expected);
    let outcome = push(&mut store, "web", &[(7 * DAY, 1.0), (8 * DAY, 1.0)]);
    assert_eq!(outcome.rejected[&Reason::TooLate].count, 1);
    // Means and extremes are what the samples had; percentiles are within the sketch's bound.
    let query = Query {
        every: Some(Span::from_hours(1)),
        aggregations: ["count", "mean", "min", "max", "p95", "rate"]
            .map(|name| name.parse().unwrap())
            .to_vec(),
        to: Timestamp::from_seconds(8 * DAY),
        ..Query::new("cpu")
    };
    let rollup = store.snapshot().query(&query).unwrap();
    assert!(rollup.is_approximate);
    assert_eq!(rollup.len(), 6 * 24);
    for row in rollup.rows() {
        let start = (row.time.seconds() % DAY / 60) as f64;
        assert_eq!(row.values[..4], [60.0, start + 29.5, start, start + 59.0]);
        let exact = start + 56.05;
        assert!(
            (row.values[4] - exact).abs() <= 0.01 * exact + 1.0,
            "{row:?}"
        );
        // A minute's step is 1; at midnight the counter starts again from zero.
        let first_of_day = start == 0.0;
        let increase = if first_of_day { 59.0 } else { 60.0 };
        assert!((row.values[5] * 3600.0 - increase).abs() < 1e-9, "{row:?}");
    }
    let finer = Query {
        every: Some(Span::from_minutes(1)),
        ..query
    };
    let message = store.snapshot().query(&finer).unwrap_err().to_string();
    assert!(
        message.starts_with("of `cpu` only rows of 1h are kept on 1970-01-03"),
        "{message}"
    );
}

#[test]
fn a_series_too_many_is_an_error_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        max_series: 2,
        ..small()
    };
    let mut store = Store::open_or_create(folder.path(), &options).unwrap();
    push(&mut store, "a", &[(0, 1.0)]);
    push(&mut store, "b", &[(0, 1.0)]);
    let error = store.series("cpu", "c").unwrap_err();
    assert!(matches!(
        error,
        Error::Cardinality {
            count: 3,
            limit: 2,
            ..
        }
    ));
    assert!(!error.is_environment());
    push(&mut store, "a", &[(60, 1.0)]);
    assert_eq!(samples(&store, "a").len(), 2);
}

#[test]
fn one_writer_at_a_time_and_only_in_its_own_directory() {
    let (folder, store) = new_store();
    assert!(matches!(
        Store::open(&folder.path().join("s")),
        Err(Error::Locked { .. })
    ));
    drop(store);
    assert!(Store::open(&folder.path().join("s")).is_ok());
    assert!(matches!(
        Store::open(&folder.path().join("t")),
        Err(Error::NotAStore { .. })
    ));
    let occupied = Store::open_or_create(folder.path(), &small());
    assert!(matches!(occupied, Err(Error::Occupied { .. })));
}

#[test]
fn a_full_tail_seals_itself() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        tail_rows_max: 10,
        ..small()
    };
    let mut store = Store::open_or_create(folder.path(), &options).unwrap();
    for minute in 0..25 {
        push(&mut store, "web", &[(minute * 60, 1.0)]);
    }
    assert_eq!((store.tail_rows(), store.parts().len()), (5, 2));
    assert_eq!(samples(&store, "web").len(), 25);
}

#[test]
fn damage_is_named_quarantined_and_the_rest_answers() {
    let (folder, mut store) = new_store();
    for day in 0..3 {
        push(&mut store, "web", &[(day * DAY, day as f64)]);
    }
    store.seal().unwrap();
    let root = folder.path().join("s");
    let parts = store.parts().to_vec();
    let truncated = parts[0].path(&root);
    let bytes = fs::read(&truncated).unwrap();
    fs::write(&truncated, &bytes[..bytes.len() / 2]).unwrap();
    let flipped = parts[1].path(&root);
    let mut bytes = fs::read(&flipped).unwrap();
    bytes[20] ^= 16;
    fs::write(&flipped, &bytes).unwrap();
    let query = Query {
        every: Some(Span::from_seconds(60)),
        ..Query::new("cpu")
    };
    let rollup = store.snapshot().query(&query).unwrap();
    let damaged: Vec<&str> = rollup
        .damaged
        .iter()
        .map(|part| part.file.as_str())
        .collect();
    assert!(damaged.contains(&parts[0].file.as_str()), "{damaged:?}");
    assert_eq!(rollup.columns[0].last(), Some(&2.0));
    let report = store.check().unwrap();
    assert_eq!((report.sound, report.damaged.len()), (1, 2));
    assert_eq!(samples(&store, "web"), [(2 * DAY, 2.0)]);
    assert_eq!(fs::read_dir(root.join(QUARANTINE)).unwrap().count(), 2);
    assert!(!truncated.exists());
    // The same day can be written again.
    push(&mut store, "web", &[(0, 5.0)]);
    store.seal().unwrap();
    assert_eq!(samples(&store, "web"), [(0, 5.0), (2 * DAY, 2.0)]);
    drop(store);
    let mut store = Store::open(&root).unwrap();
    assert_eq!(store.check().unwrap().quarantined_before, 2);
}

#[test]
fn a_damaged_part_does_not_stop_compaction() {
    let (folder, mut store) = new_store();
    for hour in 0..3 {
        push(&mut store, "web", &[(hour * 3600, hour as f64)]);
        store.seal().unwrap();
    }
    let path = store.parts()[1].path(&folder.path().join("s"));
    fs::write(&path, b"PAR1").unwrap();
    store.compact().unwrap();
    assert_eq!(samples(&store, "web"), [(0, 0.0), (7200, 2.0)]);
    assert_eq!(store.check().unwrap().quarantined_before, 1);
}

#[test]
fn a_damaged_log_frame_is_reported_and_the_others_are_read() {
    let (folder, mut store) = new_store();
    for minute in 0..3 {
        push(&mut store, "web", &[(minute * 60, 1.0)]);
    }
    store.sync().unwrap();
    let root = folder.path().join("s");
    drop(store);
    let log = wal::path(&root, 1);
    let mut bytes = fs::read(&log).unwrap();
    let place = bytes.len() - 40;
    bytes[place] ^= 1;
    fs::write(&log, bytes).unwrap();
    let store = Store::open(&root).unwrap();
    assert_eq!(store.recovered().damaged_frames, 1);
    assert_eq!(samples(&store, "web").len(), 2);
    assert!(root.join(QUARANTINE).join("000001.log").exists());
}

fn lose_manifest(root: &Path) {
    let path = root.join("manifest.json");
    let mut bytes = fs::read(&path).unwrap();
    bytes.pop();
    fs::write(&path, bytes).unwrap();
}

/// Every tier, as a query by the hour sees it.
fn by_hour(store: &Store) -> crate::Rollup {
    let query = Query {
        every: Some(Span::from_hours(1)),
        aggregations: vec![Aggregation::Count, Aggregation::Sum, Aggregation::Max],
        by_service: true,
        ..Query::new("cpu")
    };
    store.snapshot().query(&query).unwrap()
}

#[test]
fn a_lost_manifest_is_rebuilt_with_tiers_and_floors() {
    let (folder, mut store) = new_store();
    let root = folder.path().join("s");
    for day in 0..8 {
        for minute in 0..90 {
            push(
                &mut store,
                "web",
                &[(day * DAY + minute * 60, minute as f64)],
            );
        }
        store.seal().unwrap();
    }
    store.retain(Timestamp::from_seconds(7 * DAY)).unwrap();
    push(&mut store, "api", &[(8 * DAY, 1.0)]);
    store.sync().unwrap();
    let (parts, before) = (store.parts().to_vec(), by_hour(&store));
    drop(store);
    let sound = Store::rebuild(&root).unwrap_err().to_string();
    assert!(sound.contains("is sound"), "{sound}");
    lose_manifest(&root);
    let lost = Snapshot::open(&root).map(|_| ()).unwrap_err();
    assert!(lost.is_environment() && lost.to_string().contains("`prestage store rebuild`"));
    let rebuilt = Store::rebuild(&root).unwrap();
    assert_eq!((rebuilt.parts, rebuilt.superseded), (parts.len() as u64, 0));
    let mut store = Store::open(&root).unwrap();
    assert_eq!(store.parts(), parts);
    assert_eq!(by_hour(&store), before);
    let late = push(&mut store, "web", &[(4 * DAY, 1.0)]);
    assert_eq!(late.rejected[&Reason::TooLate].count, 1);
}

#[test]
fn rebuilding_names_a_partition_whose_rows_changed() {
    let (folder, mut store) = new_store();
    let root = folder.path().join("s");
    for day in 0..2 {
        push(
            &mut store,
            "web",
            &[(day * DAY, 1.0), (day * DAY + 60, 2.0)],
        );
    }
    store.seal().unwrap();
    let part = store.parts()[0].clone();
    drop(store);
    let mut bytes = fs::read(part.path(&root)).unwrap();
    // Behind the magic come the services, then times, then values, then the footer.
    let place = bytes.windows(8).position(|w| w == 2.0_f64.to_le_bytes());
    bytes[place.expect("two values are too few to compress") + 6] ^= 1;
    fs::write(part.path(&root), bytes).unwrap();
    fs::remove_file(root.join("manifest.json")).unwrap();
    let rebuilt = Store::rebuild(&root).unwrap();
    assert_eq!(rebuilt.damaged[0].0, part.file);
    assert_eq!((rebuilt.damaged.len(), rebuilt.parts), (1, 1));
    let mut store = Store::open(&root).unwrap();
    assert_eq!(samples(&store, "web"), [(DAY, 1.0), (DAY + 60, 2.0)]);
    // The number of the file in quarantine is not used again.
    push(&mut store, "web", &[(0, 5.0)]);
    store.seal().unwrap();
    let number = |file: &str| file[file.len() - 14..].to_owned();
    assert!(
        store
            .parts()
            .iter()
            .all(|other| number(&other.file) > number(&part.file))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the order of writes, seals, compactions, restarts and lost manifests: each time has its last value.
    #[test]
    fn the_store_is_a_map_from_series_and_time(
        steps in prop::collection::vec((0_u8..9, 0_i64..6, 0_i64..2 * DAY / 600, 0_u32..9), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(folder.path(), &small()).unwrap();
        let mut expected: BTreeMap<(i64, i64), f64> = BTreeMap::new();
        for (action, service, slot, value) in steps {
            match action {
                0 => drop(store.seal().unwrap()),
                1 => drop(store.compact().unwrap()),
                2 => {
                    store.sync().unwrap();
                    drop(store);
                    store = Store::open(folder.path()).unwrap();
                }
                3 => {
                    store.sync().unwrap();
                    drop(store);
                    lose_manifest(folder.path());
                    prop_assert_eq!(Store::rebuild(folder.path()).unwrap().damaged, []);
                    store = Store::open(folder.path()).unwrap();
                }
                _ => {
                    let (time, value) = (slot * 600, f64::from(value));
                    push(&mut store, &format!("s{service}"), &[(time, value)]);
                    expected.insert((service, time), value);
                }
            }
        }
        for service in 0..6 {
            let found = samples(&store, &format!("s{service}"));
            let range = expected.range((service, i64::MIN)..=(service, i64::MAX));
            let wanted: Vec<(i64, f64)> = range.map(|(&(_, time), &value)| (time, value)).collect();
            prop_assert_eq!(found, wanted);
        }
        // Other programs read the files as one table: no time may be in two of them.
        store.seal().unwrap();
        let rows: u64 = store.parts().iter().map(|part| part.rows).sum();
        prop_assert_eq!(rows as usize, expected.len());
    }
}
