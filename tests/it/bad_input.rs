//! Whatever is wrong with the input is said, with its place and the next action,
//! under the right exit code: 2 for input, 3 for the outside world.
use std::path::{Path, PathBuf};

use prestage::compare::setting;
use prestage::scenarios;
use prestage_controller::{KnobCenters, action_space, layout};
use prestage_policy::{Artifact, Dense, Normalizer, Notes, TrainedActor};
use prestage_world::to_history;
use serde_json::json;
use tempfile::TempDir;

use crate::{run, stdout_of, text};

/// The user's input or command line.
const INPUT: i32 = 2;
/// Disk, network, permissions.
const OUTSIDE: i32 = 3;

/// Runs a command that must be refused with `code` and a message that holds every
/// one of `fragments`.
#[track_caller]
fn refused(args: &[&str], code: i32, fragments: &[&str]) {
    let output = run(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    for fragment in fragments {
        assert!(
            stderr.contains(fragment),
            "{args:?}: `{fragment}` is missing in: {stderr}"
        );
    }
    assert!(
        output.stdout.is_empty(),
        "{args:?}: a refusal printed results"
    );
}

#[track_caller]
fn absent(path: &Path) {
    assert!(!path.exists(), "`{}` was left behind", path.display());
}

/// A scenario file with `more` after line 4.
fn scenario(folder: &TempDir, more: &str) -> PathBuf {
    let path = folder.path().join("s.toml");
    let head = "format_version = 1\nname = \"s\"\nfamily = \"test\"\nabout = \"a test\"\n";
    std::fs::write(&path, format!("{head}{more}\n")).unwrap();
    path
}

#[test]
fn scenarios_are_refused_with_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let table: &[(&str, &[&str])] = &[
        ("dayz = 3", &["line 5", "dayz", "`days`"]),
        ("days = \"x\"", &["line 5", "days", "string \"x\"", "u32"]),
        ("days = -2", &["line 5", "days", "-2"]),
        ("days = 0", &["line 5", "`days` is 0", "1 to 3660"]),
        (
            "[traffic]\nbase_rps = nan",
            &["line 6", "`traffic.base_rps` is NaN", "allowed"],
        ),
        (
            "[traffic]\nbase_rps = -1.0",
            &["line 6", "`traffic.base_rps` is -1", "allowed"],
        ),
        (
            "[services]\ntiers = []",
            &["services.tiers", "is 0", "allowed"],
        ),
        (
            "[services]\ntiers = [1, 7]",
            &["line 6", "`services.tiers` is 7", "1 to 3"],
        ),
        (
            "[runners]\ncount = 0",
            &["line 6", "`runners.count` is 0", "allowed"],
        ),
        ("[runners]\ncuont = 1", &["line 6", "cuont", "`count`"]),
        (
            "price_book = \"cheap\"",
            &["line 5", "price_book", "cheap", "people-dear"],
        ),
        ("days =", &["line 5"]),
    ];
    for (more, fragments) in table {
        let file = scenario(&folder, more);
        let out = folder.path().join("out");
        let args = ["simulate", text(&file), "--out", text(&out)];
        let with_file: Vec<&str> = fragments.iter().copied().chain([text(&file)]).collect();
        refused(&args, INPUT, &with_file);
        absent(&out);
    }
}

#[test]
fn scenarios_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    refused(
        &["simulate", "no-such"],
        INPUT,
        &["no scenario `no-such`", "hint:", "demo"],
    );
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, [0x61, 0xff, 0x0a]).unwrap();
    refused(
        &["simulate", text(&binary)],
        INPUT,
        &[text(&binary), "UTF-8"],
    );
    refused(
        &["simulate", text(folder.path())],
        INPUT,
        &[text(folder.path())],
    );
}

