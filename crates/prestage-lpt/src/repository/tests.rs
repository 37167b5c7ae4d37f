//! The contract of the pipelines repository, run over every store.

use serde_json::json;

use crate::fixture;
use crate::parameter::Origin;
use crate::stage::{NeedType, generate_stage_definition};
use crate::store::{GitStore, MemoryStore};

use super::*;

const START: i64 = 1_700_000_000;

/// Runs a contract over a fresh repository of each kind.
fn for_each_store(contract: impl Fn(PipelineRepository)) {
    contract(PipelineRepository::open(Box::new(MemoryStore::new())).unwrap());
    let folder = tempfile::tempdir().unwrap();
    contract(open_git(folder.path()));
}

fn open_git(path: &std::path::Path) -> PipelineRepository {
    PipelineRepository::open(Box::new(GitStore::open(path).unwrap())).unwrap()
}

fn propose(repository: &mut PipelineRepository, kind: NeedType, at: i64) -> StageKey {
    let stage = fixture::stage(kind);
    let provenance = fixture::provenance(&stage);
    let commit = repository
        .propose("checkout", &stage, &provenance, at)
        .unwrap();
    assert_eq!(commit.outcome, Outcome::Committed);
    stage.key
}

/// The sequence of the tour: put, propose two, activate one, retire the other.
fn tour(repository: &mut PipelineRepository) -> Vec<CommitId> {
    let mut commits = vec![
        repository
            .put_service(&fixture::definition(), START)
            .unwrap()
            .id,
    ];
    let canary = propose(repository, NeedType::FeatureRelease, START + 1);
    commits.push(repository.head().unwrap().clone());
    let scaling = propose(repository, NeedType::Scaling, START + 2);
    commits.push(repository.head().unwrap().clone());
    commits.push(repository.activate(&canary, START + 3).unwrap().id);
    commits.push(
        repository
            .retire(&scaling, RetireReason::Expired, START + 4)
            .unwrap()
            .id,
    );
    commits
}

fn text(files: &Files, path: &str) -> String {
    String::from_utf8(files[path].to_vec()).unwrap()
}

#[test]
fn each_operation_is_one_commit_that_log_reads_back() {
    for_each_store(|mut repository| {
        let commits = tour(&mut repository);
        let log = repository.log().unwrap();
        let ids: Vec<&CommitId> = log.iter().rev().map(|entry| &entry.commit).collect();
        assert_eq!(ids, commits.iter().collect::<Vec<_>>());
        let actions: Vec<Action> = log.iter().rev().map(|entry| entry.action).collect();
        assert_eq!(
            actions,
            [
                Action::Put,
                Action::Propose,
                Action::Propose,
                Action::Activate,
                Action::Retire
            ]
        );
        let proposal = &log[3];
        let canary = fixture::stage(NeedType::FeatureRelease);
        assert_eq!(proposal.at, START + 1);
        assert_eq!(proposal.stage.as_deref(), Some(canary.name.as_str()));
        assert_eq!(proposal.key, Some(canary.key));
        assert_eq!(proposal.need, Some(NeedType::FeatureRelease));
        assert_eq!(proposal.provenance.probability, Some(0.83));
        assert_eq!(proposal.provenance.arm.as_deref(), Some("static-tuned"));
        assert_eq!(
            proposal.definition.as_deref(),
            Some(fixture::definition().revision().as_str())
        );
        assert!(
            proposal
                .subject
                .starts_with("stage: propose canary-checkout-"),
            "{}",
            proposal.subject
        );
        assert_eq!(log[0].reason, Some(RetireReason::Expired));
        assert_eq!(repository.log_of("checkout").unwrap(), log);
        assert_eq!(repository.log_of("other").unwrap(), []);
    });
}

