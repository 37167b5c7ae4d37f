//! The penalised bound: foresight has to be paid for, at its fair price.
//!
//! C knows when every need arises, asks for its stage just in time and never holds one.
//! An information relaxation (Brown, Smith and Sun 2010) lets it know, and charges a penalty
//! z that is zero on average for everybody who does not know: for every arm,
//!
//! ```text
//! E[cost] = E[cost + z] >= E[min over plans of (cost + z)]       as E[z] = 0 for the arm.
//! ```
//! So the right side, a mean over records and draws, is a lower bound of mean costs. It is
//! no bound of a single trace, and a maximum with C trace by trace would not be one either.
//!
//! **What is not known.** Let G(t) hold everything (all other streams, every draw of stage
//! times, commits, the law) but two things: due dates of releases after t, and for the n-th
//! need whether its stage has gone stale, before that need. All that an arm knows at t is in
//! G(t). N counts the releases that surprise, Lambda is its compensator (arrivals.rs), and
//! N - Lambda is a martingale of G. Staleness is a uniform draw of its own, so the chance
//! that a stage with d commits since its validation has gone stale is exactly
//! b(d) = 1 - (1 - drift_per_commit)^d.
//!
//! **The penalty.** With x what the cell has at t, and n the next need,
//!
//! ```text
//! dz = w J(t, x) (dLambda - dN)        at all times
//!    + w (b(d) - [stale]) S(t)         at a need that finds a ready stage
//!
//! J  nothing there           what the n-th need would wait for a stage on demand
//!    under way, ready at r   what it would wait until r
//!    ready                   b(d) S(t)
//!    a need waits            0
//! S  a revert, a stage on demand, and the wait for it
//! ```
//! J is what a need costs at once, the jump of any value function of the kind "what the cell
//! has, and the chance of a need" but for the value of what it has afterwards, which differs
//! little. It is fixed at the begin of each stretch between two turns, commits and needs,
//! so it is predictable, and both lines are integrals against martingales: E[z] = 0 exactly,
//! whatever arm decides x, and for every weight w. At w = 1 misses cost nothing when they
//! happen; being without a stage costs what misses cost on average.
//!
//! **Where it holds.** Cells of releases whose law has a closed form, in worlds in which no
//! stage waits for a runner or a reviewer, for arms that act through
//! [`reconcile`](prestage_controller::reconcile) (a stage is refreshed after
//! [`REFRESH_DRIFT_COMMITS`], not before) and write stages on demand from the template. There the problem of the cell has no relaxation
//! left but knowledge and retraining, which is free here. All other cells keep C.
//!
//! The sum over cells is valid: the sum of their penalties has mean zero too.
use prestage_controller::{CellId, CellSpec, NeedType, OnDemand, REFRESH_DRIFT_COMMITS};
use prestage_des::SimTime;
use prestage_world::Scenario;

use super::arrivals::{Arrivals, commits_of};
use super::builds::FullTimes;
use super::staged::{Node, NodeKind, StagePrices, StagedCell};
use super::waiting::WaitingClock;
use super::{clairvoyant, needs_of, offers, staged};
use crate::episode::Setting;

/// Commits beyond the refresh that are told apart. It is done within half an hour, so no
/// arm that acts through `reconcile` sees as many.
const DRIFT_BEYOND_REFRESH: usize = 25;

/// The penalised lower bound of a setting. Its mean over seeds is a bound, its value in one
/// of them is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Penalized {
    /// Cells, by id.
    pub cells: Vec<PenalizedCell>,
}

/// The penalised bound of one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PenalizedCell {
    /// The cell.
    pub cell: CellId,
    /// US dollars; may be negative in a single setting.
    pub usd: f64,
    /// Does the cell pay for foresight? Else `usd` is the clairvoyant bound's.
    pub pays: bool,
}

impl Penalized {
    /// The bound of all costs in US dollars, summed in cell order.
    pub fn cost_usd(&self) -> f64 {
        self.cells.iter().map(|cell| cell.usd).sum()
    }
}

/// The penalised bound of the setting that its world's seed makes of the scenario.
pub fn penalized(setting: &Setting, scenario: &Scenario) -> Penalized {
    let unpenalized = clairvoyant(setting);
    let cells = setting.record.cells.iter().zip(&unpenalized.cells);
    let cell = |(spec, bound): (&CellSpec, &super::CellBound)| {
        let known = Known::of(setting, scenario, spec);
        let usd = known.as_ref().map(|known| known.staged(1.0).least());
        PenalizedCell {
            cell: spec.id,
            usd: usd.unwrap_or(bound.cost.total()),
            pays: usd.is_some(),
        }
    };
    Penalized {
        cells: cells.map(cell).collect(),
    }
}

