//! Load and capacity: what each minute asks of a service and what it gets.
//!
//! ```text
//! demand + repeated requests = offered load --> replicas required (autoscaler's rule)
//!                                  |
//!                                  +--> utilization rho --> latency, errors, memory
//! ```
//! A service with c replicas is an M/M/c queue. Each replica serves at most
//! mu = rated load / 0.8 requests a second: rated is what it takes at a utilization
//! of 80 %. With rho = offered / (c mu), the mean wait follows Sakasegawa (1977),
//! Wq = rho^(sqrt(2 (c + 1)) - 1) / (c mu (1 - rho)), and the sojourn is
//! W = Wq + 1 / mu, cut off at the clients' timeout. What exceeds c mu fails, and
//! a share of it is repeated a minute later: a retry storm feeds itself.
use std::collections::VecDeque;

use prestage_controller::{CellId, RequiredReplicas, required_replicas};
use prestage_des::SimTime;
use prestage_telemetry::Metric;
use serde::{Deserialize, Serialize};

use crate::event_log::LogKind;
use crate::exogenous::Demand;
use crate::world::{MINUTE, World};

/// The autoscaler looks at the mean of so many minutes, as HPA's metrics window.
const LOAD_WINDOW: usize = 5;
/// Utilization at which a replica takes its rated load.
const RATED_UTILIZATION: f64 = 0.8;
/// Clients give up after so long, seconds.
const TIMEOUT_S: f64 = 10.0;
/// Payload of a request and its answer (an assumption: a page of JSON).
const BYTES_PER_REQUEST: f64 = 24.0 * 1024.0;
/// Memory in use by an idle replica, and by each request in flight (assumptions).
const MEMORY_IDLE: f64 = 0.35;
const MEMORY_PER_REQUEST: f64 = 0.05;

/// Load and capacity of a service with traffic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoadState {
    demand: usize,
    /// The value of the demand in force, and when the next one takes over.
    sample: usize,
    next_sample_at: SimTime,
    rule: RequiredReplicas,
    window: VecDeque<f64>,
    pub capacity: u32,
    pub required: u32,
    /// Maxima of `required` over the stabilisation window, decreasing.
    peaks: VecDeque<(i64, u32)>,
    /// Requests that failed in the last minute, a second.
    failed: f64,
    /// The last offered load, requests a second.
    offered: f64,
}

/// How a service does at an offered load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServiceLevel {
    /// Busy share of the replicas, 0 to 1.
    pub utilization: f64,
    /// Mean time in the system, seconds.
    pub latency_s: f64,
    /// Requests that fail, a second.
    pub errors_per_second: f64,
    /// Requests in the system (Little's law).
    pub in_flight: f64,
}

/// The level of a service with `replicas` replicas of this rated load. See the
/// module for the formula.
pub fn service_level(offered: f64, replicas: f64, rated_load_per_replica: f64) -> ServiceLevel {
    let mu = rated_load_per_replica / RATED_UTILIZATION;
    let limit = replicas * mu;
    let rho = offered / limit;
    let served = offered.min(limit);
    let latency_s = if rho < 1.0 {
        let wait = rho.powf((2.0 * (replicas + 1.0)).sqrt() - 1.0) / (limit * (1.0 - rho));
        (wait + 1.0 / mu).min(TIMEOUT_S)
    } else {
        TIMEOUT_S
    };
    ServiceLevel {
        utilization: rho.min(1.0),
        latency_s,
        errors_per_second: (offered - limit).max(0.0),
        in_flight: served * latency_s,
    }
}

impl World {
    pub(crate) fn sweep_load(&mut self) {
        let record = std::sync::Arc::clone(&self.record);
        let minute = self.now.as_micros() / MINUTE.as_micros();
        for index in 0..self.services.len() {
            let Some(mut load) = self.services[index].load.take() else {
                continue;
            };
            let demand = &record.demands[load.demand];
            let is_new = load.follow(demand, self.now);
            let value = demand.values.get(load.sample).copied();
            if let Some(value) = value.map(f64::from).filter(|value| value.is_finite()) {
                let loss = self.capacity_loss(index);
                load.offer(value, self.options.retry_probability, 1.0 - loss);
                if is_new {
                    self.series(index as u32, Metric::RequestsPerSecond, load.offered);
                }
                let stabilization = i64::from(self.options.operation.stabilization_minutes);
                load.require(minute, stabilization, 1.0 - loss);
                self.serve_load(index, &mut load);
            }
            // `serve_load` may have changed the capacity through a need: it works on
            // the taken state, which goes back here.
            self.services[index].load = Some(load);
        }
    }

