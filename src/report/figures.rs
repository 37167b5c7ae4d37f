//! The figures of the report, as SVG.
//!
//! Drawn by plotters; colours that are not data follow the page (`currentColor`), so that
//! one drawing reads on light and on dark paper. Without the feature `plots` there are
//! none. Must not compute what it shows: that is in the summary.
#[cfg(feature = "plots")]
mod canvas;
#[cfg(feature = "plots")]
mod cost;
#[cfg(feature = "plots")]
mod dials;
#[cfg(feature = "plots")]
mod forecast;
#[cfg(feature = "plots")]
mod ladder;
#[cfg(feature = "plots")]
mod learning;
#[cfg(feature = "plots")]
mod outcomes;
#[cfg(feature = "plots")]
mod pareto;
#[cfg(feature = "plots")]
mod quantiles;
#[cfg(feature = "plots")]
mod terms;
#[cfg(feature = "plots")]
mod timeline;

use super::Report;
use super::format::escape;

/// Whether this build can draw.
pub const ENABLED: bool = cfg!(feature = "plots");

/// A drawing with its words.
pub struct Figure {
    /// File name without extension, and anchor in the page.
    pub name: &'static str,
    /// One line above the drawing.
    pub title: String,
    /// What to see, below the drawing.
    pub caption: String,
    /// Width and height in CSS pixels.
    pub size: (u32, u32),
    /// SVG elements.
    pub elements: String,
    /// Coordinates for each CSS pixel.
    pub units: u32,
}

/// Draws what the run has data for.
#[cfg(feature = "plots")]
pub fn draw(report: &Report) -> Vec<Figure> {
    [
        cost::draw(report),
        outcomes::draw(report),
        learning::draw(report),
        timeline::draw(report),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Draws the quantiles of a calibration.
#[cfg(feature = "plots")]
pub fn quantiles(streams: &[crate::calibrate::StreamFit]) -> Option<Figure> {
    quantiles::draw(streams)
}

/// Draws headroom against each dial.
#[cfg(feature = "plots")]
pub fn dials(rows: &[crate::dials::Row]) -> Option<Figure> {
    dials::draw(rows)
}

/// Draws the ladders of an experiment.
#[cfg(feature = "plots")]
pub fn ladder(
    ladders: &[crate::ladder::Ladder],
    histories: &[crate::ladder::OnHistory],
) -> Vec<Figure> {
    [
        ladder::draw(ladders),
        ladder::histories(histories),
        pareto::draw(ladders),
        terms::draw(ladders),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Draws a backtest of forecasters.
#[cfg(feature = "plots")]
pub fn forecast(found: &crate::report::Backtested) -> Vec<Figure> {
    forecast::draw(found)
}

/// Draws nothing: this build has no plotter.
#[cfg(not(feature = "plots"))]
pub fn forecast(_: &crate::report::Backtested) -> Vec<Figure> {
    Vec::new()
}

/// Draws nothing: this build has no plotter.
#[cfg(not(feature = "plots"))]
pub fn ladder(_: &[crate::ladder::Ladder], _: &[crate::ladder::OnHistory]) -> Vec<Figure> {
    Vec::new()
}

/// Draws nothing: this build has no plotter.
#[cfg(not(feature = "plots"))]
pub fn dials(_: &[crate::dials::Row]) -> Option<Figure> {
    None
}

/// Draws nothing: this build has no plotter.
#[cfg(not(feature = "plots"))]
pub fn quantiles(_: &[crate::calibrate::StreamFit]) -> Option<Figure> {
    None
}

/// Draws nothing: this build has no plotter.
#[cfg(not(feature = "plots"))]
pub fn draw(_: &Report) -> Vec<Figure> {
    Vec::new()
}

impl Figure {
    /// The drawing as part of an HTML page.
    pub fn inline(&self) -> String {
        format!("<svg {}>\n{}</svg>\n", self.attributes(), self.elements)
    }

    /// The drawing as a file of its own, which brings its paper and ink along.
    pub fn standalone(&self) -> String {
        let (width, height) = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" {}>\n\
             <style>svg {{ background: #fff; color: #1b1f24 }} \
             @media (prefers-color-scheme: dark) {{ svg {{ background: #14171a; color: #e4e7ea }} }}\
             </style>\n{}</svg>\n",
            self.attributes(),
            self.elements
        )
    }

    fn attributes(&self) -> String {
        let (width, height) = (self.size.0 * self.units, self.size.1 * self.units);
        format!(
            "viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\"",
            escape(&self.title)
        )
    }
}
