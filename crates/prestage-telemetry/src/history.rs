//! The history format: a recorded world as one directory of CSV files and `world.json`.
//!
//! Reading refuses whatever it does not understand and names file, line and column;
//! writing reads its own output back before it takes effect, so that a history which was
//! written can be read. Unknown is unknown: an empty field is `None`, never zero. Format
//! and columns are described in `docs/formats.md`. Must not know what a world does
//! with the rows.
mod check;
mod error;
mod meta;
mod rows;
mod table;
mod traffic;
mod write;

use std::fs;
use std::io;
use std::path::Path;

pub use check::{Report, StreamReport, check};
pub use error::Error;
pub use meta::{AdvisoriesMeta, CiMeta, FORMAT_VERSION, RowCount, ServiceMeta, WorldMeta};
pub use rows::{
    Advisory, AdvisoryKind, CiRun, Commit, DependencyChange, DependencyUpdate, RefType, Release,
    ReleaseKind, Severity,
};
pub use traffic::{TrafficSeries, TrafficWriter};

/// The files of a history, in the order they are read.
pub const FILES: [&str; 7] = [
    "world.json",
    "traffic.csv",
    "commits.csv",
    "releases.csv",
    "deps.csv",
    "advisories.csv",
    "ci_runs.csv",
];

/// A recorded world in memory. Every stream is in time order.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// `world.json`.
    pub world: WorldMeta,
    /// `traffic.csv`, one series for each entry of `world.services`, in that order.
    pub traffic: Vec<TrafficSeries>,
    /// `commits.csv`.
    pub commits: Vec<Commit>,
    /// `releases.csv`.
    pub releases: Vec<Release>,
    /// `deps.csv`.
    pub deps: Vec<DependencyUpdate>,
    /// `advisories.csv`.
    pub advisories: Vec<Advisory>,
    /// `ci_runs.csv`.
    pub ci_runs: Vec<CiRun>,
}

impl History {
    /// Reads and validates the history in `directory`.
    ///
    /// # Errors
    /// The first problem found, with file, line and column. [`Error::is_environment`]
    /// tells a failing disk from a wrong file.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let world = read_world(directory)?;
        let history = Self {
            traffic: traffic::read(directory, &world)?,
            commits: table::read(directory)?,
            releases: table::read(directory)?,
            deps: table::read(directory)?,
            advisories: table::read(directory)?,
            ci_runs: table::read(directory)?,
            world,
        };
        history.check_counts(directory)?;
        Ok(history)
    }

    /// Writes the history to `directory`, which must be absent, empty or a history.
    ///
    /// All or nothing: the files are written to a hidden sibling, flushed to disk, read
    /// back and compared, and then renamed. A history that is replaced stands beside it
    /// until the new one is in place. One writer at a time for each directory.
    ///
    /// # Errors
    /// When the directory holds something else, the disk fails, or `self` is not a valid
    /// history (then the error names the row as it was to be written).
    pub fn write(&self, directory: &Path) -> Result<(), Error> {
        write::write(self, directory)
    }

    /// Writes a history whose traffic does not fit into memory: `fill` pushes its
    /// samples in time order, as many of each series as `world.services` says;
    /// `self.traffic` is not looked at.
    ///
    /// All or nothing, as [`History::write`]; the traffic is checked as it is pushed and
    /// not read back.
    ///
    /// # Errors
    /// As [`History::write`].
    pub fn write_streaming(
        &self,
        directory: &Path,
        fill: &mut dyn FnMut(&mut TrafficWriter<'_>) -> io::Result<()>,
    ) -> Result<(), Error> {
        write::write_streaming(self, directory, fill)
    }

    /// Sets every row count in `world` to what the streams hold.
    pub fn count_rows(&mut self) {
        for (service, series) in self.world.services.iter_mut().zip(&self.traffic) {
            service.rows = Some(series.times.len() as u64);
        }
        let count = |rows: usize| Some(RowCount { rows: rows as u64 });
        self.world.commits = count(self.commits.len());
        self.world.releases = count(self.releases.len());
        self.world.deps = count(self.deps.len());
        let advisories = self.advisories.len() as u64;
        match &mut self.world.advisories {
            Some(meta) => meta.rows = advisories,
            none => {
                *none = Some(AdvisoriesMeta {
                    rows: advisories,
                    exposed: None,
                    fixed: None,
                })
            }
        }
        let ci_runs = self.ci_runs.len() as u64;
        match &mut self.world.ci {
            Some(meta) => meta.rows = ci_runs,
            none => {
                *none = Some(CiMeta {
                    rows: ci_runs,
                    ..CiMeta::default()
                })
            }
        }
    }

    fn check_counts(&self, directory: &Path) -> Result<(), Error> {
        let expect = |file: &'static str, expected: Option<u64>, found: usize| match expected {
            Some(expected) if expected != found as u64 => Err(Error::RowCount {
                path: show(directory, file),
                stream: String::new(),
                found: found as u64,
                expected,
            }),
            _ => Ok(()),
        };
        let rows = |count: &Option<RowCount>| count.as_ref().map(|count| count.rows);
        expect("commits.csv", rows(&self.world.commits), self.commits.len())?;
        expect(
            "releases.csv",
            rows(&self.world.releases),
            self.releases.len(),
        )?;
        expect("deps.csv", rows(&self.world.deps), self.deps.len())?;
        let advisories = self.world.advisories.as_ref().map(|meta| meta.rows);
        expect("advisories.csv", advisories, self.advisories.len())?;
        expect(
            "ci_runs.csv",
            self.world.ci.as_ref().map(|meta| meta.rows),
            self.ci_runs.len(),
        )
    }
}

/// Path of a file of a history, as messages show it.
fn show(directory: &Path, file: &str) -> String {
    directory.join(file).display().to_string()
}

fn read_world(directory: &Path) -> Result<WorldMeta, Error> {
    let path = show(directory, "world.json");
    let bytes = fs::read(directory.join("world.json"))
        .map_err(|cause| open_error(directory, "world.json", cause))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::not_utf8(path.clone(), &bytes))?;
    let world: WorldMeta = serde_json::from_str(text).map_err(|problem| Error::WorldJson {
        path: path.clone(),
        problem,
    })?;
    world.validate(&path)?;
    Ok(world)
}

/// Why a file of a history could not be opened: the user's directory or the machine.
fn open_error(directory: &Path, file: &'static str, cause: io::Error) -> Error {
    if cause.kind() != io::ErrorKind::NotFound && cause.kind() != io::ErrorKind::NotADirectory {
        return Error::Io {
            path: show(directory, file),
            action: "read",
            cause,
        };
    }
    if directory.is_dir() {
        return Error::MissingFile {
            directory: directory.display().to_string(),
            file,
        };
    }
    let replaced = write::replaced_sibling(directory);
    Error::MissingDirectory {
        path: directory.display().to_string(),
        interrupted: replaced.is_dir().then(|| replaced.display().to_string()),
    }
}

#[cfg(test)]
mod tests;
