//! No arm undercuts the bound: not the baselines, not policies and knobs at random, not
//! random calls at the ports, on random small worlds and on every family; and the plan
//! that the bound rests on pays exactly the bound where nothing but draws delays it.
//!
//! `PROPTEST_CASES=4000` makes the random worlds 1,000 instead of 64.
use std::sync::Arc;

use prestage_controller::{
    Arm, BASELINES, CellSpec, KnobCenters, Knobs, NeedType, OnDemand, PipelineHost, StageRequest,
    StageState, action_space, layout,
};
use prestage_des::{SimTime, Stream, Streams};
use prestage_policy::{Layout, MultiDiscrete, NeutralPolicy, Policy};
use prestage_telemetry::{Span, Timestamp};
use prestage_world::{Exogenous, Scenario, World, WorldOptions};
use proptest::prelude::*;

use super::events::PlannedStage;
use super::*;
use crate::episode::run_arm;

macro_rules! families {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../scenarios/", $name, ".toml")))),*]
    };
}

const FAMILIES: [(&str, &str); 18] = families![
    "calm-weekly",
    "holiday-and-return",
    "product-launch",
    "flash-burst",
    "incident-retry-storm",
    "correlated-burst",
    "slow-growth",
    "post-upgrade-drift",
    "release-freeze-and-thaw",
    "advisory-storm",
    "upstream-train",
    "test-explosion",
    "runner-outage",
    "telemetry-gap",
    "stationary",
    "poisson",
    "induced-demand",
    "demo",
];

fn setting(text: &str, overrides: &[String], seed: u64) -> Setting {
    let scenario = Scenario::parse("test.toml", text, overrides).unwrap();
    Setting {
        record: Arc::new(Exogenous::generate(&scenario, seed)),
        world: WorldOptions::new(&scenario, OnDemand::Template, seed),
        prices: scenario.prices().clone(),
    }
}

/// A family made small and shaken: everything that the derivation speaks of is drawn.
pub(super) fn random_setting(seed: u64) -> Setting {
    let mut draw = Streams::new(seed).open("world", 0);
    let (_, text) = FAMILIES[draw.uniform(0.0, FAMILIES.len() as f64) as usize];
    let mut overrides = Vec::new();
    let counts = [
        ("days", 2.0, 5.0),
        ("history_days", 1.0, 4.0),
        ("services.count", 1.0, 4.0),
        ("runners.count", 1.0, 5.0),
        ("operation.stabilization_minutes", 1.0, 240.0),
        ("operation.min_replicas", 1.0, 4.0),
    ];
    for (key, low, high) in counts {
        overrides.push(format!("{key}={}", draw.uniform(low, high) as u32));
    }
    let numbers = [
        ("operation.drift_per_commit", 0.0, 0.1),
        ("operation.scale_out_share", 0.0, 0.6),
        ("operation.off_hours_review_factor", 0.3, 4.0),
        ("operation.urgent_review_factor", 0.1, 2.0),
        ("operation.hand_written_minutes", 0.0, 60.0),
        ("operation.upkeep_minutes_per_hour", 0.0, 4.0),
        ("operation.off_hours_people_factor", 0.0, 2.0),
        ("operation.incident_people_factor", 0.2, 3.0),
        ("operation.review_backlog_factor", 0.0, 1.0),
        ("operation.change_failure_probability", 0.0, 0.5),
        ("incidents.per_month", 0.0, 20.0),
        ("incidents.capacity_loss", 0.0, 0.6),
        ("dials.calibration_drift", 0.0, 1.0),
        ("dials.shared_runners", 0.5, 3.0),
        ("dials.correlated_needs", 0.0, 0.6),
        ("dependencies.advisories_per_month", 0.0, 60.0),
        ("dependencies.per_batch", 1.0, 4.0),
        ("releases.mean_days", 0.3, 3.0),
        ("suite.growth_per_week", 0.0, 0.5),
        ("commits.per_week", 0.0, 200.0),
        ("prices.person_minute", 0.0, 4.0),
        ("prices.runner_minute", 0.0, 0.5),
        ("prices.instance_hour", 0.0, 3.0),
        ("prices.review_minutes", 0.0, 12.0),
    ];
    for (key, low, high) in numbers {
        overrides.push(format!("{key}={:?}", draw.uniform(low, high)));
    }
    if draw.bernoulli(0.3) {
        let retries = draw.uniform(0.0, 0.9);
        overrides.push(format!("traffic.retry_probability={retries:?}"));
    }
    overrides.push(format!(
        "runners.preempt_speculative={}",
        draw.bernoulli(0.3)
    ));
    if draw.bernoulli(0.3) {
        overrides.push("control.staffing=erlang-c".to_owned());
    }
    setting(text, &overrides, seed)
}

