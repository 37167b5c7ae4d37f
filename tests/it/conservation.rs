//! Nothing is lost and nothing is free: books balance in any world, whatever the
//! arm does.
use prestage::compare::{Contestant, setting};
use prestage::scenarios;
use prestage_controller::{BASELINES, KnobCenters, baseline};
use prestage_envs::{Episode, run_arm};
use prestage_world::Scenario;
use proptest::prelude::*;

fn run(scenario: &Scenario, arm: &str, seed: u64) -> Episode {
    let arm = baseline(arm).unwrap().arm(&KnobCenters::default());
    let contestant = Contestant::baseline(arm);
    let setting = setting(scenario, seed);
    // `World::close`, at the end of the run, asserts conservation and Little's law.
    run_arm(
        &setting,
        &contestant.arm,
        contestant.knob_turner(&setting).as_mut(),
    )
}

/// All baselines.
fn names() -> impl Iterator<Item = &'static str> {
    BASELINES.iter().map(|baseline| baseline.name)
}

pub(crate) fn check_books(episode: &Episode) {
    for (index, cell) in episode.cells.iter().enumerate() {
        let (tally, usage, cost) = (&cell.tally, &cell.tally.usage, &cell.cost);
        let place = format!("arm {}, cell {index}: {tally:?}", episode.arm);
        assert_eq!(tally.needs, tally.hits + tally.misses, "{place}");
        let ended = tally.used + tally.expired + tally.withdrawn + tally.rolled_back;
        assert_eq!(tally.predicted, ended, "{place}");
        assert!(tally.requested <= tally.misses, "{place}");
        let quantities = [
            tally.idle_at_hit_hours,
            tally.staged_hours,
            usage.slo_violation_minutes,
            usage.blocked_minutes,
            usage.blocked_person_minutes,
            usage.runner_minutes,
            usage.over_provision_hours,
            usage.exposure_days,
            usage.exploits,
            usage.reviews,
            usage.reverts,
            cost.total(),
        ];
        for quantity in quantities {
            assert!(
                quantity.is_finite() && quantity >= 0.0,
                "{quantity}: {place}"
            );
        }
    }
    assert!(episode.build_wait_s.is_finite() && episode.build_wait_s >= 0.0);
    // The same dollars summed by day and by cell, in two orders of addition.
    let by_day: f64 = episode.daily_usd.iter().sum();
    let total = episode.cost_usd();
    assert!(
        (by_day - total).abs() <= 1e-6 * total.max(1.0),
        "days sum to {by_day}, cells to {total}"
    );
}

fn needs(episode: &Episode, need: prestage_controller::NeedType) -> Vec<u64> {
    let cells = episode.cells.iter().filter(|cell| cell.spec.need == need);
    cells.map(|cell| cell.tally.needs).collect()
}

fn settings() -> impl Strategy<Value = Vec<String>> {
    let structure = (2u32..=4, 1u32..=4, 1u32..=2);
    let rates = (0.0..200.0f64, 0.3..6.0f64, 0.0..8.0f64, 0.0..8.0f64);
    let behaviour = (0.0..0.2f64, 1.0..3.0f64, 0.0..20.0f64);
    (structure, rates, behaviour).prop_map(|(structure, rates, behaviour)| {
        let (days, runners, services) = structure;
        let (commits, releases, upstream, advisories) = rates;
        let (drift, burst, bursts) = behaviour;
        vec![
            "history_days=3".to_owned(),
            format!("days={days}"),
            format!("runners.count={runners}"),
            format!("services.count={services}"),
            format!("commits.per_week={commits}"),
            format!("releases.mean_days={releases}"),
            format!("dependencies.upstream_per_week={upstream}"),
            format!("dependencies.advisories_per_month={advisories}"),
            format!("operation.drift_per_commit={drift}"),
            format!("traffic.burst_factor={burst}"),
            format!("traffic.bursts_per_week={bursts}"),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn books_balance_in_any_world(overrides in settings(), seed in 0u64..1 << 40) {
        let scenario = scenarios::load("demo", &overrides).unwrap();
        for name in names() {
            let episode = run(&scenario, name, seed);
            check_books(&episode);
            if ["never", "reactive"].contains(&name) {
                let predicted: u64 = episode.cells.iter().map(|cell| cell.tally.predicted).sum();
                prop_assert_eq!(predicted, 0, "{} staged something", name);
                let hits: u64 = episode.cells.iter().map(|cell| cell.tally.hits).sum();
                prop_assert_eq!(hits, 0, "{} found a stage that nobody staged", name);
            }
        }
    }
}

#[test]
fn needs_that_nobody_can_change_are_the_same_for_all_arms() {
    use prestage_controller::NeedType::{DependencyUpdate, FeatureRelease};

    let overrides = ["days=6", "history_days=6", "services.count=2"].map(str::to_owned);
    let scenario = scenarios::load("demo", &overrides).unwrap();
    for seed in 1..4 {
        let reference = run(&scenario, "never", seed);
        let exogenous = [FeatureRelease, DependencyUpdate];
        let of = |episode: &Episode| exogenous.map(|need| needs(episode, need));
        assert!(
            of(&reference).iter().flatten().sum::<u64>() > 0,
            "seed {seed} asks for nothing"
        );
        for arm in names() {
            let episode = run(&scenario, arm, seed);
            assert_eq!(of(&episode), of(&reference), "arm {arm}, seed {seed}");
        }
    }
}

#[test]
fn all_but_the_two_without_a_forecast_do_stage() {
    let overrides = ["days=6", "history_days=8", "services.count=2"].map(str::to_owned);
    let scenario = scenarios::load("demo", &overrides).unwrap();
    for arm in names().filter(|name| !["never", "reactive"].contains(name)) {
        let episode = run(&scenario, arm, 5);
        let predicted: u64 = episode.cells.iter().map(|cell| cell.tally.predicted).sum();
        let used: u64 = episode.cells.iter().map(|cell| cell.tally.used).sum();
        assert!(
            predicted > 0 && used > 0,
            "{arm}: {used} of {predicted} used"
        );
    }
}
