//! The ladder: how much of the static policy's cost each arm saves, a panel a family or history.
use plotters::style::{Color, RGBColor};

use super::Figure;
use super::canvas::{
    Align, BLUE, Canvas, GREEN, INK, LABEL, ORANGE, PURPLE, SKY, Scale, VERMILLION, Words, figure,
    text_width,
};
use crate::arms::{Class, class_of};
use crate::evaluation::Bounds;
use crate::ladder::{CLAIRVOYANT, Ladder, OnHistory};
use crate::report::format::tick;

const COLUMNS: usize = 2;
const NAMES: f64 = 150.0;
const PANEL: f64 = 300.0;
const GAP: f64 = 40.0;
const ROW: f64 = 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
const LEGEND: f64 = 34.0;
/// Arms dearer than the static policy by more than this share are drawn as an arrow: the
/// steps that matter are near it.
const LOWEST: f64 = -0.3;

/// The arms of one family or history, dearest first.
struct Panel<'a> {
    title: &'a str,
    arms: Vec<Mark<'a>>,
}

/// One arm: the share that it saves, none for the one that the others are compared with.
struct Mark<'a> {
    arm: &'a str,
    class: Option<Class>,
    saved: Option<Bounds>,
}

/// Draws the ladder of every family.
pub fn draw(ladders: &[Ladder]) -> Option<Figure> {
    let words = Words {
        name: "ladder",
        title: "What each step saves".to_owned(),
        caption: "Share of the static policy's cost that an arm saves on the same held-out scenarios, with its \
                  95 % bootstrap interval; right of the line is cheaper. Arms that cost over 30 % more are \
                  arrows at the edge, with their share. The clairvoyant bound is what nobody can do better than."
            .to_owned(),
    };
    panels(words, &ladders.iter().map(family).collect::<Vec<_>>())
}

fn family(ladder: &Ladder) -> Panel<'_> {
    let rungs = ladder.rungs.iter();
    Panel {
        title: &ladder.family,
        arms: rungs
            .map(|rung| Mark {
                arm: &rung.arm,
                class: rung.class,
                saved: rung.saved.map(Bounds::from),
            })
            .collect(),
    }
}

/// Draws the same arms on recorded histories.
pub fn histories(found: &[OnHistory]) -> Option<Figure> {
    let words = Words {
        name: "histories",
        title: "What each step saves on recorded histories".to_owned(),
        caption: "The same arms, tuned in simulation and replayed without any change. Share of the static policy's cost \
                  that an arm saves, with its 95 % interval over whole weeks; right of the line is cheaper. Of the \
                  clairvoyant bound, which nobody can do better than, there is no interval."
            .to_owned(),
    };
    panels(words, &found.iter().map(history).collect::<Vec<_>>())
}

fn history(one: &OnHistory) -> Panel<'_> {
    let mut arms: Vec<(f64, Mark<'_>)> = one
        .replay
        .arms
        .iter()
        .map(|arm| {
            let mark = Mark {
                arm: &arm.arm,
                class: class_of(&arm.arm),
                saved: one.saved(arm),
            };
            (arm.total.cost_usd, mark)
        })
        .collect();
    let bound = Mark {
        arm: CLAIRVOYANT,
        class: None,
        saved: Some(one.to_the_bound()),
    };
    arms.push((one.clairvoyant_usd, bound));
    arms.sort_by(|a, b| b.0.total_cmp(&a.0));
    Panel {
        title: &one.replay.history,
        arms: arms.into_iter().map(|(_, mark)| mark).collect(),
    }
}

