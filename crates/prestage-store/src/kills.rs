//! kill -9 in every activity of a store: ingest, sealing, compaction and retention.
//!
//! The test starts itself as a child that works on a store, says what was acknowledged and what it is
//! about to do; waits until it does what is to be interrupted, kills it a random moment later, opens the
//! store, and counts. Nothing acknowledged is lost, nothing is there twice, every file is sound; a store
//! whose manifest is lost at that moment is rebuilt to the same; and a run that is started again gets to
//! the end.
//!
//! `PRESTAGE_KILLS=240 cargo test -p prestage-store kills -- --nocapture` runs more of them.
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use prestage_telemetry::{Span, Timestamp};

use crate::{Aggregation, Batch, Query, Retention, Snapshot, Store, StoreOptions};

const KILLS_DEFAULT: usize = 24;
const FOLDER: &str = "PRESTAGE_STORE_KILL_FOLDER";
const SERVICES: usize = 5;
/// Batches of a run; each is two hours of minutes of every service.
const BATCHES: i64 = 72;
const BATCH_MINUTES: i64 = 120;
const BATCHES_PER_DAY: i64 = 12;

/// What a store can be killed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    Ingest,
    Seal,
    Compaction,
    Retention,
}

impl Activity {
    const ALL: [Self; 4] = [Self::Ingest, Self::Seal, Self::Compaction, Self::Retention];

    /// How the child says it, at the end of the file `activities`.
    fn letter(self) -> u8 {
        b"iscr"[self as usize]
    }
}

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

/// The whole work, from wherever it was interrupted: ingest, every six hours a seal, twice a day compaction,
/// every day retention of what is two days old.
fn work(folder: &Path) {
    let mut store = Store::open_or_create(&folder.join("store"), &options()).unwrap();
    for number in length(folder, ACKNOWLEDGED)..BATCHES {
        announce(folder, Activity::Ingest);
        ingest(&mut store, number);
        append(folder, ACKNOWLEDGED, b'.');
        let done = number + 1;
        if done % 3 == 0 {
            announce(folder, Activity::Seal);
            store.seal().unwrap();
        }
        if done % 6 == 0 {
            announce(folder, Activity::Compaction);
            store.compact().unwrap();
        }
        if done % BATCHES_PER_DAY == 0 {
            announce(folder, Activity::Retention);
            let today = Timestamp::from_seconds(done / BATCHES_PER_DAY * 86_400);
            store.retain(today).unwrap();
        }
    }
    announce(folder, Activity::Retention);
    let later = Timestamp::from_seconds((BATCHES / BATCHES_PER_DAY + 1) * 86_400);
    store.retain(later).unwrap();
}

fn ingest(store: &mut Store, number: i64) {
    let mut batch = Batch::new();
    for service in 0..SERVICES {
        let series = store.series("cpu", &format!("s{service}")).unwrap();
        for minute in number * BATCH_MINUTES..(number + 1) * BATCH_MINUTES {
            let time = Timestamp::from_seconds(minute * 60);
            batch.push(series, time, value(service, minute));
        }
    }
    assert_eq!(store.append(&batch).unwrap().accepted, batch.len() as u64);
    store.sync().unwrap();
}

/// One byte for each batch that was acknowledged.
const ACKNOWLEDGED: &str = "acknowledged";
/// One letter for each activity that was begun.
const ACTIVITIES: &str = "activities";

fn announce(folder: &Path, activity: Activity) {
    append(folder, ACTIVITIES, activity.letter());
}

/// Appends one byte: a kill leaves a whole number of them.
fn append(folder: &Path, file: &str, byte: u8) {
    let path = folder.join(file);
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(&[byte]).unwrap();
}

fn length(folder: &Path, file: &str) -> i64 {
    fs::metadata(folder.join(file)).map_or(0, |file| file.len() as i64)
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
    let sealed = length(folder, ACKNOWLEDGED);
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

/// With its manifest damaged as well, a copy of the store is rebuilt to what the store is.
fn check_rebuilt(folder: &Path) {
    let root = folder.join("store");
    if !root.join("store.json").exists() {
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    copy_all(&root, copy.path());
    fs::write(copy.path().join("manifest.json"), b"00000000\n{}").unwrap();
    let refused = Store::open(copy.path()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("store rebuild"), "{refused}");
    assert_eq!(Store::rebuild(copy.path()).unwrap().damaged, []);
    let expected = ask(&Snapshot::open(&root).unwrap());
    assert_eq!(ask(&Snapshot::open(copy.path()).unwrap()), expected);
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
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
    let wanted = std::env::var("PRESTAGE_KILLS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(KILLS_DEFAULT);
    let mut random = Delays(5);
    let mut kills: BTreeMap<Activity, usize> = BTreeMap::new();
    let (mut killed, mut runs) = (0, 0);
    while killed < wanted {
        let folder = tempfile::tempdir().unwrap();
        runs += 1;
        loop {
            let target = Activity::ALL[killed % Activity::ALL.len()];
            let child = start(folder.path());
            match kill_in(target, child, folder.path(), random.next()) {
                Some(activity) => *kills.entry(activity).or_default() += 1,
                None => break,
            }
            killed += 1;
            check_rebuilt(folder.path());
            check(folder.path());
        }
        check(folder.path());
        assert_eq!(length(folder.path(), ACKNOWLEDGED), BATCHES);
    }
    eprintln!("{killed} kills over {runs} runs: {kills:?}");
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the child begins an activity, and kills it a little later. Returns what it was doing
/// then; `None` when it came to its end.
fn kill_in(target: Activity, mut child: Child, folder: &Path, delay: Duration) -> Option<Activity> {
    let begun = length(folder, ACTIVITIES) as usize;
    loop {
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "a resumed run failed: {said}");
            return None;
        }
        let activities = fs::read(folder.join(ACTIVITIES)).unwrap_or_default();
        if activities[begun..].contains(&target.letter()) {
            break;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    std::thread::sleep(delay);
    child.kill().unwrap();
    if let Some(code) = child.wait().unwrap().code() {
        assert_eq!(code, 0, "a resumed run failed");
        return None;
    }
    let last = *fs::read(folder.join(ACTIVITIES)).unwrap().last().unwrap();
    Activity::ALL
        .into_iter()
        .find(|activity| activity.letter() == last)
}

/// Up to 6 ms, about what the longest activity takes, from a fixed seed.
struct Delays(u64);

impl Delays {
    fn next(&mut self) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        Duration::from_micros((self.0 >> 33) % 6_000)
    }
}
