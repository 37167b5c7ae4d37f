//! Incidents that come by themselves, outages of the runner pool and gaps in the
//! telemetry: things break at a constant rate and are mended after a lognormal time.
//!
//! Incidents are Poisson for each service; a share strikes all at once. Outages
//! and gaps do not overlap with themselves: the next can begin once the last is
//! over. Lognormal repair times: Schroeder and Gibson, A large-scale study of
//! failures in high-performance computing systems (2006).
use prestage_des::{SimTime, Stream, Streams};

use super::{Workload, after, poisson_arrivals};
use crate::exogenous::{Exogenous, Gap, Incident, Outage};
use crate::scenario::ScenarioSpec;

pub(super) const ENTRY: Workload = Workload {
    name: "incidents",
    about: "incidents of services, outages of the runner pool, gaps in the telemetry",
    generate,
};

/// Spread of the log length of outages and gaps.
const LENGTH_SIGMA: f64 = 0.5;

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    incidents(spec, streams, record);
    let (start, end) = (record.history_start, record.end);
    let outages = Breaks {
        per_day: spec.runners.outages_per_month / 30.0,
        median_hours: spec.runners.outage_hours,
    };
    let share = spec.runners.outage_share;
    record.outages = outages
        .between(&mut streams.open("outages", 0), start, end)
        .map(|(at, until)| Outage { at, until, share })
        .collect();
    let gaps = Breaks {
        per_day: spec.telemetry.gaps_per_month / 30.0,
        median_hours: spec.telemetry.gap_hours,
    };
    for service in 0..spec.services.count {
        let mut stream = streams.open("gaps", u64::from(service));
        let found = gaps.between(&mut stream, start, end);
        let gap = |(at, until)| Gap { at, until, service };
        record.gaps.extend(found.map(gap));
    }
    record.gaps.sort_unstable();
}

fn incidents(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let incidents = &spec.incidents;
    let per_day = incidents.per_month / 30.0;
    let (start, end) = (record.history_start, record.end);
    let recovery = |stream: &mut Stream, at: SimTime| {
        let minutes = stream.lognormal(incidents.recovery_minutes, incidents.recovery_sigma);
        after(at, minutes * 60.0)
    };
    let mut fleet = streams.open("fleet-incidents", 0);
    let shared: Vec<(SimTime, SimTime)> =
        poisson_arrivals(&mut fleet, per_day * incidents.shared_share, start, end)
            .into_iter()
            .map(|at| (at, recovery(&mut fleet, at)))
            .collect();
    for service in 0..spec.services.count {
        let mut stream = streams.open("incidents", u64::from(service));
        let own = poisson_arrivals(
            &mut stream,
            per_day * (1.0 - incidents.shared_share),
            start,
            end,
        );
        let own = own.into_iter().map(|at| (at, recovery(&mut stream, at)));
        let incident = |(at, until)| Incident { at, until, service };
        record
            .incidents
            .extend(own.chain(shared.iter().copied()).map(incident));
    }
    record.incidents.sort_unstable();
}

/// Something that breaks at a rate and stays broken for a while.
struct Breaks {
    per_day: f64,
    median_hours: f64,
}

impl Breaks {
    fn between(
        &self,
        stream: &mut Stream,
        start: SimTime,
        end: SimTime,
    ) -> impl Iterator<Item = (SimTime, SimTime)> {
        let mut over = start;
        let rate = self.per_day;
        let median_s = self.median_hours * 3600.0;
        std::iter::from_fn(move || {
            if rate <= 0.0 {
                return None;
            }
            let at = after(over, stream.exponential(86_400.0 / rate));
            over = after(at, stream.lognormal(median_s, LENGTH_SIGMA));
            (at < end).then_some((at, over))
        })
    }
}
