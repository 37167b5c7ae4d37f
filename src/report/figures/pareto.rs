//! Service against waste: needs met in time and stages never used, a panel a family.
use plotters::style::Color;

use super::Figure;
use super::canvas::{Align, Canvas, INK, SMALL, Scale, Words, figure, text_width};
use super::ladder::{color, legend};
use crate::ladder::{Ladder, Rung};
use crate::report::format::tick;

const COLUMNS: usize = 2;
const PANEL: (f64, f64) = (380.0, 230.0);
const LEFT: f64 = 62.0;
const GAP: f64 = 48.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 58.0;
const LEGEND: f64 = 34.0;

/// Draws every family.
pub fn draw(ladders: &[Ladder]) -> Option<Figure> {
    if ladders.is_empty() {
        return None;
    }
    let rows = ladders.len().div_ceil(COLUMNS);
    let (width, height) = PANEL;
    let size = (
        COLUMNS as f64 * (LEFT + width + GAP),
        LEGEND + rows as f64 * (TOP + height + BOTTOM),
    );
    let words = Words {
        name: "pareto",
        title: "Service against waste".to_owned(),
        caption: "Up: needs that found their stage ready. Across: stages made ahead that no need ever used, a \
                  week and on a scale that grows with the square. Better is up and to the left; arms on the line \
                  are not beaten in both at once. `never` and `reactive` make no stage ahead; the clairvoyant bound \
                  has no stages of its own and is not shown."
            .to_owned(),
    };
    Some(figure(words, (size.0 as u32, size.1 as u32), |canvas| {
        legend(canvas);
        for (index, ladder) in ladders.iter().enumerate() {
            let left = (index % COLUMNS) as f64 * (LEFT + width + GAP) + LEFT;
            let top = LEGEND + (index / COLUMNS) as f64 * (TOP + height + BOTTOM) + TOP;
            panel(canvas, ladder, (left, top));
        }
    }))
}

/// Waste a week, and the share of needs met in time; none for an arm without needs.
fn point(rung: &Rung) -> Option<(f64, f64)> {
    let totals = &rung.totals;
    (totals.needs > 0.0).then(|| (7.0 * totals.waste, totals.hits / totals.needs))
}

fn panel(canvas: &Canvas<'_>, ladder: &Ladder, (left, top): (f64, f64)) {
    let (width, height) = PANEL;
    let points: Vec<(&Rung, (f64, f64))> = ladder
        .rungs
        .iter()
        .filter_map(|rung| Some((rung, point(rung)?)))
        .collect();
    let most = points.iter().fold(1.0, |most: f64, (_, at)| most.max(at.0));
    let across = Scale::new((0.0, most.sqrt()), (left, left + width));
    let up = Scale::new((0.0, 1.0), (top + height, top));
    canvas.heading((left, top - 18.0), &ladder.family, Align::Left);
    for value in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = up.at(value);
        canvas.line(&[(left, y), (left + width, y)], INK.mix(0.12), 1.0);
        canvas.note(
            (left - 8.0, y),
            &format!("{:.0} %", 100.0 * value),
            Align::Right,
        );
    }
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let waste = (most.sqrt() * share).powi(2);
        let x = across.at(waste.sqrt());
        canvas.line(&[(x, top), (x, top + height)], INK.mix(0.12), 1.0);
        canvas.note((x, top + height + 14.0), &tick(waste, 1.0), Align::Center);
    }
    canvas.note(
        (left + width / 2.0, top + height + 34.0),
        "stages never used, a week",
        Align::Center,
    );
    let pixel = |at: (f64, f64)| (across.at(at.0.sqrt()), up.at(at.1));
    let steps: Vec<(f64, f64)> = front(points.iter().map(|(_, at)| *at))
        .into_iter()
        .map(pixel)
        .collect();
    canvas.line(&steps, INK.mix(0.5), 1.25);
    let marks: Vec<(f64, f64)> = points.iter().map(|(_, at)| pixel(*at)).collect();
    for ((rung, _), &mark) in points.iter().zip(&marks) {
        canvas.circle(mark, 4.5, color(rung.class).mix(0.9));
    }
    let mut names = Names {
        panel: (left, left + width),
        marks: &marks,
        taken: Vec::new(),
    };
    for ((rung, _), &mark) in points.iter().zip(&marks) {
        names.place(canvas, &rung.arm, mark);
    }
}

/// Names beside points, where neither a point nor another name stands.
struct Names<'a> {
    /// Left and right end.
    panel: (f64, f64),
    marks: &'a [(f64, f64)],
    /// Left end, right end and middle line of the names that stand.
    taken: Vec<(f64, f64, f64)>,
}

impl Names<'_> {
    /// To the right of its point, or else to the left; a crowded one stays without.
    fn place(&mut self, canvas: &Canvas<'_>, name: &str, (x, y): (f64, f64)) {
        let width = text_width(name, SMALL);
        let right = (x + 8.0, x + 8.0 + width);
        let left = (x - 8.0 - width, x - 8.0);
        for ((start, end), align) in [(right, Align::Left), (left, Align::Right)] {
            if self.is_free(start, end, y) {
                self.taken.push((start, end, y));
                let at = if align == Align::Left { start } else { end };
                canvas.note((at, y), name, align);
                return;
            }
        }
    }

    fn is_free(&self, start: f64, end: f64, y: f64) -> bool {
        let holds =
            |x: f64, other: f64| (start - 4.0..=end + 4.0).contains(&x) && (other - y).abs() < 10.0;
        let overlaps = |&(from, to, other): &(f64, f64, f64)| {
            from < end + 6.0 && start - 6.0 < to && (other - y).abs() < 13.0
        };
        self.panel.0 <= start
            && end <= self.panel.1
            && !self.marks.iter().any(|&(x, other)| holds(x, other))
            && !self.taken.iter().any(overlaps)
    }
}

/// Those with less waste than any that meets as many needs, by waste.
fn front(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut sorted: Vec<(f64, f64)> = points.collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut best = f64::NEG_INFINITY;
    sorted.retain(|point| {
        let is_better = point.1 > best;
        best = best.max(point.1);
        is_better
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_keeps_what_is_not_beaten_in_both() {
        let points = [
            (0.0, 0.1),
            (0.0, 0.3),
            (5.0, 0.2),
            (5.0, 0.8),
            (9.0, 0.8),
            (20.0, 0.9),
        ];
        assert_eq!(
            front(points.into_iter()),
            [(0.0, 0.3), (5.0, 0.8), (20.0, 0.9)]
        );
    }
}