#[track_caller]
fn check(setting: &Setting, bound: &Bound, arm: &str, costs: &[CostTerms]) {
    let name = &setting.record.name;
    for (cell, cost) in bound.cells.iter().zip(costs) {
        let (least, paid) = (cell.cost.total(), cost.total());
        let need = setting.record.cells[cell.cell.index()].need;
        assert!(
            least <= paid + 1e-9 * (1.0 + paid),
            "`{name}`: {arm} pays {paid} in {need} cell {}, less than {least}: {cost:?} and {:?}",
            cell.cell.0,
            cell.cost
        );
    }
    assert_eq!(bound.cells.len(), costs.len());
}

fn cost_of(setting: &Setting, arm: &Arm, policy: &mut dyn Policy) -> Vec<CostTerms> {
    let episode = run_arm(setting, arm, policy);
    episode.cells.iter().map(|cell| cell.cost).collect()
}

fn neutral() -> NeutralPolicy {
    NeutralPolicy::new(layout(), action_space())
}

/// Turns every knob at random, every hour.
pub(super) struct AtRandom {
    layout: Layout,
    action: MultiDiscrete,
    draw: Stream,
}

impl AtRandom {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            layout: layout(),
            action: action_space(),
            draw: Streams::new(seed).open("policy", 0),
        }
    }
}

impl Policy for AtRandom {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn action(&self) -> &MultiDiscrete {
        &self.action
    }

    fn act(&mut self, _observations: &[f32], actions: &mut [u8]) {
        for action in actions {
            *action = self.draw.uniform(0.0, 7.0) as u8;
        }
    }
}

pub(super) fn random_centers(draw: &mut Stream) -> KnobCenters {
    let mut centers = KnobCenters::default();
    for need in NeedType::ALL {
        let center = centers.of_mut(need);
        center.threshold_log_odds = draw.uniform(-4.0, 4.0);
        center.quantile_rung = draw.uniform(0.0, 8.0) as u8;
        center.horizon_leads = draw.uniform(0.5, 4.0);
        center.ttl_h = draw.uniform(0.25, 72.0);
    }
    centers
}

/// Runs a world in which `decide` makes the calls of each turn.
pub(super) fn run_ports(
    setting: &Setting,
    mut decide: impl FnMut(&mut World, &CellSpec),
) -> (Vec<CostTerms>, World) {
    let arm = BASELINES[1].arm(&KnobCenters::default());
    let mut world = setting.world(&arm);
    world.warm_up(&mut setting.controller(&arm));
    while world.now() < setting.record.end {
        for cell in &setting.record.cells {
            if cell.is_open(Timestamp(world.now().as_micros())) {
                decide(&mut world, cell);
            }
        }
        world.advance(world.now() + SimTime::from_minutes(5));
    }
    world.close();
    let cells = setting.record.cells.iter();
    let costs = cells.map(|cell| setting.prices.cost(&world.usage(cell.id), cell.tier));
    (costs.collect(), world)
}

pub(super) fn request(world: &World, cell: &CellSpec, magnitude: u32) -> StageRequest {
    StageRequest {
        cell: cell.id,
        need: cell.need,
        requested_at: Timestamp(world.now().as_micros()),
        ttl: Span::from_hours(2000),
        magnitude,
        probability: 1.0,
        threshold: 0.0,
        horizon: Span::from_hours(1),
        spread: 0.0,
        knobs: knobs(),
    }
}

fn knobs() -> Knobs {
    KnobCenters::default().of(NeedType::Scaling).at([0; 6])
}

/// Any calls that the ports allow.
fn random_calls(world: &mut World, cell: &CellSpec, draw: &mut Stream) {
    let (chance, size) = (draw.unit(), draw.uniform(0.0, 60.0) as u32);
    let stage = world.stage(cell.id);
    let wanted = request(world, cell, size);
    match stage.map(|stage| (stage.state, stage.refreshing)) {
        None if chance < 0.2 => world.propose(&wanted).unwrap(),
        Some((StageState::Ready, false)) if chance < 0.02 => world.refresh(&wanted).unwrap(),
        Some((StageState::Ready, _)) if (0.02..0.04).contains(&chance) => {
            world.withdraw(cell.id, wanted.requested_at).unwrap();
        }
        _ => {}
    }
}

