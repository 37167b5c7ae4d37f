//! The store and the importers from the command line: what is simulated is ingested, asked for, damaged,
//! mended; what git recorded is replayed.
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::{run, stdout_of, text};

/// A simulated day: its telemetry stream and the store it went into.
fn ingested(folder: &Path) -> (String, String) {
    let stream = text(&folder.join("stream.csv")).to_owned();
    let store = text(&folder.join("store")).to_owned();
    let world = ["--set", "days=2", "--set", "services.count=2"];
    let simulate = ["simulate", "calm-weekly", "--telemetry", &stream];
    stdout_of(&[&simulate[..], &world[..]].concat());
    stdout_of(&["ingest", &store, &stream]);
    (stream, store)
}

fn json(args: &[&str]) -> Vec<Value> {
    let text = stdout_of(&[args, &["--format", "json"]].concat());
    serde_json::from_str::<Vec<Value>>(&text).unwrap()
}

#[test]
fn a_simulated_world_is_queried_as_it_was_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let (stream, store) = ingested(folder.path());
    let mut expected: BTreeMap<(String, i64), Vec<f64>> = BTreeMap::new();
    let mut reader = csv::Reader::from_path(&stream).unwrap();
    for record in reader.records() {
        let record = record.unwrap();
        if &record[2] == "requests_per_second" {
            let hour = record[0].parse::<f64>().unwrap() as i64 / 3_600;
            let value = record[3].parse().unwrap();
            expected
                .entry((record[1].to_owned(), hour))
                .or_default()
                .push(value);
        }
    }
    let rows = json(&[
        "query",
        &store,
        "--metric",
        "requests_per_second",
        "--every",
        "1h",
        "--by-service",
        "--agg",
        "count,mean,max",
    ]);
    assert_eq!(rows.len(), expected.len());
    for row in rows {
        let time = prestage::moment::parse_timestamp(row["time"].as_str().unwrap()).unwrap();
        let service = row["service"].as_str().unwrap().to_owned();
        let values = &expected[&(service, time.seconds() / 3_600)];
        assert_eq!(row["count"].as_u64(), Some(values.len() as u64));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((row["mean"].as_f64().unwrap() - mean).abs() < 1e-9 * mean);
        assert_eq!(row["max"].as_f64(), values.iter().copied().reduce(f64::max));
    }
    // Again changes nothing.
    let before = stdout_of(&["query", &store]);
    stdout_of(&["ingest", &store, &stream]);
    assert_eq!(stdout_of(&["query", &store]), before);
}

#[test]
fn damage_is_named_and_the_check_is_a_gate() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = ingested(folder.path());
    stdout_of(&["store", "check", &store]);
    let days = folder.path().join("store/raw");
    let mut days: Vec<_> = std::fs::read_dir(days)
        .unwrap()
        .map(|day| day.unwrap().path())
        .collect();
    days.sort();
    let metric = days[0].join("metric=requests_per_second");
    let file = std::fs::read_dir(metric)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let query = [
        "query",
        &store,
        "--metric",
        "requests_per_second",
        "--every",
        "1h",
    ];
    let output = run(&query);
    assert!(output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("is damaged and left out"), "{stderr}");
    assert!(!output.stdout.is_empty());
    assert_eq!(run(&["store", "check", &store]).status.code(), Some(1));
    assert!(run(&query).stderr.is_empty());
    stdout_of(&["store", "check", &store]);
}

#[test]
fn a_lost_manifest_is_rebuilt_and_openmetrics_text_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = ingested(folder.path());
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    let metric = ["--metric", "requests_per_second"];
    let ask = ["--every", "1h", "--by-service", "--format", "csv"];
    let said = |store: &str| stdout_of(&[&["query", store][..], &metric, &ask].concat());
    let before = said(&store);
    std::fs::write(path("store/manifest.json"), "rubbish").unwrap();
    let lost = run(&["query", &store]);
    assert_eq!(lost.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert!(stderr.contains("`prestage store rebuild`"), "{stderr}");
    stdout_of(&["store", "rebuild", &store]);
    assert_eq!(said(&store), before);
    assert_eq!(run(&["store", "rebuild", &store]).status.code(), Some(2));

    let (exported, other, history) = (path("rps.om"), path("other"), path("history"));
    let export = ["store", "export", &store, "--openmetrics", &exported];
    stdout_of(&[&export[..], &metric].concat());
    stdout_of(&["ingest", &other, &exported]);
    assert_eq!(said(&other), before);
    let import = ["import", "openmetrics", &exported, "--out", &history];
    let streams = json(&import);
    let traffic: Vec<u64> = streams[..2]
        .iter()
        .map(|stream| stream["rows"].as_u64().unwrap())
        .collect();
    let rows = json(&["query", &store])
        .iter()
        .find(|row| row["metric"] == "requests_per_second")
        .and_then(|row| row["rows"].as_u64());
    assert_eq!(Some(traffic.iter().sum()), rows);
}

