//! Drives a world without a controller: what it asks for is a pure function of a
//! seed, the time and the cell, so that two worlds in the same state are asked the
//! same, and a restored one needs nothing but itself.
use std::sync::Arc;

use prestage_controller::{
    CellId, Controller, KnobCenters, Options, PipelineHost, Retraining, StageRequest, StageState,
    baseline,
};
use prestage_des::{SimTime, Streams};
use prestage_telemetry::{Span, Timestamp};
use prestage_world::{Exogenous, LogRecord, Scenario, World, WorldOptions};

/// A scenario with `text` below the required keys.
pub fn scenario(text: &str) -> Scenario {
    let head = "format_version = 1\nname = \"t\"\nfamily = \"t\"\nabout = \"t\"\n";
    Scenario::parse("t.toml", &format!("{head}{text}"), &[]).unwrap()
}

/// A small world in which everything that can happen does.
pub fn eventful() -> Scenario {
    scenario(
        "days = 4\nhistory_days = 2\n\
         [services]\ncount = 2\n\
         [traffic]\nretry_probability = 0.5\nbursts_per_week = 14.0\n\
         [commits]\nflaky_probability = 0.2\n\
         [releases]\nmean_days = 0.3\nmin_commits = 1\n\
         [incidents]\nper_month = 30.0\ncapacity_loss = 0.3\nload_factor = 1.5\n\
         [telemetry]\ngaps_per_month = 20.0\ngap_hours = 2.0\n\
         [runners]\ncount = 2\npreempt_speculative = true\noutages_per_month = 20.0\n\
         [operation]\nchange_failure_probability = 0.3\ninduced_demand = 0.3\n\
         [[calendar.freezes]]\nday = 1\ndays = 1\n\
         [[calendar.holidays]]\nday = 2\ndays = 1\n",
    )
}

/// A world of a scenario at the beginning of its accounted time.
pub fn opened(scenario: &Scenario, seed: u64) -> World {
    let record = Arc::new(Exogenous::generate(scenario, seed));
    let arm = baseline("always").unwrap().arm(&KnobCenters::default());
    let options = WorldOptions {
        keep_log: true,
        ..WorldOptions::new(scenario, arm.on_demand, seed)
    };
    let mut controller = Controller::new(
        Options {
            cells: record.cells.clone(),
            prices: scenario.prices().clone(),
            calendar: record.calendar(),
        },
        &arm,
    );
    let mut world = World::new(record, options);
    world.warm_up(&mut controller);
    world
}

/// Runs a world until `to`, asking for stages as `seed` has it.
pub fn drive(world: &mut World, seed: u64, to: SimTime) {
    let step = SimTime::from_minutes(5);
    let mut outcomes = Vec::new();
    while world.now() < to {
        for cell in 0..world.record().cells.len() as u32 {
            ask(world, seed, CellId(cell));
        }
        world.drain_outcomes(&mut outcomes);
        world.advance((world.now().floor_to(step) + step).min(to));
    }
}

fn ask(world: &mut World, seed: u64, cell: CellId) {
    let minute = world.now().as_micros() as u64 / 60_000_000;
    let chance = Streams::new(seed)
        .at("script", u64::from(cell.0), minute)
        .unit();
    let now = Timestamp(world.now().as_micros());
    if !world.record().cells[cell.index()].is_open(now) {
        return;
    }
    let done = match world.stage(cell) {
        None if chance < 0.05 => world.propose(&request(world, cell, now)),
        Some(stage) if stage.state == StageState::Ready && !stage.refreshing => {
            if chance < 0.02 {
                world.withdraw(cell, now)
            } else if chance < 0.06 {
                world.refresh(&request(world, cell, now))
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    };
    done.expect("the script keeps the port's contract");
    if chance > 0.995 {
        world.retrain(cell, Retraining::Due);
    }
}

fn request(world: &World, cell: CellId, now: Timestamp) -> StageRequest {
    let knobs = KnobCenters::default()
        .of(prestage_controller::NeedType::Scaling)
        .at([0; 6]);
    StageRequest {
        cell,
        need: world.record().cells[cell.index()].need,
        requested_at: now,
        ttl: Span::from_hours(6),
        magnitude: 12,
        probability: 0.5,
        threshold: 0.5,
        horizon: Span::from_hours(1),
        spread: 0.1,
        knobs,
    }
}

/// Panics with the first record that differs: the rest follows from it.
#[track_caller]
pub fn check_same_log(first: &[LogRecord], second: &[LogRecord]) {
    if let Some(index) = first.iter().zip(second).position(|(a, b)| a != b) {
        panic!(
            "record {index} differs: {:?} and {:?}",
            first[index], second[index]
        );
    }
    assert_eq!(first.len(), second.len(), "one log ends before the other");
}
