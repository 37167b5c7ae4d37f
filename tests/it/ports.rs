//! The contract of the controller's host port, the same for every host: the
//! simulated world, a replayed history, a repository of pipelines.
use prestage::compare::setting;
use prestage::pipelines::{Decider, Pipelines};
use prestage::replaying::ReplayHost;
use prestage::scenarios;
use prestage_controller::{
    Arm, CellId, CellSpec, Clock, HostError, Knobs, NeedType, Outcome, PipelineHost, StageEnd,
    StageRequest, StageState, baseline,
};
use prestage_des::SimTime;
use prestage_envs::{EpisodeHost, Setting};
use prestage_lpt::{Action, NeedOrigin};
use prestage_telemetry::{Span, Timestamp};
use prestage_world::{ReplayOptions, Scenario, World, WorldOptions, from_history, to_history};

/// A host under test, with a clock that the test can move.
trait Bench {
    fn host(&mut self) -> &mut dyn PipelineHost;
    fn now(&self) -> Timestamp;
    fn advance(&mut self);
}

impl Bench for World {
    fn host(&mut self) -> &mut dyn PipelineHost {
        self
    }

    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn advance(&mut self) {
        World::advance(self, self.now() + SimTime::from_minutes(5));
    }
}

impl Bench for ReplayHost {
    fn host(&mut self) -> &mut dyn PipelineHost {
        self
    }

    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn advance(&mut self) {
        let to = self.world().now() + SimTime::from_minutes(5);
        EpisodeHost::advance(self, to).unwrap();
    }
}

/// A repository knows no time; the test brings it.
struct Timed {
    pipelines: Pipelines,
    now: Timestamp,
}

impl Bench for Timed {
    fn host(&mut self) -> &mut dyn PipelineHost {
        &mut self.pipelines
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn advance(&mut self) {
        self.now += Span::from_minutes(5);
    }
}

fn request(cell: &CellSpec, at: Timestamp) -> StageRequest {
    StageRequest {
        cell: cell.id,
        need: cell.need,
        requested_at: at,
        ttl: Span::from_hours(24),
        magnitude: 0,
        probability: 0.75,
        threshold: 0.5,
        horizon: Span::from_hours(2),
        spread: 0.0,
        knobs: Knobs {
            threshold_log_odds: 0.0,
            quantile: 0.9,
            horizon_leads: 1.5,
            half_life: Span::from_hours(6),
            ttl: Span::from_hours(24),
            retrain: Span::from_hours(24),
        },
    }
}

#[track_caller]
fn refused(result: Result<(), HostError>, cell: CellId) {
    match result {
        Err(HostError::Contract { cell: named, .. }) => assert_eq!(named, cell.0),
        other => panic!("a breach of contract was answered with {other:?}"),
    }
}

fn drained(bench: &mut dyn Bench) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    bench.host().drain_outcomes(&mut outcomes);
    outcomes
}

fn propose(bench: &mut dyn Bench, cell: &CellSpec) -> Result<(), HostError> {
    let request = request(cell, bench.now());
    bench.host().propose(&request)
}

fn withdraw(bench: &mut dyn Bench, cell: &CellSpec) -> Result<(), HostError> {
    let now = bench.now();
    bench.host().withdraw(cell.id, now)
}

/// Moves time until the cell's stage is ready, at most half a day.
#[track_caller]
fn until_ready(bench: &mut dyn Bench, cell: CellId) {
    for _ in 0..12 * 12 {
        let stage = bench.host().stage(cell);
        if stage.is_some_and(|stage| stage.state == StageState::Ready) {
            return;
        }
        bench.advance();
    }
    panic!("no stage became ready: {:?}", bench.host().stage(cell));
}

/// The contract. `cell` must have no need for a day, `other` is another cell.
fn check_host(bench: &mut dyn Bench, cell: &CellSpec, other: CellId) {
    assert_eq!(bench.host().stage(cell.id), None);
    refused(withdraw(bench, cell), cell.id);
    let nothing_to_refresh = request(cell, bench.now());
    refused(bench.host().refresh(&nothing_to_refresh), cell.id);
    drained(bench);

    let proposed_at = bench.now();
    propose(bench, cell).unwrap();
    let stage = bench.host().stage(cell.id).expect("it was proposed");
    assert_eq!(stage.requested_at, proposed_at);
    assert!(!stage.refreshing);
    assert_eq!(bench.host().stage(other), None, "a stage in another cell");
    refused(propose(bench, cell), cell.id);

    until_ready(bench, cell.id);
    refused(propose(bench, cell), cell.id);
    let outcomes = drained(bench);
    let ready = outcomes.iter().filter(|outcome| {
        matches!(outcome, Outcome::Ready { cell: of, predicted: true, .. } if *of == cell.id)
    });
    assert_eq!(ready.count(), 1, "{outcomes:?}");
    assert_eq!(drained(bench), [], "outcomes are told once");

    withdraw(bench, cell).unwrap();
    assert_eq!(bench.host().stage(cell.id), None);
    let outcomes = drained(bench);
    assert!(
        matches!(
            outcomes[..],
            [Outcome::Ended { cell: of, end: StageEnd::Withdrawn, idle, .. }]
                if of == cell.id && idle >= Span::ZERO
        ),
        "{outcomes:?}"
    );
    assert_eq!(drained(bench), [], "outcomes are told once");
    refused(withdraw(bench, cell), cell.id);

    bench.advance();
    propose(bench, cell).unwrap();
    assert!(
        bench.host().stage(cell.id).is_some(),
        "the cell is not free again"
    );
}

