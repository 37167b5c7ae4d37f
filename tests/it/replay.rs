//! Replays: the same bytes and the same repository twice, every predicted stage a
//! commit with its reasons, the documented object, and the real histories where
//! they are at hand.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use prestage::compare::Contestant;
use prestage::progress::Progress;
use prestage::replaying::{Prepared, Target, prepare, replay, stand_in};
use prestage::scenarios;
use prestage_controller::{BASELINES, KnobCenters, NeedType, baseline};
use prestage_envs::{Setting, run_arm, run_episode};
use prestage_lpt::{Action, GitStore, LogEntry, NeedOrigin, PipelineRepository};
use prestage_world::{ReplayOptions, StageEventKind, WorldOptions};
use serde_json::Value;

use crate::{stdout_of, text};

/// Records a small world in `folder` and returns the history's directory.
fn record(folder: &Path) -> PathBuf {
    let history = folder.join("history");
    stdout_of(&[
        "simulate",
        "demo",
        "--seed",
        "2",
        "--set",
        "days=5",
        "--set",
        "history_days=6",
        "--set",
        "services.count=2",
        "--set",
        "traffic.burst_factor=2.5",
        "--out",
        text(&history),
    ]);
    history
}

fn replayed(history: &Path, repository: &Path) -> String {
    stdout_of(&[
        "replay",
        text(history),
        "--pipelines",
        text(repository),
        "--format",
        "json",
    ])
}

fn open(repository: &Path) -> PipelineRepository {
    PipelineRepository::open(Box::new(GitStore::open(repository).unwrap())).unwrap()
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Proposals of stages ahead of a need.
fn predicted(log: &[LogEntry]) -> Vec<&LogEntry> {
    log.iter()
        .filter(|entry| entry.action == Action::Propose)
        .filter(|entry| entry.provenance.origin == Some(NeedOrigin::Predicted))
        .collect()
}

#[test]
fn a_replay_is_reproducible_and_commits_every_stage_with_its_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let history = record(folder.path());
    let (first, second) = (folder.path().join("a.git"), folder.path().join("b.git"));
    let printed = replayed(&history, &first);
    assert_eq!(
        printed,
        replayed(&history, &second),
        "one seed, two outputs"
    );
    let repository = open(&first);
    assert!(repository.head().is_some());
    assert_eq!(
        repository.head(),
        open(&second).head(),
        "one seed, two repositories"
    );

    let object: Value = serde_json::from_str(&printed).unwrap();
    check_object(&object);
    let log = repository.log().unwrap();
    let of_stages = log
        .iter()
        .filter(|entry| !matches!(entry.action, Action::Put | Action::Foreign));
    assert_eq!(object["commits"], of_stages.count() as u64);

    let predicted = predicted(&log);
    let mut below = 0;
    for entry in &predicted {
        let why = &entry.provenance;
        let probability = why
            .probability
            .expect("a predicted stage has a probability");
        let threshold = why.threshold.expect("a predicted stage has a threshold");
        assert!((0.0..=1.0).contains(&probability), "{entry:?}");
        below += u64::from(probability < threshold);
        assert_eq!(why.arm.as_deref(), Some("newsvendor"));
        assert!(entry.stage.is_some() && entry.key.is_some() && entry.need.is_some());
    }
    let (proposed, resized, booked) = stages_of_first_arm(&history);
    assert!(proposed > 0, "nothing was staged ahead of its need");
    assert_eq!(proposed, booked, "proposals and the world's books");
    // A stage that grows is proposed again, larger.
    assert_eq!(predicted.len() as u64, proposed + resized);
    // One that stands may grow below its threshold (hysteresis); none begins there.
    assert!(below <= resized, "{below} stages below their thresholds");

    check_lpt_commands(&first, &repository, &log);
}

