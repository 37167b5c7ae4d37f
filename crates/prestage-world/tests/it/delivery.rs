//! The four keys of delivery are what the events say.
use prestage_controller::NeedType;
use prestage_des::SimTime;
use prestage_world::LogKind;

use crate::driver::{drive, opened, scenario};

#[test]
fn the_metrics_are_those_of_the_event_log() {
    let scenario = scenario(
        "days = 14\nhistory_days = 2\n[services]\ncount = 2\n\
         [releases]\nmean_days = 0.5\nmin_commits = 1\n\
         [operation]\nchange_failure_probability = 0.3\n",
    );
    let mut world = opened(&scenario, 8);
    let start = world.now();
    drive(&mut world, 8, start + SimTime::from_days(14));
    let metrics = world.delivery_metrics();
    let records = world.log().records();
    let deployed: Vec<_> = records
        .iter()
        .filter(|record| record.kind == LogKind::Deployed)
        .collect();
    let failed: Vec<f64> = records
        .iter()
        .filter(|record| record.kind == LogKind::ChangeFailed)
        .map(|record| record.value as f64 / 3.6e9)
        .collect();
    assert!(
        deployed.len() > 10 && failed.len() > 2,
        "{} {}",
        deployed.len(),
        failed.len()
    );
    assert_eq!(metrics.deployments, deployed.len() as u64);
    let rate = failed.len() as f64 / deployed.len() as f64;
    assert_eq!(metrics.change_failure_rate, Some(rate));
    assert!((metrics.deployment_frequency_per_day - deployed.len() as f64 / 28.0).abs() < 1e-9);
    let recovery = metrics
        .failed_deployment_recovery_hours
        .expect("some failed");
    assert!((recovery - median(failed)).abs() < 1e-9);

    // Lead times from the record and the deployments of releases alone.
    let record = world.record();
    let mut leads = Vec::new();
    for service in 0..2 {
        let mut last = record.history_start;
        for deployment in &deployed {
            let cell = &record.cells[deployment.cell as usize];
            if cell.service.0 != service || cell.need != NeedType::FeatureRelease {
                continue;
            }
            let taken = record.commits.iter().filter(|commit| {
                commit.service == service && commit.at >= last && commit.at < deployment.at
            });
            leads.extend(
                taken.map(|commit| deployment.at.as_hours_f64() - commit.at.as_hours_f64()),
            );
            last = deployment.at;
        }
    }
    let lead = metrics
        .lead_time_for_changes_hours
        .expect("some were deployed");
    assert!((lead - median(leads)).abs() < 1e-6, "{lead}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}
