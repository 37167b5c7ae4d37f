//! One week of one arm: forecast, threshold, staged spans and what became of the needs.
use std::collections::BTreeMap;

use plotters::style::{Color, RGBAColor};
use prestage_telemetry::{Span, Timestamp};

use super::Figure;
use super::canvas::{
    Align, Canvas, GREEN, INK, LABEL, ORANGE, PURPLE, SKY, SMALL, Scale, VERMILLION, Words, figure,
    text_width,
};
use crate::report::Report;
use crate::report::format::{shorten, words};
use crate::run_folder::{Outcome, TimelineRow};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 166.0;
const RIGHT: f64 = 946.0;
const TOP: f64 = 56.0;
const LANE_HEIGHT: f64 = 58.0;
const LANE_GAP: f64 = 12.0;
/// More lanes than this are not a picture any more.
const LANES_MAX: usize = 10;
const DAY_NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// One (service, need type) cell.
struct Lane<'a> {
    service: &'a str,
    need: &'a str,
    rows: Vec<&'a TimelineRow>,
}

/// Draws the figure, if the run recorded a timeline.
pub fn draw(report: &Report) -> Option<Figure> {
    let all = lanes(&report.timeline);
    let total = all.len();
    let lanes = busiest(all);
    let first = report.timeline.iter().map(|row| row.epoch).min()?;
    let last = report.timeline.iter().map(|row| row.epoch).max()?;
    let arm = report.manifest.timeline_arm.as_deref();
    let height = TOP + (LANE_HEIGHT + LANE_GAP) * lanes.len() as f64 + 30.0;
    let words = Words {
        name: "timeline",
        title: match arm {
            Some(arm) => format!("One week of {arm}"),
            None => "One week of one arm".to_owned(),
        },
        caption: format!(
            "A lane for each service and need type{}. Line: forecast probability of a need. Stepped \
             line: the threshold the policy has set; where the forecast is above it, a stage is \
             synthesised. Shaded: a stage stands ready. Marks on top are needs, marks at the bottom \
             are stages that ended unused. The number on the left is the lane's highest probability.",
            if total > lanes.len() {
                format!(" (the {} busiest of {total})", lanes.len())
            } else {
                String::new()
            }
        ),
    };
    Some(figure(words, (WIDTH as u32, height as u32), |canvas| {
        paint(canvas, &lanes, (first, last));
    }))
}

fn lanes(timeline: &[TimelineRow]) -> Vec<Lane<'_>> {
    let mut by_cell: BTreeMap<(&str, &str), Vec<&TimelineRow>> = BTreeMap::new();
    for row in timeline {
        by_cell
            .entry((&row.service, &row.need))
            .or_default()
            .push(row);
    }
    let mut lanes = Vec::with_capacity(by_cell.len());
    for ((service, need), mut rows) in by_cell {
        rows.sort_by_key(|row| row.epoch);
        lanes.push(Lane {
            service,
            need,
            rows,
        });
    }
    lanes
}

/// The lanes with the most events, in the order they came.
fn busiest(mut lanes: Vec<Lane<'_>>) -> Vec<Lane<'_>> {
    let mut events: Vec<usize> = lanes.iter().map(Lane::events).collect();
    events.sort_unstable_by(|left, right| right.cmp(left));
    let least = events.get(LANES_MAX - 1).copied().unwrap_or(0);
    let mut equal = LANES_MAX
        - events
            .iter()
            .filter(|&&count| count > least)
            .count()
            .min(LANES_MAX);
    lanes.retain(|lane| {
        let is_kept = lane.events() > least || (lane.events() == least && equal > 0);
        if lane.events() == least && is_kept {
            equal -= 1;
        }
        is_kept
    });
    lanes
}

fn paint(canvas: &Canvas<'_>, lanes: &[Lane<'_>], (first, last): (i64, i64)) {
    let time = Scale::new((first as f64, last as f64), (LEFT, RIGHT));
    let bottom = TOP + (LANE_HEIGHT + LANE_GAP) * lanes.len() as f64 - LANE_GAP;
    for (index, lane) in lanes.iter().enumerate() {
        let top = TOP + (LANE_HEIGHT + LANE_GAP) * index as f64;
        canvas.rectangle((LEFT, top), (RIGHT, top + LANE_HEIGHT), INK.mix(0.045));
        draw_lane(canvas, lane, &time, top);
    }
    draw_days(canvas, &time, first, last, bottom);
    draw_legend(canvas, lanes);
}