#[test]
fn the_folder_holds_definition_stages_and_targets() {
    for_each_store(|mut repository| {
        repository
            .put_service(&fixture::definition(), START)
            .unwrap();
        let key = propose(&mut repository, NeedType::Scaling, START);
        let name = fixture::stage(NeedType::Scaling).name;
        let files = repository.show("checkout").unwrap();
        let paths: Vec<&str> = files.keys().map(String::as_str).collect();
        let stage_file = format!("stages/{name}.json");
        assert_eq!(
            paths,
            [
                ".github/workflows/checkout.yml",
                ".gitlab-ci.yml",
                "base.json",
                "definition.json",
                stage_file.as_str()
            ]
        );
        let inactive = text(&files, ".gitlab-ci.yml");
        assert!(
            inactive.contains(&format!("$PRESTAGE_ACTIVATE == \"{}\"", key.short())),
            "{inactive}"
        );
        repository.activate(&key, START).unwrap();
        let active = text(&repository.show("checkout").unwrap(), ".gitlab-ci.yml");
        assert!(!active.contains("PRESTAGE_ACTIVATE"));
        assert!(active.contains(&name));
    });
}

#[test]
fn the_same_need_twice_is_one_commit() {
    for_each_store(|mut repository| {
        repository
            .put_service(&fixture::definition(), START)
            .unwrap();
        let key = propose(&mut repository, NeedType::Scaling, START);
        let stage = fixture::stage(NeedType::Scaling);
        let head = repository.head().unwrap().clone();
        let again = repository.propose("checkout", &stage, &fixture::provenance(&stage), START + 9);
        let unchanged = Commit {
            id: head.clone(),
            outcome: Outcome::Unchanged,
        };
        assert_eq!(again.unwrap(), unchanged);
        assert_eq!(
            repository
                .put_service(&fixture::definition(), START + 9)
                .unwrap(),
            unchanged
        );
        repository.activate(&key, START + 10).unwrap();
        assert_eq!(
            repository.activate(&key, START + 11).unwrap().outcome,
            Outcome::Unchanged
        );
        let staged = repository.stage(key.short()).unwrap();
        assert_eq!(
            (staged.proposed_at, staged.activated_at),
            (START, Some(START + 10))
        );
    });
}

#[test]
fn rollback_restores_byte_for_byte_by_a_new_commit() {
    for_each_store(|mut repository| {
        let commits = tour(&mut repository);
        let to = RollbackTo::Commit(CommitId::from_hex(commits[2].short()));
        let rollback = repository.rollback("checkout", &to, START + 5).unwrap();
        assert_eq!(rollback.outcome, Outcome::Committed);
        assert!(!commits.contains(&rollback.id));
        let hash = |commit| repository.folder_hash(commit, "checkout").unwrap().unwrap();
        assert_eq!(hash(&rollback.id), hash(&commits[2]));
        assert_ne!(hash(&rollback.id), hash(&commits[4]));
        assert_eq!(repository.stages("checkout").unwrap().count(), 2);
        assert_eq!(
            repository.log().unwrap()[0].restores,
            Some(commits[2].clone())
        );
        let again = repository.rollback("checkout", &to, START + 6).unwrap();
        assert_eq!(again.outcome, Outcome::Unchanged);
    });
}

#[test]
fn one_step_back_goes_further_each_time() {
    for_each_store(|mut repository| {
        let commits = tour(&mut repository);
        for expected in commits[..4].iter().rev() {
            repository
                .rollback("checkout", &RollbackTo::OneStepBack, START + 5)
                .unwrap();
            let head = repository.head().unwrap();
            assert_eq!(
                repository.folder_hash(head, "checkout").unwrap(),
                repository.folder_hash(expected, "checkout").unwrap()
            );
        }
        let error = repository
            .rollback("checkout", &RollbackTo::OneStepBack, START + 5)
            .unwrap_err();
        assert_eq!(error.code(), "E-ROLLBACK-NOTHING");
    });
}

