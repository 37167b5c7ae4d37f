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

use prestage_controller::{
    Calendar, CellId, Circumstances, Controller, NeedType, OnDemand, Outcome, RequiredReplicas,
    Usage,
};
use prestage_des::{EventQueue, PreemptiveResource, SimTime, Streams};
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail};
use serde::{Deserialize, Serialize};

use crate::circumstances::Gaps;
use crate::delivery::Deliveries;
use crate::event_log::{EventLog, LogKind, LogRecord};
use crate::exogenous::Exogenous;
use crate::ledger::CellTally;
use crate::load::LoadState;
use crate::pool::{self, End, Job, class};
use crate::scenario::{CommitsSpec, OperationSpec, Scenario, StagesSpec};
use crate::stage::{Stage, StageEvent, StageId};
use crate::suites::SUITE_WINDOW;
use crate::workloads::timestamp;

pub(crate) const MINUTE: SimTime = SimTime::from_minutes(1);
const DAY: SimTime = SimTime::from_days(1);
/// Gauges of the runner pool are sampled this often, minutes.
const GAUGE_EVERY: i64 = 5;
/// Telemetry older than this is dropped; readers must come at least so often.
const TAIL_KEEPS: Span = Span(6 * 3_600_000_000);

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
    cursors: Cursors,
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

const LISTS: [List; 8] = [
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
struct Cursors {
    lists: [usize; LISTS.len()],
    history: SimTime,
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
    /// Boxed, because the sweep takes it out and puts it back every minute.
    pub load: Option<Box<LoadState>>,
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
            services: services(&record, &options),
            stages: Vec::new(),
            tail: Tail::new(record.services.len(), Span::MAX),
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
        self.runners.check_conservation(self.now);
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
    fn sample(&mut self, service: u32, metric: Metric, at: SimTime, value: f64) {
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
        self.runners = pool::runners(&self.options, self.now);
        for index in 0..self.services.len() {
            self.fit_shards(index as u32);
        }
        for cell in &mut self.cells {
            cell.accrued_at = self.now;
        }
        self.enter_circumstances();
        for list in LISTS {
            self.schedule_next(list);
        }
    }

    /// The first entry of a list that has not happened.
    pub(crate) fn cursor(&self, list: List) -> usize {
        self.cursors.lists[list as usize]
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
            List::Incidents => record.incidents.get(index).map(|incident| incident.at),
            List::Outages => record.outages.get(index).map(|outage| outage.at),
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
            self.gauge_levels();
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
            incidents: [0; 2],
            deliveries: Deliveries::default(),
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
        let rule = RequiredReplicas {
            rated_load_per_replica: rated,
            min_replicas: options.operation.min_replicas,
        };
        state.load = Some(Box::new(LoadState::new(index, demand, rule)));
    }
    services
}

/// What stands in a snapshot for the record that it leaves out.
fn no_record() -> Arc<Exogenous> {
    let never = SimTime::ZERO;
    Arc::new(Exogenous::empty(String::new(), never, never, never))
}
