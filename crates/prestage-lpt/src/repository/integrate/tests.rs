//! How integrations move, over every store.

use crate::fixture;
use crate::stage::NeedType;
use crate::store::{GitStore, MemoryStore};

use super::super::{Outcome, RollbackTo};
use super::*;

const START: i64 = 1_700_000_000;
const DEADLINE: i64 = START + 600;

fn for_each_store(contract: impl Fn(PipelineRepository)) {
    let with_service = |store| {
        let mut repository = PipelineRepository::open(store).unwrap();
        repository
            .put_service(&fixture::definition(), START)
            .unwrap();
        repository
    };
    contract(with_service(Box::new(MemoryStore::new())));
    let folder = tempfile::tempdir().unwrap();
    contract(with_service(Box::new(
        GitStore::open(folder.path()).unwrap(),
    )));
}

fn submit(repository: &mut PipelineRepository) -> StageKey {
    let stage = fixture::stage(NeedType::FeatureRelease);
    let provenance = fixture::provenance(&stage);
    repository
        .submit(&stage, &provenance, DEADLINE, START)
        .unwrap();
    stage.key
}

fn folder(repository: &PipelineRepository) -> Option<String> {
    repository
        .folder_hash(repository.head().unwrap(), "checkout")
        .unwrap()
}

fn state(repository: &PipelineRepository, key: &StageKey) -> IntegrationState {
    repository.state("checkout").unwrap().queue[key].state()
}

#[test]
fn l17_a_stage_is_inactive_until_it_is_confirmed() {
    for_each_store(|mut repository| {
        let key = submit(&mut repository);
        let entered = repository.integrate("checkout", START + 1).unwrap();
        let states: Vec<IntegrationState> = entered.iter().map(|(_, state)| *state).collect();
        assert_eq!(
            states,
            [IntegrationState::Validated, IntegrationState::Committed]
        );
        assert_eq!(
            repository.stage(key.as_str()).unwrap().activation,
            Activation::Inactive
        );
        assert_eq!(repository.integrate("checkout", START + 2).unwrap(), []);
        repository.confirm(&key, START + 3).unwrap();
        repository.integrate("checkout", START + 4).unwrap();
        let staged = repository.stage(key.as_str()).unwrap();
        assert_eq!(staged.activation, Activation::Active);
        assert_eq!(
            (staged.proposed_at, staged.activated_at),
            (START + 1, Some(START + 4))
        );
        repository
            .end(&key, RetireReason::UsedUp, START + 5)
            .unwrap();
        assert_eq!(state(&repository, &key), IntegrationState::Retired);
        assert!(repository.stage(key.as_str()).is_err());
    });
}

#[test]
fn l17_a_withdrawn_forecast_and_a_missed_deadline_take_the_same_path() {
    for_each_store(|mut repository| {
        let before = folder(&repository);
        let key = submit(&mut repository);
        repository.integrate("checkout", START + 1).unwrap();
        assert_ne!(folder(&repository), before);
        repository
            .end(&key, RetireReason::Withdrawn, START + 2)
            .unwrap();
        assert_eq!(folder(&repository), before);
        assert_eq!(state(&repository, &key), IntegrationState::Withdrawn);
        submit(&mut repository);
        repository.integrate("checkout", START + 3).unwrap();
        repository.integrate("checkout", DEADLINE).unwrap();
        assert_eq!(folder(&repository), before);
        assert_eq!(state(&repository, &key), IntegrationState::Expired);
    });
}

#[test]
fn l18_every_transition_is_one_commit_with_its_reason() {
    for_each_store(|mut repository| {
        let key = submit(&mut repository);
        repository.integrate("checkout", START + 1).unwrap();
        repository.confirm(&key, START + 2).unwrap();
        repository.integrate("checkout", START + 3).unwrap();
        repository
            .end(&key, RetireReason::UsedUp, START + 4)
            .unwrap();
        let log = repository.log_of("checkout").unwrap();
        let subjects: Vec<&str> = log
            .iter()
            .rev()
            .map(|entry| entry.subject.as_str())
            .collect();
        let name = fixture::stage(NeedType::FeatureRelease).name;
        let expected = [
            "service: put checkout".to_owned(),
            format!("stage: {name} is proposed"),
            format!("stage: {name} is validated"),
            format!("stage: {name} is committed"),
            format!("stage: confirm {name}"),
            format!("stage: {name} is integrated"),
            format!("stage: {name} is retired"),
        ];
        assert_eq!(subjects, expected);
    });
}

