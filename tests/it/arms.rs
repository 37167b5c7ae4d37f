//! Every arm of the ladder works: its books balance, it is the same twice, its numbers may
//! stand anywhere in their ranges, and it starts from the static policy where it says so.
use std::collections::BTreeSet;

use prestage::arms::{ARMS, ArmEntry, Class, arm};
use prestage::compare::{Contestant, setting};
use prestage::scenarios;
use prestage_controller::{BASELINES, KnobCenters, Values};
use prestage_envs::{Episode, Setting, run_arm};
use proptest::prelude::*;

use crate::conservation::check_books;
use crate::stdout_of;

/// A world with hidden regimes and busy cells.
fn busy(days: u32, seed: u64) -> Setting {
    let overrides = [
        format!("days={days}"),
        "history_days=5".to_owned(),
        "services.count=2".to_owned(),
        "releases.mean_days=0.7".to_owned(),
        "dials.calibration_drift=1.0".to_owned(),
    ];
    setting(
        &scenarios::load("product-launch", &overrides).unwrap(),
        seed,
    )
}

fn run(setting: &Setting, contestant: &Contestant) -> Episode {
    let mut turner = contestant.knob_turner(setting);
    run_arm(setting, &contestant.arm, turner.as_mut())
}

fn everywhere(entry: &ArmEntry, unit: f64) -> Values {
    let numbers = || entry.parameters().iter().map(|each| each.at(unit));
    std::array::from_fn(|_| numbers().collect())
}

#[test]
fn arms_keep_their_books_and_are_the_same_twice() {
    let setting = busy(4, 3);
    for entry in ARMS {
        let contestant = entry.untuned(&KnobCenters::default());
        let first = run(&setting, &contestant);
        check_books(&first);
        assert!(
            first.log_len > 100,
            "{}: hardly anything happened",
            entry.name
        );
        assert_eq!(first, run(&setting, &contestant), "{}", entry.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_may_stand_anywhere_in_their_ranges(seed in 0u64..1 << 40, unit in 0.0..1.0f64) {
        let setting = busy(2, seed);
        for entry in ARMS.iter().filter(|entry| !entry.parameters().is_empty()) {
            for unit in [0.0, unit, 1.0] {
                let values = everywhere(entry, unit);
                check_books(&run(&setting, &entry.contestant(&KnobCenters::default(), &values)));
            }
        }
    }
}

#[test]
fn rules_without_weight_are_the_static_policy_to_the_bit() {
    let setting = busy(5, 4);
    let centers = KnobCenters::default().with_threshold(0.7);
    let fixed = run(
        &setting,
        &Contestant::baseline(prestage_controller::Arm::at("s", centers.clone())),
    );
    for name in [
        "static-retuned",
        "static-refined",
        "linear",
        "gain-schedule",
        "privileged",
    ] {
        let neutral = run(&setting, &arm(name).unwrap().untuned(&centers));
        assert_eq!(neutral.log_digest, fixed.log_digest, "{name}");
    }
    let still = arm("recalibration").unwrap();
    let values: Values = std::array::from_fn(|_| vec![0.0, 0.5, 0.5]);
    assert_eq!(
        run(&setting, &still.contestant(&centers, &values)).log_digest,
        fixed.log_digest
    );
}

#[test]
fn adaptive_rules_do_adapt() {
    let setting = busy(12, 5);
    let centers = KnobCenters::default();
    let fixed = run(&setting, &arm("static-tuned").unwrap().untuned(&centers));
    for name in ["recalibration", "fixed-share", "bandit", "forecast-control"] {
        let adapted = run(&setting, &arm(name).unwrap().untuned(&centers));
        assert_ne!(
            adapted.log_digest, fixed.log_digest,
            "{name} changed nothing"
        );
    }
    for entry in ["linear", "gain-schedule"].map(|name| arm(name).unwrap()) {
        let weighted = entry.contestant(&centers, &everywhere(entry, 0.9));
        assert_ne!(
            run(&setting, &weighted).log_digest,
            fixed.log_digest,
            "{}",
            entry.name
        );
    }
}

#[test]
fn only_the_privileged_arm_is_told_the_regime() {
    let setting = busy(12, 6);
    assert!(
        setting
            .record
            .regimes
            .iter()
            .any(|change| change.regime != 0)
    );
    let centers = KnobCenters::default();
    let entry = arm("privileged").unwrap();
    let mut values = entry.defaults();
    let busy_weight = entry
        .parameters()
        .iter()
        .position(|parameter| parameter.name == "busy_threshold")
        .unwrap();
    values
        .iter_mut()
        .for_each(|numbers| numbers[busy_weight] = -2.0);
    let told = run(&setting, &entry.contestant(&centers, &values));
    let fixed = run(&setting, &entry.untuned(&centers));
    assert_ne!(told.log_digest, fixed.log_digest);
    // The same weights where the record hides nothing.
    let mut quiet = setting.clone();
    let record = std::sync::Arc::make_mut(&mut quiet.record);
    record.regimes.clear();
    record.outages.clear();
    let told = run(&quiet, &entry.contestant(&centers, &values));
    let fixed = run(&quiet, &entry.untuned(&centers));
    assert_eq!(told.log_digest, fixed.log_digest);
}

#[test]
fn the_registry_holds_every_baseline_and_lists_what_is_tuned() {
    let names: BTreeSet<&str> = ARMS.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), ARMS.len(), "a name is used twice");
    for baseline in BASELINES {
        assert!(
            names.contains(baseline.name),
            "`{}` is no arm",
            baseline.name
        );
    }
    assert_eq!(
        ARMS.iter()
            .filter(|entry| entry.class == Class::Adaptive)
            .count(),
        6
    );
    let listed = stdout_of(&["list", "arms", "--format", "csv"]);
    for entry in ARMS {
        assert!(
            entry.about().len() > 20,
            "`{}` is not explained",
            entry.name
        );
        assert!(
            listed.contains(entry.name),
            "`{}` is not listed",
            entry.name
        );
        for parameter in entry.parameters() {
            assert!(
                parameter.about.len() > 10,
                "`{}` is not explained",
                parameter.name
            );
            assert!((parameter.low..=parameter.high).contains(&parameter.default));
        }
    }
    let refused = arm("liner").err().unwrap().to_string();
    assert!(refused.contains("known: never, reactive"), "{refused}");
}
