//! Reads one CSV file row by row and turns its faults into ours.
//!
//! One record buffer is reused for the whole file, and columns are addressed by
//! position, which the header check has pinned to their names: deserialising each row
//! through serde is about three times slower. Must not know what the columns mean.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use std::path::Path;

use csv::{ByteRecord, Writer};

use super::error::nearest;
use super::{Error, open_error, show};

/// Epoch seconds a history may carry: 1970 to 9999, so that microseconds fit an `i64`.
pub const EPOCHS: RangeInclusive<i64> = 0..=253_402_300_799;

/// A row type that is one CSV file of the format.
pub trait Record: Sized {
    /// The file.
    const FILE: &'static str;
    /// Its header. The time column comes first, unless [`Record::TIME_COLUMN`] says so.
    const COLUMNS: &'static [&'static str];
    /// Position of the column the file is sorted by.
    const TIME_COLUMN: usize = 0;

    /// Reads the fields, in the order of [`Record::COLUMNS`].
    fn parse(row: &Row<'_>) -> Result<Self, Error>;
    /// Writes the fields, in the same order.
    fn emit(&self, fields: &mut Fields<'_>);
    /// Epoch second the file is sorted by.
    fn epoch(&self) -> i64;
}

/// An open file whose header was checked.
pub struct Table {
    path: String,
    columns: &'static [&'static str],
    reader: csv::Reader<File>,
    record: ByteRecord,
}

/// One row, with what messages about it need.
pub struct Row<'a> {
    path: &'a str,
    columns: &'static [&'static str],
    record: &'a ByteRecord,
}

/// The fields of a row that is being written.
pub struct Fields<'a>(pub &'a mut ByteRecord);

/// Reads a whole file of rows in time order.
pub fn read<R: Record>(directory: &Path) -> Result<Vec<R>, Error> {
    let mut table = Table::open(directory, R::FILE, R::COLUMNS)?;
    let mut rows: Vec<R> = Vec::new();
    while let Some(row) = table.next()? {
        let parsed = R::parse(&row)?;
        let previous = rows.last().map_or(*EPOCHS.start(), R::epoch);
        row.check_order(R::TIME_COLUMN, parsed.epoch(), previous)?;
        rows.push(parsed);
    }
    Ok(rows)
}

/// Writes a whole file of rows.
pub fn write<R: Record>(rows: &[R], file: &mut File) -> csv::Result<()> {
    let mut writer = Writer::from_writer(file);
    writer.write_record(R::COLUMNS)?;
    let mut record = ByteRecord::new();
    for row in rows {
        record.clear();
        row.emit(&mut Fields(&mut record));
        writer.write_byte_record(&record)?;
    }
    writer.flush()?;
    Ok(())
}

impl Table {
    /// Opens a file of `directory` and checks its header and its last byte.
    pub fn open(
        directory: &Path,
        name: &'static str,
        columns: &'static [&'static str],
    ) -> Result<Self, Error> {
        let path = show(directory, name);
        let mut file =
            File::open(directory.join(name)).map_err(|cause| open_error(directory, name, cause))?;
        let ends_with_newline = ends_with_newline(&mut file).map_err(|cause| Error::Io {
            path: path.clone(),
            action: "read",
            cause,
        })?;
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .buffer_capacity(1 << 16)
            .from_reader(file);
        let mut table = Self {
            path,
            columns,
            reader,
            record: ByteRecord::new(),
        };
        table.check_header()?;
        // Checked only now, because a wrong file is better described by its header.
        if !ends_with_newline {
            return Err(table.truncated());
        }
        Ok(table)
    }

    /// The next row, or `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, Error> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) => Ok(Some(Row {
                path: &self.path,
                columns: self.columns,
                record: &self.record,
            })),
            Err(error) => Err(self.explain(error)),
        }
    }

    fn check_header(&mut self) -> Result<(), Error> {
        self.reader
            .read_byte_record(&mut self.record)
            .map_err(|error| self.explain(error))?;
        let columns = self.columns;
        for index in 0..columns.len().max(self.record.len()) {
            let found = self.record.get(index).unwrap_or_default();
            let expected = columns.get(index).copied().unwrap_or_default();
            if found != expected.as_bytes() {
                return Err(Error::WrongHeader {
                    path: self.path.clone(),
                    column: index + 1,
                    found: lossy(found),
                    expected: expected.to_owned(),
                    columns,
                });
            }
        }
        Ok(())
    }

    fn explain(&self, error: csv::Error) -> Error {
        let path = self.path.clone();
        match error.into_kind() {
            csv::ErrorKind::Io(cause) => Error::Io {
                path,
                action: "read",
                cause,
            },
            csv::ErrorKind::UnequalLengths {
                pos,
                expected_len,
                len,
            } => Error::FieldCount {
                path,
                line: pos.map_or(0, |position| position.line()),
                found: len,
                expected: expected_len,
            },
            kind => Error::Io {
                path,
                action: "read",
                cause: io::Error::other(format!("{kind:?}")),
            },
        }
    }

    fn truncated(mut self) -> Error {
        while let Ok(true) = self.reader.read_byte_record(&mut self.record) {}
        let line = self.record.position().map_or(1, |position| position.line());
        Error::Truncated {
            path: self.path,
            line,
        }
    }
}