#[test]
fn a_rollback_of_one_service_leaves_the_other_alone() {
    for_each_store(|mut repository| {
        tour(&mut repository);
        let mut other = fixture::definition();
        other.service = "payments".to_owned();
        repository.put_service(&other, START + 5).unwrap();
        let before = repository.head().unwrap().clone();
        repository
            .rollback("checkout", &RollbackTo::OneStepBack, START + 6)
            .unwrap();
        let after = repository.head().unwrap();
        assert_eq!(
            repository.folder_hash(after, "payments").unwrap(),
            repository.folder_hash(&before, "payments").unwrap()
        );
        assert_eq!(
            repository.services().collect::<Vec<_>>(),
            ["checkout", "payments"]
        );
    });
}

#[test]
fn unknown_things_are_refused() {
    for_each_store(|mut repository| {
        let commits = tour(&mut repository);
        let stage = fixture::stage(NeedType::Scaling);
        let code = |result: Result<Commit>| result.unwrap_err().code();
        assert_eq!(
            code(repository.activate(&stage.key, START)),
            "E-STAGE-UNKNOWN"
        );
        assert_eq!(
            code(repository.retire(&stage.key, RetireReason::UsedUp, START)),
            "E-STAGE-UNKNOWN"
        );
        let back = RollbackTo::OneStepBack;
        assert_eq!(
            code(repository.rollback("chekout", &back, START)),
            "E-SERVICE-UNKNOWN"
        );
        let missing = RollbackTo::Commit(CommitId::from_hex("ffffffff"));
        assert_eq!(
            code(repository.rollback("checkout", &missing, START)),
            "E-COMMIT-UNKNOWN"
        );
        let short = RollbackTo::Commit(CommitId::from_hex(&commits[0].as_str()[..3]));
        assert_eq!(
            code(repository.rollback("checkout", &short, START)),
            "E-COMMIT-UNKNOWN"
        );
        let mut nan = fixture::provenance(&stage);
        nan.knobs.insert("x".to_owned(), f64::NAN);
        assert_eq!(
            code(repository.propose("checkout", &stage, &nan, START)),
            "E-NEED-INVALID"
        );
        let good = fixture::provenance(&stage);
        assert_eq!(
            code(repository.propose("checkout", &stage, &good, -1)),
            "E-NEED-INVALID"
        );
        assert_eq!(repository.head(), commits.last());
    });
}

#[test]
fn the_same_sequence_gives_the_same_commit_ids() {
    let mut memory: Vec<Vec<CommitId>> = Vec::new();
    let mut git: Vec<Vec<CommitId>> = Vec::new();
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        git.push(tour(&mut open_git(folder.path())));
        memory.push(tour(
            &mut PipelineRepository::open(Box::new(MemoryStore::new())).unwrap(),
        ));
    }
    assert_eq!(memory[0], memory[1]);
    assert_eq!(git[0], git[1]);
}

#[test]
fn both_stores_hold_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut git = open_git(folder.path());
    let mut memory = PipelineRepository::open(Box::new(MemoryStore::new())).unwrap();
    tour(&mut git);
    tour(&mut memory);
    assert_eq!(
        git.show("checkout").unwrap(),
        memory.show("checkout").unwrap()
    );
}

#[test]
fn a_changed_definition_keeps_stages_and_drops_files_of_a_lost_target() {
    for_each_store(|mut repository| {
        repository
            .put_service(&fixture::definition(), START)
            .unwrap();
        propose(&mut repository, NeedType::Scaling, START);
        let mut definition = fixture::definition();
        definition.pipeline.targets = vec!["gitlab".to_owned()];
        repository.put_service(&definition, START + 1).unwrap();
        let files = repository.show("checkout").unwrap();
        assert!(!files.contains_key(".github/workflows/checkout.yml"));
        assert_eq!(repository.stages("checkout").unwrap().count(), 1);
        let paths: Vec<&str> = files.keys().map(String::as_str).collect();
        let stage_file = format!("stages/{}.json", fixture::stage(NeedType::Scaling).name);
        let expected = [
            ".gitlab-ci.yml",
            "base.json",
            "definition.json",
            &stage_file,
        ];
        assert_eq!(paths, expected);
    });
}

