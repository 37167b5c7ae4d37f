//! Reliability diagrams: what came of the probabilities that were given, a panel a need model.
use plotters::style::Color;

use crate::backtest::EventSummary;
use crate::report::figures::Figure;
use crate::report::figures::canvas::{Align, BLUE, Canvas, INK, Scale, Words, figure};
use crate::report::format::{count, tick, words as spaced};
use crate::statistics::wilson;

const COLUMNS: usize = 4;
const PANEL: f64 = 185.0;
const LEFT: f64 = 44.0;
const GAP: f64 = 14.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 44.0;

/// Draws every need model.
pub fn draw(events: &[EventSummary]) -> Option<Figure> {
    if events.is_empty() {
        return None;
    }
    let rows = events.len().div_ceil(COLUMNS);
    let size = (
        COLUMNS as f64 * (LEFT + PANEL + GAP),
        rows as f64 * (TOP + PANEL + BOTTOM),
    );
    let words = Words {
        name: "reliability",
        title: "What came of the probabilities given".to_owned(),
        caption: "Origins sorted by their probability of a need within a day and cut into bins of equal size: the \
                  mean probability (across) against the share after which a need came (up), with its 95 % \
                  Wilson interval, which takes origins for independent. On the diagonal a model is calibrated; \
                  the error is the mean distance from it. Axes differ."
            .to_owned(),
    };
    Some(figure(words, (size.0 as u32, size.1 as u32), |canvas| {
        for (index, event) in events.iter().enumerate() {
            let left = (index % COLUMNS) as f64 * (LEFT + PANEL + GAP) + LEFT;
            let top = (index / COLUMNS) as f64 * (TOP + PANEL + BOTTOM) + TOP;
            panel(canvas, event, (left, top));
        }
    }))
}

/// Origins in each bin: all but the last have as many.
fn sizes(event: &EventSummary) -> Vec<usize> {
    let bins = event.reliability.len().max(1);
    let most = event.origins.div_ceil(bins);
    (0..bins)
        .map(|bin| most.min(event.origins.saturating_sub(bin * most)))
        .collect()
}

fn panel(canvas: &Canvas<'_>, event: &EventSummary, (left, top): (f64, f64)) {
    let (right, bottom) = (left + PANEL, top + PANEL);
    let sizes = sizes(event);
    let points: Vec<(f64, f64, (f64, f64))> = event
        .reliability
        .iter()
        .zip(&sizes)
        .map(|(&(said, found), &size)| {
            let happened = (found * size as f64).round() as u64;
            (said, found, wilson(happened, size as u64))
        })
        .collect();
    let highest = points.iter().fold(1e-3, |high: f64, (said, _, ends)| {
        high.max(*said).max(ends.1)
    });
    let domain = (0.0, highest * 1.03);
    let across = Scale::new(domain, (left, right));
    let up = Scale::new(domain, (bottom, top));
    canvas.frame((left, top), (right, bottom), INK.mix(0.3));
    let (ticks, step) = across.ticks(4);
    for value in ticks {
        let label = tick(value, step);
        canvas.note((across.at(value), bottom + 13.0), &label, Align::Center);
        canvas.note((left - 6.0, up.at(value)), &label, Align::Right);
    }
    canvas.line(
        &[(left, bottom), (across.at(domain.1), up.at(domain.1))],
        INK.mix(0.45),
        1.0,
    );
    for (said, found, (low, high)) in points {
        let x = across.at(said);
        canvas.line(&[(x, up.at(low)), (x, up.at(high))], BLUE.mix(0.9), 1.75);
        canvas.circle((x, up.at(found)), 3.4, BLUE.mix(1.0));
    }
    canvas.heading((left, top - 46.0), event.model, Align::Left);
    let need = format!(
        "{}, {}",
        spaced(event.need),
        count(event.streams, "stream", "streams")
    );
    canvas.note((left, top - 30.0), &need, Align::Left);
    let each = sizes.first().copied().unwrap_or(0);
    let note = format!("{each} origins a dot; error {:.3}", event.ece);
    canvas.note((left, top - 14.0), &note, Align::Left);
}
