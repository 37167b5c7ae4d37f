//! Every scenario family shows what it stands for, measured on the records that it
//! generates and against calm-weekly on the same seed; and `docs/scenarios.md` lists
//! the families as they are.
use prestage::scenarios::{self, SHIPPED};
use prestage_world::{Exogenous, ScenarioSpec};

/// Families of the design, in its order, then its negative controls.
const FAMILIES: [&str; 16] = [
    "calm-weekly",
    "holiday-and-return",
    "product-launch",
    "flash-burst",
    "incident-retry-storm",
    "correlated-burst",
    "slow-growth",
    "post-upgrade-drift",
    "release-freeze-and-thaw",
    "advisory-storm",
    "upstream-train",
    "test-explosion",
    "runner-outage",
    "telemetry-gap",
    "stationary",
    "poisson",
];
const CONTROLS: [&str; 2] = ["stationary", "poisson"];
const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

fn spec(name: &str) -> ScenarioSpec {
    scenarios::load(name, &[]).unwrap().spec().clone()
}

fn record(name: &str, seed: u64) -> Exogenous {
    Exogenous::generate(&scenarios::load(name, &[]).unwrap(), seed)
}

/// `measure` must be larger in the family than in calm-weekly, on every seed.
#[track_caller]
fn check_above_calm(name: &str, factor: f64, measure: impl Fn(&Exogenous) -> f64) {
    for seed in SEEDS {
        let (calm, family) = (
            measure(&record("calm-weekly", seed)),
            measure(&record(name, seed)),
        );
        assert!(
            family > factor * calm,
            "{name}, seed {seed}: {family} is not above {factor} x {calm}"
        );
    }
}

/// Day of the episode, negative before it.
fn day(record: &Exogenous, at: prestage_des::SimTime) -> f64 {
    at.as_days_f64() - record.start.as_days_f64()
}

/// Number of `times` on days in `[from, until)`.
fn count(record: &Exogenous, times: &[(prestage_des::SimTime, u32)], from: f64, until: f64) -> f64 {
    let inside =
        |&&(at, _): &&(prestage_des::SimTime, u32)| (from..until).contains(&day(record, at));
    times.iter().filter(inside).count() as f64
}

