//! A drawing surface in CSS pixels over plotters' SVG backend, scales and ticks.
//!
//! plotters rounds coordinates to whole numbers; drawing at four units for each pixel
//! keeps curves smooth. Layout is explicit, because the text must stay text, and its
//! width is then only known to the browser.
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Figure;

/// Coordinates for each CSS pixel.
const UNITS: f64 = 4.0;
/// plotters divides a font's size by this before it writes it.
const FONT_SCALE: f64 = 1.24;
/// Average width of a character of a sans-serif font, as a share of its size.
const CHARACTER_WIDTH: f64 = 0.56;

/// Text and axes; becomes the page's own colour.
pub const INK: RGBColor = RGBColor(0, 0, 0);
/// Okabe and Ito's palette, which colour-blind readers can tell apart. Its black is
/// [`INK`]; its yellow is left out, since it vanishes on white paper.
pub const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
/// See [`ORANGE`].
pub const SKY: RGBColor = RGBColor(0x56, 0xB4, 0xE9);
/// See [`ORANGE`].
pub const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
/// See [`ORANGE`].
pub const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
/// See [`ORANGE`].
pub const VERMILLION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
/// See [`ORANGE`].
pub const PURPLE: RGBColor = RGBColor(0xCC, 0x79, 0xA7);

/// Font size of labels, pixels.
pub const LABEL: f64 = 13.0;
/// Font size of ticks and notes, pixels.
pub const SMALL: f64 = 12.0;

/// Where a text stands relative to its point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// The point is its left end.
    Left,
    /// The point is its middle.
    Center,
    /// The point is its right end.
    Right,
}

/// A drawing in progress.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Maps values to pixels.
#[derive(Clone, Copy)]
pub struct Scale {
    domain: (f64, f64),
    range: (f64, f64),
}

/// What a figure says about itself.
pub struct Words {
    /// File name without extension.
    pub name: &'static str,
    /// One line above.
    pub title: String,
    /// Text below.
    pub caption: String,
}

/// Draws a figure of `width` x `height` CSS pixels.
pub fn figure(words: Words, size: (u32, u32), paint: impl FnOnce(&Canvas<'_>)) -> Figure {
    let mut svg = String::new();
    let units = UNITS as u32;
    {
        let backend = SVGBackend::with_string(&mut svg, (size.0 * units, size.1 * units));
        let canvas = Canvas {
            area: backend.into_drawing_area(),
        };
        paint(&canvas);
        infallible(canvas.area.present());
    }
    Figure {
        name: words.name,
        title: words.title,
        caption: words.caption,
        size,
        elements: follow_page(&svg),
        units,
    }
}

impl Canvas<'_> {
    /// A polyline, `width` pixels wide.
    pub fn line(&self, points: &[(f64, f64)], color: RGBAColor, width: f64) {
        let points: Vec<(i32, i32)> = points.iter().copied().map(units).collect();
        let style = color.stroke_width((width * UNITS).round() as u32);
        infallible(self.area.draw(&PathElement::new(points, style)));
    }

    /// A dashed horizontal line.
    pub fn dashes(&self, from: f64, to: f64, y: f64, color: RGBAColor) {
        let mut x = from;
        while x < to {
            self.line(&[(x, y), ((x + 6.0).min(to), y)], color, 1.5);
            x += 10.0;
        }
    }

    /// A filled rectangle between two corners.
    pub fn rectangle(&self, corner: (f64, f64), opposite: (f64, f64), color: RGBAColor) {
        let corners = [units(corner), units(opposite)];
        infallible(self.area.draw(&Rectangle::new(corners, color.filled())));
    }

    /// The outline of a rectangle. A closed path, because plotters writes rectangles
    /// without their stroke width.
    pub fn frame(&self, (left, top): (f64, f64), (right, bottom): (f64, f64), color: RGBAColor) {
        let corners = [
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
            (left, top),
        ];
        self.line(&corners, color, 1.5);
    }

    /// A filled polygon.
    pub fn polygon(&self, points: &[(f64, f64)], color: RGBAColor) {
        let points: Vec<(i32, i32)> = points.iter().copied().map(units).collect();
        infallible(self.area.draw(&Polygon::new(points, color.filled())));
    }

    /// A filled circle.
    pub fn circle(&self, center: (f64, f64), radius: f64, color: RGBAColor) {
        let element = Circle::new(
            units(center),
            (radius * UNITS).round() as i32,
            color.filled(),
        );
        infallible(self.area.draw(&element));
    }

    /// A text, centred vertically on its point.
    pub fn text(&self, at: (f64, f64), text: &str, size: f64, align: Align) {
        self.styled_text(at, text, size, align, INK.mix(1.0), FontStyle::Normal);
    }

    /// A text of less weight than the others.
    pub fn note(&self, at: (f64, f64), text: &str, align: Align) {
        self.styled_text(at, text, SMALL, align, INK.mix(0.68), FontStyle::Normal);
    }

    /// A bold text.
    pub fn heading(&self, at: (f64, f64), text: &str, align: Align) {
        self.styled_text(at, text, LABEL, align, INK.mix(1.0), FontStyle::Bold);
    }

    fn styled_text(
        &self,
        at: (f64, f64),
        text: &str,
        size: f64,
        align: Align,
        color: RGBAColor,
        style: FontStyle,
    ) {
        let horizontal = match align {
            Align::Left => HPos::Left,
            Align::Center => HPos::Center,
            Align::Right => HPos::Right,
        };
        let font = FontDesc::new(FontFamily::SansSerif, size * FONT_SCALE * UNITS, style);
        let style = TextStyle::from(font)
            .color(&color)
            .pos(Pos::new(horizontal, VPos::Center));
        infallible(
            self.area
                .draw(&Text::new(text.to_owned(), units(at), style)),
        );
    }
}

