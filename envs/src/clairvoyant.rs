//! C, the clairvoyant lower bound: what no arm can undercut, whatever it foresees.
//!
//! Works on the record, which arms share, and on the draws of the world's options, which
//! are addressed and therefore known. Each cell is relaxed to a problem of its own that
//! every run of every arm solves at no lower cost, and that problem is solved exactly:
//!
//! ```text
//! releases, updates   one stage at a time, none ready before its draws say   events.rs
//! test suites         the first need alone: shards are free                  events.rs
//! loads               replicas rise when a need is served                    scaling.rs
//! ```
//! Builds that fill the runner pool hold up what is asked for ahead (builds.rs). What the
//! relaxation leaves out only adds cost: all other queues for runners and reviewers, stages
//! that go stale or are never used, upkeep, warm replicas, retraining, deployments that
//! break. `docs/clairvoyant.md` has the argument term by term.
//!
//! Only this crate may see the future; nothing here is reachable from a controller.
mod arrivals;
mod builds;
mod events;
mod offers;
mod penalty;
mod runner_prices;
mod scaling;
mod staged;
#[cfg(test)]
mod tests;
mod waiting;

use prestage_controller::{CellId, CellSpec, CostTerms, NeedType};
use prestage_des::SimTime;
use prestage_telemetry::Timestamp;
use prestage_world::{first_suite_need, load_course};

use self::builds::FullTimes;
use self::events::{EventCell, EventNeed, Plan};
use self::offers::Offer;
pub use self::penalty::{Penalized, PenalizedCell, penalized};
use self::runner_prices::{Packing, most_at_once, spans_of};
use self::scaling::ScalingPrices;
use self::waiting::WaitingClock;
use crate::episode::Setting;

/// The lower bound of a whole setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// Cells, by id.
    pub cells: Vec<CellBound>,
    /// Most stages of the plans for releases, updates and suites that occupy a runner at
    /// once. While the pool has that many, putting a price on runners cannot raise the
    /// bound: these stages do not compete.
    pub runners_at_once: usize,
    /// No prices on runners raise the bound by more dollars than this (runner_prices.rs).
    pub runner_prices_room_usd: f64,
}

/// The lower bound of one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellBound {
    /// The cell.
    pub cell: CellId,
    /// US dollars. Their sum is the bound of the cell; a term alone is what the cheapest
    /// plan pays, and another plan may pay less of it.
    pub cost: CostTerms,
}

impl Bound {
    /// The bound of all costs in US dollars, summed in cell order.
    pub fn cost_usd(&self) -> f64 {
        self.cells.iter().map(|cell| cell.cost.total()).sum()
    }
}

/// A cost in US dollars that no arm undercuts in this setting, neither in total nor in
/// any cell, up to rounding of the sums (relative 1e-9).
///
/// It holds for every sequence of calls that a controller can make at the turns of
/// [`run_episode`](crate::run_episode), and for either way of writing stages on demand.
pub fn clairvoyant(setting: &Setting) -> Bound {
    let full = FullTimes::of(&setting.record, &setting.world);
    let mut shared = Shared {
        on_runner: Vec::new(),
        packing: Packing::new(fewest_runners(setting)),
    };
    let mut cells = Vec::new();
    for cell in &setting.record.cells {
        let cost = match cell.need {
            NeedType::Scaling => scaling_cell(setting, cell, &full),
            _ => event_cell(setting, cell, &full, &mut shared),
        };
        cells.push(CellBound {
            cell: cell.id,
            cost,
        });
    }
    Bound {
        cells,
        runners_at_once: most_at_once(&shared.on_runner),
        runner_prices_room_usd: shared.packing.room_usd(),
    }
}

/// What the plans of the cells together ask of the runners.
struct Shared {
    /// When their stages occupy one.
    on_runner: Vec<(SimTime, SimTime)>,
    packing: Packing,
}

/// Runners that are left in the worst outage of the record.
fn fewest_runners(setting: &Setting) -> usize {
    let outages = setting.record.outages.iter();
    let left = outages.map(|outage| setting.world.runners_in_outage(outage.share));
    left.fold(setting.world.runners, u32::min) as usize
}

