//! Edits by hand of emitted files: taken over where a definition can hold them, else left alone.

use crate::definition::When;
use crate::fixture::{self, FLEET_AT};
use crate::fleet::{FleetPlanner, no_check};
use crate::merge3::ConflictKind;
use crate::message::Action;
use crate::plan::PlanAction;
use crate::repository::{Outcome, RetireReason, RollbackTo};
use crate::stage::{NeedType, PredictedNeed, StageDefinition, generate_stage_definition};
use crate::store::{Change, Content, FolderChange, GitStore, MemoryStore, Store};
use crate::update::{StoredFiles, UpdateOptions, UpdateOutcome, update};

use super::*;

const AT: i64 = FLEET_AT + 100;
const GITLAB: &str = ".gitlab-ci.yml";
const GITHUB: &str = ".github/workflows/a1.yml";

fn for_each_fleet(contract: impl Fn(PipelineRepository)) {
    contract(fixture::fleet(Box::new(MemoryStore::new())));
    let folder = tempfile::tempdir().unwrap();
    let store: Box<dyn Store> = Box::new(GitStore::open(folder.path()).unwrap());
    contract(fixture::fleet(store));
}

fn text(repository: &PipelineRepository, service: &str, path: &str) -> String {
    let bytes = repository.show(service).unwrap()[path].to_vec();
    String::from_utf8(bytes).unwrap()
}

/// Commits another content of one file of `a1`, as somebody who knows nothing of prestage would.
fn by_hand(repository: &mut PipelineRepository, path: &str, edit: impl Fn(&str) -> String) {
    let before = text(repository, "a1", path);
    let after = edit(&before);
    assert_ne!(before, after, "nothing was edited");
    let write = vec![(path.to_owned(), after.into_bytes())];
    let remove = Vec::new();
    foreign(repository, Content::Edit { write, remove });
}

fn foreign(repository: &mut PipelineRepository, content: Content<'_>) {
    let change = Change {
        folder: Some(FolderChange {
            service: "a1",
            content,
        }),
        records: Vec::new(),
        message: "fix the runner\n".to_owned(),
        at: AT,
    };
    let head = repository.head.clone();
    repository.store.commit(head.as_ref(), &change).unwrap();
    repository.reload().unwrap();
}

/// Gives the first stage (`build`) ten more minutes.
fn longer(text: &str) -> String {
    let edited = text.replacen("timeout: 30 minutes", "timeout: 40 minutes", 1);
    edited.replacen("timeout-minutes: 30", "timeout-minutes: 40", 1)
}

fn stage_of(repository: &PipelineRepository, service: &str) -> StageDefinition {
    let need = PredictedNeed {
        service: service.to_owned(),
        ..fixture::need(NeedType::Scaling)
    };
    generate_stage_definition(repository.definition(service).unwrap(), &need).unwrap()
}

fn propose(repository: &mut PipelineRepository) -> Result<StageDefinition> {
    let stage = stage_of(repository, "a1");
    let provenance = fixture::provenance(&stage);
    repository
        .propose("a1", &stage, &provenance, AT)
        .map(|_| stage)
}

fn run_update(repository: &mut PipelineRepository) -> UpdateOutcome {
    let options = UpdateOptions {
        canary: 1,
        wave: 2,
        at: AT,
    };
    let templates = fixture::fleet_templates("leaf-a");
    update(repository, &templates, options, &no_check, &mut StoredFiles).unwrap()
}

#[test]
fn an_edit_of_any_target_becomes_an_override_and_survives_an_update() {
    for path in [GITLAB, GITHUB] {
        for_each_fleet(|mut repository| {
            by_hand(&mut repository, path, longer);
            let drift = repository.drift("a1").unwrap();
            assert_eq!(drift.files.len(), 1);
            assert_eq!(
                drift.hand_edits[0].path,
                "/stages/[name=build]/timeout_minutes"
            );
            assert_eq!(drift.problem, None);
            run_update(&mut repository);
            let merged = repository.definition("a1").unwrap();
            assert_eq!(merged.stages[0].timeout_minutes, 40);
            assert_eq!(merged.stages[0].env["BUILD_COMMAND"], "./ci/leaf-a-2");
            let drift = repository.drift("a1").unwrap();
            assert_eq!(drift.files, []);
            assert_eq!(drift.overrides.len(), 1);
            // The other target says it now as well.
            assert!(text(&repository, "a1", GITLAB).contains("40 minutes"));
            assert!(text(&repository, "a1", GITHUB).contains("timeout-minutes: 40"));
        });
    }
}

