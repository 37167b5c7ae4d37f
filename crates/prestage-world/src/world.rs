//! The world itself: clock, event loop and the sweep of every minute.
//!
//! ```text
//! exogenous record --> event queue --> needs ---> lifecycle (stages, runner pool)
//!        |                                             |
//!        +---> sweep (load, replicas, gauges) --> telemetry tail --> controller
//! ```
//! Telemetry is swept once a minute outside the queue: an event per sample would
//! cost three times as much and order nothing.
use std::collections::VecDeque;
use std::sync::Arc;

use prestage_controller::{
    CellId, Controller, NeedType, OnDemand, Outcome, RequiredReplicas, Usage, required_replicas,
};
use prestage_des::{EventQueue, Resource, SimTime, Streams};
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail};

use crate::event_log::{EventLog, LogKind, LogRecord};
use crate::exogenous::{Exogenous, SuiteRun};
use crate::ledger::CellTally;
use crate::scenario::{CommitsSpec, OperationSpec, Scenario, StagesSpec};
use crate::stage::{Stage, StageEvent, StageId};
use crate::workloads::timestamp;

const MINUTE: SimTime = SimTime::from_minutes(1);
const DAY: SimTime = SimTime::from_days(1);
/// Gauges of the runner pool are sampled this often, minutes.
const GAUGE_EVERY: i64 = 5;
/// The autoscaler looks at the mean of so many minutes, as HPA's metrics window.
const LOAD_WINDOW: usize = 5;
/// Runs whose median decides whether a suite is over its budget.
const SUITE_WINDOW: usize = 3;
/// Telemetry older than this is dropped; readers must come at least so often.
const TAIL_KEEPS: Span = Span(6 * 3_600_000_000);

/// What a world is told once.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// How long stages take.
    pub stages: StagesSpec,
    /// Jobs that run at once.
    pub runners: u32,
    /// How the organisation works.
    pub operation: OperationSpec,
    /// Builds (the arrival of commits is in the record).
    pub commits: CommitsSpec,
    /// What a missed need waits for.
    pub on_demand: OnDemand,
    /// Of the endogenous draws.
    pub seed: u64,
    /// Keep every log record, not only the digest.
    pub keep_log: bool,
    /// Keep stage events for a pipelines repository to follow.
    pub keep_stage_events: bool,
}

impl WorldOptions {
    /// The endogenous half of a scenario.
    pub fn new(scenario: &Scenario, on_demand: OnDemand, seed: u64) -> Self {
        let spec = scenario.spec();
        Self {
            stages: spec.stages.clone(),
            runners: spec.runners.count,
            operation: spec.operation.clone(),
            commits: spec.commits.clone(),
            on_demand,
            seed,
            keep_log: false,
            keep_stage_events: false,
        }
    }
}

/// A running world.
pub struct World {
    pub(crate) record: Arc<Exogenous>,
    pub(crate) options: WorldOptions,
    pub(crate) streams: Streams,
    pub(crate) now: SimTime,
    pub(crate) queue: EventQueue<Event>,
    pub(crate) runners: Resource<Job>,
    pub(crate) cells: Vec<CellState>,
    pub(crate) services: Vec<ServiceState>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) tail: Tail,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) log: EventLog,
    pub(crate) stage_events: Vec<StageEvent>,
    cursors: Cursors,
    builds: u32,
    closed: bool,
}

/// What the event queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The next entry of one of the record's lists.
    Exogenous(List),
    /// A runner finished.
    JobDone(Job),
    /// A person finished writing a stage.
    Written(StageId),
    /// Review and provisioning are over.
    Ready(StageId),
    /// A time to live ran out.
    Expire(StageId),
}

/// The lists of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Commits,
    Releases,
    Upstream,
    Advisories,
    DependencyNeeds,
    SuiteRuns,
}

const LISTS: [List; 6] = [
    List::Commits,
    List::Releases,
    List::Upstream,
    List::Advisories,
    List::DependencyNeeds,
    List::SuiteRuns,
];

/// What occupies a runner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Job {
    Build(u32),
    Validate(StageId),
    Refresh(StageId),
    Retrain(CellId),
}