#[test]
fn settings_are_refused_with_a_suggestion() {
    let table: &[(&str, &[&str])] = &[
        (
            "servces.count=9",
            &["`servces.count=9`", "did you mean `services`?"],
        ),
        (
            "services.cuont=9",
            &["services.cuont", "did you mean `services.count`?"],
        ),
        ("days", &["has no `=`", "hint: write --set key.path=value"]),
        ("days=many", &["`days=many`", "hint:"]),
        ("days.more=1", &["`days` is a value", "hint:"]),
        ("days=0", &["`days` is 0", "1 to 3660"]),
    ];
    for (set, fragments) in table {
        refused(&["simulate", "demo", "--set", set], INPUT, fragments);
    }
    refused(
        &["simulate", "demo", "--sede", "3"],
        INPUT,
        &["--sede", "--seed"],
    );
    refused(&["simulate", "demo", "--seed", "x"], INPUT, &["--seed"]);
    refused(
        &["simulate", "demo", "--arm", "alwys"],
        INPUT,
        &["no arm `alwys`", "always", "hint: `prestage list arms`"],
    );
    refused(&["list", "planets"], INPUT, &["planets", "forecasters"]);
}

#[cfg(feature = "train")]
#[test]
fn budgets_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let table: &[(&str, &[&str])] = &[
        (
            "tune.candidats=3",
            &["`tune.candidats=3`", "did you mean `tune.candidates`?"],
        ),
        (
            "train.sedes=3",
            &["train.sedes", "did you mean `train.seeds`?"],
        ),
        ("tune.candidates=many", &["tune.candidates=many", "usize"]),
        (
            "tune.candidates",
            &["tune.candidates", "has no `=`", "--set train.seeds=3"],
        ),
        ("train.seeds=0", &["`train.seeds` is 0", "1 to 100000"]),
        ("train.seeds=-1", &["train.seeds=-1"]),
        ("train.ppo.batch_sise=3", &["batch_sise", "batch_size"]),
        ("train.ppo.batch_size=7", &["`batch_size` is 7", "n_steps"]),
        (
            "train.ppo.learning_rate=nan",
            &["learning_rate", "nan", "finite"],
        ),
        (
            "train.ppo.n_steps=many",
            &["train.ppo.n_steps", "many", "usize"],
        ),
        ("train.ppo.seed=4", &["`train.ppo.seed`", "--seed"]),
        ("train.ppo.total_steps=1", &["total_steps"]),
    ];
    for (set, fragments) in table {
        refused(
            &["train", "demo", "--set", set, "--out", text(&out)],
            INPUT,
            fragments,
        );
        absent(&out);
    }
}

/// A small history that can be replayed.
fn history() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let overrides = ["days=3", "history_days=4", "services.count=1"].map(str::to_owned);
    let setting = setting(&scenarios::load("demo", &overrides).unwrap(), 1);
    to_history(&setting.record, "req/s")
        .write(&folder.path().join("history"))
        .unwrap();
    folder
}

/// Damages one file of a good history; its replay must be refused, naming the file.
#[track_caller]
fn damaged(file: &str, damage: impl FnOnce(&str) -> Vec<u8>, fragments: &[&str]) {
    let folder = history();
    let directory = folder.path().join("history");
    let path = directory.join(file);
    let good = std::fs::read_to_string(&path).unwrap();
    let bad = damage(&good);
    assert_ne!(good.as_bytes(), bad, "nothing is damaged");
    std::fs::write(&path, bad).unwrap();
    let pipelines = folder.path().join("p.git");
    let args = ["replay", text(&directory), "--pipelines", text(&pipelines)];
    let with_file: Vec<&str> = fragments.iter().copied().chain([text(&path)]).collect();
    refused(&args, INPUT, &with_file);
    absent(&pipelines);
}

fn swapped(text: &str, first: usize, second: usize) -> Vec<u8> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(first, second);
    format!("{}\n", lines.join("\n")).into_bytes()
}