#[test]
fn l19_a_run_in_flight_keeps_its_revision_and_delays_activation() {
    for_each_store(|mut repository| {
        repository.pin("checkout", "run-7", START).unwrap();
        let pinned = repository.pinned_files("checkout", "run-7").unwrap();
        let key = submit(&mut repository);
        repository.confirm(&key, START + 1).unwrap();
        repository.integrate("checkout", START + 1).unwrap();
        assert_eq!(state(&repository, &key), IntegrationState::Committed);
        assert_eq!(
            repository.pinned_files("checkout", "run-7").unwrap(),
            pinned
        );
        let stage = fixture::stage(NeedType::FeatureRelease);
        let gates: Vec<String> = stage
            .stages
            .iter()
            .flat_map(|stage| stage.gates.clone())
            .collect();
        assert!(
            !gates.is_empty(),
            "the stage gates nothing, so there is nothing to wait for"
        );
        for gate in &gates {
            assert_eq!(repository.integrate("checkout", START + 2).unwrap(), []);
            repository
                .passed("checkout", "run-7", gate, START + 2)
                .unwrap();
        }
        let entered = repository.integrate("checkout", START + 3).unwrap();
        assert_eq!(entered, [(key, IntegrationState::Integrated)]);
        assert_eq!(
            repository.pinned_files("checkout", "run-7").unwrap(),
            pinned
        );
        repository.unpin("checkout", "run-7", START + 4).unwrap();
        let error = repository.pinned_files("checkout", "run-7").unwrap_err();
        assert_eq!(error.code(), "E-RUN-UNKNOWN");
    });
}

#[test]
fn the_same_proposal_twice_is_one() {
    for_each_store(|mut repository| {
        submit(&mut repository);
        let head = repository.head().cloned();
        submit(&mut repository);
        assert_eq!(repository.head().cloned(), head);
    });
}

#[test]
fn l20_a_rolled_back_stage_cools_down() {
    for_each_store(|mut repository| {
        let key = submit(&mut repository);
        repository.integrate("checkout", START + 1).unwrap();
        let back = repository
            .rollback("checkout", &RollbackTo::OneStepBack, START + 2)
            .unwrap();
        assert_eq!(back.outcome, Outcome::Committed);
        repository.integrate("checkout", START + 3).unwrap();
        assert_eq!(state(&repository, &key), IntegrationState::RolledBack);
        let stage = fixture::stage(NeedType::FeatureRelease);
        let provenance = fixture::provenance(&stage);
        let again = repository.submit(&stage, &provenance, DEADLINE, START + 4);
        assert_eq!(again.unwrap_err().code(), "E-COOL-DOWN");
        let later = START + 2 + crate::repository::COOL_DOWN_S;
        repository
            .submit(&stage, &provenance, later + 1, later)
            .unwrap();
    });
}

#[test]
fn a_stage_that_no_target_can_express_is_rejected_with_the_reason() {
    for_each_store(|mut repository| {
        let mut stage = fixture::stage(NeedType::FeatureRelease);
        stage.stages[0].needs = vec!["nowhere".to_owned()];
        let provenance = fixture::provenance(&stage);
        repository
            .submit(&stage, &provenance, DEADLINE, START)
            .unwrap();
        repository.integrate("checkout", START + 1).unwrap();
        let queued = &repository.state("checkout").unwrap().queue[&stage.key];
        assert_eq!(queued.state(), IntegrationState::Rejected);
        assert!(queued.problem.contains("nowhere"), "{}", queued.problem);
    });
}

#[test]
fn an_expired_deadline_removes_nothing_that_is_integrated() {
    for_each_store(|mut repository| {
        let key = submit(&mut repository);
        repository.confirm(&key, START).unwrap();
        repository.integrate("checkout", START + 1).unwrap();
        assert_eq!(repository.integrate("checkout", DEADLINE + 1).unwrap(), []);
        assert_eq!(state(&repository, &key), IntegrationState::Integrated);
    });
}