impl Scale {
    /// Maps `domain` linearly onto `range`. An empty domain is widened.
    pub fn new(domain: (f64, f64), range: (f64, f64)) -> Self {
        let (low, high) = domain;
        let domain = if high > low {
            domain
        } else {
            (low - 0.5, high + 0.5)
        };
        Self { domain, range }
    }

    /// Pixel of a value.
    pub fn at(&self, value: f64) -> f64 {
        let share = (value - self.domain.0) / (self.domain.1 - self.domain.0);
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// Pixel of a value, or of the nearer end of the domain.
    pub fn clamped(&self, value: f64) -> f64 {
        self.at(value.clamp(self.domain.0, self.domain.1))
    }

    /// Whether the value lies in the domain.
    pub fn contains(&self, value: f64) -> bool {
        (self.domain.0..=self.domain.1).contains(&value)
    }

    /// About `count` round values within the domain, and their distance.
    pub fn ticks(&self, count: usize) -> (Vec<f64>, f64) {
        let step = round_step((self.domain.1 - self.domain.0) / count.max(1) as f64);
        let first = (self.domain.0 / step).ceil() as i64;
        let last = (self.domain.1 / step + 1e-9).floor() as i64;
        (
            (first..=last).map(|index| index as f64 * step).collect(),
            step,
        )
    }
}

/// The smallest of 1, 2, 5 x 10^n that is not below `step`.
fn round_step(step: f64) -> f64 {
    let magnitude = 10_f64.powf(step.log10().floor());
    let candidates = [1.0, 2.0, 5.0, 10.0];
    let found = candidates
        .into_iter()
        .find(|factor| factor * magnitude >= step * 0.999);
    found.unwrap_or(10.0) * magnitude
}

/// About how wide a text will be, pixels.
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * CHARACTER_WIDTH
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

/// plotters' drawing is fallible for the sake of files and fonts.
fn infallible<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.expect("drawing into a string uses neither files nor fonts")
}

/// Drops plotters' `svg` element, for the figure brings its own, and lets ink follow the
/// page's colour.
fn follow_page(svg: &str) -> String {
    let inner = svg.find('\n').map_or("", |end| &svg[end + 1..]);
    let inner = inner.rfind("</svg>").map_or(inner, |end| &inner[..end]);
    inner.replace("\"#000000\"", "\"currentColor\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let (ticks, step) = Scale::new((0.0, 0.93), (0.0, 100.0)).ticks(5);
        assert_eq!(step, 0.2);
        assert_eq!(ticks.len(), 5);
        let (ticks, step) = Scale::new((-37.0, 12.0), (0.0, 100.0)).ticks(5);
        assert_eq!((ticks, step), (vec![-30.0, -20.0, -10.0, 0.0, 10.0], 10.0));
        assert_eq!(Scale::new((3.0, 3.0), (0.0, 10.0)).at(3.0), 5.0);
    }

    #[test]
    fn text_is_escaped_and_ink_follows_the_page() {
        let words = Words {
            name: "x",
            title: "a <b>".to_owned(),
            caption: String::new(),
        };
        let figure = figure(words, (10, 20), |canvas| {
            canvas.text((1.0, 2.0), "<script>&", LABEL, Align::Left);
        });
        let svg = figure.inline();
        assert!(svg.contains("&lt;script&gt;&amp;"), "{svg}");
        assert!(svg.contains("fill=\"currentColor\""), "{svg}");
        assert!(!svg.contains("#000000"), "{svg}");
        assert!(svg.contains("viewBox=\"0 0 40 80\""), "{svg}");
        assert!(svg.contains("aria-label=\"a &lt;b&gt;\""), "{svg}");
        assert_eq!(svg.matches("<svg").count(), 1);
    }
}
