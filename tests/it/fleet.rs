//! A fleet of four on the command line: from the first `put` to the last `log`.
use std::path::{Path, PathBuf};

use prestage_lpt::{Change, Content, FolderChange, GitStore, PipelineRepository, Store};
use serde_json::Value;
use tempfile::TempDir;

use crate::{run, stdout_of, text};

/// A gate said no.
const GATE: i32 = 1;
/// The user's input.
const INPUT: i32 = 2;

const TEAM: &str = "\
name: team
extends: service
description: what the services of one team share
stages:
- {name: build, timeout_minutes: 20, env: [{name: TOOLCHAIN, value: stable}]}
";

/// A repository with four services: three of `team`, one of `service`.
struct Fleet {
    folder: TempDir,
    repository: PathBuf,
}

impl Fleet {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("pipelines.git");
        let fleet = Self { folder, repository };
        let team = fleet.file("team.yaml", TEAM);
        let mut args = vec!["lpt", "put", text(&fleet.repository), text(&team)];
        let instances = [
            ("cart", "team"),
            ("checkout", "team"),
            ("search", "team"),
            ("web", "service"),
        ];
        let files = instances.map(|(service, template)| {
            let instance = format!(
                "service: {service}\ntemplate: {template}\nregions: [eu-central, us-east]\n"
            );
            fleet.file(&format!("{service}.yaml"), &instance)
        });
        args.extend(files.iter().map(|file| text(file)));
        args.extend(["--at", "1700000000", "--format", "csv"]);
        let put = stdout_of(&args);
        assert_eq!(put.matches("committed").count(), 5, "{put}");
        fleet
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn open(&self) -> PipelineRepository {
        let store = GitStore::open(&self.repository).unwrap();
        PipelineRepository::open(Box::new(store)).unwrap()
    }

