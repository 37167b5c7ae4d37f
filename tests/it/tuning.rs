//! `prestage tune`: a run folder without a policy, which `eval` compares.
use crate::{run, stdout_of, text};

const SMALL: [&str; 8] = [
    "--set",
    "days=3",
    "--set",
    "tune.candidates=10",
    "--set",
    "tune.seeds=1",
    "--set",
    "tune.fresh_seeds=2",
];

#[test]
fn a_tuned_run_is_compared_without_any_policy_and_is_the_same_at_any_thread_count() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let again = folder.path().join("again");
    for (out, threads) in [(&out, "1"), (&again, "2")] {
        let args = ["tune", "demo", "--threads", threads, "--out", text(out)];
        let printed = stdout_of(&[&args[..], &SMALL].concat());
        assert_eq!(printed.trim(), text(out));
    }
    let tuned = std::fs::read_to_string(out.join("tuned.json")).unwrap();
    assert_eq!(
        tuned,
        std::fs::read_to_string(again.join("tuned.json")).unwrap()
    );

    let table = stdout_of(&["eval", text(&out), "--scenarios", "2", "--format", "csv"]);
    for arm in ["never", "reactive", "always", "newsvendor", "static-tuned"] {
        assert!(table.contains(arm), "{arm} is missing in\n{table}");
    }
    assert!(out.join("report.html").exists());

    let args = ["tune", "demo", "--out", text(&out)];
    let refused = run(&[&args[..], &SMALL].concat());
    assert!(!refused.status.success());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("is a run folder already"), "{message}");
    assert_eq!(
        tuned,
        std::fs::read_to_string(out.join("tuned.json")).unwrap()
    );
}

#[test]
fn a_search_that_does_not_exist_is_refused_with_those_that_do() {
    let output = run(&["tune", "demo", "--set", "tune.search=simplex"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("cma-es") && message.contains("random"),
        "{message}"
    );
}