fn draw_lane(canvas: &Canvas<'_>, lane: &Lane<'_>, time: &Scale, top: f64) {
    let bottom = top + LANE_HEIGHT;
    for (from, to) in lane.staged_spans() {
        let (from, to) = (time.clamped(from as f64), time.clamped(to as f64));
        canvas.rectangle((from, top), (to.max(from + 1.5), bottom), SKY.mix(0.28));
    }
    let most = lane.probability_max();
    let probability = Scale::new((0.0, most), (bottom - 3.0, top + 17.0));
    let place = |of: fn(&TimelineRow) -> Option<f64>| -> Vec<(f64, f64)> {
        let points = lane
            .rows
            .iter()
            .filter_map(|row| Some((row.epoch as f64, of(row)?)));
        points
            .map(|(epoch, value)| (time.at(epoch), probability.clamped(value)))
            .collect()
    };
    let threshold = stepped(&place(|row| row.threshold));
    if threshold.len() > 1 {
        canvas.line(&without_collinear(&threshold), ORANGE.mix(1.0), 1.75);
    }
    let forecast = place(|row| row.probability);
    if forecast.len() > 1 {
        canvas.line(&without_collinear(&forecast), INK.mix(0.95), 1.75);
    }
    canvas.text(
        (LEFT - 46.0, top + 20.0),
        &shorten(lane.service, 17),
        LABEL,
        Align::Right,
    );
    canvas.note((LEFT - 46.0, top + 38.0), &words(lane.need), Align::Right);
    canvas.note(
        (LEFT - 6.0, top + 17.0),
        &format!("{most:.2}"),
        Align::Right,
    );
    canvas.note((LEFT - 6.0, bottom - 5.0), "0", Align::Right);
    for row in &lane.rows {
        if let Some(outcome) = row.outcome {
            draw_mark(
                canvas,
                outcome,
                mark_place(outcome, time.at(row.epoch as f64), top),
            );
        } else if row.needed {
            canvas.circle((time.at(row.epoch as f64), top + 8.0), 4.5, INK.mix(0.6));
        }
    }
}

fn mark_place(outcome: Outcome, x: f64, top: f64) -> (f64, f64) {
    match outcome {
        Outcome::Hit | Outcome::Miss => (x, top + 8.0),
        _ => (x, top + LANE_HEIGHT - 8.0),
    }
}

/// Each outcome has a colour and a shape, so that neither has to be told apart alone.
fn draw_mark(canvas: &Canvas<'_>, outcome: Outcome, (x, y): (f64, f64)) {
    let cross = |color: RGBAColor| {
        canvas.line(&[(x - 4.5, y - 4.5), (x + 4.5, y + 4.5)], color, 2.75);
        canvas.line(&[(x - 4.5, y + 4.5), (x + 4.5, y - 4.5)], color, 2.75);
    };
    let square = ((x - 4.0, y - 4.0), (x + 4.0, y + 4.0));
    match outcome {
        Outcome::Hit => canvas.circle((x, y), 5.0, GREEN.mix(1.0)),
        Outcome::Miss => cross(VERMILLION.mix(1.0)),
        Outcome::Expired => canvas.rectangle(square.0, square.1, ORANGE.mix(1.0)),
        Outcome::Withdrawn => canvas.frame(square.0, square.1, INK.mix(0.7)),
        Outcome::RolledBack => {
            let diamond = [
                (x, y - 5.5),
                (x + 5.5, y),
                (x, y + 5.5),
                (x - 5.5, y),
                (x, y - 5.5),
            ];
            canvas.line(&diamond, PURPLE.mix(1.0), 2.5);
        }
    }
}

fn draw_days(canvas: &Canvas<'_>, time: &Scale, first: i64, last: i64, bottom: f64) {
    let mut day = Timestamp::from_seconds(first).day_start();
    while day.seconds() <= last {
        let x = time.clamped(day.seconds() as f64);
        let next = day + Span::from_days(1);
        let end = time.clamped(next.seconds() as f64);
        if day.seconds() >= first {
            canvas.line(&[(x, TOP), (x, bottom)], INK.mix(0.22), 1.0);
        }
        if end - x > 54.0 {
            let date = day.to_string();
            let label = format!("{} {}", DAY_NAMES[day.day_of_week() as usize], &date[5..10]);
            canvas.note(((x + end) / 2.0, bottom + 16.0), &label, Align::Center);
        }
        day = next;
    }
}

