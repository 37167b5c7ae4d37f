//! Crash-safe replacement of files and directories: written beside the target,
//! made durable, then renamed into place.
//!
//! Must never know: what the bytes mean.
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Writes `bytes` to `path`: after a crash at any moment the file is the old one
/// or the new one, whole. Creates missing parent directories.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let staged = Staged::beside(path)?;
    write_durably(&staged.path, bytes)?;
    fs::rename(&staged.path, path).map_err(|source| io(path, "rename into place", source))?;
    sync_directory(&staged.parent)
}

/// A temporary sibling of a target; removed when dropped, whatever happened.
pub(crate) struct Staged {
    pub(crate) path: PathBuf,
    parent: PathBuf,
}

impl Staged {
    /// Reserves a name; creates nothing but the parent directory.
    pub(crate) fn beside(target: &Path) -> Result<Self, Error> {
        let name = target.file_name().ok_or_else(|| Error::TargetName {
            path: target.to_path_buf(),
        })?;
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&parent).map_err(|source| io(&parent, "create", source))?;
        let mut staged = name.to_os_string();
        staged.push(format!(".{}.tmp", std::process::id()));
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(staged);
        let path = parent.join(hidden);
        // A leftover can only be of a dead process that had our id.
        remove(&path);
        Ok(Self { path, parent })
    }

    /// Puts the staged directory in the place of `target`, which may exist. There
    /// is no moment in which `target` is gone where the system can exchange two
    /// names (Linux); elsewhere the old one waits beside it until the new one is in.
    pub(crate) fn publish_directory(&self, target: &Path) -> Result<(), Error> {
        sync_directory(&self.path)?;
        if !target.exists() {
            fs::rename(&self.path, target)
                .map_err(|source| io(target, "rename into place", source))?;
        } else if exchange(&self.path, target).is_err() {
            self.replace_in_two_steps(target)?;
        }
        // The old content now has the staged name and goes with `self`.
        sync_directory(&self.parent)
    }

    fn replace_in_two_steps(&self, target: &Path) -> Result<(), Error> {
        let previous = self.path.with_extension("previous");
        fs::rename(target, &previous).map_err(|source| io(target, "move aside", source))?;
        if let Err(source) = fs::rename(&self.path, target) {
            fs::rename(&previous, target)
                .map_err(|source| io(&previous, "move back after a failed rename", source))?;
            return Err(io(target, "rename into place", source));
        }
        remove(&previous);
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Best effort: a leftover is hidden, named after its process, and harmless.
fn remove(path: &Path) {
    let _ = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
}

#[cfg(target_os = "linux")]
fn exchange(left: &Path, right: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, left, CWD, right, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_left: &Path, _right: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Creates a file, writes it and waits until it is on the disk.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create_new(path).map_err(|source| io(path, "create", source))?;
    file.write_all(bytes)
        .map_err(|source| io(path, "write", source))?;
    file.sync_all().map_err(|source| io(path, "sync", source))
}

/// Makes renames in a directory durable; only Unix can open a directory for it.
fn sync_directory(path: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| io(path, "sync", source))?;
    }
    Ok(())
}

pub(crate) fn io(path: &Path, attempt: &'static str, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        attempt,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_holds_the_new_bytes_and_leaves_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/er/file");
        replace_file(&path, b"old").unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(path.parent().unwrap()), ["file"]);
    }

    #[test]
    fn both_ways_of_replacing_a_directory_end_alike() {
        for two_steps in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let target = root.path().join("policy");
            fs::create_dir(&target).unwrap();
            fs::write(target.join("old"), "old").unwrap();
            let staged = Staged::beside(&target).unwrap();
            fs::create_dir(&staged.path).unwrap();
            write_durably(&staged.path.join("new"), b"new").unwrap();
            if two_steps {
                staged.replace_in_two_steps(&target).unwrap();
            } else {
                staged.publish_directory(&target).unwrap();
            }
            drop(staged);
            assert_eq!(names(&target), ["new"]);
            assert_eq!(names(root.path()), ["policy"]);
        }
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        assert!(matches!(
            replace_file(Path::new("/"), b""),
            Err(Error::TargetName { .. })
        ));
    }
}