    /// The standard output of a subcommand on this repository, which must exit with `code`.
    #[track_caller]
    fn lpt(&self, code: i32, command: &str, more: &[&str]) -> String {
        let mut args = vec!["lpt", command, text(&self.repository)];
        args.extend(more);
        let output = run(&args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn rows(&self, code: i32, command: &str, more: &[&str]) -> Vec<Value> {
        let more = [more, &["--format", "json"]].concat();
        serde_json::from_str(&self.lpt(code, command, &more)).unwrap()
    }

    /// Edits a file of a service as somebody who knows nothing of prestage would.
    fn by_hand(&self, service: &str, path: &str, edit: impl Fn(&str) -> String) {
        let repository = self.open();
        let before = String::from_utf8(repository.show(service).unwrap()[path].to_vec()).unwrap();
        let after = edit(&before);
        assert_ne!(before, after, "nothing was edited");
        let change = Change {
            folder: Some(FolderChange {
                service,
                content: Content::Edit {
                    write: vec![(path.to_owned(), after.into_bytes())],
                    remove: Vec::new(),
                },
            }),
            records: Vec::new(),
            message: "by hand\n".to_owned(),
            at: 1_700_000_100,
        };
        let mut store = GitStore::open(&self.repository).unwrap();
        store.commit(repository.head(), &change).unwrap();
    }
}

fn team(build_minutes: u32) -> String {
    TEAM.replace(
        "timeout_minutes: 20",
        &format!("timeout_minutes: {build_minutes}"),
    )
}

fn actions(plan: &Value) -> Vec<(&str, &str)> {
    let instances = plan["instances"].as_array().unwrap();
    instances
        .iter()
        .map(|instance| {
            let text = |key: &str| instance[key].as_str().unwrap();
            (text("service"), text("action"))
        })
        .collect()
}

#[test]
fn a_fleet_is_walked_from_put_to_rollback() {
    let fleet = Fleet::new();
    let before = fleet.open();
    let head = before.head().unwrap().clone();

    // The preview says whom a template reaches, and touches nothing.
    let edited = fleet.file("team-2.yaml", &team(25));
    let given = ["--template", text(&edited)];
    let plan: Value =
        serde_json::from_str(&fleet.lpt(0, "diff", &[&given[..], &["--format", "json"]].concat()))
            .unwrap();
    let all = [
        ("cart", "update"),
        ("checkout", "update"),
        ("search", "update"),
    ];
    assert_eq!(actions(&plan), all);
    assert_eq!(plan["untouched"], 1);
    assert_eq!(fleet.open().head(), Some(&head));
    let one = fleet.rows(0, "diff", &[&given[..], &["--service", "cart"]].concat());
    assert!(one.iter().any(
        |edit| edit["path"] == "/stages/[name=build]/timeout_minutes"
            && edit["before"] == "20"
            && edit["after"] == "25"
    ));

    // The update does what was shown, canary first; again it finds nothing to do.
    let at = ["--at", "1700000200"];
    let waves = ["--canary", "1", "--wave", "2"];
    let journal = fleet.rows(0, "update", &[&given[..], &waves, &at].concat());
    let steps: Vec<&str> = journal
        .iter()
        .map(|row| row["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps.iter().filter(|step| **step == "verified").count(), 2);
    assert_eq!(steps.last(), Some(&"done"));
    let updated = fleet.open();
    let minutes = |repository: &PipelineRepository, service: &str| {
        repository.definition(service).unwrap().stages[0].timeout_minutes
    };
    assert_eq!(minutes(&updated, "search"), 25);
    let head = updated.head().unwrap().clone();
    fleet.lpt(0, "update", &at);
    assert_eq!(
        fleet.open().head(),
        Some(&head),
        "a second update committed"
    );

    // Two services are edited by hand: one beside the template's next change, one against it.
    fleet.by_hand("cart", ".gitlab-ci.yml", |text| {
        text.replacen("TOOLCHAIN: stable", "TOOLCHAIN: nightly", 1)
    });
    fleet.by_hand("search", ".gitlab-ci.yml", |text| {
        text.replacen("timeout: 25 minutes", "timeout: 99 minutes", 1)
    });
    fleet.lpt(0, "drift", &[]);
    let drift = fleet.rows(GATE, "drift", &["--check"]);
    let found: Vec<(&str, &str)> = drift
        .iter()
        .map(|row| {
            (
                row["service"].as_str().unwrap(),
                row["path"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("cart", "/stages/[name=build]/env/TOOLCHAIN"),
            ("cart", ".gitlab-ci.yml"),
            ("search", "/stages/[name=build]/timeout_minutes"),
            ("search", ".gitlab-ci.yml"),
        ]
    );

    // The next update keeps the first edit, asks about the second, and goes on with the third.
    let edited = fleet.file("team-3.yaml", &team(30));
    let at = ["--at", "1700000300"];
    fleet.lpt(
        GATE,
        "update",
        &[&["--template", text(&edited)][..], &at].concat(),
    );
    let merged = fleet.open();
    assert_eq!(minutes(&merged, "checkout"), 30);
    assert_eq!(minutes(&merged, "cart"), 30);
    assert_eq!(
        merged.definition("cart").unwrap().stages[0].env["TOOLCHAIN"],
        "nightly"
    );
    let github = merged.show("cart").unwrap()[".github/workflows/cart.yml"].to_vec();
    assert!(String::from_utf8(github).unwrap().contains("nightly"));
    let gitlab = merged.show("search").unwrap()[".gitlab-ci.yml"].to_vec();
    assert!(String::from_utf8(gitlab).unwrap().contains("99 minutes"));

    // A person decides; a path that is no conflict is refused.
    let conflicts = fleet.rows(0, "resolve", &["search"]);
    let path = conflicts[0]["path"].as_str().unwrap();
    assert_eq!(path, "/stages/[name=build]/timeout_minutes");
    assert_eq!(conflicts[0]["ours"], "99");
    fleet.lpt(
        INPUT,
        "resolve",
        &["search", "--path", "/nowhere", "--take", "ours"],
    );
    fleet.lpt(
        0,
        "resolve",
        &[&["search", "--path", path, "--value", "60"][..], &at].concat(),
    );
    let resolved = fleet.open();
    assert_eq!(minutes(&resolved, "search"), 60);
    assert_eq!(resolved.state("search").unwrap().pending, None);
    fleet.lpt(0, "drift", &["--check"]);
    fleet.lpt(0, "update", &at);

    // Back one step is back byte for byte, and the update is held until it is released.
    let service = "checkout";
    let hash = |repository: &PipelineRepository| {
        let head = repository.head().unwrap();
        repository.folder_hash(head, service).unwrap()
    };
    fleet.lpt(0, "rollback", &[&[service][..], &at].concat());
    let rolled_back = fleet.open();
    assert_eq!(hash(&rolled_back), hash(&updated));
    let held: Value = serde_json::from_str(&fleet.lpt(0, "diff", &["--format", "json"])).unwrap();
    assert_eq!(actions(&held), [(service, "held")]);
    fleet.lpt(0, "release", &[&[service][..], &at].concat());
    fleet.lpt(0, "update", &at);
    assert_eq!(minutes(&fleet.open(), service), 30);

    // The log knows all of it, newest first.
    let log = fleet.rows(0, "log", &["--service", "search"]);
    let actions: Vec<&str> = log
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["resolve", "edit", "hold", "update", "put"]);
    let whole = fleet.rows(0, "log", &[]);
    for action in ["register", "journal", "foreign", "rollback", "note"] {
        assert!(whole.iter().any(|row| row["action"] == action), "{action}");
    }
}

#[test]
fn an_edit_is_kept_promoted_and_reaches_the_team() {
    let fleet = Fleet::new();
    let at = ["--at", "1700000200"];
    let path = "/stages/[name=test]/script";
    let edit = ["cart", "--path", path, "--value", "[\"make test\"]"];
    fleet.lpt(0, "edit", &[&edit[..], &at].concat());
    fleet.lpt(
        INPUT,
        "edit",
        &["cart", "--path", "/stages/[name=tset]/retry", "--remove"],
    );
    fleet.lpt(
        INPUT,
        "edit",
        &[
            "cart",
            "--path",
            "/stages/[name=test]/retry",
            "--value",
            "9",
        ],
    );
    let head = fleet.open().head().cloned();
    let shown = fleet.lpt(0, "promote", &["cart", path]);
    assert!(
        shown.contains("checkout") && shown.contains("search"),
        "{shown}"
    );
    assert_eq!(
        fleet.open().head().cloned(),
        head,
        "a preview wrote something"
    );
    fleet.lpt(
        0,
        "promote",
        &[&["cart", path, "--write"][..], &at].concat(),
    );
    fleet.lpt(0, "update", &at);
    let repository = fleet.open();
    for service in ["cart", "checkout", "search"] {
        assert_eq!(
            repository.definition(service).unwrap().stages[1].script,
            ["make test"]
        );
        assert_eq!(repository.drift(service).unwrap().overrides, []);
    }
    // What could mean several things is asked for, with all of them named.
    let path = "/stages/[name=test]/timeout_minutes";
    fleet.lpt(
        0,
        "edit",
        &[&["cart", "--path", path, "--value", "45"][..], &at].concat(),
    );
    let args = ["lpt", "promote", text(&fleet.repository), "cart", path];
    let refused = run(&args);
    assert_eq!(refused.status.code(), Some(INPUT));
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(
        stderr.contains("/parameters/[name=timeout_minutes]/default"),
        "{stderr}"
    );
    assert!(
        stderr.contains("/stages/[name=test]/timeout_minutes"),
        "{stderr}"
    );
    fleet.lpt(
        0,
        "promote",
        &["cart", path, "--as-default", "--into", "base-service"],
    );
    fleet.lpt(0, "promote", &["cart", path, "--as", "45"]);
}

#[test]
fn a_new_instance_file_is_merged_into_what_the_service_changed_itself() {
    let fleet = Fleet::new();
    let at = ["--at", "1700000200"];
    let edit = [
        "web",
        "--path",
        "/stages/[name=build]/timeout_minutes",
        "--value",
        "44",
    ];
    fleet.lpt(0, "edit", &[&edit[..], &at].concat());
    let instance = "service: web\ntemplate: service\nparams: {test_shards: 5}\nregions: [eu-central, us-east]\n";
    let file = fleet.file("web-2.yaml", instance);
    fleet.lpt(0, "put", &[&[text(&file)][..], &at].concat());
    let repository = fleet.open();
    let stages = &repository.definition("web").unwrap().stages;
    assert_eq!(stages[0].timeout_minutes, 44);
    assert_eq!(stages[1].shards, Some(5));
    // Both change the shards now.
    let edit = [
        "web",
        "--path",
        "/stages/[name=test]/shards",
        "--value",
        "7",
    ];
    fleet.lpt(0, "edit", &[&edit[..], &at].concat());
    let file = fleet.file("web-3.yaml", &instance.replace('5', "6"));
    fleet.lpt(GATE, "put", &[&[text(&file)][..], &at].concat());
    assert_eq!(
        fleet.open().definition("web").unwrap().stages[1].shards,
        Some(7)
    );
}

#[test]
fn a_stage_is_proposed_confirmed_and_withdrawn() {
    let fleet = Fleet::new();
    let at = ["--at", "1700000200"];
    let propose = ["web", "--propose", "scaling", "--magnitude", "6"];
    let queue = fleet.rows(0, "integrate", &[&propose[..], &at].concat());
    assert_eq!(queue[0]["state"], "committed");
    let key = queue[0]["key"].as_str().unwrap();
    let queue = fleet.rows(
        0,
        "integrate",
        &[&["web", "--confirm", key][..], &at].concat(),
    );
    assert_eq!(queue[0]["state"], "integrated");
    let queue = fleet.rows(
        0,
        "integrate",
        &[&["web", "--withdraw", key][..], &at].concat(),
    );
    assert_eq!(queue[0]["state"], "withdrawn");
    assert_eq!(fleet.open().stages("web").unwrap().count(), 0);
    fleet.lpt(INPUT, "integrate", &["web", "--confirm", "0123"]);
}

#[test]
fn an_update_refuses_what_a_foreign_schema_or_a_rule_refuses() {
    let fleet = Fleet::new();
    let edited = fleet.file("team-2.yaml", &team(25));
    let strict = fleet.file("strict.json", "{\"not\": {\"required\": [\"build\"]}}");
    let schema = format!("gitlab={}", text(&strict));
    let given = [
        "--template",
        text(&edited),
        "--schema",
        &schema,
        "--at",
        "1700000200",
    ];
    let head = fleet.open().head().cloned();
    let diff = ["--template", text(&edited), "--schema", &schema, "--check"];
    fleet.lpt(GATE, "diff", &diff);
    assert_eq!(fleet.open().head().cloned(), head);
    fleet.lpt(GATE, "update", &given);
    assert_eq!(
        fleet.open().definition("cart").unwrap().stages[0].timeout_minutes,
        20
    );
    let slow = fleet.file("team-3.yaml", &team(600));
    fleet.lpt(
        GATE,
        "update",
        &["--template", text(&slow), "--lint", "--at", "1700000200"],
    );
    assert_eq!(
        fleet.open().definition("cart").unwrap().stages[0].timeout_minutes,
        20
    );
    fleet.lpt(
        0,
        "update",
        &["--template", text(&edited), "--at", "1700000200"],
    );
    assert_eq!(
        fleet.open().definition("cart").unwrap().stages[0].timeout_minutes,
        25
    );
}

#[test]
fn a_template_that_breaks_the_fleet_is_not_registered() {
    let fleet = Fleet::new();
    let broken = fleet.file("broken.yaml", "name: team\nextends: servise\n");
    let head = fleet.open().head().cloned();
    fleet.lpt(INPUT, "put", &[text(&broken)]);
    fleet.lpt(INPUT, "update", &["--template", text(&broken)]);
    assert_eq!(fleet.open().head().cloned(), head);
    let neither = fleet.file("neither.yaml", "a: b\n");
    let nowhere = fleet.folder.path().join("new.git");
    let output = run(&["lpt", "put", text(&nowhere), text(&neither)]);
    assert_eq!(output.status.code(), Some(INPUT));
    assert!(
        !Path::new(&nowhere).exists(),
        "a repository was made for nothing"
    );
}
