//! What can be wrong with a history, and what to do about it.
use std::io;

use super::FILES;

/// A history could not be read or written.
///
/// Messages carry file, line (1-based, the header is line 1) and column name, what was
/// found, what is allowed, and after a blank line a hint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refused: permissions, a full disk, a failing device.
    #[error("cannot {action} `{path}`: {cause}")]
    Io {
        /// File or directory.
        path: String,
        /// What was attempted, as a verb.
        action: &'static str,
        /// Reported by the system.
        cause: io::Error,
    },
    /// No directory where the history should be.
    #[error("`{path}` is not a directory{}", interrupted_hint(interrupted))]
    MissingDirectory {
        /// The directory asked for.
        path: String,
        /// The previous history, set aside by a write that was killed between two renames.
        interrupted: Option<String>,
    },
    /// A file of the history is absent.
    #[error(
        "`{directory}` has no `{file}` (a history has: {})\n\nhint: a stream without rows \
         is a file that holds the header alone",
        FILES.join(", ")
    )]
    MissingFile {
        /// The history.
        directory: String,
        /// The absent file.
        file: &'static str,
    },
    /// `world.json` is not JSON, or has a key or value that is not defined.
    #[error("`{path}`: {problem}")]
    WorldJson {
        /// The file.
        path: String,
        /// With line and column, and the known keys.
        problem: serde_json::Error,
    },
    /// A value in `world.json` makes no sense.
    #[error("`{path}`: `{key}` is {found} (allowed: {allowed})")]
    WorldValue {
        /// The file.
        path: String,
        /// Path of the key.
        key: String,
        /// The value.
        found: String,
        /// What would have been accepted.
        allowed: String,
    },
    /// The first line is not the header of this file.
    #[error(
        "`{path}`: line 1, column {column}: found {}, expected {}{}",
        quoted_or(found, "the end of the header"),
        quoted_or(expected, "the end of the header"),
        header_hint(found, expected, columns)
    )]
    WrongHeader {
        /// The file.
        path: String,
        /// First differing column, from 1.
        column: usize,
        /// Its name in the file; empty when the header ends before it.
        found: String,
        /// Its name in the format; empty when the header should have ended.
        expected: String,
        /// All names of the format.
        columns: &'static [&'static str],
    },
    /// The file ends in the middle of a row.
    #[error(
        "`{path}`: line {line}: the file ends in the middle of a row\n\nhint: the copy is \
         incomplete; fetch the file again (a complete file ends with a newline)"
    )]
    Truncated {
        /// The file.
        path: String,
        /// The last line.
        line: u64,
    },
    /// A row has too few or too many fields.
    #[error(
        "`{path}`: line {line}: found {found} fields, expected {expected}\n\nhint: a comma or \
         a quote inside a field needs double quotes around the field"
    )]
    FieldCount {
        /// The file.
        path: String,
        /// Line of the row.
        line: u64,
        /// Fields in the row.
        found: u64,
        /// Fields in the header.
        expected: u64,
    },
    /// A field is not what its column holds.
    #[error("`{path}`: line {line}, column `{column}`: found `{found}` (allowed: {allowed}){hint}")]
    BadValue {
        /// The file.
        path: String,
        /// Line of the row.
        line: u64,
        /// Name of the column.
        column: &'static str,
        /// The field.
        found: String,
        /// What would have been accepted.
        allowed: String,
        /// Empty, or a blank line and a hint.
        hint: String,
    },
    /// The file is not UTF-8 text.
    #[error(
        "`{path}`: line {line}, byte {byte} of the file: not UTF-8 text\n\nhint: histories are \
         UTF-8; convert the file, for example with `iconv`"
    )]
    NotUtf8 {
        /// The file.
        path: String,
        /// Line of the first bad byte.
        line: u64,
        /// Its offset from the start of the file, from 0.
        byte: u64,
    },
    /// A row is older than the row before it.
    #[error(
        "`{path}`: line {line}, column `{column}`: time {time} is before {previous} in the row \
         before\n\nhint: rows are in time order; sort the file by `{column}`"
    )]
    OutOfOrder {
        /// The file.
        path: String,
        /// Line of the older row.
        line: u64,
        /// The time column.
        column: &'static str,
        /// Its time.
        time: i64,
        /// Time of the row before.
        previous: i64,
    },
    /// Two traffic rows for one service, metric and time.
    #[error(
        "`{path}`: line {line}: second row for service `{service}`, metric `{metric}` at epoch \
         {epoch}\n\nhint: keep one row for each service and epoch"
    )]
    DuplicateRow {
        /// The file.
        path: String,
        /// Line of the second row.
        line: u64,
        /// The service.
        service: String,
        /// The metric.
        metric: String,
        /// The time both rows carry.
        epoch: i64,
    },
    /// A traffic row names a service and metric that `world.json` does not have.
    #[error(
        "`{path}`: line {line}: service `{service}` with metric `{metric}` is not in \
         `world.json` (known: {known})"
    )]
    UnknownService {
        /// The file.
        path: String,
        /// Line of the row.
        line: u64,
        /// The service.
        service: String,
        /// The metric.
        metric: String,
        /// Services of `world.json`, with their metrics.
        known: String,
    },
    /// `world.json` promises another number of rows.
    #[error(
        "`{path}`: found {found} rows{stream}, `world.json` says {expected}\n\nhint: a file was \
         cut, or edited without its row count"
    )]
    RowCount {
        /// The file.
        path: String,
        /// Empty, or ` of service ...`.
        stream: String,
        /// Rows in the file.
        found: u64,
        /// Rows according to `world.json`.
        expected: u64,
    },
    /// The directory to write to holds something that is not a history.
    #[error(
        "`{path}` is not empty and is not a history\n\nhint: name a new directory, or remove \
         this one first"
    )]
    Occupied {
        /// The directory.
        path: String,
    },
    /// What was written would not be read back as the same history.
    #[error("the {stream} of the history would not survive being written\n\nhint: {hint}")]
    NotRepresentable {
        /// The stream that differs.
        stream: &'static str,
        /// What the format cannot hold.
        hint: &'static str,
    },
}

