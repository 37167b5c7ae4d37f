//! The world itself: clock, event loop and the sweep of every minute.
//!
//! ```text
//! exogenous record --> event queue --> needs ---> lifecycle (stages, runner pool)
//!        |                                             |
//!        +---> sweep (load, replicas, gauges) --> telemetry tail --> controller
//! ```
//! Telemetry is swept once a minute outside the queue: an event per sample would
//! cost three times as much and order nothing.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use prestage_controller::{Calendar, CellId, Circumstances, NeedType, OnDemand, Outcome, Usage};
use prestage_des::{EventQueue, PreemptiveResource, SimTime, Streams};
use prestage_telemetry::{Metric, SeriesId, ServiceId, Tail};
use serde::{Deserialize, Serialize};

use crate::circumstances::Gaps;
use crate::delivery::Deliveries;
use crate::event_log::{EventLog, LogKind, LogRecord};
use crate::exogenous::Exogenous;
use crate::history;
use crate::ledger::CellTally;
use crate::load::LoadState;
use crate::pool::{self, End, Job, class};
use crate::scenario::{CommitsSpec, OperationSpec, Scenario, StagesSpec};
use crate::stage::{Stage, StageEvent, StageId};
use crate::suites::SUITE_WINDOW;
use crate::workloads::timestamp;

pub(crate) const MINUTE: SimTime = SimTime::from_minutes(1);
/// Gauges of the runner pool are sampled this often, minutes.
const GAUGE_EVERY: i64 = 5;

/// What a world is told once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorldOptions {
    /// How long stages take.
    pub stages: StagesSpec,
    /// Jobs that run at once.
    pub runners: u32,
    /// How the organisation works.
    pub operation: OperationSpec,
    /// Builds (the arrival of commits is in the record).
    pub commits: CommitsSpec,
    /// Speculative jobs give way to builds.
    pub preempt_speculative: bool,
    /// Probability that a failed request is repeated a minute later.
    pub retry_probability: f64,
    /// Share of the replicas that an incident of the record takes.
    pub capacity_loss: f64,
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
            runners: spec.dials.runners(&spec.runners),
            operation: spec.dials.operation(&spec.operation),
            commits: spec.commits.clone(),
            preempt_speculative: spec.runners.preempt_speculative,
            retry_probability: spec.traffic.retry_probability,
            capacity_loss: spec.incidents.capacity_loss,
            on_demand,
            seed,
            keep_log: false,
            keep_stage_events: false,
        }
    }
}

/// A running world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    #[serde(skip, default = "no_record")]
    pub(crate) record: Arc<Exogenous>,
    #[serde(skip)]
    calendar: Calendar,
    #[serde(skip)]
    gaps: Gaps,
    pub(crate) options: WorldOptions,
    pub(crate) streams: Streams,
    pub(crate) now: SimTime,
    pub(crate) queue: EventQueue<Event>,
    pub(crate) runners: PreemptiveResource<Job>,
    pub(crate) ends: BTreeMap<Job, End>,
    pub(crate) retrainings: u32,
    pub(crate) cells: Vec<CellState>,
    pub(crate) services: Vec<ServiceState>,
    /// In the order of the record's demands.
    pub(crate) loads: Vec<LoadState>,
    /// Cells with a need that waits.
    pub(crate) waiting: BTreeSet<CellId>,
    /// Minutes swept in the accounted time.
    pub(crate) sweeps: u64,
    pub(crate) stages: Vec<Stage>,
    pub(crate) tail: Tail,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) log: EventLog,
    pub(crate) stage_events: Vec<StageEvent>,
    pub(crate) frozen: bool,
    /// Reviews that people have open now.
    pub(crate) open_reviews: u32,
    /// Needs that induced demand has brought forward.
    pub(crate) brought_forward: BTreeSet<(List, usize)>,
    pub(crate) cursors: Cursors,
    builds: u32,
    closed: bool,
}

/// What the event queue holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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
    /// An incident is over.
    Restored { service: u32, cause: IncidentCause },
    /// The runner pool is whole again.
    OutageOver,
    /// A need comes early because its stage is there.
    Induced(List, usize),
}