fn scaling_cell(setting: &Setting, cell: &CellSpec, full: &FullTimes) -> CostTerms {
    let Some(course) = load_course(&setting.record, &setting.world, cell) else {
        return CostTerms::default();
    };
    let book = &setting.prices;
    let needs = course.minutes.len() as u64;
    let ahead = offers::ahead(setting, cell, full);
    let on_demand = (0..needs).map(|need| offers::on_demand(setting, cell, need, SimTime::ZERO));
    let runner_usd = offers::cheapest_runner_usd(ahead.into_iter().chain(on_demand));
    let prices = ScalingPrices {
        violation: book.slo_violation_minute[cell.tier.index()],
        stage: offers::review_usd(book) + runner_usd,
        idle: book.instance_hour / 60.0,
    };
    let share = setting.world.operation.scale_out_share;
    let cheapest = scaling::cheapest(&course, share, prices);
    let slo_violation = f64::from(cheapest.violations) * prices.violation;
    let stages = f64::from(cheapest.stages);
    let churn = stages * offers::review_usd(book);
    CostTerms {
        slo_violation,
        churn,
        runner: stages * runner_usd,
        over_provision: (cheapest.cost - slo_violation - stages * prices.stage).max(0.0),
        ..CostTerms::default()
    }
}

fn event_cell(
    setting: &Setting,
    cell: &CellSpec,
    full: &FullTimes,
    shared: &mut Shared,
) -> CostTerms {
    let may_move = setting.world.operation.induced_demand > 0.0 && cell.need != NeedType::TestSuite;
    let plan = with_event_cell(setting, (cell, full), |cell| {
        if may_move {
            return cell.cheapest_of_movable_needs();
        }
        let plan = cell.cheapest();
        shared.on_runner.extend(spans_of(cell, &plan));
        shared.packing.add(cell, &plan);
        plan
    });
    CostTerms {
        blocked: plan.blocked,
        exposure: plan.exposure,
        runner: plan.runner,
        churn: plan.reviews,
        ..CostTerms::default()
    }
}

/// Gathers what is known of a cell for `solve`.
fn with_event_cell(
    setting: &Setting,
    (cell, full): (&CellSpec, &FullTimes),
    solve: impl FnOnce(&EventCell) -> Plan,
) -> Plan {
    let needs = needs_of(setting, cell);
    let ahead = offers::ahead(setting, cell, full);
    let on_demand: Vec<Offer> = (0u64..)
        .zip(&needs)
        .map(|(index, need)| offers::on_demand(setting, cell, index, need.at))
        .collect();
    let people = WaitingClock::new(&setting.record, cell, setting.prices.person_minute);
    solve(&EventCell {
        needs: &needs,
        ahead: &ahead,
        on_demand: &on_demand,
        people: &people,
        review_usd: offers::review_usd(&setting.prices),
        end: setting.record.end,
    })
}

/// The needs of a cell that arise whatever is staged, oldest first.
fn needs_of(setting: &Setting, cell: &CellSpec) -> Vec<EventNeed> {
    let record = &setting.record;
    let loss = setting.prices.exploit[cell.tier.index()];
    let plain = |at| EventNeed {
        at,
        exposure_rate: 0.0,
    };
    let service = cell.service.0;
    let mut needs: Vec<EventNeed> = match cell.need {
        NeedType::Scaling => Vec::new(),
        NeedType::TestSuite => first_suite_need(record, cell)
            .into_iter()
            .map(plain)
            .collect(),
        NeedType::FeatureRelease => {
            let own = record.releases.iter().filter(|(_, of)| *of == service);
            own.map(|&(at, _)| plain(at)).collect()
        }
        NeedType::DependencyUpdate => {
            let own = record.dependency_needs.iter();
            own.filter(|need| need.service == service)
                .map(|need| EventNeed {
                    at: need.at,
                    exposure_rate: need.hazard_per_day / 1440.0 * loss,
                })
                .collect()
        }
    };
    needs.retain(|need| {
        let accounted = record.start <= need.at && need.at < record.end;
        accounted && cell.is_open(Timestamp(need.at.as_micros()))
    });
    needs
}
