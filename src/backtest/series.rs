//! The series of histories and of CSV files, under one type.
use std::path::{Path, PathBuf};

use anyhow::Result;
use prestage_telemetry::{History, Span, Timestamp};

use super::events;
use super::events::Dependencies;
use super::{RecordedEvents, RecordedSignals};
use crate::detection;

/// One recorded series.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedSeries {
    /// `world/service` of a history, the path of a file.
    pub name: String,
    /// Nominal distance of two samples.
    pub step: Span,
    /// In order of time; what was missing is left out.
    pub samples: Vec<(Timestamp, f64)>,
}

/// What was recorded: loads, and events where histories were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// The series, in the order given.
    pub series: Vec<RecordedSeries>,
    /// Events of the histories and tables of tags among them.
    pub events: Vec<RecordedEvents>,
    /// Advisories that hit, and releases of packages in the tables that the histories use.
    pub signals: Vec<RecordedSignals>,
}

/// All that histories (directories with a `world.json`), tables of tags, CSV files and directories
/// of CSV files hold, in the order given.
///
/// # Errors
/// The first that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Recorded> {
    let mut all = Recorded::default();
    let mut dependencies = Vec::new();
    let mut tables = Vec::new();
    for path in paths {
        if path.join("world.json").is_file() {
            let history = History::read(path)?;
            all.series.extend(of_history(&history));
            all.events.extend(events::of_history(&history));
            all.signals.extend(events::signals_of_history(&history));
            dependencies.push(Dependencies::of(&history));
        } else if events::is_table(path) {
            let packages = events::read_packages(path)?;
            all.events.extend(packages.streams());
            tables.push(packages);
        } else {
            all.series.extend(of_files(path)?);
        }
    }
    for (package, releases) in tables.iter().flat_map(|packages| packages.mains()) {
        let adopted = dependencies
            .iter()
            .filter_map(|one| one.adoptions(package, &releases));
        all.signals.extend(adopted);
    }
    Ok(all)
}

fn of_history(history: &History) -> Vec<RecordedSeries> {
    history
        .traffic
        .iter()
        .map(|traffic| RecordedSeries {
            name: format!("{}/{}", history.world.world, traffic.service),
            step: Span::from_seconds(traffic.step_s.max(1)),
            samples: traffic
                .times
                .iter()
                .zip(&traffic.values)
                .map(|(&at, &value)| (Timestamp::from_seconds(at), value))
                .collect(),
        })
        .collect()
}

fn of_files(path: &Path) -> Result<Vec<RecordedSeries>> {
    let files = if path.is_dir() {
        detection::read_directory(path)?
    } else {
        vec![detection::read_series(path)?]
    };
    Ok(files.into_iter().map(of_file).collect())
}

fn of_file(file: detection::Series) -> RecordedSeries {
    let step = file.step();
    let mut samples: Vec<(Timestamp, f64)> = file
        .times
        .into_iter()
        .zip(file.values)
        .filter(|(_, value)| value.is_finite())
        .collect();
    samples.sort_by_key(|&(at, _)| at);
    RecordedSeries {
        name: file.name,
        step,
        samples,
    }
}