/// Priority classes of the runner pool.
pub(crate) mod class {
    /// A pipeline waits for it.
    pub const URGENT: u8 = 0;
    /// Ordinary builds.
    pub const BUILD: u8 = 1;
    /// Ahead of a need, or retraining.
    pub const SPECULATIVE: u8 = 2;
}

#[derive(Clone, Debug)]
struct Cursors {
    lists: [usize; 6],
    history: SimTime,
}

/// A cell as the world keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CellState {
    pub predicted: Option<StageId>,
    pub requested: Option<StageId>,
    /// Daily hazards of the needs that wait.
    pub waiting: Vec<f64>,
    pub accrued_at: SimTime,
    pub proposals: u64,
    pub tally: CellTally,
}

/// A service as the world keeps it.
#[derive(Clone, Debug)]
pub(crate) struct ServiceState {
    pub cells: [Option<CellId>; 4],
    pub commits: u32,
    pub load: Option<LoadState>,
    pub shards: u32,
    pub first_shards: u32,
    pub recent_runs: VecDeque<f64>,
}

/// Load and capacity of a service with traffic.
#[derive(Clone, Debug)]
pub(crate) struct LoadState {
    demand: usize,
    rule: RequiredReplicas,
    window: VecDeque<f64>,
    pub capacity: u32,
    pub required: u32,
    /// Maxima of `required` over the stabilisation window, decreasing.
    peaks: VecDeque<(i64, u32)>,
}

impl World {
    /// A world at the beginning of its record's history.
    pub fn new(record: Arc<Exogenous>, options: WorldOptions) -> Self {
        let start = record.history_start;
        let log = if options.keep_log {
            EventLog::with_records()
        } else {
            EventLog::digest_only()
        };
        Self {
            streams: Streams::new(options.seed),
            now: start,
            queue: EventQueue::starting_at(start),
            runners: Resource::starting_at(start, options.runners as usize),
            cells: record.cells.iter().map(|_| CellState::default()).collect(),
            services: services(&record, &options),
            stages: Vec::new(),
            tail: Tail::new(record.services.len(), Span::MAX),
            outcomes: Vec::new(),
            log,
            stage_events: Vec::new(),
            cursors: Cursors {
                lists: [0; 6],
                history: start,
            },
            builds: 0,
            closed: false,
            record,
            options,
        }
    }

    /// Shows the controller the history, a day at a time, retraining its models
    /// every night, and stops where decisions begin.
    pub fn warm_up(&mut self, controller: &mut Controller) {
        assert_eq!(
            self.now, self.record.history_start,
            "a world is warmed up once, before it runs"
        );
        loop {
            let until = (self.now + DAY).min(self.record.start);
            self.replay_history(until);
            controller.warm_up(&self.tail, timestamp(until));
            controller.train_all(timestamp(until));
            if self.now >= self.record.start {
                break;
            }
        }
        self.open();
    }

    /// The exogenous record it runs on.
    pub fn record(&self) -> &Arc<Exogenous> {
        &self.record
    }

    /// The present.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// The books of a cell.
    pub fn tally(&self, cell: CellId) -> &CellTally {
        &self.cells[cell.index()].tally
    }

    /// What a cell has used so far.
    pub fn usage(&self, cell: CellId) -> Usage {
        self.cells[cell.index()].tally.usage
    }

    /// What happened.
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Mean wait of builds for a runner, seconds.
    pub fn build_wait_s(&self) -> f64 {
        self.runners.waits(class::BUILD).mean_secs()
    }

    /// Builds started by commits.
    pub fn builds(&self) -> u32 {
        self.builds
    }

    /// Takes the stage events gathered since the last call.
    pub fn take_stage_events(&mut self) -> Vec<StageEvent> {
        std::mem::take(&mut self.stage_events)
    }

