//! Fuzzed scenarios: every accepted one runs to the end with finite numbers, every
//! refused one names the key.
use prestage_des::SimTime;
use prestage_world::{Scenario, ScenarioError};
use proptest::prelude::*;

use crate::driver::{drive, opened};

const HEAD: &str = "format_version = 1\nname = \"t\"\nfamily = \"t\"\nabout = \"t\"\n";
/// A class of services, of which half the scenarios have one.
const CLASS: &str = "[[traffic.classes]]\nservices = 1\nnoise_smoothing_minutes = 20.0\n\
    noise_white_share = 0.3\nburst_factor = 50.0\nhourly_profile = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, \
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, -8, -8, -8, -8, -8, -8, -8, -8, -8, -8, -8, -8, 8, 8, 8, 8, \
    8, 8, 8, 8, 8, 8, 8, 8]\n";

/// Every key with a number, dotted, from the resolved default scenario.
fn keys() -> Vec<String> {
    fn walk(prefix: &str, table: &toml::Table, keys: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            match value {
                toml::Value::Table(inner) => walk(&path, inner, keys),
                toml::Value::Integer(_) | toml::Value::Float(_) => keys.push(path),
                _ => {}
            }
        }
    }
    let scenario = Scenario::parse("t.toml", HEAD, &[]).unwrap();
    let table: toml::Table = scenario.to_toml().parse().unwrap();
    let mut keys = Vec::new();
    walk("", &table, &mut keys);
    keys
}

/// Values from sane to absurd.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0.0..2.0_f64).prop_map(|x| format!("{x:?}")),
        2 => (0.0..100.0_f64).prop_map(|x| format!("{x:?}")),
        2 => (0_i64..30).prop_map(|n| n.to_string()),
        1 => prop::sample::select(vec![
            "0", "1", "0.0", "-1.0", "-1", "1e300", "1e-300", "nan", "inf", "-inf", "99999999999",
            "0.5", "20.0", "1000.0", "10000.0", "0.01", "0.95", "\"x\"", "true",
        ])
        .prop_map(str::to_owned),
    ]
}

fn is_named(error: &ScenarioError, changed: &[(String, String)]) -> bool {
    let message = error.to_string();
    changed.iter().any(|(key, _)| {
        // A combination names its parts: `suite.x` or, within its section, `x`.
        let last = key.rsplit('.').next().unwrap_or(key);
        message.contains(key.as_str()) || message.contains(last)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn accepted_scenarios_run_and_refused_ones_name_the_key(
        changed in prop::collection::vec((prop::sample::select(keys()), value()), 1..7),
        seed in 0_u64..1000,
        has_class in any::<bool>(),
    ) {
        let mut overrides: Vec<String> = changed
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        // Last, so that they hold: an episode of a day keeps the test short.
        overrides.extend(["days=1", "history_days=1", "services.count=2"].map(str::to_owned));
        let text = if has_class { format!("{HEAD}{CLASS}") } else { HEAD.to_owned() };
        match Scenario::parse("t.toml", &text, &overrides) {
            Err(error) => prop_assert!(is_named(&error, &changed), "{error}\nfor {changed:?}"),
            Ok(scenario) => runs_to_the_end(&scenario, seed),
        }
    }
}

fn runs_to_the_end(scenario: &Scenario, seed: u64) {
    let mut world = opened(scenario, seed);
    let end = world.now() + SimTime::from_days(1);
    let record = std::sync::Arc::clone(world.record());
    for demand in &record.demands {
        assert!(
            demand.values.iter().all(|value| value.is_finite()),
            "an infinite load"
        );
    }
    assert!(record.suite_runs.iter().all(|run| run.seconds.is_finite()));
    drive(&mut world, seed, end);
    world.close();
    for cell in &record.cells {
        let tally = world.tally(cell.id);
        let cost = scenario.prices().cost(&tally.usage, cell.tier).total();
        assert!(
            cost.is_finite() && cost >= 0.0,
            "cell {} costs {cost}",
            cell.id.0
        );
    }
    let metrics = world.delivery_metrics();
    assert!(metrics.deployment_frequency_per_day.is_finite());
}