/// What is known of a cell whose foresight can be priced.
struct Known {
    nodes: Vec<Node>,
    ahead: Vec<offers::Offer>,
    on_demand: Vec<staged::OnDemand>,
    staleness: Vec<f64>,
    commits: Vec<SimTime>,
    people: WaitingClock,
    arrivals: Arrivals,
    prices: StagePrices,
    drift_per_commit: f64,
}

impl Known {
    fn of(setting: &Setting, scenario: &Scenario, cell: &CellSpec) -> Option<Self> {
        let (record, world) = (&setting.record, &setting.world);
        if cell.need != NeedType::FeatureRelease || !is_without_queues(setting) {
            return None;
        }
        let service = cell.service.0;
        let arrivals = Arrivals::of_releases(scenario, record, world.seed, service)?;
        let full = FullTimes::of(record, world);
        let ahead = offers::ahead(setting, cell, &full);
        let commits = commits_of(record, service);
        let needs: Vec<SimTime> = needs_of(setting, cell).iter().map(|need| need.at).collect();
        let numbers = 0..=needs.len() as u64;
        let on_demand = numbers.map(|need| on_demand(setting, cell, need));
        let refresh = offers::cheapest_runner_usd(ahead.iter().copied());
        let upkeep = world.operation.upkeep_minutes_per_hour / 60.0;
        let prices = StagePrices {
            review: offers::review_usd(&setting.prices),
            revert: setting.prices.person_minute * setting.prices.revert_minutes,
            refresh,
            upkeep: upkeep * setting.prices.runner_minute,
        };
        Some(Self {
            nodes: nodes(&ahead, &commits, &needs, record.end),
            on_demand: on_demand.collect(),
            staleness: (0..needs.len() as u64)
                .map(|need| world.staleness(cell.id, need))
                .collect(),
            people: WaitingClock::new(record, cell, setting.prices.person_minute),
            drift_per_commit: world.operation.drift_per_commit,
            ahead,
            commits,
            arrivals,
            prices,
        })
    }

    fn staged(&self, weight: f64) -> StagedCell<'_> {
        let refresh_after = REFRESH_DRIFT_COMMITS as usize;
        StagedCell {
            nodes: &self.nodes,
            ahead: &self.ahead,
            on_demand: &self.on_demand,
            staleness: &self.staleness,
            commits: &self.commits,
            people: &self.people,
            arrivals: &self.arrivals,
            prices: self.prices,
            drift_per_commit: self.drift_per_commit,
            refresh_after,
            drift_most: refresh_after + DRIFT_BEYOND_REFRESH,
            weight,
        }
    }
}

/// Does nothing ever wait for a runner or a reviewer? Of a cell there are at once a stage
/// ahead, one on demand, a refresh and a training; of a commit a build and its repetition.
fn is_without_queues(setting: &Setting) -> bool {
    let (record, world) = (&setting.record, &setting.world);
    let jobs = 2 * record.commits.len() + 8 * record.cells.len();
    let trains_fast = world.operation.retrain_minutes < 60.0;
    world.operation.review_backlog_factor == 0.0
        && world.operation.induced_demand == 0.0
        && record.outages.is_empty()
        && world.runners as usize >= jobs
        && trains_fast
}

fn on_demand(setting: &Setting, cell: &CellSpec, need: u64) -> staged::OnDemand {
    let writing = setting.world.writing_time(cell, need, OnDemand::Template);
    let offer = offers::written_at(setting, cell, need, writing);
    staged::OnDemand {
        lead: offer.ready_for(SimTime::MAX),
        validated: offer.validated_at(),
        runner_usd: offer.runner_usd,
    }
}

