//! Common random numbers: what one process or one policy does shifts no draw of
//! another; what the dials switch off is off.
use prestage_controller::NeedType;
use prestage_des::SimTime;
use prestage_telemetry::Timestamp;
use prestage_world::{Exogenous, LogKind, LogRecord, Scenario};

use crate::driver::{check_same_log, drive, opened, scenario};

/// The lists of a record by name, as text: equal text is equal lists.
fn lists(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let record = Exogenous::generate(scenario, 5);
    vec![
        ("demands", format!("{:?}", record.demands)),
        ("commits", format!("{:?}", record.commits)),
        ("releases", format!("{:?}", record.releases)),
        ("upstream", format!("{:?}", record.upstream)),
        ("advisories", format!("{:?}", record.advisories)),
        ("dependency_needs", format!("{:?}", record.dependency_needs)),
        ("suite_runs", format!("{:?}", record.suite_runs)),
        ("incidents", format!("{:?}", record.incidents)),
        ("outages", format!("{:?}", record.outages)),
        ("gaps", format!("{:?}", record.gaps)),
    ]
}

const BASE: &str = "days = 6\nhistory_days = 2\n[services]\ncount = 2\n";

/// Only the lists named may change with `keys`, and they must.
#[track_caller]
fn check_changes_only(keys: &str, changed: &[&str]) {
    let base = lists(&scenario(BASE));
    let other = lists(&scenario(&format!("{BASE}{keys}\n")));
    for ((name, before), (_, after)) in base.iter().zip(&other) {
        assert_eq!(
            before != after,
            changed.contains(name),
            "`{name}` with `{keys}`"
        );
    }
}

#[test]
fn a_process_does_not_shift_the_draws_of_another() {
    check_changes_only("[traffic]\nbursts_per_week = 40.0", &["demands"]);
    check_changes_only("[traffic]\nlaunches_per_month = 8.0", &["demands"]);
    check_changes_only("[traffic]\nburst_shared_share = 0.5", &["demands"]);
    check_changes_only("[commits]\nbuild_failure_probability = 0.4", &["commits"]);
    check_changes_only("[commits]\nslow_share = 0.4", &[]);
    check_changes_only("[releases]\npatch_share = 1.0", &["releases"]);
    check_changes_only(
        "[dependencies]\nbulk_days_per_year = 300.0",
        &["advisories", "dependency_needs"],
    );
    check_changes_only("[suite]\nfailure_probability = 0.4", &["suite_runs"]);
    check_changes_only("[incidents]\nper_month = 30.0", &["incidents"]);
    check_changes_only("[runners]\noutages_per_month = 30.0", &["outages"]);
    check_changes_only("[telemetry]\ngaps_per_month = 60.0", &["gaps"]);
}

#[test]
fn another_policy_meets_the_same_world() {
    let scenario = scenario(
        "days = 6\nhistory_days = 2\n[services]\ncount = 2\n[releases]\nmean_days = 0.5\n\
         [incidents]\nper_month = 20.0\n[commits]\nflaky_probability = 0.2\n",
    );
    let run = |script: u64| {
        let mut world = opened(&scenario, 3);
        let end = world.now() + SimTime::from_days(6);
        drive(&mut world, script, end);
        world
    };
    let (one, other) = (run(1), run(2));
    assert_ne!(
        one.log().digest(),
        other.log().digest(),
        "the policies do the same"
    );
    let exogenous = |world: &prestage_world::World| -> Vec<LogRecord> {
        let is_listed = |record: &&LogRecord| match record.kind {
            LogKind::Build | LogKind::IncidentOpened => {
                record.kind == LogKind::Build || record.value == 0
            }
            LogKind::Hit | LogKind::Miss => {
                let need = world.record().cells[record.cell as usize].need;
                matches!(need, NeedType::FeatureRelease | NeedType::DependencyUpdate)
            }
            _ => false,
        };
        // A hit of one policy is a miss of another; the need is the same.
        let need = |record: &LogRecord| match record.kind {
            LogKind::Hit => LogRecord {
                kind: LogKind::Miss,
                ..*record
            },
            _ => *record,
        };
        world
            .log()
            .records()
            .iter()
            .filter(is_listed)
            .map(need)
            .collect()
    };
    assert!(exogenous(&one).len() > 100);
    check_same_log(&exogenous(&one), &exogenous(&other));
}

/// Share of events in the working hours of an ordinary week; 50 / 168 if flat.
fn working_share(times: impl Iterator<Item = SimTime>) -> (f64, f64) {
    let mut all = 0.0;
    let mut working: f64 = 0.0;
    for time in times {
        let at = Timestamp(time.as_micros());
        all += 1.0;
        if at.day_of_week() < 5 && (8..18).contains(&at.hour_of_day()) {
            working += 1.0;
        }
    }
    (working / all, all)
}

const DIALS_OFF: &str = "[dials]\ncalibration_drift = 0.0\nprice_changes = 0.0\n\
    shared_runners = 0.0\nload_dependent_lead = 0.0\nretrain_staleness = 0.0\n\
    correlated_needs = 0.0\nmoving_hazard = 0.0\n";

