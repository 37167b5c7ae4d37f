//! Dependencies: upstream releases that are adopted after a while, and advisories
//! that are triaged at once.
//!
//! The signal (a new version, a published advisory) is visible when it happens;
//! the need follows after a lognormal delay, moved into working hours for plain
//! updates and not for advisories.
use prestage_des::Streams;

use super::{Workload, after, next_working, poisson_arrivals};
use crate::exogenous::{DependencyNeed, Exogenous};
use crate::scenario::ScenarioSpec;

pub(super) const ENTRY: Workload = Workload {
    name: "dependencies",
    about: "upstream releases adopted after a delay, and advisories wanted fixed after triage",
    generate,
};

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let dependencies = &spec.dependencies;
    // EPSS gives a 30-day probability; a constant hazard gives the daily one.
    let hazard_per_day = 1.0 - (1.0 - dependencies.exploit_probability_30d).powf(1.0 / 30.0);
    for service in 0..spec.services.count {
        let mut stream = streams.open("upstream", u64::from(service));
        let per_day = dependencies.upstream_per_week / 7.0;
        for at in poisson_arrivals(&mut stream, per_day, record.history_start, record.end) {
            record.upstream.push((at, service));
            let delay = stream.lognormal(dependencies.adoption_hours, dependencies.adoption_sigma);
            let need = next_working(after(at, delay * 3600.0), stream.unit());
            record.dependency_needs.push(DependencyNeed {
                at: need,
                service,
                hazard_per_day: 0.0,
            });
        }
        let mut stream = streams.open("advisories", u64::from(service));
        let per_day = dependencies.advisories_per_month / 30.0;
        for at in poisson_arrivals(&mut stream, per_day, record.history_start, record.end) {
            record.advisories.push((at, service));
            let delay = stream.lognormal(dependencies.triage_hours, 0.6);
            let need = after(at, delay * 3600.0);
            record.dependency_needs.push(DependencyNeed {
                at: need,
                service,
                hazard_per_day,
            });
        }
    }
    record.dependency_needs.retain(|need| need.at < record.end);
    record.upstream.sort_unstable();
    record.advisories.sort_unstable();
    record
        .dependency_needs
        .sort_by_key(|need| (need.at, need.service));
}