fn nodes(
    ahead: &[offers::Offer],
    commits: &[SimTime],
    needs: &[SimTime],
    end: SimTime,
) -> Vec<Node> {
    let start = ahead[0].asked_at;
    let turns = ahead.iter().enumerate().map(|(turn, offer)| Node {
        at: offer.asked_at,
        kind: NodeKind::Turn(turn),
    });
    let within = commits.iter().filter(|&&at| start < at && at < end);
    let commits = within.map(|&at| Node {
        at,
        kind: NodeKind::Commit,
    });
    let needs = needs.iter().enumerate().map(|(need, &at)| Node {
        at,
        kind: NodeKind::Need(need),
    });
    let mut nodes: Vec<Node> = turns.chain(commits).chain(needs).collect();
    nodes.push(Node {
        at: end,
        kind: NodeKind::End,
    });
    nodes.sort_unstable();
    nodes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prestage_controller::{BASELINES, KnobCenters, action_space, layout};
    use prestage_des::{Stream, Streams};
    use prestage_policy::NeutralPolicy;
    use prestage_world::{Exogenous, WorldOptions};

    use super::*;
    use crate::clairvoyant::staged::Moves;
    use crate::clairvoyant::tests::{AtRandom, random_centers, request, run_ports};
    use crate::episode::run_arm;

    const CONTROLS: [(&str, &str); 2] = [
        ("poisson", include_str!("../../../scenarios/poisson.toml")),
        (
            "stationary",
            include_str!("../../../scenarios/stationary.toml"),
        ),
    ];

    fn control(text: &str, overrides: &[&str], seed: u64) -> (Scenario, Setting) {
        let overrides: Vec<String> = overrides.iter().map(|&key| key.to_owned()).collect();
        let scenario = Scenario::parse("t", text, &overrides).unwrap();
        let setting = Setting {
            record: Arc::new(Exogenous::generate(&scenario, seed)),
            world: WorldOptions::new(&scenario, OnDemand::Template, seed),
            prices: scenario.prices().clone(),
        };
        (scenario, setting)
    }

    /// Calls of a cell that were made, turn by turn.
    #[derive(Clone, Default)]
    struct Calls {
        proposed: Vec<SimTime>,
        withdrawn: Vec<SimTime>,
    }

    impl Calls {
        /// Makes calls at random; a stage is kept for hours.
        fn make(&mut self, world: &mut prestage_world::World, cell: &CellSpec, draw: &mut Stream) {
            use prestage_controller::{PipelineHost, StageState};
            let chance = draw.unit();
            let now = world.now();
            match world.stage(cell.id).map(|stage| stage.state) {
                None if chance < 0.02 => {
                    world.propose(&request(world, cell, 0)).unwrap();
                    self.proposed.push(now);
                }
                Some(StageState::Ready) if chance < 0.003 => {
                    let at = prestage_telemetry::Timestamp(now.as_micros());
                    world.withdraw(cell.id, at).unwrap();
                    self.withdrawn.push(now);
                }
                _ => {}
            }
        }

        fn moves(&self, at: SimTime) -> Moves {
            let propose = self.proposed.binary_search(&at).is_ok();
            let withdraw = self.withdrawn.binary_search(&at).is_ok();
            Moves {
                propose,
                wait: !propose,
                hold: !withdraw,
                refresh: false,
                withdraw,
            }
        }
    }

    /// The costs of a run with random calls in all cells, and the calls.
    fn random_run(setting: &Setting, seed: u64) -> (Vec<f64>, Vec<Calls>) {
        let mut draw = Streams::new(seed).open("calls", 0);
        let mut calls = vec![Calls::default(); setting.record.cells.len()];
        let (costs, _) = run_ports(setting, |world, cell| {
            if cell.need == NeedType::FeatureRelease {
                calls[cell.id.index()].make(world, cell, &mut draw);
            }
        });
        (costs.iter().map(|cost| cost.total()).collect(), calls)
    }

    #[test]
    fn without_a_penalty_it_pays_what_the_world_pays_for_the_same_calls() {
        let mut followed = 0;
        for (name, text) in CONTROLS {
            for seed in 0..4 {
                let dense = [
                    "days=14",
                    "releases.mean_days=0.4",
                    "commits.per_week=200.0",
                ];
                let (scenario, setting) = control(text, &dense, seed);
                let (costs, calls) = random_run(&setting, seed);
                for spec in &setting.record.cells {
                    let Some(known) = Known::of(&setting, &scenario, spec) else {
                        continue;
                    };
                    let index = spec.id.index();
                    let cell = StagedCell {
                        drift_most: 200,
                        ..known.staged(0.0)
                    };
                    let found = cell.least_with(&|at| calls[index].moves(at));
                    let paid = costs[index];
                    assert!(
                        (found - paid).abs() < 1e-6 * paid,
                        "`{name}`, seed {seed}, cell {index}: {found} instead of {paid}"
                    );
                    followed += calls[index].proposed.len();
                }
            }
        }
        assert!(followed > 300, "only {followed} stages");
    }

    /// Mean of these and its standard error.
    fn mean_and_error(values: &[f64]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>();
        (mean, (squares / (count - 1.0) / count).sqrt())
    }

    #[test]
    fn the_penalty_of_who_knows_nothing_is_zero_on_average() {
        for (name, text) in CONTROLS {
            let mut penalties = Vec::new();
            for seed in 0..60 {
                let (scenario, setting) = control(
                    text,
                    &["days=7", "history_days=7", "releases.mean_days=1.0"],
                    seed,
                );
                let (_, calls) = random_run(&setting, seed);
                for spec in &setting.record.cells {
                    let Some(known) = Known::of(&setting, &scenario, spec) else {
                        continue;
                    };
                    let of_calls = |weight| {
                        let cell = StagedCell {
                            drift_most: 200,
                            ..known.staged(weight)
                        };
                        cell.least_with(&|at| calls[spec.id.index()].moves(at))
                    };
                    penalties.push(of_calls(1.0) - of_calls(0.0));
                }
            }
            let (mean, error) = mean_and_error(&penalties);
            assert!(mean.abs() < 3.0 * error, "`{name}`: {mean} +- {error}");
            assert!(error > 0.0);
        }
    }

    /// Costs of the releases' cells in dollars: of a bound, and of arms.
    struct Costs {
        free: Vec<f64>,
        penalized: Vec<f64>,
        arms: Vec<Vec<f64>>,
    }

    fn costs_of(text: &str, seeds: u64) -> Costs {
        let mut costs = Costs {
            free: Vec::new(),
            penalized: Vec::new(),
            arms: vec![Vec::new(); 3],
        };
        for seed in 0..seeds {
            let (scenario, setting) = control(text, &["services.count=2"], seed);
            let releases = |usd: &dyn Fn(usize) -> f64| -> f64 {
                let cells = setting.record.cells.iter();
                let own = cells.filter(|cell| cell.need == NeedType::FeatureRelease);
                own.map(|cell| usd(cell.id.index())).sum()
            };
            let free = clairvoyant(&setting);
            let penalized = penalized(&setting, &scenario);
            costs
                .free
                .push(releases(&|cell| free.cells[cell].cost.total()));
            costs
                .penalized
                .push(releases(&|cell| penalized.cells[cell].usd));
            for (arm, costs) in costs.arms.iter_mut().enumerate() {
                let episode = run_one(&setting, arm, seed);
                costs.push(releases(&|cell| episode.cells[cell].cost.total()));
            }
        }
        costs
    }

    /// The static rule at its default knobs, the same at random knobs, a random policy.
    fn run_one(setting: &Setting, arm: usize, seed: u64) -> crate::Episode {
        let mut draw = Streams::new(seed).open("arms", 0);
        let centers = match arm {
            0 => KnobCenters::default(),
            _ => random_centers(&mut draw),
        };
        let baseline = BASELINES[4].arm(&centers);
        if arm == 2 {
            return run_arm(setting, &baseline, &mut AtRandom::new(seed));
        }
        let mut neutral = NeutralPolicy::new(layout(), action_space());
        run_arm(setting, &baseline, &mut neutral)
    }

    #[test]
    fn on_average_it_lies_between_the_clairvoyant_bound_and_every_arm() {
        for (name, text) in CONTROLS {
            let costs = costs_of(text, 8);
            let above = costs.penalized.iter().zip(&costs.free);
            let (mean, error) = mean_and_error(&above.map(|(a, b)| a - b).collect::<Vec<_>>());
            assert!(mean > 3.0 * error, "`{name}`: {mean} +- {error} above C");
            for (arm, paid) in costs.arms.iter().enumerate() {
                let more = paid.iter().zip(&costs.penalized);
                let (mean, error) = mean_and_error(&more.map(|(a, b)| a - b).collect::<Vec<_>>());
                assert!(
                    mean > -2.0 * error,
                    "`{name}`, arm {arm}: {mean} +- {error}"
                );
            }
        }
    }

    #[test]
    fn only_cells_whose_law_is_known_pay() {
        let (scenario, setting) = control(CONTROLS[0].1, &["days=3", "history_days=2"], 1);
        let found = penalized(&setting, &scenario);
        for (spec, cell) in setting.record.cells.iter().zip(&found.cells) {
            assert_eq!(cell.pays, spec.need == NeedType::FeatureRelease);
        }
        let busy = ["days=3", "history_days=2", "dials.shared_runners=1.0"];
        let (scenario, setting) = control(CONTROLS[0].1, &busy, 1);
        let found = penalized(&setting, &scenario);
        assert_eq!(found.cost_usd(), clairvoyant(&setting).cost_usd());
    }
}
