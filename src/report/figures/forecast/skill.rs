//! Series by series, what a forecaster's errors are over those of seasonal naive.
use plotters::style::Color;

use super::span_words;
use crate::report::figures::Figure;
use crate::report::figures::canvas::{
    Align, BLUE, Canvas, INK, SMALL, Scale, VERMILLION, Words, figure, text_width,
};
use crate::report::format::{shorten, tick};
use crate::report::{Backtested, SeriesSkill, TaskResult};

const NAMES: f64 = 250.0;
const PANEL: f64 = 470.0;
const RIGHT: f64 = 130.0;
const ROW: f64 = 17.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 40.0;
const LEGEND: f64 = 28.0;
/// Series of a task that are shown; of more, the ends.
const ROWS_MAX: usize = 40;
/// A ratio beyond this factor of one is written out.
const EXTREME: f64 = 2.0;

/// Draws every series, task below task.
pub fn draw(found: &Backtested) -> Option<Figure> {
    let tasks: Vec<(&TaskResult, Vec<&SeriesSkill>)> = found
        .tasks
        .iter()
        .map(|task| (task, rows(&task.skill)))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let model = tasks.first()?.0.models.first()?.name;
    let height: f64 = tasks.iter().map(|(_, rows)| panel_height(rows.len())).sum();
    let ratios = tasks
        .iter()
        .flat_map(|(_, rows)| rows)
        .flat_map(|skill| both(skill));
    let (low, high) = ratios.fold((0.4_f64, 1.6_f64), |(low, high), ratio| {
        (low.min(ratio), high.max(ratio))
    });
    let words = Words {
        name: "skill",
        title: format!("{model} against seasonal naive, series by series"),
        caption: format!(
            "Absolute error (MASE) and CRPS over those of seasonal naive on the same origins, on a log scale; \
             left of the line is better. Ratios beyond a factor of two are written beside their row; a ratio \
             is cut at a factor of a thousand.{}",
            if found.tasks.iter().any(|task| task.skill.len() > ROWS_MAX) {
                format!(" Of more than {ROWS_MAX} series the best and the worst are shown.")
            } else {
                String::new()
            }
        ),
    };
    let size = (NAMES + PANEL + RIGHT, LEGEND + height);
    Some(figure(words, (size.0 as u32, size.1 as u32), |canvas| {
        legend(canvas);
        let mut top = LEGEND;
        for (task, rows) in &tasks {
            let scale = Scale::new(
                (low.log10() - 0.04, high.log10() + 0.04),
                (NAMES, NAMES + PANEL),
            );
            panel(canvas, task, rows, (&scale, top));
            top += panel_height(rows.len());
        }
    }))
}

fn rows(skill: &[SeriesSkill]) -> Vec<&SeriesSkill> {
    let mut rows: Vec<&SeriesSkill> = skill.iter().filter(|one| one.crps.is_some()).collect();
    rows.sort_by(|a, b| a.crps.unwrap_or(1.0).total_cmp(&b.crps.unwrap_or(1.0)));
    if rows.len() > ROWS_MAX {
        rows.drain(ROWS_MAX / 2..rows.len() - ROWS_MAX / 2);
    }
    rows
}

fn both(skill: &SeriesSkill) -> impl Iterator<Item = f64> {
    [skill.mase, skill.crps].into_iter().flatten()
}

fn panel_height(rows: usize) -> f64 {
    TOP + ROW * rows as f64 + BOTTOM
}

fn legend(canvas: &Canvas<'_>) {
    let mut x = NAMES;
    for (words, color) in [("MASE", BLUE), ("CRPS", VERMILLION)] {
        canvas.circle((x + 5.0, 12.0), 4.0, color.mix(1.0));
        canvas.text((x + 14.0, 12.0), words, SMALL, Align::Left);
        x += 14.0 + text_width(words, SMALL) + 22.0;
    }
}

fn panel(
    canvas: &Canvas<'_>,
    task: &TaskResult,
    rows: &[&SeriesSkill],
    (scale, top): (&Scale, f64),
) {
    let (first, bottom) = (top + TOP, top + TOP + ROW * rows.len() as f64);
    let words = format!(
        "{}, {} ahead",
        span_words(task.task.step),
        task.task.horizon
    );
    canvas.heading((NAMES, top + 14.0), &words, Align::Left);
    axis(canvas, scale, (first, bottom));
    canvas.note(
        (NAMES + PANEL + 12.0, top + 14.0),
        "MASE / CRPS",
        Align::Left,
    );
    for (i, skill) in rows.iter().enumerate() {
        let y = first + ROW * (i as f64 + 0.5);
        let name = shorten(&skill.name, 38);
        canvas.text((NAMES - 10.0, y), &name, SMALL, Align::Right);
        let points = [(skill.mase, BLUE), (skill.crps, VERMILLION)];
        let places: Vec<(f64, f64)> = both(skill)
            .map(|ratio| (scale.at(ratio.log10()), y))
            .collect();
        canvas.line(&places, INK.mix(0.25), 1.0);
        for (ratio, color) in points {
            if let Some(ratio) = ratio {
                canvas.circle((scale.at(ratio.log10()), y), 3.6, color.mix(0.95));
            }
        }
        let is_extreme = both(skill).any(|ratio| !(1.0 / EXTREME..=EXTREME).contains(&ratio));
        if is_extreme {
            let shown = |ratio: Option<f64>| ratio.map_or("\u{2013}".to_owned(), significant);
            let words = format!("{} / {}", shown(skill.mase), shown(skill.crps));
            canvas.note((NAMES + PANEL + 12.0, y), &words, Align::Left);
        }
    }
}

/// Lines at 1, 2 and 5 times the powers of ten; powers are labelled, the others where there is room.
fn axis(canvas: &Canvas<'_>, scale: &Scale, (top, bottom): (f64, f64)) {
    let mut labelled: Vec<(f64, f64)> = Vec::new();
    for factor in [1.0, 2.0, 5.0] {
        for power in -3..=3 {
            let ratio = factor * 10_f64.powi(power);
            if !scale.contains(ratio.log10()) {
                continue;
            }
            let x = scale.at(ratio.log10());
            let alpha = if power == 0 && factor == 1.0 {
                0.7
            } else {
                0.12
            };
            canvas.line(&[(x, top), (x, bottom)], INK.mix(alpha), 1.0);
            let label = tick(ratio, 10_f64.powi(power));
            let half = 0.5 * text_width(&label, SMALL) + 4.0;
            let is_free = |&(other, width): &(f64, f64)| (x - other).abs() > half + width;
            if labelled.iter().all(is_free) {
                canvas.note((x, bottom + 13.0), &label, Align::Center);
                labelled.push((x, half));
            }
        }
    }
}

fn significant(ratio: f64) -> String {
    if ratio < 0.0995 {
        format!("{ratio:.3}")
    } else {
        format!("{ratio:.2}")
    }
}