#[test]
fn histories_are_refused_with_file_and_line() {
    damaged(
        "commits.csv",
        |text| text.as_bytes()[..text.len() - 5].to_vec(),
        &["ends in the middle of a row", "hint:"],
    );
    damaged(
        "commits.csv",
        |text| swapped(text, 1, 20),
        &["line ", "commit_epoch", "hint:"],
    );
    damaged(
        "releases.csv",
        |text| {
            let mut bytes = text.as_bytes().to_vec();
            let at = text.rfind("minor").unwrap();
            bytes[at] = 0xff;
            bytes
        },
        &["not UTF-8", "line ", "byte ", "hint:"],
    );
    damaged(
        "traffic.csv",
        |text| text.replacen("epoch,", "epohc,", 1).into_bytes(),
        &["line 1, column 1", "`epohc`", "`epoch`"],
    );
    damaged(
        "traffic.csv",
        |text| last_value(text, "NaN"),
        &["line ", "`value`", "NaN"],
    );
    damaged(
        "traffic.csv",
        |text| last_value(text, "many"),
        &["line ", "`value`", "many"],
    );
    damaged(
        "ci_runs.csv",
        |text| format!("{text}1,2\n").into_bytes(),
        &["line ", "fields"],
    );
    damaged("ci_runs.csv", |_| Vec::new(), &["line 1"]);
    damaged(
        "world.json",
        |text| text.replacen("\"world\"", "\"wrold\"", 1).into_bytes(),
        &["wrold", "line "],
    );
    damaged("world.json", |_| b"{".to_vec(), &["line "]);
}

/// Replaces the value of the last traffic row.
fn last_value(text: &str, value: &str) -> Vec<u8> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = lines.last_mut().unwrap();
    let mut fields: Vec<&str> = last.split(',').collect();
    // epoch,orig_epoch,service,metric,value,anomaly
    fields[4] = value;
    *last = fields.join(",");
    format!("{}\n", lines.join("\n")).into_bytes()
}

#[test]
fn histories_with_missing_parts_are_refused() {
    let folder = history();
    let directory = folder.path().join("history");
    let nowhere = folder.path().join("nowhere");
    refused(
        &["replay", text(&nowhere)],
        INPUT,
        &[text(&nowhere), "not a directory"],
    );
    refused(
        &["replay", text(&directory), "--skip-days", "999"],
        INPUT,
        &["--skip-days 999", "hint: skip fewer days"],
    );
    stdout_of(&["replay", text(&directory), "--days", "1"]);
    std::fs::remove_file(directory.join("deps.csv")).unwrap();
    refused(
        &["replay", text(&directory)],
        INPUT,
        &[text(&directory), "no `deps.csv`", "hint:"],
    );
}

/// A policy that was never trained, as an artifact.
fn artifact(directory: &Path) {
    let (layout, action) = (layout(), action_space());
    let (n_in, n_out) = (layout.len(), action.n_logits());
    let weight: Vec<f32> = (0..n_in * n_out).map(|i| (i % 13) as f32 * 0.01).collect();
    let actor = TrainedActor {
        normalizer: Normalizer::identity(n_in, layout.clip),
        layers: vec![Dense::new(n_in, vec![0.0; n_out], weight).unwrap()],
        layout,
        action,
    };
    let notes = Notes {
        controller: json!({ "centers": KnobCenters::default() }),
        provenance: json!({}),
        evaluation: json!(null),
    };
    Artifact::new(actor, notes)
        .unwrap()
        .write(directory)
        .unwrap();
}

fn with_policy(directory: &Path) -> Vec<&str> {
    let mut args = vec!["simulate", "demo", "--policy", text(directory)];
    for set in ["days=1", "history_days=1", "services.count=1"] {
        args.extend(["--set", set]);
    }
    args
}

/// Damages a file of a good artifact; loading it must be refused, naming the file.
#[track_caller]
fn damaged_artifact(file: &str, damage: impl FnOnce(Vec<u8>) -> Vec<u8>, fragments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("policy");
    artifact(&directory);
    let path = directory.join(file);
    let bad = damage(std::fs::read(&path).unwrap());
    std::fs::write(&path, bad).unwrap();
    let with_file: Vec<&str> = fragments.iter().copied().chain([text(&path)]).collect();
    refused(&with_policy(&directory), INPUT, &with_file);
}

