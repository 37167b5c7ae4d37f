//! Fans: the newest forecast of some series, with what came before and after.
use plotters::style::Color;

use super::span_words;
use crate::backtest::{Fan, Rank};
use crate::report::figures::Figure;
use crate::report::figures::canvas::{
    Align, BLUE, Canvas, INK, SKY, SMALL, Scale, VERMILLION, Words, figure, text_width,
};
use crate::report::format::{shorten, tick};

const COLUMNS: usize = 3;
const PANEL: (f64, f64) = (270.0, 170.0);
const LEFT: f64 = 52.0;
const GAP: f64 = 14.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 34.0;
const LEGEND: f64 = 30.0;
/// Lower and upper level of the bands, and how dark they are.
const BANDS: [(f64, f64, f64); 3] = [(0.025, 0.975, 0.16), (0.1, 0.9, 0.2), (0.25, 0.75, 0.3)];

/// Draws all of them.
pub fn draw(fans: &[Fan]) -> Option<Figure> {
    let model = fans.first()?.model;
    let rows = fans.len().div_ceil(COLUMNS);
    let size = (
        COLUMNS as f64 * (LEFT + PANEL.0 + GAP),
        LEGEND + rows as f64 * (TOP + PANEL.1 + BOTTOM),
    );
    let words = Words {
        name: "fans",
        title: format!("The newest forecasts of {model}"),
        caption: "One forecast for each of three series a step: the series on which the forecaster did best, \
                  middling and worst by its CRPS over seasonal naive's (in brackets). Across: time from the \
                  origin. Bands hold 50, 80 and 95 % of the probability; the orange line is what came."
            .to_owned(),
    };
    Some(figure(words, (size.0 as u32, size.1 as u32), |canvas| {
        legend(canvas);
        for (index, fan) in fans.iter().enumerate() {
            let left = (index % COLUMNS) as f64 * (LEFT + PANEL.0 + GAP) + LEFT;
            let top = LEGEND + (index / COLUMNS) as f64 * (TOP + PANEL.1 + BOTTOM) + TOP;
            panel(canvas, fan, (left, top));
        }
    }))
}

fn legend(canvas: &Canvas<'_>) {
    let mut x = LEFT;
    let y = 14.0;
    let entries = [
        ("before the origin", INK.mix(0.75)),
        ("median", BLUE.mix(1.0)),
        ("what came", VERMILLION.mix(1.0)),
    ];
    for (words, color) in entries {
        canvas.line(&[(x, y), (x + 20.0, y)], color, 2.0);
        canvas.text((x + 26.0, y), words, SMALL, Align::Left);
        x += 26.0 + text_width(words, SMALL) + 22.0;
    }
    for (index, words) in ["95 %", "80 %", "50 %"].into_iter().enumerate() {
        // A band lies on those that are wider.
        for (.., alpha) in &BANDS[..=index] {
            canvas.rectangle((x, y - 6.0), (x + 20.0, y + 6.0), SKY.mix(*alpha));
        }
        canvas.text((x + 26.0, y), words, SMALL, Align::Left);
        x += 26.0 + text_width(words, SMALL) + 22.0;
    }
}

