//! The report of a run: one HTML page that explains itself, and a summary as CSV.
//!
//! Reads the run folder and nothing else, so that a copied folder gives the same page,
//! byte for byte: no clock, no network, no scripts. Must not know how the numbers were
//! produced.
mod summary;
mod words;

mod backtest;
mod calibration;
mod figures;
mod format;
mod histories;
mod ladder;
mod page;

pub use self::backtest::{Backtested, SeriesSkill, TaskResult, write_backtest};
pub use self::calibration::calibration_page;
pub use self::ladder::write_ladder;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::run_folder::{self, Manifest, Progress, TimelineRow};
use figures::Figure;
use summary::Summary;

/// Everything the page shows.
struct Report {
    manifest: Manifest,
    summary: Summary,
    #[cfg_attr(
        not(feature = "plots"),
        expect(dead_code, reason = "only figures show it")
    )]
    progress: Vec<Progress>,
    #[cfg_attr(
        not(feature = "plots"),
        expect(dead_code, reason = "only figures show it")
    )]
    timeline: Vec<TimelineRow>,
}

/// Writes `report.html`, `results_summary.csv` and `figures/*.svg` into the run folder and
/// returns the path of the page.
///
/// Without the feature `plots` the page has no figures and says so.
///
/// # Errors
/// When a file of the folder is absent or wrong (named with line and column), or the
/// folder cannot be written.
pub fn write(run: &Path) -> Result<PathBuf> {
    let report = read(run)?;
    let figures = figures::draw(&report);
    write_figures(run, &figures)?;
    run_folder::write_file(&run.join("results_summary.csv"), &report.summary.csv()?)?;
    let path = run.join("report.html");
    run_folder::write_file(&path, page::render(&report, &figures).as_bytes())?;
    Ok(path)
}

/// Headroom against the level of each dial as an SVG file; `None` without the feature `plots`.
pub fn dials_figure(rows: &[crate::dials::Row]) -> Option<String> {
    figures::dials(rows).map(|figure| figure.standalone())
}

fn read(run: &Path) -> Result<Report> {
    let manifest = run_folder::read_manifest(run)?;
    let results = run_folder::read_results(run)?;
    let summary = Summary::new(&manifest, &results)
        .with_context(|| format!("`{}`", run.join(run_folder::RESULTS).display()))?;
    let progress = run_folder::read_progress(run)?;
    let timeline = run_folder::read_timeline(run)?;
    Ok(Report {
        manifest,
        summary,
        progress,
        timeline,
    })
}

fn write_figures(run: &Path, figures: &[Figure]) -> Result<()> {
    if figures.is_empty() {
        return Ok(());
    }
    let folder = run.join("figures");
    run_folder::create_folder(&folder)?;
    for figure in figures {
        let path = folder.join(format!("{}.svg", figure.name));
        run_folder::write_file(&path, figure.standalone().as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