fn draw_legend(canvas: &Canvas<'_>, lanes: &[Lane<'_>]) {
    let mut x = LEFT;
    let y = 20.0;
    let mut entry = |label: &str, swatch: &dyn Fn(f64)| {
        swatch(x);
        canvas.note((x + 26.0, y), label, Align::Left);
        x += 42.0 + text_width(label, SMALL);
    };
    entry("forecast", &|x| {
        canvas.line(&[(x, y), (x + 20.0, y)], INK.mix(0.95), 1.75)
    });
    entry("threshold", &|x| {
        canvas.line(&[(x, y), (x + 20.0, y)], ORANGE.mix(1.0), 1.75)
    });
    entry("staged", &|x| {
        canvas.rectangle((x, y - 7.0), (x + 20.0, y + 7.0), SKY.mix(0.28))
    });
    let occurs = |outcome| {
        lanes
            .iter()
            .flat_map(|lane| &lane.rows)
            .any(|row| row.outcome == Some(outcome))
    };
    for (outcome, label) in [
        (Outcome::Hit, "hit"),
        (Outcome::Miss, "miss"),
        (Outcome::Expired, "expired"),
        (Outcome::Withdrawn, "withdrawn"),
        (Outcome::RolledBack, "rolled back"),
    ] {
        if occurs(outcome) {
            entry(label, &|x| draw_mark(canvas, outcome, (x + 12.0, y)));
        }
    }
}

impl Lane<'_> {
    fn events(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.needed || row.outcome.is_some())
            .count()
    }

    fn probability_max(&self) -> f64 {
        let values = self
            .rows
            .iter()
            .flat_map(|row| [row.probability, row.threshold]);
        let most = values.flatten().fold(0.0, f64::max);
        if most > 0.0 { most } else { 1.0 }
    }

    /// From the row that first says so to the row that no longer does.
    fn staged_spans(&self) -> Vec<(i64, i64)> {
        let mut spans = Vec::new();
        let mut since = None;
        for row in &self.rows {
            match (row.staged, since) {
                (true, None) => since = Some(row.epoch),
                (false, Some(from)) => {
                    spans.push((from, row.epoch));
                    since = None;
                }
                _ => {}
            }
        }
        if let (Some(from), Some(last)) = (since, self.rows.last()) {
            spans.push((from, last.epoch));
        }
        spans
    }
}

/// A threshold holds until it is changed.
fn stepped(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> = Vec::with_capacity(points.len() * 2);
    for &(x, y) in points {
        if let Some(&(_, before)) = steps.last() {
            steps.push((x, before));
        }
        steps.push((x, y));
    }
    steps
}

/// Leaves out points inside a horizontal run: a week of 5-minute rows is mostly such runs.
fn without_collinear(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let is_level = |left: f64, right: f64| (left - right).abs() < 0.12;
    let mut kept: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for (index, &point) in points.iter().enumerate() {
        let is_inside = match (kept.last(), points.get(index + 1)) {
            (Some(before), Some(after)) => {
                is_level(before.1, point.1) && is_level(point.1, after.1)
            }
            _ => false,
        };
        if !is_inside {
            kept.push(point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: i64, staged: bool) -> TimelineRow {
        TimelineRow {
            epoch,
            service: "web".to_owned(),
            need: "scaling".to_owned(),
            probability: Some(0.5),
            threshold: Some(0.25),
            staged,
            needed: false,
            outcome: None,
        }
    }

    #[test]
    fn staged_spans_end_where_the_stage_does() {
        let rows: Vec<TimelineRow> = [
            (0, false),
            (60, true),
            (120, true),
            (180, false),
            (240, true),
            (300, true),
        ]
        .map(|(epoch, staged)| row(epoch, staged))
        .to_vec();
        let lanes = lanes(&rows);
        assert_eq!(lanes[0].staged_spans(), [(60, 180), (240, 300)]);
        assert_eq!(lanes[0].probability_max(), 0.5);
    }

    #[test]
    fn level_runs_keep_their_ends() {
        let points = [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 5.0), (4.0, 5.0)];
        assert_eq!(
            without_collinear(&points),
            [(0.0, 1.0), (2.0, 1.0), (3.0, 5.0), (4.0, 5.0)]
        );
        assert_eq!(
            stepped(&[(0.0, 1.0), (2.0, 3.0)]),
            [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0)]
        );
    }

    #[test]
    fn busiest_lanes_are_kept_in_order() {
        let mut rows = Vec::new();
        for service in 0..14 {
            let needed = service % 2 == 0;
            let service = format!("s{service:02}");
            rows.push(TimelineRow {
                service,
                needed,
                ..row(0, false)
            });
        }
        let kept: Vec<&str> = busiest(lanes(&rows))
            .iter()
            .map(|lane| lane.service)
            .collect();
        assert_eq!(
            kept,
            [
                "s00", "s01", "s02", "s03", "s04", "s05", "s06", "s08", "s10", "s12"
            ]
        );
    }
}
