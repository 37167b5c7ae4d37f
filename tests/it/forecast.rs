//! `prestage forecast`: its output, its independence of threads, its refusals, and what the default
//! is worth on recorded worlds where they lie beside the clone.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{run, stdout_of, text};

/// Hours of a load with a daily rhythm and noise without a generator.
fn write_hours(path: &Path, hours: usize) {
    let mut csv = String::from("epoch,value\n");
    for hour in 0..hours {
        let phase = (hour % 24) as f64 / 24.0 * std::f64::consts::TAU;
        let noise = (hour * hour * 7_919 % 1_009) as f64 / 1_009.0;
        let value = 100.0 + 30.0 * phase.sin() + 20.0 * noise;
        writeln!(csv, "{},{value}", 1_700_006_400 + hour * 3_600).unwrap();
    }
    std::fs::write(path, csv).unwrap();
}

fn two_files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_hours(&folder.path().join("a.csv"), 24 * 20);
    write_hours(&folder.path().join("b.csv"), 24 * 30);
    folder
}

fn backtest(args: &[&str]) -> Value {
    let fixed = ["forecast", "backtest", "--format", "json"];
    serde_json::from_str(&stdout_of(&[&fixed[..], args].concat())).unwrap()
}

#[test]
fn the_default_beats_seasonal_naive_whatever_the_threads() {
    let folder = two_files();
    let one = backtest(&[text(folder.path()), "--step", "1h", "--threads", "1"]);
    let two = backtest(&[text(folder.path()), "--step", "1h", "--threads", "2"]);
    assert_eq!(one, two);
    assert_eq!(one["series"], 2);
    assert_eq!(one["models"].as_array().unwrap().len(), 8);
    assert_eq!(one["models"][0]["name"], "ensemble");
    let ratio = one["relative_mase"].as_f64().unwrap();
    // Uniform noise: seasonal naive errs by a third of its range, the best by a quarter.
    assert!((0.6..0.9).contains(&ratio), "{ratio}");
    let covered = one["coverage90"].as_f64().unwrap();
    assert!((0.8..0.97).contains(&covered), "{covered}");
}

#[test]
fn baselines_stand_beside_a_chosen_model() {
    let folder = two_files();
    let file = folder.path().join("a.csv");
    let args = [
        "forecast",
        "backtest",
        text(&file),
        "--model",
        "theta",
        "--format",
        "csv",
    ];
    let printed = stdout_of(&args);
    let names: Vec<&str> = printed
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(2))
        .collect();
    assert_eq!(names, ["theta", "seasonal-naive", "persistence"]);
}

#[test]
fn a_folder_holds_the_page_the_figures_and_every_series() {
    let (folder, results) = (two_files(), tempfile::tempdir().unwrap());
    let out = results.path().join("out");
    let args = [
        "forecast",
        "backtest",
        text(folder.path()),
        "--step",
        "1h",
        "--model",
        "theta",
        "--out",
        text(&out),
    ];
    let again = results.path().join("again");
    stdout_of(&args);
    stdout_of(&[&args[..8], &[text(&again), "--threads", "1"]].concat());
    let read = |file: &str| std::fs::read_to_string(out.join(file)).unwrap();
    let page = read("index.html");
    assert!(page.contains("seasonal-naive") && page.contains("Steps of 3600 s, 24 ahead"));
    assert!(!page.contains("<script") && !page.contains("NaN"));
    // Two series, three forecasters and the header.
    assert_eq!(read("series.csv").lines().count(), 7);
    let whole: Value = serde_json::from_str(&read("backtest.json")).unwrap();
    assert!(whole["models"][0]["scaled_crps"].as_f64().unwrap() > 0.0);
    let drawn: &[&str] = if cfg!(feature = "plots") {
        &["fans", "skill", "coverage", "pit"]
    } else {
        &[]
    };
    for name in drawn {
        let svg = read(&format!("figures/{name}.svg"));
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{name}");
        let other = std::fs::read_to_string(again.join(format!("figures/{name}.svg"))).unwrap();
        assert_eq!(svg, other, "{name} depends on the number of threads");
    }
    assert!(
        !out.join("figures/reliability.svg").exists(),
        "there are no events"
    );
}

#[test]
fn what_cannot_be_backtested_is_refused_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("short.csv");
    write_hours(&file, 30);
    let output = run(&["forecast", "backtest", text(&file)]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("long enough") && stderr.contains("--step"),
        "{stderr}"
    );

    let output = run(&["forecast", "backtest", text(&file), "--model", "thet"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("unknown forecaster `thet` (known: ensemble"),
        "{stderr}"
    );
}

/// The recorded worlds, if they are there.
fn worlds() -> Option<Vec<PathBuf>> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/worlds");
    let Ok(entries) = std::fs::read_dir(&shared) else {
        eprintln!("skipped: no `{}`", shared.display());
        return None;
    };
    let mut worlds: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    worlds.sort();
    Some(worlds)
}