#[test]
fn questions_and_imports_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = ingested(folder.path());
    let out = folder.path().join("history");
    let out = text(&out);
    let absent = folder.path().join("absent");
    let absent = text(&absent);
    for (args, code, words) in [
        (
            vec!["query", &store, "--metric", "cpu"],
            2,
            "the store has no metric `cpu` (known: ",
        ),
        (vec!["query", absent], 2, "is not a store"),
        (
            vec!["query", &store, "--metric", "replicas", "--agg", "median"],
            2,
            "no aggregation `median`",
        ),
        (
            vec!["query", &store, "--metric", "replicas", "--every", "5"],
            2,
            "such as `5m`",
        ),
        (vec!["ingest", &store, absent], 2, "cannot read"),
        (
            vec!["import", "git", absent, "--out", out],
            2,
            "cannot be read as a git repository",
        ),
        (
            vec!["import", "csv", absent, "--out", out],
            2,
            "cannot read",
        ),
        (
            vec![
                "import",
                "prometheus",
                "http://127.0.0.1:1",
                "--query",
                "up",
                "--from",
                "0",
                "--to",
                "60",
                "--attempts",
                "1",
                "--out",
                out,
            ],
            3,
            "gave no usable answer in 1 attempts",
        ),
    ] {
        let output = run(&args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn an_answer_in_parquet_and_samples_in_openmetrics() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = ingested(folder.path());
    let answer = folder.path().join("answer.parquet");
    stdout_of(&[
        "query",
        &store,
        "--metric",
        "replicas",
        "--every",
        "1d",
        "--parquet",
        text(&answer),
    ]);
    assert!(std::fs::read(&answer).unwrap().starts_with(b"PAR1"));
    let file = folder.path().join("replicas.om");
    stdout_of(&[
        "store",
        "export",
        &store,
        "--metric",
        "replicas",
        "--openmetrics",
        text(&file),
    ]);
    let written = std::fs::read_to_string(&file).unwrap();
    let samples = prestage_store::export::openmetrics::read(&written).unwrap();
    let count =
        json(&["query", &store, "--metric", "replicas", "--agg", "count"])[0]["count"].as_u64();
    assert_eq!(Some(samples.len() as u64), count);
}

#[cfg(not(feature = "sql"))]
#[test]
fn without_the_feature_sql_is_refused_with_what_to_build() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = ingested(folder.path());
    let output = run(&["query", &store, "--sql", "SELECT 1"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("--features sql"), "{stderr}");
}

#[cfg(feature = "sql")]
#[test]
fn sql_answers_in_every_format_and_refuses_with_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = ingested(folder.path());
    let text = "SELECT service, count(*) AS n, avg(value) AS mean FROM samples \
                WHERE metric = 'requests_per_second' AND time < '2024-01-02' GROUP BY service ORDER BY service";
    let ask = ["query", &store, "--sql", text];
    let whole = ["query", &store, "--metric", "requests_per_second", "--agg"];
    let whole = json(
        &[
            &whole[..],
            &["count,mean", "--by-service", "--to", "2024-01-02"],
        ]
        .concat(),
    );
    let rows = json(&ask);
    assert_eq!(rows.len(), 2);
    for (row, other) in rows.iter().zip(&whole) {
        assert_eq!(row["service"], other["service"]);
        assert_eq!(row["n"], other["count"]);
        let (a, b) = (
            row["mean"].as_f64().unwrap(),
            other["mean"].as_f64().unwrap(),
        );
        assert!((a - b).abs() < 1e-9 * b, "{a} for {b}");
    }
    let csv = stdout_of(&[&ask[..], &["--format", "csv"]].concat());
    assert!(csv.starts_with("service,n,mean\nservice-00,1440,"), "{csv}");
    let table = stdout_of(&ask);
    assert!(table.starts_with("service"), "{table}");
    let file = folder.path().join("answer.parquet");
    stdout_of(&[&ask[..], &["--parquet", crate::text(&file)]].concat());
    assert!(std::fs::read(&file).unwrap().starts_with(b"PAR1"));

    for refused in ["SELECT valu FROM samples", "DROP TABLE samples", "SELEC"] {
        let output = run(&["query", &store, "--sql", refused]);
        assert_eq!(output.status.code(), Some(2), "{refused}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            stderr.contains("hint: tables are `samples` (metric, service, time, value)"),
            "{stderr}"
        );
    }
    let both = run(&[&ask[..], &["--every", "5m"]].concat());
    assert_eq!(both.status.code(), Some(2));
    assert_eq!(stdout_of(&["store", "check", &store]), "file  problem\n");
}