/// Mean load of each day of each service.
fn daily_loads(record: &Exogenous) -> Vec<Vec<f64>> {
    let daily = |values: &[f32]| {
        let mean = |day: &[f32]| day.iter().map(|&load| f64::from(load)).sum::<f64>() / 1440.0;
        values.chunks_exact(1440).map(mean).collect()
    };
    record
        .demands
        .iter()
        .map(|demand| daily(&demand.values))
        .collect()
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn all_families_of_the_design_ship() {
    for family in FAMILIES {
        assert_eq!(spec(family).family, family);
    }
}

#[test]
fn dials_of_the_controls_stand_at_zero() {
    for control in CONTROLS {
        let dials = toml::Table::try_from(spec(control).dials).unwrap();
        assert_eq!(dials.len(), 7);
        for (dial, value) in dials {
            assert_eq!(value.as_float(), Some(0.0), "{control}: {dial}");
        }
    }
}

#[test]
fn holidays_empty_the_offices_and_the_lines() {
    for seed in SEEDS {
        let record = record("holiday-and-return", seed);
        let commits: Vec<_> = record
            .commits
            .iter()
            .map(|commit| (commit.at, commit.service))
            .collect();
        let away = count(&record, &commits, 12.0, 21.0) / 9.0;
        let usual = count(&record, &commits, -14.0, 0.0) / 14.0;
        assert!(away < 0.6 * usual, "seed {seed}: {away} of {usual} commits");
        for loads in daily_loads(&record) {
            // Wednesday off against the Wednesdays of the history; 14 days lie before.
            let ratio = loads[14 + 16] / mean([loads[2], loads[9]]);
            assert!(ratio < 0.8, "seed {seed}: load {ratio} of the usual");
        }
    }
}

#[test]
fn launches_and_bursts_lift_the_load_above_its_usual() {
    // The highest day over the mean: a launch lasts for days, a burst does not.
    let highest_day = |record: &Exogenous| {
        let peak =
            |loads: &Vec<f64>| loads.iter().copied().fold(0.0, f64::max) / mean(loads.clone());
        mean(daily_loads(record).iter().map(peak))
    };
    check_above_calm("product-launch", 1.1, highest_day);
    // Minutes that double within a quarter of an hour.
    let jumps = |record: &Exogenous| {
        let doubled = |pair: &&[f32]| pair[15] > 2.0 * pair[0];
        let of = |values: &[f32]| values.windows(16).filter(doubled).count() as f64;
        record.demands.iter().map(|demand| of(&demand.values)).sum()
    };
    check_above_calm("flash-burst", 4.0, jumps);
}

#[test]
fn incidents_storm() {
    check_above_calm("incident-retry-storm", 4.0, |record| {
        record.incidents.len() as f64
    });
}

#[test]
fn correlated_bursts_reach_all_services_in_the_same_minutes() {
    for seed in SEEDS {
        assert!(
            shared_rises(&record("calm-weekly", seed)) < 0.1,
            "seed {seed}"
        );
        let shared = shared_rises(&record("correlated-burst", seed));
        assert!(shared > 0.4, "seed {seed}: {shared}");
    }
}

/// Share of the minutes with a fast rise in the first service that the second
/// shares. Midnight is left out: weekends begin and end there for everybody.
fn shared_rises(record: &Exogenous) -> f64 {
    let rises = |service: usize| -> Vec<bool> {
        let windows = record.demands[service].values.windows(11).enumerate();
        windows
            .map(|(minute, load)| minute % 1440 < 1430 && load[10] > 1.4 * load[0])
            .collect()
    };
    let (one, other) = (rises(0), rises(1));
    let both = one
        .iter()
        .zip(&other)
        .filter(|&(&one, &other)| one && other);
    both.count() as f64 / one.iter().filter(|&&rise| rise).count().max(1) as f64
}

#[test]
fn slow_growth_grows_and_drift_moves_the_level_of_weeks() {
    for seed in SEEDS {
        let loads = daily_loads(&record("slow-growth", seed));
        let growth =
            mean(loads.iter().map(|loads| {
                mean(loads[35..42].iter().copied()) / mean(loads[..7].iter().copied())
            }));
        // Five weeks of 4 %.
        assert!((1.1..1.35).contains(&growth), "seed {seed}: {growth}");
    }
    check_above_calm("post-upgrade-drift", 2.0, |record| {
        let step = |loads: &Vec<f64>| {
            let weeks: Vec<f64> = loads
                .chunks_exact(7)
                .map(|week| mean(week.to_vec()))
                .collect();
            mean(weeks.windows(2).map(|pair| (pair[1] / pair[0]).ln().abs()))
        };
        mean(daily_loads(record).iter().map(step))
    });
}

#[test]
fn nothing_leaves_in_the_freeze_and_a_bunch_after_the_thaw() {
    let (mut thaw, mut usual) = (0.0, 0.0);
    // A few releases a seed: only their sum over seeds is a rate.
    for seed in 1..=8 {
        let record = record("release-freeze-and-thaw", seed);
        let inside = count(&record, &record.releases, 11.0, 21.0);
        assert_eq!(inside, 0.0, "seed {seed}: releases in the freeze");
        thaw += count(&record, &record.releases, 21.0, 24.0) / 3.0;
        usual += count(&record, &record.releases, -14.0, 11.0) / 25.0;
    }
    assert!(thaw > 1.3 * usual, "{thaw} a day after, {usual} before");
}

#[test]
fn advisories_strike_all_services_and_upstream_comes_on_trains() {
    check_above_calm("advisory-storm", 2.0, |record| {
        record.advisories.len() as f64 / record.services.len() as f64
    });
    for seed in SEEDS {
        let record = record("advisory-storm", seed);
        let together = record
            .advisories
            .windows(6)
            .filter(|all| all[0].0 == all[5].0);
        assert!(
            together.count() > 0,
            "seed {seed}: none hit all six services"
        );
        let record = self::record("upstream-train", seed);
        assert!(!record.upstream.is_empty());
        for &(at, _) in &record.upstream {
            let since_train = day(&record, at).rem_euclid(14.0);
            assert!(
                since_train < 1.0,
                "seed {seed}: {since_train} days after a train"
            );
        }
    }
}

#[test]
fn suites_explode() {
    let growth = |record: &Exogenous| {
        let week = |from: f64| {
            let runs = record.suite_runs.iter();
            let inside = runs.filter(|run| (from..from + 7.0).contains(&day(record, run.at)));
            mean(inside.map(|run| run.seconds.ln()))
        };
        week(21.0) - week(-14.0)
    };
    check_above_calm("test-explosion", 1.5, growth);
}

#[test]
fn runners_and_telemetry_break_only_where_they_should() {
    let mut outages = 0;
    for seed in SEEDS {
        let calm = record("calm-weekly", seed);
        assert!(calm.outages.is_empty() && calm.gaps.is_empty());
        outages += record("runner-outage", seed).outages.len();
        let gaps = record("telemetry-gap", seed).gaps.len();
        assert!(gaps >= 4 * 4, "seed {seed}: {gaps} gaps in four services");
    }
    assert!(outages >= 6, "{outages} outages in three times six weeks");
}

#[test]
fn nights_are_days_in_the_controls() {
    for control in CONTROLS {
        let mut night = 0.0;
        let mut all = 0.0;
        for seed in SEEDS {
            let record = record(control, seed);
            assert!(record.incidents.is_empty() && record.regimes.is_empty());
            for commit in &record.commits {
                all += 1.0;
                night += f64::from(commit.at.as_hours_f64().rem_euclid(24.0) < 8.0);
            }
        }
        let share: f64 = night / all;
        assert!(
            (share - 1.0 / 3.0).abs() < 0.03,
            "{control}: {share} at night"
        );
    }
}

#[test]
fn signals_run_ahead_of_no_need_in_the_poisson_control() {
    for seed in SEEDS {
        let record = record("poisson", seed);
        for need in &record.dependency_needs {
            let mut signals = record.upstream.iter().chain(&record.advisories);
            let is_near = |&&(at, service): &&(prestage_des::SimTime, u32)| {
                let ahead_s = (need.at.as_micros() - at.as_micros()) as f64 / 1e6;
                service == need.service && (0.0..600.0).contains(&ahead_s)
            };
            assert!(
                signals.any(|signal| is_near(&signal)),
                "seed {seed}: a need was announced"
            );
        }
    }
}

/// The table of `docs/scenarios.md`.
fn table() -> String {
    let mut table = String::from(
        "| scenario | stands for | services | days | dials off their defaults |\n|---|---|---|---|---|\n",
    );
    for shipped in SHIPPED {
        let spec = spec(shipped.name);
        table += &format!(
            "| `{}` | {} | {} | {} | {} |\n",
            shipped.name,
            first_sentence(&spec.about),
            spec.services.count,
            spec.days,
            dials(&spec)
        );
    }
    table
}

fn first_sentence(about: &str) -> String {
    let line = about.split_whitespace().collect::<Vec<&str>>().join(" ");
    line.split(". ")
        .next()
        .unwrap()
        .trim_end_matches('.')
        .to_owned()
}

fn dials(spec: &ScenarioSpec) -> String {
    let table = |spec: &ScenarioSpec| toml::Table::try_from(spec.dials).unwrap();
    let defaults = table(&ScenarioSpec {
        dials: Default::default(),
        ..spec.clone()
    });
    let dials = table(spec);
    if dials.values().all(|value| value.as_float() == Some(0.0)) {
        return "all 0".to_owned();
    }
    let moved = dials
        .iter()
        .filter(|&(dial, value)| defaults[dial] != *value);
    let moved: Vec<String> = moved
        .map(|(dial, value)| format!("`{dial}` {value}"))
        .collect();
    if moved.is_empty() {
        "-".to_owned()
    } else {
        moved.join(", ")
    }
}

#[test]
fn the_page_on_scenarios_lists_them_as_they_are() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = table();
    assert!(
        page.contains(&table),
        "the table of docs/scenarios.md must be:\n{table}"
    );
    for shipped in SHIPPED {
        if shipped.name != "replay" && spec(shipped.name).family != "fitted" {
            let command = format!("**{}**", shipped.name);
            assert!(
                page.contains(&command),
                "no measured line for {}",
                shipped.name
            );
        }
    }
}