fn panels(words: Words, panels: &[Panel<'_>]) -> Option<Figure> {
    let most = panels.iter().map(|panel| panel.arms.len()).max()?;
    let rows = panels.len().div_ceil(COLUMNS);
    let panel_height = TOP + ROW * most as f64 + BOTTOM;
    let width = COLUMNS as f64 * (NAMES + PANEL + GAP);
    let height = LEGEND + rows as f64 * panel_height;
    Some(figure(words, (width as u32, height as u32), |canvas| {
        legend(canvas);
        for (index, panel) in panels.iter().enumerate() {
            let left = (index % COLUMNS) as f64 * (NAMES + PANEL + GAP) + NAMES;
            let top = LEGEND + (index / COLUMNS) as f64 * panel_height + TOP;
            draw_panel(canvas, panel, (left, top));
        }
    }))
}

fn draw_panel(canvas: &Canvas<'_>, panel: &Panel<'_>, (left, top): (f64, f64)) {
    let bottom = top + ROW * panel.arms.len() as f64;
    let saved = panel.arms.iter().filter_map(|mark| mark.saved);
    let lowest = saved.clone().fold(0.0, |low: f64, one| low.min(one.low));
    let highest = saved.fold(0.05, |high: f64, one| high.max(one.high));
    let scale = Scale::new((lowest.max(LOWEST), highest), (left, left + PANEL));
    canvas.heading((left, top - 18.0), panel.title, Align::Left);
    let (ticks, step) = scale.ticks(5);
    for value in ticks {
        let x = scale.at(value);
        canvas.line(&[(x, top), (x, bottom)], INK.mix(0.12), 1.0);
        let shown = format!("{} %", tick(100.0 * value, 100.0 * step));
        canvas.note((x, bottom + 14.0), &shown, Align::Center);
    }
    let zero = scale.at(0.0);
    canvas.line(&[(zero, top), (zero, bottom)], INK.mix(0.8), 1.25);
    for (index, mark) in panel.arms.iter().enumerate() {
        let y = top + ROW * (index as f64 + 0.5);
        canvas.text((left - 10.0, y), mark.arm, LABEL, Align::Right);
        draw_mark(canvas, &scale, mark, (left, y));
    }
}

fn draw_mark(canvas: &Canvas<'_>, scale: &Scale, mark: &Mark<'_>, (left, y): (f64, f64)) {
    let color = color(mark.class);
    let Some(saved) = mark.saved else {
        canvas.circle((scale.at(0.0), y), 5.0, color.mix(1.0));
        return;
    };
    if !scale.contains(saved.mean) {
        canvas.line(
            &[
                (left + 12.0, y - 4.0),
                (left + 4.0, y),
                (left + 12.0, y + 4.0),
            ],
            color.mix(1.0),
            2.0,
        );
        let shown = format!("{} %", tick(100.0 * saved.mean, 1.0));
        canvas.note((left + 18.0, y), &shown, Align::Left);
        return;
    }
    let ends = [scale.clamped(saved.low), scale.clamped(saved.high)];
    canvas.line(&[(ends[0], y), (ends[1], y)], color.mix(0.9), 2.5);
    canvas.circle((scale.at(saved.mean), y), 4.0, color.mix(1.0));
}

/// The colour of a step.
pub(super) fn color(class: Option<Class>) -> RGBColor {
    match class {
        Some(Class::Reference) => INK,
        Some(Class::Vendor) => ORANGE,
        Some(Class::Newsvendor) => SKY,
        Some(Class::Static) => VERMILLION,
        Some(Class::Adaptive) => BLUE,
        Some(Class::Privileged) => PURPLE,
        None => GREEN,
    }
}

/// What the colours mean, in one line from the left.
pub(super) fn legend(canvas: &Canvas<'_>) {
    let mut x = 12.0;
    let steps = [
        ("reference", Some(Class::Reference)),
        ("vendor-like", Some(Class::Vendor)),
        ("newsvendor", Some(Class::Newsvendor)),
        ("static", Some(Class::Static)),
        ("adaptive", Some(Class::Adaptive)),
        ("privileged", Some(Class::Privileged)),
        ("learnt, or bound", None),
    ];
    for (name, class) in steps {
        canvas.circle((x, 14.0), 4.5, color(class).mix(1.0));
        canvas.note((x + 10.0, 14.0), name, Align::Left);
        x += 34.0 + text_width(name, 12.0);
    }
}
