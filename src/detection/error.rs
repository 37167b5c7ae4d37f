//! What can be wrong with a series or a corpus, and what to do about it.
use std::io;

use prestage_telemetry::detect;

/// A series could not be read or scored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refused, or there is no such file.
    #[error("cannot read `{path}`")]
    Io {
        /// File or directory.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The first line does not name the columns.
    #[error(
        "`{path}`: line 1: found `{found}` (allowed: `timestamp,value`, `epoch,value`, each with \
         `,anomaly` or without)"
    )]
    Header {
        /// The file.
        path: String,
        /// Its first line.
        found: String,
    },
    /// A row has too few or too many fields, or is not text.
    #[error("`{path}`: line {line}: {problem}")]
    Row {
        /// The file.
        path: String,
        /// Line of the row, from 1.
        line: u64,
        /// What the CSV reader says.
        problem: String,
    },
    /// A field is not what its column holds.
    #[error("`{path}`: line {line}, column `{column}`: found `{found}` (allowed: {allowed})")]
    Value {
        /// The file.
        path: String,
        /// Line of the row, from 1.
        line: u64,
        /// Name of the column.
        column: &'static str,
        /// The field.
        found: String,
        /// What would have been accepted.
        allowed: &'static str,
    },
    /// A directory without a single series.
    #[error(
        "`{path}` holds no series\n\nhint: a series is a CSV file with the header \
         `timestamp,value` or `epoch,value,anomaly`"
    )]
    NoSeries {
        /// The directory.
        path: String,
    },
    /// The labels of a corpus are not JSON of the benchmark's form.
    #[error("`{path}`: {problem} (allowed: an object from file name to pairs of times)")]
    Labels {
        /// The file.
        path: String,
        /// What the JSON reader says.
        problem: serde_json::Error,
    },
    /// A labelled window begins or ends at a time that no row has, or before the one before.
    #[error("`{path}`: window {window} of `{file}`: {problem}")]
    Window {
        /// The file of the labels.
        path: String,
        /// The series.
        file: String,
        /// Number of the window in its list, from 1.
        window: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Too few samples, or none at all, for a warm-up.
    #[error(
        "`{path}`: {samples} samples are too few\n\nhint: the warm-up is 15 % of a series, at \
         least 16 samples; `--warm-up` sets it by hand"
    )]
    TooShort {
        /// The file.
        path: String,
        /// Its samples.
        samples: usize,
    },
    /// The series and the warm-up do not fit a detector.
    #[error("`{path}`: {source}")]
    Setting {
        /// The file.
        path: String,
        /// What is allowed.
        source: detect::Error,
    },
}