    /// Runs until `to`, at most to the end of the record.
    pub fn advance(&mut self, to: SimTime) {
        assert!(
            to >= self.now,
            "time would run backwards: {} to {to}",
            self.now
        );
        let to = to.min(self.record.end);
        loop {
            let sweep = self.now.floor_to(MINUTE) + MINUTE;
            let until = sweep.min(to);
            while let Some((at, event)) = self.queue.pop_until(until) {
                self.now = at;
                self.handle(event);
            }
            self.queue.advance_to(until);
            self.now = until;
            if until == sweep {
                self.sweep();
            }
            if until >= to {
                return;
            }
        }
    }

    /// Ends the run: takes back live stages and checks the books.
    pub fn close(&mut self) {
        assert!(!self.closed, "a world is closed once");
        self.closed = true;
        for index in 0..self.cells.len() {
            let cell = CellId(index as u32);
            self.accrue(cell);
            if self.cells[index].predicted.is_some() {
                self.end_predicted(cell, prestage_controller::StageEnd::Withdrawn);
            }
            self.cells[index].tally.check_conservation(index as u32);
        }
        self.runners.check_littles_law(self.now);
    }

    pub(crate) fn note(&mut self, kind: LogKind, cell: u32, value: u64) {
        self.log.push(LogRecord {
            at: self.now,
            kind,
            cell,
            value,
        });
    }

    pub(crate) fn series(&mut self, service: u32, metric: Metric, value: f64) {
        self.tail.push(
            SeriesId::new(ServiceId(service), metric),
            timestamp(self.now),
            value,
        );
    }

    /// Lets the history up to `until` appear in the telemetry, without consequences.
    fn replay_history(&mut self, until: SimTime) {
        for list in LISTS {
            while let Some(at) = self.next_at(list).filter(|&at| at < until) {
                self.now = at.max(self.record.history_start);
                self.observe(list, self.cursors.lists[list as usize], at);
                self.cursors.lists[list as usize] += 1;
            }
        }
        self.now = self.cursors.history;
        while self.now < until {
            self.sweep_load();
            self.now += MINUTE;
        }
        self.now = until;
        self.cursors.history = until;
    }

    /// The first minute of the accounted time.
    fn open(&mut self) {
        self.queue.advance_to(self.now);
        self.runners = Resource::starting_at(self.now, self.options.runners as usize);
        for index in 0..self.services.len() {
            self.fit_shards(index as u32);
        }
        for cell in &mut self.cells {
            cell.accrued_at = self.now;
        }
        for list in LISTS {
            self.schedule_next(list);
        }
    }

    fn next_at(&self, list: List) -> Option<SimTime> {
        let index = self.cursors.lists[list as usize];
        let record = &self.record;
        match list {
            List::Commits => record.commits.get(index).map(|commit| commit.at),
            List::Releases => record.releases.get(index).map(|&(at, _)| at),
            List::Upstream => record.upstream.get(index).map(|&(at, _)| at),
            List::Advisories => record.advisories.get(index).map(|&(at, _)| at),
            List::DependencyNeeds => record.dependency_needs.get(index).map(|need| need.at),
            List::SuiteRuns => record.suite_runs.get(index).map(|run| run.at),
        }
    }

    fn schedule_next(&mut self, list: List) {
        if let Some(at) = self.next_at(list).filter(|&at| at < self.record.end) {
            self.queue.schedule(at, Event::Exogenous(list));
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Exogenous(list) => {
                let index = self.cursors.lists[list as usize];
                self.cursors.lists[list as usize] += 1;
                self.schedule_next(list);
                self.happen(list, index);
            }
            Event::JobDone(job) => self.job_done(job),
            Event::Written(stage) => self.validate(stage, class::URGENT),
            Event::Ready(stage) => self.ready(stage),
            Event::Expire(stage) => self.expire(stage),
        }
    }

