//! The commands of `lpt` that need no repository: lint, analyze, adopt, schema, drivers, render.
use std::path::{Path, PathBuf};

use prestage_lpt::{DRIVERS, Instance, SCHEMAS};
use serde_json::Value;

use crate::{run, stdout_of, text};

/// A gate said no.
const GATE: i32 = 1;

/// A pipeline as a person writes one, with two things that the rules do not like.
const BY_HAND: &str = "\
stages: [build, test, deploy]
build:
  stage: build
  image: rust:latest
  script: [cargo build]
test:
  stage: test
  image: rust:latest
  script: [cargo test]
deploy:
  stage: deploy
  image: rust:latest
  script: [./deploy.sh]
  environment: production
";

const INSTANCE: &str = "service: web\ntemplate: service\nregions: [eu-central]\n";

fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn rules_judge_files_and_print_the_repaired_pipeline() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), ".gitlab-ci.yml", BY_HAND);
    let args = [
        "lpt",
        "lint",
        text(&file),
        "--driver",
        "gitlab",
        "--format",
        "json",
    ];
    let judged = run(&args);
    assert_eq!(judged.status.code(), Some(GATE));
    let rows: Vec<Value> = serde_json::from_slice(&judged.stdout).unwrap();
    let failed: Vec<&str> = rows
        .iter()
        .filter(|row| row["verdict"] == "fail")
        .map(|row| row["rule"].as_str().unwrap())
        .collect();
    assert!(failed.contains(&"image-pinned"), "{failed:?}");
    assert!(rows.iter().any(|row| row["verdict"] == "not applicable"));
    assert!(rows.iter().any(|row| row["verdict"] == "pass"));
    let fixed = stdout_of(&["lpt", "lint", text(&file), "--driver", "gitlab", "--fix"]);
    let live: Value = serde_json::from_str(&fixed).unwrap();
    assert_eq!(live["stages"][0]["stage"]["image"], "rust:stable");

    // What the shipped templates give passes, and a repaired definition does.
    let instance = write(folder.path(), "web.yaml", INSTANCE);
    stdout_of(&["lpt", "lint", text(&instance)]);
    let slow =
        format!("{INSTANCE}overrides: {{stages: [{{name: build, timeout_minutes: 600}}]}}\n");
    let slow = write(folder.path(), "slow.yaml", &slow);
    let judged = run(&["lpt", "lint", text(&slow), "--failed", "--format", "csv"]);
    assert_eq!(judged.status.code(), Some(GATE));
    assert_eq!(String::from_utf8(judged.stdout).unwrap().lines().count(), 2);
    let fixed = stdout_of(&["lpt", "lint", text(&slow), "--fix"]);
    let definition = write(folder.path(), "definition.json", &fixed);
    stdout_of(&["lpt", "lint", text(&definition)]);
}

#[test]
fn a_pipeline_of_a_person_is_ranked_adopted_and_rendered() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), ".gitlab-ci.yml", BY_HAND);
    let live = ["adopt", text(&file), "--driver", "gitlab"];
    let ranking = stdout_of(&[&["lpt"], &live[..], &["--format", "json"]].concat());
    let ranking: Vec<Value> = serde_json::from_str(&ranking).unwrap();
    assert_eq!(ranking[0]["template"], "base-service");
    let instance = folder.path().join("web.json");
    let adopt = ["--service", "web", "--out", text(&instance)];
    stdout_of(&[&["lpt"], &live[..], &adopt].concat());
    let parsed = Instance::parse("web.json", &std::fs::read_to_string(&instance).unwrap()).unwrap();
    assert_eq!(parsed.template, "base-service");
    let out = folder.path().join("out");
    stdout_of(&["lpt", "render", text(&instance), "--out", text(&out)]);

    // What is rendered is what was live, stage for stage.
    let stages = |path: &Path| -> Vec<Value> {
        let printed = stdout_of(&["lpt", "analyze", text(path), "--driver", "gitlab"]);
        let live: Value = serde_json::from_str(&printed).unwrap();
        let stages = live["stages"].as_array().unwrap().clone();
        stages
            .into_iter()
            .map(|live| live["stage"].clone())
            .collect()
    };
    assert_eq!(stages(&out.join(".gitlab-ci.yml")), stages(&file));
}

#[test]
fn every_schema_is_printed_and_listed() {
    let names = SCHEMAS
        .iter()
        .map(|kind| kind.name)
        .chain(DRIVERS.iter().map(|driver| driver.name()));
    let listed = stdout_of(&["lpt", "schema", "--format", "csv"]);
    for name in names {
        assert!(listed.contains(name), "{name} is not listed");
        let schema: Value = serde_json::from_str(&stdout_of(&["lpt", "schema", name])).unwrap();
        assert!(schema["$schema"].is_string(), "{name}");
    }
    let unknown = run(&["lpt", "schema", "plam"]);
    assert_eq!(unknown.status.code(), Some(2));
    let drivers = stdout_of(&["lpt", "drivers", "--format", "json"]);
    let drivers: Vec<Value> = serde_json::from_str(&drivers).unwrap();
    assert_eq!(drivers.len(), DRIVERS.len());
}

#[test]
fn rendered_files_are_held_against_a_foreign_schema() {
    let folder = tempfile::tempdir().unwrap();
    let instance = write(folder.path(), "web.yaml", INSTANCE);
    let strict = write(
        folder.path(),
        "strict.json",
        "{\"required\": [\"nothing\"]}",
    );
    let schema = format!("github={}", text(&strict));
    let args = ["lpt", "render", text(&instance), "--schema", &schema];
    let refused = run(&args);
    assert_eq!(refused.status.code(), Some(GATE));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing"));
    assert!(refused.stdout.is_empty());
    let lenient = write(folder.path(), "lenient.json", "{\"required\": [\"jobs\"]}");
    let schema = format!("github={}", text(&lenient));
    stdout_of(&["lpt", "render", text(&instance), "--schema", &schema]);
}
