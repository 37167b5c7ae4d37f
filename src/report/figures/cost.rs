//! Cost of every arm, and its paired difference to the reference with an interval.
//!
//! Two panels over shared rows: bars for how much, whiskers for how sure.
use plotters::style::{Color, RGBAColor};

use super::Figure;
use super::canvas::{
    Align, BLUE, Canvas, GREEN, INK, LABEL, SMALL, Scale, VERMILLION, Words, figure, text_width,
};
use crate::report::Report;
use crate::report::format::{difference as signed, number, shorten, tick};
use crate::report::summary::{Arm, ArmKind, Difference, Summary, Verdict};

const WIDTH: f64 = 960.0;
const ROW_HEIGHT: f64 = 32.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 66.0;
const BARS: (f64, f64) = (166.0, 380.0);
const DIFFERENCES: (f64, f64) = (476.0, 744.0);
/// A difference this many times the median one is drawn as an arrow: one hopeless arm
/// must not squeeze all others into a dot.
const OUTLIER_RATIO: f64 = 6.0;

/// Draws the figure.
pub fn draw(report: &Report) -> Option<Figure> {
    let summary = &report.summary;
    let arms = summary.by_cost();
    let height = TOP + ROW_HEIGHT * arms.len() as f64 + BOTTOM;
    let words = Words {
        name: "cost",
        title: "Cost by arm".to_owned(),
        caption: format!(
            "Left: mean cost, dollars a day, cheapest first. Right: the same scenarios compared in \
             pairs with {}; the line is the 95 % bootstrap interval over training seeds and \
             scenarios. An interval that touches zero (grey) is no difference within noise.",
            summary.reference
        ),
    };
    Some(figure(words, (WIDTH as u32, height as u32), |canvas| {
        paint(canvas, summary, &arms)
    }))
}

fn paint(canvas: &Canvas<'_>, summary: &Summary, arms: &[&Arm]) {
    let bottom = TOP + ROW_HEIGHT * arms.len() as f64;
    let costs = Scale::new(
        (
            0.0,
            arms.iter().fold(0.0, |most, arm| arm.cost_mean.max(most)),
        ),
        BARS,
    );
    let differences = difference_scale(arms);
    canvas.heading((BARS.0, 18.0), "Cost, $ a day", Align::Left);
    let reference = format!("Difference to {}, $ a day", shorten(&summary.reference, 20));
    canvas.heading((DIFFERENCES.0, 18.0), &reference, Align::Left);
    draw_axis(canvas, &costs, bottom, 4);
    draw_axis(canvas, &differences, bottom, 5);
    let zero = differences.clamped(0.0);
    canvas.line(&[(zero, TOP - 6.0), (zero, bottom)], INK.mix(0.8), 1.25);
    for (index, arm) in arms.iter().enumerate() {
        let y = TOP + ROW_HEIGHT * (index as f64 + 0.5);
        draw_bar(canvas, &costs, arm, y, arm.name == summary.reference);
        match &arm.difference {
            Some(difference) => draw_difference(canvas, &differences, difference, y),
            None if arm.name == summary.reference => {
                canvas.note((WIDTH - 8.0, y), "reference", Align::Right);
            }
            None => canvas.note((WIDTH - 8.0, y), "no shared scenario", Align::Right),
        }
    }
    draw_legend(canvas, arms, bottom + 48.0);
}

fn draw_axis(canvas: &Canvas<'_>, scale: &Scale, bottom: f64, count: usize) {
    let (ticks, step) = scale.ticks(count);
    for value in ticks {
        let x = scale.at(value);
        canvas.line(&[(x, TOP - 6.0), (x, bottom)], INK.mix(0.12), 1.0);
        canvas.note((x, bottom + 14.0), &tick(value, step), Align::Center);
    }
}

fn draw_bar(canvas: &Canvas<'_>, scale: &Scale, arm: &Arm, y: f64, is_reference: bool) {
    let end = scale.at(arm.cost_mean).max(BARS.0 + 1.0);
    let (corner, opposite) = ((BARS.0, y - 9.0), (end, y + 9.0));
    match arm.kind {
        ArmKind::Bound => canvas.frame(corner, opposite, INK.mix(0.6)),
        _ => canvas.rectangle(corner, opposite, bar_color(arm.kind, is_reference)),
    }
    let name = shorten(&arm.name, 21);
    if arm.kind == ArmKind::Trained {
        canvas.heading((BARS.0 - 10.0, y), &name, Align::Right);
    } else {
        canvas.text((BARS.0 - 10.0, y), &name, LABEL, Align::Right);
    }
    canvas.text((end + 7.0, y), &number(arm.cost_mean), SMALL, Align::Left);
}