fn check_all_arms(setting: &Setting, seed: u64) {
    let bound = clairvoyant(setting);
    for baseline in BASELINES {
        let arm = baseline.arm(&KnobCenters::default());
        let costs = cost_of(setting, &arm, &mut neutral());
        check(setting, &bound, baseline.name, &costs);
    }
    let mut draw = Streams::new(seed).open("arms", 0);
    let arm = BASELINES[4].arm(&random_centers(&mut draw));
    let costs = cost_of(setting, &arm, &mut neutral());
    check(setting, &bound, "a random setting", &costs);
    let mut policy = AtRandom::new(seed);
    let costs = cost_of(setting, &arm, &mut policy);
    check(setting, &bound, "a random policy", &costs);
    let (costs, _) = run_ports(setting, |world, cell| random_calls(world, cell, &mut draw));
    check(setting, &bound, "random calls", &costs);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 0,
        cases: ProptestConfig::default().cases / 4,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_arm_undercuts_it_on_a_random_small_world(seed in any::<u64>()) {
        check_all_arms(&random_setting(seed), seed);
    }
}

#[test]
fn no_arm_undercuts_it_in_any_family() {
    for (name, text) in FAMILIES {
        let days = ["days=6", "history_days=7"].map(str::to_owned);
        let setting = setting(text, &days, 11);
        let bound = clairvoyant(&setting);
        assert!(bound.cost_usd() > 0.0, "`{name}` costs nothing");
        check_all_arms(&setting, 11);
    }
}

/// Nothing but draws delays a stage, and nothing but stages and waiting costs.
const UNDISTURBED: [&str; 10] = [
    "days=14",
    "history_days=7",
    "services.count=3",
    "dials.shared_runners=0.0",
    "operation.review_backlog_factor=0.0",
    "operation.drift_per_commit=0.0",
    "operation.upkeep_minutes_per_hour=0.0",
    "operation.change_failure_probability=0.0",
    "prices.instance_hour=0.0",
    "suite.growth_per_week=0.0",
];

/// When a plan asks for its stages, the last first; `None` where a world without queues
/// cannot follow it: a stage that is to serve several needs is ready before the last of
/// them, or a suite is left with what its need asks for itself.
fn times_to_ask(plan: &Plan, spec: &CellSpec, needs: &[EventNeed]) -> Option<Vec<SimTime>> {
    let is_late = |stage: &PlannedStage| {
        let ready = stage.offer.ready_for(needs[stage.first].at);
        stage.next == stage.first + 1 || needs[stage.next - 1].at <= ready
    };
    let buys_shards =
        spec.need != NeedType::TestSuite || plan.stages.iter().all(|stage| stage.ahead);
    let ahead = plan.stages.iter().rev().filter(|stage| stage.ahead);
    let times = ahead.map(|stage| stage.offer.asked_at).collect();
    (buys_shards && plan.stages.iter().all(is_late)).then_some(times)
}

#[test]
fn its_plan_pays_exactly_the_bound_where_only_draws_delay_stages() {
    let mut followed = 0;
    for (_, text) in FAMILIES
        .iter()
        .filter(|(name, _)| *name != "induced-demand")
    {
        let setting = setting(text, &UNDISTURBED.map(str::to_owned), 5);
        let full = FullTimes::of(&setting.record, &setting.world);
        let asked = |spec: &CellSpec| {
            let mut times = None;
            with_event_cell(&setting, (spec, &full), |cell| {
                let plan = cell.cheapest();
                times = times_to_ask(&plan, spec, cell.needs);
                plan
            });
            times
        };
        let mut due: Vec<_> = setting.record.cells.iter().map(asked).collect();
        let plans = due.clone();
        let (costs, _) = run_ports(&setting, |world, cell| {
            if let Some(times) = &mut due[cell.id.index()]
                && times.last().is_some_and(|&at| at <= world.now())
            {
                let wanted = request(world, cell, 10_000);
                world.propose(&wanted).unwrap();
                times.pop();
            }
        });
        let bound = clairvoyant(&setting);
        for (spec, plan) in setting.record.cells.iter().zip(plans) {
            if spec.need == NeedType::Scaling || plan.is_none() {
                continue;
            }
            followed += 1;
            let index = spec.id.index();
            let (least, paid) = (bound.cells[index].cost, costs[index]);
            let difference = (least.total() - paid.total()).abs();
            assert!(
                difference < 1e-6 * (1.0 + paid.total()),
                "`{}`, {} cell {index}: {paid:?} instead of {least:?}",
                setting.record.name,
                spec.need,
            );
        }
    }
    // 17 families, 3 services, 3 need types: 153 cells.
    assert!(followed > 100, "only {followed} plans could be followed");
}

