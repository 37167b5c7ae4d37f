//! Dependencies: upstream releases that are adopted after a while, and advisories
//! that are triaged at once.
//!
//! The signal (a new version, a published advisory) is visible when it happens;
//! the need follows after a lognormal delay, moved into working hours and out of
//! freezes for plain updates and not for advisories. Upstream releases are Poisson
//! or come on trains, and several may be adopted in one batch; a share of advisories is against a library that every
//! service uses; on bulk days a database publishes many at once. EPSS gives a
//! 30-day probability of exploitation; a constant hazard gives the daily one,
//! 1 - (1 - p)^(1/30) (Jacobs et al. 2021).
use prestage_controller::NeedType;
use prestage_des::{SimTime, Stream, Streams};

use super::regimes::Tempo;
use super::{Week, Workload, after, poisson_arrivals};
use crate::exogenous::{DependencyNeed, Exogenous};
use crate::scenario::{DependenciesSpec, Scenario, ScenarioSpec};

pub(super) const ENTRY: Workload = Workload {
    name: "dependencies",
    about: "upstream releases adopted after a delay, and advisories wanted fixed after triage",
    generate,
};

/// Spread of the log time of triage.
const TRIAGE_SIGMA: f64 = 0.6;
/// Mean time between the updates of a batch, seconds.
const BATCH_GAP_S: f64 = 600.0;
/// Advisories of a bulk day come within so many hours.
const BULK_HOURS: f64 = 8.0;

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let dependencies = &spec.dependencies;
    let hazard_per_day = 1.0 - (1.0 - dependencies.exploit_probability_30d).powf(1.0 / 30.0);
    let week = Week::new(spec, record);
    let together = spec.dials.correlated_needs;
    let mut fleet = streams.open("fleet-upstream", 0);
    let shared_upstream = upstream(spec, &mut fleet, together, record);
    let shared_advisories = shared_advisories(dependencies, streams, record);
    let bulk_days = poisson_arrivals(
        &mut streams.open("bulk-days", 0),
        dependencies.bulk_days_per_year / 365.0,
        record.history_start,
        record.end,
    );
    for service in 0..spec.services.with_cell(NeedType::DependencyUpdate) {
        let entity = u64::from(service);
        let mut stream = streams.open("upstream", entity);
        let own = upstream(spec, &mut stream, 1.0 - together, record);
        for at in own.into_iter().chain(shared_upstream.iter().copied()) {
            if dependencies.upstream_visible {
                record.upstream.push((at, service));
            }
            let delay = stream.lognormal(dependencies.adoption_hours, dependencies.adoption_sigma);
            let mut need = week.release(after(at, delay * 3600.0), &mut stream);
            loop {
                record.dependency_needs.push(DependencyNeed {
                    at: need,
                    service,
                    hazard_per_day: 0.0,
                });
                let batch = dependencies.per_batch;
                if batch <= 1.0 || stream.unit() >= 1.0 - 1.0 / batch {
                    break;
                }
                need = after(need, stream.exponential(BATCH_GAP_S));
            }
        }
        let mut stream = streams.open("advisories", entity);
        let per_day =
            dependencies.advisories_per_month / 30.0 * (1.0 - dependencies.shared_library_share);
        let mut published =
            poisson_arrivals(&mut stream, per_day, record.history_start, record.end);
        published.extend(&shared_advisories);
        published.extend(bulk(
            dependencies,
            &bulk_days,
            &mut streams.open("bulk", entity),
        ));
        for at in published {
            record.advisories.push((at, service));
            let delay = stream.lognormal(dependencies.triage_hours, TRIAGE_SIGMA);
            record.dependency_needs.push(DependencyNeed {
                at: after(at, delay * 3600.0),
                service,
                hazard_per_day,
            });
        }
    }
    record.dependency_needs.retain(|need| need.at < record.end);
    record.advisories.retain(|&(at, _)| at < record.end);
    record.upstream.sort_unstable();
    record.advisories.sort_unstable();
    record
        .dependency_needs
        .sort_by_key(|need| (need.at, need.service));
}

/// When upstream releases that every service uses come out, in the record that `seed` makes of
/// the scenario: the causes that dial D6 lets services share, seen by the telemetry or not.
pub fn fleet_upstream(scenario: &Scenario, record: &Exogenous, seed: u64) -> Vec<SimTime> {
    let spec = scenario.spec();
    let mut fleet = Streams::new(seed).open("fleet-upstream", 0);
    upstream(spec, &mut fleet, spec.dials.correlated_needs, record)
}

/// Upstream releases at a `share` of the full rate.
fn upstream(
    spec: &ScenarioSpec,
    stream: &mut Stream,
    share: f64,
    record: &Exogenous,
) -> Vec<SimTime> {
    let dependencies = &spec.dependencies;
    let per_day = dependencies.upstream_per_week / 7.0 / dependencies.per_batch * share;
    let mut times = Vec::new();
    if per_day <= 0.0 {
        return times;
    }
    if dependencies.upstream_train_days > 0.0 {
        let mut train = record.history_start;
        while train < record.end {
            let count = stream.poisson(per_day * dependencies.upstream_train_days);
            for _ in 0..count {
                times.push(after(train, stream.uniform(0.0, 86_400.0)));
            }
            train = after(train, dependencies.upstream_train_days * 86_400.0);
        }
        times.retain(|&at| at < record.end);
        times.sort_unstable();
        return times;
    }
    let tempo = Tempo::new(spec, record);
    let mut at = record.history_start;
    loop {
        at = tempo.after(at, stream.exponential(86_400.0 / per_day));
        if at >= record.end {
            return times;
        }
        times.push(at);
    }
}

fn shared_advisories(
    dependencies: &DependenciesSpec,
    streams: &Streams,
    record: &Exogenous,
) -> Vec<SimTime> {
    let per_day = dependencies.advisories_per_month / 30.0 * dependencies.shared_library_share;
    let mut stream = streams.open("fleet-advisories", 0);
    poisson_arrivals(&mut stream, per_day, record.history_start, record.end)
}

fn bulk(dependencies: &DependenciesSpec, days: &[SimTime], stream: &mut Stream) -> Vec<SimTime> {
    let mut published = Vec::new();
    for &day in days {
        for _ in 0..stream.poisson(dependencies.bulk_size) {
            published.push(after(day, stream.uniform(0.0, BULK_HOURS * 3600.0)));
        }
    }
    published
}