fn bar_color(kind: ArmKind, is_reference: bool) -> RGBAColor {
    match kind {
        ArmKind::Trained => BLUE.mix(1.0),
        _ if is_reference => INK.mix(0.62),
        _ => INK.mix(0.28),
    }
}

fn draw_difference(canvas: &Canvas<'_>, scale: &Scale, difference: &Difference, y: f64) {
    let color = match difference.verdict() {
        Verdict::Better => GREEN.mix(1.0),
        Verdict::Worse => VERMILLION.mix(1.0),
        Verdict::WithinNoise | Verdict::Unknown => INK.mix(0.55),
    };
    canvas.text(
        (WIDTH - 8.0, y),
        &with_interval(difference),
        SMALL,
        Align::Right,
    );
    if !scale.contains(difference.mean) {
        return draw_arrow(
            canvas,
            scale.clamped(difference.mean),
            difference.mean > 0.0,
            y,
            color,
        );
    }
    if let Some(interval) = difference.interval {
        let (from, to) = (scale.clamped(interval.lower), scale.clamped(interval.upper));
        canvas.line(&[(from, y), (to, y)], color, 2.5);
        for end in [from, to] {
            canvas.line(&[(end, y - 5.0), (end, y + 5.0)], color, 2.0);
        }
    }
    canvas.circle((scale.at(difference.mean), y), 4.5, color);
}

/// `-2.10 [-3.00, -1.20]`, or without brackets where there is no interval.
fn with_interval(found: &Difference) -> String {
    let mean = signed(found.mean);
    match found.interval {
        Some(interval) => {
            format!(
                "{mean} [{}, {}]",
                signed(interval.lower),
                signed(interval.upper)
            )
        }
        None => mean,
    }
}

/// The arm lies beyond the panel; its number stands beside it.
fn draw_arrow(canvas: &Canvas<'_>, x: f64, to_the_right: bool, y: f64, color: RGBAColor) {
    let back = if to_the_right { -1.0 } else { 1.0 };
    canvas.line(&[(x + back * 18.0, y), (x, y)], color, 2.5);
    let head = [(x + back * 7.0, y - 5.0), (x, y), (x + back * 7.0, y + 5.0)];
    canvas.line(&head, color, 2.5);
}

fn difference_scale(arms: &[&Arm]) -> Scale {
    let differences: Vec<&Difference> = arms
        .iter()
        .filter_map(|arm| arm.difference.as_ref())
        .collect();
    let mut sizes: Vec<f64> = differences.iter().map(|found| found.mean.abs()).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let limit = sizes
        .get(sizes.len().saturating_sub(1) / 2)
        .map_or(1.0, |size| size * OUTLIER_RATIO);
    let mut domain = (0.0_f64, 0.0_f64);
    for found in differences.iter().filter(|found| found.mean.abs() <= limit) {
        let (low, high) = found
            .interval
            .map_or((found.mean, found.mean), |i| (i.lower, i.upper));
        domain = (domain.0.min(low), domain.1.max(high));
    }
    let margin = (domain.1 - domain.0).max(1e-9) * 0.06;
    Scale::new((domain.0 - margin, domain.1 + margin), DIFFERENCES)
}

fn draw_legend(canvas: &Canvas<'_>, arms: &[&Arm], y: f64) {
    let has = |kind| arms.iter().any(|arm| arm.kind == kind);
    let mut x = BARS.0;
    let mut entry = |label: &str, swatch: &dyn Fn(f64)| {
        swatch(x);
        canvas.note((x + 20.0, y), label, Align::Left);
        x += 36.0 + text_width(label, SMALL);
    };
    let filled =
        |color: RGBAColor| move |x: f64| canvas.rectangle((x, y - 6.0), (x + 13.0, y + 6.0), color);
    if has(ArmKind::Trained) {
        entry("trained policy", &filled(BLUE.mix(1.0)));
    }
    entry("reference", &filled(bar_color(ArmKind::Rule, true)));
    entry("rule", &filled(bar_color(ArmKind::Rule, false)));
    if has(ArmKind::Bound) {
        let frame = |x: f64| canvas.frame((x, y - 6.0), (x + 13.0, y + 6.0), INK.mix(0.6));
        entry("bound: knows more than production", &frame);
    }
    let dot = |color: RGBAColor| move |x: f64| canvas.circle((x + 7.0, y), 4.5, color);
    entry("cheaper", &dot(GREEN.mix(1.0)));
    entry("dearer", &dot(VERMILLION.mix(1.0)));
    entry("within noise", &dot(INK.mix(0.55)));
}
