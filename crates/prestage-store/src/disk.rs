//! Files that are there whole or not at all.
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::Error;

/// Ending of a file that has not taken its place yet.
pub const PARTIAL: &str = ".partial";

/// Writes `bytes` to `path` so that a kill at any moment leaves the old file or the new one.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(PARTIAL);
    let partial = Path::new(&partial);
    File::create(partial)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(|cause| failed(path, "write", cause))?;
    fs::rename(partial, path).map_err(|cause| failed(path, "write", cause))?;
    sync_directory(folder_of(path))
}

/// Where a file lies; a bare name lies in the present directory.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the entries of a directory durable.
pub fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| failed(path, "write", cause))
}

/// Makes a directory and those above it.
pub fn make_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|cause| failed(path, "create", cause))
}

/// Removes a file that may be gone already.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed(path, "remove", cause)),
        _ => Ok(()),
    }
}

/// An error of the disk.
pub fn failed(path: &Path, action: &'static str, cause: io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        action,
        cause,
    }
}

/// An error of a file's content.
pub fn damaged(path: &Path, problem: impl Into<String>) -> Error {
    Error::Damaged {
        path: path.display().to_string(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_lies_in_the_present_directory() {
        for (path, folder) in [("answer.parquet", "."), ("a/b.parquet", "a"), ("/c", "/")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(folder));
            assert!(sync_directory(folder_of(Path::new(path))).is_ok() || folder == "a");
        }
    }
}
