//! The corpus of the Numenta Anomaly Benchmark as its repository lays it out:
//! `combined_windows.json` and the series it names, below `data/`.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prestage_telemetry::Timestamp;
use prestage_telemetry::detect::evaluate::Window;

use super::{Error, Series, read_series, timestamp};

/// The file that tells a corpus from a directory of series.
const LABELS: &str = "combined_windows.json";

/// The series of the benchmark, in the order of their names, each with its windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// Every series has `incidents`, if only an empty list.
    pub series: Vec<Series>,
}

/// Whether a directory holds a corpus of the benchmark.
pub fn is_corpus(directory: &Path) -> bool {
    labels_of(directory).is_some()
}

/// The labels beside `data/`, or below `labels/` as in the benchmark's repository.
fn labels_of(directory: &Path) -> Option<PathBuf> {
    [
        directory.join(LABELS),
        directory.join("labels").join(LABELS),
    ]
    .into_iter()
    .find(|path| path.is_file())
}

impl Corpus {
    /// Reads all series and their windows.
    ///
    /// # Errors
    /// When a file cannot be read, or a window does not fit its series.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let labels = labels_of(directory).unwrap_or_else(|| directory.join(LABELS));
        let path = labels.display().to_string();
        let bytes = fs::read(&labels).map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })?;
        let windows: BTreeMap<String, Vec<[String; 2]>> =
            serde_json::from_slice(&bytes).map_err(|problem| Error::Labels {
                path: path.clone(),
                problem,
            })?;
        let mut series = Vec::new();
        for (name, pairs) in windows {
            let mut one = read_series(&directory.join("data").join(&name))?;
            one.incidents = Some(locate(&path, &name, &pairs, &one.times)?);
            one.name = name;
            series.push(one);
        }
        if series.is_empty() {
            return Err(Error::NoSeries { path });
        }
        Ok(Self { series })
    }
}

/// Windows given by times as windows given by rows; of rows of one time the first, as the
/// benchmark's scorer does.
fn locate(
    path: &str,
    file: &str,
    pairs: &[[String; 2]],
    times: &[Timestamp],
) -> Result<Vec<Window>, Error> {
    let mut windows: Vec<Window> = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        let refuse = |problem: String| Error::Window {
            path: path.to_owned(),
            file: file.to_owned(),
            window: index + 1,
            problem,
        };
        let row = |text: &String| -> Result<usize, Error> {
            let time = timestamp::parse(text).ok_or_else(|| {
                refuse(format!("found `{text}` (allowed: {})", timestamp::ALLOWED))
            })?;
            let row = times.iter().position(|&held| held == time);
            row.ok_or_else(|| refuse(format!("no row of the series is of `{text}`")))
        };
        let window = Window {
            first: row(&pair[0])?,
            last: row(&pair[1])?,
        };
        let after = windows
            .last()
            .is_none_or(|before| before.last < window.first);
        if window.last < window.first || !after {
            return Err(refuse("windows are in order and do not overlap".to_owned()));
        }
        windows.push(window);
    }
    Ok(windows)
}