#[test]
fn damaged_artifacts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("policy");
    artifact(&good);
    stdout_of(&with_policy(&good));

    let flip = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let replace = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from), "`{from}` is not in the file");
            text.replacen(from, to, 1).into_bytes()
        }
    };
    damaged_artifact("policy.safetensors", flip, &["hint:"]);
    damaged_artifact("golden.json", flip, &["hint:"]);
    damaged_artifact(
        "manifest.json",
        |bytes| bytes[..bytes.len() / 2].to_vec(),
        &["hint:"],
    );
    damaged_artifact("manifest.json", |_| Vec::new(), &["hint:"]);
    damaged_artifact(
        "manifest.json",
        replace("\"format_version\": 1", "\"format_version\": 2"),
        &["`format_version` is 2", "hint:"],
    );
    damaged_artifact(
        "manifest.json",
        replace("\"version\": ", "\"version\": 9"),
        &["hint:"],
    );
    damaged_artifact(
        "policy.safetensors",
        |bytes| bytes[..8].to_vec(),
        &["hint:"],
    );

    for file in ["manifest.json", "policy.safetensors", "golden.json"] {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("policy");
        artifact(&directory);
        std::fs::remove_file(directory.join(file)).unwrap();
        refused(
            &with_policy(&directory),
            INPUT,
            &[file, "no such file", "hint:"],
        );
    }
    let nowhere = folder.path().join("nowhere");
    refused(&with_policy(&nowhere), INPUT, &[text(&nowhere), "hint:"]);
}

#[test]
fn a_policy_that_sees_other_fields_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("policy");
    let (mut layout, action) = (layout(), action_space());
    layout.version += 1;
    let (n_in, n_out) = (layout.len(), action.n_logits());
    let actor = TrainedActor {
        normalizer: Normalizer::identity(n_in, layout.clip),
        layers: vec![Dense::new(n_in, vec![0.0; n_out], vec![0.0; n_in * n_out]).unwrap()],
        layout,
        action,
    };
    let notes = Notes {
        controller: json!({}),
        provenance: json!({}),
        evaluation: json!(null),
    };
    Artifact::new(actor, notes)
        .unwrap()
        .write(&directory)
        .unwrap();
    refused(
        &with_policy(&directory),
        INPUT,
        &[text(&directory), "version", "hint:"],
    );
}

const SMALL: [&str; 6] = [
    "--set",
    "days=1",
    "--set",
    "history_days=1",
    "--set",
    "services.count=1",
];

