//! Headroom against the level of each dial: a panel a channel, each with a scale of its own.
use plotters::style::Color;

use super::Figure;
use super::canvas::{Align, Canvas, INK, PURPLE, Scale, Words, figure};
use crate::dials::Row;
use crate::report::format::tick;

const COLUMNS: usize = 4;
const AXIS: f64 = 52.0;
const PANEL: (f64, f64) = (150.0, 120.0);
const GAP: f64 = 24.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;
/// A panel reaches up to here at least: less would blow up what is next to nothing.
const LEAST: f64 = 0.1;

/// Draws the channels in the order of their rows.
pub fn draw(rows: &[Row]) -> Option<Figure> {
    let panels: Vec<&[Row]> = rows
        .chunk_by(|one, next| one.channel == next.channel)
        .collect();
    let lines = panels.len().div_ceil(COLUMNS);
    let cell = (AXIS + PANEL.0 + GAP, TOP + PANEL.1 + BOTTOM);
    let size = (
        (COLUMNS as f64 * cell.0) as u32,
        (lines as f64 * cell.1) as u32,
    );
    let words = Words {
        name: "dials",
        title: "Headroom against the level of each dial".to_owned(),
        caption: "Share of the best constants' cost that knowing the circumstance saves on scenarios that \
                  were not used for the search, with its 95 % bootstrap interval. Every panel has a scale of \
                  its own."
            .to_owned(),
    };
    (!panels.is_empty()).then(|| {
        figure(words, size, |canvas| {
            for (index, rows) in panels.iter().enumerate() {
                let left = (index % COLUMNS) as f64 * cell.0 + AXIS;
                let top = (index / COLUMNS) as f64 * cell.1 + TOP;
                panel(canvas, rows, (left, top));
            }
        })
    })
}

fn panel(canvas: &Canvas<'_>, rows: &[Row], (left, top): (f64, f64)) {
    let (right, bottom) = (left + PANEL.0, top + PANEL.1);
    let low = rows.iter().map(|row| row.headroom_low);
    let high = rows.iter().map(|row| row.headroom_high);
    let domain = (low.fold(0.0, f64::min), high.fold(LEAST, f64::max));
    let across = Scale::new((0.0, 1.0), (left + 12.0, right - 12.0));
    let up = Scale::new(domain, (bottom, top));
    canvas.heading((left, top - 24.0), rows[0].channel, Align::Left);
    canvas.note((left, top - 9.0), rows[0].dial, Align::Left);
    let (ticks, step) = up.ticks(4);
    for value in ticks {
        let y = up.at(value);
        canvas.line(&[(left, y), (right, y)], INK.mix(0.12), 1.0);
        let shown = format!("{} %", tick(100.0 * value, 100.0 * step));
        canvas.note((left - 6.0, y), &shown, Align::Right);
    }
    let zero = up.at(0.0);
    canvas.line(&[(left, zero), (right, zero)], INK.mix(0.8), 1.25);
    let points: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| (across.at(row.share), up.at(row.headroom)))
        .collect();
    canvas.line(&points, PURPLE.mix(0.9), 1.5);
    for (row, &(x, y)) in rows.iter().zip(&points) {
        let ends = [up.at(row.headroom_low), up.at(row.headroom_high)];
        canvas.line(&[(x, ends[0]), (x, ends[1])], PURPLE.mix(0.9), 2.5);
        canvas.circle((x, y), 4.0, PURPLE.mix(1.0));
        canvas.note((x, bottom + 14.0), &format!("{}", row.level), Align::Center);
    }
}
