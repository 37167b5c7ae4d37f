//! The control loop, one turn of it.
//!
//! ```text
//! telemetry -> observe -> (hourly: observation -> policy -> knobs) -> retrain if due
//!           -> forecast over the lead time -> threshold -> propose | hold | refresh | withdraw
//! ```
use prestage_lpt::NeedType;
use prestage_policy::Policy;
use prestage_telemetry::{Span, Timestamp};

use crate::controller::{Cell, CellView, Controller, Hours, odds, probability_of};
use crate::observation;
use crate::ports::{HostError, Ports, StageRequest, StageState, StageStatus};

/// Forecasts are refreshed and stages reconsidered this often.
pub const RECONCILE_EVERY: Span = Span(300_000_000);

/// A staged stage is taken back once the odds of its need have fallen to this share
/// of the threshold's, two log-odds below: hysteresis, or every wobble would cost a
/// review.
const WITHDRAW_RATIO: f64 = 0.135_335_283_236_612_7;
/// Commits after which a staged stage is revalidated. At the world's default
/// drift of 2 % a commit, one stage in four would break.
const REFRESH_DRIFT_COMMITS: u32 = 15;

/// One turn of the control loop.
///
/// Knobs are set when an hour has passed since they were last set, from the
/// policy's action on the observation of that moment; every call forecasts each
/// open cell and acts on the comparison with its threshold.
pub fn reconcile(
    controller: &mut Controller,
    ports: &mut dyn Ports,
    policy: &mut dyn Policy,
) -> Result<(), HostError> {
    let now = ports.now();
    sense(controller, ports, now);
    if controller.knobs_due(now) {
        observation::write(controller, ports, now);
        policy.act(&controller.observations, &mut controller.actions);
        controller.set_knobs(now);
    }
    let hours = Hours::of(&controller.calendar, now);
    for index in 0..controller.cells.len() {
        if controller.cells[index].spec.is_open(now) {
            act(controller, ports, Moment { now, hours }, index)?;
        }
    }
    Ok(())
}

impl Controller {
    /// The observation a policy would get now: what [`reconcile`] does first, for
    /// callers that fetch the action from elsewhere. Repeating it changes nothing.
    pub fn observe(&mut self, ports: &mut dyn Ports) -> &[f32] {
        let now = ports.now();
        sense(self, ports, now);
        observation::write(self, ports, now);
        &self.observations
    }
}

fn sense(controller: &mut Controller, ports: &mut dyn Ports, now: Timestamp) {
    ports.drain_outcomes(&mut controller.outcomes);
    controller.book_outcomes();
    let tail = ports.tail();
    for cell in &mut controller.cells {
        if cell.spec.is_open(now) {
            cell.observe(tail, now);
        }
    }
    controller.runners.read(tail);
}

/// The time of one turn, and whether it is working time.
#[derive(Clone, Copy)]
struct Moment {
    now: Timestamp,
    hours: Hours,
}

fn act(
    controller: &mut Controller,
    ports: &mut dyn Ports,
    Moment { now, hours }: Moment,
    index: usize,
) -> Result<(), HostError> {
    let cell = &mut controller.cells[index];
    retrain_if_due(cell, ports, now);
    let horizon = cell.horizon();
    let probability = cell.model.probability(now, horizon);
    let threshold = cell.threshold_odds(&controller.prices, hours);
    cell.view = CellView {
        probability,
        threshold: probability_of(threshold),
        horizon,
    };
    let odds = odds(probability);
    // Calibration is judged on hourly forecasts: five-minute ones say the same again.
    if now.0.rem_euclid(3_600_000_000) < RECONCILE_EVERY.0 {
        cell.health.forecast(now, horizon, probability);
    }
    match ports.stage(cell.spec.id) {
        None if odds >= threshold => ports.propose(&request(cell, now)),
        Some(stage) if stage.state == StageState::Ready && !stage.refreshing => {
            let falls_short = odds < WITHDRAW_RATIO * threshold;
            keep_or_change(cell, ports, now, Standing { stage, falls_short })
        }
        _ => Ok(()),
    }
}

/// A ready stage, and whether its need has become too improbable to keep it.
struct Standing {
    stage: StageStatus,
    falls_short: bool,
}

fn keep_or_change(
    cell: &Cell,
    ports: &mut dyn Ports,
    now: Timestamp,
    standing: Standing,
) -> Result<(), HostError> {
    let Standing { stage, falls_short } = standing;
    if falls_short {
        return ports.withdraw(cell.spec.id, now);
    }
    let wanted = request(cell, now);
    if stage.drift_commits >= REFRESH_DRIFT_COMMITS || wanted.magnitude > stage.magnitude {
        return ports.refresh(&wanted);
    }
    Ok(())
}

fn retrain_if_due(cell: &mut Cell, ports: &mut dyn Ports, now: Timestamp) {
    let due = cell
        .retrained_at
        .is_none_or(|last| now.0 - last.0 >= cell.knobs.retrain.0);
    if due {
        cell.model.retrain(now);
        cell.retrained_at = Some(now);
        ports.retrain(cell.spec.id);
    }
}

fn request(cell: &Cell, now: Timestamp) -> StageRequest {
    let CellView {
        probability,
        threshold,
        horizon,
    } = cell.view;
    // A load is covered for as long as the stage may wait, an event has no size.
    let cover = match cell.spec.need {
        NeedType::Scaling => Span(horizon.0.max(3_600_000_000)),
        _ => horizon,
    };
    StageRequest {
        cell: cell.spec.id,
        need: cell.spec.need,
        requested_at: now,
        ttl: cell.knobs.ttl,
        magnitude: cell.model.magnitude(now, cover, cell.knobs.quantile),
        probability,
        threshold,
        horizon,
        spread: cell.model.spread(horizon),
        knobs: cell.knobs,
    }
}
