//! Requests: daily and weekly shape, trend, correlated noise, bursts.
//!
//! load(t) = base x growth x exp(a sin(day)) x weekend x exp(noise) x bursts, one
//! value a minute. Noise is a first-order autoregression in logs; a burst rises
//! within five minutes and decays exponentially (flash crowds, Jung et al. 2002).
//! The shape is normalised so that a service's mean is its base.
use prestage_des::{SimTime, Stream, Streams};

use super::{Workload, poisson_arrivals, timestamp};
use crate::exogenous::{Demand, Exogenous};
use crate::scenario::{ScenarioSpec, TrafficSpec};

pub(super) const ENTRY: Workload = Workload {
    name: "traffic",
    about: "requests a second: daily and weekly shape, trend, correlated noise, bursts",
    generate,
};

const MINUTE: SimTime = SimTime::from_minutes(1);

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    for service in 0..spec.services.count {
        let mut stream = streams.open("traffic", u64::from(service));
        let bursts = bursts(
            &spec.traffic,
            &mut streams.open("bursts", u64::from(service)),
            record,
        );
        let values = load(&spec.traffic, &mut stream, &bursts, record);
        record.demands.push(Demand {
            service,
            first: record.history_start,
            step: MINUTE,
            values,
        });
    }
}

struct Burst {
    at: SimTime,
    log_height: f64,
}

fn bursts(traffic: &TrafficSpec, stream: &mut Stream, record: &Exogenous) -> Vec<Burst> {
    let per_day = traffic.bursts_per_week / 7.0;
    let arrivals = poisson_arrivals(stream, per_day, record.history_start, record.end);
    arrivals
        .into_iter()
        .map(|at| Burst {
            at,
            log_height: traffic.burst_factor.ln() * stream.lognormal(1.0, 0.3),
        })
        .collect()
}

fn load(
    traffic: &TrafficSpec,
    stream: &mut Stream,
    bursts: &[Burst],
    record: &Exogenous,
) -> Vec<f32> {
    let base = traffic.base_rps * stream.lognormal(1.0, traffic.base_sigma);
    let phase = stream.uniform(-1.5, 1.5);
    let kept = 0.5f64.powf(1.0 / traffic.noise_half_life_minutes);
    let fresh = traffic.noise_sigma * (1.0 - kept * kept).sqrt();
    let decay = 0.5f64.powf(1.0 / traffic.burst_minutes);
    let shape = DayShape::new(traffic);
    let minutes = (record.end.as_micros() - record.history_start.as_micros()) / MINUTE.as_micros();

    let mut noise = stream.normal(0.0, traffic.noise_sigma);
    let mut burst = 0.0;
    let mut rising = 0.0;
    let mut next_burst = bursts.iter().peekable();
    (0..minutes)
        .map(|minute| {
            let at = record.history_start + SimTime::from_minutes(minute);
            noise = kept * noise + stream.normal(0.0, fresh);
            burst *= decay;
            while let Some(new) = next_burst.next_if(|new| new.at <= at) {
                rising += new.log_height;
            }
            // A fifth a minute: a burst is up within a quarter of an hour.
            burst += 0.2 * rising;
            rising *= 0.8;
            let weeks = minute as f64 / 10_080.0;
            let growth = (1.0 + traffic.growth_per_week).powf(weeks);
            (base * growth * shape.at(at, phase) * (noise + burst).exp()) as f32
        })
        .collect()
}

/// The mean-one shape of a week.
struct DayShape {
    amplitude: f64,
    weekend: f64,
    norm: f64,
}

impl DayShape {
    fn new(traffic: &TrafficSpec) -> Self {
        // Mean of exp(a sin x) over a period, by the midpoint rule on 96 points.
        let mean: f64 = (0..96)
            .map(|i| {
                (traffic.daily_amplitude
                    * (std::f64::consts::TAU * (f64::from(i) + 0.5) / 96.0).sin())
                .exp()
            })
            .sum::<f64>()
            / 96.0;
        Self {
            amplitude: traffic.daily_amplitude,
            weekend: traffic.weekend_factor,
            norm: mean * (5.0 + 2.0 * traffic.weekend_factor) / 7.0,
        }
    }

    fn at(&self, at: SimTime, phase_hours: f64) -> f64 {
        let hour = at.as_hours_f64().rem_euclid(24.0);
        // Lowest around four in the morning, highest around four in the afternoon.
        let wave = (std::f64::consts::TAU * (hour - 10.0 - phase_hours) / 24.0).sin();
        let week = if timestamp(at).day_of_week() >= 5 {
            self.weekend
        } else {
            1.0
        };
        (self.amplitude * wave).exp() * week / self.norm
    }
}