    /// Latency, errors and utilization of every service with a load.
    pub(crate) fn gauge_levels(&mut self) {
        for index in 0..self.services.len() {
            let Some(load) = &self.services[index].load else {
                continue;
            };
            if load.capacity == 0 {
                continue;
            }
            let replicas = f64::from(load.capacity) * (1.0 - self.capacity_loss(index));
            let offered = load.offered;
            let level = service_level(offered, replicas, load.rule.rated_load_per_replica);
            let memory = MEMORY_IDLE + MEMORY_PER_REQUEST * level.in_flight / replicas;
            let service = index as u32;
            self.series(service, Metric::LatencySeconds, level.latency_s);
            self.series(service, Metric::ErrorsPerSecond, level.errors_per_second);
            self.series(service, Metric::CpuUtilizationRatio, level.utilization);
            self.series(service, Metric::MemoryUtilizationRatio, memory.min(1.0));
            let bytes = offered * BYTES_PER_REQUEST;
            self.series(service, Metric::NetworkBytesPerSecond, bytes);
        }
    }

    /// Compares a service's capacity with what its load requires.
    fn serve_load(&mut self, index: usize, load: &mut LoadState) {
        let cell = self.services[index].cells[0].filter(|&cell| self.is_open(cell));
        let peak = load.peak();
        let Some(cell) = cell else {
            // Outside the accounted time somebody else scales, exactly.
            self.resize(index as u32, load, peak);
            return;
        };
        if load.required > load.capacity {
            self.cells[cell.index()].tally.usage.slo_violation_minutes += 1.0;
            if self.cells[cell.index()].waiting.is_empty() {
                self.scaling_need(cell, load);
            }
        } else {
            self.scale_in(index as u32, load, peak);
        }
        let staged = self.staged_magnitude(cell).saturating_sub(load.capacity);
        let idle = (load.capacity + staged).saturating_sub(load.required);
        self.cells[cell.index()].tally.usage.over_provision_hours += f64::from(idle) / 60.0;
    }

    /// Takes replicas away once a whole step has been idle for the stabilisation
    /// window, and leaves half a step: without that margin every wobble of the
    /// load would be a need.
    fn scale_in(&mut self, service: u32, load: &mut LoadState, peak: u32) {
        let share = self.options.operation.scale_out_share;
        if f64::from(peak) * (1.0 + share) <= f64::from(load.capacity) {
            let kept = (f64::from(peak) * (1.0 + share / 2.0)).ceil() as u32;
            self.resize(service, load, kept.min(load.capacity));
        }
    }

    /// Replicas that a ready stage keeps warm.
    fn staged_magnitude(&self, cell: CellId) -> u32 {
        let stage = self.cells[cell.index()]
            .predicted
            .map(|stage| &self.stages[stage.0 as usize]);
        stage
            .filter(|stage| stage.ready_at.is_some())
            .map_or(0, |stage| stage.magnitude)
    }

    pub(crate) fn resize(&mut self, service: u32, load: &mut LoadState, capacity: u32) {
        if capacity != load.capacity {
            load.capacity = capacity;
            self.series(service, Metric::Replicas, f64::from(capacity));
            self.note(LogKind::Resized, service, u64::from(capacity));
        }
    }
}

impl LoadState {
    /// At rest, before the first value of a demand.
    pub fn new(index: usize, demand: &Demand, rule: RequiredReplicas) -> Self {
        Self {
            demand: index,
            // Before the first value there is none: the index stands past the end.
            sample: usize::MAX,
            next_sample_at: demand.first,
            rule,
            window: VecDeque::with_capacity(LOAD_WINDOW),
            capacity: 0,
            required: rule.min_replicas,
            peaks: VecDeque::new(),
            failed: 0.0,
            offered: 0.0,
        }
    }