    /// An entry of the record becomes visible in the telemetry.
    fn observe(&mut self, list: List, index: usize, at: SimTime) {
        let record = Arc::clone(&self.record);
        let (service, metric, value) = match list {
            List::Commits => (record.commits[index].service, Metric::CommitsTotal, 1.0),
            List::Releases => (record.releases[index].1, Metric::ReleasesTotal, 1.0),
            List::Upstream => (record.upstream[index].1, Metric::UpstreamReleasesTotal, 1.0),
            List::Advisories => (record.advisories[index].1, Metric::AdvisoriesTotal, 1.0),
            List::DependencyNeeds => (
                record.dependency_needs[index].service,
                Metric::DependencyUpdatesTotal,
                1.0,
            ),
            List::SuiteRuns => {
                let run = record.suite_runs[index];
                self.remember_run(run);
                (run.service, Metric::TestSuiteSeconds, run.seconds)
            }
        };
        if list == List::Commits {
            self.services[service as usize].commits += 1;
        }
        self.tail.push(
            SeriesId::new(ServiceId(service), metric),
            timestamp(at),
            value,
        );
    }

    /// An entry of the record happens, with its consequences.
    fn happen(&mut self, list: List, index: usize) {
        self.observe(list, index, self.now);
        let record = Arc::clone(&self.record);
        match list {
            List::Commits => self.build(index as u32),
            List::Releases => self.need_of(record.releases[index].1, NeedType::FeatureRelease, 0.0),
            List::DependencyNeeds => {
                let need = record.dependency_needs[index];
                self.need_of(
                    need.service,
                    NeedType::DependencyUpdate,
                    need.hazard_per_day,
                );
            }
            List::SuiteRuns => self.check_suite(record.suite_runs[index].service),
            List::Upstream | List::Advisories => {}
        }
    }

    fn need_of(&mut self, service: u32, need: NeedType, hazard_per_day: f64) {
        let cell = self.services[service as usize].cells[prestage_controller::need_index(need)];
        if let Some(cell) = cell.filter(|&cell| self.is_open(cell)) {
            self.need(cell, hazard_per_day);
        }
    }

    pub(crate) fn is_open(&self, cell: CellId) -> bool {
        self.record.cells[cell.index()].is_open(timestamp(self.now))
    }

    fn build(&mut self, index: u32) {
        let service = self.record.commits[index as usize].service;
        self.builds += 1;
        self.note(LogKind::Build, service, u64::from(index));
        self.request_runner(Job::Build(index), class::BUILD);
    }

    fn sweep(&mut self) {
        self.sweep_load();
        for index in 0..self.cells.len() {
            if !self.cells[index].waiting.is_empty() {
                self.accrue(CellId(index as u32));
            }
            self.keep_up(index);
        }
        let minute = self.now.as_micros() / MINUTE.as_micros();
        if minute % GAUGE_EVERY == 0 {
            let at = timestamp(self.now);
            let utilization = self.runners.busy() as f64 / self.runners.servers() as f64;
            let queued = self.runners.queue_length() as f64;
            self.tail.push(
                SeriesId::global(Metric::RunnerUtilizationRatio),
                at,
                utilization,
            );
            self.tail
                .push(SeriesId::global(Metric::RunnerQueueLength), at, queued);
        }
        if minute % 1440 == 0 {
            self.tail.drop_before(timestamp(self.now) - TAIL_KEEPS);
        }
    }

    /// A ready stage is validated again and again while it waits.
    fn keep_up(&mut self, index: usize) {
        let cell = &mut self.cells[index];
        let Some(stage) = cell.predicted else { return };
        if self.stages[stage.0 as usize].ready_at.is_some() {
            cell.tally.staged_hours += 1.0 / 60.0;
            if self.record.cells[index].need != NeedType::Scaling {
                cell.tally.usage.runner_minutes +=
                    self.options.operation.upkeep_minutes_per_hour / 60.0;
            }
        }
    }