#[test]
fn a_proposal_keeps_the_edit_and_leaves_again_without_it() {
    for_each_fleet(|mut repository| {
        by_hand(&mut repository, GITLAB, longer);
        let stage = propose(&mut repository).unwrap();
        assert!(text(&repository, "a1", GITLAB).contains("40 minutes"));
        let actions: Vec<Action> = repository
            .log_of("a1")
            .unwrap()
            .iter()
            .map(|entry| entry.action)
            .collect();
        assert_eq!(actions[..2], [Action::Propose, Action::Edit]);
        repository.activate(&stage.key, AT).unwrap();
        repository
            .rollback("a1", &RollbackTo::OneStepBack, AT)
            .unwrap();
        repository
            .retire(&stage.key, RetireReason::Withdrawn, AT)
            .unwrap();
        assert!(text(&repository, "a1", GITLAB).contains("40 minutes"));
        assert_eq!(repository.drift("a1").unwrap().overrides.len(), 1);
    });
}

#[test]
fn an_edit_that_comes_between_plan_and_commit_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut ours = fixture::fleet(Box::new(GitStore::open(folder.path()).unwrap()));
    let store = GitStore::open(folder.path()).unwrap();
    let mut theirs = PipelineRepository::open(Box::new(store)).unwrap();
    by_hand(&mut theirs, GITLAB, longer);
    // `ours` still believes in the head of before.
    propose(&mut ours).unwrap();
    assert!(text(&ours, "a1", GITLAB).contains("40 minutes"));
    let mut edited = theirs.definition("a1").unwrap().clone();
    edited.stages[1].timeout_minutes = 50;
    theirs.edit(&edited, AT).unwrap();
    assert!(text(&theirs, "a1", GITLAB).contains("40 minutes"));
    assert!(text(&theirs, "a1", GITLAB).contains("50 minutes"));
}

#[test]
fn edits_of_two_files_join_and_a_dispute_holds_the_service() {
    for_each_fleet(|mut repository| {
        by_hand(&mut repository, GITLAB, longer);
        by_hand(&mut repository, GITHUB, |text| {
            text.replace("timeout-minutes: 30", "timeout-minutes: 45")
                .replacen("timeout-minutes: 45", "timeout-minutes: 30", 1)
        });
        let stage = propose(&mut repository).unwrap();
        let minutes: Vec<u32> = repository
            .definition("a1")
            .unwrap()
            .stages
            .iter()
            .map(|stage| stage.timeout_minutes)
            .collect();
        assert_eq!(minutes[..2], [40, 45]);
        repository
            .retire(&stage.key, RetireReason::Withdrawn, AT)
            .unwrap();
        by_hand(&mut repository, GITLAB, |text| {
            text.replacen("timeout: 40", "timeout: 41", 1)
        });
        by_hand(&mut repository, GITHUB, |text| {
            text.replacen("timeout-minutes: 40", "timeout-minutes: 42", 1)
        });
        let error = propose(&mut repository).unwrap_err();
        assert_eq!(error.code(), "E-LIVE-DRIFT");
        assert!(error.to_string().contains("something else"), "{error}");
    });
}

#[test]
fn jobs_added_and_taken_away_by_hand_stay_so() {
    for_each_fleet(|mut repository| {
        by_hand(&mut repository, GITLAB, |text| {
            format!(
                "{text}audit:\n  stage: audit\n  needs: [build]\n  timeout: 10 minutes\n  script: [./ci/audit.sh]\n"
            )
            .replacen("stages:\n", "stages:\n- audit\n", 1)
        });
        run_update(&mut repository);
        let names = |repository: &PipelineRepository| -> Vec<String> {
            let stages = &repository.definition("a1").unwrap().stages;
            stages.iter().map(|stage| stage.name.clone()).collect()
        };
        assert!(names(&repository).contains(&"audit".to_owned()));
        assert!(text(&repository, "a1", GITHUB).contains("./ci/audit.sh"));
    });
}

#[test]
fn comments_alone_are_no_edit() {
    for_each_fleet(|mut repository| {
        by_hand(&mut repository, GITLAB, |text| {
            let below_the_heading = text.find("stages:").unwrap();
            format!("# mine\n{}", &text[below_the_heading..])
        });
        let drift = repository.drift("a1").unwrap();
        assert_eq!(drift.files.len(), 1);
        assert_eq!(drift.hand_edits, []);
        propose(&mut repository).unwrap();
        assert_eq!(repository.drift("a1").unwrap().files, []);
        assert_eq!(repository.drift("a1").unwrap().overrides, []);
    });
}

/// What was done by hand, how, and the code it gets.
type HandEdit = (&'static str, fn(&str) -> String, &'static str);

