//! Releases of packages by their authors, as streams: all of them, and those that begin a line.
//!
//! A line is `major.minor`: patches of older lines come when they come, the trains of a project are its
//! lines. Reads a table of tags (columns `tag_epoch`, `package`, `component`, `version`,
//! `prerelease`, in any order); the repository of a history is an upstream of others, too.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use prestage_forecast::backtest::EventStream;
use prestage_telemetry::history::ReleaseKind;
use prestage_telemetry::{History, Metric, Timestamp};

use super::streams::{NEEDS_MIN, RecordedEvents, stream};

/// The need type of these streams.
const NEED: &str = "upstream_release";
const COLUMNS: [&str; 5] = ["tag_epoch", "package", "component", "version", "prerelease"];

/// A release: when, and its version.
type Release = (i64, String);

/// Whether the file is a table of tags.
pub fn is_table(path: &Path) -> bool {
    let is_csv = path.extension().is_some_and(|extension| extension == "csv");
    is_csv
        && csv::Reader::from_path(path)
            .and_then(|mut reader| reader.headers().cloned())
            .is_ok_and(|header| COLUMNS.iter().all(|name| header.iter().any(|x| x == *name)))
}

/// The releases of packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// By package and component, the whole being a component without a name; in order of time.
    releases: BTreeMap<(String, String), Vec<Release>>,
}

impl Packages {
    /// All releases and those that begin a line, package by package.
    pub fn streams(&self) -> Vec<RecordedEvents> {
        let streams = self
            .releases
            .iter()
            .flat_map(|((package, component), releases)| {
                let parts = [package.as_str(), component.as_str()];
                let named: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                of_package(&named.join("/"), releases)
            });
        streams.collect()
    }

    /// The releases of each package itself: of the whole, and of the component that has its name.
    pub fn mains(&self) -> BTreeMap<&str, Vec<Release>> {
        let mut mains: BTreeMap<&str, Vec<Release>> = BTreeMap::new();
        for ((package, component), releases) in &self.releases {
            if component.is_empty() || component == package {
                mains
                    .entry(package)
                    .or_default()
                    .extend(releases.iter().cloned());
            }
        }
        mains.values_mut().for_each(|releases| releases.sort());
        mains
    }
}

/// The releases in a table of tags, without those before a release.
///
/// # Errors
/// When it cannot be read, or a row has no time.
pub fn read(path: &Path) -> Result<Packages> {
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("reading `{}`", path.display()))?;
    let header = reader.headers()?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let mut places = [0; COLUMNS.len()];
    for (slot, name) in places.iter_mut().zip(COLUMNS) {
        let Some(found) = place(name) else {
            bail!("`{}`: no column `{name}`", path.display());
        };
        *slot = found;
    }
    let mut packages = Packages::default();
    for (row, record) in reader.records().enumerate() {
        let record = record.with_context(|| format!("reading `{}`", path.display()))?;
        let [epoch, package, component, version, prerelease] =
            places.map(|place| record.get(place).unwrap_or_default());
        let epoch: i64 = epoch.parse().with_context(|| {
            let line = row + 2;
            format!(
                "`{}`, line {line}: `tag_epoch` is `{epoch}`",
                path.display()
            )
        })?;
        if prerelease != "1" {
            let key = (package.to_owned(), component.to_owned());
            let releases = packages.releases.entry(key).or_default();
            releases.push((epoch, version.to_owned()));
        }
    }
    packages.releases.values_mut().for_each(|all| all.sort());
    Ok(packages)
}

/// The lines of a history's own repository.
pub fn of_history(history: &History) -> Vec<RecordedEvents> {
    let own = history.releases.iter().filter(|row| {
        let is_line = matches!(row.kind, ReleaseKind::Major | ReleaseKind::Minor);
        is_line && row.component.is_none()
    });
    let releases: Vec<Release> = own.map(|row| (row.tag_epoch, row.tag.clone())).collect();
    let name = format!("{}/lines", history.world.world);
    recorded(name, lines(&releases)).into_iter().collect()
}

fn of_package(name: &str, releases: &[Release]) -> Vec<RecordedEvents> {
    let all: Vec<i64> = releases.iter().map(|&(epoch, _)| epoch).collect();
    let begun = lines(releases);
    // Where every release begins a line, both are one stream.
    let both = if begun.len() == all.len() {
        vec![(name.to_owned(), all)]
    } else {
        vec![(name.to_owned(), all), (format!("{name}/lines"), begun)]
    };
    both.into_iter()
        .filter_map(|(name, epochs)| recorded(name, epochs))
        .collect()
}

fn recorded(name: String, mut epochs: Vec<i64>) -> Option<RecordedEvents> {
    epochs.dedup();
    let needs: Vec<Timestamp> = epochs.into_iter().map(Timestamp::from_seconds).collect();
    let stream: EventStream = stream(needs, Metric::UpstreamReleasesTotal, std::iter::empty());
    (stream.needs.len() >= NEEDS_MIN).then_some(RecordedEvents {
        name,
        need: NEED,
        stream,
    })
}

/// When a version came whose major and minor number were higher than any before.
fn lines(releases: &[Release]) -> Vec<i64> {
    let mut highest = None;
    let mut begun = Vec::new();
    for (epoch, version) in releases {
        let line = line_of(version);
        if line.is_some() && line > highest {
            highest = line;
            begun.push(*epoch);
        }
    }
    begun
}

/// Major and minor number of `1.2.3`, `v1.2.3` or `name-1.2.3`.
fn line_of(version: &str) -> Option<(u64, u64)> {
    let from = version.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = version[from..].split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_begun_by_versions_higher_than_any_before() {
        let release = |epoch, version: &str| (epoch, version.to_owned());
        let releases = [
            release(1, "v1.0.0"),
            release(2, "1.0.1"),
            release(3, "v1.1.0-x"),
            release(4, "0.9.7"),
            release(5, "name-1.10.0"),
            release(6, "1.2.0"),
            release(7, "nightly"),
        ];
        assert_eq!(lines(&releases), [1, 3, 5]);
    }

    #[test]
    fn a_table_of_tags_is_recognised_and_read_package_by_package() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tags.csv");
        let mut text = "tag_epoch,package,component,version,prerelease\n".to_owned();
        for i in 0..24 {
            let (minor, patch) = (i / 2, i % 2);
            let at = 1_600_000_000 + i * 86_400;
            text += &format!("{at},example.org/a,,1.{minor}.{patch},0\n");
            text += &format!("{at},example.org/a,,1.{minor}.{patch}-rc,1\n");
        }
        std::fs::write(&path, &text).unwrap();
        assert!(is_table(&path));
        let found = read(&path).unwrap().streams();
        let names: Vec<(&str, usize)> = found
            .iter()
            .map(|one| (one.name.as_str(), one.stream.needs.len()))
            .collect();
        let expected = [("example.org/a", 24), ("example.org/a/lines", 12)];
        assert_eq!(names, expected);
        std::fs::write(&path, text.replace("1600000000", "soon")).unwrap();
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("line 2"), "{refused}");
    }
}
