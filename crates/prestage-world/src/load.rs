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
use prestage_controller::{
    CellId, CellSpec, NeedType, RATED_UTILIZATION, RequiredReplicas, Staffing, required_replicas,
};
use prestage_des::SimTime;
use prestage_telemetry::Metric;
use serde::{Deserialize, Serialize};

use crate::event_log::LogKind;
use crate::exogenous::Demand;
use crate::sliding_max::SlidingMax;
use crate::world::{MINUTE, World};

/// The autoscaler looks at the mean of so many minutes, as HPA's metrics window.
const LOAD_WINDOW: usize = 5;
/// Clients give up after so long, seconds.
const TIMEOUT_S: f64 = 10.0;
/// Payload of a request and its answer (an assumption: a page of JSON).
const BYTES_PER_REQUEST: f64 = 24.0 * 1024.0;
/// Memory in use by an idle replica, and by each request in flight (assumptions).
const MEMORY_IDLE: f64 = 0.35;
const MEMORY_PER_REQUEST: f64 = 0.05;

/// Load and capacity of a service with traffic. What a minute of the sweep needs is
/// all in here, side by side for all services.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoadState {
    pub service: u32,
    cell: Option<ScalingCell>,
    /// The value of the demand in force, and when the next one takes over.
    sample: usize,
    next_sample_at: SimTime,
    rule: RequiredReplicas,
    /// Offered loads of the last minutes, the latest last.
    window: [f64; LOAD_WINDOW],
    /// How many of them there have been.
    filled: u8,
    pub capacity: u32,
    pub required: u32,
    /// Of `required` over the stabilisation window.
    peak: SlidingMax,
    /// Requests that failed in the last minute, a second.
    failed: f64,
    /// The last offered load, requests a second.
    offered: f64,
    /// Share of the replicas that incidents leave.
    pub available: f64,
    /// Replicas that a ready stage keeps warm, those in service included.
    pub staged: u32,
    /// Replicas beyond what was required, times minutes.
    idle_replica_minutes: u64,
}

/// The scaling cell of a service, and when it exists.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct ScalingCell {
    id: CellId,
    opens_at: SimTime,
    closes_at: SimTime,
}

/// What a minute leaves to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pressure {
    /// Capacity and requirement agree.
    Fits,
    /// Replicas to run from now on, without anybody asking for them.
    Resize(u32),
    /// More is required than there is.
    Overload(CellId),
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

/// Replicas that stay when `capacity` run and no more than `peak` were required over
/// the stabilisation window: all of them, until a whole scale-out step has been idle.
pub fn scaled_in(capacity: u32, peak: u32, scale_out_share: f64) -> u32 {
    if f64::from(peak) * (1.0 + scale_out_share) <= f64::from(capacity) {
        kept_replicas(peak, scale_out_share).min(capacity)
    } else {
        capacity
    }
}

/// What a scale-in leaves: half a step above the peak.
pub(crate) fn kept_replicas(peak: u32, scale_out_share: f64) -> u32 {
    (f64::from(peak) * (1.0 + scale_out_share / 2.0)).ceil() as u32
}

/// Replicas after a step of scaling out.
pub fn scaled_out(capacity: u32, scale_out_share: f64) -> u32 {
    (f64::from(capacity) * (1.0 + scale_out_share)).ceil() as u32
}

impl World {
    /// A minute of every load.
    pub(crate) fn sweep_load(&mut self) {
        for index in 0..self.loads.len() {
            self.sweep_service(index, self.now);
        }
    }

