//! What git recorded, from the repository to the replay: tags and updates become needs, commits alone do not.
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{run, stdout_of, text};

const START: i64 = 1_704_067_200;
const DAY: i64 = 86_400;
const DAYS: i64 = 56;

/// What the repository is like besides having a commit every eight hours.
#[derive(Default)]
struct Habits {
    /// Days between tags `v0.N.0`; no tags when absent.
    tag_days: Option<i64>,
    /// Days between updates of a direct dependency in `Cargo.lock`; no lock file when absent.
    update_days: Option<i64>,
}

/// Makes a repository; `git fast-import` is git's own way to be told a history.
fn repository(path: &Path, habits: &Habits) {
    let init = Command::new("git")
        .args(["init", "-q", "--bare", text(path)])
        .status();
    assert!(init.unwrap().success());
    let mut git = Command::new("git")
        .args(["-C", text(path), "fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin
        .take()
        .unwrap()
        .write_all(stream(habits).as_bytes())
        .unwrap();
    assert!(git.wait().unwrap().success());
    let head = ["-C", text(path), "symbolic-ref", "HEAD", "refs/heads/main"];
    assert!(Command::new("git").args(head).status().unwrap().success());
}

fn stream(habits: &Habits) -> String {
    let mut stream = String::new();
    for slot in 0..DAYS * 3 {
        let (at, day, is_noon) = (START + slot * DAY / 3, slot / 3, slot % 3 == 1);
        let falls_on =
            |every: Option<i64>| every.is_some_and(|days| is_noon && day % days == days - 1);
        writeln!(stream, "commit refs/heads/main\nmark :{}", slot + 1).unwrap();
        writeln!(
            stream,
            "committer Ada <ada@example.org> {at} +0000\ndata 4\nwork"
        )
        .unwrap();
        file(&mut stream, "src/lib.rs", &format!("// {slot}\n"));
        if let Some(days) = habits
            .update_days
            .filter(|_| slot == 0 || falls_on(habits.update_days))
        {
            file(&mut stream, "Cargo.lock", &lock((day + 1) / days));
        }
        if let Some(days) = habits.tag_days.filter(|_| falls_on(habits.tag_days)) {
            let (number, mark) = ((day + 1) / days, slot + 1);
            writeln!(stream, "reset refs/tags/v0.{number}.0\nfrom :{mark}\n").unwrap();
        }
    }
    stream
}

fn file(stream: &mut String, path: &str, content: &str) {
    writeln!(
        stream,
        "M 100644 inline {path}\ndata {}\n{content}",
        content.len()
    )
    .unwrap();
}

fn lock(patch: i64) -> String {
    format!(
        "version = 4\n\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\ndependencies = [\n \"serde\",\n]\n\n\
         [[package]]\nname = \"serde\"\nversion = \"1.0.{patch}\"\n\
         source = \"registry+https://example.org/index\"\n"
    )
}

fn imported(folder: &Path, habits: &Habits) -> String {
    let (bare, history) = (folder.join("ours.git"), folder.join("history"));
    repository(&bare, habits);
    stdout_of(&["import", "git", text(&bare), "--out", text(&history)]);
    text(&history).to_owned()
}

/// Needs by need type in the account of the first arm.
fn needs(history: &str) -> (u64, u64) {
    let said = stdout_of(&["replay", history, "--format", "json"]);
    let replay: Value = serde_json::from_str(&said).unwrap();
    let of = |need: &str| {
        replay["arms"][0]["by_need"][need]["needs"]
            .as_u64()
            .unwrap()
    };
    (of("feature_release"), of("dependency_update"))
}

#[test]
fn tags_and_updates_of_a_repository_are_replayed_as_needs() {
    let folder = tempfile::tempdir().unwrap();
    let habits = Habits {
        tag_days: Some(7),
        update_days: Some(5),
    };
    let history = imported(folder.path(), &habits);
    assert_eq!(needs(&history), (8, 11));
}

#[test]
fn updates_alone_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let habits = Habits {
        tag_days: None,
        update_days: Some(14),
    };
    assert_eq!(needs(&imported(folder.path(), &habits)), (0, 4));
}

#[test]
fn commits_alone_are_refused_with_what_to_import() {
    let folder = tempfile::tempdir().unwrap();
    let history = imported(folder.path(), &Habits::default());
    let output = run(&["replay", &history]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = "it has 168 commits, 0 tags, 0 changes of dependencies (0 commits update a direct one), \
                 0 advisories, 0 traffic series, 0 CI runs";
    assert!(stderr.contains(found), "{stderr}");
    assert!(
        stderr.contains("hint: commits alone are no need: tag the releases"),
        "{stderr}"
    );
}
