//! The figures of a backtest of forecasters.
mod coverage;
mod fans;
mod pit;
mod reliability;
mod skill;

use plotters::style::RGBColor;
use prestage_telemetry::Span;

use super::Figure;
use super::canvas::{self, ORANGE};
use crate::report::Backtested;

/// A colour for each task; there are two unless somebody asks for other steps.
const TASK_COLORS: [RGBColor; 4] = [canvas::BLUE, ORANGE, canvas::GREEN, canvas::PURPLE];

/// Draws what there are results for.
pub fn draw(found: &Backtested) -> Vec<Figure> {
    [
        fans::draw(&found.fans),
        skill::draw(found),
        coverage::draw(&found.tasks),
        pit::draw(&found.tasks),
        reliability::draw(&found.events),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn task_color(index: usize) -> RGBColor {
    TASK_COLORS[index % TASK_COLORS.len()]
}

/// A length of time as people say it.
fn span_words(span: Span) -> String {
    let minutes = span.as_minutes();
    if minutes >= 60.0 {
        format!("{} h", trimmed(minutes / 60.0))
    } else {
        format!("{} min", trimmed(minutes))
    }
}

fn trimmed(value: f64) -> String {
    let shown = format!("{value:.1}");
    shown.strip_suffix(".0").unwrap_or(&shown).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_hours_or_minutes() {
        assert_eq!(span_words(Span::from_hours(1)), "1 h");
        assert_eq!(span_words(Span::from_minutes(90)), "1.5 h");
        assert_eq!(span_words(Span::from_minutes(5)), "5 min");
    }
}
