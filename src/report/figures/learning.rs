//! The learning curve: one thin line for each training seed, and their median.
use std::collections::BTreeMap;

use plotters::style::Color;

use super::Figure;
use super::canvas::{Align, Canvas, INK, SKY, SMALL, Scale, VERMILLION, Words, figure, text_width};
use crate::report::Report;
use crate::report::format::{count, tick};
use crate::run_folder::Progress;
use crate::statistics::{median, quantile};

const SIZE: (u32, u32) = (960, 340);
const LEFT: f64 = 70.0;
const RIGHT: f64 = 940.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 290.0;

/// What the vertical axis shows: the best that was logged.
struct Quantity {
    label: &'static str,
    /// The line the curve is to be compared with, and its name.
    target: Option<(f64, &'static str)>,
    of: fn(&Progress) -> Option<f64>,
}

const QUANTITIES: [Quantity; 3] = [
    Quantity {
        label: "Cost \u{f7} static-tuned (below 1 is cheaper)",
        target: Some((1.0, "static-tuned")),
        of: |row| row.cost_ratio_to_static,
    },
    Quantity {
        label: "Mean episode return (higher is better)",
        target: None,
        of: |row| row.episode_return_mean,
    },
    Quantity {
        label: "Mean reward (higher is better)",
        target: None,
        of: |row| Some(row.reward_mean),
    },
];

type Curve = Vec<(f64, f64)>;

/// Draws the figure, if the run has trained.
pub fn draw(report: &Report) -> Option<Figure> {
    let quantity = QUANTITIES.iter().find(|quantity| {
        report
            .progress
            .iter()
            .any(|row| (quantity.of)(row).is_some())
    })?;
    let curves = curves(&report.progress, quantity.of);
    let words = Words {
        name: "learning-curve",
        title: "Learning curve".to_owned(),
        caption: format!(
            "{} against environment steps (summed over cells). Thin lines: {}. Thick line: their \
             median, drawn while at least half of the seeds are training.{}",
            quantity.label,
            count(curves.len(), "training seed", "training seeds"),
            if quantity.target.is_some() {
                " Training explores around the static policy, which costs more at first."
            } else {
                ""
            }
        ),
    };
    Some(figure(words, SIZE, |canvas| {
        paint(canvas, quantity, &curves)
    }))
}

fn curves(progress: &[Progress], of: fn(&Progress) -> Option<f64>) -> Vec<Curve> {
    let mut by_seed: BTreeMap<u64, Curve> = BTreeMap::new();
    for row in progress {
        if let Some(value) = of(row) {
            by_seed
                .entry(row.seed)
                .or_default()
                .push((row.row_steps as f64, value));
        }
    }
    by_seed.into_values().collect()
}

fn median_curve(curves: &[Curve]) -> Curve {
    let mut by_step: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for &(step, value) in curves.iter().flatten() {
        by_step.entry(step as u64).or_default().push(value);
    }
    by_step.retain(|_, values| values.len() * 2 >= curves.len());
    by_step
        .into_iter()
        .map(|(step, values)| (step as f64, median(&values)))
        .collect()
}

fn paint(canvas: &Canvas<'_>, quantity: &Quantity, curves: &[Curve]) {
    let median = median_curve(curves);
    let steps_max = curves
        .iter()
        .flatten()
        .fold(0.0, |most: f64, point| most.max(point.0));
    let steps = Scale::new((0.0, steps_max), (LEFT, RIGHT));
    let values = Scale::new(value_domain(curves, quantity), (BOTTOM, TOP));
    draw_axes(canvas, &steps, &values);
    canvas.heading((LEFT, 18.0), quantity.label, Align::Left);
    if let Some((target, _)) = quantity.target {
        canvas.dashes(LEFT, RIGHT, values.at(target), INK.mix(0.75));
    }
    let place = |curve: &Curve| -> Curve {
        curve
            .iter()
            .map(|&(step, value)| (steps.at(step), values.clamped(value)))
            .collect()
    };
    for curve in curves {
        canvas.line(&place(curve), SKY.mix(0.5), 1.25);
    }
    canvas.line(&place(&median), VERMILLION.mix(1.0), 3.0);
    draw_legend(canvas, quantity, curves.len());
}

/// From the first to the 99th percentile, so that a single burst does not flatten the rest.
fn value_domain(curves: &[Curve], quantity: &Quantity) -> (f64, f64) {
    let all: Vec<f64> = curves.iter().flatten().map(|point| point.1).collect();
    let (mut low, mut high) = (quantile(&all, 0.01), quantile(&all, 0.99));
    if let Some((target, _)) = quantity.target {
        (low, high) = (low.min(target), high.max(target));
    }
    let margin = ((high - low) * 0.08).max(high.abs() * 1e-3);
    (low - margin, high + margin)
}

fn draw_axes(canvas: &Canvas<'_>, steps: &Scale, values: &Scale) {
    let (ticks, step) = values.ticks(5);
    for value in ticks {
        let y = values.at(value);
        canvas.line(&[(LEFT, y), (RIGHT, y)], INK.mix(0.12), 1.0);
        canvas.note((LEFT - 8.0, y), &tick(value, step), Align::Right);
    }
    let (ticks, step) = steps.ticks(7);
    for value in ticks {
        let x = steps.at(value);
        canvas.line(&[(x, BOTTOM), (x, BOTTOM + 5.0)], INK.mix(0.6), 1.0);
        canvas.note((x, BOTTOM + 17.0), &tick(value, step), Align::Center);
    }
    canvas.line(&[(LEFT, BOTTOM), (RIGHT, BOTTOM)], INK.mix(0.6), 1.0);
    canvas.note(
        ((LEFT + RIGHT) / 2.0, BOTTOM + 38.0),
        "environment steps",
        Align::Center,
    );
}

fn draw_legend(canvas: &Canvas<'_>, quantity: &Quantity, seeds: usize) {
    let mut labels = vec!["one training seed".to_owned(), format!("median of {seeds}")];
    labels.extend(quantity.target.map(|(_, name)| name.to_owned()));
    let widths: Vec<f64> = labels
        .iter()
        .map(|label| 54.0 + text_width(label, SMALL))
        .collect();
    let mut x = RIGHT - widths.iter().sum::<f64>();
    for (index, (label, width)) in labels.iter().zip(&widths).enumerate() {
        match index {
            0 => canvas.line(&[(x, 18.0), (x + 28.0, 18.0)], SKY.mix(0.8), 1.25),
            1 => canvas.line(&[(x, 18.0), (x + 28.0, 18.0)], VERMILLION.mix(1.0), 3.0),
            _ => canvas.dashes(x, x + 28.0, 18.0, INK.mix(0.75)),
        }
        canvas.note((x + 35.0, 18.0), label, Align::Left);
        x += width;
    }
}