impl Error {
    /// Whether the machine is at fault (exit code 3), not the user's files (exit code 2).
    pub fn is_environment(&self) -> bool {
        // Reading a directory as a file, or a path that goes through a file, is a wrong
        // argument, whatever layer noticed it; a place that cannot be made is not.
        matches!(self, Self::Io { action, cause, .. } if *action == "create" || !matches!(
            cause.kind(),
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput
        ))
    }

    /// Locates the first byte of `bytes` that is not UTF-8.
    pub(super) fn not_utf8(path: String, bytes: &[u8]) -> Self {
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let newlines = bytes[..valid].iter().filter(|&&byte| byte == b'\n').count();
        Self::NotUtf8 {
            path,
            line: newlines as u64 + 1,
            byte: valid as u64,
        }
    }
}

/// The candidate closest to `name`, when it is close enough to be a slip of the hand.
pub(super) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let limit = (name.len() / 3 + 1).min(3);
    candidates
        .iter()
        .map(|candidate| {
            (
                edit_distance(name.as_bytes(), candidate.as_bytes()),
                *candidate,
            )
        })
        .min_by_key(|&(distance, _)| distance)
        .filter(|&(distance, _)| distance <= limit)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, one row of the table at a time.
fn edit_distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, &a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

fn quoted_or(name: &str, if_empty: &str) -> String {
    if name.is_empty() {
        if_empty.to_owned()
    } else {
        format!("`{name}`")
    }
}

fn header_hint(found: &str, expected: &str, columns: &[&str]) -> String {
    let all = columns.join(",");
    match nearest(found, columns) {
        Some(name) if name == expected => {
            format!("\n\nhint: did you mean `{name}`? the columns are `{all}`")
        }
        _ => format!("\n\nhint: the columns are, in this order, `{all}`"),
    }
}

fn interrupted_hint(interrupted: &Option<String>) -> String {
    match interrupted {
        Some(path) => format!(
            "\n\nhint: a write was interrupted; the previous history is complete in `{path}`, \
             rename it back"
        ),
        None => format!(
            "\n\nhint: a history is a directory with {}",
            FILES.join(", ")
        ),
    }
}
