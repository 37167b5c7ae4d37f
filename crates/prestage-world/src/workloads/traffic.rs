//! Requests: daily and weekly shape, trend, correlated noise, bursts, launches.
//!
//! The log load is the sum of log base, growth, a sin(day) and weekday (or an hourly
//! profile), holiday, drift, noise, bursts, launches and incident, one value a minute.
//! Noise is correlated (`noise.rs`), so the load is over-dispersed at every scale; a
//! burst is up within a quarter of an hour and decays exponentially (flash crowds,
//! Jung, Krishnamurthy and Rabinovich 2002), a launch decays over days. A wave
//! is normalised so that a service's mean is its base, a profile is relative to it. Once a week the level may
//! move for good; with dial D5 the daily peak also wanders from day to day, which
//! only retraining follows.
use prestage_des::{SimTime, Stream, Streams};

use super::day_shape::DayShape;
use super::day_shape::MINUTES_A_DAY;
use super::noise::Noise;
use super::regimes::Tempo;
use super::{Workload, poisson_arrivals, timestamp};
use crate::exogenous::{Demand, Exogenous};
use crate::scenario::{Scenario, ScenarioSpec, TrafficSpec};

pub(super) const ENTRY: Workload = Workload {
    name: "traffic",
    about: "requests a second: daily and weekly shape, trend, noise, bursts, launches",
    generate,
};

const MINUTE: SimTime = SimTime::from_minutes(1);
/// Bursts and launches together lift a load by at most e^12, about 160,000 times.
const LIFT_LOG_MAX: f64 = 12.0;
/// Standard deviation of the daily step of the peak's hour, at dial D5 = 1.
const PHASE_STEP_HOURS: f64 = 0.6;
/// Hour of the peak of a wave that is neither early nor late.
const PEAK_HOUR: f64 = 16.0;
/// Days after a holiday on which people come back.
const RETURN_DAYS: i64 = 2;

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let tempo = Tempo::new(spec, record);
    let shared_share = shared_share(spec);
    let mut fleet = streams.open("fleet-bursts", 0);
    let shared = bursts(&spec.traffic, &mut fleet, shared_share, &tempo, record);
    for service in 0..spec
        .services
        .with_cell(prestage_controller::NeedType::Scaling)
    {
        let entity = u64::from(service);
        let traffic = spec.traffic.of(service);
        let mut own = streams.open("bursts", entity);
        let mut lifts = bursts(&traffic, &mut own, 1.0 - shared_share, &tempo, record);
        lifts.extend(shared.iter().copied());
        lifts.sort_by_key(|lift| lift.at);
        let launches = launches(&traffic, &mut streams.open("launches", entity), record);
        let incidents = incident_minutes(spec, record, service);
        let mut source = Source {
            spec,
            traffic: &traffic,
            stream: streams.open("traffic", entity),
            fresh: streams.open("traffic-fresh", entity),
            drift: streams.open("drift", entity),
            bursts: Lift::new(lifts, traffic.burst_minutes),
            launches: Lift::new(launches, traffic.launch_half_life_days * 1440.0),
            days: day_factors(spec, &traffic, record),
            incidents: &incidents,
        };
        record.demands.push(Demand {
            service,
            first: record.history_start,
            step: MINUTE,
            values: source.load(),
        });
    }
}

/// The hour of the daily peak of a service's wave on each day since the history began, which
/// dial D5 moves, in the record that `seed` makes of the scenario.
pub fn peak_hours(scenario: &Scenario, record: &Exogenous, seed: u64, service: u32) -> Vec<f64> {
    let spec = scenario.spec();
    let staleness = spec.dials.retrain_staleness;
    let traffic = spec.traffic.of(service);
    let streams = Streams::new(seed);
    let mut drift = streams.open("drift", u64::from(service));
    let (_, phase) = first_day(&traffic, &mut streams.open("traffic", u64::from(service)));
    let mut peak = PEAK_HOUR + phase;
    let days = (record.end - record.history_start).as_days_f64().ceil() as usize;
    let day = |day: usize| {
        if staleness > 0.0 {
            peak += phase_step(&mut drift, staleness);
        }
        level_step(&mut drift, &traffic, day);
        peak
    };
    (0..days).map(day).collect()
}

