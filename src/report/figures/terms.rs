//! What the cost is made of: a stacked bar an arm, a panel a family.
use plotters::style::{Color, RGBColor};
use prestage_controller::CostTerms;

use super::Figure;
use super::canvas::{
    Align, BLUE, Canvas, GREEN, INK, LABEL, ORANGE, PURPLE, SKY, Scale, VERMILLION, Words, figure,
    text_width,
};
use crate::ladder::{Ladder, Rung};
use crate::report::format::{number, tick};

const COLUMNS: usize = 2;
const NAMES: f64 = 150.0;
const PANEL: f64 = 270.0;
const GAP: f64 = 70.0;
const ROW: f64 = 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
const LEGEND: f64 = 34.0;

/// What a term is called, how to read it, and its colour.
type Term = (&'static str, fn(&CostTerms) -> f64, RGBColor);

/// The terms in the order of their bars.
const TERMS: [Term; 6] = [
    ("SLO violation", |terms| terms.slo_violation, VERMILLION),
    ("people waiting", |terms| terms.blocked, ORANGE),
    ("exposure", |terms| terms.exposure, PURPLE),
    ("review and revert", |terms| terms.churn, SKY),
    ("idle replicas", |terms| terms.over_provision, GREEN),
    ("runners", |terms| terms.runner, BLUE),
];

/// Draws every family whose run kept the terms.
pub fn draw(ladders: &[Ladder]) -> Option<Figure> {
    let panels: Vec<(&Ladder, Vec<&Rung>)> = ladders
        .iter()
        .map(|ladder| (ladder, shown(ladder)))
        .filter(|(_, rungs)| !rungs.is_empty())
        .collect();
    let most = panels.iter().map(|(_, rungs)| rungs.len()).max()?;
    let panel_height = TOP + ROW * most as f64 + BOTTOM;
    let size = (
        COLUMNS as f64 * (NAMES + PANEL + GAP),
        LEGEND + panels.len().div_ceil(COLUMNS) as f64 * panel_height,
    );
    let words = Words {
        name: "terms",
        title: "What the cost is made of".to_owned(),
        caption: "US dollars a day under the scenario's own prices, cheapest arm below. Arms over three times as \
                  dear as the cheapest are left out; the table of each family has them."
            .to_owned(),
    };
    Some(figure(words, (size.0 as u32, size.1 as u32), |canvas| {
        legend(canvas);
        for (index, (ladder, rungs)) in panels.iter().enumerate() {
            let left = (index % COLUMNS) as f64 * (NAMES + PANEL + GAP) + NAMES;
            let top = LEGEND + (index / COLUMNS) as f64 * panel_height + TOP;
            panel(canvas, &ladder.family, rungs, (left, top));
        }
    }))
}

/// Arms with terms that are not hopelessly dear.
fn shown(ladder: &Ladder) -> Vec<&Rung> {
    let cheapest = ladder
        .rungs
        .iter()
        .filter_map(total)
        .fold(f64::INFINITY, f64::min);
    let is_near = |rung: &&Rung| total(rung).is_some_and(|total| total <= 3.0 * cheapest);
    ladder.rungs.iter().filter(is_near).collect()
}

fn total(rung: &Rung) -> Option<f64> {
    Some(rung.repriced.first()?.terms.total())
}

fn panel(canvas: &Canvas<'_>, family: &str, rungs: &[&Rung], (left, top): (f64, f64)) {
    let bottom = top + ROW * rungs.len() as f64;
    let most = rungs
        .iter()
        .filter_map(|rung| total(rung))
        .fold(0.0, f64::max);
    let scale = Scale::new((0.0, most), (left, left + PANEL));
    canvas.heading((left, top - 18.0), family, Align::Left);
    let (ticks, step) = scale.ticks(4);
    for value in ticks {
        let x = scale.at(value);
        canvas.line(&[(x, top), (x, bottom)], INK.mix(0.12), 1.0);
        canvas.note((x, bottom + 14.0), &tick(value, step), Align::Center);
    }
    for (index, rung) in rungs.iter().enumerate() {
        let y = top + ROW * (index as f64 + 0.5);
        canvas.text((left - 10.0, y), &rung.arm, LABEL, Align::Right);
        let mut sum = 0.0;
        for (_, of, color) in TERMS {
            let from = sum;
            sum += of(&rung.repriced[0].terms);
            let (corner, opposite) = ((scale.at(from), y - 7.0), (scale.at(sum), y + 7.0));
            canvas.rectangle(corner, opposite, color.mix(0.9));
        }
        canvas.note((scale.at(sum) + 7.0, y), &number(sum), Align::Left);
    }
}

fn legend(canvas: &Canvas<'_>) {
    let mut x = 12.0;
    for (name, _, color) in TERMS {
        canvas.rectangle((x - 5.0, 9.0), (x + 5.0, 19.0), color.mix(0.9));
        canvas.note((x + 10.0, 14.0), name, Align::Left);
        x += 34.0 + text_width(name, 12.0);
    }
}