    /// A minute of one load; `self.now` is not looked at in the history, which is
    /// swept a service at a time.
    pub(crate) fn sweep_service(&mut self, index: usize, at: SimTime) {
        let load = &mut self.loads[index];
        let before = load.sample;
        let Some(value) = load.demanded(&self.record.demands[index], at) else {
            return;
        };
        let is_new = load.sample != before;
        load.offer(value, self.options.retry_probability);
        load.require(
            at.as_micros() / MINUTE.as_micros(),
            i64::from(self.options.operation.stabilization_minutes),
        );
        let pressure = load.pressure(at, self.options.operation.scale_out_share);
        if is_new {
            let (service, offered) = (load.service, load.offered);
            self.sample(service, Metric::RequestsPerSecond, at, offered);
        }
        match pressure {
            Pressure::Fits => {}
            Pressure::Resize(capacity) => self.resize(index, at, capacity),
            Pressure::Overload(cell) => {
                self.cells[cell.index()].tally.usage.slo_violation_minutes += 1.0;
                if self.cells[cell.index()].waiting.is_empty() {
                    self.scaling_need(cell, index);
                }
            }
        }
        self.loads[index].book_idle(at);
    }

    /// Latency, errors and utilization of every service with a load.
    pub(crate) fn gauge_levels(&mut self) {
        for index in 0..self.loads.len() {
            let load = &self.loads[index];
            if load.capacity == 0 {
                continue;
            }
            let replicas = f64::from(load.capacity) * load.available;
            let (service, offered) = (load.service, load.offered);
            let level = service_level(offered, replicas, load.rule.rated_load_per_replica);
            let memory = MEMORY_IDLE + MEMORY_PER_REQUEST * level.in_flight / replicas;
            self.series(service, Metric::LatencySeconds, level.latency_s);
            self.series(service, Metric::ErrorsPerSecond, level.errors_per_second);
            self.series(service, Metric::CpuUtilizationRatio, level.utilization);
            self.series(service, Metric::MemoryUtilizationRatio, memory.min(1.0));
            let bytes = offered * BYTES_PER_REQUEST;
            self.series(service, Metric::NetworkBytesPerSecond, bytes);
        }
    }

    pub(crate) fn resize(&mut self, index: usize, at: SimTime, capacity: u32) {
        let load = &mut self.loads[index];
        if capacity != load.capacity {
            load.capacity = capacity;
            let service = load.service;
            self.sample(service, Metric::Replicas, at, f64::from(capacity));
            // The log begins with the accounted time.
            if at >= self.record.start {
                self.note(LogKind::Resized, service, u64::from(capacity));
            }
        }
    }

    /// The load of a scaling cell's service.
    pub(crate) fn load_of(&mut self, cell: CellId) -> Option<&mut LoadState> {
        let index = self.load_index(cell)?;
        Some(&mut self.loads[index])
    }

    /// Its place in `loads`.
    pub(crate) fn load_index(&self, cell: CellId) -> Option<usize> {
        let spec = &self.record.cells[cell.index()];
        let service = &self.services[spec.service.index()];
        (spec.need == NeedType::Scaling)
            .then_some(service.load)
            .flatten()
    }
}

impl LoadState {
    /// At rest, before the first value of a demand.
    pub fn new(demand: &Demand, cell: Option<&CellSpec>, min_replicas: u32) -> Self {
        let rule = RequiredReplicas {
            rated_load_per_replica: cell.map_or(1.0, |cell| cell.rated_load_per_replica),
            min_replicas,
            staffing: cell.map_or(Staffing::default(), |cell| cell.staffing),
        };
        Self {
            service: demand.service,
            cell: cell.map(|cell| ScalingCell {
                id: cell.id,
                opens_at: SimTime::from_micros(cell.opens_at.0),
                closes_at: SimTime::from_micros(cell.closes_at.0),
            }),
            // Before the first value there is none: the index stands past the end.
            sample: usize::MAX,
            next_sample_at: demand.first,
            rule,
            window: [0.0; LOAD_WINDOW],
            filled: 0,
            capacity: 0,
            required: min_replicas,
            peak: SlidingMax::default(),
            failed: 0.0,
            offered: 0.0,
            available: 1.0,
            staged: 0,
            idle_replica_minutes: 0,
        }
    }

