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
    for row in rows(&out.join("headroom.csv")) {
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
    let rows = rows(&out.join("prices.csv"));
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

/// A recorded small world of fifteen days.
fn record(folder: &Path, seed: &str) {
    let mut args = vec![
        "simulate",
        "demo",
        "--seed",
        seed,
        "--out",
        text(folder),
        "--set",
        "history_days=7",
    ];
    for set in ["days=15", "services.count=1", "traffic.burst_factor=2.5"] {
        args.extend(["--set", set]);
    }
    stdout_of(&args);
}

type Row = std::collections::BTreeMap<String, String>;

fn rows(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn number(row: &Row, key: &str) -> f64 {
    row[key]
        .parse()
        .unwrap_or_else(|_| panic!("`{key}` of {row:?}"))
}

#[test]
fn an_experiment_replays_histories_with_the_arms_of_a_family() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = folder.path().join("recorded");
    for (name, seed) in [("first", "2"), ("second", "3")] {
        record(&recorded.join(name), seed);
    }
    let experiment = folder.path().join("experiment");
    let with_replay = EXPERIMENT.replace(
        "\n[tune]",
        "\n[replay]\nhistories = [\"first\", \"second\"]\narms_of = \"stationary\"\nsweep = true\n\n[tune]",
    );
    write(
        &experiment,
        &with_replay
            .replace(", \"flash-burst\"", "")
            .replace("\"static-all-families\", ", ""),
    );
    let out = folder.path().join("out");
    let histories = ["--histories", text(&recorded)];
    let table = run_experiment(&experiment, &out, &histories);
    assert!(table.contains("recorded histories"), "{table}");
    let files = [
        "histories.csv",
        "hit-rates.csv",
        "orders.csv",
        "report.html",
    ];
    let first_time = files.map(|file| read(&out.join(file)));
    run_experiment(
        &experiment,
        &out,
        &[&histories[..], &["--threads", "1"]].concat(),
    );
    assert_eq!(files.map(|file| read(&out.join(file))), first_time);

    check_histories(&out);
    check_orders(&out);
    check_against_replay(&recorded.join("second"), &out);
    let page = read(&out.join("report.html"));
    assert!(page.contains("<h2>Recorded histories</h2>") && page.contains("tau-b"));
    assert!(out.join("first/report.html").exists());
}

/// No arm costs less than the bound, and the corrected p is never the smaller one.
fn check_histories(out: &Path) {
    let rows = rows(&out.join("histories.csv"));
    for history in ["first", "second"] {
        let of = |row: &&Row| row["history"] == history;
        let (bounds, arms): (Vec<&Row>, Vec<&Row>) = rows
            .iter()
            .filter(of)
            .partition(|row| row["arm"] == "clairvoyant");
        let [bound] = bounds[..] else {
            panic!("{bounds:?}")
        };
        assert!(arms.len() > 10, "{}", arms.len());
        assert_eq!(
            (arms[0]["class"].as_str(), arms[0]["p_value"].as_str()),
            ("static", "")
        );
        for arm in &arms {
            assert!(
                number(arm, "cost_usd") >= number(bound, "cost_usd"),
                "{arm:?}"
            );
        }
        for arm in &arms[1..] {
            let saved = number(arm, "saved_share") * number(arms[0], "cost_usd");
            assert!(
                (saved + number(arm, "vs_static_usd")).abs() < 1e-6,
                "{arm:?}"
            );
            assert!(number(arm, "p_holm") >= number(arm, "p_value"), "{arm:?}");
        }
    }
}

/// tau-b is that of the costs in the two tables.
fn check_orders(out: &Path) {
    let (ladder, histories) = (
        rows(&out.join("ladder.csv")),
        rows(&out.join("histories.csv")),
    );
    for order in rows(&out.join("orders.csv")) {
        let here = histories
            .iter()
            .filter(|row| row["history"] == order["history"] && row["arm"] != "clairvoyant");
        let costs = here.map(|row| {
            let rung = ladder
                .iter()
                .find(|rung| rung["arm"] == row["arm"])
                .unwrap();
            (number(rung, "cost_usd_per_day"), number(row, "cost_usd"))
        });
        let (simulated, replayed): (Vec<f64>, Vec<f64>) = costs.unzip();
        assert_eq!(order["arms"], replayed.len().to_string());
        let tau = prestage::agreement::kendall::Pairs::of(&simulated, &replayed).tau_b();
        assert!((tau.unwrap() - number(&order, "tau_b")).abs() < 1e-12);
    }
}

/// The same as replaying one history by itself.
fn check_against_replay(history: &Path, out: &Path) {
    let arms = out.join("stationary");
    let printed = stdout_of(&[
        "replay",
        text(history),
        "--arms",
        text(&arms),
        "--sweep",
        "--format",
        "json",
    ]);
    let alone: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let name = "second";
    let rows = rows(&out.join("histories.csv"));
    let rates = read(&out.join("hit-rates.csv"));
    let mut swept = 0;
    for arm in alone["arms"].as_array().unwrap() {
        let is_same = |row: &&Row| row["history"] == name && arm["arm"] == row["arm"];
        let row = rows.iter().find(is_same).unwrap();
        assert_eq!(arm["cost_usd"], number(row, "cost_usd"));
        assert_eq!(arm["waste"], row["waste"].parse::<u64>().unwrap());
        swept += arm["at_hit_rate"].as_array().map_or(0, Vec::len);
    }
    assert!(swept > 0);
    assert_eq!(
        rates
            .lines()
            .filter(|line| line.starts_with(&format!("{name},")))
            .count(),
        swept
    );
}

#[test]
fn histories_are_left_out_with_a_reason_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("experiment");
    let small = EXPERIMENT
        .replace(", \"flash-burst\"", "")
        .replace("\"static-all-families\", \"linear\", \"privileged\"", "");
    let replay = "\n[replay]\nhistories = [\"first\"]\narms_of = \"stationary\"\n\n[tune]";
    write(&experiment, &small.replace("\n[tune]", replay));
    let out = folder.path().join("out");
    let args = ["run", text(&experiment), "--out", text(&out)];
    let said = |more: &[&str], code: i32| {
        let output = run(&[&args[..], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    };
    let absent = said(&["--histories", text(folder.path())], 2);
    assert!(
        absent.contains("names `first`, but there is no folder"),
        "{absent}"
    );
    assert!(!out.exists(), "refused before anything is tuned");
    let left_out = said(&[], 0);
    assert!(
        left_out.contains("not replayed: first (--histories DIR"),
        "{left_out}"
    );
    assert!(!out.join("histories.csv").exists());

    write(&experiment, &small);
    let unasked = said(&["--histories", text(folder.path())], 2);
    assert!(unasked.contains("no table `replay`"), "{unasked}");
}
