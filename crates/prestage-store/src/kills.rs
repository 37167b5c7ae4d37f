//! kill -9 at random moments of ingest, sealing, compaction and retention.
//!
//! The test starts itself as a child that works on a store and says what was acknowledged; kills it
//! after a random time; opens the store, and counts. Nothing acknowledged is lost, nothing is there
//! twice, every file is sound, and a run that is started again gets to the end.
//!
//! `PRESTAGE_KILLS=240 cargo test -p prestage-store kills -- --nocapture` runs more of them.
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use prestage_telemetry::{Span, Timestamp};

use crate::{Aggregation, Batch, Query, Retention, Snapshot, Store, StoreOptions};

const KILLS_DEFAULT: usize = 25;
const FOLDER: &str = "PRESTAGE_STORE_KILL_FOLDER";
const SERVICES: usize = 5;
/// Batches of a run; each is two hours of minutes of every service.
const BATCHES: i64 = 60;
const BATCH_MINUTES: i64 = 120;
const RETAINED_AT_DAY: i64 = 4;

fn options() -> StoreOptions {
    StoreOptions {
        tail_rows_max: 2_500,
        retention: Retention {
            raw_days: 2,
            five_minutes_days: 3,
            hour_days: None,
        },
        ..StoreOptions::default()
    }
}

fn value(service: usize, minute: i64) -> f64 {
    (minute * 7 + service as i64) as f64
}

/// The whole work, from wherever it was interrupted: ingest with seals, compaction, retention.
fn work(folder: &Path) {
    let mut store = Store::open_or_create(&folder.join("store"), &options()).unwrap();
    for number in acknowledged(folder)..BATCHES {
        let mut batch = Batch::new();
        for service in 0..SERVICES {
            let series = store.series("cpu", &format!("s{service}")).unwrap();
            for minute in number * BATCH_MINUTES..(number + 1) * BATCH_MINUTES {
                batch.push(
                    series,
                    Timestamp::from_seconds(minute * 60),
                    value(service, minute),
                );
            }
        }
        assert_eq!(store.append(&batch).unwrap().accepted, batch.len() as u64);
        store.sync().unwrap();
        acknowledge(folder, number + 1);
        if number % 7 == 6 {
            store.seal().unwrap();
            store.compact().unwrap();
        }
    }
    store.seal().unwrap();
    store.compact().unwrap();
    for day in 1..=RETAINED_AT_DAY {
        store.retain(Timestamp::from_seconds(day * 86_400)).unwrap();
    }
}

/// Told to the file's end, one byte for each batch: a kill leaves a whole number of them.
fn acknowledge(folder: &Path, batches: i64) {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("acknowledged"));
    file.unwrap().write_all(b".").unwrap();
    assert_eq!(acknowledged(folder), batches);
}

fn acknowledged(folder: &Path) -> i64 {
    std::fs::metadata(folder.join("acknowledged")).map_or(0, |file| file.len() as i64)
}

/// The child's body; as a test of its own it has nothing to do.
#[test]
fn child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        work(Path::new(&folder));
    }
}

/// Each minute of what was acknowledged is there once, in whichever tier; nothing else but the
/// batch that was under way, whole or not at all.
fn check(folder: &Path) {
    let root = folder.join("store");
    let sealed = acknowledged(folder);
    if !root.join("store.json").exists() {
        assert_eq!(sealed, 0);
        return;
    }
    let read_only = ask(&Snapshot::open(&root).unwrap());
    let mut store = Store::open(&root).unwrap();
    assert_eq!(store.recovered().damaged_frames, 0);
    let report = store.check().unwrap();
    assert_eq!((report.damaged, report.quarantined_before), (Vec::new(), 0));
    let found = ask(&store.snapshot());
    assert_eq!(found, read_only, "a reader without the lock sees the same");
    let hours_per_batch = BATCH_MINUTES / 60;
    let hours = found.len() as i64;
    assert!(
        hours >= sealed * hours_per_batch,
        "{hours} hours of {sealed} batches"
    );
    assert!(
        hours <= (sealed + 1) * hours_per_batch,
        "{hours} hours of {sealed} batches"
    );
    for (hour, (count, sum)) in found.into_iter().enumerate() {
        let minutes = hour as i64 * 60..(hour as i64 + 1) * 60;
        let expected: f64 = (0..SERVICES)
            .flat_map(|service| minutes.clone().map(move |minute| value(service, minute)))
            .sum();
        assert_eq!(
            (count, sum),
            ((60 * SERVICES) as f64, expected),
            "hour {hour}"
        );
    }
}

/// Count and sum of each hour; exact, since all sums are whole numbers.
fn ask(snapshot: &Snapshot) -> Vec<(f64, f64)> {
    let query = Query {
        every: Some(Span::from_hours(1)),
        aggregations: vec![Aggregation::Count, Aggregation::Sum],
        ..Query::new("cpu")
    };
    let rollup = snapshot.query(&query).unwrap();
    assert_eq!(rollup.damaged, []);
    rollup.columns[0]
        .iter()
        .copied()
        .zip(rollup.columns[1].iter().copied())
        .collect()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let kills = std::env::var("PRESTAGE_KILLS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(KILLS_DEFAULT);
    let mut random = Delays(5);
    let (mut killed, mut runs, mut while_retaining) = (0, 0, 0);
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        runs += 1;
        for attempt in 1.. {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "kills::child", "--nocapture"])
                .env(FOLDER, folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            std::thread::sleep(random.next(attempt));
            if child.try_wait().unwrap().is_some() {
                let output = child.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "a resumed run failed: {said}");
                break;
            }
            child.kill().unwrap();
            let was_killed = child.wait().unwrap().code().is_none();
            killed += usize::from(was_killed);
            let all_in = acknowledged(folder.path()) == BATCHES;
            while_retaining += usize::from(was_killed && all_in);
            check(folder.path());
        }
        check(folder.path());
        assert_eq!(acknowledged(folder.path()), BATCHES);
    }
    eprintln!(
        "{killed} kills over {runs} runs, {while_retaining} of them in the last compaction and retention"
    );
}

/// Delays from a fixed seed, longer with every attempt so that each run ends on any machine.
struct Delays(u64);

impl Delays {
    fn next(&mut self, attempt: u64) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        Duration::from_micros((self.0 >> 33) % (attempt * 60_000))
    }
}
