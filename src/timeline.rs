//! One week of one run, as rows for the report: what each cell forecast, where its
//! threshold stood, when a stage was staged and when it was needed.
use prestage_controller::{CellId, Controller, PipelineHost, StageState};
use prestage_des::SimTime;
use prestage_envs::Moment;
use prestage_world::{CellTally, World};

use crate::run_folder::{Outcome, TimelineRow};

const EVERY: SimTime = SimTime::from_minutes(30);
const LENGTH: SimTime = SimTime::from_days(7);

/// Gathers rows while a run goes on.
pub struct Timeline {
    from: SimTime,
    next: SimTime,
    tallies: Vec<CellTally>,
    rows: Vec<TimelineRow>,
}

impl Timeline {
    /// The week that begins at `from`.
    pub fn new(from: SimTime) -> Self {
        Self {
            from,
            next: from,
            tallies: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Looks at a run between two turns of the control loop.
    pub fn watch(&mut self, moment: &Moment) {
        let now = moment.world.now();
        let Some(controller) = moment.controller else {
            return;
        };
        if now < self.next || now >= self.from + LENGTH {
            return;
        }
        self.next = now + EVERY;
        let n_cells = controller.n_cells();
        let first = self.tallies.is_empty();
        for index in 0..n_cells {
            let cell = CellId(index as u32);
            let tally = moment.world.tally(cell);
            let before = if first { tally } else { self.tallies[index] };
            if controller
                .spec(cell)
                .is_open(prestage_telemetry::Timestamp(now.as_micros()))
            {
                self.rows
                    .push(row(moment.world, controller, cell, (&before, &tally)));
            }
            match self.tallies.get_mut(index) {
                Some(slot) => *slot = tally,
                None => self.tallies.push(tally),
            }
        }
    }

    /// The rows, in time order.
    pub fn into_rows(self) -> Vec<TimelineRow> {
        self.rows
    }
}

fn row(
    world: &World,
    controller: &Controller,
    cell: CellId,
    (before, now): (&CellTally, &CellTally),
) -> TimelineRow {
    let spec = controller.spec(cell);
    let view = controller.view(cell);
    let stage = world.stage(cell);
    TimelineRow {
        epoch: world.now().as_micros() / 1_000_000,
        service: spec.service_name.clone(),
        need: spec.need.to_string(),
        probability: Some(view.probability),
        threshold: Some(view.threshold),
        staged: stage.is_some_and(|stage| stage.state == StageState::Ready),
        needed: now.needs > before.needs,
        outcome: outcome(before, now),
    }
}

/// What happened since the row before; of several things, the dearest.
fn outcome(before: &CellTally, now: &CellTally) -> Option<Outcome> {
    if now.misses > before.misses {
        Some(Outcome::Miss)
    } else if now.rolled_back > before.rolled_back {
        Some(Outcome::RolledBack)
    } else if now.hits > before.hits {
        Some(Outcome::Hit)
    } else if now.expired > before.expired {
        Some(Outcome::Expired)
    } else if now.withdrawn > before.withdrawn {
        Some(Outcome::Withdrawn)
    } else {
        None
    }
}
