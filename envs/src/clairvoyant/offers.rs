//! The stages that a cell could ask for, each with the earliest time it can be ready
//! and the least it can cost: all draws are known, and nothing makes it wait but builds
//! that fill the pool.
use prestage_controller::{CellSpec, OnDemand, PriceBook, RECONCILE_EVERY};
use prestage_des::SimTime;
use prestage_telemetry::Timestamp;
use prestage_world::{StageCause, StageTimes};

use super::builds::FullTimes;
use crate::episode::Setting;

/// A stage that could be asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Offer {
    /// When it first stands in line for a runner.
    pub asked_at: SimTime,
    /// No runner takes it up sooner while no need waits for it.
    pub starts_at: SimTime,
    /// A need that waits for it has it taken up at once.
    hurries: bool,
    times: StageTimes,
    /// Dollars of its runner minutes.
    pub runner_usd: f64,
}

impl Offer {
    /// When it can be ready at the earliest if a need waits for it from `need_at` on:
    /// then it is taken up at once.
    pub fn ready_for(&self, need_at: SimTime) -> SimTime {
        self.taken_up_for(need_at) + self.times.total()
    }

    /// From when to when it then occupies a runner.
    pub fn on_runner_for(&self, need_at: SimTime) -> (SimTime, SimTime) {
        let begin = self.taken_up_for(need_at);
        (begin, begin + self.times.validate)
    }

    /// When it is validated if nothing delays it.
    pub fn validated_at(&self) -> SimTime {
        self.starts_at + self.times.validate
    }

    fn taken_up_for(&self, need_at: SimTime) -> SimTime {
        if !self.hurries {
            return self.starts_at;
        }
        self.starts_at.min(need_at.max(self.asked_at))
    }

    /// The same taken up at `at`, whoever waits for it.
    pub fn taken_up_at(self, at: SimTime) -> Self {
        assert!(at >= self.starts_at, "no runner takes it up that soon");
        Self {
            starts_at: at,
            hurries: false,
            ..self
        }
    }
}

/// Dollars of one review of a stage.
pub(super) fn review_usd(prices: &PriceBook) -> f64 {
    prices.person_minute * prices.review_minutes
}

/// Runner dollars of the cheapest of these stages, 0 if there is none.
pub(super) fn cheapest_runner_usd(offers: impl Iterator<Item = Offer>) -> f64 {
    let usd = offers.map(|offer| offer.runner_usd);
    usd.reduce(f64::min).unwrap_or(0.0)
}

/// What could be asked for ahead, at each turn of the control loop in which the cell is
/// open, oldest first.
pub(super) fn ahead(setting: &Setting, cell: &CellSpec, full: &FullTimes) -> Vec<Offer> {
    let record = &setting.record;
    let calendar = record.calendar();
    let mut offers = Vec::new();
    let mut at = record.start;
    while at < record.end {
        let now = Timestamp(at.as_micros());
        if cell.is_open(now) {
            let working = calendar.is_working(now);
            let cause = StageCause::Ahead { at, working };
            offers.push(Offer {
                starts_at: full.over(at),
                ..offer(setting, cell, at, cause)
            });
        }
        at += SimTime::from_micros(RECONCILE_EVERY.0);
    }
    offers
}

/// What the cell's `need`-th need asks for when it finds nothing, written by whoever is
/// faster, template or hand.
pub(super) fn on_demand(setting: &Setting, cell: &CellSpec, need: u64, at: SimTime) -> Offer {
    let writing = |who| setting.world.writing_time(cell, need, who);
    let written = writing(OnDemand::Template).min(writing(OnDemand::ByHand));
    written_at(setting, cell, need, at + written)
}

/// What the cell's `need`-th need asks for, written at `at`.
pub(super) fn written_at(setting: &Setting, cell: &CellSpec, need: u64, at: SimTime) -> Offer {
    offer(setting, cell, at, StageCause::Need(need))
}

fn offer(setting: &Setting, cell: &CellSpec, asked_at: SimTime, cause: StageCause) -> Offer {
    let times = setting.world.stage_times(cell, cause);
    Offer {
        asked_at,
        starts_at: asked_at,
        hurries: true,
        times,
        runner_usd: times.validate.as_minutes_f64() * setting.prices.runner_minute,
    }
}
