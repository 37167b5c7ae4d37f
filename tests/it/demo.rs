//! `prestage demo`: the whole circle, its two paths, and its care for what is there.
use std::path::Path;
use std::process::Output;

use prestage_lpt::{GitStore, PipelineRepository};

use crate::{run, text};

const SMALL: [&str; 16] = [
    "days=2",
    "history_days=4",
    "services.count=1",
    "tune.candidates=2",
    "tune.seeds=1",
    "tune.finalists=1",
    "tune.fresh_seeds=1",
    "train.seeds=1",
    "train.n_envs=2",
    "train.ppo.n_steps=12",
    "train.ppo.batch_size=48",
    "train.ppo.n_epochs=1",
    "train.ppo.hidden=[8]",
    "train.ppo.total_steps=300",
    "eval.scenarios=2",
    "eval.validation=1",
];

fn demo(out: &Path, more: &[&str]) -> Output {
    let mut args = vec!["demo", "--out", text(out)];
    for set in SMALL {
        args.extend(["--set", set]);
    }
    args.extend(more);
    run(&args)
}

/// The path that stands behind `label` in one of the last two lines.
fn path_after<'a>(stdout: &'a str, label: &str) -> &'a Path {
    let lines = stdout.lines().rev().take(2);
    let found = lines.filter_map(|line| line.strip_prefix(label)).next();
    Path::new(found.unwrap_or_else(|| panic!("no line `{label}` at the end of: {stdout}")))
}

#[test]
fn the_tour_ends_with_a_report_and_a_repository_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tour");
    let first = demo(&out, &[]);
    let stderr = String::from_utf8_lossy(&first.stderr);
    assert!(first.status.success(), "{stderr}");
    let stdout = String::from_utf8(first.stdout).unwrap();
    check_page(path_after(&stdout, "report: "));
    check_pipelines(path_after(&stdout, "pipelines: "));
    for arm in ["never", "reactive", "always", "newsvendor", "static-tuned"] {
        assert!(stdout.contains(arm), "`{arm}` is missing in: {stdout}");
    }

    let second = demo(&out, &[]);
    assert!(second.status.success());
    assert_eq!(
        String::from_utf8(second.stdout).unwrap(),
        stdout,
        "one seed, two tours"
    );
    // Settings that cannot be trained are refused before the earlier tour is cleared.
    if cfg!(feature = "train") {
        let refused = demo(&out, &["--set", "train.ppo.batch_size=7"]);
        assert_eq!(refused.status.code(), Some(2));
        check_page(path_after(&stdout, "report: "));
    }
}

/// The page loads nothing from anywhere.
fn check_page(page: &Path) {
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.len() > 2000, "`{}` is nearly empty", page.display());
    assert_eq!(html.contains("<svg"), cfg!(feature = "plots"));
    for attribute in ["src=", "href=", "url("] {
        for (at, _) in html.match_indices(attribute) {
            let value = html[at + attribute.len()..].trim_start_matches(['"', '\'']);
            assert!(
                value.starts_with('#') || value.starts_with("data:"),
                "{attribute}{}",
                value.chars().take(60).collect::<String>()
            );
        }
    }
    for fetch in ["<script", "@import", "<link", "<iframe"] {
        assert!(!html.contains(fetch), "the page holds `{fetch}`");
    }
}

fn check_pipelines(path: &Path) {
    let store = GitStore::open(path).unwrap();
    let repository = PipelineRepository::open(Box::new(store)).unwrap();
    assert!(repository.services().count() > 0);
    assert!(repository.head().is_some());
}

#[test]
fn a_folder_that_holds_something_else_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("thesis");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("thesis.tex"), "years of work").unwrap();
    let refused = demo(&out, &[]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains(text(&out)) && stderr.contains("hint:"),
        "{stderr}"
    );
    let kept = std::fs::read_to_string(out.join("thesis.tex")).unwrap();
    assert_eq!(kept, "years of work");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
}