fn arm() -> Arm {
    baseline("reactive").unwrap().arm(&Default::default())
}

fn scenario() -> Scenario {
    let overrides = ["days=3", "history_days=6", "services.count=1"].map(str::to_owned);
    scenarios::load("demo", &overrides).unwrap()
}

/// A world with a release cell that needs nothing on its first day.
fn quiet() -> (Setting, CellSpec) {
    let scenario = scenario();
    let found = (0..1000)
        .map(|seed| setting(&scenario, seed))
        .find(|setting| {
            let (from, to) = (
                setting.record.start,
                setting.record.start + SimTime::from_days(1),
            );
            let releases = &setting.record.releases;
            // Without a dependency need its recorded history would have no such cell.
            !releases.is_empty()
                && !setting.record.dependency_needs.is_empty()
                && releases.iter().all(|&(at, _)| at < from || at > to)
        });
    let setting = found.expect("some seed has a quiet first day");
    let cell = release_cell(&setting);
    (setting, cell)
}

fn release_cell(setting: &Setting) -> CellSpec {
    let mut cells = setting.record.cells.iter();
    cells
        .rfind(|cell| cell.need == NeedType::FeatureRelease)
        .expect("there is a release cell")
        .clone()
}

fn other_than(cell: &CellSpec, setting: &Setting) -> CellId {
    // A dependency cell has no stage before anybody asks for one.
    let mut cells = setting.record.cells.iter();
    cells
        .find(|other| other.id != cell.id && other.need == NeedType::DependencyUpdate)
        .expect("there are other cells")
        .id
}

fn warmed_up(setting: &Setting) -> World {
    let mut world = setting.world(&arm());
    world.warm_up(&mut setting.controller(&arm()));
    world
}

fn decider() -> Decider {
    Decider {
        arm: "newsvendor".to_owned(),
        policy: String::new(),
    }
}

#[test]
fn the_simulated_world_keeps_the_contract() {
    let (setting, cell) = quiet();
    let other = other_than(&cell, &setting);
    check_host(&mut warmed_up(&setting), &cell, other);
}

#[test]
fn a_replayed_history_keeps_the_contract() {
    let (simulated, _) = quiet();
    let history = to_history(&simulated.record, "req/s");
    let organisation = scenarios::load("replay", &[]).unwrap();
    let (record, _) = from_history(&history, &organisation, ReplayOptions::default()).unwrap();
    let mut options = WorldOptions::new(&organisation, arm().on_demand, 1);
    options.keep_stage_events = true;
    let setting = Setting {
        record: record.into(),
        world: options,
        prices: organisation.prices().clone(),
    };
    let cell = release_cell(&setting);
    let other = other_than(&cell, &setting);
    let start = Timestamp(setting.record.start.as_micros());
    let pipelines = Pipelines::in_memory(&setting.record.cells, decider(), start).unwrap();
    let mut host = ReplayHost::new(warmed_up(&setting), pipelines);
    check_host(&mut host, &cell, other);
    check_repository(host.pipelines(), &cell);
}

#[test]
fn a_repository_of_pipelines_keeps_the_contract() {
    let (setting, cell) = quiet();
    let other = other_than(&cell, &setting);
    let folder = tempfile::tempdir().unwrap();
    let start = Timestamp(setting.record.start.as_micros());
    let path = folder.path().join("pipelines.git");
    let pipelines = Pipelines::open(&path, &setting.record.cells, decider(), start).unwrap();
    let mut timed = Timed {
        pipelines,
        now: start,
    };
    check_host(&mut timed, &cell, other);
    check_repository(&timed.pipelines, &cell);
}

/// What the contract test did is in the log, oldest last: two proposals around a
/// withdrawal, with their reasons.
fn check_repository(pipelines: &Pipelines, cell: &CellSpec) {
    let log = pipelines.repository().log().unwrap();
    let of_cell: Vec<_> = log
        .iter()
        .filter(|entry| entry.need == Some(cell.need))
        .collect();
    let actions: Vec<Action> = of_cell.iter().map(|entry| entry.action).collect();
    assert_eq!(actions, [Action::Propose, Action::Retire, Action::Propose]);
    assert_eq!(
        pipelines.stage_commits(),
        log.iter().filter(|entry| entry.stage.is_some()).count() as u64
    );
    for entry in [of_cell[0], of_cell[2]] {
        assert_eq!(entry.provenance.origin, Some(NeedOrigin::Predicted));
        assert_eq!(entry.provenance.probability, Some(0.75));
        assert_eq!(entry.provenance.threshold, Some(0.5));
        assert_eq!(entry.provenance.arm.as_deref(), Some("newsvendor"));
    }
}

#[test]
fn a_repository_that_an_interrupted_run_left_is_cleared_when_it_is_opened() {
    let (setting, cell) = quiet();
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("pipelines.git");
    let start = Timestamp(setting.record.start.as_micros());
    let open = |at| Pipelines::open(&path, &setting.record.cells, decider(), at).unwrap();
    open(start).propose(&request(&cell, start)).unwrap();
    let later = start + Span::from_hours(1);
    let again = open(later);
    assert_eq!(again.stage(cell.id), None);
    assert_eq!(again.stage_commits(), 0, "clearing is not this run's work");
    let newest = again.repository().log().unwrap().remove(0);
    assert_eq!(
        (newest.action.as_str(), newest.at),
        ("retire", later.seconds())
    );
    for service in again.repository().services() {
        assert_eq!(again.repository().stages(service).unwrap().count(), 0);
    }
}
