//! Files of a run folder, whole or not at all, and CSV whose faults have a place.
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::Unwritable;

/// Replaces a file whole: a kill leaves the old content or the new.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let folder = match path.parent().context("a file has a folder")? {
        // A bare name lies in the present folder.
        folder if folder.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    let write = || -> std::io::Result<()> {
        let mut file = temporary_builder().tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| unwritable("write", path, source))
}

/// Makes a folder and those above it; one that is there already will do.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| unwritable("create", path, source))
}

fn unwritable(action: &'static str, path: &Path, source: std::io::Error) -> anyhow::Error {
    let path = path.to_path_buf();
    let error = Unwritable {
        action,
        path,
        source,
    };
    error.into()
}

/// Encodes rows as CSV with a header.
pub fn csv_bytes<R: Serialize>(rows: &[R]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).context("cannot encode a row")?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error())
        .context("cannot encode the rows")
}

/// Temporary files are private by default; these become files that others may read.
fn temporary_builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

pub(super) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// `optional` names the columns whose values may be empty, but which must be there.
pub(super) fn read_csv<R: DeserializeOwned>(path: &Path, optional: &[&str]) -> Result<Vec<R>> {
    let shown = path.display();
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("cannot read `{shown}`"))?;
    let headers = reader
        .headers()
        .with_context(|| format!("`{shown}`: header"))?
        .clone();
    for column in optional {
        ensure!(
            headers.iter().any(|name| name == *column),
            "`{shown}`: the header has no column `{column}`"
        );
    }
    let rows = reader.deserialize().collect::<csv::Result<Vec<R>>>();
    rows.map_err(|error| explain(&error, &headers).context(format!("`{shown}`")))
}

/// Line and column name of a fault in a CSV file.
fn explain(error: &csv::Error, headers: &csv::StringRecord) -> anyhow::Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => {
            let column = err
                .field()
                .and_then(|field| headers.get(field as usize))
                .map_or_else(String::new, |name| format!(", column `{name}`"));
            anyhow::anyhow!("line {line}{column}: {}", err.kind())
        }
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            anyhow::anyhow!("line {line}: found {len} fields, expected {expected_len}")
        }
        _ => anyhow::anyhow!("line {line}: {error}"),
    }
}

pub(super) fn write_csv<R: Serialize>(path: &Path, rows: &[R]) -> Result<()> {
    write_file(path, &csv_bytes(rows)?)
}
