//! The processes that make a synthetic world's exogenous record.
//!
//! Each is one file and one line in [`WORKLOADS`]; each draws from streams of its
//! own, keyed by service, so adding one changes no other.
mod calendar;
mod commits;
mod day_shape;
mod dependencies;
mod incidents;
mod noise;
mod regimes;
mod releases;
mod suite;
mod traffic;

use prestage_controller::{Calendar, CellId, CellSpec, NeedType, Tier};
use prestage_des::{SimTime, Stream, Streams};
use prestage_telemetry::{ServiceId, Span, Timestamp};

pub use dependencies::fleet_upstream;
pub use noise::noise_variogram;
pub use releases::releases_due;
pub use traffic::peak_hours;

use crate::exogenous::{Exogenous, Service, Window};
use crate::scenario::{Scenario, ScenarioSpec};

/// A workload process.
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Adds its part to the record; may read what earlier processes added.
    pub generate: fn(&ScenarioSpec, &Streams, &mut Exogenous),
}

/// All processes, in the order in which they depend on each other.
pub static WORKLOADS: &[Workload] = &[
    calendar::ENTRY,
    regimes::ENTRY,
    incidents::ENTRY,
    traffic::ENTRY,
    commits::ENTRY,
    releases::ENTRY,
    dependencies::ENTRY,
    suite::ENTRY,
];

/// Monday, 2024-01-01, 00:00 UTC: synthetic time starts on the same day as the
/// recorded histories do.
const EPOCH: SimTime = SimTime::from_secs(1_704_067_200);

impl Exogenous {
    /// Generates the record of a scenario for one seed.
    pub fn generate(scenario: &Scenario, seed: u64) -> Self {
        let spec = scenario.spec();
        let streams = Streams::new(seed);
        let start = EPOCH + SimTime::from_days(i64::from(spec.history_days));
        let end = start + SimTime::from_days(i64::from(spec.days));
        let count = spec.services.count;
        let services = (0..count)
            .map(|i| Service {
                name: format!("service-{i:02}"),
            })
            .collect();
        let mut record = Exogenous {
            services,
            cells: cells(spec, start, end),
            shards: vec![1; count as usize],
            ..Exogenous::empty(spec.name.clone(), EPOCH, start, end)
        };
        for workload in WORKLOADS {
            (workload.generate)(spec, &streams, &mut record);
        }
        record.check();
        record
    }
}

fn cells(spec: &ScenarioSpec, start: SimTime, end: SimTime) -> Vec<CellSpec> {
    let mut cells = Vec::new();
    for service in 0..spec.services.count {
        let tier = spec.services.tiers[service as usize % spec.services.tiers.len()];
        let needs = NeedType::ALL;
        for need in needs
            .into_iter()
            .filter(|&need| service < spec.services.with_cell(need))
        {
            cells.push(CellSpec {
                id: CellId(cells.len() as u32),
                service: ServiceId(service),
                service_name: format!("service-{service:02}"),
                need,
                tier: [Tier::One, Tier::Two, Tier::Three][usize::from(tier) - 1],
                rated_load_per_replica: spec.traffic.rated_rps,
                suite_budget_s: spec.suite.budget_minutes * 60.0,
                opens_at: timestamp(start),
                closes_at: timestamp(end),
                ..cell_economics(spec, need)
            });
        }
    }
    cells
}

/// The part of a cell that comes from how the organisation works; the identity
/// is the caller's to fill in.
pub(crate) fn cell_economics(spec: &ScenarioSpec, need: NeedType) -> CellSpec {
    let operation = spec.dials.operation(&spec.operation);
    let people = match need {
        NeedType::Scaling => 0.0,
        NeedType::FeatureRelease => operation.people_waiting[0],
        NeedType::DependencyUpdate => operation.people_waiting[1],
        NeedType::TestSuite => operation.people_waiting[2],
    };
    let stage = spec.stages.of(need);
    let lead_minutes = stage.validate_minutes + stage.review_minutes + stage.provision_minutes;
    CellSpec {
        id: CellId(0),
        service: ServiceId(0),
        service_name: String::new(),
        need,
        tier: Tier::Two,
        people_working: people,
        people_off: people * operation.off_hours_people_factor,
        people_incident_factor: operation.incident_people_factor,
        rated_load_per_replica: spec.traffic.rated_rps,
        suite_budget_s: spec.suite.budget_minutes * 60.0,
        opens_at: Timestamp(0),
        closes_at: Timestamp(0),
        lead_prior: Span::from_seconds_f64(lead_minutes * 60.0),
        runner_minutes_prior: stage.validate_minutes,
        staffing: spec.control.staffing(),
        retrain_on_drift: spec.control.retrain_on_drift,
    }
}

/// The simulator's clock as the controller writes it.
pub(crate) fn timestamp(at: SimTime) -> Timestamp {
    Timestamp(at.as_micros())
}

/// When people work and release, and how strictly they keep to it (dial D7).
pub(crate) struct Week {
    calendar: Calendar,
    freezes: Vec<Window>,
    moving_hazard: f64,
}

/// What piled up in a freeze leaves over so many days after it.
const THAW_DAYS: f64 = 2.0;
/// What waited for the morning is spread over so many hours.
const MORNING_HOURS: f64 = 4.0;

