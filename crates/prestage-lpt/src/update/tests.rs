//! The meta-pipeline on a fleet of six, over every store.

use crate::fixture::{self, FLEET_AT};
use crate::fleet::no_check;
use crate::merge3::{ConflictKind, Decisions, Resolution};
use crate::message::Action;
use crate::store::{CommitId, GitStore, MemoryStore};

use super::*;

const AT: i64 = FLEET_AT + 100;
const SERVICES: [&str; 6] = ["a0", "a1", "a2", "b0", "b1", "c0"];

pub(super) fn options() -> UpdateOptions {
    UpdateOptions {
        canary: 1,
        wave: 2,
        at: AT,
    }
}

fn for_each_fleet(contract: impl Fn(PipelineRepository)) {
    contract(fixture::fleet(Box::new(MemoryStore::new())));
    let folder = tempfile::tempdir().unwrap();
    contract(fixture::fleet(Box::new(
        GitStore::open(folder.path()).unwrap(),
    )));
}

fn run(repository: &mut PipelineRepository, edited: &str) -> UpdateOutcome {
    let templates = fixture::fleet_templates(edited);
    update(
        repository,
        &templates,
        options(),
        &no_check,
        &mut StoredFiles,
    )
    .unwrap()
}

fn ended(outcome: UpdateOutcome) -> Journal {
    match outcome {
        UpdateOutcome::Ended(journal) => journal,
        UpdateOutcome::NothingToDo(_) => panic!("nothing was done"),
    }
}

fn hashes(repository: &PipelineRepository) -> Vec<Option<String>> {
    let head = repository.head().unwrap();
    let hash = |service| repository.folder_hash(head, service).unwrap();
    SERVICES.into_iter().map(hash).collect()
}

