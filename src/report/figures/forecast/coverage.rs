//! How often intervals hold what comes, against how often they should, a row a forecaster.
use plotters::style::{Color, RGBColor};

use super::span_words;
use crate::backtest::ModelSummary;
use crate::report::TaskResult;
use crate::report::figures::Figure;
use crate::report::figures::canvas::{
    Align, BLUE, Canvas, GREEN, INK, SMALL, Scale, VERMILLION, Words, figure, text_width,
};
use crate::report::format::tick;

const NAMES: f64 = 150.0;
const PANEL: f64 = 300.0;
const GAP: f64 = 30.0;
const ROW: f64 = 24.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 34.0;
/// The intervals: their nominal coverage, their name, their colour.
const NOMINAL: [(f64, &str, RGBColor); 3] = [
    (0.8, "80 %", GREEN),
    (0.9, "90 %", BLUE),
    (0.95, "95 %", VERMILLION),
];
/// Coverage below this is drawn at the edge.
const LOWEST: f64 = 0.5;

/// Draws every forecaster at every step.
pub fn draw(tasks: &[TaskResult]) -> Option<Figure> {
    let models = tasks.first()?.models.len();
    let size = (
        NAMES + tasks.len() as f64 * (PANEL + GAP),
        TOP + ROW * models as f64 + BOTTOM,
    );
    let words = Words {
        name: "coverage",
        title: "Coverage against nominal".to_owned(),
        caption: "Share of values inside the 80, 90 and 95 % intervals, mean over series with a 95 % bootstrap \
                  interval over series. A calibrated forecaster has each dot on the dashed line of its colour."
            .to_owned(),
    };
    let lowest = tasks
        .iter()
        .flat_map(|task| &task.models)
        .flat_map(lower_ends)
        .fold(0.75, f64::min);
    Some(figure(words, (size.0 as u32, size.1 as u32), |canvas| {
        legend(canvas);
        for (index, task) in tasks.iter().enumerate() {
            let left = NAMES + index as f64 * (PANEL + GAP);
            let scale = Scale::new((lowest.max(LOWEST), 1.0), (left, left + PANEL));
            panel(canvas, task, &scale, left);
        }
        for (row, model) in tasks[0].models.iter().enumerate() {
            canvas.text((NAMES - 12.0, middle(row)), model.name, SMALL, Align::Right);
        }
    }))
}

fn lower_ends(model: &ModelSummary) -> impl Iterator<Item = f64> {
    let intervals = model.coverage_interval.iter().zip(model.coverage);
    intervals.map(|(interval, share)| interval.map_or(share, |interval| interval.lower))
}

fn middle(row: usize) -> f64 {
    TOP + ROW * (row as f64 + 0.5)
}

fn legend(canvas: &Canvas<'_>) {
    let mut x = NAMES;
    for (_, name, color) in NOMINAL {
        canvas.circle((x + 5.0, 14.0), 4.0, color.mix(1.0));
        let words = format!("{name} interval");
        canvas.text((x + 14.0, 14.0), &words, SMALL, Align::Left);
        x += 14.0 + text_width(&words, SMALL) + 22.0;
    }
}

fn panel(canvas: &Canvas<'_>, task: &TaskResult, scale: &Scale, left: f64) {
    let bottom = TOP + ROW * task.models.len() as f64;
    let words = format!(
        "{}, {} ahead",
        span_words(task.task.step),
        task.task.horizon
    );
    canvas.heading((left, TOP - 20.0), &words, Align::Left);
    let beside = left + text_width(&words, 14.0) + 8.0;
    let series = format!("{} series", task.series.len());
    canvas.note((beside, TOP - 20.0), &series, Align::Left);
    let (ticks, step) = scale.ticks(6);
    for value in ticks {
        let x = scale.at(value);
        canvas.line(&[(x, TOP), (x, bottom)], INK.mix(0.1), 1.0);
        canvas.note((x, bottom + 14.0), &tick(value, step), Align::Center);
    }
    for (nominal, _, color) in NOMINAL {
        let x = scale.at(nominal);
        let mut y = TOP;
        while y < bottom {
            canvas.line(&[(x, y), (x, (y + 5.0).min(bottom))], color.mix(0.9), 1.25);
            y += 9.0;
        }
    }
    for (row, model) in task.models.iter().enumerate() {
        for (which, (_, _, color)) in NOMINAL.into_iter().enumerate() {
            let y = middle(row) + (which as f64 - 1.0) * 6.0;
            if let Some(interval) = model.coverage_interval[which] {
                let ends = [interval.lower, interval.upper].map(|end| (scale.clamped(end), y));
                canvas.line(&ends, color.mix(0.6), 2.0);
            }
            let x = scale.clamped(model.coverage[which]);
            canvas.circle((x, y), 3.2, color.mix(1.0));
        }
    }
    canvas.line(&[(left, bottom), (left + PANEL, bottom)], INK.mix(0.5), 1.0);
}
