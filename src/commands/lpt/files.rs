//! Files in and out of the commands: read whole, written whole.
use std::path::Path;

use anyhow::{Context, Result};
use prestage_lpt::OutputFile;

use super::super::print;
use crate::run_folder::{create_folder, write_file};

/// The bytes of a file.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// The text of a file.
pub(super) fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// A JSON value in a file.
pub(super) fn read_json(path: &Path) -> Result<serde_json::Value> {
    serde_json::from_str(&read_text(path)?)
        .with_context(|| format!("`{}` is not JSON", path.display()))
}

/// A target's files as they were given, in that order.
pub(super) fn read_outputs(paths: &[std::path::PathBuf]) -> Result<Vec<OutputFile>> {
    let read = |path: &std::path::PathBuf| -> Result<OutputFile> {
        Ok(OutputFile {
            path: path.display().to_string(),
            bytes: read_bytes(path)?,
        })
    };
    paths.iter().map(read).collect()
}

/// Writes a file and prints its path.
pub(super) fn write_named(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    write_file(path, bytes)?;
    print(&format!("{}\n", path.display()))
}