#[test]
fn more_runners_never_raise_it() {
    for (name, text) in FAMILIES {
        let mut last = f64::INFINITY;
        for runners in [1, 2, 4, 16] {
            let overrides = [
                "days=5".to_owned(),
                "history_days=2".to_owned(),
                format!("runners.count={runners}"),
            ];
            let bound = clairvoyant(&setting(text, &overrides, 3)).cost_usd();
            assert!(
                bound <= last * (1.0 + 1e-12),
                "`{name}`: {runners} runners raise it from {last} to {bound}"
            );
            last = bound;
        }
    }
}

/// The dual at prices of so many dollars a runner minute in each hour.
fn dual(setting: &Setting, hourly: &[f64]) -> f64 {
    let full = FullTimes::of(&setting.record, &setting.world);
    let hour = SimTime::from_hours(1);
    let price = |(begin, end): (SimTime, SimTime)| -> f64 {
        let hours = hourly.iter().enumerate().map(|(index, usd)| {
            let from = setting.record.start + SimTime::from_hours(index as i64);
            let within = (end.min(from + hour) - begin.max(from)).as_minutes_f64();
            within.max(0.0) * usd
        });
        hours.sum()
    };
    let priced = |offer: &Offer| {
        let mut priced = *offer;
        priced.runner_usd += price(offer.on_runner_for(SimTime::MAX));
        priced
    };
    let cells = setting.record.cells.iter();
    let events = cells.filter(|cell| cell.need != NeedType::Scaling);
    let least = events.map(|spec| {
        let plan = with_event_cell(setting, (spec, &full), |cell| {
            let ahead: Vec<Offer> = cell.ahead.iter().map(priced).collect();
            let on_demand: Vec<Offer> = cell.on_demand.iter().map(priced).collect();
            EventCell {
                ahead: &ahead,
                on_demand: &on_demand,
                ..*cell
            }
            .cheapest()
        });
        plan.total()
    });
    let runners = f64::from(setting.world.runners);
    least.sum::<f64>() - hourly.iter().sum::<f64>() * 60.0 * runners
}

#[test]
fn no_prices_on_runners_raise_it_by_more_than_their_room() {
    for (name, text) in [FAMILIES[0], FAMILIES[5], FAMILIES[9]] {
        // A pool that builds never fill: each offer then has one time on a runner.
        let overrides = ["days=7", "history_days=2", "commits.per_week=0.0"];
        let mut overrides: Vec<String> = overrides.iter().map(|&key| key.to_owned()).collect();
        overrides.extend(["runners.count=1", "dials.correlated_needs=0.9"].map(str::to_owned));
        overrides.push("releases.min_commits=0".to_owned());
        let setting = setting(text, &overrides, 4);
        let bound = clairvoyant(&setting);
        let room = bound.runner_prices_room_usd;
        assert!(room < 0.2 * bound.cost_usd(), "`{name}`: {room}");
        let free = dual(&setting, &[]);
        let mut draw = Streams::new(4).open("prices", 0);
        for usd in [0.001, 0.01, 0.1, 1.0] {
            let mut drawn = || {
                if draw.bernoulli(0.1) {
                    draw.uniform(0.0, usd)
                } else {
                    0.0
                }
            };
            let hourly: Vec<f64> = (0..7 * 24).map(|_| drawn()).collect();
            let found = dual(&setting, &hourly);
            assert!(
                found <= free + room + 1e-9,
                "`{name}`: {found} over {free} + {room}"
            );
        }
    }
}

#[test]
fn a_setting_without_needs_costs_nothing() {
    let setting = setting(FAMILIES[0].1, &["days=1".to_owned()], 1);
    let record = Exogenous {
        releases: Vec::new(),
        dependency_needs: Vec::new(),
        suite_runs: Vec::new(),
        demands: Vec::new(),
        ..(*setting.record).clone()
    };
    let quiet = Setting {
        record: Arc::new(record),
        ..setting
    };
    let bound = clairvoyant(&quiet);
    assert_eq!(bound.cost_usd(), 0.0);
}
