//! CSV files of other people: columns by name, in any order, with errors that name line and column.
use std::path::Path;

use prestage_telemetry::Timestamp;

use super::Error;

/// A CSV file whose header was read.
pub struct Table {
    path: String,
    header: csv::StringRecord,
    reader: csv::Reader<std::fs::File>,
    record: csv::StringRecord,
}

impl Table {
    /// Opens a file that has all `required` columns.
    pub fn open(path: &Path, required: &[&str], known: &[&str]) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(path)
            .map_err(|problem| explain(&shown, problem))?;
        let header = reader
            .headers()
            .map_err(|problem| explain(&shown, problem))?
            .clone();
        let missing = required
            .iter()
            .find(|name| !header.iter().any(|column| column == **name));
        let unknown = header.iter().find(|name| !known.contains(name));
        let found = match (missing, unknown) {
            (Some(name), _) => format!("no column `{name}`"),
            (_, Some(name)) => format!("a column `{name}`"),
            _ => {
                return Ok(Self {
                    path: shown,
                    header,
                    reader,
                    record: csv::StringRecord::new(),
                });
            }
        };
        Err(Error::Form {
            path: shown,
            place: ": line 1".to_owned(),
            found,
            allowed: format!("{}; required: {}", known.join(", "), required.join(", ")),
        })
    }

    /// Goes to the next row; false at the end.
    pub fn next(&mut self) -> Result<bool, Error> {
        let path = &self.path;
        self.reader
            .read_record(&mut self.record)
            .map_err(|problem| explain(path, problem))
    }

    /// A field; `None` where the column is absent or the field empty.
    pub fn text(&self, column: &str) -> Option<&str> {
        let place = self.header.iter().position(|name| name == column)?;
        self.record.get(place).filter(|text| !text.is_empty())
    }

    /// A field that must be there.
    pub fn required(&self, column: &str) -> Result<&str, Error> {
        self.text(column)
            .ok_or_else(|| self.refuse(column, "", "any text but none"))
    }

    /// A moment: RFC 3339 with an offset, or unix seconds. Seconds.
    pub fn epoch(&self, column: &str) -> Result<i64, Error> {
        let text = self.required(column)?;
        let seconds = text.parse::<i64>().ok();
        seconds
            .or_else(|| Timestamp::parse_rfc3339(text).map(Timestamp::seconds))
            .filter(|seconds| (0..=253_402_300_799).contains(seconds))
            .ok_or_else(|| {
                self.refuse(
                    column,
                    text,
                    "unix seconds, or RFC 3339 with an offset such as `Z`",
                )
            })
    }

    /// A finite number of at least `least`, if the field is there.
    pub fn number(&self, column: &str, least: f64) -> Result<Option<f64>, Error> {
        let Some(text) = self.text(column) else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= least => Ok(Some(number)),
            _ => Err(self.refuse(column, text, &format!("a finite number{}", at_least(least)))),
        }
    }

    /// A count, if the field is there.
    pub fn count(&self, column: &str) -> Result<Option<u64>, Error> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| self.refuse(column, text, "a whole number, 0 or more"))
        };
        self.text(column).map(parse).transpose()
    }

    /// A flag, if the field is there: what people and spreadsheets write for yes and no.
    pub fn flag(&self, column: &str) -> Result<Option<bool>, Error> {
        let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => Ok(true),
            "0" | "false" | "no" => Ok(false),
            _ => Err(self.refuse(
                column,
                text,
                "0, 1, true, false, yes, no, or empty for unknown",
            )),
        };
        self.text(column).map(parse).transpose()
    }

    /// The error for a field.
    pub fn refuse(&self, column: &str, found: &str, allowed: &str) -> Error {
        let line = self.record.position().map_or(0, csv::Position::line);
        Error::Form {
            path: self.path.clone(),
            place: format!(": line {line}, column `{column}`"),
            found: format!("`{found}`"),
            allowed: allowed.to_owned(),
        }
    }
}

fn at_least(least: f64) -> String {
    if least == f64::NEG_INFINITY {
        String::new()
    } else {
        format!(", {least} or more")
    }
}

fn explain(path: &str, problem: csv::Error) -> Error {
    let line = problem.position().map_or(0, csv::Position::line);
    let form = |found: String, allowed: &str| Error::Form {
        path: path.to_owned(),
        place: format!(": line {line}"),
        found,
        allowed: allowed.to_owned(),
    };
    match problem.into_kind() {
        csv::ErrorKind::Io(cause) => Error::Io {
            path: path.to_owned(),
            cause,
        },
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => form(format!("{len} fields"), &format!("{expected_len} fields")),
        csv::ErrorKind::Utf8 { .. } => form("bytes that are not UTF-8".to_owned(), "UTF-8 text"),
        kind => form(format!("{kind:?}"), "CSV with a header"),
    }
}
