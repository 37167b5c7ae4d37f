//! Retraining on drift in whole worlds: what it does to a log, and that it is off by default.
use prestage::compare::setting;
use prestage::scenarios;
use prestage_controller::{KnobCenters, action_space, baseline, layout};
use prestage_envs::{Setting, run_episode};
use prestage_policy::NeutralPolicy;
use prestage_world::{LogKind, LogRecord, WorldOptions};

struct Run {
    digest: u64,
    retrained: Vec<LogRecord>,
    early_told: u64,
}

fn run(name: &str, overrides: &[&str], seed: u64) -> Run {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let setting = setting(&scenarios::load(name, &overrides).unwrap(), seed);
    let setting = Setting {
        world: WorldOptions {
            keep_log: true,
            ..setting.world
        },
        ..setting
    };
    let arm = baseline("newsvendor").unwrap().arm(&KnobCenters::default());
    let mut world = setting.world(&arm);
    let mut policy = NeutralPolicy::new(layout(), action_space());
    let mut early_told = 0;
    let episode = run_episode(&setting, &arm, &mut policy, &mut world, &mut |moment| {
        if let Some(controller) = moment.controller {
            let cells = setting.record.cells.iter();
            early_told = cells
                .map(|cell| controller.early_retrainings(cell.id))
                .sum();
        }
    })
    .unwrap();
    let records = world.log().records().iter();
    let retrained = records.filter(|record| record.kind == LogKind::Retrained);
    Run {
        digest: episode.log_digest,
        retrained: retrained.copied().collect(),
        early_told,
    }
}

fn early(run: &Run) -> u64 {
    run.retrained
        .iter()
        .filter(|record| record.value == 1)
        .count() as u64
}

#[test]
fn a_world_that_drifts_has_early_retrainings_in_its_log() {
    let found = run(
        "post-upgrade-drift",
        &["control.retrain_on_drift=true"],
        70_001,
    );
    assert!((1..=16).contains(&early(&found)), "{} early", early(&found));
    // The job of the last one may not be done when the run ends.
    assert!(found.early_told - early(&found) <= 1);
}

#[test]
fn a_stationary_world_has_none_and_runs_as_if_it_were_off() {
    let on = run("stationary", &["control.retrain_on_drift=true"], 70_000);
    let off = run("stationary", &[], 70_000);
    assert_eq!((early(&on), on.early_told), (0, 0));
    assert_eq!(on.digest, off.digest);
    assert!(on.retrained.len() > 100);
}

#[test]
fn another_staffing_rule_is_another_world() {
    let usual = run("stationary", &["days=5"], 1).digest;
    assert_eq!(
        usual,
        run("stationary", &["days=5", "control.staffing=utilization"], 1).digest
    );
    for rule in ["erlang-c", "square-root"] {
        let staffing = format!("control.staffing={rule}");
        assert_ne!(
            usual,
            run("stationary", &["days=5", &staffing], 1).digest,
            "{rule}"
        );
    }
}
