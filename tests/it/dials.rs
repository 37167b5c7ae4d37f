//! Headroom and the dials: what a rule that knows the circumstance could save, by exhaustive
//! search over a few constants, grows with a dial and is nothing without.
//!
//! The world is that of `experiments/dials`, smaller: releases only, and holding a stage
//! costs. S is the best of a grid of constants; the rule that is told has S's constants and
//! the best of a grid of offsets for its circumstances, kept only where they surely save on
//! the tuning seeds. Both are judged on validation seeds.
use prestage::arms::{ArmEntry, arm};
use prestage::compare::{Contestant, run_all};
use prestage::progress::Progress;
use prestage::scenarios;
use prestage_controller::{KnobCenters, NeedType, Values};
use prestage_envs::{Episode, Purpose, Seed, Tuning, Validation};
use prestage_world::Scenario;

/// Offsets that are tried for a circumstance, log-odds.
const OFFSETS: [f64; 5] = [-2.0, -1.0, 0.0, 1.5, 3.0];

fn world(dial: &str, level: f64) -> Scenario {
    let overrides = [
        "days=14".to_owned(),
        "history_days=7".to_owned(),
        "services.cells={scaling=0,dependency_update=0,test_suite=0}".to_owned(),
        "prices.runner_minute=0.08".to_owned(),
        "prices.review_minutes=2".to_owned(),
        "operation.upkeep_minutes_per_hour=20".to_owned(),
        format!("dials.{dial}={level}"),
    ];
    scenarios::load("stationary", &overrides).unwrap()
}

/// The cost of each contestant on each seed.
fn costs<P: Purpose>(world: &Scenario, arms: &[Contestant], seeds: &[Seed<P>]) -> Vec<Vec<f64>> {
    let progress = Progress::new("dials", (arms.len() * seeds.len()) as u64);
    let of_arm = |episodes: &Vec<Episode>| episodes.iter().map(Episode::cost_usd).collect();
    let runs = run_all(world, arms, seeds, &progress);
    runs.iter().map(of_arm).collect()
}

fn mean(costs: &[f64]) -> f64 {
    costs.iter().sum::<f64>() / costs.len() as f64
}

fn cheapest(costs: &[Vec<f64>]) -> usize {
    (0..costs.len())
        .min_by(|&a, &b| mean(&costs[a]).total_cmp(&mean(&costs[b])))
        .unwrap()
}

/// The mean of `from` minus `to`, and its standard error.
fn saved(from: &[f64], to: &[f64]) -> (f64, f64) {
    let pairs: Vec<f64> = from.iter().zip(to).map(|(from, to)| from - to).collect();
    let (count, mean) = (pairs.len() as f64, mean(&pairs));
    let squares: f64 = pairs.iter().map(|pair| (pair - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

/// The best constants of a grid.
fn best_constants(world: &Scenario, seeds: &[Seed<Tuning>]) -> KnobCenters {
    let mut grid = Vec::new();
    for threshold in [-2.0, -1.0, 0.0, 1.0, 2.0] {
        for ttl_h in [12.0, 36.0] {
            let mut centers = KnobCenters::default().with_threshold(threshold);
            centers.of_mut(NeedType::FeatureRelease).ttl_h = ttl_h;
            grid.push(centers);
        }
    }
    let fixed = arm("privileged").unwrap();
    let arms: Vec<Contestant> = grid.iter().map(|centers| fixed.untuned(centers)).collect();
    grid.swap_remove(cheapest(&costs(world, &arms, seeds)))
}

fn offsets(entry: &ArmEntry, names: [&str; 2], levels: [f64; 2]) -> Values {
    let number = |name: &str| {
        let index = names.iter().position(|known| *known == name);
        index.map_or(0.0, |index| levels[index])
    };
    let numbers: Vec<f64> = entry
        .parameters()
        .iter()
        .map(|one| number(one.name))
        .collect();
    std::array::from_fn(|_| numbers.clone())
}

/// Share of S's cost that knowing the circumstances saves, and its standard error.
fn headroom(dial: &str, level: f64, circumstances: [&str; 2]) -> (f64, f64) {
    let world = world(dial, level);
    let tuning: Vec<Seed<Tuning>> = Seed::several(1, 0, 16);
    let centers = best_constants(&world, &tuning);
    let entry = arm("privileged").unwrap();
    let mut told = vec![entry.untuned(&centers)];
    for first in OFFSETS {
        for second in OFFSETS {
            let values = offsets(entry, circumstances, [first, second]);
            told.push(entry.contestant(&centers, &values));
        }
    }
    let tuned = costs(&world, &told, &tuning);
    let best = cheapest(&tuned);
    let (mean_saved, error) = saved(&tuned[0], &tuned[best]);
    let chosen = if mean_saved > 2.0 * error { best } else { 0 };
    let validation: Vec<Seed<Validation>> = Seed::several(1, 0, 20);
    let both = [told[0].clone(), told[chosen].clone()];
    let judged = costs(&world, &both, &validation);
    let (mean_saved, error) = saved(&judged[0], &judged[1]);
    let cost = mean(&judged[0]);
    (mean_saved / cost, error / cost)
}

/// Headroom with the dial off, at a half and full on, after a check that it is nothing at 0
/// and falls with no step by more than two standard errors.
#[track_caller]
fn never_falls(dial: &str, circumstances: [&str; 2]) -> [(f64, f64); 3] {
    let all = [0.0, 0.5, 1.0].map(|level| headroom(dial, level, circumstances));
    assert!(all[0].0.abs() <= 0.01, "`{dial}` off: {all:?}");
    for pair in all.windows(2) {
        let [less, more] = [pair[0], pair[1]];
        let noise = 2.0 * less.1.hypot(more.1);
        assert!(more.0 >= less.0 - noise, "`{dial}` falls: {all:?}");
    }
    all
}

/// The same, and surely something with the dial full on.
#[track_caller]
fn grows(dial: &str, circumstances: [&str; 2]) {
    let all = never_falls(dial, circumstances);
    let (full, error) = all[2];
    assert!(
        full > 2.0 * error && full > 0.01,
        "`{dial}`: nothing: {all:?}"
    );
}

#[test]
fn headroom_grows_with_a_hazard_that_moves() {
    grows("moving_hazard", ["off_threshold", "dawn_threshold"]);
}

/// The newsvendor's threshold follows prices by itself, so here nothing need be left.
#[test]
fn headroom_does_not_fall_with_prices_or_leads_that_change() {
    never_falls("price_changes", ["off_threshold", "dawn_threshold"]);
    never_falls("load_dependent_lead", ["off_threshold", "dawn_threshold"]);
}