struct RefuseService(&'static str);

impl Verifier for RefuseService {
    fn verify(
        &mut self,
        _: &PipelineRepository,
        service: &str,
    ) -> Result<std::result::Result<(), String>> {
        Ok(match service == self.0 {
            true => Err("the build is red".to_owned()),
            false => Ok(()),
        })
    }
}

#[test]
fn l09_every_step_is_logged_in_order() {
    for_each_fleet(|mut repository| {
        let journal = ended(run(&mut repository, "leaf-a"));
        let steps: Vec<&str> = journal
            .entries
            .iter()
            .map(|entry| entry.step.as_str())
            .collect();
        let expected = [
            "detected",
            "resolved",
            "planned",
            "checked",
            "conflicts recorded",
            "applying",
            "verified",
            "applying",
            "verified",
            "done",
        ];
        assert_eq!(steps, expected);
        assert_eq!(journal.waves, [vec!["a0"], vec!["a1", "a2"]]);
        assert_eq!(super::journal(&repository).unwrap(), Some(journal));
        let log = repository.log().unwrap();
        assert!(log.iter().any(|entry| entry.action == Action::Journal));
        assert_eq!(
            log.iter()
                .filter(|entry| entry.action == Action::Update)
                .count(),
            3
        );
    });
}

#[test]
fn l10_candidates_are_recorded_before_any_file_is_written() {
    for_each_fleet(|mut repository| {
        let journal = ended(run(&mut repository, "leaf-a"));
        for service in ["a0", "a1", "a2"] {
            let (_, base) = repository.revisions(service).unwrap();
            assert_eq!(&journal.candidates[service], base);
        }
        let log = repository.log().unwrap();
        let oldest_first: Vec<Action> = log.iter().rev().map(|entry| entry.action).collect();
        let first_update = oldest_first
            .iter()
            .position(|action| *action == Action::Update);
        let first_journal = oldest_first
            .iter()
            .position(|action| *action == Action::Journal);
        assert!(first_journal < first_update);
    });
}

#[test]
fn l08_only_what_the_change_reaches_is_touched() {
    for_each_fleet(|mut repository| {
        let before = hashes(&repository);
        run(&mut repository, "leaf-a");
        let after = hashes(&repository);
        for (index, service) in SERVICES.iter().enumerate() {
            assert_eq!(
                before[index] != after[index],
                service.starts_with('a'),
                "{service}"
            );
        }
    });
}

#[test]
fn a_second_run_changes_nothing() {
    for_each_fleet(|mut repository| {
        run(&mut repository, "base-service");
        let head = repository.head().cloned();
        let again = run(&mut repository, "base-service");
        assert!(matches!(again, UpdateOutcome::NothingToDo(_)));
        assert_eq!(repository.head().cloned(), head);
    });
}

#[test]
fn l21_overrides_survive_and_a_conflict_holds_only_its_service() {
    for_each_fleet(|mut repository| {
        let mut kept = repository.definition("a0").unwrap().clone();
        kept.stages[0].timeout_minutes = 77;
        repository.edit(&kept, AT).unwrap();
        let mut disputed = repository.definition("a1").unwrap().clone();
        fixture::set_build_command(&mut disputed, "./ci/ours.sh");
        repository.edit(&disputed, AT).unwrap();
        let before = hashes(&repository);
        let journal = ended(run(&mut repository, "leaf-a"));
        assert_eq!(journal.step(), UpdateStep::Done);
        let merged = repository.definition("a0").unwrap();
        assert_eq!(merged.stages[0].timeout_minutes, 77);
        assert_eq!(merged.stages[0].env["BUILD_COMMAND"], "./ci/leaf-a-2");
        assert_eq!(hashes(&repository)[1], before[1]);
        assert_eq!(
            repository.definition("a2").unwrap().stages[0].env["BUILD_COMMAND"],
            "./ci/leaf-a-2"
        );
        let again = run(&mut repository, "leaf-a");
        assert!(matches!(again, UpdateOutcome::NothingToDo(_)));
        let path = "/stages/[name=build]/env/BUILD_COMMAND";
        let wrong = Decisions::from([("/nowhere".to_owned(), Resolution::Ours)]);
        let error = repository.resolve("a1", &wrong, AT).unwrap_err();
        assert_eq!(error.code(), "E-CONFLICT-UNKNOWN");
        let decisions = Decisions::from([(path.to_owned(), Resolution::Ours)]);
        repository.resolve("a1", &decisions, AT).unwrap();
        let resolved = repository.definition("a1").unwrap();
        assert_eq!(resolved.stages[0].env["BUILD_COMMAND"], "./ci/ours.sh");
        assert_eq!(repository.state("a1").unwrap().pending, None);
        let drift = repository.drift("a1").unwrap();
        assert_eq!(drift.overrides.len(), 1);
        assert_eq!(drift.files, []);
        let settled = run(&mut repository, "leaf-a");
        assert!(matches!(settled, UpdateOutcome::NothingToDo(_)));
    });
}

#[test]
fn l21_what_the_new_template_closes_waits_for_a_decision_that_it_allows() {
    for_each_fleet(|mut repository| {
        let mut ours = repository.definition("a0").unwrap().clone();
        ours.stages[0].timeout_minutes = 77;
        ours.stages[0]
            .env
            .insert("EXTRA".to_owned(), "1".to_owned());
        repository.edit(&ours, AT).unwrap();
        let closing = "name: leaf-a\nextends: middle\npolicy:\n\
            - {path: '/stages/[name=build]', rule: sealed}\n\
            - {path: '/stages/[name=build]/env', rule: extend-only}\n\
            stages:\n- {name: build, env: [{name: BUILD_COMMAND, value: ./ci/closed.sh}]}\n";
        let mut templates = fixture::fleet_templates("");
        templates.replace(crate::template::Template::parse("t.yaml", closing).unwrap());
        let outcome = update(
            &mut repository,
            &templates,
            options(),
            &no_check,
            &mut StoredFiles,
        );
        ended(outcome.unwrap());
        let path = "/stages/[name=build]/timeout_minutes";
        let pending = repository.state("a0").unwrap().pending.clone().unwrap();
        let found: Vec<(&str, ConflictKind)> = pending
            .conflicts
            .iter()
            .map(|conflict| (conflict.path.as_str(), conflict.kind))
            .collect();
        assert_eq!(found, [(path, ConflictKind::Policy)]);
        for decision in [Resolution::Ours, Resolution::Value(5.into())] {
            let decisions = Decisions::from([(path.to_owned(), decision)]);
            let error = repository.resolve("a0", &decisions, AT).unwrap_err();
            assert_eq!(error.code(), "E-SEALED");
        }
        let decisions = Decisions::from([(path.to_owned(), Resolution::Theirs)]);
        repository.resolve("a0", &decisions, AT).unwrap();
        let merged = &repository.definition("a0").unwrap().stages[0];
        assert_eq!(merged.timeout_minutes, 30);
        assert_eq!(merged.env["EXTRA"], "1");
        assert_eq!(merged.env["BUILD_COMMAND"], "./ci/closed.sh");
    });
}

#[test]
fn l20_a_wave_that_fails_is_restored_byte_for_byte_and_held() {
    for_each_fleet(|mut repository| {
        let before = hashes(&repository);
        let templates = fixture::fleet_templates("leaf-a");
        let outcome = update(
            &mut repository,
            &templates,
            options(),
            &no_check,
            &mut RefuseService("a2"),
        );
        let journal = ended(outcome.unwrap());
        assert_eq!(journal.step(), UpdateStep::RolledBack);
        let after = hashes(&repository);
        // The canary was verified and stays; the second wave is what it was.
        assert_ne!(after[0], before[0]);
        assert_eq!(after[1..], before[1..]);
        assert_eq!(repository.state("a1").unwrap().holds.len(), 1);
        let again = run(&mut repository, "leaf-a");
        assert!(
            matches!(again, UpdateOutcome::NothingToDo(_)),
            "a held candidate came back"
        );
        repository.release("a1", AT).unwrap();
        let journal = ended(run(&mut repository, "leaf-a"));
        assert_eq!(journal.waves, [vec!["a1"]]);
    });
}

#[test]
fn l20_stable_and_latest_point_at_definitions() {
    for_each_fleet(|mut repository| {
        run(&mut repository, "leaf-a");
        let (latest, _) = repository.revisions("a0").unwrap();
        assert_eq!(
            repository.state("a0").unwrap().stable.as_ref(),
            Some(latest)
        );
        repository
            .rollback("a0", &crate::repository::RollbackTo::OneStepBack, AT)
            .unwrap();
        let (latest, _) = repository.revisions("a0").unwrap();
        assert_eq!(
            repository.state("a0").unwrap().stable.as_ref(),
            Some(latest)
        );
    });
}

#[test]
fn a_file_edited_by_hand_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut repository = fixture::fleet(Box::new(GitStore::open(folder.path()).unwrap()));
    let head: CommitId = repository.head().unwrap().clone();
    let mut other = GitStore::open(folder.path()).unwrap();
    let change = crate::store::Change {
        folder: Some(crate::store::FolderChange {
            service: "a1",
            content: crate::store::Content::Edit {
                write: vec![(".gitlab-ci.yml".to_owned(), b"mine: true\n".to_vec())],
                remove: Vec::new(),
            },
        }),
        records: Vec::new(),
        message: "fix the runner\n".to_owned(),
        at: AT,
    };
    crate::store::Store::commit(&mut other, Some(&head), &change).unwrap();
    repository.reload().unwrap();
    let before = hashes(&repository);
    let drift = repository.drift("a1").unwrap();
    assert_eq!(drift.files[0].path, ".gitlab-ci.yml");
    let journal = ended(run(&mut repository, "leaf-a"));
    assert_eq!(journal.step(), UpdateStep::Done);
    let after = hashes(&repository);
    assert_eq!(before[1], after[1]);
    assert_ne!(before[0], after[0]);
    let again = run(&mut repository, "leaf-a");
    let UpdateOutcome::NothingToDo(plan) = again else {
        panic!("a drifted service was touched")
    };
    let refused = plan.with_action(PlanAction::Refused).next().unwrap();
    assert_eq!(refused.problem.as_ref().unwrap().code, "E-LIVE-PARSE");
}

#[test]
fn newer_templates_close_a_run_that_did_not_end() {
    for_each_fleet(|mut repository| {
        let templates = fixture::fleet_templates("leaf-a");
        let mut run_of = Run {
            repository: &mut repository,
            templates: &templates,
            resolver: Resolver::new(&templates),
            options: options(),
        };
        let Ok(Begun::Journal(_)) = run_of.begin(&no_check) else {
            panic!("nothing to begin")
        };
        let journal = ended(run(&mut repository, "leaf-b"));
        assert_eq!(journal.step(), UpdateStep::Done);
        assert_eq!(journal.waves, [vec!["b0"], vec!["b1"]]);
    });
}