    /// Moves on to the value in force at `now`, `None` where it is unknown. A cursor,
    /// because the trace is read forwards and divisions are dear.
    pub fn demanded(&mut self, demand: &Demand, now: SimTime) -> Option<f64> {
        while self.next_sample_at <= now && self.sample != demand.values.len() {
            self.sample = self.sample.wrapping_add(1);
            self.next_sample_at += demand.step;
        }
        let value = demand.values.get(self.sample).copied().map(f64::from);
        value.filter(|value| value.is_finite())
    }

    /// As if no request had failed in the last minute.
    pub fn forget_failures(&mut self) {
        self.failed = 0.0;
    }

    /// The largest requirement of the stabilisation window.
    pub fn peak_required(&self) -> u32 {
        self.peak.max().unwrap_or(self.rule.min_replicas)
    }

    /// A minute's demand arrives, with what is repeated of the last minute's failures.
    pub fn offer(&mut self, demand: f64, retry_probability: f64) {
        self.offered = demand;
        if retry_probability > 0.0 && self.capacity > 0 {
            self.offered += retry_probability * self.failed;
            let mu = self.rule.rated_load_per_replica / RATED_UTILIZATION;
            let limit = f64::from(self.capacity) * self.available * mu;
            self.failed = (self.offered - limit).max(0.0);
        }
        self.window.copy_within(1.., 0);
        self.window[LOAD_WINDOW - 1] = self.offered;
        self.filled = (self.filled + 1).min(LOAD_WINDOW as u8);
    }

    /// The replicas that the recent load requires while a share is available.
    pub fn require(&mut self, minute: i64, stabilization: i64) {
        let filled = usize::from(self.filled);
        let mean = self.window[LOAD_WINDOW - filled..].iter().sum::<f64>() / filled as f64;
        self.required = required_replicas(mean / self.available, self.rule);
        self.peak
            .push(minute, self.required, minute - stabilization);
    }

    /// Compares the capacity with what the load requires.
    ///
    /// Replicas are taken away once a whole step has been idle for the stabilisation
    /// window, and half a step is left: without that margin every wobble of the load
    /// would be a need. Where no cell exists somebody else scales, exactly.
    fn pressure(&self, at: SimTime, scale_out_share: f64) -> Pressure {
        let peak = self.peak_required();
        let Some(cell) = self.open_cell(at) else {
            return Pressure::Resize(peak);
        };
        if self.required > self.capacity {
            return Pressure::Overload(cell);
        }
        let kept = scaled_in(self.capacity, peak, scale_out_share);
        if kept < self.capacity {
            return Pressure::Resize(kept);
        }
        Pressure::Fits
    }

    /// Books a minute of the replicas that nothing requires.
    fn book_idle(&mut self, at: SimTime) {
        if self.open_cell(at).is_some() {
            let running = self.capacity.max(self.staged);
            self.idle_replica_minutes += u64::from(running.saturating_sub(self.required));
        }
    }

    fn open_cell(&self, at: SimTime) -> Option<CellId> {
        self.cell
            .filter(|cell| cell.opens_at <= at && at < cell.closes_at)
            .map(|cell| cell.id)
    }

    /// Hours of replicas beyond what was required, summed.
    pub fn over_provision_hours(&self) -> f64 {
        self.idle_replica_minutes as f64 / 60.0
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
        let demand = Demand {
            service: 0,
            first: SimTime::ZERO,
            step: MINUTE,
            values: Vec::new(),
        };
        let mut load = LoadState::new(&demand, None, 1);
        load.rule.rated_load_per_replica = 8.0;
        load.capacity = 1;
        for _ in 0..200 {
            load.offer(15.0, 0.5);
        }
        // offered = 15 + 0.5 (offered - 10).
        assert!((load.offered - 20.0).abs() < 1e-9, "{}", load.offered);
    }
}
