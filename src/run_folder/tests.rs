//! Every file round-trips, and what is broken is refused with its place.
use std::fs;

use super::*;

fn row(need: &str) -> ResultRow {
    ResultRow {
        arm: "static-tuned".to_owned(),
        train_seed: None,
        scenario: "calm-weekly".to_owned(),
        scenario_seed: 7,
        need: need.to_owned(),
        cost_usd: 12.5,
        needs: 3,
        hits: 2,
        misses: 1,
        stages: 4,
        used: 2,
        expired: 1,
        withdrawn: 0,
        rolled_back: 1,
        blocked_minutes: 6.0,
        slo_violation_minutes: 0.0,
        runner_minutes: 30.0,
        idle_stage_hours: 1.5,
        exposure_usd: 0.0,
        exposure_days: 0.25,
    }
}

fn cost(price_book: &str) -> CostRow {
    CostRow {
        arm: "static-tuned".to_owned(),
        price_book: price_book.to_owned(),
        blocked_usd: 4.5,
        ..CostRow::default()
    }
}

fn progress(update: u64) -> Progress {
    Progress {
        seed: 0,
        update,
        row_steps: update * 4096,
        reward_mean: -0.5,
        episode_return_mean: None,
        cost_ratio_to_static: Some(1.0),
        policy_loss: 0.1,
        value_loss: 0.2,
        entropy: 1.9,
        approx_kl: 0.01,
        clip_fraction: 0.1,
        explained_variance: None,
        learning_rate: 3e-4,
    }
}

fn timeline_row(outcome: Option<Outcome>) -> TimelineRow {
    TimelineRow {
        epoch: 1_704_067_200,
        service: "web".to_owned(),
        need: "scaling".to_owned(),
        probability: Some(0.25),
        threshold: None,
        staged: true,
        needed: false,
        outcome,
    }
}

#[test]
fn every_file_round_trips() {
    let run = tempfile::tempdir().unwrap();
    let rows = [row("scaling"), row("test_suite")];
    write_results(run.path(), &rows).unwrap();
    assert_eq!(read_results(run.path()).unwrap(), rows);
    let costs = [cost("own"), cost("people-dear")];
    write_costs(run.path(), &costs).unwrap();
    assert_eq!(read_costs(run.path()).unwrap(), costs);
    let lines = [timeline_row(None), timeline_row(Some(Outcome::RolledBack))];
    write_timeline(run.path(), &lines).unwrap();
    assert_eq!(read_timeline(run.path()).unwrap(), lines);
    write_progress(run.path(), &[progress(1)]).unwrap();
    append_progress(run.path(), &progress(2)).unwrap();
    assert_eq!(
        read_progress(run.path()).unwrap(),
        [progress(1), progress(2)]
    );
    let names: Vec<_> = fs::read_dir(run.path()).unwrap().collect();
    assert_eq!(names.len(), 5, "no temporary file is left");
}

#[test]
fn csv_has_the_documented_columns() {
    let bytes = csv_bytes(&[timeline_row(Some(Outcome::Hit))]).unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "epoch,service,need,probability,threshold,staged,needed,outcome\n\
         1704067200,web,scaling,0.25,,1,0,hit\n"
    );
}

#[test]
fn absent_training_and_timeline_are_empty() {
    let run = tempfile::tempdir().unwrap();
    assert!(read_progress(run.path()).unwrap().is_empty());
    assert!(read_timeline(run.path()).unwrap().is_empty());
    let error = format!("{:#}", read_results(run.path()).unwrap_err());
    assert!(error.contains("results.csv`"), "{error}");
}

#[test]
fn a_line_cut_short_is_ignored() {
    let run = tempfile::tempdir().unwrap();
    write_progress(run.path(), &[progress(1), progress(2)]).unwrap();
    let text = fs::read_to_string(run.path().join(PROGRESS)).unwrap();
    fs::write(run.path().join(PROGRESS), &text[..text.len() - 1]).unwrap();
    assert_eq!(read_progress(run.path()).unwrap(), [progress(1)]);
}

#[test]
fn refuses_progress_that_is_not_finite() {
    let run = tempfile::tempdir().unwrap();
    let broken = Progress {
        policy_loss: f64::NAN,
        ..progress(3)
    };
    let error = append_progress(run.path(), &broken).unwrap_err();
    assert_eq!(
        error.to_string(),
        "update 3 of training seed 0 is not finite"
    );
}

#[track_caller]
fn check_refused(from: &str, to: &str, expected: &str) {
    let run = tempfile::tempdir().unwrap();
    write_results(run.path(), &[row("scaling"), row("test_suite")]).unwrap();
    let path = run.path().join(RESULTS);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let error = format!("{:#}", read_results(run.path()).unwrap_err());
    assert_eq!(error.replace(&path.display().to_string(), "R"), expected);
}

#[test]
fn names_file_line_and_column() {
    check_refused(
        "scaling,12.5",
        "scaling,abc",
        "`R`: line 2, column `cost_usd`: invalid float literal",
    );
    check_refused(
        "scaling,12.5",
        "scaling,NaN",
        "`R`: line 2, column `cost_usd`: found NaN (allowed: a finite number)",
    );
    check_refused(
        "scaling,12.5,",
        "scaling,",
        "`R`: line 2: found 19 fields, expected 20",
    );
    check_refused(
        "test_suite",
        "scaling",
        "`R`: line 3: second row for arm `static-tuned`, scenario `calm-weekly`, scenario \
         seed 7, need `scaling`",
    );
}
