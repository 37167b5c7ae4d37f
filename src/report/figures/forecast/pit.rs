//! Histograms of the probability integral transform, one panel a forecaster: flat is calibrated.
use plotters::style::Color;

use super::{span_words, task_color};
use crate::report::TaskResult;
use crate::report::figures::Figure;
use crate::report::figures::canvas::{Align, Canvas, INK, SMALL, Scale, Words, figure, text_width};
use crate::report::format::tick;

const COLUMNS: usize = 4;
const PANEL: (f64, f64) = (200.0, 120.0);
const LEFT: f64 = 34.0;
const GAP: f64 = 12.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 28.0;
const LEGEND: f64 = 30.0;

/// Draws every forecaster.
pub fn draw(tasks: &[TaskResult]) -> Option<Figure> {
    let models = tasks.first()?.models.len();
    let rows = models.div_ceil(COLUMNS);
    let size = (
        COLUMNS as f64 * (LEFT + PANEL.0 + GAP),
        LEGEND + rows as f64 * (TOP + PANEL.1 + BOTTOM),
    );
    let words = Words {
        name: "pit",
        title: "Where values fell in their forecasts".to_owned(),
        caption: "Probability integral transform: the share of values by the probability that was given to \
                  values up to theirs, in tenths; mean over series. A calibrated forecaster is on the dashed \
                  line. High ends: intervals too narrow; a high middle: too wide, or series that stand still, \
                  where the one value that is possible counts as the middle."
            .to_owned(),
    };
    let shares = tasks
        .iter()
        .flat_map(|task| task.models.iter().flat_map(|model| model.pit));
    let highest = shares.fold(0.2, f64::max);
    Some(figure(words, (size.0 as u32, size.1 as u32), |canvas| {
        legend(canvas, tasks);
        for model in 0..models {
            let left = (model % COLUMNS) as f64 * (LEFT + PANEL.0 + GAP) + LEFT;
            let top = LEGEND + (model / COLUMNS) as f64 * (TOP + PANEL.1 + BOTTOM) + TOP;
            panel(canvas, tasks, model, Place { left, top, highest });
        }
    }))
}

struct Place {
    left: f64,
    top: f64,
    highest: f64,
}

fn legend(canvas: &Canvas<'_>, tasks: &[TaskResult]) {
    let mut x = LEFT;
    for (index, task) in tasks.iter().enumerate() {
        canvas.rectangle((x, 8.0), (x + 12.0, 20.0), task_color(index).mix(0.85));
        let words = format!(
            "{}, {} ahead, {} series",
            span_words(task.task.step),
            task.task.horizon,
            task.series.len()
        );
        canvas.text((x + 18.0, 14.0), &words, SMALL, Align::Left);
        x += 18.0 + text_width(&words, SMALL) + 24.0;
    }
}

fn panel(canvas: &Canvas<'_>, tasks: &[TaskResult], model: usize, place: Place) {
    let Place { left, top, highest } = place;
    let (right, bottom) = (left + PANEL.0, top + PANEL.1);
    let levels = Scale::new((0.0, 1.0), (left, right));
    let shares = Scale::new((0.0, highest * 1.05), (bottom, top));
    canvas.heading((left, top - 12.0), tasks[0].models[model].name, Align::Left);
    let (ticks, step) = shares.ticks(3);
    for value in ticks {
        let y = shares.at(value);
        canvas.line(&[(left, y), (right, y)], INK.mix(0.1), 1.0);
        canvas.note((left - 5.0, y), &tick(value, step), Align::Right);
    }
    for value in [0.0, 0.5, 1.0] {
        let label = tick(value, 0.5);
        canvas.note((levels.at(value), bottom + 13.0), &label, Align::Center);
    }
    for (index, task) in tasks.iter().enumerate() {
        let pit = &task.models[model].pit;
        let bin = 1.0 / pit.len() as f64;
        let bar = 0.84 * bin / tasks.len() as f64;
        for (i, share) in pit.iter().enumerate() {
            let from = bin * (i as f64 + 0.08) + bar * index as f64;
            let corner = (levels.at(from), shares.at(*share));
            let color = task_color(index).mix(0.85);
            canvas.rectangle(corner, (levels.at(from + bar), bottom), color);
        }
    }
    let even = 1.0 / tasks[0].models[model].pit.len() as f64;
    canvas.dashes(left, right, shares.at(even), INK.mix(0.7));
    canvas.line(&[(left, bottom), (right, bottom)], INK.mix(0.5), 1.0);
}