#[test]
fn outputs_that_cannot_be_written_are_the_worlds_fault() {
    let folder = history();
    let directory = folder.path().join("history");
    let file = folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    let below_file = file.join("below");
    let nowhere = Path::new("/proc/prestage/below");
    for out in [below_file.as_path(), nowhere] {
        let out = text(out);
        let simulate: Vec<&str> = ["simulate", "demo"].into_iter().chain(SMALL).collect();
        refused(&[&simulate[..], &["--out", out]].concat(), OUTSIDE, &[out]);
        refused(&[&simulate[..], &["--log", out]].concat(), OUTSIDE, &[out]);
        let replay = ["replay", text(&directory), "--days", "1"];
        refused(
            &[&replay[..], &["--pipelines", out]].concat(),
            OUTSIDE,
            &[out],
        );
        refused(&[&replay[..], &["--out", out]].concat(), OUTSIDE, &[out]);
        refused(&["demo", "--out", out], OUTSIDE, &[out]);
        if cfg!(feature = "train") {
            refused(&["train", "demo", "--out", out], OUTSIDE, &[out]);
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

#[test]
fn outputs_in_the_place_of_something_else_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    let simulate: Vec<&str> = ["simulate", "demo"].into_iter().chain(SMALL).collect();
    refused(
        &[&simulate[..], &["--out", text(&file)]].concat(),
        INPUT,
        &[text(&file), "hint:"],
    );
    refused(
        &[&simulate[..], &["--out", text(folder.path())]].concat(),
        INPUT,
        &[text(folder.path()), "not a history", "hint:"],
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn folders_that_are_no_runs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = text(folder.path());
    refused(&["report", empty], INPUT, &[empty, "manifest.json"]);
    refused(
        &["eval", empty],
        INPUT,
        &[empty, "no run folder", "config.toml"],
    );
    refused(&["export", empty], INPUT, &[empty, "no run folder"]);
    if cfg!(feature = "train") {
        refused(
            &["train", "--resume", empty],
            INPUT,
            &[empty, "no run folder"],
        );
        refused(&["train"], INPUT, &["--resume"]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    std::fs::write(folder.path().join("config.toml"), "sede = 1\n").unwrap();
    refused(&["eval", empty], INPUT, &["config.toml", "line 1", "sede"]);
    if cfg!(feature = "train") {
        let args = ["train", "demo", "--out", empty];
        refused(
            &args,
            INPUT,
            &["is a run folder already", "hint:", "--resume"],
        );
    }
    let kept = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert_eq!(kept, "sede = 1\n");
}

#[test]
fn paths_that_are_no_repositories_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere.git");
    refused(
        &["lpt", "log", text(&nowhere)],
        INPUT,
        &[text(&nowhere), "hint:"],
    );
    absent(&nowhere);
    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    let empty = ["lpt", "log", text(&foreign)];
    refused(&empty, INPUT, &[text(&foreign), "hint:"]);
    assert_eq!(
        std::fs::read_dir(&foreign).unwrap().count(),
        0,
        "a repository was made"
    );
    std::fs::write(foreign.join("thesis.tex"), "years of work").unwrap();
    refused(&["lpt", "log", text(&foreign)], INPUT, &[text(&foreign)]);
    refused(
        &["lpt", "rollback", text(&foreign), "web"],
        INPUT,
        &[text(&foreign)],
    );
    let file = foreign.join("thesis.tex");
    refused(&["lpt", "log", text(&file)], INPUT, &[text(&file)]);
    let history = history();
    let directory = history.path().join("history");
    let args = [
        "replay",
        text(&directory),
        "--days",
        "1",
        "--pipelines",
        text(&foreign),
    ];
    refused(&args, OUTSIDE, &[text(&foreign), "not a git repository"]);
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn instances_are_refused_with_parameter_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yaml");
    let good = "service: web\ntemplate: service\nregions: [eu-central]\n";
    let table: &[(&str, &[&str])] = &[
        ("params: {bakke: 1m}\n", &["`bakke`", "`bake`"]),
        ("params: {bake: soon}\n", &["`bake`", "soon"]),
        ("parms: {bake: 1m}\n", &["parms", "params", "web.yaml"]),
        ("params: [\n", &["web.yaml", "YAML"]),
    ];
    for (more, fragments) in table {
        std::fs::write(&file, format!("{good}{more}")).unwrap();
        let out = folder.path().join("out");
        refused(
            &["lpt", "render", text(&file), "--out", text(&out)],
            INPUT,
            fragments,
        );
        absent(&out);
    }
    std::fs::write(&file, good.replace("service\n", "servise\n")).unwrap();
    refused(
        &["lpt", "render", text(&file)],
        INPUT,
        &["`servise`", "service"],
    );
    std::fs::write(&file, good).unwrap();
    refused(
        &["lpt", "render", text(&file), "--need", "scalling"],
        INPUT,
        &["scalling", "scaling"],
    );
    let nowhere = folder.path().join("nowhere.yaml");
    refused(&["lpt", "render", text(&nowhere)], INPUT, &[text(&nowhere)]);
    assert!(!stdout_of(&["lpt", "render", text(&file)]).is_empty());
}