    fn sweep_load(&mut self) {
        let record = Arc::clone(&self.record);
        let minute = self.now.as_micros() / MINUTE.as_micros();
        for index in 0..self.services.len() {
            let Some(mut load) = self.services[index].load.take() else {
                continue;
            };
            let demand = &record.demands[load.demand];
            let value = demand.load(self.now);
            if value.is_finite() {
                if demand.is_sampled(self.now) {
                    self.series(index as u32, Metric::RequestsPerSecond, value);
                }
                load.require(
                    value,
                    minute,
                    i64::from(self.options.operation.stabilization_minutes),
                );
                self.serve_load(index, &mut load);
            }
            // `serve_load` may have changed the capacity through a need: it works on
            // the taken state, which goes back here.
            self.services[index].load = Some(load);
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

    fn remember_run(&mut self, run: SuiteRun) {
        let recent = &mut self.services[run.service as usize].recent_runs;
        if recent.len() == SUITE_WINDOW {
            recent.pop_front();
        }
        recent.push_back(run.seconds);
    }

    /// Median duration of the recent runs on one shard, seconds.
    pub(crate) fn suite_seconds(&self, service: u32) -> f64 {
        let mut recent: Vec<f64> = self.services[service as usize]
            .recent_runs
            .iter()
            .copied()
            .collect();
        recent.sort_by(f64::total_cmp);
        recent.get(recent.len() / 2).copied().unwrap_or(0.0)
    }

    /// Shards that hold the suite's budget with a tenth to spare.
    pub(crate) fn shards_wanted(&self, service: u32) -> u32 {
        let Some(cell) = self.services[service as usize].cells[3] else {
            return 1;
        };
        let budget = self.record.cells[cell.index()].suite_budget_s;
        (self.suite_seconds(service) * 1.1 / budget)
            .ceil()
            .clamp(1.0, 1e4) as u32
    }

    fn fit_shards(&mut self, service: u32) {
        let wanted = self
            .shards_wanted(service)
            .max(self.services[service as usize].shards);
        let state = &mut self.services[service as usize];
        state.shards = wanted;
        state.first_shards = wanted;
        if state.cells[3].is_some() {
            self.series(service, Metric::TestShards, f64::from(wanted));
        }
    }

    /// A run was reported: is the suite over its budget, or far below it?
    fn check_suite(&mut self, service: u32) {
        let Some(cell) =
            self.services[service as usize].cells[3].filter(|&cell| self.is_open(cell))
        else {
            return;
        };
        let budget = self.record.cells[cell.index()].suite_budget_s;
        let seconds = self.suite_seconds(service);
        let state = &self.services[service as usize];
        if state.recent_runs.len() < SUITE_WINDOW {
            return;
        }
        let shards = state.shards;
        if seconds > budget * f64::from(shards) {
            if self.cells[cell.index()].waiting.is_empty() {
                self.need(cell, 0.0);
            }
        } else if shards > state.first_shards && seconds < 0.6 * budget * f64::from(shards - 1) {
            self.reshard(service, shards - 1);
        }
    }

    pub(crate) fn reshard(&mut self, service: u32, shards: u32) {
        self.services[service as usize].shards = shards;
        self.series(service, Metric::TestShards, f64::from(shards));
        self.note(LogKind::Resized, service, u64::from(shards));
    }
}

impl LoadState {
    fn require(&mut self, load: f64, minute: i64, stabilization: i64) {
        if self.window.len() == LOAD_WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(load);
        let mean = self.window.iter().sum::<f64>() / self.window.len() as f64;
        self.required = required_replicas(mean, self.rule);
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

fn services(record: &Exogenous, options: &WorldOptions) -> Vec<ServiceState> {
    let mut services: Vec<ServiceState> = record
        .shards
        .iter()
        .map(|&shards| ServiceState {
            cells: [None; 4],
            commits: 0,
            load: None,
            shards,
            first_shards: shards,
            recent_runs: VecDeque::with_capacity(SUITE_WINDOW),
        })
        .collect();
    for cell in &record.cells {
        services[cell.service.index()].cells[prestage_controller::need_index(cell.need)] =
            Some(cell.id);
    }
    for (index, demand) in record.demands.iter().enumerate() {
        let state = &mut services[demand.service as usize];
        let rated = state.cells[0].map_or(1.0, |cell| {
            record.cells[cell.index()].rated_load_per_replica
        });
        state.load = Some(LoadState {
            demand: index,
            rule: RequiredReplicas {
                rated_load_per_replica: rated,
                min_replicas: options.operation.min_replicas,
            },
            window: VecDeque::with_capacity(LOAD_WINDOW),
            capacity: 0,
            required: options.operation.min_replicas,
            peaks: VecDeque::new(),
        });
    }
    services
}