#[test]
fn what_no_definition_can_hold_holds_the_service_and_stays_as_it_is() {
    let cases: [HandEdit; 4] = [
        ("does not parse", |_| "mine: [\n".to_owned(), "E-LIVE-PARSE"),
        (
            "no stage can say it",
            |text| text.replacen("build:\n", "build:\n  cache: {paths: [x]}\n", 1),
            "E-LIVE-DRIFT",
        ),
        (
            "no other target can say it",
            |text| text.replacen("- when: on_success", "- when: manual", 1),
            "E-TARGET-UNSUPPORTED",
        ),
        (
            "out of range",
            |text| text.replacen("timeout: 30 minutes", "timeout: 9000 minutes", 1),
            "E-LIVE-DRIFT",
        ),
    ];
    for (what, edit, code) in cases {
        for_each_fleet(|mut repository| {
            by_hand(&mut repository, GITLAB, edit);
            let mine = text(&repository, "a1", GITLAB);
            let error = propose(&mut repository).unwrap_err();
            assert_eq!(error.code(), code, "{what}: {error}");
            let outcome = run_update(&mut repository);
            let UpdateOutcome::Ended(journal) = outcome else {
                panic!("{what}: the others did not go on");
            };
            assert!(
                journal
                    .waves
                    .iter()
                    .flatten()
                    .all(|service| service != "a1")
            );
            let templates = fixture::fleet_templates("leaf-a");
            let plan = FleetPlanner::new()
                .plan(&templates, &repository, &no_check)
                .unwrap();
            let refused = plan.with_action(PlanAction::Refused).next().unwrap();
            assert_eq!(refused.problem.as_ref().unwrap().code, code, "{what}");
            assert_eq!(text(&repository, "a1", GITLAB), mine, "{what}");
            // The way out: back to what was.
            repository
                .rollback("a1", &RollbackTo::OneStepBack, AT)
                .unwrap();
            propose(&mut repository).unwrap();
        });
    }
}

#[test]
fn an_edit_of_the_definition_alone_is_not_taken_back() {
    for_each_fleet(|mut repository| {
        by_hand(&mut repository, "definition.json", |text| {
            text.replacen("\"timeout_minutes\": 30", "\"timeout_minutes\": 40", 1)
        });
        let mine = text(&repository, "a1", "definition.json");
        let error = propose(&mut repository).unwrap_err();
        assert_eq!(error.code(), "E-LIVE-DRIFT");
        assert!(error.to_string().contains("lpt edit"), "{error}");
        assert_eq!(text(&repository, "a1", "definition.json"), mine);
    });
}

#[test]
fn an_edit_of_a_staged_stage_holds_the_service() {
    for_each_fleet(|mut repository| {
        let stage = propose(&mut repository).unwrap();
        by_hand(&mut repository, GITLAB, |text| {
            text.replacen(
                "SCALE_COMMAND: ./ci/scale.sh",
                "SCALE_COMMAND: ./mine.sh",
                1,
            )
        });
        let error = repository.activate(&stage.key, AT).unwrap_err();
        assert_eq!(error.code(), "E-LIVE-DRIFT");
        assert!(error.to_string().contains("staged"), "{error}");
    });
}

#[test]
fn a_file_that_somebody_took_away_does_not_come_back_by_itself() {
    for_each_fleet(|mut repository| {
        let remove = vec![GITLAB.to_owned()];
        let write = Vec::new();
        foreign(&mut repository, Content::Edit { write, remove });
        let error = propose(&mut repository).unwrap_err();
        assert_eq!(error.code(), "E-LIVE-DRIFT");
        assert!(!repository.show("a1").unwrap().contains_key(GITLAB));
    });
}

#[test]
fn an_edit_that_the_template_changed_as_well_is_a_conflict() {
    for_each_fleet(|mut repository| {
        by_hand(&mut repository, GITLAB, |text| {
            text.replace("./ci/leaf-a", "./ci/mine.sh")
        });
        run_update(&mut repository);
        let pending = repository.state("a1").unwrap().pending.clone().unwrap();
        assert_eq!(pending.conflicts.len(), 1);
        assert_eq!(pending.conflicts[0].kind, ConflictKind::BothChanged);
        let again = run_update(&mut repository);
        assert!(matches!(again, UpdateOutcome::NothingToDo(_)));
        assert!(text(&repository, "a1", GITLAB).contains("./ci/mine.sh"));
    });
}

#[test]
fn records_may_change_while_a_file_is_held() {
    for_each_fleet(|mut repository| {
        by_hand(&mut repository, GITLAB, |_| "mine: [\n".to_owned());
        let pinned = repository.pin("a1", "run-1", AT).unwrap();
        assert_eq!(pinned.outcome, Outcome::Committed);
        assert_eq!(text(&repository, "a1", GITLAB), "mine: [\n");
        let definition = repository.definition("a1").unwrap();
        assert_eq!(definition.stages[0].when, When::OnSuccess);
    });
}
