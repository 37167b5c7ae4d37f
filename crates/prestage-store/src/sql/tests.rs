//! Questions in SQL against the store's own query, plain counts, and what must be refused.
use std::fs;
use std::path::Path;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::RowAccessor;
use prestage_telemetry::{Span, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{Batch, Query, Store, StoreOptions};

const DAY: i64 = 86_400;

/// Three days of two metrics of three services, a sample every ten minutes; the last day is not sealed.
fn store(folder: &Path) -> Store {
    let mut store = Store::open_or_create(folder, &StoreOptions::default()).unwrap();
    for day in 0..3 {
        for slot in 0..144 {
            for metric in ["cpu", "queue"] {
                for service in ["api", "db", "web"] {
                    let series = store.series(metric, service).unwrap();
                    let mut batch = Batch::new();
                    let time = Timestamp::from_seconds(day * DAY + slot * 600);
                    batch.push(series, time, (slot * 7 % 100) as f64 / 4.0);
                    store.append(&batch).unwrap();
                }
            }
        }
        if day < 2 {
            store.seal().unwrap();
        }
    }
    store
}

const ROWS: u64 = 3 * 144 * 6;
const SEALED: u64 = 2 * 144 * 6;

#[track_caller]
fn ask(store: &Store, text: &str) -> SqlAnswer {
    store.snapshot().sql(text).unwrap()
}

#[track_caller]
fn whole(answer: &SqlAnswer) -> i64 {
    match &answer.columns[0].values {
        SqlValues::Whole(values) => values[0].unwrap(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_refused(text: &str, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let error = store(folder.path()).snapshot().sql(text).unwrap_err();
    assert!(matches!(error, Error::Sql { .. }), "{text}: {error}");
    assert!(!error.is_environment());
    let shown = error.to_string();
    assert!(shown.contains(says), "{text}: {shown}");
    assert!(
        shown.contains("\n\nhint: tables are `samples` ("),
        "{shown}"
    );
}

#[test]
fn the_hint_names_every_column() {
    for kind in [Kind::Samples, Kind::Rollups] {
        let folder = tempfile::tempdir().unwrap();
        let answer = ask(
            &store(folder.path()),
            &format!("SELECT * FROM {}", kind.name()),
        );
        let names: Vec<&str> = answer.columns.iter().map(|c| c.name.as_str()).collect();
        let listed = format!("`{}` ({})", kind.name(), names.join(", "));
        assert!(TABLES.contains(&listed), "{listed}");
    }
}

#[test]
fn buckets_are_those_of_the_store_s_own_query() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let query = Query {
        every: Some(Span::from_minutes(60)),
        aggregations: ["count", "mean", "max"]
            .iter()
            .map(|name| name.parse().unwrap())
            .collect(),
        by_service: true,
        from: Timestamp::from_seconds(DAY / 2),
        to: Timestamp::from_seconds(2 * DAY + DAY / 2),
        ..Query::new("cpu")
    };
    let expected = store.snapshot().query(&query).unwrap();
    let answer = ask(
        &store,
        "SELECT date_bin(INTERVAL '1 hour', time) AS hour, service, count(*) AS n, avg(value), max(value) \
         FROM samples WHERE metric = 'cpu' AND time >= '1970-01-01T12:00:00Z' AND time < '1970-01-03T12:00:00Z' \
         GROUP BY hour, service ORDER BY hour, service",
    );
    assert_eq!(answer.len(), expected.len());
    let (SqlValues::Time(hours), SqlValues::Text(services)) =
        (&answer.columns[0].values, &answer.columns[1].values)
    else {
        panic!("{answer:?}");
    };
    let number = |column: usize, row: usize| match &answer.columns[column].values {
        SqlValues::Whole(values) => values[row].unwrap() as f64,
        SqlValues::Number(values) => values[row].unwrap(),
        other => panic!("{other:?}"),
    };
    for (row, wanted) in expected.rows().enumerate() {
        assert_eq!(hours[row], Some(wanted.time));
        assert_eq!(services[row].as_deref(), wanted.service);
        for (column, &value) in wanted.values.iter().enumerate() {
            assert!((number(2 + column, row) - value).abs() < 1e-9);
        }
    }
}

/// Rows decoded for a question, next to what it counts.
#[track_caller]
fn check_scanned(filter: &str, counted: i64, scanned: u64) {
    let folder = tempfile::tempdir().unwrap();
    let answer = ask(
        &store(folder.path()),
        &format!("SELECT count(*) FROM samples WHERE {filter}"),
    );
    assert_eq!(whole(&answer), counted, "{filter}");
    assert_eq!(answer.rows_scanned, scanned, "{filter}");
}

#[test]
fn filters_skip_metrics_services_and_days() {
    check_scanned("true", ROWS as i64, SEALED);
    check_scanned("metric = 'cpu'", 1_296, 864);
    check_scanned("'cpu' = metric AND service IN ('api', 'db')", 864, 576);
    check_scanned("service = 'api' OR service = 'web'", 1_728, 1_152);
    check_scanned("service = 'api' OR value < -1", 864, SEALED);
    check_scanned("time < '1970-01-02'", 864, 864);
    check_scanned(
        "time BETWEEN '1970-01-02T06:00:00' AND '1970-01-02T07:00:00'",
        42,
        864,
    );
    check_scanned("time >= TIMESTAMP '1970-01-03 00:00:00'", 864, 0);
    check_scanned("'1970-01-01T00:10:00Z' >= time AND service = 'db'", 4, 288);
    check_scanned("metric = 'cpu' AND metric = 'queue'", 0, 0);
    check_scanned("metric = 'absent'", 0, 0);
    check_scanned("service <> 'api'", 1_728, SEALED);
}

#[test]
fn a_limit_ends_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    let answer = ask(&store(folder.path()), "SELECT * FROM samples LIMIT 5");
    assert_eq!((answer.len(), answer.rows_scanned), (5, 432));
}

/// A filter in text; what it says need not make sense.
fn filter() -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let moment = (0_i64..3 * 144).prop_map(|slot| {
        let time = Timestamp::from_seconds(slot * 600).to_string();
        format!("'{time}'")
    });
    let name = prop::sample::select(vec!["'api'", "'db'", "'cpu'", "'x'"]);
    let column = prop::sample::select(vec!["service", "metric"]);
    let leaf = prop_oneof![
        (operator.clone(), moment.clone(), any::<bool>()).prop_map(|(operator, moment, swap)| {
            if swap {
                format!("{moment} {operator} time")
            } else {
                format!("time {operator} {moment}")
            }
        }),
        (moment.clone(), moment).prop_map(|(a, b)| format!("time BETWEEN {a} AND {b}")),
        (column.clone(), operator, name.clone()).prop_map(|(c, o, n)| format!("{c} {o} {n}")),
        (column, name.clone(), name)
            .prop_map(|(c, a, b)| format!("{c} IN ({a}, {b}, 'web', 'queue')")),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_skipped_was_never_in_the_answer(filter in filter()) {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let filtered = ask(&store, &format!("SELECT count(*) FROM samples WHERE {filter}"));
        let looked_at = format!("SELECT sum(CASE WHEN {filter} THEN 1 ELSE 0 END) FROM samples");
        prop_assert_eq!(whole(&filtered), whole(&ask(&store, &looked_at)), "{}", filter);
    }
}

/// Flips a byte of the values of the first sealed partition, whose footer stays sound.
fn damage(folder: &Path, store: &Store) -> String {
    let part = &store.parts()[0];
    let path = folder.join(&part.file);
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let group = reader.metadata().row_group(0);
    let (start, length) = group.column(group.num_columns() - 1).byte_range();
    let mut bytes = fs::read(&path).unwrap();
    bytes[(start + length) as usize - 1] ^= 1;
    fs::write(&path, bytes).unwrap();
    part.file.clone()
}

#[test]
fn a_damaged_partition_is_named_once_and_the_rest_answers() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let file = damage(folder.path(), &store);
    let answer = ask(
        &store,
        "SELECT count(a.value) FROM samples a JOIN samples b \
         ON a.metric = b.metric AND a.service = b.service AND a.time = b.time AND a.value = b.value",
    );
    assert_eq!(whole(&answer), ROWS as i64 - 432);
    assert_eq!(answer.damaged.len(), 1);
    assert_eq!(answer.damaged[0].file, file);
}

#[test]
fn columns_that_nobody_asked_for_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    damage(folder.path(), &store);
    let answer = ask(&store, "SELECT count(*), min(time) FROM samples");
    assert_eq!(whole(&answer), ROWS as i64);
    assert_eq!(answer.damaged, []);
}