#[test]
fn with_the_dials_off_no_hazard_follows_the_clock() {
    let off = scenario(&format!("days = 364\n{DIALS_OFF}"));
    let on = scenario("days = 364\n");
    let flat = 50.0 / 168.0;
    let check = |name: &str, times: &dyn Fn(&Exogenous) -> Vec<SimTime>| {
        let (share, n) = working_share(times(&Exogenous::generate(&off, 2)).into_iter());
        // Five standard errors; days are over-dispersed, so counts are not independent.
        let error = 5.0 * (flat * (1.0 - flat) / n).sqrt() * 2.0;
        assert!((share - flat).abs() < error, "{name}, off: {share} of {n}");
        let (share, _) = working_share(times(&Exogenous::generate(&on, 2)).into_iter());
        assert!(share > 0.6, "{name}, on: {share}");
    };
    check("commits", &|record| {
        record.commits.iter().map(|commit| commit.at).collect()
    });
    check("releases", &|record| {
        record.releases.iter().map(|&(at, _)| at).collect()
    });
    check("updates", &|record| {
        let plain = record
            .dependency_needs
            .iter()
            .filter(|need| need.hazard_per_day == 0.0);
        plain.map(|need| need.at).collect()
    });
}

#[test]
fn the_regimes_keep_the_mean_rate_and_spread_the_counts() {
    let count = |drift: f64| {
        let text = format!(
            "days = 1820\n[services]\ncount = 1\n[traffic]\nbase_rps = 1.0\n\
             [commits]\nper_week = 0.0\n[releases]\nmin_commits = 0\nmean_days = 1.0\nregularity = 1.0\n\
             [suite]\nruns_per_day = 0.0\n[dials]\nmoving_hazard = 0.0\ncalibration_drift = {drift:?}\n"
        );
        let record = Exogenous::generate(&scenario(&text), 9);
        let mut days = vec![0.0; 1834];
        for (at, _) in &record.releases {
            let day = (at.as_micros() - record.history_start.as_micros()) / 86_400_000_000;
            days[day as usize] += 1.0;
        }
        let mean = days.iter().sum::<f64>() / days.len() as f64;
        let variance = days
            .iter()
            .map(|day| (day - mean) * (day - mean))
            .sum::<f64>()
            / days.len() as f64;
        (mean, variance / mean)
    };
    let (mean, dispersion) = count(0.0);
    assert!(
        (mean - 1.0).abs() < 0.1 && (dispersion - 1.0).abs() < 0.15,
        "{mean} {dispersion}"
    );
    let (mean, dispersion) = count(1.0);
    assert!(
        (mean - 1.0).abs() < 0.2,
        "the regimes change the mean to {mean}"
    );
    assert!(
        dispersion > 1.5,
        "the regimes spread the counts to {dispersion}"
    );
}

#[test]
fn shared_causes_strike_every_service_at_once() {
    let text = "days = 60\n[services]\ncount = 3\n[dependencies]\nadvisories_per_month = 6.0\n\
                shared_library_share = 1.0\n[incidents]\nper_month = 6.0\nshared_share = 1.0\n";
    let record = Exogenous::generate(&scenario(text), 4);
    for times in [
        record
            .advisories
            .iter()
            .map(|&(at, _)| at)
            .collect::<Vec<_>>(),
        record
            .incidents
            .iter()
            .map(|incident| incident.at)
            .collect(),
    ] {
        assert!(times.len() > 10);
        let groups: Vec<&[SimTime]> = times.chunk_by(|a, b| a == b).collect();
        assert!(
            groups.iter().all(|group| group.len() == 3),
            "not all services are hit"
        );
    }
}

#[test]
fn trains_leave_on_time_and_nothing_leaves_while_frozen() {
    let text = "days = 84\nhistory_days = 14\n[services]\ncount = 1\n[releases]\ntrain_days = 14.0\n\
                train_jitter_hours = 0.0\nmin_commits = 0\n[dials]\nmoving_hazard = 0.0\n\
                [[calendar.freezes]]\nday = 20\ndays = 20\n";
    let record = Exogenous::generate(&scenario(text), 4);
    let days: Vec<f64> = record
        .releases
        .iter()
        .map(|(at, _)| at.as_days_f64() - record.start.as_days_f64())
        .collect();
    let frozen = days
        .iter()
        .filter(|&&day| (20.0..40.0).contains(&day))
        .count();
    assert_eq!(frozen, 0, "{days:?}");
    for train in [-14.0, 0.0, 14.0, 42.0, 56.0, 70.0] {
        assert!(
            days.iter().any(|day| (day - train).abs() < 1e-6),
            "train {train} in {days:?}"
        );
    }
    let thawed = days
        .iter()
        .filter(|&&day| (40.0..42.0 - 1e-6).contains(&day))
        .count();
    assert_eq!(
        thawed, 1,
        "the train of day 28 leaves after the thaw: {days:?}"
    );
}
