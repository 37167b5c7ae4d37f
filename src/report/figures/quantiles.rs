//! Quantiles of the simulated against those of the recorded, one panel a stream: on
//! the diagonal the two are alike.
use plotters::style::Color;

use super::Figure;
use super::canvas::{
    Align, BLUE, Canvas, INK, SMALL, Scale, VERMILLION, Words, figure, text_width,
};
use crate::calibrate::{StreamFit, Verdict};
use crate::report::format::tick;

const COLUMNS: usize = 4;
const PANEL: f64 = 190.0;
const LEFT: f64 = 52.0;
const GAP_X: f64 = 42.0;
const GAP_Y: f64 = 74.0;
const TOP: f64 = 34.0;

/// Draws the streams that were scored.
pub fn draw(streams: &[StreamFit]) -> Option<Figure> {
    let scored: Vec<&StreamFit> = streams
        .iter()
        .filter(|stream| !stream.quantiles.is_empty())
        .collect();
    if scored.is_empty() {
        return None;
    }
    let rows = scored.len().div_ceil(COLUMNS);
    let width = LEFT + COLUMNS as f64 * (PANEL + GAP_X);
    let height = TOP + rows as f64 * (PANEL + GAP_Y);
    let words = Words {
        name: "quantiles",
        title: "Recorded and simulated quantiles".to_owned(),
        caption: "Quantiles of the part of the history that was not fitted (across) against those \
                  of the simulated worlds (up). Gaps between events are in hours, on a log scale. \
                  Points on the line: alike. Red panels fail."
            .to_owned(),
    };
    Some(figure(words, (width as u32, height as u32), |canvas| {
        for (index, stream) in scored.iter().enumerate() {
            let left = LEFT + (index % COLUMNS) as f64 * (PANEL + GAP_X);
            let top = TOP + (index / COLUMNS) as f64 * (PANEL + GAP_Y);
            panel(canvas, stream, (left, top));
        }
    }))
}

fn panel(canvas: &Canvas<'_>, stream: &StreamFit, (left, top): (f64, f64)) {
    let is_gap = stream.measured.starts_with("gap");
    // A gap of less than a minute is a minute: the log must be finite.
    let map = |value: f64| {
        if is_gap {
            value.max(1.0 / 60.0).log10()
        } else {
            value
        }
    };
    let points: Vec<(f64, f64)> = stream
        .quantiles
        .iter()
        .map(|&(x, y)| (map(x), map(y)))
        .collect();
    let all = || points.iter().flat_map(|&(x, y)| [x, y]);
    let domain = (
        all().fold(f64::MAX, f64::min),
        all().fold(f64::MIN, f64::max),
    );
    let across = Scale::new(domain, (left + 4.0, left + PANEL - 4.0));
    let up = Scale::new(domain, (top + PANEL - 4.0, top + 4.0));
    canvas.frame((left, top), (left + PANEL, top + PANEL), INK.mix(0.35));
    let corner = |value: f64| (across.at(value), up.at(value));
    canvas.line(&[corner(domain.0), corner(domain.1)], INK.mix(0.4), 1.0);
    let color = if stream.verdict == Verdict::Fails {
        VERMILLION
    } else {
        BLUE
    };
    for &(x, y) in &points {
        canvas.circle((across.at(x), up.at(y)), 2.2, color.mix(0.85));
    }
    let (ticks, step) = across.ticks(3);
    for value in ticks {
        let label = if is_gap {
            hours(value)
        } else {
            tick(value, step)
        };
        canvas.note(
            (across.at(value), top + PANEL + 12.0),
            &label,
            Align::Center,
        );
        canvas.note((left - 6.0, up.at(value)), &label, Align::Right);
    }
    canvas.heading((left, top - 14.0), stream.stream, Align::Left);
    let beside = left + text_width(stream.stream, 14.0) + 8.0;
    let distance = stream
        .ks
        .map_or(String::new(), |(distance, _)| format!("KS {distance:.2}, "));
    let verdict = format!("{distance}{}", stream.verdict.words());
    canvas.text((beside.max(left), top - 14.0), &verdict, SMALL, Align::Left);
}

/// A power of ten of hours, in words.
fn hours(log: f64) -> String {
    let hours = 10f64.powf(log);
    if hours < 0.95 {
        format!("{:.0} min", hours * 60.0)
    } else if hours < 48.0 {
        format!("{hours:.0} h")
    } else {
        format!("{:.0} d", hours / 24.0)
    }
}
