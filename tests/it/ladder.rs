//! `prestage run` and `prestage headroom`: the ladder end to end, on small worlds.
use std::path::Path;

use crate::{run, stdout_of, text};

const EXPERIMENT: &str = r#"
question = "does it run?"
families = ["stationary", "flash-burst"]
arms = ["static-all-families", "linear", "privileged"]
set = ["days=3", "history_days=3", "services.count=1"]

[tune]
candidates = 10
seeds = 1
finalists = 2
fresh_seeds = 1

[eval]
scenarios = 4
validation = 2
"#;

fn run_experiment(experiment: &Path, out: &Path, more: &[&str]) -> String {
    let args = ["run", text(experiment), "--out", text(out)];
    stdout_of(&[&args[..], more].concat())
}

fn write(folder: &Path, experiment: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("experiment.toml"), experiment).unwrap();
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn an_experiment_goes_on_after_a_kill_and_does_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("experiment");
    write(&experiment, EXPERIMENT);
    let (whole, resumed) = (folder.path().join("whole"), folder.path().join("resumed"));
    let table = run_experiment(&experiment, &whole, &["--threads", "2"]);
    assert!(table.contains("stationary") && table.contains("flash-burst"));

    // As a kill leaves it: one family done, of the other the static policy only.
    run_experiment(
        &experiment,
        &resumed,
        &["--threads", "1", "--family", "stationary"],
    );
    std::fs::create_dir(resumed.join("flash-burst")).unwrap();
    for file in ["config.toml", "tuned.json"] {
        let from = whole.join("flash-burst").join(file);
        std::fs::copy(from, resumed.join("flash-burst").join(file)).unwrap();
    }
    assert_eq!(
        run_experiment(&experiment, &resumed, &["--threads", "1"]),
        table
    );
    for file in [
        "ladder.csv",
        "headroom.csv",
        "overall.csv",
        "prices.csv",
        "report.html",
        "static-all-families.json",
        "stationary/results.csv",
        "stationary/costs.csv",
        "flash-burst/results.csv",
        "flash-burst/validation.json",
        "flash-burst/arms/linear.json",
    ] {
        assert_eq!(read(&whole.join(file)), read(&resumed.join(file)), "{file}");
    }
    check_prices(&whole);
    check_all_families(&whole);
    check_best_static(&whole);
    // The finished family was not looked at again.
    let openings = read(&resumed.join("stationary/openings.jsonl"));
    assert_eq!(openings.lines().count(), 1, "{openings}");
    let opening: serde_json::Value = serde_json::from_str(&openings).unwrap();
    assert_eq!(opening["scenarios"], 4);
    assert_eq!(opening["config_blake3"].as_str().unwrap().len(), 64);
}

/// What a replay compares with is what the ladder does.
fn check_best_static(out: &Path) {
    let mut reader = csv::Reader::from_path(out.join("headroom.csv")).unwrap();
    for row in reader.deserialize() {
        let row: std::collections::BTreeMap<String, String> = row.unwrap();
        let found = prestage::ladder::best_static(&out.join(&row["family"])).unwrap();
        assert_eq!(found, row["static_arm"]);
    }
}

/// One set of constants, found for both families together: twice the days of an arm of one.
fn check_all_families(out: &Path) {
    let json =
        |path: &str| -> serde_json::Value { serde_json::from_str(&read(&out.join(path))).unwrap() };
    let both = json("static-all-families.json");
    for family in ["stationary", "flash-burst"] {
        let of_family = json(&format!("{family}/arms/static-all-families.json"));
        assert_eq!(of_family["parameters"], both["parameters"]);
        let linear = json(&format!("{family}/arms/linear.json"));
        let days = |arm: &serde_json::Value| arm["simulated_days"].as_u64().unwrap();
        assert_eq!(days(&both), 2 * days(&linear));
        let results = read(&out.join(family).join("results.csv"));
        assert!(results.contains("\nstatic-all-families,"), "{family}");
    }
}

/// The terms of the scenario's own prices sum up to what `results.csv` has, and dearer people make
/// waiting exactly three times as dear.
fn check_prices(out: &Path) {
    let mut reader = csv::Reader::from_path(out.join("prices.csv")).unwrap();
    let rows: Vec<std::collections::BTreeMap<String, String>> =
        reader.deserialize().map(|row| row.unwrap()).collect();
    let number = |row: &std::collections::BTreeMap<String, String>, key: &str| -> f64 {
        row[key].parse().unwrap()
    };
    let of = |book: &str| {
        rows.iter()
            .find(|row| row["arm"] == "reactive" && row["price_book"] == book)
            .unwrap()
    };
    let (own, people) = (of("own"), of("people-dear"));
    assert!(number(own, "blocked_usd") > 0.0);
    let ratio = number(people, "blocked_usd") / number(own, "blocked_usd");
    assert!((ratio - 3.0).abs() < 1e-9, "{ratio}");
    let results = prestage::run_folder::read_results(&out.join(&own["family"])).unwrap();
    let days = 3.0 * 4.0;
    let cost: f64 = results
        .iter()
        .filter(|row| row.arm == "reactive")
        .map(|row| row.cost_usd / days)
        .sum();
    assert!((number(own, "cost_usd") - cost).abs() < 1e-6 * cost);
}

#[test]
fn a_folder_takes_more_arms_and_refuses_another_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("experiment");
    let small = EXPERIMENT
        .replace("\"stationary\", ", "")
        .replace("\"static-all-families\", \"linear\", \"privileged\"", "");
    write(&experiment, &small);
    let out = folder.path().join("out");
    run_experiment(&experiment, &out, &[]);
    // One more arm is compared with those that are there, not left out.
    write(
        &experiment,
        &small.replace("arms = []", "arms = [\"linear\"]"),
    );
    run_experiment(&experiment, &out, &[]);
    let results = read(&out.join("flash-burst/results.csv"));
    assert!(results.contains("\nlinear,") && results.contains("\nstatic-tuned,"));

    write(
        &experiment,
        &small.replace("scenarios = 4", "scenarios = 5"),
    );
    let output = run(&["run", text(&experiment), "--out", text(&out)]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("another configuration") && said.contains("hint:"),
        "{said}"
    );
}

#[test]
fn headroom_is_one_object_of_costs_and_a_verdict() {
    let mut args = vec!["headroom", "stationary", "--format", "json"];
    for set in [
        "days=3",
        "history_days=3",
        "services.count=1",
        "tune.candidates=10",
        "tune.seeds=1",
        "tune.finalists=2",
        "tune.fresh_seeds=1",
        "eval.scenarios=4",
        "eval.validation=2",
    ] {
        args.extend(["--set", set]);
    }
    let found: serde_json::Value = serde_json::from_str(&stdout_of(&args)).unwrap();
    assert_eq!(found["family"], "stationary");
    for key in ["static", "adaptive", "privileged"] {
        assert!(found[key].as_f64().unwrap() > 0.0, "{key}: {found}");
    }
    // A control: foresight of releases can be charged, which makes the bound tighter.
    let [clairvoyant, penalized] =
        ["clairvoyant", "penalized"].map(|key| found[key].as_f64().unwrap());
    assert!(clairvoyant < penalized, "{clairvoyant} {penalized}");
    let headroom = |key: &str| found["headroom"][key].as_f64().unwrap();
    assert!(headroom("low") <= headroom("mean") && headroom("mean") <= headroom("high"));
    let saved = 1.0 - found["privileged"].as_f64().unwrap() / found["static"].as_f64().unwrap();
    assert!((saved - headroom("mean")).abs() < 1e-9);
    assert!(found["verdict"].as_str().unwrap().len() > 10);
}