    /// Moves on to the value in force at `now`; true when a new one has come. A
    /// cursor, because the trace is read forwards and divisions are dear.
    fn follow(&mut self, demand: &Demand, now: SimTime) -> bool {
        let before = self.sample;
        while self.next_sample_at <= now && self.sample != demand.values.len() {
            self.sample = self.sample.wrapping_add(1);
            self.next_sample_at += demand.step;
        }
        self.sample != before
    }

    /// A minute's demand arrives, with what is repeated of the last minute's failures.
    fn offer(&mut self, demand: f64, retry_probability: f64, available: f64) {
        self.offered = demand;
        if retry_probability > 0.0 && self.capacity > 0 {
            self.offered += retry_probability * self.failed;
            let mu = self.rule.rated_load_per_replica / RATED_UTILIZATION;
            let limit = f64::from(self.capacity) * available * mu;
            self.failed = (self.offered - limit).max(0.0);
        }
        if self.window.len() == LOAD_WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(self.offered);
    }

    /// The replicas that the recent load requires while a share is `available`.
    fn require(&mut self, minute: i64, stabilization: i64, available: f64) {
        let mean = self.window.iter().sum::<f64>() / self.window.len() as f64;
        self.required = required_replicas(mean / available, self.rule);
        while self
            .peaks
            .back()
            .is_some_and(|&(_, peak)| peak <= self.required)
        {
            self.peaks.pop_back();
        }
        self.peaks.push_back((minute, self.required));
        while self
            .peaks
            .front()
            .is_some_and(|&(at, _)| at <= minute - stabilization)
        {
            self.peaks.pop_front();
        }
    }

    fn peak(&self) -> u32 {
        self.peaks
            .front()
            .map_or(self.rule.min_replicas, |&(_, peak)| peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Erlang's C formula.
    fn erlang_wait(servers: u32, rho: f64, mu: f64) -> f64 {
        let load = rho * f64::from(servers);
        let mut blocking = 1.0;
        for k in 1..=servers {
            blocking = load * blocking / (f64::from(k) + load * blocking);
        }
        let waiting = blocking / (1.0 - rho * (1.0 - blocking));
        waiting / (f64::from(servers) * mu * (1.0 - rho))
    }

    #[test]
    fn the_mean_wait_is_that_of_erlang_within_a_few_per_cent_of_the_service_time() {
        for servers in [1, 2, 4, 8, 16, 64] {
            for rho in [0.3, 0.6, 0.8, 0.9, 0.95] {
                let rated = 8.0;
                let mu = rated / RATED_UTILIZATION;
                let replicas = f64::from(servers);
                let level = service_level(rho * replicas * mu, replicas, rated);
                let wait = level.latency_s - 1.0 / mu;
                let exact = erlang_wait(servers, rho, mu);
                let difference = (wait - exact).abs();
                assert!(
                    difference < 0.05 / mu + 0.05 * exact,
                    "{servers} servers at {rho}: {wait} instead of {exact}"
                );
            }
        }
    }

    #[test]
    fn what_exceeds_the_replicas_fails() {
        let level = service_level(30.0, 2.0, 8.0);
        assert_eq!(level.errors_per_second, 10.0);
        assert_eq!((level.utilization, level.latency_s), (1.0, TIMEOUT_S));
        assert_eq!(service_level(16.0, 2.0, 8.0).errors_per_second, 0.0);
    }

    #[test]
    fn retries_amplify_an_overload_up_to_the_geometric_series() {
        let rule = RequiredReplicas {
            rated_load_per_replica: 8.0,
            min_replicas: 1,
        };
        let demand = Demand {
            service: 0,
            first: SimTime::ZERO,
            step: MINUTE,
            values: Vec::new(),
        };
        let mut load = LoadState::new(0, &demand, rule);
        load.capacity = 1;
        for _ in 0..200 {
            load.offer(15.0, 0.5, 1.0);
        }
        // offered = 15 + 0.5 (offered - 10).
        assert!((load.offered - 20.0).abs() < 1e-9, "{}", load.offered);
    }
}
