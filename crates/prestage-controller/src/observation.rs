//! What a policy sees of a cell: named, scale-free, clipped.
//!
//! Field order here is the order in the vector; the table and the writer are
//! checked against each other at every write. Changing any field raises
//! [`VERSION`].
use prestage_lpt::NeedType;
use prestage_policy::{Field, Layout};
use prestage_telemetry::Timestamp;
use prestage_telemetry::detect::ALARM_LEVEL;

use crate::cell::{Calendar, need_index};
use crate::controller::{Cell, Controller, Hours, RunnerPool, log_odds};
use crate::ports::{Ports, StageState, StageStatus};
use crate::prices::PriceBook;

const VERSION: u32 = 3;
const CLIP: f32 = 5.0;

const FIELDS: &[(&str, &str)] = &[
    (
        "need_log_odds_1x",
        "log-odds of a need within the lead time's P90, over 3",
    ),
    (
        "need_log_odds_2x",
        "log-odds of a need within twice that, over 3",
    ),
    (
        "threshold_margin",
        "log-odds of the need minus those of the threshold at its centre, over 3",
    ),
    (
        "forecast_spread",
        "standard deviation of the log forecast, times 5",
    ),
    (
        "retrain_age",
        "log of one plus hours since the model was retrained, over 3",
    ),
    (
        "calibration_day",
        "mean of forecast minus outcome over a day, times 5",
    ),
    (
        "calibration_week",
        "mean of forecast minus outcome over a week, times 5",
    ),
    (
        "error_cusum",
        "cumulative sum of forecast minus outcome, over 2",
    ),
    (
        "skill_persistence",
        "log of mean squared error over that of persistence",
    ),
    ("hits_week", "square root of forgotten hits over a week"),
    ("misses_week", "square root of forgotten misses over a week"),
    (
        "waste_week",
        "square root of forgotten wasted stages over a week",
    ),
    (
        "rollbacks_week",
        "square root of forgotten rollbacks over a week",
    ),
    (
        "idle_at_hit",
        "log of one plus mean idle hours of used stages, over 2",
    ),
    ("stage_state", "0 none, 0.5 preparing, 1 ready"),
    (
        "stage_ttl_used",
        "share of its time to live a ready stage has used",
    ),
    (
        "stage_drift",
        "log of one plus commits since a stage was validated, over 2",
    ),
    (
        "lead_drift",
        "log of the recent lead time over its baseline",
    ),
    (
        "demand_ratio",
        "log of the present demand over what is usual now",
    ),
    (
        "headroom",
        "log of what is available over what is required, times 2",
    ),
    (
        "open_signals",
        "log of one plus unanswered signals or commits in backlog, over 2",
    ),
    (
        "price_miss",
        "log of the present price of a miss over 50 dollars, over 2",
    ),
    (
        "price_waste",
        "log of the price of a wasted stage over 10 dollars, over 2",
    ),
    ("is_scaling", "1 for a scaling cell"),
    ("is_feature_release", "1 for a feature-release cell"),
    ("is_dependency_update", "1 for a dependency-update cell"),
    ("is_test_suite", "1 for a test-suite cell"),
    (
        "level_threshold",
        "present level of the threshold knob, over 3",
    ),
    (
        "level_quantile",
        "present level of the quantile knob, over 3",
    ),
    ("level_horizon", "present level of the horizon knob, over 3"),
    (
        "level_half_life",
        "present level of the half-life knob, over 3",
    ),
    (
        "level_ttl",
        "present level of the time-to-live knob, over 3",
    ),
    (
        "level_retrain",
        "present level of the retraining knob, over 3",
    ),
    (
        "anomaly_score",
        "how unusual the service's requests or errors are, 1 where an alarm is raised, fading by half an hour",
    ),
    ("hour_sine", "sine of the hour of the day"),
    ("hour_cosine", "cosine of the hour of the day"),
    ("week_sine", "sine of the hour of the week"),
    ("week_cosine", "cosine of the hour of the week"),
    ("is_working", "1 in working hours"),
    ("runner_utilization", "busy share of the runner pool"),
    (
        "runner_queue",
        "log of one plus jobs waiting for a runner, over 2",
    ),
    (
        "alarms",
        "log of one plus services whose requests or errors have an alarm, over 2",
    ),
    (
        "incident_open",
        "1 while an incident of the service is open",
    ),
    (
        "freeze_ahead",
        "1 / (1 + days until releases are frozen), 1 while they are",
    ),
    (
        "day_off_ahead",
        "1 / (1 + days until the next day off), 1 on one",
    ),
];

/// The layout of one cell's observation.
pub fn layout() -> Layout {
    let field = |&(name, about): &(&str, &str)| Field {
        name: name.to_owned(),
        about: about.to_owned(),
    };
    Layout {
        name: "prestage-cell".to_owned(),
        version: VERSION,
        clip: CLIP,
        fields: FIELDS.iter().map(field).collect(),
    }
}

