//! Requests: daily and weekly shape, trend, correlated noise, bursts, launches.
//!
//! The log load is the sum of log base, growth, a sin(day), weekday, holiday, drift,
//! noise, bursts, launches and incident, one value a minute. Noise is a
//! first-order autoregression, so the load is over-dispersed at every scale; a
//! burst is up within a quarter of an hour and decays exponentially (flash crowds,
//! Jung, Krishnamurthy and Rabinovich 2002), a launch decays over days. The shape
//! is normalised so that a service's mean is its base. Once a week the level may
//! move for good; with dial D5 the daily peak also wanders from day to day, which
//! only retraining follows.
use prestage_des::{SimTime, Stream, Streams};

use super::regimes::Tempo;
use super::{Workload, poisson_arrivals, timestamp};
use crate::exogenous::{Demand, Exogenous};
use crate::scenario::{ScenarioSpec, TrafficSpec};

pub(super) const ENTRY: Workload = Workload {
    name: "traffic",
    about: "requests a second: daily and weekly shape, trend, noise, bursts, launches",
    generate,
};

const MINUTE: SimTime = SimTime::from_minutes(1);
const MINUTES_A_DAY: usize = 1440;
/// Bursts and launches together lift a load by at most e^12, about 160,000 times.
const LIFT_LOG_MAX: f64 = 12.0;
/// Standard deviation of the daily step of the peak's hour, at dial D5 = 1.
const PHASE_STEP_HOURS: f64 = 0.6;
/// Days after a holiday on which people come back.
const RETURN_DAYS: i64 = 2;

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let tempo = Tempo::new(spec, record);
    let shared_share = shared_share(spec);
    let mut fleet = streams.open("fleet-bursts", 0);
    let shared = bursts(&spec.traffic, &mut fleet, shared_share, &tempo, record);
    let days = day_factors(spec, record);
    for service in 0..spec
        .services
        .with_cell(prestage_controller::NeedType::Scaling)
    {
        let entity = u64::from(service);
        let mut own = streams.open("bursts", entity);
        let mut lifts = bursts(&spec.traffic, &mut own, 1.0 - shared_share, &tempo, record);
        lifts.extend(shared.iter().copied());
        lifts.sort_by_key(|lift| lift.at);
        let launches = launches(&spec.traffic, &mut streams.open("launches", entity), record);
        let incidents = incident_minutes(spec, record, service);
        let mut source = Source {
            spec,
            stream: streams.open("traffic", entity),
            drift: streams.open("drift", entity),
            bursts: Lift::new(lifts, spec.traffic.burst_minutes),
            launches: Lift::new(launches, spec.traffic.launch_half_life_days * 1440.0),
            days: &days,
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

/// Log factor of each day: weekend, holiday, return.
fn day_factors(spec: &ScenarioSpec, record: &Exogenous) -> Vec<f64> {
    let traffic = &spec.traffic;
    let norm = (5.0 + 2.0 * traffic.weekend_factor) / 7.0;
    let day = SimTime::from_days(1);
    let days = (record.end.as_micros() - record.history_start.as_micros()) / day.as_micros() + 1;
    let factor = |index: i64| {
        let at = record.history_start + SimTime::from_days(index);
        let is_weekend = timestamp(at).day_of_week() >= 5;
        let mut factor = if is_weekend {
            traffic.weekend_factor
        } else {
            1.0
        };
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
    stream: Stream,
    drift: Stream,
    bursts: Lift,
    launches: Lift,
    days: &'a [f64],
    incidents: &'a [(i64, i64)],
}

impl Source<'_> {
    fn load(&mut self) -> Vec<f32> {
        let traffic = &self.spec.traffic;
        let base = traffic.base_rps.ln() + self.stream.normal(0.0, traffic.base_sigma);
        let mut wave = DayWave::new(traffic.daily_amplitude, self.stream.uniform(-1.5, 1.5));
        let kept = 0.5f64.powf(1.0 / traffic.noise_half_life_minutes);
        let fresh = traffic.noise_sigma * (1.0 - kept * kept).sqrt();
        let growth = traffic.growth_per_week.ln_1p() / (7.0 * MINUTES_A_DAY as f64);
        let in_incident = self.spec.incidents.load_factor.ln();
        let mut noise = self.stream.normal(0.0, traffic.noise_sigma);
        let minutes = (self.spec.days + self.spec.history_days) as usize * MINUTES_A_DAY;
        let mut values = Vec::with_capacity(minutes);
        let mut at = super::EPOCH;
        let mut level = base;
        for (day, day_factor) in self.days.iter().enumerate() {
            level += self.day_begins(day, &mut wave);
            for minute in 0..MINUTES_A_DAY {
                if values.len() == minutes {
                    return values;
                }
                noise = kept * noise + fresh * self.stream.normal(0.0, 1.0);
                let lift = self.bursts.minute(at) + self.launches.minute(at);
                let mut log = level + day_factor + wave.table[minute] + noise;
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
    fn day_begins(&mut self, day: usize, wave: &mut DayWave) -> f64 {
        let staleness = self.spec.dials.retrain_staleness;
        if staleness > 0.0 {
            let step = self.drift.normal(0.0, PHASE_STEP_HOURS * staleness);
            wave.move_peak(step);
        }
        let sigma = self.spec.traffic.drift_sigma_per_week;
        if sigma > 0.0 && day % 7 == 6 {
            self.drift.normal(0.0, sigma)
        } else {
            0.0
        }
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

/// Log of the daily wave by minute; its exponential has a mean of one.
struct DayWave {
    amplitude: f64,
    norm_log: f64,
    phase_hours: f64,
    table: Vec<f64>,
}

impl DayWave {
    fn new(amplitude: f64, phase_hours: f64) -> Self {
        // Mean of exp(a sin x) over a period, by the midpoint rule on 96 points.
        let angle = |i: u32| std::f64::consts::TAU * (f64::from(i) + 0.5) / 96.0;
        let mean = (0..96)
            .map(|i| (amplitude * angle(i).sin()).exp())
            .sum::<f64>()
            / 96.0;
        let mut wave = Self {
            amplitude,
            norm_log: mean.ln(),
            phase_hours,
            table: vec![0.0; MINUTES_A_DAY],
        };
        wave.move_peak(0.0);
        wave
    }

    fn move_peak(&mut self, hours: f64) {
        self.phase_hours += hours;
        for (minute, value) in self.table.iter_mut().enumerate() {
            // Lowest around four in the morning, highest around four in the afternoon.
            let hour = minute as f64 / 60.0 - 10.0 - self.phase_hours;
            let wave = (std::f64::consts::TAU * hour / 24.0).sin();
            *value = self.amplitude * wave - self.norm_log;
        }
    }
}
