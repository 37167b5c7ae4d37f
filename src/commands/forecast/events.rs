//! Need models in the output of `forecast backtest`: as JSON and as tables.
use serde_json::{Value, json};

use crate::backtest::{EventSummary, StreamVerdict};
use crate::output::{Cell, Table};
use crate::statistics::Interval;

/// The fields of one need model.
pub(super) fn json(event: &EventSummary) -> Value {
    json!({
        "need": event.need,
        "model": event.model,
        "streams": event.streams,
        "origins": event.origins,
        "frequency": event.frequency,
        "log_score": event.log_score,
        "vs_histogram": event.vs_histogram.map(|gain| gain.estimate),
        "vs_histogram_interval": bounds(event.vs_histogram),
        "vs_poisson": event.vs_poisson.map(|gain| gain.estimate),
        "vs_poisson_interval": bounds(event.vs_poisson),
        "brier": event.brier,
        "ece": event.ece,
        "reliability": event.reliability,
        "predictable": event.predictable(),
        "verdicts": event.verdicts.iter().map(verdict_json).collect::<Vec<Value>>(),
    })
}

/// One row for each need model.
pub(super) fn table(events: &[EventSummary]) -> Table {
    let mut table = Table::new(&[
        "need",
        "model",
        "streams",
        "predictable",
        "origins",
        "frequency",
        "log_score",
        "brier",
        "vs_histogram",
        "vs_histogram_lower",
        "vs_histogram_upper",
        "vs_poisson",
        "vs_poisson_lower",
        "vs_poisson_upper",
        "ece",
    ]);
    for event in events {
        let mut cells = vec![
            Cell::text(event.need),
            Cell::text(event.model),
            Cell::Count(event.streams as u64),
            Cell::Count(event.predictable().len() as u64),
            Cell::Count(event.origins as u64),
            Cell::Number(event.frequency, 3),
            Cell::Number(event.log_score, 4),
            Cell::Number(event.brier, 4),
        ];
        cells.extend(
            [event.vs_histogram, event.vs_poisson]
                .into_iter()
                .flat_map(gain_cells),
        );
        cells.push(Cell::Number(event.ece, 3));
        table.push(cells);
    }
    table
}

/// One row for each need model and stream.
pub(super) fn verdict_table(events: &[EventSummary]) -> Table {
    let mut table = Table::new(&[
        "need",
        "model",
        "stream",
        "origins",
        "followed",
        "vs_histogram",
        "vs_histogram_lower",
        "vs_histogram_upper",
        "vs_poisson",
        "vs_poisson_lower",
        "vs_poisson_upper",
        "verdict",
    ]);
    for event in events {
        for one in &event.verdicts {
            let mut cells = vec![
                Cell::text(event.need),
                Cell::text(event.model),
                Cell::text(one.stream.as_str()),
                Cell::Count(one.origins as u64),
                Cell::Count(one.followed as u64),
            ];
            cells.extend(
                [one.vs_histogram, one.vs_poisson]
                    .into_iter()
                    .flat_map(gain_cells),
            );
            cells.push(Cell::text(one.verdict.text()));
            table.push(cells);
        }
    }
    table
}

fn verdict_json(one: &StreamVerdict) -> Value {
    json!({
        "stream": one.stream,
        "origins": one.origins,
        "followed": one.followed,
        "vs_histogram": one.vs_histogram.map(|gain| gain.estimate),
        "vs_histogram_interval": bounds(one.vs_histogram),
        "vs_poisson": one.vs_poisson.map(|gain| gain.estimate),
        "vs_poisson_interval": bounds(one.vs_poisson),
        "verdict": one.verdict.text(),
    })
}

fn bounds(gain: Option<Interval>) -> Option<[f64; 2]> {
    gain.map(|gain| [gain.lower, gain.upper])
}

/// A gain and its bounds, four digits.
fn gain_cells(gain: Option<Interval>) -> [Cell; 3] {
    let number = |value: Option<f64>| value.map_or(Cell::Empty, |x| Cell::Number(x, 4));
    [
        number(gain.map(|gain| gain.estimate)),
        number(gain.map(|gain| gain.lower)),
        number(gain.map(|gain| gain.upper)),
    ]
}