#[test]
fn what_was_downsampled_is_a_table_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    store.seal().unwrap();
    store.retain(Timestamp::from_seconds(402 * DAY)).unwrap();
    let answer = ask(
        &store,
        "SELECT sum(count), min(tier), max(max), min(time), count(DISTINCT service) FROM rollups \
         WHERE metric = 'cpu' AND tier IN ('5m', '1h')",
    );
    assert_eq!(whole(&answer), 864);
    assert_eq!(
        answer.columns[1].values,
        SqlValues::Text(vec![Some("5m".to_owned())])
    );
    assert_eq!(
        answer.columns[2].values,
        SqlValues::Number(vec![Some(24.75)])
    );
    assert_eq!(
        answer.columns[3].values,
        SqlValues::Time(vec![Some(Timestamp(0))])
    );
    assert_eq!(answer.columns[4].values, SqlValues::Whole(vec![Some(3)]));
    assert_eq!(
        ask(&store, "SELECT time FROM rollups WHERE tier = '1h'").len(),
        0
    );
    assert_eq!(whole(&ask(&store, "SELECT count(*) FROM samples")), 864);
}

#[test]
fn nothing_but_questions_is_taken() {
    for (text, says) in [
        ("CREATE TABLE t AS SELECT 1", "DDL not supported"),
        ("CREATE VIEW v AS SELECT 1", "DDL not supported"),
        (
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "DDL not supported",
        ),
        ("DROP TABLE samples", "DDL not supported"),
        (
            "INSERT INTO samples VALUES ('cpu', 'api', '2024-01-01', 1.0)",
            "DML not supported",
        ),
        ("DELETE FROM samples", "DML not supported"),
        ("COPY samples TO 'x.csv' STORED AS CSV", "DML not supported"),
        (
            "SET datafusion.execution.batch_size = 1",
            "Statement not supported",
        ),
    ] {
        check_refused(text, says);
    }
    assert!(!Path::new("x.csv").exists());
}

