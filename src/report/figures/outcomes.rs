//! Hits, misses and waste of every arm, one panel for each need type.
//!
//! Needs go to the right of the axis (met, then missed), wasted stages to the left: a good
//! arm is all green and has nothing on the left.
use plotters::style::Color;

use super::Figure;
use super::canvas::{
    Align, Canvas, GREEN, INK, LABEL, ORANGE, SMALL, Scale, VERMILLION, Words, figure, text_width,
};
use crate::report::Report;
use crate::report::format::{shorten, tick, words};
use crate::report::summary::{Arm, ArmKind, Summary, Totals};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 166.0;
const GAP: f64 = 26.0;
const TOP: f64 = 62.0;
const ROW_HEIGHT: f64 = 26.0;
/// Counts are shown for a week: most needs are rarer than one a day.
const DAYS: f64 = 7.0;

/// Draws the figure, if any need or stage occurred.
pub fn draw(report: &Report) -> Option<Figure> {
    let summary = &report.summary;
    let arms = summary.by_cost();
    let is_empty = |arm: &&Arm| arm.totals.needs + arm.totals.stages <= 0.0;
    if arms.iter().all(is_empty) {
        return None;
    }
    let height = TOP + ROW_HEIGHT * arms.len() as f64 + 34.0;
    let words = Words {
        name: "outcomes",
        title: "Hits, misses and waste by need type".to_owned(),
        caption: "Counts a week in one scenario. To the right of the axis: needs whose stage was \
                  ready (hit) and needs that had to wait (miss). To the left: stages that were \
                  never used (waste). Each panel has its own scale; arms in order of \
                  cost."
            .to_owned(),
    };
    Some(figure(words, (WIDTH as u32, height as u32), |canvas| {
        paint(canvas, summary, &arms)
    }))
}

fn paint(canvas: &Canvas<'_>, summary: &Summary, arms: &[&Arm]) {
    let bottom = TOP + ROW_HEIGHT * arms.len() as f64;
    for (index, arm) in arms.iter().enumerate() {
        let y = row_center(index);
        let name = shorten(&arm.name, 21);
        if arm.kind == ArmKind::Trained {
            canvas.heading((LEFT - 12.0, y), &name, Align::Right);
        } else {
            canvas.text((LEFT - 12.0, y), &name, LABEL, Align::Right);
        }
    }
    let count = summary.needs.len() as f64;
    let width = (WIDTH - 14.0 - LEFT - GAP * (count - 1.0)) / count;
    for (index, need) in summary.needs.iter().enumerate() {
        let from = LEFT + index as f64 * (width + GAP);
        canvas.heading((from, 46.0), &words(need), Align::Left);
        let totals: Vec<&Totals> = arms.iter().map(|arm| &arm.by_need[index]).collect();
        draw_panel(canvas, &totals, (from, from + width), bottom);
    }
    draw_legend(canvas);
}

fn draw_panel(canvas: &Canvas<'_>, totals: &[&Totals], range: (f64, f64), bottom: f64) {
    let most = |of: fn(&Totals) -> f64| {
        totals
            .iter()
            .fold(0.0, |most: f64, total| most.max(of(total)))
    };
    let waste = most(|total| total.waste) * DAYS;
    let needs = most(|total| total.hits + total.misses) * DAYS;
    // Neither side may vanish: the axis stays visible inside the panel.
    let least = (waste + needs).max(1e-9) * 0.04;
    let scale = Scale::new((-waste.max(least), needs.max(least)), range);
    let (ticks, step) = scale.ticks(4);
    for value in ticks {
        let x = scale.at(value);
        canvas.line(&[(x, TOP - 4.0), (x, bottom)], INK.mix(0.12), 1.0);
        canvas.note((x, bottom + 14.0), &tick(value.abs(), step), Align::Center);
    }
    for (index, total) in totals.iter().enumerate() {
        let y = row_center(index);
        let bar = |from: f64, to: f64, color| {
            if (to - from).abs() > 0.0 {
                canvas.rectangle((scale.at(from), y - 8.0), (scale.at(to), y + 8.0), color);
            }
        };
        let (hits, misses) = (total.hits * DAYS, total.misses * DAYS);
        bar(-total.waste * DAYS, 0.0, ORANGE.mix(1.0));
        bar(0.0, hits, GREEN.mix(1.0));
        bar(hits, hits + misses, VERMILLION.mix(1.0));
    }
    let zero = scale.at(0.0);
    canvas.line(&[(zero, TOP - 4.0), (zero, bottom)], INK.mix(0.85), 1.25);
}

fn row_center(index: usize) -> f64 {
    TOP + ROW_HEIGHT * (index as f64 + 0.5)
}

fn draw_legend(canvas: &Canvas<'_>) {
    let mut x = LEFT;
    for (label, color) in [
        ("waste: stage unused", ORANGE),
        ("hit: stage ready", GREEN),
        ("miss: had to wait", VERMILLION),
    ] {
        canvas.rectangle((x, 11.0), (x + 13.0, 24.0), color.mix(1.0));
        canvas.note((x + 20.0, 18.0), label, Align::Left);
        x += 44.0 + text_width(label, SMALL);
    }
    canvas.note(
        (WIDTH - 14.0, 18.0),
        "a week, in one scenario",
        Align::Right,
    );
}