/// Writes the observations of all cells. A cell that does not exist now reads as zeros.
pub(crate) fn write(controller: &mut Controller, ports: &dyn Ports, now: Timestamp) {
    let Controller {
        cells,
        prices,
        calendar,
        observations,
        runners,
        watch,
        ..
    } = controller;
    let view = View {
        prices,
        calendar,
        hours: Hours::of(calendar, now),
        alarms: watch.alarms(now),
        now,
    };
    let rows = observations.chunks_exact_mut(FIELDS.len());
    for (index, (cell, row)) in cells.iter_mut().zip(rows).enumerate() {
        let mut writer = Writer { row, next: 0 };
        if cell.spec.is_open(now) {
            cell.health.fade(now);
            write_cell(&mut writer, cell, ports.stage(cell.spec.id), view);
            writer.push(watch.score(index, now) / ALARM_LEVEL);
            write_global(&mut writer, runners, view);
            write_calendar(&mut writer, cell, view);
            assert_eq!(
                writer.next,
                FIELDS.len(),
                "the writer and the layout differ"
            );
        } else {
            row.fill(0.0);
        }
    }
}

/// What all cells share.
#[derive(Clone, Copy)]
struct View<'a> {
    prices: &'a PriceBook,
    calendar: &'a Calendar,
    hours: Hours,
    alarms: usize,
    now: Timestamp,
}

struct Writer<'a> {
    row: &'a mut [f32],
    next: usize,
}

impl Writer<'_> {
    fn push(&mut self, value: f64) {
        debug_assert!(value.is_finite(), "`{}` is {value}", FIELDS[self.next].0);
        let value = if value.is_finite() { value as f32 } else { 0.0 };
        self.row[self.next] = value.clamp(-CLIP, CLIP);
        self.next += 1;
    }
}

fn write_cell(out: &mut Writer, cell: &Cell, stage: Option<StageStatus>, view: View) {
    let View {
        prices, hours, now, ..
    } = view;
    let lead = cell.health.lead_p90();
    let once = log_odds(cell.model.probability(now, lead));
    let waste = cell.waste_usd(prices).max(1e-3);
    let miss = cell.miss_usd(prices, hours).max(1e-3);
    let center = (waste / miss).ln() + cell.center.threshold_log_odds.clamp(-12.0, 12.0);
    out.push(once / 3.0);
    out.push(log_odds(cell.model.probability(now, lead + lead)) / 3.0);
    out.push((once - center) / 3.0);
    out.push(cell.model.spread(lead) * 5.0);
    out.push(hours_since(cell.retrained_at, now).ln_1p() / 3.0);
    write_health(out, cell);
    write_stage(out, stage, now);
    out.push(cell.health.lead_drift());
    out.push(cell.model.demand_ratio());
    out.push(cell.model.headroom() * 2.0);
    out.push(cell.model.open_signals().ln_1p() / 2.0);
    out.push((miss / 50.0).ln() / 2.0);
    out.push((waste / 10.0).ln() / 2.0);
    for i in 0..NeedType::ALL.len() {
        out.push(if i == need_index(cell.spec.need) {
            1.0
        } else {
            0.0
        });
    }
    for level in cell.levels {
        out.push(f64::from(level) / 3.0);
    }
}

fn write_health(out: &mut Writer, cell: &Cell) {
    let health = &cell.health;
    out.push(health.calibration_day * 5.0);
    out.push(health.calibration_week * 5.0);
    out.push(health.cusum / 2.0);
    out.push(cell.model.skill());
    out.push(health.hits_week.sqrt());
    out.push(health.misses_week.sqrt());
    out.push(health.waste_week.sqrt());
    out.push(health.rollbacks_week.sqrt());
    out.push(health.idle_at_hit_h.ln_1p() / 2.0);
}

fn write_stage(out: &mut Writer, stage: Option<StageStatus>, now: Timestamp) {
    let state = match stage.map(|stage| stage.state) {
        None => 0.0,
        Some(StageState::Preparing) => 0.5,
        Some(StageState::Ready) => 1.0,
    };
    let used = stage.and_then(|stage| {
        let lived = (now.0 - stage.requested_at.0) as f64;
        stage
            .expires_at
            .map(|end| lived / (end.0 - stage.requested_at.0).max(1) as f64)
    });
    out.push(state);
    out.push(used.unwrap_or(0.0));
    out.push(f64::from(stage.map_or(0, |stage| stage.drift_commits)).ln_1p() / 2.0);
}

fn write_global(out: &mut Writer, runners: &RunnerPool, view: View) {
    let now = view.now;
    let day = std::f64::consts::TAU * (now.0 as f64 / 8.64e10).rem_euclid(1.0);
    let week = std::f64::consts::TAU * now.hour_of_week() as f64 / 168.0;
    out.push(day.sin());
    out.push(day.cos());
    out.push(week.sin());
    out.push(week.cos());
    out.push(if view.hours == Hours::Working {
        1.0
    } else {
        0.0
    });
    out.push(runners.utilization);
    out.push(runners.queue_length.ln_1p() / 2.0);
    out.push((view.alarms as f64).ln_1p() / 2.0);
}

fn write_calendar(out: &mut Writer, cell: &Cell, view: View) {
    let nearness = |hours: Option<f64>| hours.map_or(0.0, |hours| 1.0 / (1.0 + hours / 24.0));
    out.push(if cell.incident { 1.0 } else { 0.0 });
    out.push(nearness(view.calendar.hours_to_freeze(view.now)));
    out.push(nearness(view.calendar.hours_to_day_off(view.now)));
}

fn hours_since(at: Option<Timestamp>, now: Timestamp) -> f64 {
    at.map_or(0.0, |at| (now.0 - at.0).max(0) as f64 / 3.6e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_are_unique_and_documented() {
        let layout = layout();
        let mut names: Vec<&str> = layout
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIELDS.len());
        assert!(layout.fields.iter().all(|field| field.about.len() > 10));
    }
}
