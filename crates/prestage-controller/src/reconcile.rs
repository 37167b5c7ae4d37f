//! The control loop, one turn of it.
//!
//! ```text
//! telemetry -> observe -> (hourly, or on an alarm: observation -> policy -> knobs) -> retrain if due
//!           -> forecast over the lead time -> threshold -> propose | hold | refresh | withdraw
//! ```
//! In the arms that bring a rule of their own, it stands where the threshold is.
use prestage_lpt::NeedType;
use prestage_policy::Policy;
use prestage_telemetry::{Span, Timestamp};

use crate::controller::{Cell, CellView, Controller, Hours, Occasion, odds, probability_of};
use crate::observation;
use crate::ports::{HostError, Ports, Retraining, StageRequest, StageState, StageStatus};
use crate::rule::{Sight, StagingRule, Verdict};

/// Forecasts are refreshed and stages reconsidered this often.
pub const RECONCILE_EVERY: Span = Span(300_000_000);

/// Commits after which a staged stage is revalidated. At the world's default
/// drift of 2 % a commit, one stage in four would break.
pub const REFRESH_DRIFT_COMMITS: u32 = 15;

/// One turn of the control loop.
///
/// Knobs are set when an hour has passed, or an alarm was raised, since they were last set, from
/// the policy's action on the observation of that moment; alarms have it asked at most once in ten
/// minutes. Every call forecasts each open cell and acts on the comparison with its threshold.
pub fn reconcile(
    controller: &mut Controller,
    ports: &mut dyn Ports,
    policy: &mut dyn Policy,
) -> Result<(), HostError> {
    let now = ports.now();
    sense(controller, ports, now);
    if let Some(occasion) = controller.occasion(now) {
        observation::write(controller, ports, now);
        let (seen, actions) = (&controller.observations, &mut controller.actions);
        match occasion {
            Occasion::Turn => policy.act(seen, actions),
            Occasion::Interrupt => policy.interrupt(seen, actions),
        }
        controller.set_knobs(now, occasion);
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
            if let Some(rule) = &mut controller.rule {
                rule.observe(&cell.spec, tail, now);
            }
        }
    }
    controller.watch(tail, now);
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
    let Controller {
        cells,
        rule,
        prices,
        ..
    } = controller;
    let cell = &mut cells[index];
    retrain_if_due(cell, ports, now);
    let horizon = cell.horizon();
    let probability = cell.model.probability(now, horizon);
    let threshold = cell.threshold_odds(prices, hours);
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
    let verdict = match rule {
        None => Verdict::of_odds(odds, threshold),
        Some(rule) => rule.verdict(&cell.spec, &sight(cell, now)),
    };
    let decision = Decision {
        now,
        verdict,
        rule: rule.as_deref(),
    };
    match ports.stage(cell.spec.id) {
        None if verdict == Verdict::Stage => ports.propose(&request(cell, &decision)),
        Some(stage) if stage.state == StageState::Ready && !stage.refreshing => {
            keep_or_change(cell, ports, stage, &decision)
        }
        _ => Ok(()),
    }
}

/// What was decided about a cell, and by what but its forecast.
struct Decision<'a> {
    now: Timestamp,
    verdict: Verdict,
    rule: Option<&'a dyn StagingRule>,
}

fn sight(cell: &Cell, now: Timestamp) -> Sight<'_> {
    Sight {
        now,
        lead: cell.health.lead_p90(),
        horizon: cell.view.horizon,
        probability: cell.view.probability,
        quantile: cell.knobs.quantile,
        model: cell.model.as_ref(),
    }
}

fn keep_or_change(
    cell: &Cell,
    ports: &mut dyn Ports,
    stage: StageStatus,
    decision: &Decision,
) -> Result<(), HostError> {
    if decision.verdict == Verdict::Withdraw {
        return ports.withdraw(cell.spec.id, decision.now);
    }
    let wanted = request(cell, decision);
    if stage.drift_commits >= REFRESH_DRIFT_COMMITS || wanted.magnitude > stage.magnitude {
        return ports.refresh(&wanted);
    }
    Ok(())
}

fn retrain_if_due(cell: &mut Cell, ports: &mut dyn Ports, now: Timestamp) {
    let is_due = cell
        .retrained_at
        .is_none_or(|last| now.0 - last.0 >= cell.knobs.retrain.0);
    let because = match (is_due, cell.has_drifted()) {
        (true, _) => Retraining::Due,
        (false, true) => Retraining::Drift,
        (false, false) => return,
    };
    cell.model.retrain(now);
    cell.retrained_at = Some(now);
    cell.health.retrained(because);
    ports.retrain(cell.spec.id, because);
}

fn request(cell: &Cell, decision: &Decision) -> StageRequest {
    let CellView {
        probability,
        threshold,
        horizon,
    } = cell.view;
    let now = decision.now;
    // A load is covered for as long as the stage may wait, an event has no size.
    let cover = match cell.spec.need {
        NeedType::Scaling => Span(horizon.0.max(3_600_000_000)),
        _ => horizon,
    };
    let sight = Sight {
        horizon: cover,
        ..sight(cell, now)
    };
    let magnitude = match decision.rule {
        None => sight.magnitude_over(cover),
        Some(rule) => rule.magnitude(&cell.spec, &sight),
    };
    StageRequest {
        cell: cell.spec.id,
        need: cell.spec.need,
        requested_at: now,
        ttl: cell.knobs.ttl,
        magnitude,
        probability,
        threshold,
        horizon,
        spread: cell.model.spread(horizon),
        knobs: cell.knobs,
    }
}

#[cfg(test)]
mod tests;