#[test]
fn a_durable_store_makes_the_same_commits_and_remembers_that_it_is_one() {
    let [plain, durable] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let commits = tour(&mut open_git(plain.path()));
    let store = GitStore::open(durable.path()).unwrap().durable().unwrap();
    let mut repository = PipelineRepository::open(Box::new(store)).unwrap();
    assert_eq!(tour(&mut repository), commits);
    let is_durable = |path| GitStore::open(path).unwrap().is_durable().unwrap();
    assert!(is_durable(durable.path()));
    assert!(!is_durable(plain.path()));
}

#[test]
fn a_reopened_repository_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let commits = tour(&mut open_git(folder.path()));
    let mut again = open_git(folder.path());
    assert_eq!(again.head(), commits.last());
    assert_eq!(
        again.definition("checkout").unwrap(),
        &fixture::definition()
    );
    let canary = fixture::stage(NeedType::FeatureRelease);
    let staged = again.stage(canary.key.as_str()).unwrap();
    assert_eq!(staged.stage, canary);
    let expected = fixture::provenance(&canary)
        .completed(&canary, &fixture::definition())
        .unwrap();
    assert_eq!(staged.provenance, expected);
    again
        .retire(&canary.key, RetireReason::UsedUp, START + 9)
        .unwrap();
    assert_eq!(again.stages("checkout").unwrap().count(), 0);
}

#[test]
fn objects_without_a_moved_branch_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let commits = tour(&mut open_git(folder.path()));
    // What a process leaves behind that was killed just before the branch moved.
    let raw = git2::Repository::open_bare(folder.path()).unwrap();
    let blob = raw.blob(b"orphan").unwrap();
    let mut builder = raw.treebuilder(None).unwrap();
    builder.insert("services", blob, 0o100_644).unwrap();
    let tree = raw.find_tree(builder.write().unwrap()).unwrap();
    let author = git2::Signature::new("x", "x@x", &git2::Time::new(0, 0)).unwrap();
    raw.commit(None, &author, &author, "orphan", &tree, &[])
        .unwrap();
    let again = open_git(folder.path());
    assert_eq!(again.head(), commits.last());
    assert_eq!(again.log().unwrap().len(), commits.len());
}

#[test]
fn two_writers_do_not_lose_each_others_commits() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open_git(folder.path());
    first.put_service(&fixture::definition(), START).unwrap();
    let mut second = open_git(folder.path());
    propose(&mut first, NeedType::Scaling, START + 1);
    propose(&mut second, NeedType::TestSuite, START + 2);
    assert_eq!(second.stages("checkout").unwrap().count(), 2);
    assert_eq!(second.log().unwrap().len(), 3);
    let stage = fixture::stage(NeedType::TestSuite);
    let again = first.propose("checkout", &stage, &fixture::provenance(&stage), START + 3);
    // The first writer does not know of it until it tries to commit.
    assert_eq!(again.unwrap().outcome, Outcome::Unchanged);
}

#[test]
fn places_that_are_no_bare_repository_are_the_worlds_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let code = |path: &std::path::Path| {
        let error = GitStore::open(path).unwrap_err();
        assert!(error.is_environment());
        error.code()
    };
    assert_eq!(code(&file), "E-STORE-NOT-REPOSITORY");
    assert_eq!(code(folder.path()), "E-STORE-NOT-REPOSITORY");
    let work_tree = tempfile::tempdir().unwrap();
    git2::Repository::init(work_tree.path()).unwrap();
    assert_eq!(code(work_tree.path()), "E-STORE-NOT-BARE");
    let new = folder.path().join("a/b/new.git");
    assert!(GitStore::open(&new).is_ok());
}