impl Week {
    fn new(spec: &ScenarioSpec, record: &Exogenous) -> Self {
        Self {
            calendar: record.calendar(),
            freezes: record.freezes.clone(),
            moving_hazard: spec.dials.moving_hazard,
        }
    }

    /// `at`, or the next working morning for the share of work that waits for it.
    fn working(&self, at: SimTime, stream: &mut Stream) -> SimTime {
        // Both are drawn in any case: the dial must not shift the draws that follow.
        let (keeps_hours, jitter) = (stream.unit() < self.moving_hazard, stream.unit());
        if !keeps_hours || self.calendar.is_working(timestamp(at)) {
            return at;
        }
        let hour = SimTime::from_hours(1);
        let mut open = at.floor_to(hour) + hour;
        while !self.calendar.is_working(timestamp(open)) {
            open += hour;
        }
        after(open, jitter * MORNING_HOURS * 3600.0)
    }

    /// As [`Week::working`], and not while releases are frozen.
    fn release(&self, at: SimTime, stream: &mut Stream) -> SimTime {
        let spread = stream.unit() * THAW_DAYS * 86_400.0;
        let mut thawed = at;
        for freeze in self.freezes.iter().filter(|freeze| freeze.covers(at)) {
            thawed = thawed.max(after(freeze.until, spread));
        }
        let moved = self.working(thawed, stream);
        // A morning may fall into the next freeze.
        match self.freezes.iter().find(|freeze| freeze.covers(moved)) {
            Some(freeze) => freeze.until,
            None => moved,
        }
    }
}

/// Arrivals of a Poisson process with a rate per day in `[from, to)`.
pub(crate) fn poisson_arrivals(
    stream: &mut Stream,
    per_day: f64,
    from: SimTime,
    to: SimTime,
) -> Vec<SimTime> {
    let mut arrivals = Vec::new();
    if per_day <= 0.0 {
        return arrivals;
    }
    let mut at = from;
    loop {
        at = after(at, stream.exponential(86_400.0 / per_day));
        if at >= to {
            return arrivals;
        }
        arrivals.push(at);
    }
}

/// `at` plus a drawn delay in seconds. A scenario may ask for delays beyond what
/// integer time can hold; three thousand years are as good as never.
pub(crate) fn after(at: SimTime, seconds: f64) -> SimTime {
    at + SimTime::from_secs_f64(seconds.min(1e11))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(extra: &str) -> Scenario {
        let text =
            format!("format_version = 1\nname = \"t\"\nfamily = \"t\"\nabout = \"t\"\n{extra}\n");
        Scenario::parse("t.toml", &text, &[]).unwrap()
    }

    #[test]
    fn the_same_seed_makes_the_same_record_and_another_seed_another() {
        let scenario = scenario("days = 7");
        let one = Exogenous::generate(&scenario, 1);
        assert_eq!(one, Exogenous::generate(&scenario, 1));
        assert_ne!(one.releases, Exogenous::generate(&scenario, 2).releases);
    }

    #[test]
    fn a_process_does_not_shift_the_draws_of_another() {
        let base = Exogenous::generate(&scenario("days = 7"), 5);
        let busier =
            Exogenous::generate(&scenario("days = 7\n[traffic]\nbursts_per_week = 40.0"), 5);
        assert_ne!(base.demands, busier.demands);
        assert_eq!(base.commits, busier.commits);
        assert_eq!(base.dependency_needs, busier.dependency_needs);
        assert_eq!(base.suite_runs, busier.suite_runs);
    }

    #[test]
    fn rates_and_delays_beyond_the_range_of_time_are_never() {
        let extreme = "days = 7\n[dependencies]\nupstream_per_week = 1e-300\nadvisories_per_month = 400.0\n\
                       triage_hours = 10000.0\n[suite]\nruns_per_day = 1e-200";
        let record = Exogenous::generate(&scenario(extreme), 1);
        assert!(record.upstream.is_empty() && record.suite_runs.is_empty());
        assert!(record.advisories.len() > 100 && record.dependency_needs.len() < 100);
        let never = after(EPOCH, f64::MAX);
        assert!(never > EPOCH + SimTime::from_days(1_000_000));
    }

    #[test]
    fn rates_are_what_the_scenario_says() {
        let scenario = scenario("days = 364\n[services]\ncount = 8\n[traffic]\nbase_sigma = 0.0");
        let record = Exogenous::generate(&scenario, 3);
        let weeks = 54.0 * 8.0;
        let commits = record.commits.len() as f64 / weeks;
        assert!((commits - 60.0).abs() < 4.0, "commits a week: {commits}");
        let working = record
            .commits
            .iter()
            .filter(|commit| record.calendar().is_working(timestamp(commit.at)))
            .count() as f64;
        let share = working / record.commits.len() as f64;
        assert!((share - 0.8).abs() < 0.02, "working share: {share}");
        let releases = record.releases.len() as f64 / weeks;
        assert!(
            (1.4..2.1).contains(&releases),
            "releases a week: {releases}"
        );
        let load: f64 = record.demands[0].values.iter().map(|&v| f64::from(v)).sum();
        let mean = load / record.demands[0].values.len() as f64;
        assert!((mean / 400.0 - 1.0).abs() < 0.15, "mean load: {mean}");
    }
}