impl<'a> Row<'a> {
    /// Any text.
    pub fn text(&self, column: usize) -> Result<&'a str, Error> {
        let record: &'a ByteRecord = self.record;
        std::str::from_utf8(&record[column]).map_err(|_| self.not_utf8())
    }

    /// Text that must be there.
    pub fn name(&self, column: usize) -> Result<String, Error> {
        match self.text(column)? {
            "" => Err(self.refuse(column, "any text but none")),
            text => Ok(text.to_owned()),
        }
    }

    /// Text, or unknown when empty.
    pub fn name_optional(&self, column: usize) -> Result<Option<String>, Error> {
        let text = self.text(column)?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// Epoch seconds.
    pub fn epoch(&self, column: usize) -> Result<i64, Error> {
        match self.text(column)?.parse() {
            Ok(epoch) if EPOCHS.contains(&epoch) => Ok(epoch),
            _ => Err(self.refuse(column, "epoch seconds, 0 to 253402300799")),
        }
    }

    /// Epoch seconds, or unknown when empty.
    pub fn epoch_optional(&self, column: usize) -> Result<Option<i64>, Error> {
        self.optional(column, Self::epoch)
    }

    /// A whole number.
    pub fn integer(&self, column: usize) -> Result<i64, Error> {
        self.text(column)?
            .parse()
            .map_err(|_| self.refuse(column, "a whole number"))
    }

    /// A whole number, or unknown when empty.
    pub fn integer_optional(&self, column: usize) -> Result<Option<i64>, Error> {
        self.optional(column, Self::integer)
    }

    /// A whole number that is not negative.
    pub fn count(&self, column: usize) -> Result<u64, Error> {
        self.text(column)?
            .parse()
            .map_err(|_| self.refuse(column, "a whole number, 0 or more"))
    }

    /// A whole number that is not negative, or unknown when empty.
    pub fn count_optional(&self, column: usize) -> Result<Option<u64>, Error> {
        self.optional(column, Self::count)
    }

    /// A finite number.
    pub fn number(&self, column: usize) -> Result<f64, Error> {
        match self.text(column)?.parse() {
            Ok(number) if f64::is_finite(number) => Ok(number),
            _ => Err(self.refuse(column, "a finite number")),
        }
    }

    /// A finite number that is not negative.
    pub fn amount(&self, column: usize) -> Result<f64, Error> {
        match self.number(column) {
            Ok(number) if number >= 0.0 => Ok(number),
            _ => Err(self.refuse(column, "a finite number, 0 or more")),
        }
    }

    /// A finite number that is not negative, or unknown when empty.
    pub fn amount_optional(&self, column: usize) -> Result<Option<f64>, Error> {
        self.optional(column, Self::amount)
    }

    /// 0 or 1.
    pub fn flag(&self, column: usize) -> Result<bool, Error> {
        match &self.record[column] {
            b"0" => Ok(false),
            b"1" => Ok(true),
            _ => Err(self.refuse(column, "0, 1")),
        }
    }

    /// 0 or 1, or unknown when empty.
    pub fn flag_optional(&self, column: usize) -> Result<Option<bool>, Error> {
        match &self.record[column] {
            b"" => Ok(None),
            b"0" => Ok(Some(false)),
            b"1" => Ok(Some(true)),
            _ => Err(self.refuse(column, "0, 1, or empty for unknown")),
        }
    }

    /// One of a closed list of words.
    pub fn choice<T: Copy>(&self, column: usize, words: &[(&'static str, T)]) -> Result<T, Error> {
        let text = self.text(column)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(text, &known).map_or_else(String::new, |word| {
            format!("\n\nhint: did you mean `{word}`?")
        });
        Err(self.bad_value(column, known.join(", "), hint))
    }

    /// One of a closed list of words, or unknown when empty.
    pub fn choice_optional<T: Copy>(
        &self,
        column: usize,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, Error> {
        self.optional(column, |row, column| row.choice(column, words))
    }

    /// Refuses a row that is older than the one before.
    pub fn check_order(&self, column: usize, time: i64, previous: i64) -> Result<(), Error> {
        if time >= previous {
            return Ok(());
        }
        let (path, line, column) = (self.path.to_owned(), self.line(), self.columns[column]);
        Err(Error::OutOfOrder {
            path,
            line,
            column,
            time,
            previous,
        })
    }

    /// The file, as messages show it.
    pub fn path(&self) -> String {
        self.path.to_owned()
    }

    /// Line the row begins on, from 1.
    pub fn line(&self) -> u64 {
        self.record.position().map_or(0, |position| position.line())
    }

    /// Raw bytes of a field.
    pub fn bytes(&self, column: usize) -> &'a [u8] {
        let record: &'a ByteRecord = self.record;
        &record[column]
    }

    fn optional<T>(
        &self,
        column: usize,
        parse: impl FnOnce(&Self, usize) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if self.record[column].is_empty() {
            Ok(None)
        } else {
            parse(self, column).map(Some)
        }
    }

    /// The error for a field that its column cannot hold.
    pub fn refuse(&self, column: usize, allowed: &str) -> Error {
        self.bad_value(column, allowed.to_owned(), String::new())
    }

    fn bad_value(&self, column: usize, allowed: String, hint: String) -> Error {
        if std::str::from_utf8(&self.record[column]).is_err() {
            return self.not_utf8();
        }
        Error::BadValue {
            path: self.path(),
            line: self.line(),
            column: self.columns[column],
            found: lossy(&self.record[column]),
            allowed,
            hint,
        }
    }

    /// Reads the file once more: the exact offset of the bad byte is worth it, and the
    /// record does not tell it when a field before it was quoted.
    fn not_utf8(&self) -> Error {
        match std::fs::read(self.path) {
            Ok(bytes) => Error::not_utf8(self.path(), &bytes),
            Err(cause) => Error::Io {
                path: self.path(),
                action: "read",
                cause,
            },
        }
    }
}

impl Fields<'_> {
    /// Appends text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_field(text.as_bytes());
        self
    }

    /// Appends anything that displays, such as a number.
    pub fn show(&mut self, value: impl std::fmt::Display) -> &mut Self {
        self.text(&value.to_string())
    }

    /// Appends a value, or nothing when it is unknown.
    pub fn optional(&mut self, value: Option<impl std::fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.show(value),
            None => self.text(""),
        }
    }

    /// Appends 0 or 1.
    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.text(if flag { "1" } else { "0" })
    }

    /// Appends 0 or 1, or nothing when it is unknown.
    pub fn flag_optional(&mut self, flag: Option<bool>) -> &mut Self {
        self.optional(flag.map(u8::from))
    }
}

/// The word a value of a closed list is written as.
pub fn word<T: Copy + PartialEq>(value: T, words: &[(&'static str, T)]) -> &'static str {
    let found = words.iter().find(|(_, candidate)| *candidate == value);
    found.expect("the list has a word for every variant").0
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0_u8];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    file.rewind()?;
    Ok(last == *b"\n")
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
