//! The promise: 28 days of 16 services, controller in the loop, on one core.
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use prestage_controller::{KnobCenters, action_space, baseline, layout};
use prestage_envs::{Setting, run_arm};
use prestage_policy::NeutralPolicy;
use prestage_world::{Exogenous, Scenario, WorldOptions};

fn world(criterion: &mut Criterion) {
    let text = include_str!("../scenarios/calm-weekly.toml");
    let overrides = ["services.count=16", "runners.count=16"].map(str::to_owned);
    let scenario = Scenario::parse("calm-weekly", text, &overrides).expect("the scenario ships");
    let arm = baseline("newsvendor")
        .expect("it is a baseline")
        .arm(&KnobCenters::default());
    let setting = Setting {
        record: Arc::new(Exogenous::generate(&scenario, 7)),
        world: WorldOptions::new(&scenario, arm.on_demand, 7),
        prices: scenario.prices().clone(),
    };
    let mut group = criterion.benchmark_group("world");
    group.sample_size(10);
    group.bench_function("28 days, 16 services, newsvendor", |bencher| {
        bencher.iter_batched(
            || NeutralPolicy::new(layout(), action_space()),
            |mut policy| run_arm(&setting, &arm, &mut policy),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("exogenous record of the same", |bencher| {
        bencher.iter(|| Exogenous::generate(&scenario, 7));
    });
    group.finish();
}

criterion_group!(benches, world);
criterion_main!(benches);