#[test]
fn the_default_keeps_its_promise_on_recorded_worlds() {
    let Some(worlds) = worlds() else { return };
    let mut args: Vec<&str> = worlds.iter().map(|world| text(world)).collect();
    args.extend(["--model", "ensemble", "--origins", "20"]);
    let found = backtest(&args);
    for task in found["tasks"].as_array().unwrap() {
        let figure = |key: &str| task[key].as_f64().unwrap();
        assert!(
            figure("relative_mase") <= 0.8,
            "{}",
            figure("relative_mase")
        );
        assert!(
            figure("relative_crps") <= 0.6,
            "{}",
            figure("relative_crps")
        );
        let covered = figure("coverage90");
        assert!((0.85..0.95).contains(&covered), "{covered}");
    }
}

/// Releases of a package every six weeks, two days early or late, with a patch now and then.
fn write_train(path: &Path) {
    let mut csv = String::from("tag_epoch,ecosystem,package,component,version,prerelease\n");
    for minor in 0..60_i64 {
        let jitter = minor * minor * 7_919 % 1_009 % 5 - 2;
        let day = minor * 42 + jitter;
        writeln!(
            csv,
            "{},go,example.org/a,,1.{minor}.0,0",
            1_500_000_000 + day * 86_400
        )
        .unwrap();
        if minor % 3 == 0 {
            let at = 1_500_000_000 + (day + 11) * 86_400;
            writeln!(csv, "{at},go,example.org/a,,1.{minor}.1,0").unwrap();
        }
    }
    std::fs::write(path, csv).unwrap();
}

#[test]
fn a_table_of_releases_is_judged_stream_by_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("releases.csv");
    write_train(&path);
    let args = [
        "forecast",
        "backtest",
        text(&path),
        "--table",
        "streams",
        "--event-horizon",
        "7d",
    ];
    let csv = stdout_of(&[&args[..], &["--format", "csv"]].concat());
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(
        rows.len(),
        1 + 2 * 2,
        "two models on all releases and on lines: {csv}"
    );
    assert!(
        rows[0].ends_with("vs_poisson_lower,vs_poisson_upper,verdict"),
        "{csv}"
    );
    let judged = |start: &str| {
        rows.iter()
            .find(|row| row.starts_with(start))
            .unwrap()
            .to_string()
    };
    let lines = judged("upstream_release,upstream-mixture,example.org/a/lines,");
    assert!(lines.ends_with(",better than the rate"), "{lines}");
    let found: Value =
        serde_json::from_str(&stdout_of(&[&args[..], &["--format", "json"]].concat())).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 4);
    assert!(
        found[0]["vs_poisson_lower"].as_f64().unwrap() > 0.0,
        "{found}"
    );
}

#[test]
fn need_models_of_events_beat_both_baselines_on_recorded_worlds() {
    let Some(worlds) = worlds() else { return };
    let mut args: Vec<&str> = worlds.iter().map(|world| text(world)).collect();
    args.extend([
        "--step",
        "1d",
        "--model",
        "seasonal-naive",
        "--origins",
        "1",
    ]);
    let found = backtest(&args);
    let events = found["events"].as_array().unwrap();
    for name in [
        "release-mixture",
        "dependency-mixture",
        "robust-holt",
        "suite-mixture",
    ] {
        let event = events.iter().find(|event| event["model"] == name).unwrap();
        for rival in ["vs_histogram_interval", "vs_poisson_interval"] {
            let lower = event[rival][0].as_f64().unwrap();
            assert!(lower > 0.0, "{name}, {rival}: {lower}");
        }
        let figure = |key: &str| event[key].as_f64().unwrap();
        assert!(figure("ece") <= 0.03, "{name}: {}", figure("ece"));
        let verdicts = event["verdicts"].as_array().unwrap();
        assert_eq!(verdicts.len() as f64, figure("streams"), "{name}");
        let better = verdicts.iter().filter(|one| {
            let text = one["verdict"].as_str().unwrap();
            text.starts_with("better")
        });
        assert_eq!(
            better.count(),
            event["predictable"].as_array().unwrap().len()
        );
        // Better than to say the frequency every time, whose Brier score is its variance.
        let frequency = figure("frequency");
        assert!(figure("brier") < frequency * (1.0 - frequency), "{name}");
        let bins: Vec<[f64; 2]> = serde_json::from_value(event["reliability"].clone()).unwrap();
        let off = bins.iter().map(|[said, found]| (said - found).abs());
        let mean = off.sum::<f64>() / bins.len() as f64;
        assert!((mean - figure("ece")).abs() < 1e-9, "{name}: {mean}");
    }
}
