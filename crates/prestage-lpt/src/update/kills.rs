//! kill -9 at random points of update, integrate and rollback, over the git store.
//!
//! The test starts itself as a child that works on a repository, kills it after a random time, and
//! starts another until one gets to the end. Whatever was interrupted: the repository is valid, no
//! service is half changed, the end is the end of an uninterrupted run, and the last rollback
//! restores the first tree byte for byte. Half of the repositories are durable; their ends are equal.
//!
//! `PRESTAGE_KILLS=240 cargo test -p prestage-lpt kills -- --nocapture` runs more of them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fixture::{self, FLEET_AT};
use crate::fleet::no_check;
use crate::provenance::Provenance;
use crate::repository::{RetireReason, RollbackTo};
use crate::stage::{NeedType, PredictedNeed, StageDefinition, generate_stage_definition};
use crate::store::{CommitId, GitStore};

use super::tests::options;
use super::*;

const KILLS_DEFAULT: usize = 30;
const FOLDER: &str = "PRESTAGE_KILL_FOLDER";
const AT: i64 = FLEET_AT + 100;
const SERVICES: [&str; 6] = ["a0", "a1", "a2", "b0", "b1", "c0"];

fn open(folder: &Path) -> PipelineRepository {
    PipelineRepository::open(Box::new(GitStore::open(folder).unwrap())).unwrap()
}

fn stage(repository: &PipelineRepository) -> StageDefinition {
    let need = PredictedNeed {
        service: "c0".to_owned(),
        ..fixture::need(NeedType::FeatureRelease)
    };
    generate_stage_definition(repository.definition("c0").unwrap(), &need).unwrap()
}

/// The whole work. Every step may have been done before, in full or not at all.
fn work(folder: &Path) {
    let mut repository = open(folder);
    let first = first_commit(&repository);
    let templates = fixture::fleet_templates("leaf-a");
    update(
        &mut repository,
        &templates,
        options(),
        &no_check,
        &mut StoredFiles,
    )
    .unwrap();
    let stage = stage(&repository);
    let queue = |repository: &PipelineRepository| {
        repository
            .state("c0")
            .unwrap()
            .queue
            .contains_key(&stage.key)
    };
    if !queue(&repository) {
        let provenance = fixture::provenance(&stage);
        let provenance = Provenance {
            service: "c0".to_owned(),
            ..provenance
        };
        repository
            .submit(&stage, &provenance, AT + 600, AT)
            .unwrap();
    }
    repository.integrate("c0", AT).unwrap();
    repository.confirm(&stage.key, AT).unwrap();
    repository.integrate("c0", AT).unwrap();
    repository
        .end(&stage.key, RetireReason::UsedUp, AT)
        .unwrap();
    for service in ["a0", "a1", "a2"] {
        let to = RollbackTo::Commit(first.clone());
        repository.rollback(service, &to, AT).unwrap();
    }
}

/// The commit with which the fixture's fleet was complete.
fn first_commit(repository: &PipelineRepository) -> CommitId {
    let log = repository.log().unwrap();
    log[log.len() - SERVICES.len()].commit.clone()
}

/// Everything that an interruption must not change: folders, records, journal.
fn end(folder: &Path) -> Vec<String> {
    let repository = open(folder);
    let head = repository.head().unwrap();
    let mut end: Vec<String> = Vec::new();
    for service in SERVICES {
        end.extend(repository.folder_hash(head, service).unwrap());
        let mut state = repository.state(service).unwrap().clone();
        state.applied = None;
        end.push(serde_json::to_string(&state).unwrap());
    }
    end.push(serde_json::to_string(&journal(&repository).unwrap()).unwrap());
    end
}

/// The child's body; as a test of its own it has nothing to do.
#[test]
fn child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        work(Path::new(&folder));
    }
}

fn start(folder: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "update::kills::child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn check_valid(folder: &Path) {
    let fsck = Command::new("git")
        .args(["fsck", "--strict", "--no-dangling"])
        .current_dir(folder)
        .output();
    match fsck {
        Ok(output) => assert!(
            output.status.success(),
            "git fsck: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => eprintln!("skipped git fsck: {error}"),
    }
    let repository = open(folder);
    assert!(repository.unreadable().is_empty());
    for service in SERVICES {
        let drift = repository.drift(service).unwrap();
        assert_eq!(drift.files, [], "{service} is half changed");
    }
}

#[test]
fn l20_killed_anywhere_it_resumes_to_the_same_end() {
    let kills = std::env::var("PRESTAGE_KILLS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(KILLS_DEFAULT);
    let whole = tempfile::tempdir().unwrap();
    drop(fixture::fleet(Box::new(
        GitStore::open(whole.path()).unwrap(),
    )));
    work(whole.path());
    let expected = end(whole.path());
    let mut random = Delays(20);
    let (mut killed, mut killed_durable) = (0, 0);
    let mut runs = 0;
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        let store = GitStore::open(folder.path()).unwrap();
        // Every other repository flushes to the disk; its children read that from it.
        let is_durable = runs % 2 == 1;
        let store = match is_durable {
            true => store.durable().unwrap(),
            false => store,
        };
        let repository = fixture::fleet(Box::new(store));
        let first = first_commit(&repository);
        drop(repository);
        runs += 1;
        for attempt in 1.. {
            let mut child = start(folder.path());
            std::thread::sleep(random.next(attempt));
            if child.try_wait().unwrap().is_some() {
                let output = child.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "a resumed run failed: {said}");
                break;
            }
            child.kill().unwrap();
            let was_killed = child.wait().unwrap().code().is_none();
            killed += usize::from(was_killed);
            killed_durable += usize::from(was_killed && is_durable);
            check_valid(folder.path());
        }
        assert_eq!(end(folder.path()), expected);
        let repository = open(folder.path());
        let head = repository.head().unwrap();
        for service in SERVICES {
            let hash = |commit| repository.folder_hash(commit, service).unwrap();
            assert_eq!(hash(head), hash(&first), "{service} was not restored");
        }
    }
    eprintln!("{killed} kills over {runs} runs, {killed_durable} of them of durable writers");
}

/// Delays from a fixed seed, longer with every attempt so that each run ends on any machine. When
/// exactly a child dies depends on the machine; what must hold then does not.
struct Delays(u64);

impl Delays {
    fn next(&mut self, attempt: u64) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        Duration::from_micros((self.0 >> 33) % (attempt * 60_000))
    }
}