/// Log of the base load, and the hours by which the peak is late, as a service begins.
fn first_day(traffic: &TrafficSpec, stream: &mut Stream) -> (f64, f64) {
    let base = traffic.base_rps.ln() + stream.normal(0.0, traffic.base_sigma);
    (base, stream.uniform(-1.5, 1.5))
}

/// Hours by which the peak moves from one day to the next.
fn phase_step(drift: &mut Stream, staleness: f64) -> f64 {
    drift.normal(0.0, PHASE_STEP_HOURS * staleness)
}

/// The step of the level on a day, in logs.
fn level_step(drift: &mut Stream, traffic: &TrafficSpec, day: usize) -> f64 {
    let sigma = traffic.drift_sigma_per_week;
    if sigma > 0.0 && day % 7 == 6 {
        drift.normal(0.0, sigma)
    } else {
        0.0
    }
}

/// Share of bursts that hit the whole fleet, by the key or by dial D6.
fn shared_share(spec: &ScenarioSpec) -> f64 {
    1.0 - (1.0 - spec.traffic.burst_shared_share) * (1.0 - spec.dials.correlated_needs)
}

/// Something that lifts the load and wears off.
#[derive(Clone, Copy)]
struct LiftAt {
    at: SimTime,
    log_height: f64,
}

fn bursts(
    traffic: &TrafficSpec,
    stream: &mut Stream,
    share: f64,
    tempo: &Tempo,
    record: &Exogenous,
) -> Vec<LiftAt> {
    let per_day = traffic.bursts_per_week / 7.0 * share;
    let mut lifts = Vec::new();
    if per_day <= 0.0 {
        return lifts;
    }
    let mut at = record.history_start;
    loop {
        at = tempo.after(at, stream.exponential(86_400.0 / per_day));
        if at >= record.end {
            return lifts;
        }
        lifts.push(LiftAt {
            at,
            log_height: traffic.burst_factor.ln() * stream.lognormal(1.0, 0.3),
        });
    }
}

fn launches(traffic: &TrafficSpec, stream: &mut Stream, record: &Exogenous) -> Vec<LiftAt> {
    let per_day = traffic.launches_per_month / 30.0;
    poisson_arrivals(stream, per_day, record.history_start, record.end)
        .into_iter()
        .map(|at| LiftAt {
            at,
            log_height: traffic.launch_factor.ln() * stream.lognormal(1.0, 0.3),
        })
        .collect()
}

/// Log factor of each day: weekend (where no profile says it), holiday, return.
fn day_factors(spec: &ScenarioSpec, traffic: &TrafficSpec, record: &Exogenous) -> Vec<f64> {
    let weekend_factor = if traffic.hourly_profile.is_empty() {
        traffic.weekend_factor
    } else {
        1.0
    };
    let norm = (5.0 + 2.0 * weekend_factor) / 7.0;
    let day = SimTime::from_days(1);
    let days = (record.end.as_micros() - record.history_start.as_micros()) / day.as_micros() + 1;
    let factor = |index: i64| {
        let at = record.history_start + SimTime::from_days(index);
        let is_weekend = timestamp(at).day_of_week() >= 5;
        let mut factor = if is_weekend { weekend_factor } else { 1.0 };
        for holiday in &spec.calendar.holidays {
            let from = record.start + SimTime::from_days(i64::from(holiday.day));
            let until = from + SimTime::from_days(i64::from(holiday.days));
            if from <= at && at < until {
                factor *= holiday.traffic_factor;
            } else if until <= at && at < until + SimTime::from_days(RETURN_DAYS) {
                factor *= holiday.return_factor;
            }
        }
        (factor / norm).ln()
    };
    (0..days).map(factor).collect()
}