/// The documented object, no key more and no key less.
fn check_object(object: &Value) {
    assert_eq!(keys(object), ["history", "days", "commits", "arms"].into());
    assert_eq!(object["history"], "demo");
    assert_eq!(object["days"], 5.0);
    assert!(object["commits"].as_u64().unwrap() > 0);
    let account = [
        "cost_usd",
        "needs",
        "hits",
        "misses",
        "waste",
        "blocked_minutes",
        "runner_minutes",
        "slo_violation_minutes",
        "exposure_days",
    ];
    let of_arm = ["arm", "by_need", "difference"];
    let needs: BTreeSet<&str> = NeedType::ALL.iter().map(|need| need.as_str()).collect();
    let arms = object["arms"].as_array().unwrap();
    let names: Vec<&str> = arms
        .iter()
        .map(|arm| arm["arm"].as_str().unwrap())
        .collect();
    let rest = BASELINES.iter().map(|baseline| baseline.name);
    let rest = rest.filter(|name| !["newsvendor", "static-tuned"].contains(name));
    let expected: Vec<&str> = std::iter::once("newsvendor").chain(rest).collect();
    assert_eq!(names, expected);
    for arm in arms {
        assert_eq!(keys(arm), account.into_iter().chain(of_arm).collect());
        assert_eq!(keys(&arm["by_need"]), needs);
        for key in account {
            let by_need = arm["by_need"].as_object().unwrap().values();
            let sum: f64 = by_need.map(|need| need[key].as_f64().unwrap()).sum();
            let total = arm[key].as_f64().unwrap();
            assert!((sum - total).abs() <= 1e-6 * total.max(1.0), "{key}: {arm}");
        }
        let count = |key: &str| arm[key].as_u64().unwrap();
        assert_eq!(count("needs"), count("hits") + count("misses"));
        let is_first = arm["arm"] == "newsvendor";
        assert_eq!(arm["difference"].is_null(), is_first, "{arm}");
    }
    // Releases and updates come from the history: all arms met the same.
    for need in ["feature_release", "dependency_update"] {
        let met: BTreeSet<u64> = arms
            .iter()
            .map(|arm| arm["by_need"][need]["needs"].as_u64().unwrap())
            .collect();
        assert_eq!(met.len(), 1, "{need}: {met:?}");
    }
}

/// Stages proposed, stages resized, and stages on the books, from a world that no
/// repository follows.
fn stages_of_first_arm(history: &Path) -> (u64, u64, u64) {
    let Prepared { setting, .. } = prepared(history, None);
    let setting = Setting {
        world: WorldOptions {
            keep_stage_events: true,
            ..setting.world
        },
        ..setting
    };
    let first = Contestant::baseline(stand_in());
    let mut world = setting.world(&first.arm);
    let mut policy = first.knob_turner(&setting);
    let episode = run_episode(
        &setting,
        &first.arm,
        policy.as_mut(),
        &mut world,
        &mut |_| {},
    )
    .unwrap();
    let events = world.take_stage_events();
    let count = |is_wanted: fn(&StageEventKind) -> bool| {
        events.iter().filter(|event| is_wanted(&event.kind)).count() as u64
    };
    (
        count(|kind| matches!(kind, StageEventKind::Proposed(_))),
        count(|kind| matches!(kind, StageEventKind::Resized(_))),
        episode.cells.iter().map(|cell| cell.tally.predicted).sum(),
    )
}

fn prepared(history: &Path, days: Option<u32>) -> Prepared {
    let organisation = scenarios::load("replay", &[]).unwrap();
    let options = ReplayOptions { skip_days: 0, days };
    prepare(history, &organisation, options, 1).unwrap()
}

