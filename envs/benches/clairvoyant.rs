//! The promise: the clairvoyant bound of 28 days and 16 services within two seconds.
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use prestage_controller::OnDemand;
use prestage_envs::{Setting, clairvoyant};
use prestage_world::{Exogenous, Scenario, WorldOptions};

fn bound(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("clairvoyant");
    group.sample_size(10);
    let families = [
        (
            "calm-weekly",
            include_str!("../../scenarios/calm-weekly.toml"),
        ),
        (
            "flash-burst",
            include_str!("../../scenarios/flash-burst.toml"),
        ),
        (
            "incident-retry-storm",
            include_str!("../../scenarios/incident-retry-storm.toml"),
        ),
    ];
    for (name, text) in families {
        let overrides = ["services.count=16", "runners.count=16"].map(str::to_owned);
        let scenario = Scenario::parse(name, text, &overrides).expect("the scenario ships");
        let setting = Setting {
            record: Arc::new(Exogenous::generate(&scenario, 7)),
            world: WorldOptions::new(&scenario, OnDemand::Template, 7),
            prices: scenario.prices().clone(),
        };
        group.bench_function(format!("28 days, 16 services, {name}"), |bencher| {
            bencher.iter(|| clairvoyant(&setting));
        });
    }
    group.finish();
}

criterion_group!(benches, bound);
criterion_main!(benches);