#[test]
fn what_is_no_question_is_refused_with_the_tables() {
    check_refused("SELECT valu FROM samples", "valu");
    check_refused("SELECT * FROM metrics", "metrics");
    check_refused("SELECT * FROM 'Cargo.toml'", "Cargo.toml");
    check_refused("SELEC 1", "SELEC");
    check_refused("SELECT 1; SELECT 2", "single SQL statement");
    check_refused("", "");
    check_refused("SELECT 1 / 0", "ivide by zero");
    check_refused("SELECT CAST(service AS BIGINT) FROM samples", "api");
    check_refused(&"(".repeat(10_000), "RecursionLimitExceeded");
}

#[test]
fn a_long_sum_does_not_exhaust_the_stack() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("SELECT 1{}", "+1".repeat(1_000));
    assert_eq!(whole(&ask(&store(folder.path()), &text)), 1_001);
    let long = "x".repeat(QUESTION_BYTES_MAX + 1);
    let error = store(folder.path()).snapshot().sql(&long).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("16385 bytes long (allowed: 16384)"),
        "{error}"
    );
}

#[test]
fn a_disk_that_fails_is_not_the_question_s_fault() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    fs::remove_dir_all(folder.path().join("raw")).unwrap();
    fs::write(folder.path().join("raw"), "").unwrap();
    let error = store
        .snapshot()
        .sql("SELECT count(*) FROM samples")
        .unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn values_keep_their_kinds_and_names_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let answer = ask(
        &store(folder.path()),
        "SELECT -3 AS minus, true AS yes, NULL AS nothing, 'a' AS word, 0.5 AS half, a.time, b.time, \
         CAST(NULL AS DOUBLE) AS no_number, INTERVAL '1 day' AS span, DATE '2024-02-29' AS leap \
         FROM samples a JOIN samples b ON a.time = b.time WHERE a.service = 'db' LIMIT 1",
    );
    let names: Vec<&str> = answer.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names[..5], ["minus", "yes", "nothing", "word", "half"]);
    assert_eq!(names[5..8], ["a.time", "b.time", "no_number"]);
    let values: Vec<&SqlValues> = answer.columns.iter().map(|c| &c.values).collect();
    assert_eq!(values[0], &SqlValues::Whole(vec![Some(-3)]));
    assert_eq!(values[1], &SqlValues::Flag(vec![Some(true)]));
    assert_eq!(values[2], &SqlValues::Text(vec![None]));
    assert_eq!(values[3], &SqlValues::Text(vec![Some("a".to_owned())]));
    assert_eq!(values[4], &SqlValues::Number(vec![Some(0.5)]));
    assert_eq!(values[7], &SqlValues::Number(vec![None]));
    assert_eq!(values[8], &SqlValues::Text(vec![Some("1 days".to_owned())]));
    assert_eq!(
        values[9],
        &SqlValues::Text(vec![Some("2024-02-29".to_owned())])
    );
}

#[test]
fn an_answer_is_read_back_from_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let answer = ask(
        &store(folder.path()),
        "SELECT service, min(time) AS first, CASE WHEN service = 'db' THEN NULL ELSE count(*) END AS n, \
         avg(value) AS mean, service = 'api' AS is_api FROM samples GROUP BY service ORDER BY service",
    );
    let path = folder.path().join("answer.parquet");
    answer.write_parquet(&path).unwrap();
    let reader = SerializedFileReader::try_from(path.as_path()).unwrap();
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1].get_string(0).unwrap(), "db");
    assert_eq!(rows[1].get_timestamp_micros(1).unwrap(), 0);
    assert!(rows[1].is_null(2).unwrap());
    assert_eq!(rows[0].get_long(2).unwrap(), 864);
    let SqlValues::Number(means) = &answer.columns[3].values else {
        panic!("{answer:?}");
    };
    assert_eq!(rows[2].get_double(3).ok(), means[2]);
    assert!(rows[0].get_bool(4).unwrap() && !rows[2].get_bool(4).unwrap());
}