fn check_lpt_commands(path: &Path, repository: &PipelineRepository, log: &[LogEntry]) {
    let listed = stdout_of(&["lpt", "log", text(path), "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(rows.len(), log.len());
    assert_eq!(rows[0]["commit"], log[0].commit.short());

    // Back to a proposal in the middle of the log.
    let proposals = predicted(log);
    let target = proposals[proposals.len() / 2];
    let service = target.service.as_str();
    let hash = |repository: &PipelineRepository| {
        repository
            .folder_hash(repository.head().unwrap(), service)
            .unwrap()
    };
    let wanted = repository.folder_hash(&target.commit, service).unwrap();
    assert!(wanted.is_some());
    assert_ne!(wanted, hash(repository), "nothing to roll back");
    let args = [
        "lpt",
        "rollback",
        text(path),
        service,
        "--to",
        target.commit.as_str(),
        "--at",
        "1800000000",
    ];
    let made = stdout_of(&args);
    let after = open(path);
    assert_eq!(after.head().unwrap().as_str(), made.trim());
    assert_eq!(hash(&after), wanted, "the folder is not restored");
    assert_eq!(after.log().unwrap().len(), log.len() + 1);
    let staged = after.stages(service).unwrap();
    assert!(staged.count() > 0, "the stage of that time is not back");

    let limited = [
        "lpt",
        "log",
        text(path),
        "--service",
        service,
        "--limit",
        "1",
        "--format",
        "json",
    ];
    let newest: Vec<Value> = serde_json::from_str(&stdout_of(&limited)).unwrap();
    assert_eq!(newest.len(), 1);
    assert_eq!(newest[0]["action"], "rollback");
}

#[test]
fn real_histories_replay_plausibly() {
    let worlds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/worlds");
    if !worlds.is_dir() {
        eprintln!("skipped: `{}` is not there", worlds.display());
        return;
    }
    let mut directories: Vec<PathBuf> = std::fs::read_dir(&worlds)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("world.json").exists())
        .collect();
    directories.sort();
    assert_eq!(directories.len(), 5, "{directories:?}");
    for directory in directories {
        check_history(&directory);
    }
}

fn check_history(directory: &Path) {
    let name = directory.file_name().unwrap().to_str().unwrap();
    let setting = prepared(directory, Some(30)).setting;
    assert_eq!(setting.record.days(), 30.0, "{name}");
    let needs: BTreeSet<&str> = setting
        .record
        .cells
        .iter()
        .map(|cell| cell.need.as_str())
        .collect();
    if name == "w01-prometheus" {
        assert_eq!(needs.len(), 4, "{name} has cells of {needs:?} only");
    }
    let reactive = baseline("reactive").unwrap().arm(&KnobCenters::default());
    let contestants = [stand_in(), reactive].map(Contestant::baseline);
    let progress = Progress::new(name, 2);
    let replayed = replay(&setting, &contestants, &Target::Memory, &progress).unwrap();
    assert_eq!(replayed.replay.history, name);
    let first = &contestants[0];
    let alone = run_arm(&setting, &first.arm, first.knob_turner(&setting).as_mut());
    assert_eq!(
        alone, replayed.episodes[0],
        "{name}: the repository that follows a world changes it"
    );
    for arm in &replayed.replay.arms {
        let total = &arm.total;
        assert_eq!(total.needs, total.hits + total.misses, "{name}: {arm:?}");
        assert!(total.needs > 0, "{name}: nothing was needed in 30 days");
        assert!(
            total.cost_usd.is_finite() && total.cost_usd > 0.0,
            "{name}: {arm:?}"
        );
        for (need, account) in &arm.by_need {
            assert!(
                account.cost_usd.is_finite() && account.cost_usd >= 0.0,
                "{name}: {need}"
            );
            assert!(
                needs.contains(need.as_str()) || account.needs == 0,
                "{name}: {need}"
            );
        }
    }
    let [committed, other] = &replayed.replay.arms[..] else {
        panic!("two arms, {} results", replayed.replay.arms.len());
    };
    assert!(replayed.replay.commits > 0, "{name}");
    assert!(
        committed.total.hits > 0,
        "{name}: no stage was ready in time"
    );
    assert_eq!(
        other.total.hits + other.total.waste,
        0,
        "{name}: reactive staged ahead"
    );
}
