//! A series in one CSV file: a time, a value and perhaps a label for each sample.
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use prestage_telemetry::detect::Setting;
use prestage_telemetry::detect::evaluate::{Window, nab};
use prestage_telemetry::{Span, Timestamp};

use super::{Error, timestamp};

/// One recorded series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The file, relative to the directory that was read, with `/` between its parts.
    pub name: String,
    /// When each sample was taken, as the file has it: mostly, not always, in order.
    pub times: Vec<Timestamp>,
    /// The samples; NaN where the file has none.
    pub values: Vec<f64>,
    /// Anomalous stretches; `None` when nothing is labelled.
    pub incidents: Option<Vec<Window>>,
}

impl Series {
    /// Time between two samples: the median, at least a second.
    pub fn step(&self) -> Span {
        let mut steps: Vec<i64> = self
            .times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).micros())
            .collect();
        steps.sort_unstable();
        let median = steps.get(steps.len() / 2).copied().unwrap_or(0);
        Span::from_micros(median.max(Span::from_seconds(1).micros()))
    }

    /// What a detector is told: the step, and the warm-up given or else the probation of the
    /// Numenta benchmark, 15 % of the series and at most 750 samples.
    ///
    /// # Errors
    /// When the series is shorter than a warm-up.
    pub fn setting(&self, warm_up: Option<usize>) -> Result<Setting, Error> {
        let too_short = || Error::TooShort {
            path: self.name.clone(),
            samples: self.values.len(),
        };
        let chosen = warm_up.unwrap_or_else(|| nab::probation(self.values.len()));
        if chosen >= self.values.len() {
            return Err(too_short());
        }
        Setting::new(self.step(), chosen).map_err(|source| match warm_up {
            None => too_short(),
            Some(_) => Error::Setting {
                path: self.name.clone(),
                source,
            },
        })
    }

    /// Samples that are older than the one before them.
    pub fn steps_back(&self) -> usize {
        self.times
            .windows(2)
            .filter(|pair| pair[1] < pair[0])
            .count()
    }

    /// Time from the first to the last sample, at least one step.
    pub fn span(&self) -> Span {
        match (self.times.first(), self.times.last()) {
            (Some(&first), Some(&last)) => (last - first).max(self.step()),
            _ => self.step(),
        }
    }
}

/// Every series below a directory, in the order of their names.
///
/// # Errors
/// When there is none, or the first that cannot be read.
pub fn read_directory(directory: &Path) -> Result<Vec<Series>, Error> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(Error::NoSeries {
            path: directory.display().to_string(),
        });
    }
    files
        .iter()
        .map(|file| {
            let mut series = read_series(file)?;
            series.name = relative(directory, file);
            Ok(series)
        })
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let refused = |source| Error::Io {
        path: directory.display().to_string(),
        source,
    };
    for entry in fs::read_dir(directory).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
    Ok(())
}

/// The path of a file below a directory, the same on every system.
fn relative(directory: &Path, file: &Path) -> String {
    let below = file.strip_prefix(directory).unwrap_or(file);
    let parts: Vec<String> = below
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

/// Reads one file with the header `timestamp,value` or `epoch,value`, and `,anomaly` or not.
///
/// An empty value, or one that is no finite number but `NaN`, is missing. An empty label is
/// none.
///
/// # Errors
/// The first line that is not as it should be.
pub fn read_series(path: &Path) -> Result<Series, Error> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|source| Error::Io {
        path: shown.clone(),
        source,
    })?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(file);
    let mut rows = Rows {
        path: shown,
        columns: 0,
        times: Vec::new(),
        values: Vec::new(),
        labels: Vec::new(),
        labelled: false,
    };
    for record in reader.records() {
        let record = record.map_err(|problem| rows.unreadable(&problem))?;
        if rows.columns == 0 {
            rows.header(&record)?;
        } else {
            rows.push(&record)?;
        }
    }
    rows.finish()
}

/// A file as far as it has been read.
struct Rows {
    path: String,
    /// Fields in a row; 0 before the header.
    columns: usize,
    times: Vec<Timestamp>,
    values: Vec<f64>,
    labels: Vec<bool>,
    labelled: bool,
}

impl Rows {
    fn header(&mut self, record: &StringRecord) -> Result<(), Error> {
        let names: Vec<&str> = record.iter().map(str::trim).collect();
        match names.as_slice() {
            ["timestamp" | "epoch", "value"] | ["timestamp" | "epoch", "value", "anomaly"] => {
                self.columns = names.len();
                Ok(())
            }
            _ => Err(Error::Header {
                path: self.path.clone(),
                found: names.join(","),
            }),
        }
    }

    fn push(&mut self, record: &StringRecord) -> Result<(), Error> {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != self.columns {
            return Err(Error::Row {
                path: self.path.clone(),
                line,
                problem: format!("found {} fields, expected {}", record.len(), self.columns),
            });
        }
        let refuse = |column, found: &str, allowed| Error::Value {
            path: self.path.clone(),
            line,
            column,
            found: found.to_owned(),
            allowed,
        };
        let time = record[0].trim();
        let time =
            timestamp::parse(time).ok_or_else(|| refuse("timestamp", time, timestamp::ALLOWED))?;
        let value = record[1].trim();
        let value = match value {
            "" | "NaN" => f64::NAN,
            _ => value
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
                .ok_or_else(|| refuse("value", value, "a finite number, or empty for missing"))?,
        };
        let label = match record.get(2).map(str::trim) {
            None | Some("") => None,
            Some("0") => Some(false),
            Some("1") => Some(true),
            Some(other) => return Err(refuse("anomaly", other, "0, 1, or empty for unlabelled")),
        };
        self.times.push(time);
        self.values.push(value);
        self.labels.push(label == Some(true));
        self.labelled |= label.is_some();
        Ok(())
    }

    fn finish(self) -> Result<Series, Error> {
        if self.columns == 0 {
            return Err(Error::Header {
                path: self.path,
                found: String::new(),
            });
        }
        Ok(Series {
            incidents: self.labelled.then(|| Window::of_labels(&self.labels)),
            name: self.path,
            times: self.times,
            values: self.values,
        })
    }

    fn unreadable(&self, problem: &csv::Error) -> Error {
        Error::Row {
            path: self.path.clone(),
            line: problem.position().map_or(1, csv::Position::line),
            problem: match problem.kind() {
                csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
                _ => problem.to_string(),
            },
        }
    }
}