fn panel(canvas: &Canvas<'_>, fan: &Fan, (left, top): (f64, f64)) {
    let (right, bottom) = (left + PANEL.0, top + PANEL.1);
    let slots = Scale::new(
        (1.0 - fan.before.len() as f64, fan.ahead.len() as f64),
        (left + 2.0, right - 2.0),
    );
    let values = Scale::new(domain(fan), (bottom - 4.0, top + 6.0));
    canvas.frame((left, top), (right, bottom), INK.mix(0.3));
    axes(canvas, fan, (&slots, &values), (left, top));
    for (low, high, alpha) in BANDS {
        let edge = |level: f64| {
            let points = fan.ahead.iter().enumerate();
            points.map(move |(i, (said, _))| (i + 1, said.at(level)))
        };
        let place = |(slot, value): (usize, f64)| (slots.at(slot as f64), values.clamped(value));
        let mut outline: Vec<(f64, f64)> = edge(high).map(place).collect();
        outline.extend(edge(low).map(place).collect::<Vec<_>>().into_iter().rev());
        canvas.polygon(&outline, SKY.mix(alpha));
    }
    let origin = slots.at(0.0);
    canvas.line(&[(origin, top), (origin, bottom)], INK.mix(0.35), 1.0);
    let place = |slot: f64, value: f64| (slots.at(slot), values.clamped(value));
    let first = 1.0 - fan.before.len() as f64;
    let before = fan.before.iter().enumerate();
    broken_line(
        canvas,
        before.map(|(i, value)| value.map(|value| place(first + i as f64, value))),
        INK.mix(0.75),
    );
    let median: Vec<(f64, f64)> = (fan.ahead.iter().enumerate())
        .map(|(i, (said, _))| place(i as f64 + 1.0, said.median()))
        .collect();
    canvas.line(&median, BLUE.mix(1.0), 1.75);
    let newest = fan.before.last().copied().flatten();
    let came = std::iter::once(newest).chain(fan.ahead.iter().map(|(_, came)| *came));
    broken_line(
        canvas,
        came.enumerate()
            .map(|(i, value)| value.map(|value| place(i as f64, value))),
        VERMILLION.mix(1.0),
    );
}

/// A line with holes where there is no point.
fn broken_line(
    canvas: &Canvas<'_>,
    points: impl Iterator<Item = Option<(f64, f64)>>,
    color: plotters::style::RGBAColor,
) {
    let mut piece: Vec<(f64, f64)> = Vec::new();
    for point in points.chain(std::iter::once(None)) {
        if let Some(point) = point {
            piece.push(point);
        } else if !piece.is_empty() {
            canvas.line(&piece, color, 1.5);
            piece.clear();
        }
    }
}

/// Everything measured and the 80 % band; of the 95 % band no more than half as much again.
fn domain(fan: &Fan) -> (f64, f64) {
    let measured = fan
        .before
        .iter()
        .chain(fan.ahead.iter().map(|(_, came)| came));
    let bands = fan
        .ahead
        .iter()
        .flat_map(|(said, _)| [said.at(0.1), said.at(0.9)]);
    let (low, high) = span(measured.flatten().copied().chain(bands));
    let margin = 0.25 * (high - low);
    let wide = fan
        .ahead
        .iter()
        .flat_map(|(said, _)| [said.at(0.025), said.at(0.975)]);
    let (lowest, highest) = span(wide);
    (
        low.min(lowest.max(low - margin)),
        high.max(highest.min(high + margin)),
    )
}

fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

fn axes(
    canvas: &Canvas<'_>,
    fan: &Fan,
    (slots, values): (&Scale, &Scale),
    (left, top): (f64, f64),
) {
    let (right, bottom) = (left + PANEL.0, top + PANEL.1);
    let (ticks, step) = values.ticks(5);
    for value in ticks {
        let y = values.at(value);
        canvas.line(&[(left, y), (right, y)], INK.mix(0.1), 1.0);
        canvas.note((left - 6.0, y), &tick(value, step), Align::Right);
    }
    let horizon = fan.ahead.len() as f64;
    let mut at = horizon;
    while at >= 1.0 - fan.before.len() as f64 {
        let x = slots.at(at);
        let align = if at == horizon {
            Align::Right
        } else {
            Align::Center
        };
        let words = if at == 0.0 {
            "origin".to_owned()
        } else {
            let sign = if at < 0.0 { "\u{2212}" } else { "+" };
            format!("{sign}{}", span_words(fan.step * at.abs() as i64))
        };
        canvas.line(&[(x, bottom), (x, bottom + 4.0)], INK.mix(0.4), 1.0);
        canvas.note((x, bottom + 14.0), &words, align);
        at -= horizon;
    }
    canvas.heading((left, top - 30.0), &shorten(&fan.name, 38), Align::Left);
    let rank = match fan.rank {
        Rank::Best => "best",
        Rank::Middle => "middle",
        Rank::Worst => "worst",
    };
    let note = format!(
        "{rank} at {} ({:.2})",
        span_words(fan.step),
        fan.relative_crps
    );
    canvas.note((left, top - 13.0), &note, Align::Left);
}