/// Minutes of the record in which an incident of the service is open, as ranges.
fn incident_minutes(spec: &ScenarioSpec, record: &Exogenous, service: u32) -> Vec<(i64, i64)> {
    if spec.incidents.load_factor == 1.0 {
        return Vec::new();
    }
    let minute = |at: SimTime| {
        (at.as_micros() - record.history_start.as_micros()).div_euclid(MINUTE.as_micros())
    };
    record
        .incidents
        .iter()
        .filter(|incident| incident.service == service)
        .map(|incident| (minute(incident.at), minute(incident.until) + 1))
        .collect()
}

/// The sum of what lifts a load now, in logs.
struct Lift {
    coming: std::iter::Peekable<std::vec::IntoIter<LiftAt>>,
    decay: f64,
    rising: f64,
    level: f64,
}

impl Lift {
    fn new(lifts: Vec<LiftAt>, half_life_minutes: f64) -> Self {
        Self {
            coming: lifts.into_iter().peekable(),
            decay: 0.5f64.powf(1.0 / half_life_minutes),
            rising: 0.0,
            level: 0.0,
        }
    }

    /// The lift in the minute that begins at `at`.
    fn minute(&mut self, at: SimTime) -> f64 {
        self.level *= self.decay;
        while let Some(new) = self.coming.next_if(|new| new.at <= at) {
            self.rising += new.log_height;
        }
        // A fifth a minute: a burst is up within a quarter of an hour.
        self.level += 0.2 * self.rising;
        self.rising *= 0.8;
        self.level
    }
}

/// One service's load, minute by minute.
struct Source<'a> {
    spec: &'a ScenarioSpec,
    /// Of this service's class.
    traffic: &'a TrafficSpec,
    stream: Stream,
    fresh: Stream,
    drift: Stream,
    bursts: Lift,
    launches: Lift,
    days: Vec<f64>,
    incidents: &'a [(i64, i64)],
}

impl Source<'_> {
    fn load(&mut self) -> Vec<f32> {
        let traffic = self.traffic;
        let (base, phase_hours) = first_day(traffic, &mut self.stream);
        let mut shape = DayShape::new(traffic, phase_hours);
        let growth = traffic.growth_per_week.ln_1p() / (7.0 * MINUTES_A_DAY as f64);
        let in_incident = self.spec.incidents.load_factor.ln();
        let mut noise = Noise::new(traffic, &mut self.stream);
        let minutes = (self.spec.days + self.spec.history_days) as usize * MINUTES_A_DAY;
        let mut values = Vec::with_capacity(minutes);
        let mut at = super::EPOCH;
        let mut level = base;
        for day in 0..self.days.len() {
            level += self.day_begins(day, at, &mut shape);
            for minute in 0..MINUTES_A_DAY {
                if values.len() == minutes {
                    return values;
                }
                let noise = noise.minute(&mut self.stream, &mut self.fresh);
                let lift = self.bursts.minute(at) + self.launches.minute(at);
                let mut log = level + self.days[day] + shape.table[minute] + noise;
                log += growth * values.len() as f64 + lift.min(LIFT_LOG_MAX);
                if self.has_incident(values.len() as i64) {
                    log += in_incident;
                }
                values.push(log.exp() as f32);
                at += MINUTE;
            }
        }
        values
    }

    /// The step of the level on this day; moves the peak with dial D5.
    fn day_begins(&mut self, day: usize, at: SimTime, shape: &mut DayShape) -> f64 {
        let staleness = self.spec.dials.retrain_staleness;
        let step = if staleness > 0.0 {
            phase_step(&mut self.drift, staleness)
        } else {
            0.0
        };
        shape.day_begins(at, step);
        level_step(&mut self.drift, self.traffic, day)
    }

    fn has_incident(&mut self, minute: i64) -> bool {
        while let Some(&(_, until)) = self.incidents.first() {
            if until > minute {
                break;
            }
            self.incidents = &self.incidents[1..];
        }
        self.incidents
            .first()
            .is_some_and(|&(from, _)| from <= minute)
    }
}
