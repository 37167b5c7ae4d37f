//! `prestage detect`: its output, its independence of threads, its refusals, and what it is
//! worth on the Numenta benchmark where that lies beside the clone.
use std::fmt::Write as _;
use std::path::Path;

use prestage::detection::{Corpus, bench};
use prestage_telemetry::detect::DETECTORS;
use serde_json::Value;
use tempfile::TempDir;

use crate::{run, stdout_of, text};

/// Epoch second of the sample `i`, five minutes after the one before.
fn epoch(i: usize) -> usize {
    1_400_000_000 + i * 300
}

/// A rhythm of 48 samples, with a level never seen before from `from` to `to`.
fn value(i: usize, from: usize, to: usize) -> f64 {
    let phase = (i % 48) as f64 / 48.0 * std::f64::consts::TAU;
    let wobble = (i * i * 7919 % 101) as f64 / 101.0;
    let odd = if (from..to).contains(&i) { 60.0 } else { 0.0 };
    50.0 + 10.0 * phase.sin() + wobble + odd
}

fn write_labelled(path: &Path, from: usize, to: usize) {
    let mut csv = String::from("epoch,value,anomaly\n");
    for i in 0..1_000 {
        let label = u8::from((from..to).contains(&i));
        writeln!(csv, "{},{},{label}", epoch(i), value(i, from, to)).unwrap();
    }
    std::fs::write(path, csv).unwrap();
}

/// A corpus of two series, each with one window.
fn corpus() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data/made")).unwrap();
    let mut windows = serde_json::Map::new();
    for (name, from) in [("made/a.csv", 500), ("made/b.csv", 700)] {
        let mut csv = String::from("timestamp,value\n");
        for i in 0..1_000 {
            writeln!(csv, "{},{}", epoch(i), value(i, from, from + 20)).unwrap();
        }
        std::fs::write(folder.path().join("data").join(name), csv).unwrap();
        let window = [epoch(from - 10).to_string(), epoch(from + 30).to_string()];
        windows.insert(name.to_owned(), serde_json::json!([window]));
    }
    let labels = serde_json::to_string(&windows).unwrap();
    std::fs::write(folder.path().join("combined_windows.json"), labels).unwrap();
    folder
}

#[test]
fn bench_prints_both_thresholds_of_three_profiles_whatever_the_threads() {
    let folder = corpus();
    let args = ["detect", "bench", text(folder.path()), "--format", "json"];
    let printed = stdout_of(&[&args[..], &["--threads", "1"]].concat());
    assert_eq!(
        printed,
        stdout_of(&[&args[..], &["--threads", "4"]].concat())
    );
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let detectors = printed["detectors"].as_array().unwrap();
    let names: Vec<&str> = detectors
        .iter()
        .map(|d| d["name"].as_str().unwrap())
        .collect();
    let registered: Vec<&str> = DETECTORS.iter().map(|entry| entry.name).collect();
    assert_eq!(names, registered);
    for detector in detectors {
        for profile in ["standard", "low_fp", "low_fn"] {
            let tuned = detector[profile]["tuned"].as_f64().unwrap();
            let fixed = detector[profile]["fixed"].as_f64().unwrap();
            assert!(fixed <= tuned && tuned <= 100.0, "{detector}");
        }
    }
    // Half-way into windows that nobody can miss.
    assert!(detectors[0]["standard"]["fixed"].as_f64().unwrap() > 80.0);
}

#[test]
fn bench_scores_labelled_series_too() {
    let folder = tempfile::tempdir().unwrap();
    write_labelled(&folder.path().join("a.csv"), 600, 640);
    let printed = stdout_of(&[
        "detect",
        "bench",
        text(folder.path()),
        "--detector",
        "record",
        "--format",
        "json",
    ]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let record = &printed["detectors"][0];
    assert_eq!(record["name"], "record");
    assert_eq!(record["labelled"]["recall"], 1.0);
    assert_eq!(record["labelled"]["delay_s"], 0.0);
    assert!(record["labelled"]["vus_pr"].as_f64().unwrap() > 0.1);
    assert_eq!(record.get("standard"), None, "no corpus was given");
}

#[test]
fn run_finds_the_incident_and_says_how_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    write_labelled(&file, 600, 640);
    let printed = stdout_of(&["detect", "run", text(&file), "--format", "json"]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["recall"], 1.0);
    assert_eq!(printed["delay_s"], 0.0);
    let alarms = printed["alarms"].as_array().unwrap();
    assert_eq!(alarms[0]["index"], 600);
    assert_eq!(alarms[0]["epoch"], epoch(600));
    let directory = stdout_of(&["detect", "run", text(folder.path()), "--format", "csv"]);
    assert!(
        directory.starts_with("series,index,time,score\na.csv,600,2014-05-"),
        "{directory}"
    );
}