/// Why a service is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum IncidentCause {
    /// It broke by itself.
    Itself,
    /// A deployment broke it.
    Change,
}

/// The lists of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum List {
    Commits,
    Releases,
    Upstream,
    Advisories,
    DependencyNeeds,
    SuiteRuns,
    Incidents,
    Outages,
}

pub(crate) const LISTS: [List; 8] = [
    List::Commits,
    List::Releases,
    List::Upstream,
    List::Advisories,
    List::DependencyNeeds,
    List::SuiteRuns,
    List::Incidents,
    List::Outages,
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cursors {
    pub lists: [usize; LISTS.len()],
    pub history: SimTime,
}

/// A cell as the world keeps it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServiceState {
    pub cells: [Option<CellId>; 4],
    pub commits: u32,
    /// Its place in `loads`, for a service with traffic.
    pub load: Option<usize>,
    pub shards: u32,
    pub first_shards: u32,
    pub recent_runs: VecDeque<f64>,
    /// Open incidents, by cause.
    pub incidents: [u32; 2],
    pub deliveries: Deliveries,
}

impl ServiceState {
    /// Has it a cell whose stages deploy?
    pub(crate) fn delivers(&self) -> bool {
        self.cells[1].is_some() || self.cells[2].is_some()
    }
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
            runners: pool::runners(&options, start),
            ends: BTreeMap::new(),
            retrainings: 0,
            cells: record.cells.iter().map(|_| CellState::default()).collect(),
            services: services(&record),
            loads: loads(&record, options.operation.min_replicas),
            waiting: BTreeSet::new(),
            sweeps: 0,
            stages: Vec::new(),
            tail: Tail::new(record.services.len(), history::TAIL_KEEPS),
            outcomes: Vec::new(),
            log,
            stage_events: Vec::new(),
            frozen: false,
            open_reviews: 0,
            brought_forward: BTreeSet::new(),
            calendar: record.calendar(),
            gaps: Gaps::of(&record),
            cursors: Cursors {
                lists: [0; LISTS.len()],
                history: start,
            },
            builds: 0,
            closed: false,
            record,
            options,
        }
    }

    /// The exogenous record it runs on.
    pub fn record(&self) -> &Arc<Exogenous> {
        &self.record
    }

    /// The present.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// The books of a cell up to now.
    pub fn tally(&self, cell: CellId) -> CellTally {
        let mut tally = self.cells[cell.index()].tally;
        if let Some(stage) = self.cells[cell.index()].predicted {
            tally.stood_ready(self.minutes_ready(stage), self.upkeep(cell));
        }
        if let Some(load) = self.load_index(cell) {
            tally.usage.over_provision_hours = self.loads[load].over_provision_hours();
        }
        tally
    }

    /// What a cell has used so far.
    pub fn usage(&self, cell: CellId) -> Usage {
        self.tally(cell).usage
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
        self.check_warm_replicas();
        for index in 0..self.cells.len() {
            let cell = CellId(index as u32);
            self.accrue(cell);
            if self.cells[index].predicted.is_some() {
                self.end_predicted(cell, prestage_controller::StageEnd::Withdrawn);
            }
            self.cells[index].tally.check_conservation(index as u32);
        }
        self.runners.check_conservation(self.now);
    }

    /// Panics unless every load knows what ready stages keep warm for it.
    fn check_warm_replicas(&self) {
        for (index, state) in self.cells.iter().enumerate() {
            let ready = state.predicted.map(|id| &self.stages[id.0 as usize]);
            let kept = ready.filter(|stage| stage.ready_at.is_some());
            if let Some(load) = self.load_index(CellId(index as u32)) {
                assert_eq!(
                    self.loads[load].staged,
                    kept.map_or(0, |stage| stage.magnitude),
                    "cell {index}: warm replicas are lost or doubled"
                );
            }
        }
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
        self.sample(service, metric, self.now, value);
    }

    /// A sample of a service, unless it falls into a gap of the telemetry.
    pub(crate) fn sample(&mut self, service: u32, metric: Metric, at: SimTime, value: f64) {
        if !self.gaps.cover(service, at) {
            let series = SeriesId::new(ServiceId(service), metric);
            self.tail.push(series, timestamp(at), value);
        }
    }

    /// Takes the record back that a snapshot leaves out.
    pub(crate) fn attach(&mut self, record: Arc<Exogenous>) {
        self.calendar = record.calendar();
        self.gaps = Gaps::of(&record);
        self.record = record;
    }

    /// Does anybody work now?
    pub(crate) fn is_working(&self) -> bool {
        self.calendar.is_working(timestamp(self.now))
    }

    /// People who wait for a cell's blocked pipeline from `since` on.
    pub(crate) fn people_waiting(&self, cell: CellId, since: SimTime) -> f64 {
        let spec = &self.record.cells[cell.index()];
        spec.people_waiting(Circumstances {
            working: self.calendar.is_working(timestamp(since)),
            incident: self.has_incident(spec.service.0),
        })
    }

    /// The first entry of a list that has not happened.
    pub(crate) fn cursor(&self, list: List) -> usize {
        self.cursors.lists[list as usize]
    }

    pub(crate) fn next_at(&self, list: List) -> Option<SimTime> {
        let index = self.cursors.lists[list as usize];
        let record = &self.record;
        match list {
            List::Commits => record.commits.get(index).map(|commit| commit.at),
            List::Releases => record.releases.get(index).map(|&(at, _)| at),
            List::Upstream => record.upstream.get(index).map(|&(at, _)| at),
            List::Advisories => record.advisories.get(index).map(|&(at, _)| at),
            List::DependencyNeeds => record.dependency_needs.get(index).map(|need| need.at),
            List::SuiteRuns => record.suite_runs.get(index).map(|run| run.at),
            List::Incidents => record.incidents.get(index).map(|incident| incident.at),
            List::Outages => record.outages.get(index).map(|outage| outage.at),
        }
    }

    pub(crate) fn schedule_next(&mut self, list: List) {
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
                if !self.brought_forward.contains(&(list, index)) {
                    self.happen(list, index);
                }
            }
            Event::JobDone(job) => self.job_done(job),
            Event::Written(stage) => self.validate(stage, class::URGENT),
            Event::Ready(stage) => self.ready(stage),
            Event::Expire(stage) => self.expire(stage),
            Event::Restored { service, cause } => self.restored(service, cause),
            Event::OutageOver => self.outage_over(),
            Event::Induced(list, index) => self.happen(list, index),
        }
    }

    /// An entry of the record becomes visible in the telemetry.
    pub(crate) fn observe(&mut self, list: List, index: usize, at: SimTime) {
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
            // Seen by their effects, and by `IncidentOpen` in the accounted time.
            List::Incidents | List::Outages => return,
        };
        if list == List::Commits {
            let service = &mut self.services[service as usize];
            service.commits += 1;
            service.deliveries.commit(at);
        }
        self.sample(service, metric, at, value);
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
            List::Incidents => self.incident(index),
            List::Outages => self.outage(index),
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
        self.gauge_freeze();
        self.accrue_waiting();
        self.sweeps += 1;
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
            self.gauge_levels();
        }
    }
}

fn services(record: &Exogenous) -> Vec<ServiceState> {
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
            incidents: [0; 2],
            deliveries: Deliveries::default(),
        })
        .collect();
    for cell in &record.cells {
        services[cell.service.index()].cells[prestage_controller::need_index(cell.need)] =
            Some(cell.id);
    }
    for (index, demand) in record.demands.iter().enumerate() {
        services[demand.service as usize].load = Some(index);
    }
    services
}

fn loads(record: &Exogenous, min_replicas: u32) -> Vec<LoadState> {
    let scaling = |service: u32| {
        let mut cells = record.cells.iter();
        cells.find(|cell| cell.service.0 == service && cell.need == NeedType::Scaling)
    };
    let demands = record.demands.iter();
    demands
        .map(|demand| LoadState::new(demand, scaling(demand.service), min_replicas))
        .collect()
}

/// What stands in a snapshot for the record that it leaves out.
fn no_record() -> Arc<Exogenous> {
    let never = SimTime::ZERO;
    Arc::new(Exogenous::empty(String::new(), never, never, never))
}