#[test]
fn a_damaged_file_is_named() {
    let mut store = MemoryStore::new();
    let change = Change {
        folder: Some(FolderChange {
            service: "checkout",
            content: Content::Edit {
                write: vec![("definition.json".to_owned(), b"{".to_vec())],
                remove: Vec::new(),
            },
        }),
        records: Vec::new(),
        message: "x".to_owned(),
        at: START,
    };
    store.commit(None, &change).unwrap();
    let mut repository = PipelineRepository::open(Box::new(store)).unwrap();
    let error = repository.definition("checkout").unwrap_err();
    assert_eq!(repository.unreadable()["checkout"], error);
    let refused = repository.put_service(&fixture::definition(), START + 1);
    assert_eq!(refused.unwrap_err(), error);
    assert_eq!(error.code(), "E-STORE-CORRUPT");
    assert!(
        error
            .to_string()
            .contains("services/checkout/definition.json")
    );
}

#[test]
fn a_stage_outlives_a_definition_that_changes_beside_it() {
    for_each_store(|mut repository| {
        repository
            .put_service(&fixture::definition(), START)
            .unwrap();
        let key = propose(&mut repository, NeedType::Scaling, START);
        let mut instance = fixture::instance();
        instance.params.insert("test_shards".to_owned(), json!(5));
        let templates = crate::template::TemplateSet::builtin();
        let definition = crate::definition::resolve(&templates, &instance).unwrap();
        repository.put_service(&definition, START + 1).unwrap();
        assert_eq!(repository.stage(key.as_str()).unwrap().proposed_at, START);
        let need = fixture::need(NeedType::Scaling);
        assert_eq!(
            generate_stage_definition(&definition, &need).unwrap().key,
            key
        );
    });
}

#[test]
fn l23_every_decision_can_be_traced_from_the_log() {
    for_each_store(|mut repository| {
        repository
            .put_service(&fixture::definition(), START)
            .unwrap();
        for kind in NeedType::ALL {
            propose(&mut repository, kind, START + 1);
        }
        let log = repository.log_of("checkout").unwrap();
        let proposals: Vec<&LogEntry> = log
            .iter()
            .filter(|entry| entry.action == Action::Propose)
            .collect();
        assert_eq!(proposals.len(), NeedType::ALL.len());
        for entry in &proposals {
            let staged = repository.staged_at(entry).unwrap().unwrap();
            let provenance = staged.provenance;
            assert_eq!(provenance.missing(), Vec::<&str>::new());
            assert_eq!(Some(&staged.stage.key), entry.key.as_ref());
            assert_eq!(entry.provenance.need_id, Some(provenance.need_id));
            let template = format!("{}@{}", staged.stage.template, provenance.template_revision);
            assert_eq!(entry.provenance.template, Some(template));
            // Every parameter that stands anywhere has an origin, and every target a validator.
            for parameter in provenance.parameters_at.values().flatten() {
                assert!(
                    provenance.parameter_origins.contains_key(parameter),
                    "{parameter}"
                );
            }
            let passed = |validator: &str| {
                let found = provenance.validators.iter();
                found
                    .clone()
                    .any(|validation| validation.validator == validator && validation.passed)
            };
            assert!(provenance.drivers.iter().all(|driver| passed(driver)));
            assert!(passed("rule/timeout-bounded"));
        }
        let first = repository.staged_at(proposals[3]).unwrap().unwrap();
        // A stage that is gone can still be explained.
        let key = first.stage.key.clone();
        repository
            .retire(&key, RetireReason::Expired, START + 9)
            .unwrap();
        assert_eq!(repository.staged_at(proposals[3]).unwrap(), Some(first));
    });
}

#[test]
fn l23_a_value_is_traced_to_who_decided_it() {
    let mut repository = PipelineRepository::open(Box::new(MemoryStore::new())).unwrap();
    repository
        .put_service(&fixture::definition(), START)
        .unwrap();
    propose(&mut repository, NeedType::Scaling, START + 1);
    let staged = repository.stages("checkout").unwrap().next().unwrap();
    let provenance = &staged.provenance;
    let path = "/stages/[name=scale]/env/[name=REPLICAS]/value";
    assert_eq!(provenance.parameters_at[path], ["replicas"]);
    assert_eq!(provenance.parameter_origins["replicas"], Origin::Need);
    assert!(
        !provenance
            .parameters_at
            .contains_key("/stages/[name=scale]/script/0")
    );
}