#[test]
fn without_labels_nobody_knows_how_good_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    let mut csv = String::from("timestamp,value\n");
    for i in 0..400 {
        writeln!(csv, "{},{}", epoch(i), if i % 50 == 7 { "" } else { "1.5" }).unwrap();
    }
    std::fs::write(&file, csv).unwrap();
    let printed = stdout_of(&["detect", "run", text(&file), "--format", "json"]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    for unknown in ["precision", "recall", "f1", "delay_s"] {
        assert_eq!(printed[unknown], Value::Null, "{unknown}");
    }
    assert_eq!(printed["alarms"], serde_json::json!([]));
}

/// Runs `detect run` on a file of this text; it must be refused with these words.
#[track_caller]
fn refused(csv: &str, fragments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.csv");
    std::fs::write(&file, csv).unwrap();
    refused_run(&["detect", "run", text(&file)], fragments);
}

#[track_caller]
fn refused_run(args: &[&str], fragments: &[&str]) {
    let output = run(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(
        output.stdout.is_empty(),
        "{args:?}: a refusal printed results"
    );
    for fragment in fragments {
        assert!(
            stderr.contains(fragment),
            "`{fragment}` is missing in: {stderr}"
        );
    }
}

#[test]
fn bad_series_are_refused_with_file_line_and_what_is_allowed() {
    refused("", &["bad.csv", "line 1", "allowed", "timestamp,value"]);
    refused("a,b\n", &["line 1", "`a,b`"]);
    let head = "epoch,value,anomaly\n";
    refused(
        &format!("{head}5,1,0\n6,x,0\n"),
        &["line 3", "`value`", "`x`", "finite"],
    );
    refused(&format!("{head}5,inf,0\n"), &["line 2", "`inf`", "finite"]);
    refused(
        &format!("{head}yesterday,1,0\n"),
        &["line 2", "`yesterday`", "epoch"],
    );
    refused(
        &format!("{head}5,1,2\n"),
        &["line 2", "`anomaly`", "`2`", "0, 1"],
    );
    refused(
        &format!("{head}5,1\n"),
        &["line 2", "found 2 fields, expected 3"],
    );
    refused(
        &format!("{head}5,1,0\n6,1,0\n"),
        &["2 samples are too few", "warm-up"],
    );
}

#[test]
fn bad_arguments_are_refused_with_what_is_known() {
    let folder = corpus();
    let directory = text(folder.path());
    refused_run(
        &["detect", "run", directory, "--detector", "oracle"],
        &[
            "unknown detector `oracle`",
            "ensemble",
            "prestage list detectors",
        ],
    );
    refused_run(
        &["detect", "run", directory, "--threshold", "2"],
        &["up to 1"],
    );
    refused_run(
        &["detect", "run", "/no/such/file.csv"],
        &["cannot read", "file.csv"],
    );
    refused_run(
        &["detect", "bench", text(&folder.path().join("data"))],
        &["labels"],
    );
    let empty = tempfile::tempdir().unwrap();
    refused_run(
        &["detect", "bench", text(empty.path())],
        &["holds no series"],
    );
    let labels = r#"{"made/a.csv": [["1400000000", "1400000001"]]}"#;
    std::fs::write(folder.path().join("combined_windows.json"), labels).unwrap();
    refused_run(
        &["detect", "bench", directory],
        &[
            "combined_windows.json",
            "window 1 of `made/a.csv`",
            "1400000001",
        ],
    );
    std::fs::write(folder.path().join("combined_windows.json"), "[3").unwrap();
    refused_run(
        &["detect", "bench", directory],
        &["combined_windows.json", "allowed"],
    );
}

#[test]
fn the_default_detector_beats_the_published_ones_on_the_numenta_benchmark() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/anomaly/nab");
    if !directory.is_dir() {
        println!("skipped: there is no ../shared/data/anomaly/nab");
        return;
    }
    let corpus = Corpus::read(&directory).unwrap();
    let scores = bench(&[&DETECTORS[0]], Some(&corpus), &[]).unwrap();
    let standard = &scores.detectors[0].nab[0];
    assert_eq!(standard.tuned.windows, 116);
    // The best published on the benchmark's scoreboard, ARTime.
    assert!(standard.fixed.score > 74.9, "{standard:?}");
}
